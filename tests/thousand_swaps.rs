//! A thousand modules swapped in, ten a second, from files, a URL and a registry at once, under a round a second of each job: no
//! round is lost or late, none runs another module than a good one, and the agent's memory stays as it was.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use soloist_tests::agents::{Event, Fleet, now_ms};
use soloist_tests::heartbeat;
use soloist_tests::registry::Registry;
use soloist_tests::scene::{Scene, record};

/// The jobs, and how often the module of each is replaced: ten times a second in all. A URL and a registry are asked once a second
/// at most, so that more would not be seen.
const JOBS: [(&str, Duration); 4] = [
    ("file", Duration::from_millis(250)),
    ("other-file", Duration::from_millis(250)),
    ("url", Duration::from_secs(1)),
    ("registry", Duration::from_secs(1)),
];

/// How many swaps.
const SWAPS: usize = 1000;

/// The longest that the test goes on; it takes some 100 seconds on a machine with nothing else to do.
const LONGEST: Duration = Duration::from_mins(10);

/// The latest start of a round that is not called late, on a machine that may be busy with other tests, in milliseconds.
const LATE: u64 = 5_000;

/// How much more memory an agent may have at the end than after it is warm: an allocator's noise. By then modules that are not let
/// go take 20 MiB, and their bytes alone 40 MiB.
const GROWTH: u64 = 8 << 20;

/// Bytes of a comment in each module, so that one whose bytes are not let go is told from an allocator's noise.
const COMMENT: usize = 64 << 10;

/// The module in its version.
fn version(number: u32) -> String {
    format!("{}\n;; {}\n", heartbeat::saying(&format!("version {number:06}")), "x".repeat(COMMENT))
}

/// A URL that gives the version of the moment.
#[derive(Clone, Default)]
struct Page(Arc<AtomicU32>);

async fn page(State(page): State<Page>, headers: HeaderMap) -> Response {
    let number = page.0.load(Ordering::SeqCst);
    let etag = format!("\"{number}\"");
    if headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == etag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, etag)], version(number)).into_response()
}

/// Where the modules of the jobs are put.
#[derive(Clone)]
struct Places {
    home: PathBuf,
    page: Page,
    registry: Arc<Registry>,
    /// The newest version of each job: it is noted before it is put there.
    newest: Arc<Mutex<BTreeMap<&'static str, u32>>>,
}

impl Places {
    async fn put(&self, job: &'static str, number: u32) {
        self.newest.lock().unwrap().insert(job, number);
        match job {
            "url" => self.page.0.store(number, Ordering::SeqCst),
            "registry" => _ = self.registry.push("swaps", "latest", version(number).as_bytes()).await.unwrap(),
            file => rename_over(&self.home.join(file), &version(number)),
        }
    }

    /// Replaces a job's module until the task is dropped.
    async fn keep_replacing(self, job: &'static str, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for number in 1.. {
            ticks.tick().await;
            self.put(job, number).await;
        }
    }
}

fn rename_over(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn tables(page: &str, registry: &Registry) -> String {
    let sources = ["file", "other-file", page, &registry.source("swaps")];
    let mut tables = String::new();
    for ((job, _), source) in JOBS.iter().zip(sources) {
        let _ = write!(
            tables,
            "[job.{job}]\nrecord = \"{}\"\nevery = \"1s\"\ntimeout = \"5s\"\nmodule = \"{source}\"\n\
             missed = \"catch-up\"\ncatch-up = 1000\n\n",
            record(job)
        );
    }
    tables
}

fn swaps(fleet: &Fleet) -> usize {
    fleet.log().all(|event| event.kind() == "swapped").len()
}

/// How late a run began, by when its end was said and how long it took.
fn lateness(event: &Event) -> u64 {
    event.at_ms.saturating_sub(event.number("ms")).saturating_sub(event.number("round") * 1000)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Debian's docker-registry, and two minutes; tests/run installs it"]
#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
async fn a_thousand_swaps_lose_no_round_and_no_memory() {
    let registry = Arc::new(Registry::start().await.unwrap());
    let scene = Scene::new().await;
    let page = Page::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/job.wat", listener.local_addr().unwrap());
    let router = Router::new().route("/job.wat", get(self::page)).with_state(page.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut fleet = scene.bare_fleet(&tables(&url, &registry));
    let places = Places { home: fleet.home().to_owned(), page, registry, newest: Arc::default() };
    for (job, _) in JOBS {
        places.put(job, 0).await;
        fleet.due_at(&record(job), now_ms() / 1000 + 3600).await;
    }
    fleet.start_all(&["alto"]).await;
    let first = now_ms() / 1000 + 3;
    for (job, _) in JOBS {
        fleet.due_at(&record(job), first).await;
    }

    let begun = Instant::now();
    let mut replacing = tokio::task::JoinSet::new();
    for (job, every) in JOBS {
        replacing.spawn(places.clone().keep_replacing(job, every));
    }
    // After how many swaps, and how much.
    let mut memory: Vec<(usize, u64)> = Vec::new();
    while swaps(&fleet) < SWAPS && begun.elapsed() < LONGEST {
        if let Some(ended) = replacing.try_join_next() {
            panic!("modules are replaced no more: {ended:?}");
        }
        memory.push((swaps(&fleet), fleet.memory("alto").1));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (swapped, took) = (swaps(&fleet), begun.elapsed());
    replacing.shutdown().await;
    fleet.terminate("alto");
    assert!(fleet.ended("alto").await.success());

    let mut late: Vec<u64> = Vec::new();
    for (job, _) in JOBS {
        let runs =
            fleet.log().all(|event| event.job() == job && event.kind() == "ran" && event.number("round") >= first);
        let rounds: Vec<u64> = runs.iter().map(|run| run.number("round")).collect();
        let expected: Vec<u64> = (first..first + rounds.len() as u64).collect();
        assert_eq!(rounds, expected, "`{job}`: each round once, and in order");
        assert!(rounds.len() as u64 + 10 >= took.as_secs(), "`{job}`: {} rounds in {took:?}", rounds.len());
        let versions: Vec<u32> =
            runs.iter().map(|run| run.text("summary").strip_prefix("version ").unwrap().parse().unwrap()).collect();
        assert!(versions.is_sorted(), "`{job}` went back to a module before: {versions:?}");
        assert!(versions.iter().max() <= places.newest.lock().unwrap().get(job));
        assert!(
            versions.windows(2).filter(|pair| pair[0] != pair[1]).count() > rounds.len() / 2,
            "`{job}` hardly changed"
        );
        late.extend(runs.iter().map(lateness));
    }
    assert!(fleet.log().all(|event| event.kind() == "refused").is_empty(), "each module was good");
    late.sort_unstable();
    let (median, worst) = (late[late.len() / 2], late[late.len() - 1]);
    let mean = |part: &[(usize, u64)]| part.iter().map(|(_, bytes)| bytes).sum::<u64>() / part.len().max(1) as u64;
    let warm: Vec<(usize, u64)> = memory.iter().filter(|(swaps, _)| *swaps >= SWAPS / 5).copied().collect();
    let (before, after) = (mean(&warm[..warm.len() / 4]), mean(&warm[warm.len() * 3 / 4..]));
    println!(
        "{swapped} swaps in {took:.1?}, {} rounds, none lost, late {median} ms in the median and {worst} ms at most; \
         memory {} KiB after {} swaps, {} KiB at the end",
        late.len(),
        before >> 10,
        SWAPS / 5,
        after >> 10,
    );
    assert!(swapped >= SWAPS, "{swapped} swaps in {took:?}");
    assert!(worst < LATE, "a round began {worst} ms late");
    assert!(after <= before + GROWTH, "memory grew from {before} to {after} bytes: {memory:?}");
}
