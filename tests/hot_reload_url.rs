//! A module that follows a URL: asked before a round is due, on condition that it changed; a failing server changes nothing.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
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
    /// The last one that said where it came from.
    referer: Option<String>,
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
    if let Some(referer) = headers.get(header::REFERER) {
        served.referer = Some(format!("{referer:?}"));
    }
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
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(server.statuses(), [200], "no round is due for an hour");
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
    until_text(&server.slot(&toy, "again?token=hush"), "one").await;
    assert_eq!(server.served.lock().unwrap().referer, None, "a URL may hold a secret");
    for (path, problem) in [("away", "a redirect to plain http"), ("circle", "more than 5 redirects")] {
        let slot = server.slot(&toy, &format!("{path}?token=hush"));
        until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
        let Unavailable::Fetch { reason, .. } = &slot.trouble().unwrap().reason else { panic!("no fetch") };
        assert!(reason.contains(problem), "{reason}");
        assert!(!reason.contains("hush"), "{reason}");
    }
    assert_eq!(toy.loaded(), ["one"]);
}

/// A server that answers each connection with these bytes, piece by piece with a pause after each, and hangs up.
async fn raw(pieces: Vec<&'static [u8]>, pause: Duration) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let pieces = pieces.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                for piece in pieces {
                    // The other end may have given up: that is what the test is about.
                    if stream.write_all(piece).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
            });
        }
    });
    format!("http://{address}/job.wasm")
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_module() {
    for (pieces, what) in [
        (vec![b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n".as_slice(), b"half"], "a length"),
        (vec![b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nhalf\r\n"], "chunks"),
    ] {
        let toy = Toy::default();
        let slot = toy.slot(&raw(pieces, Duration::ZERO).await);
        until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
        assert!(toy.loaded().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn what_was_cut_off_is_asked_for_again_as_a_whole() {
    let is_first = Arc::new(Mutex::new(true));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/job.wasm", listener.local_addr().unwrap());
    let cut = move |headers: HeaderMap| async move {
        if headers.contains_key(header::IF_NONE_MATCH) {
            return StatusCode::NOT_MODIFIED.into_response();
        }
        let body = if std::mem::take(&mut *is_first.lock().unwrap()) {
            let pieces = [Ok("one, "), Err(std::io::Error::other("the disk of the server"))];
            // One after the other, so that the answer's head and half of its body have left when it breaks off.
            let piece = async |piece| {
                tokio::time::sleep(Duration::from_millis(100)).await;
                piece
            };
            axum::body::Body::from_stream(futures_util::stream::iter(pieces).then(piece))
        } else {
            axum::body::Body::from("one, whole")
        };
        ([(header::ETAG, "\"1\"")], body).into_response()
    };
    let router = Router::new().route("/job.wasm", get(cut));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let toy = Toy::default();
    let slot = toy.slot(&url);
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    until_text(&slot, "one, whole").await;
    assert_eq!(toy.loaded(), ["one, whole"]);
}

#[tokio::test]
async fn a_server_that_drips_is_given_up_after_the_whole_time_and_not_after_each_drop() {
    let mut pieces: Vec<&'static [u8]> = vec![b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"];
    pieces.extend(std::iter::repeat_n(b"x".as_slice(), 1000));
    let mut origin = soloist_tests::toy::origin(&raw(pieces, Duration::from_millis(100)).await);
    origin.access.timeout = Duration::from_secs(1);
    let toy = Toy::default();
    let begun = Instant::now();
    let slot = Slot::start(origin, toy.loader());
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert!(slot.trouble().unwrap().reason.to_string().contains("timed out"), "{:?}", slot.trouble());
    assert!(toy.loaded().is_empty());
}

#[tokio::test]
async fn a_module_that_is_too_large_is_not_read_to_its_end() {
    static PIECE: [u8; 1 << 20] = [b'x'; 1 << 20];
    let said: Vec<&'static [u8]> = vec![b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n"];
    let mut unsaid: Vec<&'static [u8]> = vec![b"HTTP/1.1 200 OK\r\n\r\n"];
    unsaid.extend(std::iter::repeat_n(PIECE.as_slice(), 500));
    for pieces in [said, unsaid] {
        let toy = Toy::default();
        let slot = toy.slot(&raw(pieces, Duration::ZERO).await);
        until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
        assert!(matches!(slot.trouble().unwrap().reason, Unavailable::TooLarge(_)), "{:?}", slot.trouble());
    }
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_obeyed() {
    let asked: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/job.wasm", listener.local_addr().unwrap());
    let seen = Arc::clone(&asked);
    let busy = move || async move {
        let mut asked = seen.lock().unwrap();
        asked.push(Instant::now());
        match asked.len() {
            1 => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "4")]).into_response(),
            _ => "one".into_response(),
        }
    };
    let router = Router::new().route("/job.wasm", get(busy));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let slot = Toy::default().slot(&url);
    until_text(&slot, "one").await;
    let asked = asked.lock().unwrap();
    assert!(asked[1] - asked[0] > Duration::from_millis(3900), "{:?}", asked[1] - asked[0]);
}

#[tokio::test]
async fn a_server_without_an_etag_is_asked_by_the_date() {
    let asked: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/job.wasm", listener.local_addr().unwrap());
    let seen = Arc::clone(&asked);
    let dated = move |headers: HeaderMap| async move {
        let since = headers.get(header::IF_MODIFIED_SINCE).map(|value| value.to_str().unwrap().to_owned());
        seen.lock().unwrap().push(since.clone());
        match since {
            Some(_) => StatusCode::NOT_MODIFIED.into_response(),
            None => ([(header::LAST_MODIFIED, "Sat, 21 Nov 2026 13:00:00 GMT")], "one").into_response(),
        }
    };
    let router = Router::new().route("/job.wasm", get(dated));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let toy = Toy::default();
    let slot = toy.slot(&url);
    until_text(&slot, "one").await;
    due_in(&slot, 20);
    until_true("another request", || asked.lock().unwrap().len() == 2).await;
    assert_eq!(asked.lock().unwrap()[1].as_deref(), Some("Sat, 21 Nov 2026 13:00:00 GMT"));
    assert_eq!((toy.loaded(), slot.trouble()), (vec!["one".to_owned()], None));
}
