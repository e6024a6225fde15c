//! Signatures that Debian's minisign 0.11 made of `module one`.

use super::*;

pub(in crate::module) const MODULE: &[u8] = b"module one";
pub(in crate::module) const KEY: &str = "RWTNNHQVxKHgycwgIjUSFbw8arWrGAvI3CvV0Mdltnje/QdtdHIbSSq2";
const OTHER_KEY: &str = "RWT/SghPo/0b3amzNTC9yWl2CbYx4AZK8iHZi7RIVP/SSWgLHiib7bn/";

/// With the trusted comment `release 1`.
pub(in crate::module) const GOOD: &str = "untrusted comment: signature from minisign secret key\n\
RUTNNHQVxKHgyb7NWvbz0Vwpd4Xi4rjE6q7+Elc72Osg3qhlFdJVrG0Ek2cno1atpwf2OJkjxNVkPitG+8zQzhhekgRLfphllAA=\n\
trusted comment: release 1\n\
0PcA97igpn4HnkGC71sVNCKgGsE82aPephIpwgyMJVDjbQ+KLbiGzs+MaT/Qq4Bt6/Ja/nV6aNSmoLjj80G9Bg==";

/// `minisign -l`.
const LEGACY: &str = "untrusted comment: signature from minisign secret key\n\
RWTNNHQVxKHgydTu2jqav3W+VeGZb9o1T+aPF71WXnFpbX7Luqix3fb36DHnrUaIjEhRmj1lYdGrOxn1SzB5HNURppOmz0J1Pgs=\n\
trusted comment: timestamp:1795267707\tfile:m.wasm\n\
FCQWMfqR+dCAGtwCeYKLaKuKXPp5T/oKHTK+HJ4vxPtsbmp0BfagRXgPZ78bht25UnuVLOB7FIhe4fOfElsPCg==";

/// By [`OTHER_KEY`].
const BY_OTHER: &str = "untrusted comment: signature from minisign secret key\n\
RUT/SghPo/0b3Xn4z5jJT3SfKbf3K3x3jgwyKpHSgce2o9QNohq8JqwC5DCvDnfYwBoI6WQuClUE0TW+TkF5xVG5rdWcWrPkOw4=\n\
trusted comment: timestamp:1795267707\tfile:m.wasm\thashed\n\
nitofmQOPRjlOXNEfNXfWDdiB27AgnccKMlGkd8yo1AyeQBsXVL01bUFqp1T5ZNi4mf0i6Onkg2U62fb0nBgDQ==";

fn keys(keys: &[&str]) -> Trust {
    Trust::new(&[], &keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>()).unwrap()
}

fn check(trust: &Trust, bytes: &'static [u8], signatures: &[&str]) -> Result<Trusted, Why> {
    let signatures: Vec<String> = signatures.iter().map(|&text| text.to_owned()).collect();
    trust.check(Bytes::from_static(bytes), &signatures).map_err(|error| error.why)
}

#[test]
fn without_demands_everything_is_trusted_and_no_signature_is_kept() {
    let trusted = check(&Trust::default(), MODULE, &["whatever"]).unwrap();
    assert_eq!((trusted.bytes().as_ref(), trusted.digest()), (MODULE, Digest::of(MODULE)));
    assert_eq!((trusted.signature(), trusted.comment()), (None, None));
}

#[test]
fn one_of_the_pinned_digests_is_enough_and_no_other_one_is() {
    let pins = [Digest::of(b"another").to_string(), Digest::of(MODULE).to_string()];
    let trust = Trust::new(&pins, &[]).unwrap();
    assert!(check(&trust, MODULE, &[]).is_ok());
    let why = check(&trust, b"module onf", &[]).unwrap_err();
    assert!(why.to_string().contains(&pins[0]) && why.to_string().contains(&pins[1]), "{why}");
}

#[test]
fn a_good_signature_by_one_of_the_keys_is_trusted_with_its_comment() {
    let trusted = check(&keys(&[OTHER_KEY, KEY]), MODULE, &["no signature", BY_OTHER, GOOD]).unwrap();
    assert_eq!(trusted.signature(), Some(BY_OTHER));
    let trusted = check(&keys(&[KEY]), MODULE, &[BY_OTHER, GOOD]).unwrap();
    assert_eq!((trusted.signature(), trusted.comment()), (Some(GOOD), Some("release 1")));
}

#[test]
fn no_more_than_so_many_signatures_are_looked_at() {
    let mut signatures = [BY_OTHER; MAX_SIGNATURES + 1];
    signatures[MAX_SIGNATURES] = GOOD;
    assert!(matches!(check(&keys(&[KEY]), MODULE, &signatures), Err(Why::Stranger { .. })));
    assert!(check(&keys(&[KEY]), MODULE, &signatures[1..]).is_ok());
}

#[test]
fn what_was_stored_with_its_signature_is_judged_again_by_the_same_rules() {
    let trusted = check(&keys(&[KEY]), MODULE, &[GOOD]).unwrap();
    let stored = [trusted.signature().unwrap().to_owned()];
    assert!(keys(&[KEY]).check(trusted.bytes().clone(), &stored).is_ok());
    assert!(keys(&[OTHER_KEY]).check(trusted.bytes().clone(), &stored).is_err());
}

#[test]
fn unsigned_altered_foreign_and_old_signatures_are_told_apart() {
    let trust = keys(&[KEY]);
    assert_eq!(check(&trust, MODULE, &[]).unwrap_err(), Why::Unsigned);
    assert_eq!(check(&trust, MODULE, &[""]).unwrap_err(), Why::NoSignature);
    assert_eq!(check(&trust, MODULE, &[KEY, &"A".repeat(9000)]).unwrap_err(), Why::NoSignature);
    let id = KeyId::of(KEY).unwrap();
    assert_eq!(id.to_string(), "C9E0A1C4157434CD");
    assert_eq!(check(&trust, b"module onf", &["", GOOD, BY_OTHER]).unwrap_err(), Why::Altered { id });
    assert_eq!(check(&trust, MODULE, &[LEGACY]).unwrap_err(), Why::Legacy { id });
    let stranger = Why::Stranger { id: KeyId::of(OTHER_KEY).unwrap(), known: vec![id] };
    assert_eq!(check(&trust, MODULE, &[BY_OTHER]).unwrap_err(), stranger);
    let changed_comment = GOOD.replace("release 1", "release 2");
    assert_eq!(check(&trust, MODULE, &[&changed_comment]).unwrap_err(), Why::Altered { id });
}

#[test]
fn a_pin_holds_beside_a_good_signature() {
    let trust = Trust::new(&[Digest::of(b"another").to_string()], &[KEY.to_owned()]).unwrap();
    let why = check(&trust, MODULE, &[GOOD]).unwrap_err();
    assert!(matches!(why, Why::NotPinned { .. }), "{why}");
}

#[test]
fn a_comment_holds_nothing_that_a_terminal_obeys() {
    assert_eq!(plain("a\x1b[2Jb\tc"), "a [2Jb c");
    assert_eq!(plain(&"é".repeat(300)).chars().count(), 200);
}

#[test]
fn settings_that_are_no_digest_or_no_key_are_refused() {
    let refused = |sha256: &str, minisign: &str| {
        let one = |text: &str| if text.is_empty() { vec![] } else { vec![text.to_owned()] };
        let error = Trust::new(&one(sha256), &one(minisign)).unwrap_err();
        (error.key(), error.to_string(), error.hint())
    };
    assert_eq!(refused("abc", "").0, "sha256");
    assert!(refused("abc", "").1.contains("64"));
    assert!(refused("", &KEY[2..]).2.contains("minisign.pub"));
    assert_eq!(refused("", "untrusted comment: minisign public key").0, "minisign");
    let many = |text: &str| vec![text.to_owned(); MAX_PINS + 1];
    assert!(Trust::new(&many(&Digest::of(MODULE).to_string()), &[]).is_err());
    assert!(Trust::new(&[], &many(KEY)).is_err());
    assert!(Trust::new(&[], &many(KEY)[1..]).is_ok());
}
