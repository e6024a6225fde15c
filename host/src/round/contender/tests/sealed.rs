//! Records that are sealed: what cannot be trusted starts nothing and is not overwritten.

use super::super::steer::Steer;
use super::super::{Action, Event, Notice, Now, Rules};
use super::{Zone, agent, at, fence, rules, settle, starts, until_replace};
use crate::round::{Form, KEY_BYTES, Outcome, Record, Replaced, Seal, SealKey, Unopened, Unreadable};

fn seal(form: impl Into<Option<Form>>, keys: &[u8]) -> Seal {
    let keys = keys.iter().map(|byte| SealKey::new(&[*byte; KEY_BYTES])).collect();
    Seal::new(form.into(), keys, "canary.example.com.", false).unwrap()
}

fn sealed(every: u64, seal: Seal) -> Rules {
    Rules { seal, ..rules(every) }
}

impl Zone {
    fn opened(&self, seal: &Seal) -> Record {
        self.observe().opened(seal).unwrap().unwrap()
    }
}

/// Nothing is started or written, and this is what is said.
fn is_refused(rules: Rules, now: Now, zone: &mut Zone) -> Unopened {
    let before = zone.0.clone();
    let mut stranger = agent("b", rules);
    let actions = settle(&mut stranger, now, zone);
    assert_eq!(zone.0, before, "nothing is overwritten");
    match &actions[..] {
        [Action::Notice(Notice::Unreadable(Unreadable::Unopened(problem)))] => problem.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sealed_rounds_are_run_and_each_record_has_a_higher_count() {
    for form in [Form::Sign, Form::Encrypt] {
        let ours = seal(form, &[1]);
        let mut zone = Zone::default();
        let renewing = Rules { renew_ms: Some(5_000), ..sealed(60, ours.clone()) };
        let (mut a, mut b) = (agent("a", renewing.clone()), agent("b", renewing));
        let mut counts = Vec::new();
        // At its renewal its clock is ahead, so that the next one's shows less than this count.
        let ahead = Now { wall_ms: at(125.0).wall_ms, ..at(65.0) };
        for now in [at(0.0), at(60.0), ahead] {
            settle(&mut a, now, &mut zone);
            counts.push(zone.opened(&ours).count);
        }
        a.handle(at(66.0), Event::Ended(Outcome::Ok.into()));
        settle(&mut a, at(66.0), &mut zone);
        counts.push(zone.opened(&ours).count);
        assert_eq!(starts(&settle(&mut b, at(120.0), &mut zone)), [fence(120, 1)]);
        counts.push(zone.opened(&ours).count);
        assert!(counts.is_sorted() && counts.windows(2).all(|pair| pair[0] < pair[1]), "{counts:?}");
    }
}

#[test]
fn who_has_another_key_or_none_runs_nothing_and_writes_nothing() {
    for form in [Form::Sign, Form::Encrypt] {
        let ours = seal(form, &[1]);
        let id = ours.key_id().unwrap().to_owned();
        let mut zone = Zone::default();
        settle(&mut agent("a", sealed(60, ours)), at(0.0), &mut zone);
        let refused = is_refused(sealed(60, seal(form, &[2])), at(60.0), &mut zone);
        assert_eq!(refused, Unopened::OtherKey(id.clone()));
        assert_eq!(is_refused(rules(60), at(60.0), &mut zone), Unopened::NoKey(id));
    }
}

#[test]
fn a_record_that_was_changed_or_has_no_seal_starts_nothing_and_stays() {
    let ours = seal(Form::Sign, &[1]);
    let mut zone = Zone::default();
    settle(&mut agent("a", sealed(60, ours.clone())), at(0.0), &mut zone);
    let text = String::from_utf8(zone.0[0].clone()).unwrap();
    let timer = zone.opened(&ours).timer;
    zone.put(&text.replace(&timer.to_string(), &(timer - 30).to_string()));
    assert_eq!(is_refused(sealed(60, ours.clone()), at(60.0), &mut zone), Unopened::Broken);
    zone.put(&format!(r#"{{"id":"x","timer":{timer},"timerold":0}}"#));
    assert_eq!(is_refused(sealed(60, ours), at(60.0), &mut zone), Unopened::Unsealed);
}

#[test]
fn a_record_that_was_put_back_starts_nothing_and_stays_and_a_newer_one_is_taken_again() {
    for form in [Form::Sign, Form::Encrypt] {
        let ours = seal(form, &[1]);
        let mut zone = Zone::default();
        let (mut a, mut b) = (agent("a", sealed(60, ours.clone())), agent("b", sealed(60, ours.clone())));
        settle(&mut a, at(0.0), &mut zone);
        let old = zone.0.clone();
        settle(&mut a, at(60.0), &mut zone);
        settle(&mut b, at(60.1), &mut zone);
        a.handle(at(61.0), Event::Ended(Outcome::Ok.into()));
        settle(&mut a, at(61.0), &mut zone);
        let new = std::mem::replace(&mut zone.0, old.clone());
        for agent in [&mut a, &mut b] {
            let actions = settle(agent, at(120.0), &mut zone);
            let [Action::Notice(Notice::Unreadable(Unreadable::Unopened(problem)))] = &actions[..] else {
                panic!("{actions:?}")
            };
            assert!(matches!(problem, Unopened::Older { .. }), "{problem}");
        }
        assert_eq!(zone.0, old, "nothing is overwritten");
        // As after a read that came late.
        zone.0 = new;
        assert_eq!(starts(&settle(&mut b, at(180.0), &mut zone)), [fence(180, 1)]);
    }
}

#[test]
fn a_record_put_back_under_a_run_stops_it_at_its_renewal() {
    let ours = seal(Form::Sign, &[1]);
    let mut zone = Zone::default();
    let mut a = agent("a", Rules { renew_ms: Some(5_000), ..sealed(60, ours) });
    settle(&mut a, at(0.0), &mut zone);
    let old = zone.0.clone();
    settle(&mut a, at(60.0), &mut zone);
    zone.0.clone_from(&old);
    let actions = settle(&mut a, at(65.0), &mut zone);
    assert!(actions.iter().any(|action| matches!(action, Action::Halt(_))), "{actions:?}");
    assert!(matches!(actions[..], [.., Action::Notice(Notice::Unreadable(_))]), "{actions:?}");
    assert_eq!(zone.0, old);
}

#[test]
fn a_sealed_record_that_is_lost_is_written_anew_with_a_count_above_the_one_before() {
    let ours = seal(Form::Encrypt, &[1]);
    let mut zone = Zone::default();
    let (mut a, mut b) = (agent("a", sealed(60, ours.clone())), agent("b", sealed(60, ours.clone())));
    settle(&mut a, at(0.0), &mut zone);
    settle(&mut a, at(60.0), &mut zone);
    a.handle(at(61.0), Event::Ended(Outcome::Ok.into()));
    settle(&mut a, at(61.0), &mut zone);
    settle(&mut b, at(61.0), &mut zone);
    zone.0.clear();
    settle(&mut agent("c", sealed(60, ours)), at(65.0), &mut zone);
    assert_eq!(starts(&settle(&mut b, at(120.0), &mut zone)), [fence(120, 1)]);
}

#[test]
fn a_claim_of_unknown_outcome_is_asked_again_with_the_very_same_value() {
    let mut zone = Zone::default();
    let mut a = agent("a", sealed(60, seal(Form::Encrypt, &[1])));
    settle(&mut a, at(0.0), &mut zone);
    let (expected, value) = until_replace(&mut a, at(60.0), &zone);
    a.handle(at(60.1), Event::Replaced(Ok(Replaced::Unknown("lost".to_owned()))));
    assert_eq!(until_replace(&mut a, at(60.4), &zone), (expected, value));
}

#[test]
fn a_fleet_goes_over_to_a_seal_and_back_one_agent_at_a_time() {
    let lenient =
        |form: Option<Form>| Seal::new(form, vec![SealKey::new(&[1; KEY_BYTES])], "canary.example.com.", true).unwrap();
    let steps =
        [Seal::none(), lenient(Some(Form::Sign)), seal(Form::Sign, &[1]), seal(Form::Encrypt, &[1]), seal(None, &[1])];
    let mut zone = Zone::default();
    settle(&mut agent("first", rules(60)), at(0.0), &mut zone);
    let mut second = 0_u32;
    for seals in steps.windows(2) {
        // The one that is restarted takes the record as the others left it.
        for ours in seals {
            second += 60;
            let mut one = agent(&format!("a{second}"), sealed(60, ours.clone()));
            let actions = settle(&mut one, at(f64::from(second)), &mut zone);
            assert_eq!(starts(&actions), [fence(u64::from(second), 1)]);
            one.handle(at(f64::from(second) + 1.0), Event::Ended(Outcome::Ok.into()));
            settle(&mut one, at(f64::from(second) + 1.0), &mut zone);
        }
    }
    assert!(String::from_utf8_lossy(&zone.0[0]).starts_with("{\"id\""), "as it began");
}

#[test]
fn a_pause_during_a_run_is_kept_and_cannot_be_taken_back_by_the_record_before_it() {
    let ours = seal(Form::Sign, &[1]);
    for is_put_back in [false, true] {
        let mut zone = Zone::default();
        let mut a = agent("a", sealed(60, ours.clone()));
        settle(&mut a, at(0.0), &mut zone);
        settle(&mut a, at(60.0), &mut zone);
        let claim = zone.0.clone();
        let pause = Steer::Pause { reason: "maintenance".to_owned() };
        let paused = pause.apply(&zone.opened(&ours), &rules(60), at(61.0)).unwrap();
        zone.0 = vec![ours.seal(&ours.numbered(paused, 0, at(61.0).wall_ms))];
        a.handle(at(62.0), Event::Ended(Outcome::Ok.into()));
        until_replace(&mut a, at(62.0), &zone);
        a.handle(at(62.0), Event::Replaced(Ok(Replaced::Conflict)));
        // It has seen the pause, and ends its round beside it. Nobody knows whether that was written.
        let (_, end) = until_replace(&mut a, at(62.0), &zone);
        assert_eq!(end.paused.as_deref(), Some("maintenance"));
        a.handle(at(62.0), Event::Replaced(Ok(Replaced::Unknown("lost".to_owned()))));
        if is_put_back {
            // Its claim from before the pause, with a seal that is good.
            zone.0.clone_from(&claim);
        }
        settle(&mut a, at(63.0), &mut zone);
        if is_put_back {
            assert_eq!(zone.0, claim, "nothing is overwritten");
        } else {
            assert_eq!(zone.opened(&ours), end);
        }
    }
}
