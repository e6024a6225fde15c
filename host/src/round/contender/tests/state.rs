//! The text that belongs to the job: kept by everybody, and changed by the end of a run that went well.

use super::super::steer::Steer;
use super::super::{Action, Ended, Event, Now, Rules};
use super::{Zone, agent, at, fence, rules, settle, starts, until_replace};
use crate::round::{Change, Data, Outcome, State};

#[expect(clippy::unnecessary_wraps, reason = "as it stands in a record")]
fn data(text: &str) -> Option<Data> {
    Some(Data::new(text.to_owned()).unwrap())
}

fn ended(outcome: Outcome, text: &str) -> Event {
    Event::Ended(Ended { outcome, change: Change::To(data(text)) })
}

/// What a run that is started is handed.
fn handed(actions: &[Action]) -> Vec<Option<Data>> {
    let data = |action: &Action| if let Action::Start { data, .. } = action { Some(data.clone()) } else { None };
    actions.iter().filter_map(data).collect()
}

/// A record with a text.
fn zone() -> Zone {
    let mut zone = Zone::default();
    settle(&mut agent("z", rules(60)), at(0.0), &mut zone);
    let mut record = zone.record();
    record.data = data("one");
    zone.0 = vec![record.encode()];
    zone
}

fn steer(zone: &mut Zone, steer: &Steer, now: Now) {
    let new = steer.apply(&zone.record(), &rules(60), now).unwrap();
    zone.0 = vec![new.encode()];
}

#[test]
fn a_run_is_handed_what_the_claim_says_and_leaves_what_it_sets() {
    let (mut zone, mut a, mut b) = (zone(), agent("a", rules(60)), agent("b", rules(60)));
    assert_eq!(handed(&settle(&mut a, at(60.0), &mut zone)), [data("one")]);
    assert_eq!(zone.record().data, data("one"), "a claim keeps it");
    a.handle(at(61.0), ended(Outcome::Ok, "two"));
    settle(&mut a, at(61.0), &mut zone);
    assert_eq!((zone.record().state, zone.record().data), (State::Idle, data("two")));
    assert_eq!(handed(&settle(&mut b, at(120.0), &mut zone)), [data("two")]);
    b.handle(at(121.0), Event::Ended(Outcome::Ok.into()));
    settle(&mut b, at(121.0), &mut zone);
    assert_eq!(zone.record().data, data("two"), "a run that sets nothing leaves it");
    assert_eq!(handed(&settle(&mut a, at(180.0), &mut zone)), [data("two")]);
    a.handle(at(181.0), Event::Ended(Ended { outcome: Outcome::Ok, change: Change::To(None) }));
    settle(&mut a, at(181.0), &mut zone);
    assert_eq!(zone.record().data, None, "it can be cleared");
}

#[test]
fn only_a_run_that_went_well_changes_it() {
    for outcome in [Outcome::Error, Outcome::Retry, Outcome::Timeout, Outcome::Trap, Outcome::Stopped, Outcome::Host] {
        let (mut zone, mut a) = (zone(), agent("a", rules(60)));
        settle(&mut a, at(60.0), &mut zone);
        a.handle(at(61.0), ended(outcome.clone(), "two"));
        settle(&mut a, at(61.0), &mut zone);
        assert_eq!((zone.record().outcome, zone.record().data), (Some(outcome), data("one")));
    }
}

#[test]
fn renewals_closes_and_what_is_given_back_keep_it() {
    let (mut zone, mut a) = (zone(), agent("a", Rules { renew_ms: Some(5_000), ..rules(60) }));
    settle(&mut a, at(60.0), &mut zone);
    settle(&mut a, at(65.0), &mut zone);
    assert_eq!(zone.record().data, data("one"), "a renewal");
    a.handle(at(66.0), Event::GiveBack);
    settle(&mut a, at(66.0), &mut zone);
    assert_eq!((zone.record().state, zone.record().data), (State::Free, data("one")));
    let once = Rules { attempts: 1, ..rules(60) };
    settle(&mut agent("b", once.clone()), at(67.0), &mut zone);
    settle(&mut agent("c", once), at(80.0), &mut zone);
    assert_eq!((zone.record().outcome, zone.record().data), (Some(Outcome::Lost), data("one")), "a close");
}

#[test]
fn a_run_whose_round_is_anothers_by_then_changes_nothing() {
    let (mut zone, mut a, mut b) = (zone(), agent("a", rules(60)), agent("b", rules(60)));
    settle(&mut a, at(60.0), &mut zone);
    // It stood still: its end comes when another one has the round.
    assert_eq!(starts(&settle(&mut b, at(70.5), &mut zone)), [fence(60, 2)]);
    a.handle(at(69.9), ended(Outcome::Ok, "two"));
    settle(&mut a, at(70.6), &mut zone);
    assert_eq!((zone.record().id.as_str(), zone.record().data), ("b", data("one")));
    b.handle(at(71.0), ended(Outcome::Ok, "three"));
    settle(&mut b, at(71.0), &mut zone);
    assert_eq!(zone.record().data, data("three"));
}

#[test]
fn a_completion_of_unknown_outcome_is_asked_for_again_as_it_was() {
    let (mut zone, mut a) = (zone(), agent("a", rules(60)));
    settle(&mut a, at(60.0), &mut zone);
    a.handle(at(61.0), ended(Outcome::Ok, "two"));
    let (expected, first) = until_replace(&mut a, at(61.0), &zone);
    a.handle(at(61.1), Event::Replaced(Ok(crate::round::Replaced::Unknown("lost".to_owned()))));
    let (again, second) = until_replace(&mut a, at(61.1), &zone);
    assert_eq!((&expected, &first), (&again, &second));
    assert_eq!(first.data, data("two"));
    zone.replace(&expected, &first);
    a.handle(at(61.2), Event::Replaced(Ok(crate::round::Replaced::Conflict)));
    settle(&mut a, at(61.2), &mut zone);
    assert_eq!(zone.record(), first, "the first copy was applied, and it is the one end");
}

#[test]
fn what_a_run_set_survives_an_operators_pause() {
    let (mut zone, mut a) = (zone(), agent("a", rules(60)));
    settle(&mut a, at(60.0), &mut zone);
    steer(&mut zone, &Steer::Pause { reason: "a deploy".to_owned() }, at(60.5));
    assert_eq!(zone.record().data, data("one"), "a pause keeps it");
    a.handle(at(61.0), ended(Outcome::Ok, "two"));
    settle(&mut a, at(61.0), &mut zone);
    let record = zone.record();
    assert_eq!((record.paused.as_deref(), record.data), (Some("a deploy"), data("two")));
}

#[test]
fn what_a_hand_set_beside_a_run_that_sets_nothing_stays() {
    let (mut zone, mut a) = (zone(), agent("a", rules(60)));
    settle(&mut a, at(60.0), &mut zone);
    let mut record = zone.record();
    record.data = data("a hand's");
    zone.0 = vec![record.encode()];
    a.handle(at(61.0), Event::Ended(Outcome::Ok.into()));
    settle(&mut a, at(61.0), &mut zone);
    assert_eq!((zone.record().state, zone.record().data), (State::Idle, data("a hand's")));
}

#[test]
fn an_end_that_was_lost_is_written_with_its_text_when_the_claim_is_found_again() {
    let (mut zone, mut a) = (zone(), agent("a", rules(60)));
    settle(&mut a, at(60.0), &mut zone);
    let claim = zone.0.clone();
    a.handle(at(61.0), ended(Outcome::Ok, "two"));
    settle(&mut a, at(61.0), &mut zone);
    // Where the arbiter only overwrites, an operator's write may bring the claim back.
    zone.0 = claim;
    settle(&mut a, at(91.0), &mut zone);
    assert_eq!((zone.record().state, zone.record().data), (State::Idle, data("two")));
}
