//! stdout is data and nothing else; logs and errors go to stderr, for people or as JSON, without a colour that nobody asked for.

use std::io::Read as _;
use std::process::Stdio;

use crate::shell::{Shell, Zone, pin};

#[test]
fn an_error_is_one_json_object_where_the_log_is_json() {
    let mut shell = Shell::new();
    shell.configure("every = ", "evry = ");
    let by_option = shell.output(&["--log-format", "json", "run"]);
    shell.set("SOLOIST_LOG_FORMAT", "json");
    let by_environment = shell.output(&["run"]);
    for output in [by_option, by_environment] {
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("one JSON object");
        assert_eq!(error["level"], "ERROR");
        assert_eq!(error["error"], "soloist.toml:9: unknown key `evry`");
        assert_eq!(error["hint"], "did you mean `every`?");
        assert!(error["timestamp"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_json_log_is_an_object() {
    let mut zone = Zone::serve().await;
    zone.shell.set("SOLOIST_LOG_FORMAT", "json");
    zone.shell.set("SOLOIST_LOG", "trace");
    let output = zone.shell.output(&["init"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("job `canary`: wrote the record"));
    let log = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!log.is_empty(), "the filter lets everything pass");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let mut shell = Shell::new();
    shell.set("SOLOIST_LOG", "soloist=loud");
    pin("log_filter", &shell.transcript(&["run", "--check"]));
}

#[test]
fn the_filter_and_no_other_variable_decides_what_is_logged() {
    let mut shell = Shell::new();
    shell.set("RUST_LOG", "trace");
    let quiet = shell.output(&["dns", "key", "--out", "a.key"]);
    assert_eq!(String::from_utf8_lossy(&quiet.stderr).lines().count(), 1);
    shell.set("SOLOIST_LOG", "warn");
    assert!(shell.output(&["dns", "key", "--out", "b.key"]).stderr.is_empty());
}

#[test]
fn nothing_is_coloured_that_is_not_on_a_terminal() {
    let shell = Shell::new();
    for arguments in [
        &["run", "--check"][..],
        &["run", "--config", "no"],
        &["dns", "key", "--out", "c.key"],
        &["--help"],
        &["nonsense"],
    ] {
        let output = shell.output(arguments);
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let shell = Shell::new();
    let mut child =
        shell.command(&["run", "--check"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut stderr).expect("UTF-8");
    assert!(child.wait().expect("it ends").success(), "{stderr}");
    assert_eq!(stderr, "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let shell = Shell::new();
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = shell.command(&["dns", "key"]).stdout(full).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: stdout cannot be written"));
}
