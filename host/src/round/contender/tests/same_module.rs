//! Where all agents are to run the same module: who holds another one than the record names waits.

use super::super::steer::{Steer, Unsteered};
use super::super::{Action, Contender, Event, Notice, Now, Rules};
use super::{Zone, at, fence, rules, settle, starts};
use crate::round::{Outcome, State};

const OLD: &str = "aaaaaaaaaaaa";
const NEW: &str = "bbbbbbbbbbbb";

fn same() -> Rules {
    Rules { same_module: true, ..rules(60) }
}

fn holder(id: &str, module: &str) -> Contender {
    let mut agent = Contender::new(id.to_owned(), same(), 7, at(0.0));
    agent.handle(at(0.0), Event::Module(Some(module.to_owned())));
    agent
}

fn want(zone: &mut Zone, module: &str, now: Now) -> Result<(), Unsteered> {
    let new = Steer::Module { wanted: module.to_owned() }.apply(&zone.record(), &same(), now)?;
    zone.0 = vec![new.encode()];
    Ok(())
}

fn waits(held: &str, wanted: &str) -> Action {
    Action::Notice(Notice::OtherModule { held: held.to_owned(), wanted: wanted.to_owned() })
}

fn end(agent: &mut Contender, now: Now, zone: &mut Zone) {
    agent.handle(now, Event::Ended(Outcome::Ok.into()));
    settle(agent, now, zone);
}

#[test]
fn whoever_comes_first_decides_and_others_wait_until_told_otherwise() {
    let (mut zone, mut a, mut b) = (Zone::default(), holder("a", OLD), holder("b", NEW));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut b, at(0.0), &mut zone);
    assert_eq!(starts(&settle(&mut a, at(60.0), &mut zone)), [fence(60, 1)]);
    end(&mut a, at(61.0), &mut zone);
    assert_eq!(settle(&mut b, at(120.0), &mut zone), [waits(NEW, OLD)]);
    assert_eq!(settle(&mut b, at(150.0), &mut zone), [], "it is told once");
    want(&mut zone, NEW, at(151.0)).unwrap();
    assert_eq!(want(&mut zone, NEW, at(151.0)), Err(Unsteered::IsWanted(NEW.to_owned())));
    assert_eq!(settle(&mut a, at(180.0), &mut zone), [waits(OLD, NEW)]);
    assert_eq!(starts(&settle(&mut b, at(190.0), &mut zone)), [fence(180, 1)]);
    assert_eq!((zone.record().module.as_deref(), zone.record().wanted.as_deref()), (Some(NEW), Some(NEW)));
}

#[test]
fn the_module_that_is_wanted_is_waited_for_and_its_arrival_is_acted_on_at_once() {
    let (mut zone, mut a) = (Zone::default(), holder("a", OLD));
    settle(&mut a, at(0.0), &mut zone);
    want(&mut zone, NEW, at(1.0)).unwrap();
    assert_eq!(settle(&mut a, at(60.0), &mut zone), [waits(OLD, NEW)]);
    a.handle(at(61.0), Event::Module(Some(NEW.to_owned())));
    assert_eq!(starts(&settle(&mut a, at(61.0), &mut zone)), [fence(60, 1)]);
}

#[test]
fn a_run_under_way_ends_and_keeps_what_is_wanted() {
    let (mut zone, mut a, mut b) = (Zone::default(), holder("a", OLD), holder("b", NEW));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    want(&mut zone, NEW, at(60.5)).unwrap();
    end(&mut a, at(61.0), &mut zone);
    let record = zone.record();
    assert_eq!((record.state, record.outcome), (State::Idle, Some(Outcome::Ok)));
    assert_eq!((record.module.as_deref(), record.wanted.as_deref()), (Some(OLD), Some(NEW)));
    assert_eq!(starts(&settle(&mut a, at(120.0), &mut zone)), []);
    assert_eq!(starts(&settle(&mut b, at(121.0), &mut zone)), [fence(120, 1)]);
}

#[test]
fn retries_takeovers_and_triggers_obey_it_and_rounds_are_closed_by_anybody() {
    let (mut zone, mut a, mut b) = (Zone::default(), holder("a", OLD), holder("b", NEW));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    assert_eq!(starts(&settle(&mut b, at(75.0), &mut zone)), [], "a takeover");
    let mut c = holder("c", OLD);
    assert_eq!(starts(&settle(&mut c, at(75.5), &mut zone)), [fence(60, 2)]);
    c.handle(at(76.0), Event::Ended(Outcome::Retry.into()));
    settle(&mut c, at(76.0), &mut zone);
    assert_eq!(starts(&settle(&mut b, at(106.0), &mut zone)), [], "a retry");
    assert_eq!(starts(&settle(&mut a, at(106.5), &mut zone)), [fence(60, 3)]);
    // Every attempt is used up, and closing the round is no run.
    settle(&mut b, at(140.0), &mut zone);
    assert_eq!((zone.record().outcome, zone.record().id.as_str()), (Some(Outcome::Lost), "b"));
    let new = Steer::Trigger.apply(&zone.record(), &same(), at(141.0)).unwrap();
    zone.0 = vec![new.encode()];
    assert_eq!(starts(&settle(&mut b, at(172.0), &mut zone)), [], "a trigger");
    assert_eq!(starts(&settle(&mut a, at(172.5), &mut zone)).len(), 1);
}
