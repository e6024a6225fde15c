//! What bytes are that are no WebAssembly: so that a wrong upload, an error page or a half-built file is named as what it is.

use wasmtime::{Engine, Precompiled};

/// The first bytes of what is not seldom found where a module was expected, and what it is.
const BEGINNINGS: [(&[u8], &str); 14] = [
    (b"\x7fELF", "a native program (ELF)"),
    (b"\xcf\xfa\xed\xfe", "a native program (Mach-O)"),
    (b"\xca\xfe\xba\xbe", "a native program (Mach-O) or Java class"),
    (b"MZ", "a native program (PE)"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"BZh", "compressed by bzip2"),
    (b"PK\x03\x04", "a zip archive"),
    (b"!<arch>\n", "a static library (ar)"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"#!", "a script"),
    (b"version https://git-lfs", "a Git LFS pointer: the file itself was not fetched"),
    (b"RW", "a minisign key or signature"),
];

/// What these bytes are, to stand in `the file is …`.
pub(super) fn describe(bytes: &[u8]) -> &'static str {
    match Engine::detect_precompiled(bytes) {
        Some(Precompiled::Module | Precompiled::Component) => return "machine code that was compiled before (`.cwasm`)",
        None => {}
    }
    if bytes.is_empty() {
        return "empty";
    }
    if let Some((_, what)) = BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning)) {
        return what;
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "a tar archive";
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return "nothing but zeros";
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => describe_text(text.trim_start_matches('\u{feff}').trim_start()),
        Err(_) => "in no format that is known here",
    }
}

fn describe_text(text: &str) -> &'static str {
    let beginning: String = text.chars().take(64).collect::<String>().to_ascii_lowercase();
    if beginning.is_empty() {
        "nothing but white space"
    } else if beginning.starts_with("<!doctype html") || beginning.starts_with("<html") {
        "an HTML page"
    } else if beginning.starts_with('<') {
        "XML or HTML"
    } else if beginning.starts_with(['{', '[']) {
        "JSON"
    } else if beginning.starts_with("package ")
        || beginning.starts_with("world ")
        || beginning.starts_with("interface ")
    {
        "WIT as text, the description of interfaces"
    } else if beginning.starts_with("untrusted comment:") {
        "a minisign key or signature"
    } else {
        "a text that is no WebAssembly text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_where_a_module_was_expected_is_named() {
        let mut tar = [0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, what) in [
            (b"".as_slice(), "empty"),
            (&tar, "a tar archive"),
            (b"\xef\xbb\xbf {\"error\": 404}", "JSON"),
            (b"\xfd7zXZ\0", "compressed by xz"),
            (b"RWQf6LRCGA9i53", "a minisign key or signature"),
            (b"  \n", "nothing but white space"),
            (&[0; 64], "nothing but zeros"),
            (b"<!DOCTYPE html><title>404", "an HTML page"),
            (b"\n<HTML>", "an HTML page"),
            (b"<?xml version=\"1.0\"?>", "XML or HTML"),
            (b"{\"error\": 404}", "JSON"),
            (b"\x1f\x8b\x08\0", "compressed by gzip"),
            (b"\x7fELF\x02\x01", "a native program (ELF)"),
            (b"PK\x03\x04\x14", "a zip archive"),
            (b"#!/bin/sh\n", "a script"),
            (b"package soloist:job@0.1.0;", "WIT as text, the description of interfaces"),
            (b"untrusted comment: signature", "a minisign key or signature"),
            (b"console.log(1)", "a text that is no WebAssembly text"),
            (&[0xff; 100], "in no format that is known here"),
        ] {
            assert_eq!(describe(bytes), what, "{bytes:?}");
        }
    }

    #[test]
    fn machine_code_is_told_from_another_elf_file() {
        let code = Engine::default().precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        assert!(describe(&code).contains(".cwasm"), "{}", describe(&code));
    }
}
