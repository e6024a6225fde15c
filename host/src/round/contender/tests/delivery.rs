//! At most once: a round is never run a second time, whatever becomes of its agent.

use super::super::{Action, Contender, Delivery, Event, Halt, Rules};
use super::{EPOCH, Zone, agent, at, fence, rules, settle, starts, until_replace};
use crate::round::{Outcome, State};

fn once() -> Rules {
    Rules { delivery: Delivery::AtMostOnce, attempts: 1, ..rules(60) }
}

/// A zone with a round that is under way, and who runs it.
fn under_way() -> (Zone, Contender) {
    let (mut zone, mut a) = (Zone::default(), agent("a", once()));
    settle(&mut a, at(0.0), &mut zone);
    assert_eq!(starts(&settle(&mut a, at(60.0), &mut zone)), [fence(60, 1)]);
    (zone, a)
}

#[test]
fn a_claim_says_that_the_next_round_is_next_should_its_agent_vanish() {
    let (mut zone, _vanished) = under_way();
    let record = zone.record();
    assert_eq!((record.state, record.timer), (State::Once, EPOCH + 120));
    let mut b = agent("b", once());
    for second in [61.0, 70.0, 71.0, 119.9] {
        assert_eq!(starts(&settle(&mut b, at(second), &mut zone)), []);
    }
    assert_eq!(starts(&settle(&mut b, at(120.0), &mut zone)), [fence(120, 1)]);
    assert_eq!(zone.record().outcome, Some(Outcome::Lost), "the round before came to no end");
}

#[test]
fn an_agent_that_repeats_runs_leaves_one_alone_that_is_not_to_be_repeated() {
    let (mut zone, _vanished) = under_way();
    let mut b = agent("b", rules(60));
    assert_eq!(starts(&settle(&mut b, at(119.0), &mut zone)), []);
    assert_eq!(starts(&settle(&mut b, at(120.0), &mut zone)), [fence(120, 1)]);
}

#[test]
fn the_next_round_does_not_begin_while_the_one_before_may_run_and_keeps_its_due_time() {
    let rules = Rules { lease_ms: 90_000, ..once() };
    let (mut zone, mut a) = (Zone::default(), agent("a", rules.clone()));
    settle(&mut a, at(0.0), &mut zone);
    assert_eq!(starts(&settle(&mut a, at(60.5), &mut zone)), [fence(60, 1)]);
    assert_eq!(zone.record().timer, EPOCH + 150);
    let mut b = agent("b", rules);
    assert_eq!(starts(&settle(&mut b, at(149.9), &mut zone)), []);
    assert_eq!(starts(&settle(&mut b, at(150.0), &mut zone)), [fence(120, 1)], "named by its due time");
}

#[test]
fn a_failure_is_not_retried() {
    let (mut zone, mut a) = under_way();
    a.handle(at(61.0), Event::Ended(Outcome::Retry.into()));
    settle(&mut a, at(61.0), &mut zone);
    let record = zone.record();
    assert_eq!((record.state, record.timer, record.outcome), (State::Idle, EPOCH + 120, Some(Outcome::Retry)));
}

#[test]
fn a_run_that_is_stopped_is_ended_and_not_given_back() {
    let (mut zone, mut a) = under_way();
    a.handle(at(61.0), Event::GiveBack);
    let actions = settle(&mut a, at(61.0), &mut zone);
    assert!(actions.contains(&Action::Halt(Halt::Shutdown)), "{actions:?}");
    let record = zone.record();
    assert_eq!((record.state, record.outcome), (State::Idle, Some(Outcome::Stopped)));
}

#[test]
fn a_claim_that_never_began_is_given_back_and_claimed_anew() {
    let (mut zone, mut a) = (Zone::default(), agent("a", once()));
    settle(&mut a, at(0.0), &mut zone);
    let (expected, record) = until_replace(&mut a, at(60.0), &zone);
    let outcome = zone.replace(&expected, &record);
    // The answer takes most of the lease.
    a.handle(at(67.0), Event::Replaced(Ok(outcome)));
    assert_eq!(starts(&settle(&mut a, at(67.0), &mut zone)), [fence(60, 2)], "too late for a run of the first claim");
    assert_eq!((zone.record().state, zone.record().returned), (State::Once, 1));
}
