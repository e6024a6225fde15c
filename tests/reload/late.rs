//! Modules that come when nobody wants them any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use soloist_tests::agents::eventually;
use soloist_tests::heartbeat;

use super::stage::{LONG, Stage, job};

/// A server whose answers wait until they are let go, by path, and the paths that it was asked for.
#[derive(Clone, Default)]
struct Slow {
    go: Arc<Mutex<BTreeMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Slow {
    async fn start() -> (Self, String) {
        let slow = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().route("/{path}", get(Self::answer)).with_state(slow.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (slow, origin)
    }

    async fn answer(State(slow): State<Self>, Path(path): Path<String>) -> String {
        slow.asked.lock().unwrap().push(path.clone());
        loop {
            if let Some(module) = slow.go.lock().unwrap().get(&path) {
                return module.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_asked(&self, path: &str) {
        let is_asked = || self.asked.lock().unwrap().iter().any(|asked| asked == path);
        eventually("it is asked", LONG, async || is_asked().then_some(())).await;
    }

    fn let_go(&self, path: &str, module: &str) {
        self.go.lock().unwrap().insert(path.to_owned(), module.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_comes_late_is_not_taken_for_that_of_a_later_change() {
    let (slow, origin) = Slow::start().await;
    let stage = Stage::with(&job("one", "short.wat", "")).await;
    let exchanged = async |times: usize| {
        eventually("it is exchanged", LONG, async || (stage.ids("one").len() == times).then_some(())).await;
    };
    // The first change waits for its module; the second one goes before it, and the third one waits again.
    stage.put(&stage.text(&job("one", &format!("{origin}first"), "")));
    slow.is_asked("first").await;
    stage.put(&stage.text(&job("one", "other.wat", "")));
    exchanged(2).await;
    stage.put(&stage.text(&job("one", &format!("{origin}third"), "")));
    slow.is_asked("third").await;

    let loaded = stage.events("swapped", "one").len();
    slow.let_go("first", &heartbeat::saying("the first"));
    eventually("it is loaded", LONG, async || (stage.events("swapped", "one").len() > loaded).then_some(())).await;
    stage.more("finished", "one", 2).await;
    assert_eq!(stage.ids("one").len(), 2, "nobody wants it any more");
    slow.let_go("third", &heartbeat::saying("the third"));
    exchanged(3).await;
    assert_eq!(stage.more("ran", "one", 2).await.text("summary"), "the third");
    assert_eq!(stage.ids("one").len(), 3);
    stage.none_is_missing("one");
}
