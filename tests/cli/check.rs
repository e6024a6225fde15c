//! `run --check`: whether every module that is a file could run with its grants.

use crate::shell::{EXAMPLE, Shell, pin, titled};

/// A component that imports what only a grant gives.
const FETCHING: &str = include_str!("../wat/fetch.wat");

#[test]
fn a_module_that_cannot_run_is_refused_with_the_reason_and_the_line_to_add() {
    let shell = Shell::new();
    let mut text = String::new();
    for (what, module) in [
        ("no module", None),
        ("text that breaks off", Some(b"(component\n  (core module".to_vec())),
        ("a core module", Some(b"(module)".to_vec())),
        ("a component without a job", Some(b"(component)".to_vec())),
        ("nothing of the kind", Some(b"#!/bin/sh\n".to_vec())),
        ("nothing at all", Some(Vec::new())),
        ("a module that wants a grant", Some(FETCHING.as_bytes().to_vec())),
    ] {
        match module {
            Some(bytes) => shell.write("jobs/canary.wasm", bytes),
            None => std::fs::remove_file(shell.path().join("jobs/canary.wasm")).expect("the module"),
        }
        shell.configure("http = [\"https://api.example.com\"]\n", "");
        text += &titled(what, &shell.transcript(&["run", "--check"]));
    }
    shell.write("soloist.toml", EXAMPLE);
    text += &titled("the same, granted", &shell.transcript(&["run", "--check"]));
    pin("check_modules", &text);
}

#[test]
fn every_job_is_checked_and_a_url_is_left_for_later() {
    let shell = Shell::new();
    let more = "[job.far]\nrecord = \"far.example.com\"\nevery = \"1m\"\nmodule = \"https://me:hush-hush@example.com/far.wasm?hush-hush\"\n";
    shell.write("soloist.toml", format!("{EXAMPLE}{more}"));
    pin("check_several", &shell.transcript(&["run", "--check"]));
}
