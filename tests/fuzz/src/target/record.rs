//! Any bytes as a TXT value: what decodes is within its limits, and comes back from its own encoding as it was.

use crate::round::{
    MAX_ATTEMPT, MAX_DATA_BYTES, MAX_EXTRA_BYTES, MAX_ID_BYTES, MAX_REASON_BYTES, MAX_RECORD_BYTES, MAX_TIME,
    Observation, Record, Revision, State, Unreadable,
};

/// Decodes, encodes and decodes again.
pub fn run(data: &[u8]) {
    let Ok(record) = Record::decode(data) else {
        // Two of them are none, whatever they are.
        let several = Observation { revision: Revision::Absent, values: vec![data.to_vec(), data.to_vec()] };
        assert!(several.record().is_err());
        return;
    };
    assert!(data.len() <= MAX_RECORD_BYTES);
    check(&record);
    let padded = [data, &vec![b' '; MAX_RECORD_BYTES - data.len()]].concat();
    assert_eq!(Record::decode(&padded).as_ref(), Ok(&record), "spaces say nothing");
    let long = [&padded[..], b" "].concat();
    assert_eq!(Record::decode(&long), Err(Unreadable::TooLong(long.len())), "no longer record is read");
    let text = record.encode();
    assert!(text.len() <= MAX_RECORD_BYTES, "what was read can be written: {} bytes", text.len());
    let again = Record::decode(&text).expect("what was encoded decodes");
    // The fields of others may have floats, whose last digits are not kept.
    let own = |record: Record| Record { extra: serde_json::Map::new(), ..record };
    assert!(again.extra.keys().eq(record.extra.keys()));
    if !has_float(&serde_json::Value::Object(record.extra.clone())) {
        assert_eq!(again, record);
        assert_eq!(again.encode(), text, "equal records have equal values");
    }
    assert_eq!(own(again), own(record));
}

fn check(record: &Record) {
    let plain = |text: &str| !text.contains(char::is_control);
    assert!((1..=MAX_ID_BYTES).contains(&record.id.len()) && plain(&record.id));
    assert!(record.timer < MAX_TIME && record.timerold < MAX_TIME);
    assert!(record.fence.is_none_or(|fence| fence.round < MAX_TIME && (1..=MAX_ATTEMPT).contains(&fence.attempt)));
    assert!(record.returned <= record.fence.map_or(0, |fence| fence.attempt));
    assert!(record.state == State::Idle || record.fence.is_some());
    assert!(record.paused.as_ref().is_none_or(|reason| reason.len() <= MAX_REASON_BYTES && plain(reason)));
    let data = |data: &crate::round::Data| serde_json::Value::from(data.as_str()).to_string().len();
    assert!(record.data.as_ref().is_none_or(|text| data(text) <= MAX_DATA_BYTES));
    let extra = serde_json::Value::Object(record.extra.clone()).to_string();
    assert!(record.extra.is_empty() || extra.len() <= MAX_EXTRA_BYTES);
}

fn has_float(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Number(number) => number.is_f64(),
        serde_json::Value::Array(values) => values.iter().any(has_float),
        serde_json::Value::Object(fields) => fields.values().any(has_float),
        _ => false,
    }
}
