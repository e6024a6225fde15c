//! `soloist schedule`: what comes next, told from the configuration alone.

use crate::shell::{Shell, pin};

/// A command and its stdout as it is: the times are the same in every run, because they begin at a time that is given.
fn printed(shell: &Shell, arguments: &[&str]) -> String {
    let output = shell.output(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    format!("$ soloist {}\n{}\n", arguments.join(" "), String::from_utf8_lossy(&output.stdout))
}

#[test]
fn the_next_due_times_are_shown_on_both_clocks_with_every_change_between_them() {
    let shell = Shell::new();
    let from = |from: &'static str, count: &'static str| ["schedule", "canary", "--from", from, "--count", count];
    let mut text = printed(&shell, &from("2026-03-29T00:59:30Z", "3"));
    for (cron, times) in [
        ("30 3 * * *", &["2026-03-28", "2026-10-24 00:00"][..]),
        ("*/30 2-3 * * *", &["2026-03-29 02:00", "2026-10-25T00:00:00Z"]),
        ("*/5 9-17 * * MON-FRI", &["2026-03-27 17:50"]),
        ("0 0 29 2 *", &["2026-11-20T00:00:00+02:00"]),
    ] {
        let line = format!("cron = \"{cron}\"\ntimezone = \"Europe/Sofia\"");
        shell.configure("every = \"60s\"", &line);
        for time in times {
            text += &printed(&shell, &from(time, "5"));
        }
    }
    text += &printed(&shell, &["schedule", "canary", "--from", "2028-02-28T22:00:00Z", "-n", "1", "--json"]);
    shell.configure("every = \"60s\"", "cron = \"*/20 0 12 L * *\"");
    text += &printed(&shell, &from("2026-02-01", "4"));
    text += &printed(&shell, &["schedule", "canary", "--from", "2026-02-01", "-n", "2", "--json"]);
    pin("schedule", &text);
}

#[test]
fn the_next_due_time_is_counted_from_now_where_no_other_time_is_given() {
    let shell = Shell::new();
    shell.configure("every = \"60s\"", "cron = \"*/5 * * * * *\"");
    let output = shell.output(&["schedule", "canary", "-n", "2", "--json"]);
    let text: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let first = text["due"][0]["at"].as_u64().expect("a time");
    let now = crate::shell::now();
    assert!(first.is_multiple_of(5) && first.abs_diff(now) < 60, "{first} is close to {now}");
    assert_eq!(text["due"][1]["at"].as_u64(), Some(first + 5));
    let people = shell.transcript(&["schedule", "canary"]);
    assert_eq!(people.matches("  in ").count(), 10, "{people}");
}

#[test]
fn a_wrong_job_time_or_number_is_refused_with_a_hint() {
    let shell = Shell::new();
    let text = shell.transcript(&["schedule", "canry"])
        + &shell.transcript(&["schedule", "canary", "--from", "tomorrow"])
        + &shell.transcript(&["schedule", "canary", "--from", "1969-07-20"])
        + &shell.transcript(&["schedule", "canary", "--count", "1001"])
        + &shell.transcript(&["schedule"]);
    pin("schedule_errors", &text);
}
