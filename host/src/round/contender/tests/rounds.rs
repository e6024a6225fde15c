//! Rounds in good order: claims, leases, takeovers, retries.

use super::super::{Action, Contender, Event, Halt, Notice, Rules};
use super::{EPOCH, Zone, agent, at, fence, rules, settle, starts, until_replace};
use crate::round::{Outcome, State};

#[test]
fn a_missing_record_is_created_and_the_first_round_is_run_when_it_is_due() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    assert_eq!(settle(&mut a, at(0.5), &mut zone), [Action::Notice(Notice::Created { due: EPOCH + 60 })]);
    let again = a.poll_timeout().unwrap();
    let looks = at(15.5).mono_ms..=at(30.5).mono_ms;
    assert!(looks.contains(&again), "it looks again before the due time: {again}");
    assert_eq!(starts(&settle(&mut a, at(59.9), &mut zone)), []);
    assert_eq!(starts(&settle(&mut a, at(60.0), &mut zone)), [fence(60, 1)]);
    let record = zone.record();
    assert_eq!((record.timer, record.timerold, record.state), (EPOCH + 70, EPOCH + 60, State::Running));
    a.handle(at(61.0), Event::Ended(Outcome::Ok.into()));
    settle(&mut a, at(61.0), &mut zone);
    let record = zone.record();
    assert_eq!((record.timer, record.state, record.outcome), (EPOCH + 120, State::Idle, Some(Outcome::Ok)));
}

#[test]
fn a_lost_claim_runs_nothing() {
    let mut zone = Zone::default();
    let (mut a, mut b) = (agent("a", rules(1)), agent("b", rules(1)));
    settle(&mut a, at(0.1), &mut zone);
    settle(&mut b, at(0.1), &mut zone);
    let (expected, record) = until_replace(&mut b, at(1.0), &zone);
    assert_eq!(starts(&settle(&mut a, at(1.0), &mut zone)), [fence(1, 1)]);
    let outcome = zone.replace(&expected, &record);
    b.handle(at(1.0), Event::Replaced(Ok(outcome)));
    assert_eq!(settle(&mut b, at(1.0), &mut zone), [Action::Notice(Notice::Lost { fence: fence(1, 1) })]);
    assert_eq!(
        b.poll_timeout(),
        Some(at(2.0).mono_ms),
        "it looks again at the next due time, not at the end of the lease"
    );
}

#[test]
fn a_vanished_winner_is_taken_over_at_the_end_of_its_lease_with_the_next_attempt() {
    let mut zone = Zone::default();
    let (mut a, mut b) = (agent("a", rules(60)), agent("b", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.2), &mut zone);
    assert_eq!(starts(&settle(&mut b, at(69.9), &mut zone)), []);
    let actions = settle(&mut b, at(70.0), &mut zone);
    assert!(actions.contains(&Action::Notice(Notice::Won { fence: fence(60, 2), from: Some("a".to_owned()) })));
    assert_eq!(starts(&actions), [fence(60, 2)]);
    a.handle(at(70.1), Event::Ended(Outcome::Ok.into()));
    let actions = settle(&mut a, at(70.1), &mut zone);
    assert!(
        actions.contains(&Action::Halt(Halt::Lapsed))
            || actions.contains(&Action::Notice(Notice::Superseded { fence: fence(60, 1) }))
    );
    assert_eq!(zone.record().id, "b", "the late completion was refused");
}

#[test]
fn a_round_is_closed_when_every_attempt_vanished() {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":1,"r":{},"a":3,"s":"run"}}"#, EPOCH + 5, EPOCH));
    let mut a = agent("a", rules(60));
    settle(&mut a, at(4.9), &mut zone);
    let actions = settle(&mut a, at(5.0), &mut zone);
    assert_eq!(actions, [Action::Notice(Notice::Closed { fence: fence(0, 3) })]);
    let record = zone.record();
    assert_eq!((record.state, record.outcome, record.timer), (State::Idle, Some(Outcome::Lost), EPOCH + 60));
}

#[test]
fn a_failure_worth_a_retry_is_taken_by_anyone_after_the_backoff_and_a_final_one_by_nobody() {
    let mut zone = Zone::default();
    let (mut a, mut b) = (agent("a", rules(60)), agent("b", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    a.handle(at(60.1), Event::Ended(Outcome::Retry.into()));
    settle(&mut a, at(60.1), &mut zone);
    assert_eq!(zone.record().state, State::Retry);
    assert_eq!(zone.record().timer, EPOCH + 61, "a part of the backoff is drawn");
    assert_eq!(starts(&settle(&mut b, at(60.9), &mut zone)), []);
    assert_eq!(starts(&settle(&mut b, at(61.0), &mut zone)), [fence(60, 2)]);
    b.handle(at(61.1), Event::Ended(Outcome::Error.into()));
    settle(&mut b, at(61.1), &mut zone);
    let record = zone.record();
    assert_eq!((record.state, record.timer, record.outcome), (State::Idle, EPOCH + 120, Some(Outcome::Error)));
}

#[test]
fn a_renewal_keeps_the_claim_and_one_that_finds_another_record_stops_the_run() {
    let mut zone = Zone::default();
    let mut a = agent("a", Rules { renew_ms: Some(5_000), ..rules(60) });
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    assert_eq!(a.poll_timeout(), Some(at(65.0).mono_ms));
    let actions = settle(&mut a, at(65.0), &mut zone);
    assert!(actions.contains(&Action::Extend { lease_until_ms: at(75.0).mono_ms }));
    zone.put(&format!(r#"{{"id":"hand","timer":{},"timerold":0}}"#, EPOCH + 600));
    let actions = settle(&mut a, at(70.0), &mut zone);
    assert!(actions.contains(&Action::Halt(Halt::Superseded)));
    assert_eq!(zone.record().id, "hand");
}

#[test]
fn a_run_is_stopped_when_its_lease_ends_while_the_arbiter_is_silent() {
    let mut zone = Zone::default();
    let mut a = agent("a", Rules { renew_ms: Some(5_000), ..rules(60) });
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    until_replace(&mut a, at(65.0), &zone);
    assert_eq!(a.poll_timeout(), Some(at(70.0).mono_ms));
    a.handle(at(70.0), Event::Time);
    assert_eq!(a.poll_action(), Some(Action::Halt(Halt::Lapsed)));
}

#[test]
fn rounds_that_nobody_was_up_for_are_run_once_as_the_latest() {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":0,"r":{},"a":1}}"#, EPOCH - 600, EPOCH - 660));
    let mut a = agent("a", rules(60));
    assert_eq!(starts(&settle(&mut a, at(70.0), &mut zone)), [fence(60, 1)]);
}

#[test]
fn without_a_module_a_round_is_left_to_others_until_there_is_one() {
    let mut zone = Zone::default();
    let mut a = Contender::new("a".to_owned(), rules(60), 7, at(0.0));
    settle(&mut a, at(0.0), &mut zone);
    assert_eq!(settle(&mut a, at(60.0), &mut zone), [Action::Notice(Notice::NoModule)]);
    a.handle(at(63.0), Event::Module(Some("abc".to_owned())));
    assert_eq!(starts(&settle(&mut a, at(63.0), &mut zone)), [fence(60, 1)]);
}

#[test]
fn a_run_that_outlived_its_lease_is_ended_as_stopped_when_nobody_took_the_round() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    let actions = settle(&mut a, at(70.0), &mut zone);
    assert_eq!(actions[0], Action::Halt(Halt::Lapsed));
    let record = zone.record();
    assert_eq!((record.state, record.outcome, record.timer), (State::Retry, Some(Outcome::Stopped), EPOCH + 71));
}
