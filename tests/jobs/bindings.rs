//! The bindings for C, Zig and Go that are kept in `guest-sdk/` are of the WIT as it stands.

use std::path::Path;

use soloist::module::Digest;

#[test]
fn the_bindings_are_of_the_wit_as_it_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<_> = std::fs::read_dir(root.join("wit")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wit"));
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    // What is said about a thing may change without it.
    let mut text = String::new();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines().filter(|line| !line.trim_start().starts_with("//")) {
            text.push_str(line);
            text.push('\n');
        }
    }
    let made_of = std::fs::read_to_string(root.join("guest-sdk/c/wit.sha256")).unwrap();
    let digest = Digest::of(text.as_bytes()).to_string();
    let digest = digest.trim_start_matches("sha256:");
    assert_eq!(made_of.trim(), digest, "`guest-sdk/bindings` makes them anew");
}
