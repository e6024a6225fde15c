//! The fields of a record, taken one by one from its JSON object, each in the only form that it can have.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::data::MAX_DATA_BYTES;
use super::{Data, Fence, MAX_ATTEMPT, MAX_EXTRA_BYTES, MAX_ID_BYTES, MAX_REASON_BYTES, MAX_TIME, Unreadable};

/// The fields of a JSON object as they came: each of them, should one stand twice.
pub(super) struct Fields(pub(super) Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Fields(pairs))
    }
}

pub(super) fn problem(field: &'static str, problem: String) -> Unreadable {
    Unreadable::Field { field, problem }
}

/// Without control characters: an id is shown to people, on terminals.
pub(super) fn take_id(fields: &mut Map<String, Value>) -> Result<String, Unreadable> {
    let valid = |id: &str| (1..=MAX_ID_BYTES).contains(&id.len()) && !id.contains(char::is_control);
    match fields.shift_remove("id") {
        Some(Value::String(id)) if valid(&id) => Ok(id),
        Some(_) => {
            Err(problem("id", format!("must be a string of 1 to {MAX_ID_BYTES} bytes without control characters")))
        }
        None => Err(problem("id", "is missing".to_owned())),
    }
}

pub(super) fn take_paused(fields: &mut Map<String, Value>) -> Result<Option<String>, Unreadable> {
    let valid = |reason: &str| reason.len() <= MAX_REASON_BYTES && !reason.contains(char::is_control);
    match fields.shift_remove("p") {
        None => Ok(None),
        Some(Value::String(reason)) if valid(&reason) => Ok(Some(reason)),
        Some(_) => Err(problem(
            "p",
            format!("must be a string of at most {MAX_REASON_BYTES} bytes without control characters"),
        )),
    }
}

pub(super) fn take_data(fields: &mut Map<String, Value>) -> Result<Option<Data>, Unreadable> {
    match fields.shift_remove("d") {
        None => Ok(None),
        Some(Value::String(text)) => Data::new(text).map(Some).map_err(|bytes| {
            problem("d", format!("has {bytes} bytes as a JSON string, and there is room for {MAX_DATA_BYTES}"))
        }),
        Some(_) => Err(problem("d", "must be a string".to_owned())),
    }
}

pub(super) fn take_extra(fields: Map<String, Value>) -> Result<Map<String, Value>, Unreadable> {
    if fields.is_empty() {
        return Ok(fields);
    }
    // As we write it, which may be longer than what came: `1e15` becomes `1000000000000000.0`.
    let value = Value::Object(fields);
    let bytes = value.to_string().len();
    match value {
        Value::Object(fields) if bytes <= MAX_EXTRA_BYTES => Ok(fields),
        _ => Err(Unreadable::NoRoom(bytes)),
    }
}

/// A time: a whole number, or a float of which the whole seconds count, as other programs write them.
pub(super) fn take_time(fields: &mut Map<String, Value>, key: &'static str) -> Result<Option<u64>, Unreadable> {
    let Some(value) = fields.shift_remove(key) else { return Ok(None) };
    let seconds = value.as_number().and_then(whole_seconds).filter(|seconds| *seconds < MAX_TIME);
    seconds.map(Some).ok_or_else(|| problem(key, "must be a time in seconds since the Unix epoch".to_owned()))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
#[expect(clippy::cast_precision_loss, reason = "MAX_TIME is far below 2^53")]
fn whole_seconds(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let seconds = number.as_f64()?;
        (0.0..MAX_TIME as f64).contains(&seconds).then_some(seconds as u64)
    })
}

pub(super) fn take_fence(fields: &mut Map<String, Value>) -> Result<Option<Fence>, Unreadable> {
    let round = take_time(fields, "r")?;
    let attempt = match fields.shift_remove("a") {
        None => None,
        Some(value) => {
            let attempt = value.as_u64().and_then(|attempt| u32::try_from(attempt).ok());
            let valid = attempt.filter(|attempt| (1..=MAX_ATTEMPT).contains(attempt));
            Some(valid.ok_or_else(|| problem("a", format!("must be a whole number from 1 to {MAX_ATTEMPT}")))?)
        }
    };
    match (round, attempt) {
        (Some(round), Some(attempt)) => Ok(Some(Fence { round, attempt })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(problem("a", "is missing beside `r`".to_owned())),
        (None, Some(_)) => Err(problem("r", "is missing beside `a`".to_owned())),
    }
}

pub(super) fn take_returned(fields: &mut Map<String, Value>, fence: Option<Fence>) -> Result<u32, Unreadable> {
    let Some(value) = fields.shift_remove("f") else { return Ok(0) };
    let attempt = fence.map_or(0, |fence| fence.attempt);
    let returned = value.as_u64().and_then(|returned| u32::try_from(returned).ok());
    returned
        .filter(|returned| *returned <= attempt)
        .ok_or_else(|| problem("f", "must be a whole number, at most `a`".to_owned()))
}

/// A short code: lower-case letters, digits and hyphens.
pub(super) fn take_code(fields: &mut Map<String, Value>, key: &'static str) -> Result<Option<String>, Unreadable> {
    let valid = |code: &str| {
        (1..=16).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    match fields.shift_remove(key) {
        None => Ok(None),
        Some(Value::String(code)) if valid(&code) => Ok(Some(code)),
        Some(_) => Err(problem(key, "must be a short lower-case code".to_owned())),
    }
}
