//! The simulated world: agents, their network and their misfortunes, one event after another in virtual time.

mod act;
mod answers;
mod arrive;
mod broken;
mod hand;
mod load;
mod misfortune;
mod operator;
mod settle;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use soloist::round::contender::steer::Steer;
use soloist::round::contender::{Contender, Event};
use soloist::round::{Record, Seal};

use crate::agent::{Agent, News};
use crate::broken::Broken;
use crate::checkers::{self, Checker};
use crate::clock::Clock;
use crate::faults::{Fault, Faults};
use crate::history::{Happening, Start, Stopped};
use crate::network::{Network, Request};
use crate::options::Options;

pub(crate) use load::load;
pub(crate) use settle::{Settled, settle};

use operator::Steering;

/// Is told what happens.
pub(crate) type Trace = fn(u64, &Happening);

/// What was found.
pub(crate) struct Outcome {
    pub(crate) violations: Vec<Violation>,
    pub(crate) faults: Faults,
    /// Rounds that were run.
    pub(crate) rounds: u64,
    /// Attempts at them.
    pub(crate) starts: u64,
    /// Replacements that were applied.
    pub(crate) written: u64,
    /// Requests that agents sent.
    pub(crate) asked: u64,
    pub(crate) virtual_ms: u64,
}

/// A checker that did not agree.
pub(crate) struct Violation {
    pub(crate) checker: &'static str,
    pub(crate) at: u64,
    pub(crate) problem: String,
}

/// Runs what a seed stands for. It ends at the first violation, or, where something is broken, at the first by `enough`.
pub(crate) fn run(options: &Options, broken: Option<(Broken, &'static str)>, trace: Option<Trace>) -> Outcome {
    let mut world = World::new(options, broken.map(|(broken, _)| broken), trace);
    let enough = broken.map(|(_, checker)| checker);
    while !world.is_over(enough) && world.step() {}
    if world.violations.is_empty() || enough.is_some() {
        world.end();
    }
    Outcome {
        violations: world.violations,
        faults: world.faults,
        rounds: world.rounds,
        starts: world.starts,
        written: world.written,
        asked: world.reads + world.updates,
        virtual_ms: world.now,
    }
}

/// What is to happen.
enum Due {
    Arrival(Request),
    News(usize, Start, News),
    Wake(usize, Start),
    Resume(usize, Start),
    Begin(usize),
    /// A second of misfortunes.
    Second,
    Hand,
    Repair,
    /// An operator reads the record, and writes so much later.
    Operator(Steer, u64),
    Steering(Box<Steering>),
    /// A broken arbiter writes what it compared before.
    Write(Box<Record>),
    Heal,
}

/// A moment, in the order of its planning where two are equal.
struct Planned(u64, u64, Due);

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

struct World {
    options: Options,
    broken: Option<Broken>,
    rng: SmallRng,
    now: u64,
    planned: BinaryHeap<Reverse<Planned>>,
    numbers: u64,
    network: Network,
    seal: Seal,
    agents: Vec<Option<Agent>>,
    /// How many agents have begun.
    begun: Start,
    is_healed: bool,
    /// What stands at the arbiter was put there by a hand.
    is_a_hands: bool,
    /// When a hand was last at work.
    last_hand: u64,
    checkers: Vec<Box<dyn Checker>>,
    violations: Vec<Violation>,
    faults: Faults,
    last_round: u64,
    rounds: u64,
    starts: u64,
    written: u64,
    reads: u64,
    updates: u64,
    trace: Option<Trace>,
}

/// The most violations that are kept of something broken.
const MOST_VIOLATIONS: usize = 10_000;

impl World {
    fn new(options: &Options, broken: Option<Broken>, trace: Option<Trace>) -> Self {
        let mut world = Self {
            options: options.clone(),
            broken,
            rng: SmallRng::seed_from_u64(options.seed ^ 0x776f_726c_6400),
            now: 0,
            planned: BinaryHeap::new(),
            numbers: 0,
            network: Network::new(options),
            seal: options.seal(),
            agents: (0..options.agents).map(|_| None).collect(),
            begun: 0,
            is_healed: false,
            is_a_hands: false,
            last_hand: 0,
            checkers: checkers::all(options),
            violations: Vec::new(),
            faults: Faults::default(),
            last_round: 0,
            rounds: 0,
            starts: 0,
            written: 0,
            reads: 0,
            updates: 0,
            trace,
        };
        for slot in 0..options.agents {
            let after = world.rng.random_range(0..2_000);
            world.plan(after, Due::Begin(slot));
        }
        world.plan(1_000, Due::Second);
        world.plan(options.faulty_ms, Due::Heal);
        world
    }

    fn is_over(&self, enough: Option<&str>) -> bool {
        let is_enough = |violation: &Violation| enough.is_none_or(|enough| violation.checker == enough);
        let last = self.options.faulty_ms + self.options.recovery_ms() + 5 * self.options.every * 1000;
        self.violations.last().is_some_and(is_enough)
            || self.violations.len() >= MOST_VIOLATIONS
            || self.is_healed && self.checkers.iter().all(|checker| checker.is_content())
            || self.now > last
    }

    fn end(&mut self) {
        let at = self.now;
        for checker in &mut self.checkers {
            if let Err(problem) = checker.end() {
                self.violations.push(Violation { checker: checker.name(), at, problem });
            }
        }
    }

    fn plan(&mut self, after_ms: u64, due: Due) {
        self.numbers += 1;
        self.planned.push(Reverse(Planned(self.now + after_ms, self.numbers, due)));
    }

    /// Tells the checkers.
    fn tell(&mut self, happening: &Happening) {
        let at = self.now;
        if let Some(trace) = self.trace {
            trace(at, happening);
        }
        for checker in &mut self.checkers {
            if let Err(problem) = checker.see(at, happening) {
                self.violations.push(Violation { checker: checker.name(), at, problem });
            }
        }
    }

    /// The next thing happens; false when nothing is left.
    fn step(&mut self) -> bool {
        let Some(Reverse(Planned(at, _, due))) = self.planned.pop() else { return false };
        self.now = at;
        match due {
            Due::Arrival(request) => self.arrive(&request),
            Due::News(slot, start, news) => self.bring(slot, start, news),
            Due::Wake(slot, start) => self.wake(slot, start),
            Due::Resume(slot, start) => self.resume(slot, start),
            Due::Begin(slot) => self.begin(slot),
            Due::Second => self.second(),
            Due::Hand => self.hand(),
            Due::Repair => self.repair(),
            Due::Operator(what, after_ms) => self.decide_to_steer(&what, after_ms),
            Due::Steering(steering) if !self.is_healed => self.steer(*steering),
            Due::Steering(_) => {}
            Due::Write(record) => self.write(&record),
            Due::Heal => self.heal(),
        }
        true
    }

    fn agent(&mut self, slot: usize, start: Start) -> Option<&mut Agent> {
        self.agents[slot].as_mut().filter(|agent| agent.start == start)
    }

    /// An agent begins, unless there is one.
    fn begin(&mut self, slot: usize) {
        if self.agents[slot].is_some() {
            return;
        }
        let start = self.begun;
        self.begun += 1;
        let id = if self.broken == Some(Broken::SharedId) { "host".to_owned() } else { format!("a{slot}-{start:x}") };
        let clock = Clock::drawn(self.options.clocks, &mut self.rng);
        if clock.offset_ms.abs() > 60_000 {
            self.faults.count(Fault::ClockOff);
        }
        if clock.drift_ppm != 0 {
            self.faults.count(Fault::ClockDrifts);
        }
        let rules = self.rules(slot);
        let module = self.draw_module();
        let seed = self.rng.random();
        let now = clock.now(self.now);
        let agent = Agent {
            start,
            contender: Contender::new(id.clone(), rules, seed, now),
            clock,
            trusts_its_clock: self.broken == Some(Broken::ClockTrusted),
            arrived: 0,
            exchange: None,
            run: None,
            module,
            hoard: None,
            without_until: 0,
            cut_off_until: 0,
            is_paused: false,
            paused_at: 0,
            asked_at: 0,
            waiting: Vec::new(),
            wake: None,
        };
        self.agents[slot] = Some(agent);
        self.tell(&Happening::Began { agent: start, id });
        self.hinder_by_its_module(start);
        self.bring(slot, start, News::Module);
    }

    /// An agent is gone, by a crash or because it was stopped.
    fn leave(&mut self, slot: usize, back_after_ms: u64) {
        let Some(agent) = self.agents[slot].take() else { return };
        if let Some(run) = &agent.run {
            self.tell(&Happening::Stopped { agent: agent.start, fence: run.fence, how: Stopped::Crashed });
        }
        self.tell(&Happening::Gone { agent: agent.start });
        self.plan(back_after_ms, Due::Begin(slot));
    }

    /// News for an agent, or for later if it stands still.
    fn bring(&mut self, slot: usize, start: Start, news: News) {
        let Some(agent) = self.agent(slot, start) else { return };
        if agent.is_paused {
            agent.waiting.push(news);
        } else {
            self.hear(slot, news);
        }
    }

    fn wake(&mut self, slot: usize, start: Start) {
        let now = self.now;
        let Some(agent) = self.agent(slot, start) else { return };
        if agent.is_paused || agent.wake != Some(now) {
            return;
        }
        agent.wake = None;
        agent.contender.handle(agent.now(now), Event::Time);
        self.tell(&Happening::Woken { agent: start });
        self.act(slot);
    }

    /// An agent that stood still goes on: with what it was doing, then with all that waits, in any order.
    fn resume(&mut self, slot: usize, start: Start) {
        let Some(agent) = self.agent(slot, start) else { return };
        agent.is_paused = false;
        agent.wake = None;
        self.slept(slot);
        self.act(slot);
        while let Some(agent) = self.agent(slot, start).filter(|agent| !agent.is_paused && !agent.waiting.is_empty()) {
            let waiting = agent.waiting.len();
            let next = self.rng.random_range(0..waiting);
            let Some(agent) = self.agent(slot, start) else { return };
            let news = agent.waiting.swap_remove(next);
            self.hear(slot, news);
        }
    }

    /// An agent hears some news, and does what follows; before and in between it may crash.
    fn hear(&mut self, slot: usize, news: News) {
        let (before, after) = match news {
            News::Answered(..) => (Fault::CrashAnswered, Fault::CrashDecided),
            News::Ended(..) => (Fault::CrashEnded, Fault::CrashDecided),
            _ => return self.obey(slot, news),
        };
        if self.may_crash(slot, before) {
            return;
        }
        self.take_in(slot, news);
        if !self.may_crash(slot, after) {
            self.act(slot);
        }
    }

    fn obey(&mut self, slot: usize, news: News) {
        self.take_in(slot, news);
        self.act(slot);
    }
}
