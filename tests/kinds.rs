//! Modules of every kind run alike: programs with arguments, an environment and an exit status, beside jobs; and whatever they
//! are, a failure of theirs reads the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use soloist::round::Outcome;
use soloist::runtime::{Engine, Form, Invocation, LoadError, Module, Nothing, Report, Request, World, run};
use soloist_tests::guest::{request, wat, with_body};

fn engine() -> Engine {
    Engine::new().expect("an engine")
}

async fn run_with(module: &str, request: Request) -> Report {
    let prepared =
        Module::load(&engine(), module.as_bytes()).and_then(|module| module.prepare("canary", Arc::new(Nothing)));
    run(&prepared.expect("the module fits"), request).await
}

/// Runs the command with this at its end.
async fn ending(body: &str) -> Report {
    run_with(&with_body("command.wat", body), request()).await
}

fn invocation(arguments: &[&str], environment: &[(&str, &str)]) -> Arc<Invocation> {
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    Arc::new(Invocation::new(arguments, environment).expect("they are few and short"))
}

#[tokio::test]
async fn a_program_is_given_its_arguments_and_what_is_known_of_the_run() {
    let invocation = invocation(&["--fast", "a b"], &[("TZ", "Europe/Sofia"), ("EMPTY", "")]);
    let report =
        run_with(&wat("command.wat"), Request { invocation, previous: Some("ok".to_owned()), ..request() }).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, "done"), "the last line is the summary");
    let lines: Vec<&str> = report.output.text.lines().collect();
    assert_eq!(lines[..3], ["canary", "--fast", "a b"]);
    let mut environment: Vec<&str> = lines[3..lines.len() - 1].to_vec();
    environment.sort_unstable();
    let deadline = environment.iter().position(|line| line.starts_with("SOLOIST_DEADLINE_MS=1")).expect("its deadline");
    environment.remove(deadline);
    assert_eq!(
        environment,
        [
            "EMPTY=",
            "SOLOIST_AGENT=agent-1",
            "SOLOIST_ATTEMPT=1",
            "SOLOIST_DUE_MS=1000000",
            "SOLOIST_JOB=canary",
            "SOLOIST_PREVIOUS=ok",
            "SOLOIST_ROUND=1000",
            "TZ=Europe/Sofia",
        ]
    );
}

#[tokio::test]
async fn a_programs_exit_status_decides() {
    let failing = |status: u8| {
        format!("(call $print (i32.const 2) (i32.const 128) (i32.const 14)) (call $proc_exit (i32.const {status}))")
    };
    let report = ending("(call $proc_exit (i32.const 0))").await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, "done"));
    for (status, outcome) in [(1, Outcome::Error), (2, Outcome::Error), (75, Outcome::Retry), (255, Outcome::Error)] {
        let report = ending(&failing(status)).await;
        assert_eq!(report.outcome, outcome, "{}", report.message);
        assert_eq!(report.message, format!("exit status {status}; last on stderr: no such thing"));
    }
}

#[tokio::test]
async fn a_panic_that_exits_is_a_panic() {
    let panic = "(call $print (i32.const 2) (i32.const 192) (i32.const 79)) (call $proc_exit (i32.const 2))";
    let report = ending(panic).await;
    assert_eq!(report.outcome, Outcome::Panic, "{}", report.message);
    assert_eq!(report.message, "panic: no such thing, in main.check (/src/main.go:12) (exit status 2)");
}

#[tokio::test]
async fn a_trap_in_a_program_says_where() {
    let report = ending("(call $careless)").await;
    assert_eq!(report.outcome, Outcome::Trap);
    assert!(report.message.starts_with("wasm trap: wasm `unreachable` instruction executed"), "{}", report.message);
    assert!(report.message.contains("in `careless`, called by `main`"), "{}", report.message);
}

#[tokio::test]
async fn a_program_ends_at_its_deadline_and_within_its_memory_like_any_job() {
    let deadline = std::time::Duration::from_millis(200);
    let loops = with_body("command.wat", "(loop $again (br $again))");
    let report = run_with(&loops, Request { deadline, ..request() }).await;
    assert_eq!(report.outcome, Outcome::Timeout, "{}", report.message);
    let grows = "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 256)) (i32.const -1))))
                 (call $proc_exit (i32.const 1))";
    let report = ending(grows).await;
    assert_eq!(report.outcome, Outcome::Memory, "{}", report.message);
}

#[tokio::test]
async fn a_program_reaches_no_file_and_nothing_of_the_agents_environment() {
    let report = run_with(&wat("command.wat"), request()).await;
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok(), "the agent has it");
    assert!(!report.output.text.contains("CARGO"), "{}", report.output.text);
    // The first directory that a program is given has the number 3.
    let opens = wat("command.wat")
        .replace(
            "(memory (export \"memory\") 4)",
            "(import \"wasi_snapshot_preview1\" \"fd_prestat_get\" (func $prestat (param i32 i32) (result i32)))
             (memory (export \"memory\") 4)",
        )
        .replace(";; begin", "(call $proc_exit (call $prestat (i32.const 3) (i32.const 8192))) ;; begin");
    let report = run_with(&opens, request()).await;
    assert_eq!(report.message, "exit status 8", "bad descriptor: there is none");
}

#[test]
fn machine_code_is_refused_wherever_it_comes_from() {
    let engine = engine();
    let component = wat("ok.wat");
    let code = engine.wasmtime().precompile_component(component.as_bytes()).expect("it compiles");
    let error = Module::load(&engine, &code).map(|_| ()).unwrap_err();
    assert!(matches!(&error, LoadError::Unrecognised { what } if what.contains(".cwasm")), "{error}");
}

#[test]
fn a_modules_kind_is_told_by_its_content() {
    let kind = |text: &str| Module::load(&engine(), text.as_bytes()).expect("it loads").kind();
    let command = kind(&wat("command.wat"));
    assert_eq!((command.form, command.world, command.text), (Form::Preview1, World::Command, true));
    assert_eq!(kind(&wat("ok.wat")).world, World::Job);
}
