//! What one seed stands for: how many agents, which rules, how slow the network, which faults how often.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use soloist::round::contender::{Backoff, Delivery, Missed, Rules, SKIP_AFTER_MS, Settle};
use soloist::round::{Form, Outcome, Schedule, Seal, SealKey};

use crate::clock::Clocks;

/// The modules that agents hold; where all hold the same one, the first.
pub(crate) const MODULES: [&str; 2] = ["0123456789ab", "ba9876543210"];

/// The second of the Unix epoch at which every simulation begins.
pub(crate) const EPOCH: u64 = 1_800_000_000;

/// One simulation. Times are in milliseconds, chances in thousandths.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// How many agents there are.
    pub(crate) agents: usize,
    /// The interval, in seconds.
    pub(crate) every: u64,
    pub(crate) lease_ms: u64,
    pub(crate) is_renewed: bool,
    pub(crate) delivery: Delivery,
    pub(crate) missed: Missed,
    pub(crate) start_deadline_ms: Option<u64>,
    /// Whether the record is signed; then no hand writes it.
    pub(crate) is_sealed: bool,
    pub(crate) settle: Option<Settle>,
    /// Whether agents, of which some hold another module, wait for the one that the record names.
    pub(crate) same_module: bool,
    pub(crate) attempts: u32,
    pub(crate) backoff_ms: u64,
    pub(crate) spread_ms: u64,
    pub(crate) reread_ms: u64,
    /// The longest way of a message in good times.
    pub(crate) latency_ms: u64,
    /// The longest way of a message that is slow, and not given up.
    pub(crate) slow_ms: u64,
    /// How much longer the way of a replacement may be.
    pub(crate) write_ms: u64,
    /// How long an agent waits for an answer.
    pub(crate) timeout_ms: u64,
    /// The shortest and the longest run.
    pub(crate) least_run_ms: u64,
    pub(crate) run_ms: u64,
    /// How far the secondary lags behind.
    pub(crate) lag_ms: u64,
    pub(crate) clocks: Clocks,
    /// How far the clocks by which agents go are apart at most.
    pub(crate) skew_ms: u64,
    /// How long there are faults.
    pub(crate) faulty_ms: u64,
    pub(crate) chances: Chances,
}

/// How likely what goes wrong, in thousandths.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chances {
    /// Of a message: see [`super::network`].
    pub(crate) lost_request: u32,
    pub(crate) lost_answer: u32,
    pub(crate) late_request: u32,
    pub(crate) late_answer: u32,
    pub(crate) retransmitted: u32,
    pub(crate) repeated: u32,
    pub(crate) server_error: u32,
    pub(crate) server_failure: u32,
    pub(crate) stale: u32,
    /// Of any step of an agent.
    pub(crate) crash: u32,
    pub(crate) pause: u32,
    /// Of an agent, each second.
    pub(crate) stop: u32,
    pub(crate) cut_off: u32,
    pub(crate) no_module: u32,
    pub(crate) jump: u32,
    /// Of the arbiter, each second.
    pub(crate) outage: u32,
    pub(crate) stubborn: u32,
    /// Of a hand that changes the record, each second.
    pub(crate) hand: u32,
    /// Of an agent, each second: it gets the other module.
    pub(crate) swap: u32,
    /// Of an operator who pauses, resumes or triggers the job, or says which module is to run, each second.
    pub(crate) operator: u32,
    /// Of a run.
    pub(crate) retry: u32,
    pub(crate) fails: u32,
}

impl Options {
    /// What this seed stands for.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let every = pick(&mut rng, &[1, 2, 5, 10, 60]);
        // Most are few, so that a million rounds stay affordable, and some are very many.
        let most = match rng.random_range(0..1_000) {
            0..3 => 1_000,
            3..13 => 200,
            13..113 => 30,
            _ => 5,
        };
        let rounds = rng.random_range(8..24);
        let lease_ms = pick(&mut rng, &[2_000, 3_000, 5_000, 10_000]);
        let latency_ms: u64 = pick(&mut rng, &[1, 5, 30]);
        let timeout_ms = pick(&mut rng, &[300, 1_000, 2_000]);
        let (clocks, skew_ms) = if rng.random_bool(0.2) {
            // An answer shows a whole second of the arbiter's clock, up to 20 ms late, at any moment while it was asked
            // for; a clock that can be right by that is not touched. Each of two agents may be off by it.
            (Clocks::Wild, 2 * (1_000 + 20 + timeout_ms))
        } else {
            let apart_ms = pick(&mut rng, &[0, 0, 0, 50, 300]);
            (Clocks::Close { apart_ms }, apart_ms)
        };
        let is_sealed = rng.random_bool(0.05);
        let mut chances = Chances::drawn(&mut rng, clocks != Clocks::Wild && !is_sealed);
        if is_sealed {
            chances.operator = 0;
        }
        if clocks != Clocks::Wild {
            chances.jump = 0;
        }
        // Of its own, so that all else is what this seed always stood for.
        let mut own = SmallRng::seed_from_u64(seed ^ 0x6d6f_6475_6c65);
        let same_module = !is_sealed && own.random_bool(0.1);
        if same_module {
            chances.swap = pick(&mut own, &[0, 20, 100]);
            chances.operator = chances.operator.max(pick(&mut own, &[10, 50]));
        }
        Self {
            seed,
            agents: rng.random_range(2..=most),
            every,
            lease_ms,
            is_renewed: rng.random_bool(0.6),
            delivery: if rng.random_bool(0.2) { Delivery::AtMostOnce } else { Delivery::AtLeastOnce },
            missed: match rng.random_range(0..10) {
                0..6 => Missed::RunOnce,
                6..8 => Missed::Skip,
                _ => Missed::CatchUp { most: rng.random_range(1..=5) },
            },
            start_deadline_ms: rng.random_bool(0.2).then(|| pick(&mut rng, &[2_000, every * 500, every * 3_000])),
            is_sealed,
            settle: None,
            same_module,
            attempts: rng.random_range(1..=4),
            backoff_ms: pick(&mut rng, &[0, 500, 1_000, 2_000]),
            spread_ms: pick(&mut rng, &[0, 0, 50, 200]),
            reread_ms: pick(&mut rng, &[every * 200, every * 500, 30_000]).max(1_000),
            latency_ms,
            slow_ms: (8 * latency_ms).min(timeout_ms / 2 - 1),
            write_ms: 0,
            timeout_ms,
            least_run_ms: 0,
            run_ms: pick(&mut rng, &[100, 1_000, lease_ms - 500, lease_ms + 2_000, 3 * lease_ms]),
            lag_ms: pick(&mut rng, &[100, 1_000, 2 * lease_ms]),
            clocks,
            skew_ms,
            faulty_ms: (rounds * every * 1000).max(15_000),
            chances,
        }
    }

    /// Nothing goes wrong, and everybody goes by the defaults of a job that is due each minute.
    pub(crate) fn calm(agents: usize, run_ms: u64, spread_ms: u64) -> Self {
        Self {
            seed: 0,
            agents,
            every: 60,
            lease_ms: 35_000,
            is_renewed: false,
            delivery: Delivery::AtLeastOnce,
            missed: Missed::RunOnce,
            start_deadline_ms: None,
            is_sealed: false,
            settle: None,
            same_module: false,
            attempts: 3,
            backoff_ms: 1_000,
            spread_ms,
            reread_ms: 30_000,
            latency_ms: 5,
            slow_ms: 40,
            write_ms: 0,
            timeout_ms: 2_000,
            least_run_ms: run_ms,
            run_ms,
            lag_ms: 0,
            clocks: Clocks::Close { apart_ms: 0 },
            skew_ms: 0,
            faulty_ms: u64::MAX / 2,
            chances: Chances::default(),
        }
    }

    /// An arbiter that only overwrites. A read takes up to a tenth of the settling time, and a replacement is on its way
    /// for up to `write_ms`: where that is more than nine tenths, some are applied after they were given up.
    pub(crate) fn settling(seed: u64, wait_ms: u64, write_ms: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        Self {
            seed,
            agents: rng.random_range(2..=8),
            every: 15,
            lease_ms: 10_000,
            settle: Some(Settle { wait_ms, reads: rng.random_range(1..=3) }),
            spread_ms: pick(&mut rng, &[0, 0, 50]),
            latency_ms: wait_ms / 20,
            slow_ms: wait_ms / 20,
            write_ms: write_ms.saturating_sub(wait_ms / 20),
            timeout_ms: wait_ms,
            least_run_ms: 0,
            run_ms: pick(&mut rng, &[1_000, 9_000, 12_000]),
            faulty_ms: 20 * 15_000,
            chances: Chances {
                lost_request: pick(&mut rng, &[0, 50]),
                lost_answer: pick(&mut rng, &[0, 50]),
                server_error: pick(&mut rng, &[0, 50]),
                crash: pick(&mut rng, &[0, 10]),
                pause: pick(&mut rng, &[0, 10]),
                stop: pick(&mut rng, &[0, 10]),
                retry: 100,
                ..Chances::default()
            },
            ..Self::calm(0, 0, 0)
        }
    }

    /// The rules that every agent goes by.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            lease_ms: self.lease_ms,
            renew_ms: self.is_renewed.then_some(self.lease_ms / 2),
            delivery: self.delivery,
            missed: self.missed,
            start_deadline_ms: self.start_deadline_ms,
            settle: self.settle,
            same_module: self.same_module,
            seal: self.seal(),
            attempts: self.attempts,
            backoff: Backoff { base_ms: self.backoff_ms, cap_ms: 4 * self.backoff_ms },
            spread_ms: self.spread_ms,
            reread_ms: self.reread_ms,
            ..Rules::new(self.schedule())
        }
    }

    pub(crate) fn seal(&self) -> Seal {
        if !self.is_sealed {
            return Seal::none();
        }
        Seal::new(Some(Form::Sign), vec![SealKey::new(&[7; 32])], "simulation", false).expect("there is a key")
    }

    pub(crate) fn schedule(&self) -> Schedule {
        Schedule::every(self.every).expect("the interval is in its limits")
    }

    /// The longest that a message is on its way in bad times.
    pub(crate) fn late_ms(&self) -> u64 {
        self.timeout_ms + 2 * self.lease_ms
    }

    /// How long after the last fault every round is on time again, at most: whatever was on its way has arrived, the
    /// longest run has ended, a lease and a backoff that it left have passed, every wait after trouble, and a turn.
    pub(crate) fn recovery_ms(&self) -> u64 {
        let longest_wait_after_trouble = 5_000;
        let lease_left = 2 * self.lease_ms + 2_000;
        let turns = (2 + self.made_up_for()) * self.every * 1000;
        self.late_ms()
            + 3 * self.timeout_ms
            + self.run_ms
            + 2 * lease_left
            + 4 * self.backoff_ms
            + 2 * longest_wait_after_trouble
            + self.skew_ms
            + turns
    }

    /// How many of the latest rounds are made up for.
    pub(crate) fn made_up_for(&self) -> u64 {
        if let Missed::CatchUp { most } = self.missed { most.into() } else { 1 }
    }

    /// How late a round may begin, in seconds.
    pub(crate) fn latest_start(&self) -> Option<u64> {
        let skipped = (self.missed == Missed::Skip).then_some(SKIP_AFTER_MS);
        self.start_deadline_ms.or(skipped).map(|ms| ms / 1000)
    }

    /// Within so long a healthy agent does what may be done: it looks again, after a trouble that it had, or when it
    /// next would anyway; what it asks takes its time; and what is too late to begin waits for the next due time.
    pub(crate) fn reaction_ms(&self) -> u64 {
        let longest_wait_after_trouble = 5_000;
        let next_look = self.reread_ms.min(self.every * 1000);
        let next_turn = if self.latest_start().is_some() { self.every * 1000 } else { 0 };
        let messages = 16 * 8 * self.latency_ms;
        let whole_second = 1_000;
        longest_wait_after_trouble
            + 2 * self.timeout_ms
            + next_look
            + next_turn
            + self.spread_ms
            + messages
            + self.skew_ms
            + whole_second
    }

    /// How late a round may start in good times: its reads and its claim, and clocks that differ.
    pub(crate) fn lateness_ms(&self) -> u64 {
        self.spread_ms + self.skew_ms + 6 * self.latency_ms + 20
    }

    /// How long a run takes in good times.
    pub(crate) fn good_run_ms(&self) -> u64 {
        (self.every * 1000 / 10).min(self.run_ms).min(self.lease_ms / 4)
    }

    /// How a run goes.
    pub(crate) fn run(&self, rng: &mut SmallRng, is_healthy: bool) -> (u64, Outcome) {
        if is_healthy {
            return (self.good_run_ms(), Outcome::Ok);
        }
        let ms = rng.random_range(self.least_run_ms..=self.run_ms);
        let outcome = if hit(rng, self.chances.retry) {
            pick(rng, &[Outcome::Retry, Outcome::Timeout, Outcome::Trap])
        } else if hit(rng, self.chances.fails) {
            Outcome::Error
        } else {
            Outcome::Ok
        };
        (ms, outcome)
    }
}

impl Chances {
    /// Each kind of fault is left out half of the time, so that each is also met alone.
    fn drawn(rng: &mut SmallRng, has_hands: bool) -> Self {
        let mut up_to = |most: u32| if rng.random_bool(0.5) { rng.random_range(1..=most) } else { 0 };
        Self {
            lost_request: up_to(150),
            lost_answer: up_to(150),
            late_request: up_to(150),
            late_answer: up_to(100),
            retransmitted: up_to(200),
            repeated: up_to(100),
            server_error: up_to(100),
            server_failure: up_to(150),
            stale: up_to(300),
            crash: up_to(30),
            pause: up_to(30),
            stop: up_to(20),
            cut_off: up_to(30),
            no_module: up_to(20),
            jump: up_to(50),
            outage: up_to(50),
            stubborn: up_to(30),
            swap: 0,
            operator: if rng.random_bool(0.3) { rng.random_range(1..=100) } else { 0 },
            // A hand keeps away from due times by more than the clocks are apart, and seals nothing.
            hand: if has_hands && rng.random_bool(0.2) { rng.random_range(1..=60) } else { 0 },
            retry: rng.random_range(0..=300),
            fails: rng.random_range(0..=100),
        }
    }
}

/// Whether something of this chance happens.
pub(crate) fn hit(rng: &mut SmallRng, thousandths: u32) -> bool {
    thousandths > 0 && rng.random_range(0..1000) < thousandths
}

fn pick<T: Clone>(rng: &mut SmallRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}
