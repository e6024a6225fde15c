//! Modules that must be signed: with real signatures, beside files and URLs, in the order in which people put them there.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use soloist::module::{Digest, Origin, Slot, Trust, Unavailable};
use soloist_tests::minisign::Minisign;
use soloist_tests::toy::{Toy, origin, text, until, until_text};

fn trusting(keys: &[&Minisign], source: &str) -> Origin {
    let keys: Vec<String> = keys.iter().map(|key| key.public().to_owned()).collect();
    Origin { trust: Trust::new(&[], &keys).expect("keys"), ..origin(source) }
}

async fn until_refused(slot: &Slot<String>, reason: &str) {
    until(slot, reason, |slot| {
        slot.refresh_before(SystemTime::now() + Duration::from_millis(20));
        slot.refusal().is_some_and(|refusal| refusal.reason.contains(reason))
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Debian's minisign; tests/run installs it"]
async fn a_file_needs_a_signature_beside_it_and_waits_for_one() {
    let (ours, other) = (Minisign::new().expect("keys"), Minisign::new().expect("keys"));
    let folder = tempfile::tempdir().unwrap();
    let (path, signature) = (folder.path().join("a.wasm"), folder.path().join("a.wasm.minisig"));
    fs::write(&path, "one").unwrap();
    let toy = Toy::default();
    let origin = trusting(&[&ours], path.to_str().unwrap());
    let slot = Slot::start(origin.clone(), toy.loader());
    until_refused(&slot, "it is not signed").await;
    for (text, reason) in [
        ("nothing".to_owned(), "no minisign signature"),
        (other.sign(b"one").unwrap(), "with the key"),
        (ours.sign(b"two").unwrap(), "was altered"),
    ] {
        fs::write(&signature, text).unwrap();
        until_refused(&slot, reason).await;
        assert!(matches!(origin.fetch().await, Err(Unavailable::Distrusted { .. })));
    }
    assert!(toy.loaded().is_empty(), "what is not trusted never reaches the loader");
    fs::write(&signature, ours.sign(b"one").unwrap()).unwrap();
    until_text(&slot, "one").await;
    assert_eq!(origin.fetch().await.unwrap().comment(), Some("for the tests"));

    // One after the other, in either order, within the time that people take: nothing is refused.
    let refusals = slot.counters().refusals;
    for (number, text) in ["two", "three", "four", "five"].into_iter().enumerate() {
        let signed = ours.sign(text.as_bytes()).unwrap();
        let module = || fs::write(&path, text).unwrap();
        if number % 2 == 0 {
            module();
            tokio::time::sleep(Duration::from_millis(700)).await;
            fs::write(&signature, signed).unwrap();
        } else {
            fs::write(&signature, signed).unwrap();
            tokio::time::sleep(Duration::from_millis(700)).await;
            module();
        }
        until_text(&slot, text).await;
    }
    assert_eq!((slot.counters().refusals, slot.counters().swaps), (refusals, 5));

    // Altered on the disk: refused, and the one in use stays; its signature alone gone: nothing happens.
    fs::write(&path, "altered").unwrap();
    until_refused(&slot, "was altered").await;
    assert_eq!(text(&slot).as_deref(), Some("five"));
    fs::write(&path, "five").unwrap();
    until(&slot, "no refusal", |slot| slot.refusal().is_none()).await;
    let refusals = slot.counters().refusals;
    fs::remove_file(&signature).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!((slot.counters().refusals, text(&slot).as_deref()), (refusals, Some("five")));
}

/// Files over HTTP, with validators.
#[derive(Clone, Default)]
struct Files(Arc<Mutex<BTreeMap<String, String>>>, Arc<Mutex<Vec<String>>>);

async fn file(State(files): State<Files>, Path(name): Path<String>, headers: axum::http::HeaderMap) -> Response {
    files.1.lock().expect("no panic").push(name.clone());
    let Some(text) = files.0.lock().expect("no panic").get(&name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if text == "fail" {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let etag = format!("\"{}\"", Digest::of(text.as_bytes()).short());
    if headers.get("if-none-match").is_some_and(|seen| seen.as_bytes() == etag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([("etag", etag)], text).into_response()
}

impl Files {
    fn put(&self, name: &str, text: &str) {
        self.0.lock().expect("no panic").insert(name.to_owned(), text.to_owned());
    }
}

#[tokio::test]
#[ignore = "needs Debian's minisign; tests/run installs it"]
async fn a_url_needs_a_signature_and_a_race_between_the_two_is_no_refusal() {
    let (ours, second) = (Minisign::new().expect("keys"), Minisign::new().expect("keys"));
    let files = Files::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/{name}", get(file)).with_state(files.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    files.put("a.wasm", "none");
    let toy = Toy::default();
    let slot = Slot::start(trusting(&[&ours, &second], &format!("http://{address}/a.wasm?token=t")), toy.loader());
    until_refused(&slot, "it is not signed").await;
    // What cannot be had is not said to be missing, and what is no signature is not read to its end.
    let refusals = slot.counters().refusals;
    for (text, reason) in [("fail".to_owned(), "503"), ("x".repeat(9000), "so is no signature")] {
        files.put("a.wasm.minisig", &text);
        until(&slot, reason, |slot| {
            slot.refresh_before(SystemTime::now() + Duration::from_millis(20));
            slot.trouble().is_some_and(|trouble| trouble.reason.to_string().contains(reason))
        })
        .await;
    }
    assert_eq!(slot.counters().refusals, refusals);
    // Another one, with its signature, in the place of the one that never got any.
    files.put("a.wasm.minisig", &second.sign(b"one").unwrap());
    files.put("a.wasm", "one");
    until_text(&slot, "one").await;
    assert_eq!(slot.refusal(), None);

    // A module that stays costs no question for its signature.
    let asked = files.1.lock().unwrap().len();
    for round in 1..=2 {
        slot.refresh_before(SystemTime::now() + Duration::from_millis(20));
        soloist_tests::toy::until_true("it was asked for", || files.1.lock().unwrap().len() >= asked + round).await;
    }
    assert_eq!(files.1.lock().unwrap()[asked..], ["a.wasm", "a.wasm"]);

    let refusals = slot.counters().refusals;
    for text in ["two", "three"] {
        files.put("a.wasm", text);
        let asked = files.1.lock().unwrap().len();
        slot.refresh_before(SystemTime::now() + Duration::from_millis(20));
        // The module has been found, and its signature not.
        soloist_tests::toy::until_true("both were asked for", || {
            files.1.lock().unwrap()[asked..].iter().any(|name| name == "a.wasm.minisig")
        })
        .await;
        files.put("a.wasm.minisig", &ours.sign(text.as_bytes()).unwrap());
        until_text(&slot, text).await;
    }
    assert_eq!(slot.counters().refusals, refusals);
    assert_eq!(toy.loaded(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_file_that_is_not_pinned_is_refused_until_it_is_the_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wasm");
    fs::write(&path, "one").unwrap();
    let pins = ["two", "three"].map(|text| Digest::of(text.as_bytes()).to_string());
    let origin = Origin { trust: Trust::new(&pins, &[]).unwrap(), ..origin(path.to_str().unwrap()) };
    let toy = Toy::default();
    let slot = Slot::start(origin, toy.loader());
    until_refused(&slot, "`sha256` demands").await;
    fs::write(&path, "two").unwrap();
    until_text(&slot, "two").await;
    fs::write(&path, "three").unwrap();
    until_text(&slot, "three").await;
    fs::write(&path, "one").unwrap();
    until_refused(&slot, "sha256sum").await;
    assert_eq!(text(&slot).as_deref(), Some("three"));
    assert_eq!(toy.loaded(), ["two", "three"]);
}
