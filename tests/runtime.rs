//! One run, whatever the module does: it ends on time, with the right outcome and a reason, and harms nothing around it.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use soloist::round::Outcome;
use soloist::runtime::{Engine, Lease, Limits, LoadError, Module, Report, Request, boot_ms, run};
use soloist_tests::guest::{failing, prepare, request, wat, with_body};

/// Longer than anything here takes on a busy machine, shorter than anybody waits.
const SOON: Duration = Duration::from_secs(5);

fn engine() -> Engine {
    Engine::new().expect("an engine")
}

async fn run_with(module: &str, grants: &str, request: Request) -> Report {
    let prepared = prepare(&engine(), module, grants).expect("the module fits");
    tokio::time::timeout(Duration::from_mins(1), run(&prepared, request)).await.expect("the run ends")
}

async fn run_wat(module: &str) -> Report {
    run_with(module, "", request()).await
}

#[tokio::test]
async fn a_job_that_returns_a_summary_is_ok() {
    let report = run_wat(&wat("ok.wat")).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, "all is well"));
    assert_eq!(report.peak_memory, 65536);
    assert_eq!(report.output.total, 0);
}

#[tokio::test]
async fn a_failure_is_worth_a_retry_or_final_as_the_job_says() {
    let report = run_wat(&with_body("ok.wat", &failing(0))).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Retry, "all is well"));
    let report = run_wat(&with_body("ok.wat", &failing(1))).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Error, "all is well"));
}

#[tokio::test]
async fn the_job_is_told_what_it_runs_for() {
    // The summary is the agent's id, and the rest must be what the request says.
    let body = "
        (if (i64.ne (local.get $round) (i64.const 1000)) (then (unreachable)))
        (if (i32.ne (local.get $attempt) (i32.const 1)) (then (unreachable)))
        (if (i64.ne (local.get $due_ms) (i64.const 1000000)) (then (unreachable)))
        (if (i64.lt_u (local.get $deadline_ms) (i64.const 1500000000000)) (then (unreachable)))
        (if (i32.ne (local.get $job_len) (i32.const 6)) (then (unreachable)))
        (if (i32.ne (local.get $has_previous) (i32.const 1)) (then (unreachable)))
        (if (i32.ne (i32.load16_u (local.get $previous)) (i32.const 0x6b6f)) (then (unreachable)))
        (i32.store8 (i32.const 16) (i32.const 0))
        (i32.store (i32.const 20) (local.get $agent))
        (i32.store (i32.const 24) (local.get $agent_len))
        (i32.const 16)";
    let report =
        run_with(&with_body("ok.wat", body), "", Request { previous: Some("ok".to_owned()), ..request() }).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, "agent-1"));
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_deadline() {
    let loops = with_body("ok.wat", "(loop $again (br $again)) (unreachable)");
    let report = run_with(&loops, "", Request { deadline: Duration::from_millis(200), ..request() }).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Timeout, "still running at its deadline"));
    assert!(report.elapsed >= Duration::from_millis(200) && report.elapsed < SOON, "{:?}", report.elapsed);
}

#[tokio::test]
async fn a_wait_in_the_host_ends_at_the_deadline() {
    let report = run_with(&wat("sleep.wat"), "", Request { deadline: Duration::from_millis(200), ..request() }).await;
    assert_eq!(report.outcome, Outcome::Timeout);
    assert!(report.elapsed < SOON, "{:?}", report.elapsed);
}

#[tokio::test]
async fn more_busy_modules_than_threads_do_not_delay_another() {
    let engine = engine();
    let loops = prepare(&engine, &with_body("ok.wat", "(loop $again (br $again)) (unreachable)"), "").unwrap();
    let ok = prepare(&engine, &wat("ok.wat"), "").unwrap();
    let cancel = request().cancel;
    let busy = (0..16).map(|_| {
        let (loops, cancel) = (loops.clone(), cancel.clone());
        tokio::spawn(
            async move { run(&loops, Request { cancel, deadline: Duration::from_mins(10), ..request() }).await },
        )
    });
    let busy: Vec<_> = busy.collect();
    for _ in 0..3 {
        assert_eq!(run(&ok, request()).await.outcome, Outcome::Ok);
    }
    cancel.cancel();
    for run in busy {
        assert_eq!(run.await.unwrap().outcome, Outcome::Stopped);
    }
}

#[tokio::test]
async fn memory_beyond_the_limit_is_an_outcome_of_its_own() {
    let grows = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";
    let limits = Limits { memory: 32 << 20, ..Limits::default() };
    let report = run_with(&with_body("ok.wat", grows), "", Request { limits, ..request() }).await;
    assert_eq!(report.outcome, Outcome::Memory, "{}", report.message);
    assert_eq!(report.message, "asked for more memory than the limit of 32 MiB");
    assert!(report.peak_memory <= 32 << 20 && report.peak_memory > 30 << 20, "{}", report.peak_memory);
}

#[tokio::test]
async fn four_gigabytes_at_once_are_too_much_memory() {
    let report = run_wat(&with_body("ok.wat", "(drop (memory.grow (i32.const 65535))) (unreachable)")).await;
    assert_eq!(report.outcome, Outcome::Memory, "{}", report.message);
    let report = run_wat(&with_body("ok.wat", "(drop (memory.grow (i32.const 65536))) (unreachable)")).await;
    assert_eq!(report.outcome, Outcome::Memory, "{}", report.message);
    let at_start = wat("ok.wat").replace("(memory (export \"memory\") 1)", "(memory (export \"memory\") 60000)");
    let report = run_wat(&at_start).await;
    assert_eq!(report.outcome, Outcome::Memory, "{}", report.message);
}

#[tokio::test]
async fn a_trap_says_why_and_where() {
    let report = run_wat(&with_body("ok.wat", "(unreachable)")).await;
    assert_eq!(report.outcome, Outcome::Trap);
    assert!(report.message.starts_with("wasm trap: wasm `unreachable` instruction executed"), "{}", report.message);
    let named = wat("ok.wat")
        .replace("(func (export \"run\")", "(func $careless (unreachable)) (func $outer (export \"run\")")
        .replace(";; begin", "(call $careless) ;; begin");
    let report = run_wat(&named).await;
    assert!(report.message.ends_with("in `careless`, called by `outer`"), "{}", report.message);
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    let recursion = wat("ok.wat")
        .replace(
            "(func (export \"run\")",
            "(func $deeper (param i64) (call $deeper (i64.add (local.get 0) (i64.const 1)))) (func (export \"run\")",
        )
        .replace(";; begin", "(call $deeper (i64.const 0)) ;; begin");
    LazyLock::force(&LOGGED);
    let report = run_with(&recursion, "", Request { job: "deep".to_owned(), ..request() }).await;
    assert_eq!(report.outcome, Outcome::Trap);
    assert!(report.message.contains("call stack exhausted"), "{}", report.message);
    // The innermost functions only, and some more of them in the log.
    assert_eq!(report.message.matches("`deeper`").count(), 3, "{}", report.message);
    let lines = logged("deep");
    let named = lines.iter().filter(|line| line.contains(": deeper, in ")).count();
    assert!((4..=32).contains(&named) && lines[0].contains("backtrace"), "{lines:#?}");
}

#[tokio::test]
async fn a_flood_of_output_ends_the_run_and_is_cut() {
    let limits = Limits { output_kept: 1000, output_total: 100_000, ..Limits::default() };
    let report = run_with(&wat("print.wat"), "", Request { limits, ..request() }).await;
    assert_eq!(report.outcome, Outcome::Output, "{}", report.message);
    assert_eq!(report.message, "printed more than the limit of 100000 bytes");
    assert_eq!(report.output.text.len(), 1000);
    assert!(report.output.truncated && report.output.total > 100_000 && report.output.total < 110_000);
    assert!(report.output.text.starts_with("all work and no play\nall work"));
}

#[tokio::test]
async fn a_panic_is_told_from_a_trap_by_what_it_prints() {
    let panics = with_body(
        "print.wat",
        "(call $write (call $stderr) (i32.const 128) (i32.const 75) (i32.const 32)) (unreachable)",
    );
    let report = run_wat(&panics).await;
    assert_eq!(report.outcome, Outcome::Panic, "{}", report.message);
    assert_eq!(report.message, "panicked at src/lib.rs:5:9: no such thing");
}

#[tokio::test]
async fn a_cancelled_run_stops_at_once_in_its_own_code_and_in_the_host() {
    for module in [with_body("ok.wat", "(loop $again (br $again)) (unreachable)"), wat("sleep.wat"), wat("log.wat")] {
        let request = Request { deadline: Duration::from_mins(10), ..request() };
        let cancel = request.cancel.clone();
        let running = tokio::spawn(async move { run_with(&module, "", request).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
        let report = running.await.unwrap();
        assert_eq!((report.outcome, report.message.as_str()), (Outcome::Stopped, "stopped: cancelled"));
    }
}

#[tokio::test]
async fn a_run_without_its_lease_is_stopped() {
    for module in [with_body("ok.wat", "(loop $again (br $again)) (unreachable)"), wat("sleep.wat"), wat("log.wat")] {
        let lease = Lease::until(boot_ms() + 600_000);
        let request = Request { deadline: Duration::from_mins(10), lease: lease.clone(), ..request() };
        let running = tokio::spawn(async move { run_with(&module, "", request).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        lease.revoke();
        let report = running.await.unwrap();
        assert_eq!((report.outcome, report.message.as_str()), (Outcome::Stopped, "stopped: the lease is lost"));
    }
}

#[tokio::test]
async fn a_run_ends_with_the_lease_unless_it_is_extended() {
    let lease = Lease::until(boot_ms() + 300);
    let first = Request { deadline: Duration::from_mins(10), lease: lease.clone(), ..request() };
    let report = run_with(&wat("sleep.wat"), "", first).await;
    assert_eq!(report.outcome, Outcome::Stopped);

    let lease = Lease::until(boot_ms() + 300);
    lease.extend(boot_ms() + 600_000);
    let second = Request { deadline: Duration::from_millis(600), lease, ..request() };
    assert_eq!(run_with(&wat("sleep.wat"), "", second).await.outcome, Outcome::Timeout);
}

#[tokio::test]
async fn a_run_without_a_lease_does_nothing() {
    let lease = Lease::until(boot_ms());
    let report = run_with(&wat("print.wat"), "", Request { lease, ..request() }).await;
    assert_eq!((report.outcome, report.output.total), (Outcome::Stopped, 0));
}

#[tokio::test]
async fn dropping_the_run_stops_the_module() {
    let engine = engine();
    let prints = with_body(
        "print.wat",
        "(local.set $stream (call $stdout))
         (loop $again (call $write (local.get $stream) (i32.const 64) (i32.const 1) (i32.const 32)) (br $again)) (unreachable)",
    );
    let prepared = prepare(&engine, &prints, "").unwrap();
    // What a run holds shows whether it is still there.
    let settings = Arc::new(serde_json::Map::new());
    let limits = Limits { output_total: u64::MAX, ..Limits::default() };
    let request = Request { settings: Arc::clone(&settings), limits, deadline: Duration::from_mins(10), ..request() };
    let dropped = tokio::time::timeout(Duration::from_millis(100), run(&prepared, request)).await;
    assert!(dropped.is_err(), "the module never ends by itself");
    let started = Instant::now();
    while Arc::strong_count(&settings) > 1 {
        assert!(started.elapsed() < SOON, "the run goes on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_engine_outlives_a_thousand_runs() {
    let prepared = prepare(&engine(), &wat("ok.wat"), "").unwrap();
    let started = Instant::now();
    for _ in 0..1000 {
        assert_eq!(run(&prepared, request()).await.outcome, Outcome::Ok);
    }
    assert!(started.elapsed() < Duration::from_mins(1));
}

fn refusal(module: &str, grants: &str) -> LoadError {
    prepare(&engine(), module, grants).map(|_| ()).expect_err("the module is refused")
}

#[test]
fn what_is_no_job_is_refused_with_what_is_missing() {
    let core = refusal("(module (func (export \"run\")))", "");
    assert!(core.to_string().starts_with("the module is a core module without WIT"), "{core}");
    assert!(core.hint().unwrap().contains("wasm-tools component embed"));

    let preview1 = refusal("(module (import \"wasi_snapshot_preview1\" \"proc_exit\" (func (param i32))))", "");
    assert!(preview1.hint().unwrap().contains("a program with a `main`"));

    let text = refusal("(component\n  (nonsense))", "");
    assert!(text.to_string().contains("cannot be read") && text.to_string().contains("at line 2"), "{text}");

    let other = refusal("#!/bin/sh\necho no", "");
    assert!(matches!(other, LoadError::Unrecognised { .. }), "{other}");

    let nothing = refusal("(component)", "");
    assert_eq!(nothing.to_string(), "the file is a WIT package: it describes interfaces, and has no code");

    let wrong = refusal(&wat("ok.wat").replace("(field \"round\" u64)", "(field \"turn\" u64)"), "");
    assert!(matches!(wrong, LoadError::WrongRun { .. }), "{wrong:?}");
    assert!(wrong.to_string().contains("round"), "{wrong}");

    let engine = engine();
    let binary = Module::load(&engine, b"\0asm\x0d\0\x01\0 and so on").map(|_| ()).unwrap_err();
    assert!(matches!(binary, LoadError::Invalid(_)), "{binary:?}");
    let empty = Module::load(&engine, b"").map(|_| ()).unwrap_err();
    assert_eq!(empty.to_string(), "the file is neither WebAssembly nor its text: it is empty");
    let large = Module::load(&engine, &vec![b'('; (64 << 20) + 1]).map(|_| ()).unwrap_err();
    assert!(matches!(large, LoadError::TooLarge(_)));
}

#[test]
fn a_missing_grant_is_named_with_the_line_to_add() {
    let error = refusal(&wat("fetch.wat"), "");
    assert_eq!(error.to_string(), "the module imports `soloist:job/http@0.1.0`, which job `canary` was not granted");
    assert_eq!(error.hint().unwrap(), "add `http = [\"https://…\"]` under `[job.canary.grants]`");
    assert!(prepare(&engine(), &wat("fetch.wat"), "http = [\"https://api.example.com\"]").is_ok());
}

#[test]
fn an_unknown_import_is_named() {
    let other = wat("log.wat").replace("soloist:job/log@0.1.0", "soloist:job/log@0.2.0");
    let error = refusal(&other, "");
    assert_eq!(error.to_string(), "the module imports `soloist:job/log@0.2.0`, which this host does not have");
    assert!(error.hint().unwrap().contains("soloist:job@0.1.0"));

    let newer = wat("log.wat").replace("soloist:job/log@0.1.0", "soloist:job/log@0.1.9");
    assert!(prepare(&engine(), &newer, "").is_ok(), "a version of the same family links");

    let wrong = wat("log.wat").replace("(case \"error\")", "").replace("\"warn\" \"error\"", "\"warn\"");
    assert!(matches!(refusal(&wrong, ""), LoadError::Link(_)));
}

#[test]
fn a_module_is_known_by_its_digest_and_imports() {
    let engine = engine();
    let module = Module::load(&engine, wat("fetch.wat").as_bytes()).unwrap();
    assert_eq!(module.digest(), soloist::module::Digest::of(wat("fetch.wat").as_bytes()));
    assert_eq!(module.size(), wat("fetch.wat").len());
    let imports: Vec<String> = module.imports().iter().map(|import| import.interface.to_string()).collect();
    assert_eq!(imports, ["soloist:job/config@0.1.0", "soloist:job/http@0.1.0"]);
    let other = Module::load(&engine, wat("ok.wat").as_bytes()).unwrap();
    assert_ne!(module.digest(), other.digest());
}

/// Everything that is logged in this process, by any test.
static LOGGED: LazyLock<Arc<Mutex<Vec<u8>>>> = LazyLock::new(|| {
    let logged = Arc::new(Mutex::new(Vec::new()));
    let writer = Writer(Arc::clone(&logged));
    tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).init();
    logged
});

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no test panicked here").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn logged(job: &str) -> Vec<String> {
    let log = String::from_utf8_lossy(&LOGGED.lock().expect("no test panicked here")).into_owned();
    log.lines().filter(|line| line.contains(&format!("job=\"{job}\""))).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_job_prints_is_logged_with_job_and_fence_up_to_a_bound() {
    LazyLock::force(&LOGGED);
    let limits = Limits { output_total: 100_000, ..Limits::default() };
    run_with(&wat("print.wat"), "", Request { job: "printer".to_owned(), limits, ..request() }).await;
    let lines = logged("printer");
    assert_eq!(lines.len(), 1001, "a thousand lines, and one that says so");
    assert!(lines[0].contains("INFO soloist::job: all work and no play job=\"printer\" fence=1000/1"), "{}", lines[0]);
    assert!(lines[1000].contains("WARN") && lines[1000].contains("the rest is dropped"), "{}", lines[1000]);
}

#[tokio::test]
async fn what_a_job_logs_is_bounded_too() {
    LazyLock::force(&LOGGED);
    let first = Request { job: "logger".to_owned(), deadline: Duration::from_millis(500), ..request() };
    run_with(&wat("log.wat"), "", first).await;
    let lines = logged("logger");
    assert!(lines[0].contains("INFO soloist::job: still here"), "{}", lines[0]);
    assert_eq!(lines.len(), 1001);
}
