//! Which names a project may have: good for a folder, a job, a package of its language and a DNS label at once.

use super::Language;

/// The longest name: that of a DNS label.
const MAX_LENGTH: usize = 63;

/// Names that Cargo refuses, or that a package of Rust cannot have beside its dependencies.
const RUST: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "serde-json",
    "soloist-sdk",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wit-bindgen",
    "yield",
];

/// Names that npm refuses, or that the project depends on.
const NODE: &[&str] = &["node-modules", "typescript"];

/// Checks a name; says what is wrong with it.
pub(super) fn check(name: &str, language: Language) -> Result<(), String> {
    if name.is_empty() {
        return Err("it is empty".to_owned());
    }
    if name.contains(['/', '\\']) || name.starts_with('.') {
        return Err("it is a path".to_owned());
    }
    if name.len() > MAX_LENGTH {
        return Err(format!("it is longer than {MAX_LENGTH} characters"));
    }
    let stranger = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-');
    if let Some(character) = name.chars().find(stranger) {
        return Err(format!("{character:?} cannot be in it"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("it does not begin with a letter".to_owned());
    }
    if name.ends_with('-') || name.contains("--") {
        return Err("a hyphen stands between two letters or digits".to_owned());
    }
    let reserved: &[&str] = match language {
        Language::Rust => RUST,
        Language::Javascript | Language::Typescript => NODE,
        Language::Python | Language::Go | Language::C | Language::Zig => &[],
    };
    if reserved.contains(&name) {
        return Err(format!("a package in {} cannot be called so", language.facts().title));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names() {
        for name in ["a", "price-watch", "x2", "web-3-check", &"a".repeat(63)] {
            assert_eq!(check(name, Language::Rust), Ok(()), "{name}");
        }
        assert_eq!(check("type", Language::Python), Ok(()));
    }

    #[test]
    fn names_that_lead_elsewhere_or_that_a_language_cannot_have_are_refused() {
        let long = "a".repeat(64);
        for name in [
            "", ".", "..", "../up", "/tmp/x", "a/b", "a\\b", ".hidden", "-x", "--lang", "x-", "a--b", "3d", "Upper",
            "a_b", "a b", "a.b", "é", "a\nb", "a\0b", "fn", "self", "test", "serde", &long,
        ] {
            assert!(check(name, Language::Rust).is_err(), "{name:?}");
        }
    }
}
