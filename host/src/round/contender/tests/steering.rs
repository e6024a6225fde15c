//! What an operator writes into the record: pause, resume, trigger.

use super::super::steer::{Steer, Unsteered};
use super::super::{Action, Event, Halt, Notice, Now, Rules};
use super::{EPOCH, Zone, agent, at, fence, rules, settle, starts};
use crate::round::{Outcome, Record, State};

fn steer(zone: &mut Zone, steer: &Steer, now: Now) -> Result<(), Unsteered> {
    let new = steer.apply(&zone.record(), &rules(60), now)?;
    zone.0 = vec![new.encode()];
    Ok(())
}

fn pause() -> Steer {
    Steer::Pause { reason: "the API is down".to_owned() }
}

#[test]
fn no_round_begins_during_a_pause_and_what_was_due_is_not_made_up_for() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    steer(&mut zone, &pause(), at(10.0)).unwrap();
    let told = settle(&mut a, at(60.0), &mut zone);
    assert_eq!(told, [Action::Notice(Notice::Paused { reason: "the API is down".to_owned() })]);
    assert_eq!(settle(&mut a, at(120.0), &mut zone), [], "it is told once");
    steer(&mut zone, &Steer::Resume, at(130.0)).unwrap();
    let told = settle(&mut a, at(150.0), &mut zone);
    assert_eq!(told, [Action::Notice(Notice::Resumed)]);
    assert_eq!(starts(&settle(&mut a, at(180.0), &mut zone)), [fence(180, 1)]);
}

#[test]
fn a_pause_lets_a_run_under_way_end_renew_and_stands_afterwards() {
    let (mut zone, mut a) = (Zone::default(), agent("a", Rules { renew_ms: Some(5_000), ..rules(60) }));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    steer(&mut zone, &pause(), at(61.0)).unwrap();
    let actions = settle(&mut a, at(65.0), &mut zone);
    assert!(actions.contains(&Action::Notice(Notice::Renewed { fence: fence(60, 1) })), "{actions:?}");
    assert!(zone.record().paused.is_some(), "a renewal keeps the pause");
    steer(&mut zone, &Steer::Pause { reason: "another one".to_owned() }, at(66.0)).unwrap();
    a.handle(at(67.0), Event::Ended(Outcome::Ok.into()));
    settle(&mut a, at(67.0), &mut zone);
    let record = zone.record();
    assert_eq!((record.state, record.outcome), (State::Idle, Some(Outcome::Ok)));
    assert_eq!(record.paused.as_deref(), Some("another one"));
    assert_eq!(starts(&settle(&mut a, at(120.0), &mut zone)), []);
}

#[test]
fn a_paused_round_whose_agent_vanished_is_taken_over_after_the_pause() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    steer(&mut zone, &pause(), at(61.0)).unwrap();
    let mut b = agent("b", rules(60));
    assert_eq!(starts(&settle(&mut b, at(80.0), &mut zone)), []);
    steer(&mut zone, &Steer::Resume, at(81.0)).unwrap();
    assert_eq!(starts(&settle(&mut b, at(120.0), &mut zone)), [fence(60, 2)]);
}

#[test]
fn a_trigger_is_run_once_and_the_schedule_goes_on() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    steer(&mut zone, &Steer::Trigger, at(10.0)).unwrap();
    assert_eq!(steer(&mut zone, &Steer::Trigger, at(11.0)), Err(Unsteered::IsTriggered));
    assert_eq!(starts(&settle(&mut a, at(31.0), &mut zone)), [fence(10, 1)]);
    assert!(!zone.record().triggered);
    assert_eq!(steer(&mut zone, &Steer::Trigger, at(31.5)), Err(Unsteered::IsRunning { by: "a".to_owned() }));
    a.handle(at(32.0), Event::Ended(Outcome::Ok.into()));
    settle(&mut a, at(32.0), &mut zone);
    assert_eq!(zone.record().timer, EPOCH + 60);
    assert_eq!(starts(&settle(&mut a, at(60.0), &mut zone)), [fence(60, 1)]);
}

#[test]
fn a_trigger_runs_a_paused_job_once_and_it_stays_paused() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    steer(&mut zone, &pause(), at(1.0)).unwrap();
    steer(&mut zone, &Steer::Trigger, at(70.0)).unwrap();
    assert_eq!(starts(&settle(&mut a, at(71.0), &mut zone)), [fence(70, 1)]);
    a.handle(at(72.0), Event::Ended(Outcome::Ok.into()));
    settle(&mut a, at(72.0), &mut zone);
    assert!(zone.record().paused.is_some());
    assert_eq!(starts(&settle(&mut a, at(120.0), &mut zone)), []);
}

#[test]
fn a_second_trigger_in_the_second_of_a_round_is_a_round_of_its_own() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    a.handle(at(60.1), Event::Ended(Outcome::Ok.into()));
    settle(&mut a, at(60.1), &mut zone);
    steer(&mut zone, &Steer::Trigger, at(60.2)).unwrap();
    assert_eq!(starts(&settle(&mut a, at(90.2), &mut zone)), [fence(61, 1)]);
}

#[test]
fn a_trigger_in_the_second_of_a_round_that_left_no_fence_is_a_round_of_its_own() {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":{}}}"#, EPOCH + 120, EPOCH + 60));
    steer(&mut zone, &Steer::Trigger, at(60.2)).unwrap();
    let mut a = agent("a", rules(60));
    assert_eq!(starts(&settle(&mut a, at(90.2), &mut zone)), [fence(61, 1)]);
}

#[test]
fn there_is_nothing_to_take_back_twice() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    assert_eq!(steer(&mut zone, &Steer::Resume, at(1.0)), Err(Unsteered::IsNotPaused));
    steer(&mut zone, &pause(), at(2.0)).unwrap();
    assert_eq!(steer(&mut zone, &pause(), at(3.0)), Err(Unsteered::IsPaused));
}

#[test]
fn a_run_does_not_go_on_when_nobody_can_say_whose_the_round_is() {
    let (mut zone, mut a) = (Zone::default(), agent("a", Rules { renew_ms: Some(5_000), ..rules(60) }));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    let (expected, record) = super::until_replace(&mut a, at(65.0), &zone);
    steer(&mut zone, &pause(), at(65.1)).unwrap();
    let refused = zone.replace(&expected, &record);
    a.handle(at(65.1), Event::Replaced(Ok(refused)));
    assert_eq!(a.poll_action(), Some(Action::Read));
    a.handle(at(67.1), Event::Read(Err("no answer".to_owned())));
    let actions: Vec<Action> = std::iter::from_fn(|| a.poll_action()).collect();
    assert!(actions.contains(&Action::Halt(Halt::Superseded)), "{actions:?}");
}

#[test]
fn what_was_written_holds_until_something_else_is_written_over_it_or_it_was_acted_on() {
    let (mut zone, mut a) = (Zone::default(), agent("a", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    let before = zone.record();
    let resumed = Record { paused: None, ..before.clone() };
    let paused = Record { paused: Some("the API is down".to_owned()), ..before.clone() };
    for (steer, other) in [(pause(), &before), (Steer::Resume, &paused), (Steer::Trigger, &before)] {
        let over = if steer == Steer::Resume { &paused } else { &before };
        let written = steer.apply(over, &rules(60), at(10.0)).unwrap();
        assert!(steer.holds(&written, &written), "{steer:?}");
        assert!(!steer.holds(&written, other), "{steer:?}");
    }
    assert_eq!(Steer::Resume.apply(&paused, &rules(60), at(10.0)), Ok(resumed));
    let triggered = Steer::Trigger.apply(&before, &rules(60), at(10.0)).unwrap();
    let claimed = Record { fence: Some(fence(10, 1)), triggered: false, ..triggered.clone() };
    assert!(Steer::Trigger.holds(&triggered, &claimed), "an agent was quick");
}
