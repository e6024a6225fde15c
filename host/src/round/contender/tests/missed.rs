//! Rounds that nobody was up for.

use super::super::{Missed, Rules};
use super::{EPOCH, Zone, agent, at, fence, rules, settle, starts};
use crate::round::contender::Event;
use crate::round::{Fence, Outcome};

/// The rounds that are run, each at once, by an agent that comes back so many seconds after the last one.
fn made_up(rules: Rules, back: f64) -> Vec<Fence> {
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":{EPOCH},"r":{EPOCH},"a":1}}"#, EPOCH + 60));
    let mut a = agent("a", rules);
    let mut fences = Vec::new();
    for _ in 0..20 {
        let started = starts(&settle(&mut a, at(back), &mut zone));
        if started.is_empty() {
            break;
        }
        fences.extend(started);
        a.handle(at(back), Event::Ended(Outcome::Ok.into()));
    }
    let next = at(back).wall_seconds() / 60 * 60 + 60;
    assert!(zone.record().timer <= next, "what is next is the next one");
    fences
}

fn with(missed: Missed, start_deadline_ms: Option<u64>) -> Rules {
    Rules { missed, start_deadline_ms, ..rules(60) }
}

#[test]
fn the_latest_is_run_once_however_late() {
    assert_eq!(made_up(with(Missed::RunOnce, None), 630.0), [fence(600, 1)]);
    assert_eq!(made_up(with(Missed::RunOnce, None), 659.0), [fence(600, 1)]);
}

#[test]
fn a_round_past_its_start_deadline_is_left_out() {
    assert_eq!(made_up(with(Missed::RunOnce, Some(30_000)), 630.0), [fence(600, 1)]);
    assert_eq!(made_up(with(Missed::RunOnce, Some(30_000)), 631.0), []);
    assert_eq!(made_up(with(Missed::RunOnce, Some(10_000)), 660.0), [fence(660, 1)]);
}

#[test]
fn skipping_runs_only_what_can_still_begin_in_time() {
    assert_eq!(made_up(with(Missed::Skip, None), 659.0), [fence(600, 1)], "a minute late is not missed yet");
    let hourly = Rules { missed: Missed::Skip, ..rules(3600) };
    let due = 3600 - (EPOCH % 3600);
    let mut zone = Zone::default();
    zone.put(&format!(r#"{{"id":"x","timer":{},"timerold":1,"r":1,"a":1}}"#, EPOCH + due - 3600));
    let mut a = agent("a", hourly);
    assert_eq!(starts(&settle(&mut a, at(61.0), &mut zone)), [], "the round of {due} was missed");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let next = due as f64;
    assert_eq!(starts(&settle(&mut a, at(next), &mut zone)), [fence(due, 1)]);
}

#[test]
fn catching_up_runs_each_in_order_up_to_its_bound() {
    let three = [fence(480, 1), fence(540, 1), fence(600, 1)];
    assert_eq!(made_up(with(Missed::CatchUp { most: 3 }, None), 630.0), three);
    let all: Vec<Fence> = (1..=10).map(|minute| fence(minute * 60, 1)).collect();
    assert_eq!(made_up(with(Missed::CatchUp { most: 100 }, None), 630.0), all);
    assert_eq!(made_up(with(Missed::CatchUp { most: 1 }, None), 630.0), [fence(600, 1)]);
    let deadline = with(Missed::CatchUp { most: 100 }, Some(100_000));
    assert_eq!(made_up(deadline, 630.0), [fence(540, 1), fence(600, 1)], "the others are too late");
}
