//! Any bytes as a sealed value or as a key file: nothing opens that was not sealed with one of the keys, for this name.

use arbitrary::{Arbitrary as _, Result, Unstructured};

use crate::round::{
    Fence, Form, KEY_BYTES, MAX_ATTEMPT, MAX_RECORD_BYTES, MAX_TIME, Outcome, Record, Seal, SealKey, Sealed, State,
};

/// The record's name, and one that it is not.
pub(super) const NAME: &str = "job.example.test.";
pub(super) const OTHER_NAME: &str = "job.example.tess.";

/// The byte that a key's secret is made of: two that are accepted, and one that is not.
pub(super) const FIRST: u8 = 1;
pub(super) const SECOND: u8 = 2;
pub(super) const FOREIGN: u8 = 3;

const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Opens what nobody sealed, what was sealed and what was changed since; reads keys.
pub fn run(data: &[u8]) {
    let _ = open(&mut Unstructured::new(data));
}

/// A seal of such keys for a name.
pub(super) fn seal(form: Option<Form>, keys: &[u8], name: &str, accepts_unsealed: bool) -> Seal {
    let keys = keys.iter().map(|byte| SealKey::new(&[*byte; KEY_BYTES])).collect();
    Seal::new(form, keys, name, accepts_unsealed).expect("there are keys")
}

/// Any seal with a key that a configuration can have for the record.
pub(super) fn any(u: &mut Unstructured<'_>) -> Result<Seal> {
    let form = *u.choose(&[Some(Form::Sign), Some(Form::Encrypt), None])?;
    let keys: &[u8] = if u.ratio(3, 4)? { &[FIRST] } else { &[SECOND, FIRST] };
    Ok(seal(form, keys, NAME, u.ratio(1, 4)?))
}

fn open(u: &mut Unstructured<'_>) -> Result<()> {
    let ours = any(u)?;
    match u.int_in_range(0..=5)? {
        0 => refuse(&ours, u.bytes(u.len())?),
        1 | 2 => refuse(&ours, &forged(u)?),
        3 => key(u)?,
        _ => {
            let record = record(u)?;
            if Record::decode(&record.encode()).as_ref() == Ok(&record) {
                keep(&ours, &record);
                count(&ours, &record, u)?;
                change(&ours, &record, u)?;
            }
        }
    }
    Ok(())
}

/// Opens what is none of ours, unless it is by accident exactly what we would have written.
fn refuse(ours: &Seal, value: &[u8]) {
    let shown = Sealed::of(value);
    assert!(shown.is_none() || Seal::none().open(value).is_err(), "a sealed record opens without a key");
    let Ok(record) = ours.open(value) else { return };
    assert!(value.len() <= MAX_RECORD_BYTES, "what opens is no longer than a record");
    if shown.is_none() {
        assert!(ours.accepts_unsealed(), "a record without a seal opens");
        assert_eq!(Record::decode(value).as_ref(), Ok(&record));
        return;
    }
    let is_made = [Form::Sign, Form::Encrypt].into_iter().any(|form| {
        [FIRST, SECOND].into_iter().any(|key| seal(Some(form), &[key], NAME, false).seal(&record) == value)
    });
    assert!(is_made, "nobody sealed it, and it opens: {}", String::from_utf8_lossy(value));
}

/// What looks like a sealed value, with the id of one of our keys.
fn forged(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let id = SealKey::new(&[*u.choose(&[FIRST, SECOND, FOREIGN])?; KEY_BYTES]).id().to_owned();
    if bool::arbitrary(u)? {
        let fields = if u.ratio(1, 2)? { record(u)?.encode() } else { <&[u8]>::arbitrary(u)?.to_vec() };
        let length = if u.ratio(3, 4)? { 43 } else { u.int_in_range(0..=64)? };
        let mac = digits(u, length)?;
        return Ok(
            [fields.strip_suffix(b"}").unwrap_or(&fields), b",\"h\":\"", id.as_bytes(), b".", &mac, b"\"}"].concat()
        );
    }
    let length = u.int_in_range(0..=MAX_RECORD_BYTES + 64)?;
    Ok([&b"soloist1:"[..], id.as_bytes(), b".", &digits(u, length)?].concat())
}

fn digits(u: &mut Unstructured<'_>, length: usize) -> Result<Vec<u8>> {
    (0..length).map(|_| if u.is_empty() { Ok(b'A') } else { u.choose(DIGITS).copied() }).collect()
}

/// Any record that an agent or an operator can write.
fn record(u: &mut Unstructured<'_>) -> Result<Record> {
    let text = |u: &mut Unstructured<'_>, most: usize| -> Result<String> {
        let mut text: String = <&str>::arbitrary(u)?.chars().filter(|c| !c.is_control()).collect();
        while text.len() > most {
            text.pop();
        }
        Ok(text)
    };
    let mut record = Record::new(&format!("a{}", text(u, 63)?), u64::arbitrary(u)? % MAX_TIME);
    if bool::arbitrary(u)? {
        let attempt = u.int_in_range(1..=MAX_ATTEMPT)?;
        record.fence = Some(Fence { round: u64::arbitrary(u)? % MAX_TIME, attempt });
        record.returned = u.int_in_range(0..=attempt)?;
        record.state = *u.choose(&[State::Idle, State::Running, State::Once, State::Retry, State::Free])?;
    }
    record.timerold = u64::arbitrary(u)? % MAX_TIME;
    record.outcome = bool::arbitrary(u)?.then_some(Outcome::Timeout);
    record.module = bool::arbitrary(u)?.then(|| "0123456789ab".to_owned());
    record.paused = if bool::arbitrary(u)? { Some(text(u, 80)?) } else { None };
    record.triggered = bool::arbitrary(u)?;
    record.count = Option::<u64>::arbitrary(u)?;
    for _ in 0..u.int_in_range(0..=3)? {
        let key = if u.ratio(1, 4)? { "h".to_owned() } else { format!("x{}", text(u, 20)?) };
        let size = u.int_in_range(0..=900)?;
        let value = if u.ratio(1, 4)? { "x".repeat(size) } else { text(u, size)? };
        record.extra.insert(key, value.into());
    }
    Ok(record)
}

/// What is sealed opens to the same record, with each key that is accepted, and with nothing else.
fn keep(ours: &Seal, record: &Record) {
    let value = ours.seal(record);
    assert!(value.len() <= MAX_RECORD_BYTES, "{} bytes", value.len());
    assert_eq!(ours.seal(record), value, "equal records have equal values");
    let shown = Sealed::of(&value);
    let Some(form) = ours.form() else {
        // A field of others that looks like a signature is refused as one.
        assert!(ours.open(&value).as_ref() == Ok(record) || record.extra.contains_key("h"));
        return;
    };
    assert_eq!(ours.open(&value).as_ref(), Ok(record));
    let shown = shown.expect("it is sealed");
    assert_eq!((shown.form, Some(shown.key.as_str())), (form, ours.key_id()));
    assert_eq!(shown.record.as_ref(), Some(record).filter(|_| form == Form::Sign));
    for other in [Some(Form::Sign), Some(Form::Encrypt), None] {
        assert_eq!(seal(other, &[SECOND, FIRST], NAME, false).open(&value).as_ref(), Ok(record));
        for accepts_unsealed in [false, true] {
            let foreign = seal(other, &[FOREIGN], NAME, accepts_unsealed);
            assert!(foreign.open(&value).is_err(), "another key opens it");
            let elsewhere = seal(other, &[SECOND, FIRST], OTHER_NAME, accepts_unsealed);
            assert!(elsewhere.open(&value).is_err(), "it opens at another name");
        }
    }
    assert!(Seal::none().open(&value).is_err(), "it opens without a key");
}

/// A replacement's count rises, and an older record is told by it.
fn count(ours: &Seal, record: &Record, u: &mut Unstructured<'_>) -> Result<()> {
    let (newest, wall_ms) = (u64::arbitrary(u)?, u64::arbitrary(u)?);
    let next = ours.numbered(record.clone(), newest, wall_ms);
    assert_eq!(Record { count: record.count, ..next.clone() }, *record);
    assert_eq!(next.count.is_some(), ours.form().is_some());
    let before = record.count.unwrap_or(0).max(newest);
    assert!(next.count.is_none_or(|count| count > before || before == u64::MAX));
    assert!(next.count.is_none_or(|count| count >= wall_ms));
    let is_older = record.count.unwrap_or(0) < newest;
    assert_eq!(ours.not_older(Some(record.clone()), newest).is_err(), is_older && !ours.accepts_unsealed());
    Ok(())
}

/// A sealed value that was changed anywhere is refused; where unsealed ones are accepted, unless it is one of those now.
fn change(ours: &Seal, record: &Record, u: &mut Unstructured<'_>) -> Result<()> {
    let form = ours.form().unwrap_or(Form::Sign);
    let value = seal(Some(form), &[FIRST], NAME, false).seal(record);
    for _ in 0..8 {
        let changed = changed(&value, u)?;
        if changed == value {
            continue;
        }
        let _ = Sealed::of(&changed);
        match ours.open(&changed) {
            Err(_) => {}
            Ok(opened) => {
                assert!(ours.accepts_unsealed() && Sealed::of(&changed).is_none(), "a change is not noticed");
                assert_eq!(Record::decode(&changed), Ok(opened));
            }
        }
    }
    let long = [&value[..], &vec![b' '; MAX_RECORD_BYTES + 1 - value.len()]].concat();
    assert!(ours.open(&long).is_err(), "a value is longer than any record");
    Ok(())
}

fn changed(value: &[u8], u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut changed = value.to_vec();
    let place = u.int_in_range(0..=value.len() - 1)?;
    match u.int_in_range(0..=6)? {
        0 => changed.truncate(place),
        1 => changed.insert(place, u8::arbitrary(u)?),
        2 => drop(changed.remove(place)),
        3 => changed.extend_from_slice(<&[u8]>::arbitrary(u)?),
        4 => changed.swap(place, u.int_in_range(0..=value.len() - 1)?),
        5 => changed[place] = *u.choose(b"0123456789 ")?,
        _ => changed[place] ^= 1 << u.int_in_range(0..=7)?,
    }
    Ok(changed)
}

/// A key's text holds that key; any other text holds another one or none, and no text for people shows any of it.
fn key(u: &mut Unstructured<'_>) -> Result<()> {
    let mut secret = [0; KEY_BYTES];
    secret[..].copy_from_slice(u.bytes(KEY_BYTES.min(u.len()))?.first_chunk().unwrap_or(&[FIRST; KEY_BYTES]));
    let text = SealKey::text(&secret);
    let key = SealKey::from_text(&text).expect("a key's text holds it");
    let probe =
        |key: SealKey| Seal::new(Some(Form::Sign), vec![key], NAME, false).map(|seal| seal.seal(&Record::new("a", 1)));
    let sealed = probe(key);
    assert_eq!(sealed, probe(SealKey::new(&secret)));
    let other = changed(text.as_bytes(), u)?;
    for other in [&other, u.bytes(u.len())?] {
        let Ok(other) = std::str::from_utf8(other) else { continue };
        let Some(key) = SealKey::from_text(other) else { continue };
        let digits = other.trim().strip_prefix("soloist-seal-1.").expect("a key says what it is");
        assert_eq!(digits.len(), 43, "a key has 32 bytes");
        assert!(!format!("{key:?}").contains(digits));
        assert_eq!(probe(key) == sealed, other.trim() == text.as_str(), "two texts hold one key");
    }
    Ok(())
}
