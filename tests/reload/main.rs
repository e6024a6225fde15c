//! A running agent takes another configuration: what changed is exchanged in order, all else goes on untouched, and what is
//! wrong changes nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod late;
mod shared;
mod stage;

use soloist_tests::agents::{eventually, scrape};
use soloist_tests::calls::set_address;

use stage::{LONG, Stage, job};

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
async fn what_reads_well_and_cannot_be_gone_by_changes_nothing_either() {
    let (one, two) = (job("one", "short.wat", ""), job("two", "short.wat", ""));
    let stage = Stage::with(&(one.clone() + &two)).await;
    stage.more("finished", "two", 1).await;
    std::fs::write(stage.fleet.path("api.token"), "short").unwrap();
    let table = "[secrets.api]\nfile = \"api.token\"\norigins = [\"https://api.example.com\"]\n";
    // One job less, one more, and one that is another: none of it comes.
    let three = job("three", "short.wat", "");
    stage.put(&stage.text(&(one.replace("short.wat", "other.wat") + &three + table)));
    let refused = async || stage.fleet.log().first(|event| event.kind() == "not-reloaded");
    let said = eventually("it is refused", LONG, refused).await;
    assert!(said.text("message").contains("api") && !said.text("message").contains("`short`"), "{}", said.said);
    stage.more("finished", "one", 2).await;
    stage.more("finished", "two", 2).await;
    assert_eq!([stage.ids("one").len(), stage.ids("two").len(), stage.ids("three").len()], [1, 1, 0]);

    std::fs::write(stage.fleet.path("api.token"), "long enough").unwrap();
    stage.fleet.hangup("alto");
    stage.more("finished", "three", 1).await;
    eventually("it is exchanged", LONG, async || (stage.ids("one").len() == 2).then_some(())).await;
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
    std::fs::write(stage.fleet.path("fetch.wat"), include_str!("../wat/fetch.wat")).unwrap();
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
