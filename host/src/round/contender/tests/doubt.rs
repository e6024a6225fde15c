//! Outcomes that are unknown, refused or late.

use super::super::{Action, Contender, Event, Notice, Now, Rules};
use super::{EPOCH, Zone, agent, at, fence, rules, settle, starts, until_replace};
use crate::round::{Observation, Outcome, Replaced, Revision, State};

#[test]
fn an_unknown_claim_that_was_applied_is_won_and_one_that_was_not_is_asked_again_identically() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    let (expected, record) = until_replace(&mut a, at(60.0), &zone);
    a.handle(at(60.1), Event::Replaced(Ok(Replaced::Unknown("lost".to_owned()))));
    let again = until_replace(&mut a, at(60.1), &zone);
    assert_eq!(again, (expected.clone(), record.clone()));
    zone.replace(&expected, &record);
    a.handle(at(60.2), Event::Replaced(Ok(Replaced::Unknown("lost again".to_owned()))));
    let due = a.poll_timeout().unwrap();
    let now = Now { wall_ms: at(60.2).wall_ms + due - at(60.2).mono_ms, mono_ms: due };
    assert_eq!(starts(&settle(&mut a, now, &mut zone)), [fence(60, 1)]);
}

#[test]
fn a_retransmitted_update_that_conflicts_with_itself_is_seen_as_ours() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    let (expected, record) = until_replace(&mut a, at(60.0), &zone);
    zone.replace(&expected, &record);
    a.handle(at(60.1), Event::Replaced(Ok(Replaced::Conflict)));
    let actions = settle(&mut a, at(60.1), &mut zone);
    assert_eq!(starts(&actions), [fence(60, 1)]);
    assert_eq!(zone.record().id, "a");
}

#[test]
fn a_renewal_that_is_refused_because_an_earlier_copy_was_applied_keeps_the_run() {
    let mut zone = Zone::default();
    let mut a = agent("a", Rules { renew_ms: Some(5_000), ..rules(60) });
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    let (expected, record) = until_replace(&mut a, at(65.0), &zone);
    a.handle(at(65.1), Event::Replaced(Ok(Replaced::Unknown("lost".to_owned()))));
    assert_eq!(until_replace(&mut a, at(65.1), &zone), (expected.clone(), record.clone()));
    zone.replace(&expected, &record);
    a.handle(at(65.2), Event::Replaced(Ok(Replaced::Conflict)));
    let actions = settle(&mut a, at(65.2), &mut zone);
    assert!(actions.contains(&Action::Extend { lease_until_ms: at(75.0).mono_ms }), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Halt(_))), "{actions:?}");
}

#[test]
fn an_arbiter_that_refuses_what_it_still_holds_is_left_in_peace_for_a_while() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    until_replace(&mut a, at(60.0), &zone);
    let mut waits = Vec::new();
    let mut now = at(60.0);
    for _ in 0..4 {
        a.handle(now, Event::Replaced(Ok(Replaced::Conflict)));
        assert_eq!(a.poll_action(), Some(Action::Read));
        a.handle(now, Event::Read(Ok(zone.observe())));
        let until_ms = a.poll_timeout().expect("it tries again");
        waits.push(until_ms - now.mono_ms);
        now = Now { wall_ms: now.wall_ms + until_ms - now.mono_ms, mono_ms: until_ms };
        until_replace(&mut a, now, &zone);
    }
    assert!(waits[0] >= 50 && waits[3] >= 400, "{waits:?}");
}

#[test]
fn an_outcome_that_was_learnt_by_reading_ends_the_trouble() {
    let mut zone = Zone::default();
    let mut a = agent("a", Rules { renew_ms: Some(1_000), lease_ms: 60_000, ..rules(600) });
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(600.0), &mut zone);
    for second in 1..20 {
        let now = at(600.0 + f64::from(second));
        let (expected, record) = until_replace(&mut a, now, &zone);
        zone.replace(&expected, &record);
        a.handle(now, Event::Replaced(Ok(Replaced::Unknown("lost".to_owned()))));
        assert_eq!(a.poll_action(), Some(Action::Notice(Notice::Unknown("lost".to_owned()))));
        assert_eq!(a.poll_action(), Some(Action::Read), "the first time at once");
        a.handle(now, Event::Read(Ok(zone.observe())));
        while a.poll_action().is_some() {}
    }
}

#[test]
fn a_claim_that_an_outage_made_late_is_made_anew_and_spends_no_attempt() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    until_replace(&mut a, at(60.0), &zone);
    a.handle(at(60.1), Event::Replaced(Err("unreachable".to_owned())));
    let actions = settle(&mut a, at(66.0), &mut zone);
    assert_eq!(starts(&actions), [fence(60, 1)]);
    assert_eq!(zone.record().timer, EPOCH + 76, "the lease of the claim that stands is whole");
}

#[test]
fn a_claim_that_is_applied_after_it_was_given_up_is_given_back_and_counts_as_no_attempt() {
    let mut zone = Zone::default();
    let mut a = agent("a", Rules { attempts: 1, ..rules(60) });
    settle(&mut a, at(0.0), &mut zone);
    let (expected, record) = until_replace(&mut a, at(60.0), &zone);
    a.handle(at(60.1), Event::Replaced(Ok(Replaced::Unknown("late".to_owned()))));
    a.handle(at(66.0), Event::Read(Ok(zone.observe())));
    zone.replace(&expected, &record);
    let again = until_replace(&mut a, at(66.0), &zone);
    assert_eq!(zone.replace(&again.0, &again.1), Replaced::Conflict);
    a.handle(at(66.1), Event::Replaced(Ok(Replaced::Conflict)));
    assert_eq!(starts(&settle(&mut a, at(66.1), &mut zone)), [fence(60, 2)]);
    assert_eq!(zone.record().returned, 1);
}

#[test]
fn an_answer_that_was_not_asked_for_changes_nothing() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    let due = a.poll_timeout();
    a.handle(at(1.0), Event::Replaced(Ok(Replaced::Conflict)));
    a.handle(at(1.0), Event::Read(Ok(Observation::absent())));
    a.handle(at(1.0), Event::Ended(Outcome::Ok.into()));
    assert_eq!((a.poll_action(), a.poll_timeout()), (None, due));
}

#[test]
fn a_run_that_ended_during_a_renewal_keeps_its_outcome_though_the_renewal_seems_refused() {
    for is_applied in [true, false] {
        let mut zone = Zone::default();
        let mut a = agent("a", Rules { renew_ms: Some(5_000), ..rules(60) });
        settle(&mut a, at(0.0), &mut zone);
        settle(&mut a, at(60.0), &mut zone);
        let (expected, record) = until_replace(&mut a, at(65.0), &zone);
        a.handle(at(65.1), Event::Ended(Outcome::Ok.into()));
        if is_applied {
            zone.replace(&expected, &record);
        }
        a.handle(at(65.2), Event::Replaced(Ok(Replaced::Conflict)));
        settle(&mut a, at(65.2), &mut zone);
        settle(&mut a, at(66.0), &mut zone);
        assert_eq!((zone.record().state, zone.record().outcome), (State::Idle, Some(Outcome::Ok)));
    }
}

#[test]
fn a_creation_that_an_outage_made_late_is_made_anew() {
    let zone = Zone::default();
    let mut a = agent("a", rules(60));
    let (_, first) = until_replace(&mut a, at(59.0), &zone);
    a.handle(at(59.1), Event::Replaced(Err("unreachable".to_owned())));
    let (expected, second) = until_replace(&mut a, at(61.0), &zone);
    assert_eq!((expected, first.timer, second.timer), (Revision::Absent, EPOCH + 60, EPOCH + 120));
}

/// A run that has ended, its end written, and then the answers that its agent gets from a copy of the record that is behind.
fn ended_unheard(a: &mut Contender, zone: &mut Zone) -> Zone {
    settle(a, at(0.0), zone);
    let behind = Zone(zone.0.clone());
    settle(a, at(60.0), zone);
    a.handle(at(60.3), Event::Ended(Outcome::Ok.into()));
    behind
}

#[test]
fn a_fence_that_has_run_is_not_started_again_on_the_word_of_an_old_copy() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    let behind = ended_unheard(&mut a, &mut zone);
    let claimed = zone.observe();
    let (expected, record) = until_replace(&mut a, at(60.3), &zone);
    zone.replace(&expected, &record);
    a.handle(at(60.3), Event::Replaced(Ok(Replaced::Unknown("no answer".to_owned()))));
    let mut seen = vec![behind.observe(), claimed];
    for second in [60.3, 60.4, 60.8, 62.0, 63.0, 65.0] {
        a.handle(at(second), Event::Time);
        while let Some(action) = a.poll_action() {
            match action {
                Action::Read => {
                    let copy = if seen.is_empty() { zone.observe() } else { seen.remove(0) };
                    a.handle(at(second), Event::Read(Ok(copy)));
                }
                Action::Replace { expected, record, .. } => {
                    let outcome = zone.replace(&expected, &record);
                    a.handle(at(second), Event::Replaced(Ok(outcome)));
                }
                Action::Start { fence, .. } => panic!("{fence} was started again"),
                _ => {}
            }
        }
    }
    assert_eq!((zone.record().state, zone.record().outcome), (State::Idle, Some(Outcome::Ok)));
}

#[test]
fn a_run_that_ended_well_is_not_written_as_stopped_on_the_word_of_an_old_copy() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    let behind = ended_unheard(&mut a, &mut zone);
    until_replace(&mut a, at(60.3), &zone);
    a.handle(at(60.3), Event::Replaced(Ok(Replaced::Unknown("no answer".to_owned()))));
    assert_eq!(a.poll_action(), Some(Action::Notice(Notice::Unknown("no answer".to_owned()))));
    a.handle(at(60.3), Event::Time);
    assert_eq!(a.poll_action(), Some(Action::Read));
    a.handle(at(60.3), Event::Read(Ok(behind.observe())));
    for second in [60.3, 62.0, 63.0, 69.0] {
        settle(&mut a, at(second), &mut zone);
    }
    assert_eq!((zone.record().state, zone.record().outcome), (State::Idle, Some(Outcome::Ok)));
}

#[test]
fn a_fence_that_was_given_back_is_not_bid_for_again_on_the_word_of_an_old_copy() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    let behind = zone.observe();
    // A claim of ours of which nothing was heard.
    zone.put(&format!(
        r#"{{"id":"a","timer":{},"timerold":{},"r":{},"a":1,"s":"run"}}"#,
        EPOCH + 70,
        EPOCH + 60,
        EPOCH + 60
    ));
    let (expected, record) = until_replace(&mut a, at(60.5), &zone);
    assert_eq!(record.state, State::Free);
    zone.replace(&expected, &record);
    a.handle(at(60.5), Event::Replaced(Ok(Replaced::Unknown("no answer".to_owned()))));
    a.handle(at(60.5), Event::Time);
    while let Some(action) = a.poll_action() {
        match action {
            Action::Read => a.handle(at(60.5), Event::Read(Ok(behind.clone()))),
            Action::Replace { record, .. } => {
                assert_ne!((record.fence, record.state), (Some(fence(60, 1)), State::Running));
            }
            _ => {}
        }
    }
}

#[test]
fn bids_that_are_refused_again_and_again_are_not_made_at_once() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":1,"r":{EPOCH},"a":3,"s":"run"}}"#, EPOCH + 5));
    let mut asked = 0;
    a.handle(at(30.0), Event::Time);
    while let Some(action) = a.poll_action() {
        match action {
            Action::Read => {
                // Each read shows another copy, and none of them is the one that is compared.
                let revision = Revision::Exact(vec![asked].into());
                a.handle(at(30.0), Event::Read(Ok(Observation { revision, ..zone.observe() })));
            }
            Action::Replace { .. } => {
                asked += 1;
                assert!(asked < 10, "it asks without a pause");
                a.handle(at(30.0), Event::Replaced(Ok(Replaced::Conflict)));
            }
            _ => {}
        }
    }
    assert_eq!(asked, 2);
}
