//! An exception, a panic, an exit and a trap in every language: the same clear failed run, with the language's own message.

use soloist::round::Outcome;
use soloist::runtime::{Prepared, Report, Request, run};
use soloist_tests::guest;

use crate::bench::module;

fn prepared(name: &str) -> Prepared {
    let granted = soloist::capability::Granted::new(soloist::capability::Grants::default(), guest::services());
    module(name).prepare("failing", std::sync::Arc::new(granted)).expect("it needs no grant")
}

async fn fail(prepared: &Prepared, how: &str) -> Report {
    run(prepared, Request { job: how.to_owned(), ..guest::request() }).await
}

/// Runs the guest of a language as each of these says: what it is to do, how the run ends, and what the message holds.
async fn check(name: &str, cases: &[(&str, Outcome, &[&str])]) {
    let prepared = prepared(name);
    let every_language: [(&str, Outcome, &[&str]); 3] = [
        ("", Outcome::Ok, &["did not fail"]),
        ("retry", Outcome::Retry, &["again, please"]),
        ("final", Outcome::Error, &["never again"]),
    ];
    let mut wrong = Vec::new();
    for (how, outcome, parts) in every_language.iter().chain(cases) {
        let report = fail(&prepared, how).await;
        if report.outcome != *outcome || !parts.iter().all(|part| report.message.contains(part)) {
            wrong.push(format!("{how}: {:?} `{}`, not {outcome:?} {parts:?}", report.outcome, report.message));
        }
        assert!(!report.message.contains('\n'), "{}", report.message);
    }
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}

const NO_SUCH_THING: &str = "no such thing: 7";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn python_fails_clearly() {
    check(
        "failing-python",
        &[
            ("exception", Outcome::Panic, &["ValueError: no such thing: 7", "fail", "app.py"]),
            ("exit", Outcome::Trap, &["exit(1)"]),
            ("trap", Outcome::Trap, &["unreachable", "`abort`"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn javascript_fails_clearly() {
    check(
        "failing-javascript",
        &[
            ("exception", Outcome::Panic, &["TypeError: no such thing: 7"]),
            ("exception-of-text", Outcome::Panic, &[NO_SUCH_THING]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn typescript_fails_clearly() {
    check(
        "failing-typescript",
        &[
            ("exception", Outcome::Panic, &["NoSuchThing: no such thing: 7"]),
            ("exception-of-text", Outcome::Panic, &[NO_SUCH_THING]),
            ("undefined", Outcome::Panic, &["TypeError: ", "thing"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn rust_fails_clearly() {
    check(
        "failing-rust",
        &[
            ("exception", Outcome::Panic, &["panicked at src/lib.rs:", ": no such thing: 7"]),
            ("index", Outcome::Panic, &["the len is 3 but the index is 5", "src/lib.rs:"]),
            ("unwrap", Outcome::Panic, &["InvalidDigit", "src/lib.rs:"]),
            // WASI 0.2 has one status for all that failed.
            ("exit", Outcome::Trap, &["exit(1)"]),
            ("trap", Outcome::Trap, &["unreachable", "fail"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn go_fails_clearly() {
    check(
        "failing-go",
        &[
            ("exception", Outcome::Panic, &["panic: no such thing: 7", "main.fail"]),
            ("index", Outcome::Panic, &["index out of range [5] with length 0", "main.fail"]),
            ("exit", Outcome::Trap, &["exit(3)"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn c_fails_clearly() {
    check(
        "failing-c",
        &[
            ("exception", Outcome::Panic, &["Assertion failed: !is(mode, \"exception\")", "job.c"]),
            ("exit", Outcome::Trap, &["exit(3)"]),
            ("abort", Outcome::Trap, &["unreachable", "`abort`", "`fail`"]),
            ("trap", Outcome::Trap, &["unreachable", "`fail`"]),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn zig_fails_clearly() {
    check(
        "failing-zig",
        &[
            ("exception", Outcome::Panic, &["panic: no such thing: 7"]),
            ("index", Outcome::Panic, &["index out of bounds"]),
            ("exit", Outcome::Trap, &["exit(3)"]),
            ("trap", Outcome::Trap, &["unreachable", "fail"]),
        ],
    )
    .await;
}
