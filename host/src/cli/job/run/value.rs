//! Values on the command line of `soloist job run`.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::round::{Data, MAX_DATA_BYTES};

/// The longest run from the command line.
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

/// `key=value`, the value as TOML where it is that, else as text.
pub(super) fn setting(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("write it as `key=value`")?;
    let parsed = toml::from_str::<Map<String, Value>>(&format!("value = {value}"));
    let value = parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    let text = text[key.len() + 1..].to_owned();
    Ok((key.to_owned(), value.unwrap_or(Value::String(text))))
}

/// `KEY=VALUE`, as text.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as `KEY=VALUE`")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A length of time of at most a day.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time.is_zero() || time > MAX_TIMEOUT {
        return Err("it must be more than nothing and at most a day".to_owned());
    }
    Ok(time)
}

/// A text that fits in a record.
pub(super) fn state(text: &str) -> Result<Data, String> {
    Data::new(text.to_owned())
        .map_err(|bytes| format!("it has {bytes} bytes as a JSON string, and at most {MAX_DATA_BYTES} are kept"))
}

/// A size with a unit: `256MiB`, `64KiB`, `1GiB`, or plain bytes.
pub(super) fn memory(text: &str) -> Result<usize, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("its unit must be `KiB`, `MiB` or `GiB`".to_owned()),
    };
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "write a number and a unit, as in `256MiB`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_toml_or_text() {
        for (text, value) in [
            ("url=https://example.com/?a=b", Value::from("https://example.com/?a=b")),
            ("status=200", Value::from(200)),
            ("quick=true", Value::from(true)),
            ("name=\"200\"", Value::from("200")),
            ("list=[1, 2]", serde_json::json!([1, 2])),
            ("empty=", Value::from("")),
            ("two=1\nb = 2", Value::from("1\nb = 2")),
        ] {
            let key = text.split('=').next().unwrap();
            assert_eq!(setting(text), Ok((key.to_owned(), value)), "{text}");
        }
        assert!(setting("nothing").is_err() && setting("=x").is_err());
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(memory("256MiB"), Ok(256 << 20));
        assert_eq!(memory("64 KiB"), Ok(64 << 10));
        assert_eq!(memory("1000"), Ok(1000));
        for wrong in ["", "MiB", "0MiB", "1MB", "-1MiB", "99999999999999999999GiB"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_timeout_is_bounded() {
        assert_eq!(timeout("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(timeout("0s").is_err() && timeout("2days").is_err() && timeout("soon").is_err());
    }
}
