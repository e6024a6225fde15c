//! Each step of a round, driven by hand over an RRset in memory.

use std::time::Duration;

use super::{Action, Backoff, Contender, Event, Halt, Notice, Now, Rules};
use crate::round::{Fence, Observation, Outcome, Record, Replaced, Revision, Schedule, State};

/// The RRset, and the conditional replacement.
#[derive(Default)]
struct Zone(Vec<Vec<u8>>);

impl Zone {
    fn observe(&self) -> Observation {
        Observation { revision: self.revision(), values: self.0.clone() }
    }

    fn revision(&self) -> Revision {
        if self.0.is_empty() { Revision::Absent } else { Revision::Exact(self.0.join(&0).into()) }
    }

    fn replace(&mut self, expected: &Revision, record: &Record) -> Replaced {
        if *expected != self.revision() {
            return Replaced::Conflict;
        }
        self.0 = vec![record.encode()];
        Replaced::Applied(self.revision())
    }

    fn record(&self) -> Record {
        self.observe().record().unwrap().unwrap()
    }

    fn put(&mut self, json: &str) {
        self.0 = vec![json.as_bytes().to_vec()];
    }
}

fn rules(every: u64) -> Rules {
    Rules {
        schedule: Schedule::every(every).unwrap(),
        lease_ms: 10_000,
        renew_ms: None,
        attempts: 3,
        backoff: Backoff { base_ms: 1_000, cap_ms: 4_000 },
        spread_ms: 0,
        reread_ms: 30_000,
    }
}

const EPOCH: u64 = 1_800_000_000;

fn at(seconds: f64) -> Now {
    let ms = u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap();
    Now { wall_ms: EPOCH * 1000 + ms, mono_ms: 5_000 + ms }
}

fn agent(id: &str, rules: Rules) -> Contender {
    let mut agent = Contender::new(id.to_owned(), rules, 7, at(0.0));
    agent.handle(at(0.0), Event::Module(Some("0123456789ab".to_owned())));
    agent
}

/// Answers reads and replacements until the agent wants nothing more, and gives what else it did.
fn settle(agent: &mut Contender, now: Now, zone: &mut Zone) -> Vec<Action> {
    let mut others = Vec::new();
    agent.handle(now, Event::Time);
    while let Some(action) = agent.poll_action() {
        match action {
            Action::Read => agent.handle(now, Event::Read(Ok(zone.observe()))),
            Action::Replace { expected, record } => {
                let outcome = zone.replace(&expected, &record);
                agent.handle(now, Event::Replaced(Ok(outcome)));
            }
            other => others.push(other),
        }
    }
    others
}

fn starts(actions: &[Action]) -> Vec<Fence> {
    actions
        .iter()
        .filter_map(|action| if let Action::Start { fence, .. } = action { Some(*fence) } else { None })
        .collect()
}

fn fence(second: u64, attempt: u32) -> Fence {
    Fence { round: EPOCH + second, attempt }
}

/// Until just before the answer to a replacement.
fn until_replace(agent: &mut Contender, now: Now, zone: &Zone) -> (Revision, Record) {
    agent.handle(now, Event::Time);
    while let Some(action) = agent.poll_action() {
        match action {
            Action::Read => agent.handle(now, Event::Read(Ok(zone.observe()))),
            Action::Replace { expected, record } => return (expected, record),
            _ => {}
        }
    }
    panic!("no replacement was asked for")
}

#[test]
fn a_missing_record_is_created_and_the_first_round_is_run_when_it_is_due() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    assert_eq!(settle(&mut a, at(0.5), &mut zone), [Action::Notice(Notice::Created { due: EPOCH + 60 })]);
    assert_eq!(a.poll_timeout(), Some(at(30.5).mono_ms), "it looks again before the due time");
    assert_eq!(starts(&settle(&mut a, at(59.9), &mut zone)), []);
    assert_eq!(starts(&settle(&mut a, at(60.0), &mut zone)), [fence(60, 1)]);
    let record = zone.record();
    assert_eq!((record.timer, record.timerold, record.state), (EPOCH + 70, EPOCH + 60, State::Running));
    a.handle(at(61.0), Event::Ended(Outcome::Ok));
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
    assert_eq!(starts(&settle(&mut b, at(70.9), &mut zone)), []);
    let actions = settle(&mut b, at(71.0), &mut zone);
    assert!(actions.contains(&Action::Notice(Notice::Won { fence: fence(60, 2), from: Some("a".to_owned()) })));
    assert_eq!(starts(&actions), [fence(60, 2)]);
    a.handle(at(71.1), Event::Ended(Outcome::Ok));
    let actions = settle(&mut a, at(71.1), &mut zone);
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
    a.handle(at(60.1), Event::Ended(Outcome::Retry));
    settle(&mut a, at(60.1), &mut zone);
    assert_eq!(zone.record().state, State::Retry);
    assert_eq!(starts(&settle(&mut b, at(61.0), &mut zone)), []);
    assert_eq!(starts(&settle(&mut b, at(62.0), &mut zone)), [fence(60, 2)]);
    b.handle(at(62.1), Event::Ended(Outcome::Error));
    settle(&mut b, at(62.1), &mut zone);
    let record = zone.record();
    assert_eq!((record.state, record.timer, record.outcome), (State::Idle, EPOCH + 120, Some(Outcome::Error)));
}

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
fn a_plain_record_of_four_fields_is_arbitrated_with_and_unknown_fields_survive() {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id": "MAWDAHDOQH", "timer": {}, "timerold": 5, "entryid": "1b60"}}"#, EPOCH + 3));
    let mut a = agent("a", rules(60));
    assert_eq!(starts(&settle(&mut a, at(2.9), &mut zone)), []);
    assert_eq!(starts(&settle(&mut a, at(3.0), &mut zone)), [fence(3, 1)]);
    assert_eq!(zone.record().extra["entryid"], "1b60");
}

#[test]
fn rounds_that_nobody_was_up_for_are_run_once_as_the_latest() {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":0,"r":{},"a":1}}"#, EPOCH - 600, EPOCH - 660));
    let mut a = agent("a", rules(60));
    assert_eq!(starts(&settle(&mut a, at(70.0), &mut zone)), [fence(60, 1)]);
}

#[test]
fn a_record_set_back_by_hand_does_not_set_back_the_fence() {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":0,"timerold":0,"r":{},"a":1}}"#, EPOCH + 60));
    let mut a = agent("a", rules(60));
    assert_eq!(starts(&settle(&mut a, at(70.0), &mut zone)), []);
    assert_eq!(starts(&settle(&mut a, at(120.0), &mut zone)), [fence(120, 1)]);
}

#[test]
fn nobody_runs_from_garbage_two_records_or_a_timer_absurdly_far_ahead() {
    let far = format!(r#"{{"id":"x","timer":{},"timerold":0}}"#, EPOCH + 200_000);
    let far_round = format!(r#"{{"id":"x","timer":{EPOCH},"timerold":0,"r":{},"a":1}}"#, EPOCH + 200_000);
    for values in
        [vec!["v=spf1 -all"], vec![&far], vec![&far_round], vec![r#"{"id":"x","timer":1}"#, r#"{"id":"y","timer":1}"#]]
    {
        let mut zone = Zone(values.iter().map(|value| value.as_bytes().to_vec()).collect());
        let mut a = agent("a", rules(60));
        let actions = settle(&mut a, at(1.0), &mut zone);
        assert!(matches!(actions[..], [Action::Notice(Notice::Unreadable(_))]), "{actions:?}");
        assert_eq!(zone.0.len(), values.len());
    }
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
fn stopping_finishes_the_run_or_gives_it_back_so_that_another_takes_the_round_at_once() {
    let mut zone = Zone::default();
    let (mut a, mut b) =
        (agent("a", Rules { attempts: 1, ..rules(60) }), agent("b", Rules { attempts: 1, ..rules(60) }));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    a.handle(at(60.5), Event::Stop);
    assert_eq!(settle(&mut a, at(60.5), &mut zone), []);
    a.handle(at(61.2), Event::GiveBack);
    let actions = settle(&mut a, at(61.2), &mut zone);
    assert_eq!(
        actions,
        [Action::Halt(Halt::Shutdown), Action::Notice(Notice::Freed { fence: fence(60, 1) }), Action::Done]
    );
    assert_eq!(starts(&settle(&mut b, at(61.2), &mut zone)), [fence(60, 2)]);
}

#[test]
fn stopping_without_a_run_is_done_at_once() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    a.handle(at(1.0), Event::Stop);
    assert_eq!(settle(&mut a, at(1.0), &mut zone), [Action::Done]);
    assert_eq!(a.poll_timeout(), None);
}

#[test]
fn stopping_in_the_middle_of_a_renewal_halts_the_run_at_once_and_gives_the_round_back() {
    for is_applied in [true, false] {
        let mut zone = Zone::default();
        let mut a = agent("a", Rules { renew_ms: Some(5_000), ..rules(60) });
        settle(&mut a, at(0.0), &mut zone);
        settle(&mut a, at(60.0), &mut zone);
        let (expected, record) = until_replace(&mut a, at(65.0), &zone);
        a.handle(at(65.1), Event::GiveBack);
        assert_eq!(a.poll_action(), Some(Action::Halt(Halt::Shutdown)));
        if is_applied {
            zone.replace(&expected, &record);
        }
        a.handle(at(65.2), Event::Replaced(Ok(Replaced::Unknown("lost".to_owned()))));
        let actions = settle(&mut a, at(65.2), &mut zone);
        assert!(actions.contains(&Action::Notice(Notice::Freed { fence: fence(60, 1) })), "{actions:?}");
        assert_eq!(actions.last(), Some(&Action::Done));
        assert_eq!((zone.record().state, zone.record().returned), (State::Free, 1));
    }
}

#[test]
fn stopping_gives_back_a_claim_that_was_won_without_anybody_knowing() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    let (expected, record) = until_replace(&mut a, at(60.0), &zone);
    a.handle(at(60.1), Event::Stop);
    zone.replace(&expected, &record);
    a.handle(at(60.2), Event::Replaced(Ok(Replaced::Conflict)));
    let actions = settle(&mut a, at(60.2), &mut zone);
    assert_eq!(actions, [Action::Notice(Notice::Freed { fence: fence(60, 1) }), Action::Done]);
}

#[test]
fn what_was_given_back_leaves_every_attempt_to_the_others() {
    let mut zone = Zone::default();
    let rules = Rules { attempts: 2, ..rules(60) };
    let mut a = agent("a", rules.clone());
    settle(&mut a, at(0.0), &mut zone);
    for (name, attempt) in [("b", 1), ("c", 2), ("d", 3)] {
        let mut agent = agent(name, rules.clone());
        assert_eq!(starts(&settle(&mut agent, at(60.0), &mut zone)), [fence(60, attempt)]);
        agent.handle(at(60.1), Event::GiveBack);
        settle(&mut agent, at(60.1), &mut zone);
    }
    for (second, attempt, state) in [(61.0, 4, State::Retry), (64.0, 5, State::Idle)] {
        assert_eq!(starts(&settle(&mut a, at(second), &mut zone)), [fence(60, attempt)]);
        a.handle(at(second), Event::Ended(Outcome::Timeout));
        settle(&mut a, at(second), &mut zone);
        assert_eq!(zone.record().state, state);
    }
    assert_eq!(zone.record().returned, 0);
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

#[test]
fn a_wall_clock_that_is_set_back_shortens_no_lease() {
    let mut zone = Zone::default();
    let mut a = agent("a", Rules { renew_ms: Some(5_000), ..rules(60) });
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    for second in [65.0, 70.0, 75.0] {
        let set_back = Now { wall_ms: at(second).wall_ms - 3_600_000, ..at(second) };
        settle(&mut a, set_back, &mut zone);
        let end = at(second).wall_seconds() + 10;
        assert!(zone.record().timer >= end, "{} is before {end}", zone.record().timer);
    }
}

#[test]
fn a_fence_that_was_seen_is_not_claimed_again_whatever_a_hand_does() {
    for is_deleted in [true, false] {
        let mut zone = Zone::default();
        let (mut a, mut b) = (agent("a", rules(60)), agent("b", rules(60)));
        settle(&mut a, at(0.0), &mut zone);
        settle(&mut a, at(60.0), &mut zone);
        settle(&mut b, at(60.0), &mut zone);
        if is_deleted {
            // And the clock of the one that writes it again is behind.
            zone.0.clear();
            settle(&mut b, Now { wall_ms: at(59.0).wall_ms, ..at(65.0) }, &mut zone);
            settle(&mut b, Now { wall_ms: at(59.0).wall_ms, ..at(91.0) }, &mut zone);
            assert_eq!(zone.record().timer, EPOCH + 120);
        } else {
            zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":0}}"#, EPOCH + 60));
            assert_eq!(starts(&settle(&mut b, at(95.0), &mut zone)), []);
        }
        assert_eq!(starts(&settle(&mut b, at(121.0), &mut zone)), [fence(120, 1)]);
    }
}

#[test]
fn a_round_in_the_future_holds_nobody_up_once_the_hand_has_taken_it_back() {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":0,"r":{},"a":1}}"#, EPOCH + 60, EPOCH + 36_000));
    let mut a = agent("a", rules(60));
    assert_eq!(starts(&settle(&mut a, at(60.0), &mut zone)), []);
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":0}}"#, EPOCH + 120));
    assert_eq!(starts(&settle(&mut a, at(120.0), &mut zone)), [fence(120, 1)]);
}

#[test]
fn an_answer_that_was_not_asked_for_changes_nothing() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    settle(&mut a, at(0.0), &mut zone);
    let due = a.poll_timeout();
    a.handle(at(1.0), Event::Replaced(Ok(Replaced::Conflict)));
    a.handle(at(1.0), Event::Read(Ok(Observation::absent())));
    a.handle(at(1.0), Event::Ended(Outcome::Ok));
    assert_eq!((a.poll_action(), a.poll_timeout()), (None, due));
}
