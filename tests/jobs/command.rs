//! A Go program that knows nothing of the host, as `GOOS=wasip1 go build` makes it: it runs as a command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use soloist::round::Outcome;
use soloist::runtime::{Form, Invocation, Nothing, Report, Request, World, run};
use soloist_tests::guest;

use crate::bench::module;

/// Runs it with this argument.
async fn command(argument: &str, deadline: Duration) -> Report {
    let prepared = module("command-go").prepare("canary", Arc::new(Nothing)).expect("it needs no grant");
    let invocation = Invocation::new(vec![argument.to_owned()], BTreeMap::new()).expect("it is short");
    run(&prepared, Request { invocation: Arc::new(invocation), deadline, ..guest::request() }).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_plain_go_program_runs_as_a_command() {
    let kind = module("command-go").kind();
    assert_eq!((kind.form, kind.world, kind.text), (Form::Preview1, World::Command, false));
    let minute = Duration::from_secs(60);
    let report = command("", minute).await;
    assert_eq!((report.outcome, &*report.message), (Outcome::Ok, "done after 4"), "the last line is the summary");
    let mut lines: Vec<&str> = report.output.text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["arguments: [canary ]", "done after 4", "round 1000"]);

    for (argument, outcome, parts) in [
        ("exit", Outcome::Error, &["exit status 3", "last on stderr: no such thing"][..]),
        ("retry", Outcome::Retry, &["exit status 75"]),
        ("panic", Outcome::Panic, &["panic: no such thing: 7", "main.main", "exit status 2"]),
    ] {
        let report = command(argument, minute).await;
        assert_eq!(report.outcome, outcome, "{argument}: {}", report.message);
        assert!(parts.iter().all(|part| report.message.contains(part)), "{argument}: {}", report.message);
    }
    let report = command("sleep", Duration::from_secs(1)).await;
    assert_eq!(report.outcome, Outcome::Timeout, "{}", report.message);
    let report = command("files", minute).await;
    assert_eq!(report.outcome, Outcome::Ok, "{}", report.message);
    assert!(report.message.starts_with("open /etc/passwd: "), "{}", report.message);
}
