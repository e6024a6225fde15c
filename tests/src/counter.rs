//! An HTTP server on loopback that counts: what the probe reports to it, each call with its time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, post};
use serde_json::Value;
use soloist::round::Fence;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::agents::now_ms;

/// How many calls are kept. More are refused, so that a test sees it.
const MAX_CALLS: usize = 100_000;

/// One call of the probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The job.
    pub job: String,
    /// The agent's name: its id without the random part.
    pub agent: String,
    /// The round and the attempt.
    pub fence: Fence,
    /// The module's version.
    pub version: String,
    /// Where in the run it was: `run`, or `start`, `alive`, `end`.
    pub phase: String,
    /// When it arrived, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What the server has seen.
#[derive(Debug, Default)]
struct Seen {
    calls: Vec<Call>,
    /// Requests for anything else: method and path.
    others: Vec<String>,
}

/// The server; it ends when this goes out of scope.
#[derive(Debug)]
pub struct Counter {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: AbortHandle,
}

impl Counter {
    /// Starts it on a free port of loopback.
    ///
    /// # Panics
    /// There is none.
    pub async fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST).await
    }

    /// The same, at another address of this machine or of a network of the test's own.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start_at(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let router = Router::new()
            .route("/report", post(report))
            .route("/to/{port}", any(redirect))
            .fallback(other)
            .with_state(Arc::clone(&seen));
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { address, seen, task }
    }

    /// Its origin, as in a grant: `http://127.0.0.1:8080`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Every call so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    /// The first call that is of interest.
    pub fn first(&self, mut is_it: impl FnMut(&Call) -> bool) -> Option<Call> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).calls.iter().find(|call| is_it(call)).cloned()
    }

    /// Requests that were no calls of the probe: method and path, in the order of their arrival.
    pub fn others(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).others.clone()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn report(State(seen): State<Arc<Mutex<Seen>>>, body: Bytes) -> StatusCode {
    let at_ms = now_ms();
    let Some(call) = serde_json::from_slice(&body).ok().and_then(|said: Value| read(&said, at_ms)) else {
        return StatusCode::BAD_REQUEST;
    };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.calls.len() == MAX_CALLS {
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    seen.calls.push(call);
    StatusCode::NO_CONTENT
}

fn read(said: &Value, at_ms: u64) -> Option<Call> {
    let text = |field: &str| Some(said[field].as_str()?.to_owned());
    let id = text("agent")?;
    Some(Call {
        job: text("job")?,
        agent: id.rsplit_once('-')?.0.to_owned(),
        fence: Fence { round: said["round"].as_u64()?, attempt: u32::try_from(said["attempt"].as_u64()?).ok()? },
        version: text("version")?,
        phase: text("phase")?,
        at_ms,
    })
}

async fn redirect(State(seen): State<Arc<Mutex<Seen>>>, Path(port): Path<u16>, method: Method, uri: Uri) -> Response {
    note(&seen, &method, &uri);
    Redirect::temporary(&format!("http://127.0.0.1:{port}/secret")).into_response()
}

async fn other(State(seen): State<Arc<Mutex<Seen>>>, method: Method, uri: Uri) -> Response {
    note(&seen, &method, &uri);
    ([(header::CONTENT_TYPE, "text/plain")], "the counter").into_response()
}

fn note(seen: &Mutex<Seen>, method: &Method, uri: &Uri) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.others.len() < MAX_CALLS {
        seen.others.push(format!("{method} {uri}"));
    }
}

/// What the calls of some rounds amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How many different rounds were run.
    pub rounds: usize,
    /// Rounds that were run more than once, each with its fences and who ran them.
    pub twice: Vec<String>,
    /// Rounds that were not run.
    pub missing: Vec<u64>,
    /// Fences that were no first attempt.
    pub retried: Vec<Fence>,
    /// How many rounds each agent ran.
    pub wins: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts the runs of these rounds, which are one every `every` seconds. `calls` holds one call a run.
    pub fn of<'a>(calls: impl IntoIterator<Item = &'a Call>, rounds: std::ops::Range<u64>, every: usize) -> Self {
        let mut runs: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
        for call in calls.into_iter().filter(|call| rounds.contains(&call.fence.round)) {
            runs.entry(call.fence.round).or_default().push(call);
        }
        let expected: BTreeSet<u64> = rounds.step_by(every).collect();
        let mut tally = Self {
            rounds: runs.len(),
            twice: Vec::new(),
            missing: expected.into_iter().filter(|round| !runs.contains_key(round)).collect(),
            retried: Vec::new(),
            wins: BTreeMap::new(),
        };
        for calls in runs.values() {
            if calls.len() > 1 {
                let each: Vec<String> = calls.iter().map(|call| format!("{} by {}", call.fence, call.agent)).collect();
                tally.twice.push(each.join(", "));
            }
            tally.retried.extend(calls.iter().map(|call| call.fence).filter(|fence| fence.attempt != 1));
            for call in calls {
                *tally.wins.entry(call.agent.clone()).or_default() += 1;
            }
        }
        tally
    }
}
