//! Which searches there are: the usual ones, the larger ones, and those in which something is broken on purpose.

use crate::laws::Law;
use crate::options::{Broken, Budget, Options};

/// How long a claim settles, at an arbiter that only overwrites.
const SETTLE_MS: u64 = 2_000;

const NONE: Budget = Budget { crashes: 0, doubts: 0, errors: 0, delays: 0, failures: 0, give_backs: 0, steers: 0 };

/// Two rounds.
fn two(name: &'static str) -> Options {
    Options::new(name)
}

/// All attempts at one round, and the next one.
fn short(name: &'static str) -> Options {
    Options { steps: 7, ..Options::new(name) }
}

fn three(name: &'static str) -> Options {
    Options { agents: 3, ..short(name) }
}

fn settling(name: &'static str) -> Options {
    Options::new(name).settling(SETTLE_MS, 1).lease(6_000, None)
}

/// The usual searches, each with the trouble that it brings about.
pub(crate) fn usual() -> Vec<Options> {
    vec![
        two("two crashes").with(Budget { crashes: 2, ..NONE }),
        two("two doubts").with(Budget { doubts: 2, ..NONE }),
        two("a crash and a doubt").with(Budget { crashes: 1, doubts: 1, ..NONE }),
        two("two errors").with(Budget { errors: 2, ..NONE }),
        short("two delays").with(Budget { delays: 2, ..NONE }),
        short("delays longer than the lease").lease(1_000, None).with(Budget { delays: 2, ..NONE }),
        short("a doubt and a delay").with(Budget { delays: 1, doubts: 1, ..NONE }),
        short("a crash and a delay").with(Budget { delays: 1, crashes: 1, ..NONE }),
        two("a failure and a crash").with(Budget { failures: 1, crashes: 1, ..NONE }),
        two("a round given back, a failure").with(Budget { failures: 1, give_backs: 1, ..NONE }),
        short("a round given back, a doubt").with(Budget { doubts: 1, give_backs: 1, ..NONE }),
        two("renewals, a crash").lease(2_000, Some(1_000)).with(Budget { crashes: 1, ..NONE }),
        two("renewals, a doubt").lease(2_000, Some(1_000)).with(Budget { doubts: 1, ..NONE }),
        short("renewals, a delay").lease(2_000, Some(1_000)).with(Budget { delays: 1, ..NONE }),
        two("at most once, a crash and a doubt").at_most_once().with(Budget { crashes: 1, doubts: 1, ..NONE }),
        two("at most once, two delays").at_most_once().with(Budget { delays: 2, ..NONE }),
        Options { has_record: false, ..two("no record at first, a doubt") }.with(Budget { doubts: 1, ..NONE }),
        short("a pause, a crash").with(Budget { crashes: 1, steers: 2, ..NONE }),
        Options { is_triggering: true, ..short("a trigger, a crash") }.with(Budget { crashes: 1, steers: 1, ..NONE }),
        Options { ahead: 2, laws: Law::WITHOUT_CLOCKS, ..short("a clock that is ahead, a doubt") }
            .with(Budget { doubts: 1, ..NONE }),
        three("three agents, a crash").with(Budget { crashes: 1, ..NONE }),
        three("three agents, a doubt").with(Budget { doubts: 1, ..NONE }),
        settling("settle, a crash").with(Budget { crashes: 1, ..NONE }),
        Options { applied_within_ms: Some(SETTLE_MS), ..settling("settle, delays within the bound") }
            .with(Budget { delays: 3, ..NONE }),
    ]
}

/// Those that take longer.
pub(crate) fn large() -> Vec<Options> {
    vec![
        two("two crashes and a doubt").with(Budget { crashes: 2, doubts: 1, ..NONE }),
        two("a crash and two doubts").with(Budget { crashes: 1, doubts: 2, ..NONE }),
        two("three doubts").with(Budget { doubts: 3, ..NONE }),
        short("three delays").with(Budget { delays: 3, ..NONE }),
        short("a doubt and two delays").with(Budget { delays: 2, doubts: 1, ..NONE }),
        short("a crash and two delays").with(Budget { delays: 2, crashes: 1, ..NONE }),
        short("renewals, two delays").lease(2_000, Some(1_000)).with(Budget { delays: 2, ..NONE }),
        two("a round given back, a doubt, a crash").with(Budget { doubts: 1, give_backs: 1, crashes: 1, ..NONE }),
        Options { steps: 15, ..two("three rounds, a crash") }.with(Budget { crashes: 1, ..NONE }),
        Options { steps: 15, ..two("three rounds, a doubt") }.with(Budget { doubts: 1, ..NONE }),
        Options { steps: 10, ..three("three agents, two rounds, a crash") }.with(Budget { crashes: 1, ..NONE }),
        Options { steps: 10, ..three("three agents, two rounds, a doubt") }.with(Budget { doubts: 1, ..NONE }),
        three("three agents, a crash and a doubt").with(Budget { crashes: 1, doubts: 1, ..NONE }),
        Options { agents: 3, ..settling("settle, three agents, a crash") }.with(Budget { crashes: 1, ..NONE }),
        Options { agents: 3, applied_within_ms: Some(SETTLE_MS), ..settling("settle, three agents, delays") }
            .with(Budget { delays: 3, ..NONE }),
    ]
}

/// What is broken, with the trouble in which it shows, and a law that it breaks.
pub(crate) fn broken() -> Vec<(Options, Law)> {
    let of = |broken| Options { broken: Some(broken), steps: 8, ..Options::new("broken") };
    let once = |broken| of(broken).at_most_once();
    let ahead = || Options { ahead: 2, ..short("a clock that is ahead") };
    let slow = |name| Options { steps: 9, ..settling(name) }.with(Budget { delays: 3, doubts: 1, ..NONE });
    vec![
        (of(Broken::UnconditionalWrite), Law::RisingFences),
        (of(Broken::UnconditionalWrite), Law::NotBefore),
        (of(Broken::UnconditionalWrite).with(Budget { delays: 2, ..NONE }), Law::NoRoundLeft),
        (of(Broken::UnconditionalEnd).with(Budget { delays: 3, ..NONE }), Law::OwnEnd),
        (of(Broken::Forgetful), Law::OneStart),
        (once(Broken::Forgetful), Law::OneStartARound),
        (of(Broken::TornWrite), Law::Readable),
        (of(Broken::RefusedIsRepeated), Law::RisingFences),
        (of(Broken::SharedId).with(Budget { delays: 1, ..NONE }), Law::OneStart),
        (of(Broken::UnknownIsWon).with(Budget { doubts: 1, ..NONE }), Law::OneStart),
        (of(Broken::EndlessLease), Law::OneRun),
        (of(Broken::LeaseFromAnswer).with(Budget { delays: 2, ..NONE }), Law::OneRun),
        (ahead(), Law::NotBefore),
        (ahead(), Law::OneRun),
        (of(Broken::Attempts(1)).with(Budget { crashes: 1, ..NONE }), Law::OwnEnd),
        (of(Broken::Attempts(5)).with(Budget { crashes: 2, ..NONE }), Law::Attempts),
        (once(Broken::Repeats).with(Budget { failures: 1, ..NONE }), Law::OneStartARound),
        (of(Broken::Untruthful).with(Budget { failures: 1, ..NONE }), Law::TrueEnd),
        (of(Broken::DropsText), Law::TextKept),
        (of(Broken::CommitsFailures).with(Budget { failures: 1, ..NONE }), Law::TextKept),
        (of(Broken::UnconditionalWrite).with(Budget { delays: 2, ..NONE }), Law::TextKept),
        (of(Broken::DroppedError).with(Budget { errors: 2, ..NONE }), Law::NothingLeft),
        (slow("settle, a write that comes after its client gave up"), Law::OneRun),
        (slow("settle, a write that comes after its client gave up"), Law::OneStart),
    ]
}
