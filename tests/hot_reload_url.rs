//! A module that follows a URL: asked before a round is due, on condition that it changed; a failing server changes nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use soloist::module::{Slot, Unavailable};
use soloist_tests::toy::{Toy, text, until, until_text, until_true};

/// A server of one module, as the test sets it.
#[derive(Debug, Clone)]
struct Server {
    port: u16,
    served: Arc<Mutex<Served>>,
}

#[derive(Debug, Default)]
struct Served {
    text: String,
    is_failing: bool,
    /// When each request came, and its answer's status.
    asked: Vec<(Instant, u16)>,
}

impl Server {
    async fn start(text: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let state = Arc::new(Mutex::new(Served { text: text.to_owned(), ..Served::default() }));
        let port = listener.local_addr().expect("a bound port").port();
        let server = Self { port, served: Arc::clone(&state) };
        let router = Router::new()
            .route("/job.wasm", get(serve))
            .route("/again", get(|| async { Redirect::temporary("/job.wasm") }))
            .route("/circle", get(|| async { Redirect::temporary("/circle") }))
            .route("/away", get(|| async { Redirect::temporary("http://192.0.2.1/job.wasm?token=hush") }))
            .with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn slot(&self, toy: &Toy, path: &str) -> Slot<String> {
        toy.slot(&format!("http://127.0.0.1:{}/{path}", self.port))
    }

    fn set(&self, change: impl FnOnce(&mut Served)) {
        change(&mut self.served.lock().expect("no panic"));
    }

    fn statuses(&self) -> Vec<u16> {
        self.served.lock().expect("no panic").asked.iter().map(|(_, status)| *status).collect()
    }
}

async fn serve(State(served): State<Arc<Mutex<Served>>>, headers: HeaderMap) -> Response {
    let mut served = served.lock().expect("no panic");
    let etag = format!("\"{}\"", served.text.replace(' ', "-"));
    let response = if served.is_failing {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    } else if headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == etag.as_bytes()) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::ETAG, etag)], served.text.clone()).into_response()
    };
    let status = response.status().as_u16();
    served.asked.push((Instant::now(), status));
    response
}

/// Says that a round is due so soon; each time another one.
fn due_in(slot: &Slot<String>, millis: u64) {
    slot.refresh_before(SystemTime::now() + Duration::from_millis(millis));
}

#[tokio::test]
async fn a_url_is_asked_before_a_round_and_loaded_only_if_it_changed() {
    let server = Server::start("one").await;
    let toy = Toy::default();
    let slot = server.slot(&toy, "job.wasm");
    until_text(&slot, "one").await;

    due_in(&slot, 20);
    until_true("a second request", || server.statuses().len() == 2).await;
    due_in(&slot, 20);
    until_true("a third request", || server.statuses().len() == 3).await;
    server.set(|served| served.text = "another".to_owned());
    due_in(&slot, 20);
    until_text(&slot, "another").await;

    assert_eq!(server.statuses(), [200, 304, 304, 200]);
    assert_eq!(toy.loaded(), ["one", "another"]);
}

#[tokio::test]
async fn a_round_is_asked_for_once_and_never_twice_in_a_second() {
    let server = Server::start("one").await;
    let toy = Toy::default();
    let slot = server.slot(&toy, "job.wasm");
    let far = SystemTime::now() + Duration::from_hours(1);
    slot.refresh_before(far);
    until_text(&slot, "one").await;
    let due = SystemTime::now() + Duration::from_millis(500);
    for _ in 0..50 {
        slot.refresh_before(due);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until_true("the request for the round", || server.statuses().len() == 2).await;
    for _ in 0..30 {
        due_in(&slot, 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let asked: Vec<Instant> = server.served.lock().unwrap().asked.iter().map(|(when, _)| *when).collect();
    assert!((3..=4).contains(&asked.len()), "{asked:?}");
    // By the server's clock, with the little that a request takes.
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_millis(900)), "{asked:?}");
}

#[tokio::test]
async fn a_failing_server_keeps_the_good_module() {
    let server = Server::start("one").await;
    let toy = Toy::default();
    let slot = server.slot(&toy, "job.wasm");
    until_text(&slot, "one").await;
    server.set(|served| served.is_failing = true);
    due_in(&slot, 20);
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    let reason = slot.trouble().unwrap().reason.to_string();
    assert!(reason.contains("503"), "{reason}");
    assert_eq!(text(&slot).as_deref(), Some("one"));

    // It is asked again without being told of another round, and what it says then is the same module.
    server.set(|served| served.is_failing = false);
    until(&slot, "no trouble", |slot| slot.trouble().is_none()).await;
    assert_eq!(toy.loaded(), ["one"]);
    assert_eq!(server.statuses().last(), Some(&304));
}

#[tokio::test]
async fn a_server_that_starts_later_is_asked_until_it_answers() {
    let server = Server::start("one").await;
    server.set(|served| served.is_failing = true);
    let toy = Toy::default();
    let slot = server.slot(&toy, "job.wasm");
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    assert!(slot.current().is_none());
    server.set(|served| served.is_failing = false);
    until_text(&slot, "one").await;
}

#[tokio::test]
async fn a_bad_module_at_a_url_is_refused_once() {
    let server = Server::start("good").await;
    let toy = Toy::default();
    let slot = server.slot(&toy, "job.wasm");
    until_text(&slot, "good").await;
    server.set(|served| served.text = "bad module".to_owned());
    due_in(&slot, 20);
    until(&slot, "a refusal", |slot| slot.refusal().is_some()).await;
    due_in(&slot, 20);
    until_true("another request", || server.statuses().len() == 3).await;
    server.set(|served| served.text = "good again".to_owned());
    due_in(&slot, 20);
    until_text(&slot, "good again").await;
    assert_eq!(slot.refusal(), None);
    assert_eq!(toy.loaded(), ["good", "bad module", "good again"]);
}

#[tokio::test]
async fn redirects_end_at_loopback_or_https_and_after_five() {
    let server = Server::start("one").await;
    let toy = Toy::default();
    until_text(&server.slot(&toy, "again"), "one").await;
    for (path, problem) in [("away", "a redirect to plain http"), ("circle", "more than 5 redirects")] {
        let slot = server.slot(&toy, path);
        until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
        let Unavailable::Fetch { reason, .. } = &slot.trouble().unwrap().reason else { panic!("no fetch") };
        assert!(reason.contains(problem), "{reason}");
        assert!(!reason.contains("hush"), "{reason}");
    }
    assert_eq!(toy.loaded(), ["one"]);
}
