//! A running agent takes another configuration: what changed is exchanged in order, all else goes on untouched, and what is
//! wrong changes nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist_tests::agents::{Event, Fleet, eventually, scrape};
use soloist_tests::calls::set_address;
use soloist_tests::heartbeat;
use soloist_tests::servers::{self, Kind, TestServer};

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(90);

/// A job that is due each second, of which no round is merged into a later one.
fn job(name: &str, module: &str, more: &str) -> String {
    format!(
        "[job.{name}]\nrecord = \"{name}.example.test\"\nevery = \"1s\"\nmissed = \"catch-up\"\ncatch-up = 1000\n\
         module = \"{module}\"\n{more}\n"
    )
}

struct Stage {
    fleet: Fleet,
    /// `[arbiter]`, as it stands in the file.
    arbiter: String,
    _server: Box<dyn TestServer>,
}

impl Stage {
    /// One agent with these jobs. The module `short.wat` takes a millisecond, `long.wat` three seconds.
    async fn with(jobs: &str) -> Self {
        let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
        let mut fleet = Fleet::new(server.address(), server.key(), &(AGENT.to_owned() + jobs));
        for (name, run) in [("short.wat", 1), ("other.wat", 2), ("long.wat", 3_000)] {
            std::fs::write(fleet.path(name), heartbeat::working(Duration::from_millis(run))).unwrap();
        }
        let text = std::fs::read_to_string(fleet.path("soloist.toml")).unwrap();
        let arbiter = text[..text.find(AGENT).unwrap()].to_owned();
        fleet.start_all(&["alto"]).await;
        Self { fleet, arbiter, _server: server }
    }

    fn text(&self, jobs: &str) -> String {
        self.arbiter.clone() + AGENT + jobs
    }

    /// Puts another configuration in the place of the one that is there.
    fn put(&self, text: &str) {
        let new = self.fleet.path("soloist.toml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.fleet.path("soloist.toml")).unwrap();
    }

    fn events(&self, kind: &str, job: &str) -> Vec<Event> {
        self.fleet.log().all(|event| event.kind() == kind && event.job() == job)
    }

    /// Waits until so many more of these are said.
    async fn more(&self, kind: &str, job: &str, count: usize) -> Event {
        let before = self.events(kind, job).len();
        eventually(&format!("{count} more `{kind}` of `{job}`"), LONG, async || {
            self.events(kind, job).get(before + count - 1).cloned()
        })
        .await
    }

    /// Under which ids the agent took part in a job, in their order.
    fn ids(&self, job: &str) -> Vec<String> {
        let begun = |event: &Event| event.text("message") == "taking part" && event.text("job") == job;
        self.fleet.log().all(begun).iter().map(|event| event.text("agent").to_owned()).collect()
    }

    /// Every round of a job, from the first one that was won on, was run, in order, and none of them twice.
    fn none_is_missing(&self, job: &str) {
        let rounds: Vec<u64> = self.events("won", job).iter().map(|event| event.number("round")).collect();
        assert!(rounds.windows(2).all(|pair| pair[1] == pair[0] + 1), "{rounds:?}");
        assert!(rounds.len() >= 3, "{rounds:?}");
    }
}

const AGENT: &str = "[agent]\nreread = \"1s\"\nmetrics = \"127.0.0.1:0\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_come_and_go_while_the_others_go_on() {
    let one = job("one", "short.wat", "");
    let stage = Stage::with(&one).await;
    stage.more("finished", "one", 2).await;
    stage.put(&stage.text(&(one.clone() + &job("two", "short.wat", ""))));
    stage.more("finished", "two", 2).await;
    stage.put(&stage.text(&one));
    eventually("it is removed", LONG, async || {
        stage.fleet.log().first(|event| event.kind() == "removed" && event.text("job") == "two")
    })
    .await;
    let won = stage.events("won", "two").len();
    stage.more("finished", "one", 4).await;
    assert_eq!(stage.events("won", "two").len(), won, "what was removed runs no more");
    assert_eq!(stage.events("finished", "two").len(), won, "and ended what it had begun");
    assert_eq!(stage.ids("one").len(), 1, "what stayed the same was not touched");
    stage.none_is_missing("one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_changes_in_its_run_ends_it_first_and_goes_on_under_another_id() {
    let stage = Stage::with(&(job("one", "long.wat", "") + &job("two", "long.wat", ""))).await;
    stage.more("won", "one", 1).await;
    // In the middle of the runs of both.
    stage.put(&stage.text(&(job("one", "other.wat", "timeout = \"20s\"") + &job("two", "long.wat", ""))));
    let swapped = stage.more("swapped", "one", 1).await;
    eventually("it is exchanged", LONG, async || (stage.ids("one").len() == 2).then_some(())).await;
    let all = stage.fleet.log().all(|event| event.job() == "one" || event.text("job") == "one");
    let exchanged = all.iter().rposition(|event| event.text("message") == "taking part").unwrap();
    let count = |kind| all[..exchanged].iter().filter(|event| event.kind() == kind).count();
    assert_eq!(count("won"), count("finished"), "nothing was under way when it was exchanged");
    let before = stage.events("finished", "one");
    assert!(before.iter().all(|event| event.text("outcome") == "ok"), "{before:?}");
    stage.more("finished", "one", 3).await;
    let (_, record) = stage.fleet.read("one.example.test").await;
    assert_eq!(record.module.as_deref(), Some(swapped.text("digest")));
    let ids = stage.ids("one");
    assert!(ids.len() == 2 && ids[0] != ids[1] && record.id == ids[1], "{ids:?}, {record:?}");
    let all = stage.fleet.log().all(|event| event.job() == "one");
    let after =
        all.iter().skip_while(|event| event.kind() != "swapped" || event.text("digest") != swapped.text("digest"));
    assert_eq!(after.filter(|event| event.text("kind") == "module").count(), 0, "it always had a module to run");
    stage.more("finished", "two", 1).await;
    assert_eq!(stage.ids("two").len(), 1);
    assert!(stage.events("halted", "one").is_empty() && stage.events("halted", "two").is_empty());
    stage.none_is_missing("one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_changes_nothing_and_is_said_once() {
    let one = job("one", "short.wat", "");
    let stage = Stage::with(&one).await;
    let refused = |stage: &Stage| stage.fleet.log().all(|event| event.kind() == "not-reloaded");
    stage.put(&stage.text(&job("one", "short.wat", "evry = \"2s\"")));
    let said = eventually("it is refused", LONG, async || refused(&stage).pop()).await;
    let text = said.text("message");
    assert!(text.contains("soloist.toml:") && text.contains("unknown key `evry`"), "{text}");
    assert!(text.contains("hint: did you mean `every`?"), "{text}");
    let series = |lines: Vec<String>, name: &str| {
        let line = lines.iter().find(|line| line.starts_with(name)).cloned().unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let taken = "soloist_config_last_reload_successful ";
    let time = "soloist_config_last_reload_success_timestamp_seconds ";
    assert!(series(scrape(&stage.fleet, "alto").await, taken) < 0.5);
    let last = series(scrape(&stage.fleet, "alto").await, time);
    stage.more("finished", "one", 3).await;
    assert_eq!(refused(&stage).len(), 1);
    // Not for the same text again, but for whoever asks.
    stage.fleet.hangup("alto");
    eventually("it is said again", LONG, async || (refused(&stage).len() == 2).then_some(())).await;

    stage.put(&stage.text(&(one + &job("two", "short.wat", ""))));
    stage.more("finished", "two", 1).await;
    assert!(series(scrape(&stage.fleet, "alto").await, taken) > 0.5);
    assert!(series(scrape(&stage.fleet, "alto").await, time) > last);
    assert_eq!(stage.ids("one").len(), 1);
    stage.none_is_missing("one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_half_written_is_taken_when_it_is_whole() {
    let one = job("one", "short.wat", "");
    let stage = Stage::with(&one).await;
    let whole = stage.text(&(one + &job("two", "short.wat", "")));
    let half = whole.rfind("module").unwrap() + 3;
    let path = stage.fleet.path("soloist.toml");
    std::fs::write(&path, &whole[..half]).unwrap();
    eventually("half is refused", LONG, async || stage.fleet.log().first(|event| event.kind() == "not-reloaded")).await;
    std::fs::write(&path, &whole).unwrap();
    stage.more("finished", "two", 1).await;
    stage.more("finished", "one", 3).await;
    assert_eq!(stage.ids("one").len(), 1);
    stage.none_is_missing("one");
}

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
async fn what_changes_with_a_restart_only_is_named_and_all_else_is_taken() {
    let one = job("one", "short.wat", "");
    let stage = Stage::with(&one).await;
    let text = stage.text(&(one + &job("two", "short.wat", ""))).replace("[agent]\n", "[agent]\ngrace = \"3s\"\n");
    stage.put(&text);
    let said =
        eventually("it is said", LONG, async || stage.fleet.log().first(|event| event.kind() == "restart-needed"))
            .await;
    assert_eq!(said.text("places"), "[agent] grace");
    stage.more("finished", "two", 1).await;
    // It goes on to be so, and is said again whenever something is taken.
    stage.put(&text.replace("[job.two]", "[job.three]"));
    stage.more("finished", "three", 1).await;
    let said = stage.fleet.log().all(|event| event.kind() == "restart-needed");
    assert_eq!(said.iter().map(|event| event.text("places")).collect::<Vec<_>>(), ["[agent] grace"; 2]);
    assert_eq!(stage.ids("one").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_stopping_takes_nothing_new() {
    let one = job("one", "long.wat", "");
    let mut stage = Stage::with(&one).await;
    stage.more("won", "one", 1).await;
    stage.fleet.terminate("alto");
    eventually("it is stopping", LONG, async || {
        stage.fleet.log().first(|event| event.text("message").starts_with("SIGTERM"))
    })
    .await;
    stage.put(&stage.text(&(one + &job("two", "short.wat", ""))));
    assert!(stage.fleet.ended("alto").await.success());
    assert!(stage.ids("two").is_empty());
    assert_eq!(stage.events("finished", "one").len(), stage.events("won", "one").len());
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_settings_and_the_schedule_can_change() {
    let one = job("one", "short.wat", "");
    let stage = Stage::with(&one).await;
    std::fs::write(stage.fleet.path("fetch.wat"), include_str!("wat/fetch.wat")).unwrap();
    // Nobody listens there: that it is asked is all that counts.
    let settings = "[job.two.config]\nurl = \"http://127.0.0.1:9/\"\n";
    stage.put(&stage.text(&(one.clone() + &job("two", "fetch.wat", settings))));
    let refused = stage.more("refused", "two", 1).await;
    assert!(refused.text("reason").contains("http = ["), "{}", refused.text("reason"));
    let grants = format!("[job.two.grants]\nhttp = [\"http://127.0.0.1:9\"]\n{settings}");
    stage.put(&stage.text(&(one.clone() + &job("two", "fetch.wat", &grants))));
    let ran = stage.more("ran", "two", 1).await;
    assert_eq!(ran.text("outcome"), "error", "{}", ran.said);
    let every = |text: String| text.replace("every = \"1s\"", "every = \"2s\"");
    stage.put(&stage.text(&(one + &every(job("two", "fetch.wat", &grants)))));
    eventually("it is exchanged", LONG, async || (stage.ids("two").len() == 3).then_some(())).await;
    let before = stage.events("won", "two").len();
    stage.more("finished", "two", 3).await;
    let rounds: Vec<u64> =
        stage.events("won", "two").iter().skip(before + 1).map(|event| event.number("round")).collect();
    assert!(rounds.iter().all(|round| round % 2 == 0), "{rounds:?}");
    assert_eq!(stage.ids("one").len(), 1);
    stage.none_is_missing("one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_changes_the_zone_keeps_its_hands_off_the_records_of_the_jobs_of_the_moment() {
    let grants = "[job.writer.grants]\ndns-update = [{ name = \"*.example.test\", types = [\"A\"] }]\n";
    let writer = job("writer", "writer.wat", grants);
    let stage = Stage::with(&job("one", "short.wat", "")).await;
    std::fs::write(stage.fleet.path("writer.wat"), set_address("new.example.test")).unwrap();
    stage.put(&stage.text(&writer));
    assert_eq!(stage.more("ran", "writer", 1).await.text("outcome"), "ok");

    // From here on, the name is a job's record.
    stage.put(&stage.text(&(writer.clone() + &job("new", "short.wat", ""))));
    stage.more("finished", "new", 1).await;
    let ran = stage.more("ran", "writer", 2).await;
    assert!(ran.text("reason").contains("`new.example.test` has the record of a job"), "{}", ran.said);

    // And from here on, it is not.
    stage.put(&stage.text(&writer));
    eventually("it is removed", LONG, async || {
        stage.fleet.log().first(|event| event.kind() == "removed" && event.text("job") == "new")
    })
    .await;
    let ran = stage.more("ran", "writer", 2).await;
    assert_eq!(ran.text("outcome"), "ok", "{}", ran.said);
    assert_eq!(stage.ids("writer").len(), 1, "it was not touched itself");

    // What every job goes by is exchanged: the account with it.
    stage.put(&stage.text(&writer).replace("[arbiter]\n", "[arbiter]\nttl = 61\n"));
    eventually("it is exchanged", LONG, async || (stage.ids("writer").len() == 2).then_some(())).await;
    let ran = stage.more("ran", "writer", 2).await;
    assert_eq!(ran.text("outcome"), "ok", "{}", ran.said);
    stage.none_is_missing("writer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_record_moves_goes_on_there() {
    let one = job("one", "short.wat", "");
    let stage = Stage::with(&one).await;
    stage.more("finished", "one", 1).await;
    stage.put(&stage.text(&one.replace("one.example.test", "moved.example.test")));
    eventually("it is exchanged", LONG, async || (stage.ids("one").len() == 2).then_some(())).await;
    stage.more("finished", "one", 2).await;
    let (_, record) = stage.fleet.read("moved.example.test").await;
    assert_eq!(record.id, stage.ids("one")[1]);
    let (_, before) = stage.fleet.read("one.example.test").await;
    assert_eq!(before.id, stage.ids("one")[0]);
}

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
