//! Stopping, and giving a round back.

use super::super::{Action, Event, Halt, Notice, Rules};
use super::{Zone, agent, at, fence, rules, settle, starts, until_replace};
use crate::round::{Outcome, Replaced, State};

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
fn the_others_notice_soon_that_a_round_was_given_back() {
    let mut zone = Zone::default();
    let (mut a, mut b) = (agent("a", rules(60)), agent("b", rules(60)));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    settle(&mut b, at(60.0), &mut zone);
    a.handle(at(60.5), Event::GiveBack);
    settle(&mut a, at(60.5), &mut zone);
    let looks = b.poll_timeout().unwrap();
    assert!(looks <= at(62.5).mono_ms, "within a quarter of the lease: {looks}");
    assert_eq!(starts(&settle(&mut b, at(62.5), &mut zone)), [fence(60, 2)]);
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
        a.handle(at(second), Event::Ended(Outcome::Timeout.into()));
        settle(&mut a, at(second), &mut zone);
        assert_eq!(zone.record().state, state);
    }
    assert_eq!(zone.record().returned, 0);
}
