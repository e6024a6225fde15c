//! Modules at the gate: plain `fetch`, and the standard interface.

use std::sync::Arc;
use std::time::Duration;

use soloist::round::Outcome;
use soloist::runtime::{Engine, Request as RunRequest, run};
use soloist_tests::guest;

use super::server::Server;

/// Runs a module with the URL as its setting.
async fn run_module(module: &str, url: &str, grants: &str) -> (Outcome, String) {
    let engine = Engine::new().expect("an engine");
    let prepared = guest::prepare(&engine, &guest::wat(module), grants).expect("the module fits");
    let mut settings = serde_json::Map::new();
    settings.insert("url".to_owned(), url.into());
    let report = run(&prepared, RunRequest { settings: Arc::new(settings), ..guest::request() }).await;
    (report.outcome, report.message)
}

#[tokio::test]
async fn a_module_reaches_what_it_was_granted_and_is_told_what_is_missing() {
    let server = Server::start().await;
    let grants = format!("http = [\"{}\"]", server.url(""));
    assert_eq!(run_module("fetch.wat", &server.url("/"), &grants).await, (Outcome::Ok, "hello".to_owned()));
    let (outcome, message) = run_module("fetch.wat", &server.url("/"), "http = [\"https://api.example.com\"]").await;
    assert_eq!(outcome, Outcome::Error);
    assert!(message.contains(&format!("was not granted `{}`", server.url(""))), "{message}");
    assert_eq!(server.lines(), ["GET /"]);
}

#[tokio::test]
async fn a_module_that_waits_for_a_slow_server_ends_at_its_deadline() {
    let server = Server::start().await;
    let engine = Engine::new().expect("an engine");
    let grants = format!("http = [\"{}\"]", server.url(""));
    let prepared = guest::prepare(&engine, &guest::wat("fetch.wat"), &grants).expect("the module fits");
    let settings = Arc::new(serde_json::Map::from_iter([("url".to_owned(), server.url("/slow").into())]));
    let request = RunRequest { settings, deadline: Duration::from_millis(300), ..guest::request() };
    let report = run(&prepared, request).await;
    // The request's own limit is the run's: which of the two is first is open, and neither waits for the server.
    assert!(matches!(report.outcome, Outcome::Timeout | Outcome::Error), "{:?}", report.outcome);
}

#[tokio::test]
async fn the_standard_interface_goes_through_the_same_gate() {
    let server = Server::start().await;
    let grants = format!("http = [\"{}\"]", server.url(""));
    let authority = server.address.to_string();
    assert_eq!(run_module("wasi-http.wat", &authority, &grants).await, (Outcome::Ok, "200".to_owned()));
    assert_eq!(server.lines(), ["GET /"]);
    let denied = (Outcome::Error, "P".to_owned());
    for authority in [authority.as_str(), "169.254.169.254", "localhost"] {
        assert_eq!(run_module("wasi-http.wat", authority, "http = [\"https://api.example.com\"]").await, denied);
    }
    assert_eq!(server.seen().len(), 1);
    let error = guest::prepare(&Engine::new().expect("an engine"), &guest::wat("wasi-http.wat"), "").map(|_| ());
    let error = error.expect_err("it is not granted").to_string();
    assert_eq!(error, "the module imports `wasi:http/types@0.2.0`, which job `canary` was not granted");
}
