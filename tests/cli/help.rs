//! What every command says of itself.

use crate::shell::{Shell, pin};

#[test]
fn every_command_explains_itself() {
    let shell = Shell::new();
    let commands = [
        "",
        "demo",
        "run",
        "status",
        "schedule",
        "init",
        "job",
        "job run",
        "job inspect",
        "dns",
        "dns serve",
        "dns key",
        "seal",
        "seal key",
    ];
    let text: String = commands
        .iter()
        .map(|command| {
            let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
            shell.transcript(&arguments)
        })
        .collect();
    pin("help", &text);
}

#[test]
fn a_mistyped_command_or_option_names_the_nearest_one() {
    let shell = Shell::new();
    let text: String = [
        &["statsu", "canary"][..],
        &["run", "--confg", "x"],
        &["init", "--yes"],
        &["status"],
        &["status", "canary", "--timeout", "5"],
        &["status", "canary", "--timeout", "1h"],
        &["demo", "--every", "1500ms"],
        &["--log-format", "xml", "run"],
        &["--log-format", "json", "statsu", "canary"],
        &["dns", "serve", "--log-format=json"],
    ]
    .iter()
    .map(|arguments| shell.transcript(arguments))
    .collect();
    pin("usage", &text);
}
