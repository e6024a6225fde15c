//! Claims at an arbiter that only overwrites: they stand when they are read back.

use super::super::{Action, Contender, Event, Notice, Now, Rules, Settle};
use super::{EPOCH, Zone, agent, at, fence, rules, starts};
use crate::round::{Outcome, Record, Replaced, State};

fn settling() -> Rules {
    Rules { settle: Some(Settle { wait_ms: 1_000, reads: 2 }), ..rules(60) }
}

/// Writes whatever is asked for over whatever stands there, and gives what else the agent did.
fn overwrite(agent: &mut Contender, now: Now, zone: &mut Zone) -> Vec<Action> {
    let mut others = Vec::new();
    agent.handle(now, Event::Time);
    while let Some(action) = agent.poll_action() {
        match action {
            Action::Read => agent.handle(now, Event::Read(Ok(zone.observe()))),
            Action::Replace { value, .. } => {
                zone.0 = vec![value];
                agent.handle(now, Event::Replaced(Ok(Replaced::Applied(zone.revision()))));
            }
            other => others.push(other),
        }
    }
    others
}

/// What the agent wants to write now.
fn bid(agent: &mut Contender, now: Now, zone: &Zone) -> Record {
    super::until_replace(agent, now, zone).1
}

#[test]
fn a_claim_stands_when_it_is_read_back_as_often_as_asked_for() {
    let (mut zone, mut a) = (Zone::default(), agent("a", settling()));
    overwrite(&mut a, at(0.0), &mut zone);
    assert_eq!(starts(&overwrite(&mut a, at(60.0), &mut zone)), []);
    assert_eq!(a.poll_timeout(), Some(at(61.001).mono_ms));
    assert_eq!(starts(&overwrite(&mut a, at(61.001), &mut zone)), [], "once is not twice");
    assert_eq!(starts(&overwrite(&mut a, at(61.501), &mut zone)), [fence(60, 1)]);
    assert_eq!(zone.record().timer, EPOCH + 70, "the lease counts from the claim");
}

#[test]
fn of_two_that_saw_the_same_record_the_last_to_write_runs_alone() {
    let mut zone = Zone::default();
    let (mut a, mut b) = (agent("a", settling()), agent("b", settling()));
    overwrite(&mut a, at(0.0), &mut zone);
    overwrite(&mut b, at(0.0), &mut zone);
    let (ours, theirs) = (bid(&mut a, at(60.0), &zone), bid(&mut b, at(60.0), &zone));
    zone.0 = vec![ours.encode()];
    a.handle(at(60.1), Event::Replaced(Ok(Replaced::Applied(zone.revision()))));
    zone.0 = vec![theirs.encode()];
    b.handle(at(60.9), Event::Replaced(Ok(Replaced::Applied(zone.revision()))));
    let actions = overwrite(&mut a, at(61.2), &mut zone);
    assert!(actions.contains(&Action::Notice(Notice::Lost { fence: fence(60, 1) })), "{actions:?}");
    overwrite(&mut b, at(61.91), &mut zone);
    assert_eq!(starts(&overwrite(&mut b, at(62.5), &mut zone)), [fence(60, 1)]);
    assert_eq!(starts(&overwrite(&mut a, at(62.5), &mut zone)), []);
}

#[test]
fn a_claim_that_was_written_too_late_is_left_alone_until_its_lease_is_over() {
    let (mut zone, mut a) = (Zone::default(), agent("a", settling()));
    overwrite(&mut a, at(0.0), &mut zone);
    let late = bid(&mut a, at(60.0), &zone);
    zone.0 = vec![late.encode()];
    a.handle(at(61.1), Event::Replaced(Ok(Replaced::Applied(zone.revision()))));
    for second in [61.1, 62.2, 63.3, 69.9] {
        assert_eq!(starts(&overwrite(&mut a, at(second), &mut zone)), []);
        assert_eq!(zone.record().state, State::Running, "another one's run may be under way");
    }
    let mut b = agent("b", settling());
    overwrite(&mut b, at(0.0), &mut zone);
    overwrite(&mut b, at(70.0), &mut zone);
    overwrite(&mut b, at(71.1), &mut zone);
    assert_eq!(starts(&overwrite(&mut b, at(71.7), &mut zone)), [fence(60, 2)]);
}

#[test]
fn no_claim_rests_on_a_read_that_took_long() {
    let (mut zone, mut a) = (Zone::default(), agent("a", settling()));
    overwrite(&mut a, at(0.0), &mut zone);
    a.handle(at(60.0), Event::Time);
    assert_eq!(a.poll_action(), Some(Action::Read));
    a.handle(at(60.6), Event::Read(Ok(zone.observe())));
    let actions: Vec<Action> = std::iter::from_fn(|| a.poll_action()).collect();
    assert!(matches!(actions.as_slice(), [Action::Notice(Notice::ReadFailed(_))]), "{actions:?}");
}

#[test]
fn an_end_that_could_arrive_after_the_lease_is_written_only_on_the_word_of_a_fresh_read() {
    let (mut zone, mut a) = (Zone::default(), agent("a", settling()));
    for second in [0.0, 60.0, 61.1] {
        overwrite(&mut a, at(second), &mut zone);
    }
    assert_eq!(starts(&overwrite(&mut a, at(61.7), &mut zone)), [fence(60, 1)]);
    let ours = zone.record();
    // It stands still past its lease, and another one takes the round over.
    let theirs = Record { id: "b".to_owned(), timer: EPOCH + 80, fence: Some(fence(60, 2)), ..ours };
    zone.0 = vec![theirs.encode()];
    a.handle(at(72.0), Event::Ended(Outcome::Ok.into()));
    overwrite(&mut a, at(72.0), &mut zone);
    assert_eq!(zone.record(), theirs, "nothing was written over it");
}

#[test]
fn a_claim_that_was_read_back_long_ago_is_read_back_again() {
    let (mut zone, mut a) = (Zone::default(), agent("a", settling()));
    overwrite(&mut a, at(0.0), &mut zone);
    overwrite(&mut a, at(60.0), &mut zone);
    let ours = zone.observe();
    overwrite(&mut a, at(61.1), &mut zone);
    a.handle(at(61.7), Event::Time);
    assert_eq!(a.poll_action(), Some(Action::Read));
    // It stands still while the answer is on its way, and another one takes the round over.
    let theirs = Record { id: "b".to_owned(), timer: EPOCH + 80, fence: Some(fence(60, 2)), ..zone.record() };
    zone.0 = vec![theirs.encode()];
    a.handle(at(72.0), Event::Read(Ok(ours)));
    let actions: Vec<Action> = std::iter::from_fn(|| a.poll_action()).collect();
    assert!(!actions.iter().any(|action| matches!(action, Action::Replace { .. })), "{actions:?}");
    assert_eq!(starts(&actions), []);
    assert_eq!(starts(&overwrite(&mut a, at(75.0), &mut zone)), []);
    assert_eq!(zone.record(), theirs, "nothing was written over it");
}
