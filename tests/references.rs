//! References to artifacts in registries, by the grammar and against any text: what is taken goes into a URL as it is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use proptest::prelude::*;
use proptest::string::string_regex;
use soloist::module::{Source, SourceError};

/// The grammar of the distribution project's package `reference`, as far as it is taken here: a registry is always named.
const LABEL: &str = "([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]{0,8}[a-zA-Z0-9])";
const PART: &str = "[a-z0-9]{1,4}(([._]|__|-{1,3})[a-z0-9]{1,4}){0,3}";
const TAG: &str = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";
const DIGEST: &str = "sha256:[a-f0-9]{64}";

fn read(reference: &str) -> Result<String, SourceError> {
    Source::parse(&format!("oci://{reference}"), Path::new("/")).map(|source| source.to_string())
}

/// A reference, and what it is shown as.
fn reference() -> impl Strategy<Value = (String, String)> {
    let domain = format!(
        "{LABEL}(\\.{LABEL}){{1,3}}(:[1-9][0-9]{{0,3}})?|{LABEL}:[1-9][0-9]{{0,3}}|localhost|\\[::1\\](:[1-9][0-9]{{0,3}})?"
    );
    let like = |grammar: String| string_regex(&grammar).unwrap();
    let (registry, name) = (like(domain), like(format!("{PART}(/{PART}){{0,3}}")));
    let parts = (registry, name, proptest::option::of(TAG), proptest::option::of(DIGEST));
    parts.prop_map(|(registry, name, tag, digest)| {
        let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        let shown_tag = if tag.is_empty() && digest.is_empty() { ":latest" } else { &tag };
        (format!("{registry}/{name}{tag}{digest}"), format!("oci://{registry}/{name}{shown_tag}{digest}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_the_grammar_has_is_taken_as_it_is((text, shown) in reference()) {
        prop_assert_eq!(read(&text), Ok(shown));
    }

    #[test]
    fn one_more_character_anywhere_makes_another_reference_or_none(
        (text, _) in reference(),
        at in any::<prop::sample::Index>(),
        extra in any::<char>(),
    ) {
        let mut text: Vec<char> = text.chars().collect();
        text.insert(at.index(text.len() + 1), extra);
        is_safe_if_taken(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "([a-zA-Z0-9:/@._-]|\\PC){0,80}") {
        is_safe_if_taken(&text)?;
    }
}

/// What is taken has nothing in it that a URL would read otherwise, and is read again as the same.
fn is_safe_if_taken(text: &str) -> Result<(), TestCaseError> {
    let Ok(shown) = read(text) else { return Ok(()) };
    let rest = shown.strip_prefix("oci://").unwrap();
    prop_assert!(rest.chars().all(|c| c.is_ascii_alphanumeric() || ".:/@_-[]".contains(c)), "{rest}");
    let (_, path) = rest.split_once('/').unwrap();
    prop_assert!(path.split('/').all(|part| !part.is_empty() && !part.starts_with('.')), "{rest}");
    prop_assert_eq!(read(rest), Ok(shown.clone()));
    Ok(())
}
