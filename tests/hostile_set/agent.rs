//! One real agent that has every attack as a job: each is refused and counted, round after round, and a job beside them
//! does all of its rounds.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use soloist_tests::agents::{Event, Fleet, eventually, scrape};
use soloist_tests::calls::{self, Import};
use soloist_tests::guest;
use soloist_tests::scene::{Scene, record};

use super::modules;

const AGENT: &str = "alto";

/// How long all of it may take: it takes some seconds.
const LONG: Duration = Duration::from_secs(180);

const SECRET: &str = "geheim-und-lang-genug";

/// A server that is granted, with traps.
async fn traps() -> (String, tokio::task::JoinHandle<()>) {
    let router = Router::new()
        .route("/echo", any(|request: Request| async { request.into_body().into_response() }))
        .route("/endless", any(|| async { endless() }))
        .route("/metadata", any(|| async { (StatusCode::FOUND, [("location", "http://169.254.169.254/latest/")]) }))
        .route("/odd", any(|| async { (StatusCode::FOUND, [("location", "http://2852039166/latest/")]) }))
        .fallback(any(|| async { "a trap" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("the server runs") });
    (origin, task)
}

fn endless() -> Response {
    let pieces = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 65536])));
    Body::from_stream(pieces).into_response()
}

/// An attack by a run.
struct Attack {
    job: &'static str,
    /// Lines of the job's settings.
    config: String,
    /// What its failure says.
    reason: &'static str,
    /// Whether it counts as denied at the gate.
    is_denied: bool,
}

fn attacks(origin: &str) -> Vec<Attack> {
    let fetch = |job, url: String, reason, is_denied| Attack {
        job,
        config: format!("mode = \"fetch\"\nurl = \"{url}\""),
        reason,
        is_denied,
    };
    let attack = |job, name: &str, reason, is_denied| Attack {
        job,
        config: format!("mode = \"attack\"\nattack = \"{name}\"\nurl = \"{origin}\""),
        reason,
        is_denied,
    };
    let port = origin.rsplit(':').next().unwrap_or_default();
    vec![
        fetch("by-name", format!("http://localhost:{port}/"), "was not granted", true),
        fetch("by-number", format!("http://0x7f.0.0.2:{port}/"), "was not granted", true),
        fetch("by-metadata", "http://[::ffff:a9fe:a9fe]/latest/".to_owned(), "was not granted", true),
        fetch("by-redirect", format!("{origin}/metadata"), "was not granted `http://169.254.169.254`", true),
        fetch("by-odd-redirect", format!("{origin}/odd"), "was not granted `http://169.254.169.254`", true),
        fetch("endless-stream", format!("{origin}/endless"), "more than 8388608 bytes", false),
        attack("smuggler", "headers", "12 refused", false),
        attack("flood", "flood", "9900 refused; ", true),
        attack("files", "files", "12 refused", false),
        attack("environment", "environment", "2 refused", false),
        // Access is denied to a socket, and a look-up fails for good.
        Attack { job: "sockets", config: String::new(), reason: "BU", is_denied: false },
    ]
}

/// Modules that must never load: the job, its module, and what the refusal says.
fn bad_modules(huge: &str) -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("forged", "forged.cwasm".to_owned(), "is refused"),
        ("deep", "deep.wasm".to_owned(), "nested deeper"),
        ("deep-text", "deep.wat".to_owned(), "nest"),
        ("huge-file", "huge.wasm".to_owned(), "67108864"),
        ("huge-said", format!("{huge}/said"), "67108864"),
        ("huge-unsaid", format!("{huge}/unsaid"), "67108864"),
    ]
}

/// A job that sends its secret to where it is echoed, and gives the answer as its summary.
fn echoed(url: &str) -> String {
    let secrets = Import {
        interface: "soloist:job/secrets@0.1.0",
        text: "(type $error-type (variant (case \"denied\" string))) (export \"error\" (type $error (eq $error-type)))
               (export \"get\" (func (param \"name\" string) (result (result string (error $error)))))",
        functions: &[("get", "(param i32 i32 i32)")],
    };
    let http = Import {
        interface: "soloist:job/http@0.1.0",
        text: "(type $request-type (record (field \"method\" string) (field \"url\" string)
                 (field \"headers\" (list (tuple string string))) (field \"body\" (list u8))
                 (field \"timeout-ms\" (option u32))))
               (export \"request\" (type $request (eq $request-type)))
               (type $response-type (record (field \"status\" u16) (field \"headers\" (list (tuple string string)))
                 (field \"body\" (list u8)) (field \"url\" string)))
               (export \"response\" (type $response (eq $response-type)))
               (type $error-type (variant (case \"denied\" string) (case \"invalid\" string) (case \"timeout\")
                 (case \"too-large\" string) (case \"failed\" string)))
               (export \"error\" (type $error (eq $error-type)))
               (export \"fetch\" (func (param \"request\" $request) (result (result $response (error $error)))))",
        functions: &[("fetch", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)")],
    };
    let length = url.len();
    let body = format!(
        "(call $get (i32.const 512) (i32.const 3) (i32.const 32))
         (call $fetch (i32.const 515) (i32.const 4) (i32.const 519) (i32.const {length})
           (i32.const 0) (i32.const 0) (i32.load (i32.const 36)) (i32.load (i32.const 40))
           (i32.const 0) (i32.const 0) (i32.const 64))
         {}",
        calls::summary("(i32.load (i32.const 80))", "(i32.load (i32.const 84))")
    );
    calls::component(&[secrets, http], &format!("keyPOST{url}"), &body)
}

fn table(job: &str, module: &str, rules: &str, grants: &str, config: &str) -> String {
    let record = record(job);
    format!(
        "[job.{job}]\nrecord = \"{record}\"\nmodule = \"{module}\"\n{rules}\n[job.{job}.grants]\n{grants}\n\
         [job.{job}.config]\n{config}\n\n"
    )
}

/// The sum of a metric's series that hold this text.
fn sum(lines: &[String], series: &str, label: &str) -> u64 {
    let fits = |line: &&String| line.starts_with(series) && line.contains(label);
    lines.iter().filter(fits).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn is(kind: &str, job: &str) -> impl Fn(&Event) -> bool {
    move |event| event.kind() == kind && event.job() == job
}

/// The fleet of the one agent, with everything that it is to meet.
fn fleet(scene: &Scene, origin: &str, huge: &str) -> Fleet {
    let rules = "every = \"2s\"\nattempts = 1\ntimeout = \"20s\"\nmissed = \"skip\"";
    let grants = format!("http = [\"{origin}\", \"http://*.example.com\"]\nslack = []");
    let mut text = "[agent]\nmetrics = \"127.0.0.1:0\"\n\n".to_owned();
    text += &format!("[secrets.key]\nfile = \"secret\"\norigins = [\"{origin}\"]\n\n");
    text += &scene.job("good", "every = \"1s\"\nmissed = \"catch-up\"", "mode = \"report\"");
    for attack in attacks(origin) {
        // A thousand lines of log are enough now and then.
        let rules = if attack.job == "flood" { rules.replace("2s", "10s") } else { rules.to_owned() };
        let module = if attack.job == "sockets" { "sockets.wat" } else { "probe.wasm" };
        text += &table(attack.job, module, &rules, &grants, &attack.config);
    }
    for (job, module, _) in bad_modules(huge) {
        text += &table(job, &module, rules, &grants, "");
    }
    text += &table("echo", "echo.wat", rules, &format!("{grants}\nsecrets = [\"key\"]"), "");
    let fleet = scene.fleet(&text);
    std::fs::write(fleet.path("secret"), SECRET).unwrap();
    std::fs::write(fleet.path("echo.wat"), echoed(&format!("{origin}/echo"))).unwrap();
    std::fs::write(fleet.path("sockets.wat"), guest::wat("sockets.wat")).unwrap();
    std::fs::write(fleet.path("forged.cwasm"), modules::forged()).unwrap();
    std::fs::write(fleet.path("deep.wasm"), modules::deep()).unwrap();
    std::fs::write(fleet.path("deep.wat"), modules::deep_text()).unwrap();
    modules::huge_file(&fleet.path("huge.wasm"));
    fleet
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the probe built by jobs/build; tests/run builds it"]
async fn every_attack_is_refused_and_counted_and_the_agent_goes_on() {
    let scene = Scene::new().await;
    let ((origin, _traps), (huge, _modules)) = (traps().await, modules::huge_server().await);
    let mut fleet = fleet(&scene, &origin, &huge);
    fleet.start(AGENT);

    // Each attack more than once: the agent has gone on after it.
    for attack in attacks(&origin) {
        let job = attack.job;
        let ran = eventually(&format!("`{job}` runs twice"), LONG, async || {
            let ran = fleet.log().all(is("ran", job));
            (ran.len() >= 2).then_some(ran)
        })
        .await;
        for event in ran {
            assert_eq!(event.text("outcome"), "error", "{job}: {}", event.said);
            assert!(event.text("reason").contains(attack.reason), "{job}: {}", event.said);
        }
    }
    for (job, _, reason) in bad_modules(&huge) {
        let said = |event: &Event| event.job() == job && event.said.to_string().contains(reason);
        eventually(&format!("the module of `{job}` is refused"), LONG, async || fleet.log().first(said)).await;
        assert!(fleet.log().first(is("swapped", job)).is_none(), "{job}");
    }
    let echo = eventually("the secret is echoed", LONG, async || fleet.log().first(is("ran", "echo"))).await;
    let summary = echo.text("summary");
    assert!(summary.starts_with("soloist-secret-") && summary.len() == 40, "{}", echo.said);
    let told = fleet.log().all(|event| event.said.to_string().contains(SECRET));
    assert!(told.is_empty(), "{told:?}");

    let lines = scrape(&fleet, AGENT).await;
    assert!(!lines.iter().any(|line| line.contains(SECRET)));
    for attack in attacks(&origin) {
        let label = format!("job=\"{}\"", attack.job);
        assert!(sum(&lines, "soloist_runs_total", &label) >= 2, "{lines:?}");
        let denied = sum(&lines, "soloist_denials_total", &label);
        assert_eq!(denied > 0, attack.is_denied, "{}: {denied}", attack.job);
    }
    for (job, ..) in bad_modules(&huge) {
        assert!(sum(&lines, "soloist_modules_refused_total", &format!("job=\"{job}\"")) >= 1, "{job}: {lines:?}");
    }
    // The same process, and none of the good job's rounds is missing.
    let won: Vec<u64> = fleet.log().all(is("won", "good")).iter().map(|event| event.number("round")).collect();
    assert!(won.len() >= 3, "{won:?}");
    assert!(won.windows(2).all(|two| two[1] == two[0] + 1), "{won:?}");
    let last = *won.last().unwrap();
    eventually("the good job's next round", LONG, async || {
        fleet.log().first(|event| is("finished", "good")(event) && event.number("round") > last)
    })
    .await;
}
