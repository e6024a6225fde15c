//! What several jobs use: secrets, tables, and the system's watches.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist_tests::agents::{Fleet, eventually, scrape};
use soloist_tests::calls::send_secret;
use soloist_tests::heartbeat;
use soloist_tests::servers::{self, Kind};

use super::stage::{LONG, Stage, job};

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_read_again_when_somebody_asks() {
    let stage = Stage::with(&job("one", "short.wat", "")).await;
    stage.more("finished", "one", 1).await;
    let right = std::fs::read_to_string(stage.fleet.path("key")).unwrap();
    let wrong = Key::generate("soloist", Algorithm::HmacSha256).unwrap().secret_base64();
    std::fs::write(stage.fleet.path("key"), wrong.as_bytes()).unwrap();
    stage.fleet.hangup("alto");
    stage.more("trouble", "one", 1).await;
    assert_eq!(stage.ids("one").len(), 2);
    std::fs::write(stage.fleet.path("key"), right).unwrap();
    stage.fleet.hangup("alto");
    stage.more("finished", "one", 2).await;
    let all = stage.fleet.log().all(|_| true);
    assert!(!all.iter().any(|event| event.said.to_string().contains(wrong.as_str())), "no secret is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jobs_share_is_exchanged_for_those_that_use_it_alone() {
    let one = job("one", "short.wat", "");
    let stage = Stage::with(&one).await;
    let two = job("two", "short.wat", "[job.two.grants]\nslack = [\"#ops\"]");
    let three = job("three", "short.wat", "[job.three.grants]\nsecrets = [\"api\"]");
    let tables = "[slack]\ntoken-file = \"slack.token\"\n\
                  [secrets.api]\nfile = \"api.token\"\norigins = [\"https://api.example.com\"]\n";
    for (file, secret) in [("slack.token", "xoxb-first"), ("api.token", "first-of-tokens")] {
        std::fs::write(stage.fleet.path(file), secret).unwrap();
    }
    stage.put(&stage.text(&(one + &two + &three + tables)));
    stage.more("finished", "two", 1).await;
    stage.more("finished", "three", 1).await;
    let ids = |stage: &Stage| ["one", "two", "three"].map(|job| stage.ids(job).len());
    assert_eq!(ids(&stage), [1, 1, 1], "what came is none of the business of who was there");
    for (file, secret, job, expected) in
        [("slack.token", "xoxb-second", "two", [1, 2, 1]), ("api.token", "second-of-tokens", "three", [1, 2, 2])]
    {
        std::fs::write(stage.fleet.path(file), secret).unwrap();
        stage.fleet.hangup("alto");
        eventually("it is taken", LONG, async || {
            stage.fleet.log().first(|event| event.kind() == "reloaded" && event.text("changed") == job)
        })
        .await;
        eventually("it is exchanged", LONG, async || (stage.ids(job).len() == 2).then_some(())).await;
        stage.more("finished", job, 2).await;
        assert_eq!(ids(&stage), expected);
    }
    for job in ["one", "two", "three"] {
        stage.none_is_missing(job);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_uses_the_secret_that_was_read_last() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&got);
    let router = Router::new().route("/", post(async move |body: String| kept.lock().unwrap().push(body)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let grants = format!("[job.one.grants]\nhttp = [\"{origin}\"]\nsecrets = [\"api\"]\n");
    let table = format!("[secrets.api]\nfile = \"api.token\"\norigins = [\"{origin}\"]\n");
    let stage = Stage::with(&job("other", "short.wat", "")).await;
    std::fs::write(stage.fleet.path("one.wat"), send_secret("api", &format!("{origin}/"))).unwrap();
    for secret in ["the-first-of-tokens", "the-second-of-tokens"] {
        std::fs::write(stage.fleet.path("api.token"), secret).unwrap();
        stage.put(&stage.text(&(job("one", "one.wat", &grants) + &table)));
        stage.fleet.hangup("alto");
        let came = || got.lock().unwrap().last().is_some_and(|last: &String| last == secret);
        eventually(&format!("`{secret}` comes"), LONG, async || came().then_some(())).await;
    }
    stage.more("finished", "one", 2).await;
    let got = got.lock().unwrap().clone();
    assert!(got.is_sorted(), "none is used again once the next one was: {got:?}");
    stage.none_is_missing("one");
}

/// One in a default Linux has 128 inotify instances, and so many jobs are more.
const MANY: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_jobs_with_files_start_and_are_swapped_at_one_watch() {
    use std::fmt::Write as _;
    let instances = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").unwrap();
    let names: Vec<String> = (0..MANY).map(|number| format!("m{number:03}")).collect();
    let mut jobs = String::from("[agent]\nreread = \"1h\"\nmetrics = \"127.0.0.1:0\"\n[arbiter]\nkind = \"memory\"\n");
    for name in &names {
        let _ =
            writeln!(jobs, "[job.{name}]\nrecord = \"{name}.example.test\"\nevery = \"1h\"\nmodule = \"{name}.wat\"");
    }
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
    let mut fleet = Fleet::new(server.address(), server.key(), &jobs);
    fleet.configure_as(&jobs);
    let home = fleet.home().to_owned();
    let put = |run: u64| {
        for name in &names {
            let new = home.join(format!("{name}.new"));
            std::fs::write(&new, heartbeat::working(Duration::from_millis(run))).unwrap();
            std::fs::rename(new, home.join(format!("{name}.wat"))).unwrap();
        }
    };
    put(1);
    fleet.start_all(&["alto"]).await;
    let held = |lines: &[String]| lines.iter().filter(|line| line.starts_with("soloist_module_info{")).count();
    assert_eq!(held(&scrape(&fleet, "alto").await), MANY);
    let links = std::fs::read_dir(format!("/proc/{}/fd", fleet.pid("alto"))).unwrap();
    let inotify = links
        .flatten()
        .filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to.as_os_str() == "anon_inode:inotify"));
    assert_eq!(inotify.count(), 1, "of the {} that a user has", instances.trim());
    put(2);
    let swapped = |name: &String| fleet.log().all(|event| event.kind() == "swapped" && event.job() == name).len();
    eventually("each is swapped", LONG, async || names.iter().all(|name| swapped(name) == 2).then_some(())).await;
    let polls = fleet.log().all(|event| event.text("message").contains("by polling only"));
    assert!(polls.is_empty(), "{polls:?}");
}
