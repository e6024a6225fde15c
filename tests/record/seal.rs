//! The seal: any record is sealed and opened again, and whatever was not sealed with a key of ours, for this name, is refused.

use proptest::collection::vec;
use proptest::prelude::*;
use soloist::round::{Form, KEY_BYTES, Record, Seal, SealKey, Sealed, Unopened, Unreadable};

use super::any_record;

fn any_form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::Sign, Form::Encrypt])
}

fn seal(form: Option<Form>, secrets: &[[u8; KEY_BYTES]], name: &str) -> Seal {
    Seal::new(form, secrets.iter().map(SealKey::new).collect(), name, false).expect("there is a key")
}

const NAME: &str = "canary.example.com.";
const SECRET: [u8; KEY_BYTES] = [5; KEY_BYTES];

proptest! {
    #[test]
    fn any_record_is_sealed_to_one_value_and_opened_as_it_was(
        record in any_record(),
        form in any_form(),
        secret in any::<[u8; KEY_BYTES]>(),
        other in any::<[u8; KEY_BYTES]>(),
        name in "([a-z0-9_-]{1,20}\\.){1,4}",
    ) {
        let ours = seal(Some(form), &[secret], &name);
        let value = ours.seal(&record);
        prop_assert_eq!(&ours.seal(&record), &value);
        prop_assert_eq!(ours.open(&value), Ok(record.clone()));
        prop_assert_eq!(seal(None, &[other, secret], &name).open(&value), Ok(record));
        prop_assert!(seal(Some(form), &[other], &name).open(&value).is_err());
        prop_assert_eq!(seal(Some(form), &[secret], &format!("a{name}")).open(&value), Err(Unopened::Broken.into()));
        prop_assert!(matches!(Seal::none().open(&value), Err(Unreadable::Unopened(Unopened::NoKey(_)))));
        prop_assert_eq!(Sealed::of(&value).map(|sealed| sealed.form), Some(form));
    }

    #[test]
    fn two_records_never_have_one_nonce(one in any_record(), other in any_record()) {
        let ours = seal(Some(Form::Encrypt), &[SECRET], NAME);
        let nonce = |record: &Record| ours.seal(record)["soloist1:01234567.".len()..][..32].to_vec();
        prop_assert_eq!(nonce(&one) == nonce(&other), one == other);
    }

    #[test]
    fn a_value_with_bits_flipped_anywhere_is_refused(
        record in any_record(),
        form in any_form(),
        flips in vec((any::<prop::sample::Index>(), 0..8u8), 1..4),
    ) {
        let ours = seal(Some(form), &[SECRET], NAME);
        let value = ours.seal(&record);
        let mut changed = value.clone();
        for (at, bit) in flips {
            changed[at.index(value.len())] ^= 1 << bit;
        }
        prop_assert_eq!(ours.open(&changed).is_ok(), changed == value);
    }

    #[test]
    fn a_value_that_is_cut_or_joined_with_another_is_refused(
        one in any_record(),
        other in any_record(),
        form in any_form(),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let ours = seal(Some(form), &[SECRET], NAME);
        let (one, other) = (ours.seal(&one), ours.seal(&other));
        let joined = [&one[..cut.0.index(one.len())], &other[cut.1.index(other.len())..]].concat();
        prop_assert_eq!(ours.open(&joined).is_ok(), joined == one || joined == other);
    }

    #[test]
    fn arbitrary_bytes_after_what_a_seal_begins_with_never_make_it_panic(
        start in prop::sample::select(vec!["", "soloist1:", "soloist1:01234567.", "{\"id\":\"a\",\"timer\":1"]),
        bytes in vec(any::<u8>(), 0..200),
        end in prop::sample::select(vec!["", "\"}", ",\"h\":\"01234567.0123456789012345678901234567890123456789012\"}"]),
    ) {
        let value = [start.as_bytes(), &bytes, end.as_bytes()].concat();
        for seal in [Seal::none(), seal(None, &[SECRET], NAME), seal(Some(Form::Sign), &[SECRET], NAME)] {
            let _ = seal.open(&value);
        }
        prop_assert!(seal(Some(Form::Encrypt), &[SECRET], NAME).open(&value).is_err(), "nobody sealed it");
        let _ = Sealed::of(&value);
    }
}
