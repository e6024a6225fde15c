//! What agents keep, and what they compile in a process of their own: a restart costs nothing, what was tampered with is never
//! run, and no module takes an agent down or delays a round.
#![cfg(target_os = "linux")]

mod disk;
mod stage;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rustix::process::{Pid, Signal, kill_process};
use soloist::runtime::Engine;
use soloist_tests::agents::{Event, eventually, now_ms, until_ms};
use soloist_tests::binary::{compiler_of, soloist};
use soloist_tests::guest::{slow_to_compile, wat};
use tokio::net::TcpListener;

use stage::{LONG, Stage, of_the_store};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_compiled_once_for_all_agents_of_a_machine() {
    let mut stage = Stage::new("");
    stage.fleet.start_all(&["alto"]).await;
    stage.runs("alto").await;
    let found = |event: &Event| of_the_store(event, "was compiled before");
    assert!(stage.said("alto", found).is_empty());
    assert_eq!((stage.kept("modules").len(), stage.kept("compiled").len()), (1, 1));
    // Beside the first one, and after it.
    stage.fleet.start_all(&["bass"]).await;
    assert_eq!(stage.said("bass", found).len(), 1);
    stage.fleet.kill("alto");
    stage.fleet.kill("bass");
    stage.fleet.start_all(&["cello"]).await;
    assert_eq!(stage.said("cello", found).len(), 1);
    stage.runs("cello").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_code_that_was_not_made_here_is_never_loaded() {
    let mut stage = Stage::new("");
    stage.fleet.start_all(&["first"]).await;
    stage.fleet.kill("first");
    let path = stage.kept("compiled").remove(0);
    let good = fs::read(&path).expect("an entry");
    // What wasmtime itself would load without a word; and one bit of the real one, in the code.
    let engine = Engine::new().expect("an engine");
    let forged = engine.wasmtime().precompile_component(wat("log.wat").as_bytes()).expect("it compiles");
    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for (agent, content) in [("forged", forged), ("damaged", damaged), ("cut", good[..middle].to_vec())] {
        fs::write(&path, &content).expect("it can be written");
        stage.fleet.start_all(&[agent]).await;
        let removed = stage.said(agent, |event| of_the_store(event, "it is not as it was written here"));
        assert_eq!(removed.len(), 1, "{agent}");
        let summary = stage.runs(agent).await;
        assert_eq!(summary.text("summary"), "all is well", "{agent}");
        assert_ne!(fs::read(&path).expect("it was made anew"), content, "{agent}");
        stage.fleet.kill(agent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_had_costs_a_warning() {
    let mut stage = Stage::new("[store]\npath = \"file/store\"\n");
    fs::write(stage.fleet.path("file"), "no folder").expect("a file");
    stage.fleet.start_all(&["alto"]).await;
    stage.runs("alto").await;
    let warned = stage.said("alto", |event| event.kind() == "store" && event.text("level") == "WARN");
    assert_eq!(warned.len(), 1, "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_takes_too_much_to_compile_is_refused_and_the_rounds_go_on() {
    for (limit, reason) in [
        ("memory = \"64MiB\"", "takes more than 64 MiB of memory"),
        ("time = \"1s\"\nmemory = \"16GiB\"", "takes longer than 1s of one processor's time"),
    ] {
        let mut stage = Stage::new(&format!("[compiler]\n{limit}\n"));
        stage.fleet.start_all(&["alto"]).await;
        stage.put(&slow_to_compile(8000, 1000));
        let refused = stage.refused("alto").await;
        assert!(refused.text("reason").contains(reason), "{}", refused.said);
        assert!(refused.text("reason").contains("under `[compiler]`"), "{}", refused.said);
        assert_eq!(stage.runs("alto").await.text("summary"), "all is well");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiler_that_is_killed_is_a_refusal_and_one_whose_agent_is_killed_ends() {
    let mut stage = Stage::new("");
    stage.fleet.start_all(&["alto"]).await;
    let agent = stage.fleet.pid("alto");
    stage.put(&slow_to_compile(8000, 1000));
    let compiler = eventually("the compiler is at work", LONG, async || compiler_of(agent)).await;
    // It has a low priority, and nothing of the agent's environment.
    let nice = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(16)?.parse::<i32>().ok())
    };
    eventually("it has made itself nice", LONG, async || (nice(compiler) == Some(10)).then_some(())).await;
    let environment = fs::read(format!("/proc/{compiler}/environ")).expect("it still works");
    assert!(environment.is_empty(), "{}", String::from_utf8_lossy(&environment));
    // By default a gigabyte, two minutes, and no core: that would be a file of a gigabyte. It binds itself one by one.
    let told = |name: &str| -> Vec<u64> {
        let limits = fs::read_to_string(format!("/proc/{compiler}/limits")).expect("it still works");
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
        line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    for (name, soft, hard) in
        [("Max data size", 1 << 30, 1 << 30), ("Max cpu time", 120, 122), ("Max core file size", 0, 0)]
    {
        eventually(name, LONG, async || (told(name) == [soft, hard]).then_some(())).await;
    }
    kill_process(Pid::from_raw(compiler).expect("an id"), Signal::KILL).expect("it still works");
    let refused = stage.refused("alto").await;
    assert!(refused.text("reason").contains("it was killed"), "{}", refused.said);
    stage.runs("alto").await;

    // Another module, as the one before is known to be refused.
    stage.put(&format!(";; another\n{}", slow_to_compile(8000, 1000)));
    let compiler = eventually("the compiler is at work", LONG, async || compiler_of(agent)).await;
    stage.fleet.kill("alto");
    let is_gone = || !Path::new(&format!("/proc/{compiler}/cmdline")).exists() || is_ended(compiler);
    eventually("the compiler ends with its agent", Duration::from_secs(30), async || is_gone().then_some(())).await;
}

#[tokio::test]
async fn a_compiler_ends_with_its_parents_end_of_the_pipe_and_not_with_its_work() {
    let mut compiler = Command::new(soloist())
        .args(["compile", "--memory", "17179869184", "--seconds", "600"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let pid = i32::try_from(compiler.id()).expect("an id");
    let mut stdin = compiler.stdin.take().expect("it is piped");
    let module = slow_to_compile(8000, 1000);
    stdin.write_all(&(module.len() as u64).to_le_bytes()).expect("it reads");
    stdin.write_all(module.as_bytes()).expect("it reads");
    eventually("it compiles", LONG, async || (ticks(pid) > Some(50)).then_some(())).await;
    drop(stdin);
    let status = eventually("it ends", LONG, async || compiler.try_wait().expect("it is ours")).await;
    assert_eq!(status.code(), Some(1), "0 would be with its work done");
}

/// A server of one module, until it is dropped.
struct Web(tokio::task::JoinHandle<()>);

impl Web {
    async fn start(address: SocketAddr, module: String) -> (Self, SocketAddr) {
        // Where it was started before, connections of then may still be closing.
        let listener = eventually("the address is free", LONG, async || TcpListener::bind(address).await.ok()).await;
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new().route("/job.wat", get(move || async move { module }));
        (Self(tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") })), address)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_network_runs_the_last_good_module_and_swaps_when_its_source_is_back() {
    let (web, address) = Web::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), wat("ok.wat")).await;
    let mut stage = Stage::of(&format!("http://{address}/job.wat"), "");
    stage.fleet.start_all(&["alto"]).await;
    assert_eq!(stage.runs("alto").await.text("summary"), "all is well");
    // It is noted beside the rounds, so perhaps not yet.
    eventually("the module is noted", LONG, async || stage.kept("last").pop()).await;
    stage.fleet.kill("alto");
    drop(web);

    stage.fleet.start_all(&["bass"]).await;
    let swapped = stage.said("bass", |event| event.kind() == "swapped");
    assert!(swapped.len() == 1 && swapped[0].said["kept"] == true, "{swapped:?}");
    assert!(swapped[0].text("message").contains("the last good one"), "{swapped:?}");
    assert_eq!(stage.runs("bass").await.text("summary"), "all is well");

    let (_web, _) = Web::start(address, wat("ok.wat").replace("all is well", "all is back")).await;
    eventually("the new one is there", LONG, async || {
        (stage.runs("bass").await.text("summary") == "all is back").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_starts_at_a_bad_module_keeps_to_the_last_good_one() {
    let mut stage = Stage::new("");
    stage.fleet.start_all(&["alto"]).await;
    stage.runs("alto").await;
    eventually("the module is noted", LONG, async || stage.kept("last").pop()).await;
    stage.fleet.kill("alto");
    stage.put("<!doctype html><title>404</title>");
    stage.fleet.start_all(&["bass"]).await;
    assert_eq!(stage.runs("bass").await.text("summary"), "all is well");
    assert!(stage.refused("bass").await.text("reason").contains("it is an HTML page"));
    // What was refused has not taken its place.
    stage.fleet.kill("bass");
    stage.fleet.start_all(&["cello"]).await;
    assert_eq!(stage.runs("cello").await.text("summary"), "all is well");
}

/// The check of what a cold JavaScript module costs: nothing. It is as large as modules get, and its compiler takes many seconds.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs links-javascript built by jobs/build; tests/run builds it"]
async fn a_cold_javascript_module_that_arrives_a_second_before_a_round_delays_none() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs/built/links-javascript.wasm");
    let module = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(module.len() > 10_000_000, "it has its engine in it");
    let mut stage = Stage::new("[job.job.grants]\nhttp = [\"https://example.com\"]\nslack = [\"#none\"]\n");
    stage.fleet.start_all(&["alto"]).await;
    let before = stage.runs("alto").await.number("round");
    fs::write(stage.fleet.path("new"), &module).expect("a file");
    // The next round but one is the first that is due a second or more after it arrives.
    let due_ms = (now_ms() / 1000 + 2) * 1000;
    until_ms(due_ms - 1000).await;
    fs::rename(stage.fleet.path("new"), stage.fleet.path("job.wat")).expect("a rename");

    let swapped = || {
        let refused = stage.said("alto", |event| event.kind() == "refused").pop();
        assert!(refused.is_none(), "{refused:?}");
        stage.said("alto", |event| event.kind() == "swapped").into_iter().nth(1)
    };
    let swapped = eventually("the new module is there", Duration::from_secs(600), async || swapped()).await;
    assert_eq!(swapped.number("size"), module.len() as u64);
    let won = stage.said("alto", |event| event.kind() == "won" && event.number("round") > before);
    let won: Vec<&Event> = won.iter().filter(|event| event.at_ms < swapped.at_ms).collect();
    let rounds: Vec<u64> = won.iter().map(|event| event.number("round")).collect();
    assert_eq!(rounds, (before + 1..).take(rounds.len()).collect::<Vec<u64>>(), "each round was run, once");
    assert!(rounds.contains(&(due_ms / 1000)) && rounds.len() > 3, "{rounds:?}: it took a while, as it does");
    let late: Vec<u64> = won.iter().map(|event| event.number("late_ms")).filter(|late| *late >= 1000).collect();
    assert!(late.is_empty(), "late by {late:?} ms");
    let ran = stage.said("alto", |event| event.kind() == "ran" && event.at_ms < swapped.at_ms);
    assert!(ran.iter().all(|event| event.text("summary") == "all is well"), "on the old one: {ran:?}");
}

/// How long a process has had a processor, in ticks of 10 ms.
fn ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(11)?.parse().ok()
}

/// Whether a process has ended, and waits for its parent to notice.
fn is_ended(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_on_time_while_a_module_is_compiled() {
    let mut stage = Stage::new("");
    stage.fleet.start_all(&["alto"]).await;
    stage.runs("alto").await;
    let agent = stage.fleet.pid("alto");
    stage.put(&slow_to_compile(3000, 500));
    eventually("the compiler is at work", LONG, async || compiler_of(agent)).await;
    let (begun_ms, begun) = (now_ms(), Instant::now());
    let swapped = || stage.said("alto", |event| event.kind() == "swapped").len() == 2;
    eventually("the new module is there", LONG, async || swapped().then_some(())).await;
    let rounds = stage.said("alto", |event| event.kind() == "won" && event.at_ms > begun_ms);
    let seconds = begun.elapsed().as_secs();
    assert!(rounds.len() as u64 + 1 >= seconds, "{} rounds in {seconds} s", rounds.len());
    let late: Vec<u64> = rounds.iter().map(|event| event.number("late_ms")).filter(|late| *late >= 1000).collect();
    assert!(late.is_empty(), "late by {late:?} ms");
}
