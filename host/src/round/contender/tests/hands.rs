//! Records and clocks that are not what they should be.

use super::super::{Action, Notice, Now, Rules, first_record, readable};
use super::{EPOCH, Zone, agent, at, fence, rules, settle, starts};

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
fn a_record_with_a_round_absurdly_far_ahead_can_be_repaired() {
    let now = at(1.0);
    let far = fence(200_000, 1);
    let record = first_record("x", &rules(60), Some(far), now);
    let mut zone = Zone::default();
    zone.put(&String::from_utf8(record.encode()).unwrap());
    assert_eq!(readable(&zone.observe(), &rules(60), now), Ok(Some(record)));
    assert_eq!(first_record("x", &rules(60), Some(fence(60, 2)), now).fence, Some(fence(60, 2)));
}

#[test]
fn a_claim_by_a_hand_in_our_name_is_given_back_as_a_record_that_can_be_read() {
    let mut zone = Zone::default();
    let mut a = agent("a", rules(60));
    zone.put(&format!(r#"{{"id":"a","timer":{},"timerold":{EPOCH},"r":{EPOCH},"a":2,"f":2,"s":"run"}}"#, EPOCH + 30));
    settle(&mut a, at(1.0), &mut zone);
    assert!(zone.observe().record().is_ok(), "{:?}", String::from_utf8_lossy(&zone.0[0]));
}
