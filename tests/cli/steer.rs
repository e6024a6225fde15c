//! `pause`, `resume`, `trigger`: one write each, told in a sentence, visible in `status` and to whoever reads the record.

use crate::shell::{Shell, Zone, now, pin, titled};

fn record(zone: &str, due: u64) -> String {
    format!("{{\"id\":\"{zone}\",\"timer\":{due},\"timerold\":0,\"entryid\":\"1b60\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_writes_once_and_says_what_it_did() {
    let zone = Zone::serve().await;
    let server = zone.hand.server.to_string();
    let due = now() + 50;
    zone.put(&[&record("alto-0123", due)]).await;
    let mut text = String::new();
    let mut show = |what: &str, arguments: &[&str]| text += &titled(what, &zone.shell.transcript(arguments));
    let status = ["status", "canary", "--server", &server];

    show("pause", &["pause", "canary", "--reason", "the API is down"]);
    let paused: serde_json::Value = serde_json::from_str(&zone.values().await[0]).expect("JSON");
    assert_eq!((&paused["p"], &paused["timer"]), (&"the API is down".into(), &due.into()));
    assert_eq!(paused["entryid"], "1b60", "what others wrote stays");
    show("its status", &status);
    show("pause again", &["pause", "canary", "--reason", "the API is down"]);
    show("another reason", &["pause", "canary"]);
    show("its status without a reason", &status);

    show("trigger", &["trigger", "canary"]);
    let triggered: serde_json::Value = serde_json::from_str(&zone.values().await[0]).expect("JSON");
    assert_eq!((&triggered["t"], &triggered["p"]), (&true.into(), &"".into()));
    assert!(triggered["timer"].as_u64() <= Some(now()), "{triggered}");
    show("its status when a run is asked for", &status);
    show("trigger again", &["trigger", "canary"]);

    zone.put(&[&record("alto-0123", due).replace("\"entryid\"", "\"p\":\"\",\"entryid\"")]).await;
    show("resume", &["resume", "canary"]);
    let resumed: serde_json::Value = serde_json::from_str(&zone.values().await[0]).expect("JSON");
    assert_eq!((&resumed["p"], &resumed["timer"]), (&serde_json::Value::Null, &due.into()));
    show("resume again", &["resume", "canary"]);
    pin("steer", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_steered_is_said_and_left_as_it_is() {
    let zone = Zone::serve().await;
    let mut text = titled("no record", &zone.shell.transcript(&["pause", "canary"]));
    for (what, value) in [
        ("garbage", "v=spf1 -all".to_owned()),
        (
            "a run under way",
            record("alto-0123", now() + 20).replace("\"entryid\"", "\"r\":1,\"a\":1,\"s\":\"run\",\"entryid\""),
        ),
    ] {
        zone.put(&[&value]).await;
        text += &titled(what, &zone.shell.transcript(&["trigger", "canary"]));
        assert_eq!(zone.values().await, [value]);
    }
    let long = "x".repeat(81);
    text += &titled("a long reason", &zone.shell.transcript(&["pause", "canary", "--reason", &long]));
    text += &titled("a line break", &zone.shell.transcript(&["pause", "canary", "--reason", "a\nb"]));
    text += &titled("another job", &zone.shell.transcript(&["resume", "canari"]));
    pin("steer_errors", &text);
}

#[test]
fn one_agent_alone_is_no_fleet() {
    let shell = Shell::new();
    shell.configure("kind = \"rfc2136\"\n", "kind = \"memory\"\n");
    let output = shell.output(&["pause", "canary"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("only the agent itself sees such records"), "{stderr}");
}
