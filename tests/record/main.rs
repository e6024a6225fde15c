//! The record's codec: whatever an agent writes is read back, whatever others wrote survives, and nothing makes it panic.

mod seal;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use soloist::round::contender::{Action, Backoff, Contender, Event, Now, Rules};
use soloist::round::{
    Data, Fence, MAX_ATTEMPT, MAX_DATA_BYTES, MAX_EXTRA_BYTES, MAX_ID_BYTES, MAX_REASON_BYTES, MAX_RECORD_BYTES,
    MAX_TIME, Observation, Outcome, Record, Replaced, Revision, Schedule, State, Unreadable,
};

/// The keys that are ours.
const OURS: [&str; 14] = ["id", "timer", "timerold", "r", "a", "f", "s", "o", "m", "w", "d", "p", "t", "n"];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // With at most 15 digits: what a double certainly keeps.
        (-999_999_999..999_999_999i32, 0..6i32)
            .prop_map(|(digits, places)| json!(f64::from(digits) / 10f64.powi(places))),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((".{0,8}", inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn any_extra() -> impl Strategy<Value = Map<String, Value>> {
    vec((".{0,10}", any_json()), 0..4).prop_map(|pairs| {
        let mut extra: Map<String, Value> =
            pairs.into_iter().filter(|(key, _)| !OURS.contains(&key.as_str())).collect();
        while Value::Object(extra.clone()).to_string().len() > MAX_EXTRA_BYTES {
            extra.clear();
        }
        extra
    })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        prop::sample::select(vec!["ok", "error", "retry", "timeout", "memory", "output", "panic", "trap", "host"])
            .prop_map(Outcome::from_code),
        Just(Outcome::Stopped),
        Just(Outcome::Lost),
        "[a-z0-9-]{1,16}".prop_map(|code| Outcome::from_code(&code)),
    ]
}

prop_compose! {
    fn any_fence()(round in 0..MAX_TIME, attempt in 1..=MAX_ATTEMPT) -> Fence {
        Fence { round, attempt }
    }
}

prop_compose! {
    fn any_record()(
        id in "\\PC{1,16}",
        timer in 0..MAX_TIME,
        timerold in 0..MAX_TIME,
        fence in option::of(any_fence()),
        returned in 0..=MAX_ATTEMPT,
        state in prop::sample::select(vec![State::Idle, State::Running, State::Once, State::Retry, State::Free]),
        outcome in option::of(any_outcome()),
        (module, wanted) in (option::of("[0-9a-f]{12}"), option::of("[0-9a-f]{12}")),
        data in option::of(".{0,60}".prop_map(|text| Data::new(text).expect("it is short"))),
        (paused, triggered, count) in (option::of("\\PC{0,20}"), any::<bool>(), option::of(any::<u64>())),
        extra in any_extra(),
    ) -> Record {
        Record {
            id,
            timer,
            timerold,
            fence,
            returned: fence.map_or(0, |fence| returned.min(fence.attempt)),
            state: if fence.is_some() { state } else { State::Idle },
            outcome,
            module,
            wanted,
            data,
            paused,
            triggered,
            count,
            extra,
        }
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_as_it_was(record in any_record()) {
        let bytes = record.encode();
        let decoded = Record::decode(&bytes);
        prop_assert_eq!(decoded.as_ref(), Ok(&record));
        prop_assert_eq!(decoded.unwrap().encode(), bytes, "the order of the fields of others stays, too");
    }

    #[test]
    fn arbitrary_bytes_never_make_it_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn a_record_with_bytes_changed_is_decoded_to_what_can_be_written_or_refused(
        record in any_record(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = record.encode();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(decoded) = Record::decode(&bytes) {
            prop_assert_eq!(Record::decode(&decoded.encode()), Ok(decoded));
        }
    }

    #[test]
    fn arbitrary_json_in_our_fields_is_decoded_to_what_can_be_written_or_refused(
        fields in vec((prop::sample::select(&OURS[..]), any_json()), 0..12),
    ) {
        let mut object = json!({"id": "x", "timer": 1}).as_object().unwrap().clone();
        object.extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
        if let Ok(decoded) = Record::decode(Value::Object(object).to_string().as_bytes()) {
            prop_assert_eq!(Record::decode(&decoded.encode()), Ok(decoded));
        }
    }

    #[test]
    fn an_ordinary_record_fits_one_string(
        host in "[a-z0-9-]{1,40}",
        fence in any_fence(),
        returned in 0u32..100,
        attempt in 1u32..100,
        timer in 0..4_000_000_000u64,
        outcome in any_outcome(),
    ) {
        let record = Record {
            id: format!("{host}-0123456789abcdef"),
            timer,
            timerold: timer,
            fence: Some(Fence { round: fence.round % 4_000_000_000, attempt }),
            returned: returned.min(attempt),
            state: State::Running,
            outcome: Some(outcome),
            module: Some("0123456789ab".to_owned()),
            ..Record::new("", 0)
        };
        prop_assert!(record.encode().len() <= 255, "{} bytes", record.encode().len());
    }

    #[test]
    fn what_others_wrote_survives_a_claim_a_renewal_and_a_completion(extra in any_extra()) {
        let plain = Record {
            timerold: EPOCH - 70,
            extra: extra.clone(),
            ..Record::new("MAWDAHDOQH", EPOCH)
        };
        let written = written_over(&plain);
        let states: Vec<State> = written.iter().map(|record| record.state).collect();
        prop_assert_eq!(states, [State::Running, State::Running, State::Idle]);
        for record in written {
            prop_assert_eq!(Value::Object(record.extra.clone()).to_string(), Value::Object(extra.clone()).to_string());
            prop_assert!(record.encode().len() <= MAX_RECORD_BYTES);
            prop_assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }
}

const EPOCH: u64 = 1_800_000_000;

/// What an agent writes over a due record: a claim, a renewal, the end.
fn written_over(record: &Record) -> Vec<Record> {
    let rules = Rules {
        lease_ms: 10_000,
        renew_ms: Some(5_000),
        attempts: 3,
        backoff: Backoff { base_ms: 1_000, cap_ms: 4_000 },
        spread_ms: 0,
        ..Rules::new(Schedule::every(60).expect("a minute is an interval"))
    };
    let at = |ms: u64| Now { wall_ms: EPOCH * 1000 + ms, mono_ms: ms };
    let mut agent = Contender::new("an-agent-0123456789abcdef".to_owned(), rules, 7, at(0));
    agent.handle(at(0), Event::Module(Some("0123456789ab".to_owned())));
    let mut value = record.encode();
    let mut written = Vec::new();
    for (ms, event) in [(0, Event::Time), (5_000, Event::Time), (6_000, Event::Ended(Outcome::Ok.into()))] {
        agent.handle(at(ms), event);
        while let Some(action) = agent.poll_action() {
            let revision = Revision::Exact(value.clone().into());
            match action {
                Action::Read => {
                    let seen = Observation { revision, values: vec![value.clone()] };
                    agent.handle(at(ms), Event::Read(Ok(seen)));
                }
                Action::Replace { expected, record, .. } => {
                    assert_eq!(expected, revision);
                    value = record.encode();
                    written.push(record);
                    let revision = Revision::Exact(value.clone().into());
                    agent.handle(at(ms), Event::Replaced(Ok(Replaced::Applied(revision))));
                }
                _ => {}
            }
        }
    }
    written
}

#[test]
fn the_plain_record_of_four_fields_is_decoded_and_its_entryid_kept() {
    let plain = br#"{"id": "MAWDAHDOQH", "timer": 1642500093, "timerold": 1642500022, "entryid": "1b60"}"#;
    let record = Record::decode(plain).unwrap();
    assert_eq!((record.id.as_str(), record.timer, record.timerold), ("MAWDAHDOQH", 1_642_500_093, 1_642_500_022));
    assert_eq!((record.fence, record.state, &record.outcome), (None, State::Idle, &None));
    assert_eq!(record.extra["entryid"], "1b60");
    assert_eq!(record.encode(), br#"{"id":"MAWDAHDOQH","timer":1642500093,"timerold":1642500022,"entryid":"1b60"}"#);
}

#[test]
fn times_that_other_programs_write_as_floats_count_by_their_whole_seconds() {
    let record = Record::decode(br#"{"id":"x","timer":1642500093.75,"timerold":1.6425e9}"#).unwrap();
    assert_eq!((record.timer, record.timerold), (1_642_500_093, 1_642_500_000));
}

#[test]
fn the_order_of_the_fields_of_others_stays() {
    let value = br#"{"z":1,"id":"x","b":2,"timer":5,"y":3,"timerold":4,"a1":4,"c":5}"#;
    let kept: Vec<String> = Record::decode(value).unwrap().extra.keys().cloned().collect();
    assert_eq!(kept, ["z", "b", "y", "a1", "c"]);
}

/// The field that is named when the value is refused.
fn refused_field(value: &str) -> &'static str {
    match Record::decode(value.as_bytes()) {
        Err(Unreadable::Field { field, problem }) => {
            assert!(!problem.is_empty());
            field
        }
        other => panic!("{value}: {other:?}"),
    }
}

#[test]
fn a_field_that_is_out_of_its_limits_is_refused_and_named() {
    let long = "x".repeat(MAX_ID_BYTES + 1);
    for id in [r#""""#.to_owned(), format!(r#""{long}""#), "5".to_owned(), r#""a\u001b[31m""#.to_owned()] {
        assert_eq!(refused_field(&format!(r#"{{"id":{id},"timer":1}}"#)), "id", "{id}");
    }
    assert_eq!(refused_field(r#"{"timer":1}"#), "id");
    assert_eq!(refused_field(r#"{"id":"x"}"#), "timer");
    for time in ["-1", "-0.5", "253402300800", "1e300", "\"1\"", "null", "true", "[1]", "18446744073709551616"] {
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":{time}}}"#)), "timer", "{time}");
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"timerold":{time}}}"#)), "timerold", "{time}");
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"r":{time},"a":1}}"#)), "r", "{time}");
    }
    for attempt in ["0", "-1", "1.5", "1000001", "4294967296", "\"1\"", "null"] {
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"r":1,"a":{attempt}}}"#)), "a", "{attempt}");
    }
    for returned in ["-1", "3", "1.5", "\"1\""] {
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"r":1,"a":2,"f":{returned}}}"#)), "f", "{returned}");
    }
    assert_eq!(refused_field(r#"{"id":"x","timer":1,"f":1}"#), "f");
    assert_eq!(refused_field(r#"{"id":"x","timer":1,"r":1}"#), "a");
    assert_eq!(refused_field(r#"{"id":"x","timer":1,"a":1}"#), "r");
    for state in [r#""""#, r#""RUN""#, r#""idle""#, "1", "null"] {
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"r":1,"a":1,"s":{state}}}"#)), "s", "{state}");
    }
    assert_eq!(refused_field(r#"{"id":"x","timer":1,"s":"run"}"#), "s");
    for code in [r#""""#, r#""Ok""#, r#""o k""#, r#""12345678901234567""#, "1", "null"] {
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"o":{code}}}"#)), "o", "{code}");
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"m":{code}}}"#)), "m", "{code}");
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"w":{code}}}"#)), "w", "{code}");
    }
    let long = Value::from("\"".repeat(MAX_DATA_BYTES / 2)).to_string();
    for data in ["1", "null", "{}", "[\"a\"]", &long] {
        assert_eq!(refused_field(&format!(r#"{{"id":"x","timer":1,"d":{data}}}"#)), "d", "{data}");
    }
}

#[test]
fn a_jobs_text_is_any_text_within_its_limit() {
    // Written as short as JSON can be, however it came.
    let escaped = format!(r#"{{"id":"x","timer":1,"d":"{}"}}"#, "\\u0061".repeat(MAX_DATA_BYTES / 2));
    let record = Record::decode(escaped.as_bytes()).unwrap();
    assert_eq!(record.data.as_ref().map(Data::as_str), Some("a".repeat(MAX_DATA_BYTES / 2).as_str()));
    for text in ["", "\u{0}\n", "{\"a\":1}", "naïve 🎷"] {
        let record = Record { data: Some(Data::new(text.to_owned()).unwrap()), ..Record::new("x", 1) };
        assert_eq!(Record::decode(&record.encode()), Ok(record));
    }
}

#[test]
fn a_field_that_stands_twice_is_refused_and_named() {
    for key in ["id", "timer", "entryid", "escaped\u{1b}"] {
        let key = Value::from(key).to_string();
        let value = format!(r#"{{"id":"x","timer":1,"entryid":1,"escaped\u001b":2,{key}:3}}"#);
        let error = Record::decode(value.as_bytes()).unwrap_err();
        assert!(matches!(error, Unreadable::Twice(_)), "{key}: {error:?}");
        assert!(!error.to_string().contains('\u{1b}'), "nothing from outside controls a terminal");
    }
    let error = Record::decode(br#"{"id":"x","timer":1,"timer":2}"#).unwrap_err();
    assert_eq!(error.to_string(), "the field `timer` stands more than once");
}

#[test]
fn a_value_that_is_too_long_or_leaves_no_room_for_ours_is_refused() {
    let padded = |bytes: usize| format!(r#"{{"id":"x","timer":1{}}}"#, " ".repeat(bytes - 20)).into_bytes();
    assert_eq!(padded(MAX_RECORD_BYTES).len(), MAX_RECORD_BYTES);
    assert!(Record::decode(&padded(MAX_RECORD_BYTES)).is_ok());
    assert_eq!(Record::decode(&padded(MAX_RECORD_BYTES + 1)), Err(Unreadable::TooLong(MAX_RECORD_BYTES + 1)));

    let with_note = |bytes: usize| format!(r#"{{"id":"x","timer":1,"note":"{}"}}"#, "n".repeat(bytes - 11));
    assert!(Record::decode(with_note(MAX_EXTRA_BYTES).as_bytes()).is_ok());
    let refused = Record::decode(with_note(MAX_EXTRA_BYTES + 1).as_bytes());
    assert_eq!(refused, Err(Unreadable::NoRoom(MAX_EXTRA_BYTES + 1)));
    // Short as it came, long as it would be written.
    let growing = format!(r#"{{"id":"x","timer":1,"note":[{}1]}}"#, "1e15,".repeat(100));
    assert!(matches!(Record::decode(growing.as_bytes()), Err(Unreadable::NoRoom(_))));
}

#[test]
fn the_longest_fields_of_ours_fit_beside_the_longest_of_others() {
    let fields = json!({"note": "n".repeat(MAX_EXTRA_BYTES - 11)});
    let record = Record {
        id: "\"".repeat(MAX_ID_BYTES),
        timer: MAX_TIME - 1,
        timerold: MAX_TIME - 1,
        fence: Some(Fence { round: MAX_TIME - 1, attempt: MAX_ATTEMPT }),
        returned: MAX_ATTEMPT,
        state: State::Retry,
        outcome: Some(Outcome::Other("1234567890123456".to_owned())),
        module: Some("1234567890123456".to_owned()),
        wanted: Some("1234567890123456".to_owned()),
        data: Some(Data::new("\"".repeat(MAX_DATA_BYTES / 2 - 1)).unwrap()),
        paused: Some("\"".repeat(MAX_REASON_BYTES)),
        triggered: true,
        count: Some(u64::MAX),
        extra: fields.as_object().unwrap().clone(),
    };
    assert_eq!(Record::decode(&record.encode()), Ok(record));
}

#[test]
fn what_is_no_json_object_is_refused() {
    let deep = format!(r#"{{"id":"x","timer":1,"x":{}{}}}"#, "[".repeat(600), "]".repeat(600));
    for value in ["", " ", "null", "5", "[]", "\"{}\"", "v=spf1 -all", "{", "{}{}", r#"{"id":"x","timer":1}x"#, &deep] {
        assert!(matches!(Record::decode(value.as_bytes()), Err(Unreadable::NotJson(_))), "{value}");
    }
    assert!(matches!(Record::decode(b"{\"id\":\"\xff\",\"timer\":1}"), Err(Unreadable::NotJson(_))));
}
