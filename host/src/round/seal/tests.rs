use super::*;
use crate::round::{Data, MAX_DATA_BYTES, MAX_EXTRA_BYTES, MAX_ID_BYTES, MAX_REASON_BYTES};
use crate::round::{Fence, MAX_ATTEMPT, MAX_TIME, Outcome, State};

const NAME: &str = "canary.example.com.";

fn key(byte: u8) -> SealKey {
    SealKey::new(&[byte; KEY_BYTES])
}

fn seal(form: impl Into<Option<Form>>, keys: &[u8]) -> Seal {
    Seal::new(form.into(), keys.iter().copied().map(key).collect(), NAME, false).unwrap()
}

fn record() -> Record {
    Record {
        fence: Some(Fence { round: 1_800_000_000, attempt: 1 }),
        outcome: Some(Outcome::Ok),
        count: Some(1_800_000_000_123),
        ..Record::new("alto-0123456789abcdef", 1_800_000_060)
    }
}

fn refused(seal: &Seal, value: &[u8]) -> Unopened {
    match seal.open(value) {
        Err(Unreadable::Unopened(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signed_record_is_the_json_with_one_more_field_and_is_pinned() {
    let value = String::from_utf8(seal(Form::Sign, &[1]).seal(&record())).unwrap();
    let plain = String::from_utf8(record().encode()).unwrap();
    // Values in use must stay readable. These bytes are from another implementation (Python's hmac).
    let expected = "a3d802e7.yU5lQ1pESxruN4GFtYZuqcWuWrCee9TRcyt-W0vFb-Q";
    assert_eq!(value, format!("{},\"h\":\"{expected}\"}}", plain.trim_end_matches('}')));
    let read: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!((read["id"].as_str(), read["timer"].as_u64()), (Some("alto-0123456789abcdef"), Some(1_800_000_060)));
}

#[test]
fn an_encrypted_record_shows_nothing_but_its_key_and_is_pinned() {
    let value = String::from_utf8(seal(Form::Encrypt, &[1]).seal(&record())).unwrap();
    // From another implementation (libsodium); between them is the ciphertext, which the tag at the end vouches for.
    let (nonce, tag) = ("soloist1:a3d802e7.5ZKquzgW1zcdi-uugKgdL-3t7Xfaj7J9", "66tULd3xxlK5B-3V87Jw");
    assert!(value.starts_with(nonce) && value.ends_with(tag), "{value}");
    for word in ["alto", "timer", "18000000", "ok"] {
        assert!(!value[20..].contains(word), "{word} in {value}");
    }
    let longer = Record { paused: Some("a reason".to_owned()), ..record() };
    assert_eq!(seal(Form::Encrypt, &[1]).seal(&longer).len(), value.len(), "ordinary records have one length");
}

#[test]
fn what_is_sealed_opens_with_each_key_that_is_accepted_whatever_form_is_written() {
    for form in [Form::Sign, Form::Encrypt] {
        let value = seal(form, &[1]).seal(&record());
        for ours in [seal(Form::Sign, &[2, 1]), seal(Form::Encrypt, &[2, 1]), seal(None, &[1])] {
            assert_eq!(ours.open(&value), Ok(record()));
        }
        assert_eq!(refused(&seal(form, &[2]), &value), Unopened::OtherKey(key(1).id().to_owned()));
        assert_eq!(refused(&Seal::none(), &value), Unopened::NoKey(key(1).id().to_owned()));
    }
}

#[test]
fn no_bit_can_be_flipped_and_no_byte_added_or_taken_away() {
    for form in [Form::Sign, Form::Encrypt] {
        let ours = seal(form, &[1]);
        let value = ours.seal(&record());
        for at in 0..value.len() {
            for bit in 0..8 {
                let mut changed = value.clone();
                changed[at] ^= 1 << bit;
                assert!(ours.open(&changed).is_err(), "{}", String::from_utf8_lossy(&changed));
            }
            assert!(ours.open(&value[..at]).is_err());
            assert!(ours.open(&value[at + 1..]).is_err());
            let added = [&value[..at], b" ", &value[at..]].concat();
            assert!(ours.open(&added).is_err(), "{}", String::from_utf8_lossy(&added));
        }
        assert!(ours.open(&[&value[..], b" "].concat()).is_err());
    }
}

#[test]
fn a_seal_for_another_name_or_another_key_of_the_same_id_is_broken() {
    for form in [Form::Sign, Form::Encrypt] {
        let value = seal(form, &[1]).seal(&record());
        let other = Seal::new(form.into(), vec![key(1)], "other.example.com.", false).unwrap();
        assert_eq!(refused(&other, &value), Unopened::Broken);
        let text = String::from_utf8(value).unwrap().replace(key(1).id(), key(2).id());
        assert_eq!(refused(&seal(form, &[2]), text.as_bytes()), Unopened::Broken);
    }
}

#[test]
fn fields_in_another_order_twice_or_after_the_signature_are_refused() {
    let ours = seal(Form::Sign, &[1]);
    let value = String::from_utf8(ours.seal(&record())).unwrap();
    let (timer, old) = ("\"timer\":1800000060", "\"timerold\":0");
    for changed in [
        value.replace(timer, "X").replace(old, timer).replace('X', old),
        value.replace(timer, &format!("{timer},\"timer\":1")),
        value.replace("\"h\":", &format!("{timer},\"h\":")),
        value.replace("\"}", &format!("\",{timer}}}")),
        value.replace("\"}", "\",\"x\":1}"),
    ] {
        assert_ne!(changed, value);
        let error = ours.open(changed.as_bytes()).unwrap_err();
        assert!(matches!(error, Unreadable::Unopened(Unopened::Broken) | Unreadable::Twice(_)), "{changed}: {error}");
    }
}

#[test]
fn a_record_without_a_seal_is_refused_unless_it_is_accepted() {
    let plain = record().encode();
    let stripped = Record { count: None, ..record() }.encode();
    for form in [Form::Sign, Form::Encrypt] {
        assert_eq!(refused(&seal(form, &[1]), &plain), Unopened::Unsealed);
        let lenient = Seal::new(form.into(), vec![key(1)], NAME, true).unwrap();
        assert_eq!(lenient.open(&plain), Ok(record()));
        assert_eq!(lenient.not_older(lenient.open(&stripped).ok(), 7), Ok(Some(Record { count: None, ..record() })));
    }
    assert_eq!(seal(None, &[1]).open(&plain), Ok(record()));
    assert_eq!(seal(None, &[1]).seal(&record()), plain);
}

#[test]
fn a_field_of_others_with_our_name_is_theirs_where_nothing_is_sealed() {
    let theirs = br#"{"id":"a","timer":1,"h":"hello"}"#;
    assert_eq!(Seal::none().open(theirs).unwrap().extra["h"], "hello");
    assert_eq!(refused(&seal(Form::Sign, &[1]), theirs), Unopened::Unsealed);
}

#[test]
fn the_count_rises_with_each_replacement_and_an_older_one_is_refused() {
    let ours = seal(Form::Sign, &[1]);
    let first = ours.numbered(Record::new("a", 1), 0, 1_000);
    let second = ours.numbered(first.clone(), 0, 900);
    let anew = ours.numbered(Record::new("a", 1), 5_000, 2_000);
    assert_eq!([first.count, second.count, anew.count], [Some(1_000), Some(1_001), Some(5_001)]);
    assert_eq!(ours.not_older(Some(second.clone()), 1_001), Ok(Some(second)));
    let older = Unopened::Older { count: 1_000, newest: 1_001 };
    assert_eq!(ours.not_older(Some(first), 1_001), Err(older.into()));
    assert_eq!(ours.not_older(None, 1_001), Ok(None));
    assert_eq!(Seal::none().numbered(anew, 0, 1_000).count, None);
}

#[test]
fn a_seal_has_from_one_to_eight_keys() {
    let keys = |count: u8| (0..count).map(key).collect();
    assert!(Seal::new(Form::Sign.into(), keys(0), NAME, false).is_none());
    assert!(Seal::new(Form::Sign.into(), keys(8), NAME, false).is_some());
    assert!(Seal::new(Form::Sign.into(), keys(9), NAME, false).is_none());
}

#[test]
fn the_longest_record_has_room_for_its_seal() {
    let longest = Record {
        // A quotation mark is two bytes of JSON.
        id: "\"".repeat(MAX_ID_BYTES),
        timer: MAX_TIME - 1,
        timerold: MAX_TIME - 1,
        fence: Some(Fence { round: MAX_TIME - 1, attempt: MAX_ATTEMPT }),
        returned: MAX_ATTEMPT,
        state: State::Retry,
        outcome: Some(Outcome::Other("o".repeat(16))),
        module: Some("m".repeat(16)),
        wanted: Some("w".repeat(16)),
        data: Some(Data::new("d".repeat(MAX_DATA_BYTES - 2)).unwrap()),
        paused: Some("\"".repeat(MAX_REASON_BYTES)),
        triggered: true,
        count: Some(u64::MAX),
        extra: [("x".to_owned(), "x".repeat(MAX_EXTRA_BYTES - r#"{"x":""}"#.len()).into())].into_iter().collect(),
    };
    for form in [Form::Sign, Form::Encrypt] {
        let value = seal(form, &[1]).seal(&longest);
        assert_eq!(seal(form, &[1]).open(&value).as_ref(), Ok(&longest), "{} bytes", value.len());
    }
}

#[test]
fn what_is_sealed_shows_its_key_and_a_signed_record_itself_to_everybody() {
    let signed = Sealed::of(&seal(Form::Sign, &[1]).seal(&record())).unwrap();
    assert_eq!(signed, Sealed { form: Form::Sign, key: key(1).id().to_owned(), record: Some(record()) });
    let encrypted = Sealed::of(&seal(Form::Encrypt, &[1]).seal(&record())).unwrap();
    assert_eq!(encrypted, Sealed { form: Form::Encrypt, key: key(1).id().to_owned(), record: None });
    assert_eq!(Sealed::of(&record().encode()), None);
}

#[test]
fn no_text_of_a_seal_shows_a_key() {
    let shown = format!("{:?}", seal(Form::Sign, &[1]));
    assert!(shown.contains(key(1).id()) && !shown.contains("[1, 1"), "{shown}");
}
