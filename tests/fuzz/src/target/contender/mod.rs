//! Any sequence of answers, hands at the zone, jumps of the clocks and stops: a contender never panics, asks one thing at a
//! time, writes over nothing that it cannot read, and starts no run but for a claim of its own that came through.

mod hand;
mod rules;
mod watch;
mod zone;

use arbitrary::{Arbitrary as _, Result, Unstructured};

use self::watch::{Asked, Watched};
use self::zone::Zone;
use crate::round::contender::{Ended, Event, Missed, Now};
use crate::round::{Change, Data, MAX_TIME, Observation, Outcome, Record, Replaced};

/// The most that happens in one input.
const MOST_STEPS: usize = 500;

/// The last moment of the wall clock, in milliseconds: a year before times end, so that no lease ends after them.
const LAST_WALL_MS: u64 = (MAX_TIME - 366 * 86_400) * 1000;

/// Plays what the bytes say.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(mut world) = World::new(&mut u) else { return };
    for _ in 0..MOST_STEPS {
        if u.is_empty() || world.step(&mut u).is_err() {
            break;
        }
    }
    world.heal();
}

/// The contender, and all that is around it.
struct World {
    watched: Watched,
    zone: Zone,
    now: Now,
    has_jumped: bool,
}

impl World {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let wall_ms = if u.ratio(7, 8)? { 1_800_000_000_000 + u64::from(u16::arbitrary(u)?) } else { wall(u)? };
        let now = Now { wall_ms, mono_ms: u64::from(u32::arbitrary(u)?) };
        let rules = rules::any(u)?;
        let watched = Watched::new(rules, u64::from(u8::arbitrary(u)?), now);
        Ok(Self { watched, zone: Zone::default(), now, has_jumped: false })
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15)? {
            0 | 1 => self.pass_to_timeout(),
            2 => self.pass(u64::from(u16::arbitrary(u)?)),
            3 => self.pass(u64::from(u32::arbitrary(u)?)),
            4 => {
                self.has_jumped = true;
                let (wall_ms, near) = (wall(u)?, i64::from(i32::arbitrary(u)?));
                self.now.wall_ms = if u.ratio(1, 2)? {
                    wall_ms
                } else {
                    self.now.wall_ms.saturating_add_signed(near).min(LAST_WALL_MS)
                };
                self.watched.handle(self.now, Event::Time);
            }
            5..=7 => self.answer_truly(),
            8 => self.answer_badly(u)?,
            9 => self.answer_falsely(u)?,
            10 => hand::any(u, &mut self.zone, &mut self.watched, self.now)?,
            11 => hand::rival(u, &mut self.zone, &mut self.watched, self.now)?,
            12 => self.zone.apply_late(),
            13 => {
                let change = match u.int_in_range(0..=2)? {
                    0 => Change::Nothing,
                    1 => Change::To(None),
                    _ => Change::To(Data::new("left".to_owned()).ok()),
                };
                self.end(Ended { outcome: outcome(u)?, change });
            }
            14 => {
                let module = bool::arbitrary(u)?.then(|| "0123456789ab".to_owned());
                self.watched.handle(self.now, Event::Module(module));
            }
            _ => match u.int_in_range(0..=7)? {
                0 => self.watched.handle(self.now, Event::Stop),
                1 => self.watched.handle(self.now, Event::GiveBack),
                _ => self.watched.handle(self.now, Event::Module(Some("ba9876543210".to_owned()))),
            },
        }
        Ok(())
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms = (self.now.wall_ms + ms).min(LAST_WALL_MS);
        self.watched.handle(self.now, Event::Time);
    }

    fn pass_to_timeout(&mut self) {
        if let Some(at) = self.watched.timeout() {
            self.pass(at.saturating_sub(self.now.mono_ms));
        }
    }

    fn end(&mut self, ended: Ended) {
        if self.watched.is_running() {
            self.watched.handle(self.now, Event::Ended(ended));
        }
    }

    /// As an arbiter that is well.
    fn answer_truly(&mut self) {
        match self.watched.take_asked() {
            None => {}
            Some(Asked::Read) => self.show(self.zone.observe()),
            Some(Asked::Replace { expected, value }) => {
                let outcome = self.zone.replace(&expected, &value);
                self.watched.handle(self.now, Event::Replaced(Ok(outcome)));
            }
        }
    }

    /// As an arbiter or a network in trouble: nothing that is said is untrue.
    fn answer_badly(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let how = u.int_in_range(0..=4)?;
        match self.watched.take_asked() {
            None => {}
            Some(Asked::Read) => self.watched.handle(self.now, Event::Read(Err("lost".to_owned()))),
            Some(Asked::Replace { expected, value }) => {
                let outcome = match how {
                    0 => Err("nothing was sent".to_owned()),
                    1 => {
                        self.zone.replace(&expected, &value);
                        Ok(Replaced::Unknown("the answer was lost".to_owned()))
                    }
                    2 => Ok(Replaced::Unknown("the request was lost".to_owned())),
                    3 => {
                        self.zone.keep_for_later(expected, value);
                        Ok(Replaced::Unknown("the request is late".to_owned()))
                    }
                    // It arrived twice, and the second copy was refused because the first one was applied.
                    _ => {
                        self.zone.replace(&expected, &value);
                        Ok(self.zone.replace(&expected, &value))
                    }
                };
                self.watched.handle(self.now, Event::Replaced(outcome));
            }
        }
        Ok(())
    }

    /// As an arbiter that was put back to an older state, or lies.
    fn answer_falsely(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match self.watched.take_asked() {
            None => {}
            Some(Asked::Read) => {
                let values = if u.ratio(1, 2)? {
                    self.zone.older(u)?
                } else {
                    hand::values(u, &self.zone, &mut self.watched, self.now)?
                };
                self.show(Zone::of(values).observe());
            }
            Some(Asked::Replace { value, .. }) => {
                let applied = Replaced::Applied(Zone::of(vec![value]).revision());
                let outcome = if u.ratio(1, 2)? { applied } else { Replaced::Conflict };
                self.watched.handle(self.now, Event::Replaced(Ok(outcome)));
            }
        }
        Ok(())
    }

    fn show(&mut self, seen: Observation) {
        self.watched.handle(self.now, Event::Read(Ok(seen)));
    }

    /// All is well from here on: an agent that was stopped is done, and any other one plays again.
    fn heal(&mut self) {
        let rules = self.watched.rules();
        let soon = rules.schedule.gap(self.now.wall_seconds()) <= 60 && rules.lease_ms <= 60_000;
        let plays = soon
            && !self.has_jumped
            && rules.settle.is_none()
            && rules.missed == Missed::RunOnce
            && rules.start_deadline_ms.is_none();
        if !plays && !self.watched.is_stopped() {
            return;
        }
        let hand = Record::new("hand", self.now.wall_seconds());
        let newest = self.watched.newest_made();
        let hand = self.watched.rules().seal.numbered(hand, newest, self.now.wall_ms);
        self.zone.put(vec![self.watched.seal(&hand)]);
        if !self.watched.is_stopped() {
            self.watched.handle(self.now, Event::Module(Some("0123456789ab".to_owned())));
        }
        let begun = self.watched.starts();
        for _ in 0..2000 {
            if self.watched.is_done() || !self.watched.is_stopped() && self.watched.starts() > begun {
                return;
            }
            if self.watched.is_asking() {
                self.answer_truly();
            } else if self.watched.is_running() {
                self.end(Outcome::Ok.into());
            } else {
                self.pass_to_timeout();
            }
        }
        panic!("all is well, and the agent neither plays nor stops");
    }
}

fn wall(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(u64::arbitrary(u)? % LAST_WALL_MS)
}

fn outcome(u: &mut Unstructured<'_>) -> Result<Outcome> {
    let all = [Outcome::Ok, Outcome::Error, Outcome::Retry, Outcome::Timeout, Outcome::Host, Outcome::Stopped];
    Ok(u.choose(&all)?.clone())
}
