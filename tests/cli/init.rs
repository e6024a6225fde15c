//! `init`: creates a record, leaves one alone, and repairs one that nobody can act on.

use crate::shell::{SECRET, Zone, now, pin};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_created_once_and_then_left_alone() {
    let zone = Zone::serve().await;
    let mut text = zone.shell.transcript(&["init"]);
    let created = zone.values().await;
    assert_eq!(created.len(), 1, "{created:?}");
    text += &zone.shell.transcript(&["init", "canary"]);
    text += &zone.shell.transcript(&["init", "canary", "--repair", "--yes"]);
    assert_eq!(zone.values().await, created, "nothing was written again");
    pin("init", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_record_of_the_same_kind_is_left_alone() {
    let zone = Zone::serve().await;
    let record =
        format!("{{\"id\": \"MAWDAHDOQH\", \"timer\": {}, \"timerold\": 0, \"entryid\": \"1b60\"}}", now() + 60);
    zone.put(&[&record]).await;
    assert!(zone.shell.output(&["init"]).status.success());
    assert_eq!(zone.values().await, [record]);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_shown_and_replaced_only_when_told_so() {
    let zone = Zone::serve().await;
    zone.put(&["v=spf1 \u{1b}[31m -all"]).await;
    let mut text = zone.shell.transcript(&["init"]);
    text += &zone.shell.transcript(&["init", "--repair"]);
    assert_eq!(zone.values().await, ["v=spf1 \u{1b}[31m -all"], "nothing was written without a word");
    text += &zone.shell.transcript(&["init", "--repair", "--yes"]);
    text += &zone.shell.transcript(&["init"]);
    pin("init_repair", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_records_the_highest_fence_is_kept() {
    let zone = Zone::serve().await;
    let round = now() / 60 * 60 - 60;
    let record = |round: u64, attempt: u32| {
        format!("{{\"id\":\"a-1\",\"timer\":{round},\"timerold\":{round},\"r\":{round},\"a\":{attempt}}}")
    };
    zone.put(&[&record(round, 2), &record(round - 60, 7)]).await;
    let output = zone.shell.output(&["init", "--repair", "--yes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let values = zone.values().await;
    assert_eq!(values.len(), 1, "{values:?}");
    let repaired: serde_json::Value = serde_json::from_str(&values[0]).expect("JSON");
    assert_eq!((repaired["r"].as_u64(), repaired["a"].as_u64()), (Some(round), Some(2)));
    assert!(repaired["timer"].as_u64() > Some(now()), "{repaired}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_nobody_can_have_claimed_is_no_fence() {
    let zone = Zone::serve().await;
    let far = now() + 400 * 86_400;
    zone.put(&[&format!("{{\"id\":\"a-1\",\"timer\":{far},\"timerold\":0,\"r\":{far},\"a\":1}}")]).await;
    let refused = zone.shell.output(&["init"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(zone.shell.output(&["init", "--repair", "--yes"]).status.success());
    let repaired: serde_json::Value = serde_json::from_str(&zone.values().await[0]).expect("JSON");
    assert_eq!(repaired["r"], serde_json::Value::Null);
    assert!(repaired["timer"].as_u64() <= Some(now() + 120), "{repaired}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_record_does_not_keep_the_others_from_being_created() {
    let zone = Zone::serve().await;
    zone.put(&["garbage"]).await;
    let config = std::fs::read_to_string(zone.shell.path().join("soloist.toml")).expect("the configuration");
    let more = "[job.second]\nrecord = \"second.example.com\"\nevery = \"1m\"\nmodule = \"a.wasm\"\n";
    zone.shell.write("soloist.toml", format!("{config}{more}"));
    pin("init_several", &zone.shell.transcript(&["init"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arbiter_that_refuses_or_does_not_answer_is_named_with_what_to_check() {
    let zone = Zone::serve().await;
    zone.shell.write("soloist.key", "b3RoZXJvdGhlcm90aGVyb3RoZXJvdGhlcm90aGVyb3Q=");
    let mut text = zone.shell.transcript(&["init"]);
    let config = std::fs::read_to_string(zone.shell.path().join("soloist.toml")).expect("the configuration");
    zone.shell.write("soloist.toml", config.replace("name = \"soloist\"", "name = \"stranger\""));
    text += &zone.shell.transcript(&["init"]);
    zone.shell.write("soloist.key", SECRET);
    zone.shell.write("soloist.toml", config.replace("example.com", "example.org"));
    text += &zone.shell.transcript(&["init"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let server = zone.hand.server.to_string();
    let mut config = config.replace(&server, &closed.to_string());
    zone.shell.write("soloist.toml", &config);
    let unanswered = zone.shell.transcript(&["init"]);
    text += &unanswered.replace(&closed.to_string(), "[CLOSED]").replace(&closed.port().to_string(), "[PORT]");
    config = config.replace(&closed.to_string(), "nowhere.invalid:53");
    zone.shell.write("soloist.toml", &config);
    let output = zone.shell.output(&["init"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("the arbiter at `nowhere.invalid:53` does not answer: no connection: "), "{stderr}");
    assert!(stderr.contains("hint: check `server` in `[arbiter]`"), "{stderr}");
    pin("init_arbiter", &text);
}
