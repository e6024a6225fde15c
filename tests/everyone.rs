//! What every job may do, called from modules: the clock, randomness, figures for Prometheus, and the standard interfaces for
//! settings and log lines.

use std::sync::Arc;
use std::time::Duration;

use soloist::capability::{Granted, Grants};
use soloist::round::Outcome;
use soloist::runtime::{Engine, Lease, Module, Report, Request, boot_ms, run};
use soloist_tests::calls::{Import, component, failure, summary};
use soloist_tests::guest::{request, services};

const CLOCK: Import = Import {
    interface: "soloist:job/clock@0.1.0",
    text: r#"(export "now-ms" (func (result u64))) (export "monotonic-ns" (func (result u64)))
             (export "left-ms" (func (result u64))) (export "sleep-ms" (func (param "milliseconds" u32)))"#,
    functions: &[
        ("now-ms", "(result i64)"),
        ("monotonic-ns", "(result i64)"),
        ("left-ms", "(result i64)"),
        ("sleep-ms", "(param i32)"),
    ],
};

const RANDOM: Import = Import {
    interface: "soloist:job/random@0.1.0",
    text: r#"(export "number" (func (result u64))) (export "bytes" (func (param "length" u32) (result (list u8))))"#,
    functions: &[("number", "(result i64)"), ("bytes", "(param i32 i32)")],
};

const METRIC: Import = Import {
    interface: "soloist:job/metric@0.1.0",
    text: r#"(type $error-type (variant (case "invalid" string) (case "refused" string)))
             (export "error" (type $error (eq $error-type)))
             (export "count" (func (param "name" string) (param "by" f64)
               (param "labels" (list (tuple string string))) (result (result (error $error)))))
             (export "gauge" (func (param "name" string) (param "value" f64)
               (param "labels" (list (tuple string string))) (result (result (error $error)))))"#,
    functions: &[("count", "(param i32 i32 f64 i32 i32 i32)"), ("gauge", "(param i32 i32 f64 i32 i32 i32)")],
};

const CONFIG: Import = Import {
    interface: "wasi:config/store@0.2.0-rc.1",
    text: r#"(type $error-type (variant (case "upstream" string) (case "io" string)))
             (export "error" (type $error (eq $error-type)))
             (export "get" (func (param "key" string) (result (result (option string) (error $error)))))"#,
    functions: &[("get", "(param i32 i32 i32)")],
};

const LOGGING: Import = Import {
    interface: "wasi:logging/logging@0.1.0-draft",
    text: r#"(type $level-type (enum "trace" "debug" "info" "warn" "error" "critical"))
             (export "level" (type $level (eq $level-type)))
             (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))"#,
    functions: &[("log", "(param i32 i32 i32 i32 i32)")],
};

/// The module's run, with these services.
async fn run_in(services: &soloist::capability::Services, text: &str, request: Request) -> Report {
    let engine = Engine::new().expect("an engine");
    let granted = Granted::new(Grants::default(), services.clone());
    let module = Module::load(&engine, text.as_bytes()).expect("it is a module");
    let prepared = module.prepare("canary", Arc::new(granted)).expect("every job may");
    tokio::time::timeout(Duration::from_mins(1), run(&prepared, request)).await.expect("the run ends")
}

async fn run_wat(text: &str, request: Request) -> Report {
    run_in(&services(), text, request).await
}

fn fine() -> String {
    summary("(i32.const 512)", "(i32.const 4)")
}

#[tokio::test]
async fn the_clock_tells_the_time_and_how_much_is_left() {
    let body = format!(
        "(local.set $t (call $monotonic-ns))
         (call $sleep-ms (i32.const 20))
         (if (i64.lt_u (i64.sub (call $monotonic-ns) (local.get $t)) (i64.const 19000000)) (then (unreachable)))
         (if (i64.lt_u (call $now-ms) (i64.const 1500000000000)) (then (unreachable)))
         (if (i64.gt_u (call $now-ms) (local.get $deadline_ms)) (then (unreachable)))
         (if (i64.gt_u (call $left-ms) (i64.const 9981)) (then (unreachable)))
         (if (i64.eqz (call $left-ms)) (then (unreachable))) {}",
        fine()
    );
    let report = run_wat(&component(&[CLOCK], "fine", &body), request()).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, "fine"));
}

#[tokio::test]
async fn what_is_left_ends_with_the_lease() {
    let body = format!("(if (i64.gt_u (call $left-ms) (i64.const 3000)) (then (unreachable))) {}", fine());
    let lease = Lease::until(boot_ms() + 3000);
    let report = run_wat(&component(&[CLOCK], "fine", &body), Request { lease, ..request() }).await;
    assert_eq!(report.outcome, Outcome::Ok, "{}", report.message);
}

#[tokio::test]
async fn sleep_ends_with_the_run() {
    let sleeps = component(&[CLOCK], "", "(call $sleep-ms (i32.const -1)) (unreachable)");
    let deadline = Duration::from_millis(200);
    let report = run_wat(&sleeps, Request { deadline, ..request() }).await;
    assert_eq!(report.outcome, Outcome::Timeout);

    for stop in [true, false] {
        let lease = Lease::until(boot_ms() + 600_000);
        let request = Request { lease: lease.clone(), deadline: Duration::from_mins(10), ..request() };
        let (sleeps, cancel) = (sleeps.clone(), request.cancel.clone());
        let running = tokio::spawn(async move { run_wat(&sleeps, request).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        if stop {
            cancel.cancel();
        } else {
            lease.revoke();
        }
        assert_eq!(running.await.expect("it ends").outcome, Outcome::Stopped);
    }
}

#[tokio::test]
async fn random_bytes_are_as_many_as_asked_for_and_never_the_same() {
    // The summary is what two calls gave, as letters.
    let body = format!(
        "(call $bytes (i32.const 16) (i32.const 32))
         (if (i32.ne (i32.load (i32.const 36)) (i32.const 16)) (then (unreachable)))
         (local.set $a (i32.load (i32.const 32)))
         (call $bytes (i32.const 65536) (i32.const 32))
         (if (i32.ne (i32.load (i32.const 36)) (i32.const 65536)) (then (unreachable)))
         (if (i64.eq (i64.load (local.get $a)) (i64.load (i32.load (i32.const 32)))) (then (unreachable)))
         (if (i64.eq (call $number) (call $number)) (then (unreachable))) {}",
        fine()
    );
    let report = run_wat(&component(&[RANDOM], "fine", &body), request()).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, "fine"));

    let body = "(call $bytes (i32.const 65537) (i32.const 32)) (unreachable)";
    let report = run_wat(&component(&[RANDOM], "", body), request()).await;
    assert_eq!(report.outcome, Outcome::Trap);
    assert!(report.message.contains("asked for 65537 random bytes: at most 65536"), "{}", report.message);
}

#[tokio::test]
async fn a_figure_is_counted_by_every_run_and_a_wrong_one_is_an_error() {
    let services = services();
    // `errors` by 1.5; the label is `zone` = `b` at 540, each with pointer and length.
    let count = "(i32.store (i32.const 540) (i32.const 520)) (i32.store (i32.const 544) (i32.const 4))
                 (i32.store (i32.const 548) (i32.const 524)) (i32.store (i32.const 552) (i32.const 1))
                 (call $count (i32.const 512) (i32.const 6) (f64.const 1.5) (i32.const 540) (i32.const 1) (i32.const 32))
                 (if (i32.load8_u (i32.const 32)) (then (unreachable)))";
    let counts = component(&[METRIC], "errors  zoneb", &format!("{count} {}", fine()));
    for _ in 0..2 {
        let report = run_in(&services, &counts, request()).await;
        assert_eq!(report.outcome, Outcome::Ok, "{}", report.message);
    }
    // The kind is another one.
    let gauge = format!(
        "(call $gauge (i32.const 512) (i32.const 6) (f64.const 7) (i32.const 0) (i32.const 0) (i32.const 32))
         (if (i32.eqz (i32.load8_u (i32.const 32))) (then (unreachable)))
         (if (i32.ne (i32.load8_u (i32.const 36)) (i32.const 1)) (then (unreachable))) {}",
        failure("(i32.load (i32.const 40))", "(i32.load (i32.const 44))")
    );
    let report = run_in(&services, &component(&[METRIC], "errors", &gauge), request()).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Error, "`errors` is a counter already"));

    let text = services.figures().text();
    assert!(text.contains("\nsoloist_job_errors_total{job=\"canary\",zone=\"b\"} 3.0\n"), "{text}");
}

#[tokio::test]
async fn settings_are_read_through_the_standard_interface() {
    // `result<option<string>, error>` at 32: two tags, then pointer and length from 40.
    let body = format!(
        "(call $get (i32.const 512) (i32.const 3) (i32.const 32))
         (if (i32.load8_u (i32.const 32)) (then (unreachable)))
         (if (result i32) (i32.load8_u (i32.const 36)) (then {}) (else {}))",
        summary("(i32.load (i32.const 40))", "(i32.load (i32.const 44))"),
        summary("(i32.const 515)", "(i32.const 4)"),
    );
    let text = component(&[CONFIG], "urlnone", &body);
    let settings = |text: &str| Arc::new(serde_json::from_str(text).expect("settings"));
    for (given, expected) in [
        (r#"{"url": "https://example.com/"}"#, "https://example.com/"),
        (r#"{"url": ["a", 1]}"#, r#"["a",1]"#),
        (r#"{"other": "x"}"#, "none"),
    ] {
        let report = run_wat(&text, Request { settings: settings(given), ..request() }).await;
        assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, expected));
    }
}

/// What is logged in this process.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn lines_are_logged_through_the_standard_interface() {
    let lines = Lines::default();
    let writer = lines.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let body = format!(
        "(call $log (i32.const 5) (i32.const 516) (i32.const 7) (i32.const 523) (i32.const 6))
         (call $log (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 523) (i32.const 6)) {}",
        fine()
    );
    for interface in ["wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"] {
        let before = lines.0.lock().expect("nobody panicked here").len();
        let import = Import { interface, ..LOGGING };
        let report = run_wat(&component(&[import], "finecontextit is!", &body), request()).await;
        assert_eq!(report.outcome, Outcome::Ok, "{}", report.message);
        let said = String::from_utf8(lines.0.lock().expect("nobody panicked here")[before..].to_vec()).expect("text");
        let is_there = |level: &str, message: &str| {
            said.lines().any(|line| line.contains(level) && line.contains("job=\"canary\"") && line.contains(message))
        };
        assert!(is_there("ERROR", "context: it is!") && is_there("INFO", " it is!"), "{interface}: {said}");
    }
}

#[tokio::test]
async fn a_run_that_loses_its_lease_is_stopped_whatever_it_calls() {
    let services = services();
    for (import, call) in [
        (
            METRIC,
            "(call $count (i32.const 512) (i32.const 6) (f64.const 1) (i32.const 0) (i32.const 0) (i32.const 32))",
        ),
        (RANDOM, "(drop (call $number))"),
        (CLOCK, "(drop (call $now-ms))"),
    ] {
        // Revoked while it spins.
        let spins = format!("(loop $again {call} (br $again)) (unreachable)");
        let lease = Lease::until(boot_ms() + 600_000);
        let request = Request { lease: lease.clone(), deadline: Duration::from_mins(10), ..request() };
        let (text, services) = (component(&[import], "errors", &spins), services.clone());
        let running = tokio::spawn(async move { run_in(&services, &text, request).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        lease.revoke();
        let report = running.await.expect("it ends");
        assert_eq!((report.outcome, report.message.as_str()), (Outcome::Stopped, "stopped: the lease is lost"));
    }
}
