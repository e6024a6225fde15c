//! `status`: how a job stands, by its record at every server, in exit codes, for people and as JSON.

use crate::shell::{Shell, Zone, now, pin, serve, titled};
use soloist_tests::hand::name;

fn idle(due: u64) -> String {
    let round = due - 60;
    format!(
        "{{\"id\":\"alto-0123\",\"timer\":{due},\"timerold\":{round},\"r\":{round},\"a\":1,\"o\":\"ok\",\"m\":\"0762fbbed3d6\"}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_fine_or_overdue_or_unreadable() {
    let zone = Zone::serve().await;
    let mut text = String::new();
    let mut show = async |what: &str, values: &[&str]| {
        zone.put(values).await;
        let server = zone.hand.server.to_string();
        text += &titled(what, &zone.shell.transcript(&["status", "canary", "--server", &server]));
    };
    let due = now() + 50;
    show("fine", &[&idle(due)]).await;
    show("running", &[&idle(due).replace("\"o\"", "\"s\":\"run\",\"o\"")]).await;
    show("waiting for a retry", &[&idle(due).replace("\"o\":\"ok\"", "\"s\":\"retry\",\"o\":\"timeout\"")]).await;
    show("given back", &[&idle(now()).replace("\"o\"", "\"s\":\"free\",\"o\"")]).await;
    show("never ran", &[&format!("{{\"id\":\"alto-0123\",\"timer\":{due},\"timerold\":0}}")]).await;
    show("overdue", &[&idle(now() - 100)]).await;
    show("its lease ended", &[&idle(now() - 100).replace("\"o\"", "\"s\":\"run\",\"o\"")]).await;
    show("no record", &[]).await;
    show("garbage", &["v=spf1 -all"]).await;
    show("two records", &[&idle(due), &idle(due + 1)]).await;
    show("a timer far ahead", &[&idle(4_000_000_000)]).await;
    show("an id that would drive a terminal", &[&idle(due).replace("alto", "\\u001b[31malto\\n")]).await;
    pin("status", &far_ahead(&text));
}

/// The seconds to a time that is always the same.
fn far_ahead(text: &str) -> String {
    let marked =
        text.split_once("`timer` is ").and_then(|(before, rest)| Some((before, rest.split_once(" seconds")?.1)));
    marked.map_or_else(|| text.to_owned(), |(before, after)| format!("{before}`timer` is [N] seconds{after}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_record_needs_no_configuration() {
    let zone = Zone::serve().await;
    zone.put(&[&idle(now() + 50)]).await;
    std::fs::remove_file(zone.shell.path().join("soloist.toml")).expect("the configuration");
    let server = zone.hand.server.to_string();
    let mut text = zone.shell.transcript(&["status", "Canary.Example.com", "--server", &server]);
    text += &zone.shell.transcript(&["status", "other.example.com.", "--server", &server]);
    text += &zone.shell.transcript(&["status", "canary.example.org", "--server", &server]);
    text += &zone.shell.transcript(&["status", "canary", "--server", &server]);
    text += &zone.shell.transcript(&["status", "canary..com", "--server", &server]);
    text += &zone.shell.transcript(&["status", "canary.example.com", "--server", "bad name:53"]);
    pin("status_name", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_disagrees_or_is_down_is_shown_beside_the_others() {
    let mut zone = Zone::serve().await;
    let due = now() + 50;
    zone.put(&[&idle(due)]).await;
    let (_other, hand) = serve(&zone.shell.path().join("other")).await;
    let behind = idle(due - 60);
    hand.overwrite_txt(&name("canary.example.com."), &[&[behind.as_bytes()]]).await.expect("the server takes it");
    let closed =
        std::net::UdpSocket::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let addresses = [zone.hand.server.to_string(), hand.server.to_string(), closed.clone()];
    zone.shell.hide(addresses[1].clone(), "[BEHIND]");
    zone.shell.hide(closed, "[DOWN]");
    let mut arguments = vec!["status", "canary", "--timeout", "300ms"];
    for address in &addresses {
        arguments.extend(["--server", address]);
    }
    let text = zone.shell.transcript(&arguments);
    arguments.push("--json");
    let json: serde_json::Value = serde_json::from_slice(&zone.shell.output(&arguments).stdout).expect("JSON");
    let agree: Vec<_> =
        json["servers"].as_array().expect("servers").iter().map(|server| server["agrees"].as_bool()).collect();
    assert_eq!(agree, [Some(true), Some(false), None]);
    assert_eq!(json["next_due"], due, "the arbiter's own record counts");
    // Without the arbiter's own word, the most advanced record counts, in whatever order the servers stand.
    std::fs::remove_file(zone.shell.path().join("soloist.toml")).expect("the configuration");
    let reversed = ["status", "canary.example.com", "--json", "--server", &addresses[1], "--server", &addresses[0]];
    let json: serde_json::Value = serde_json::from_slice(&zone.shell.output(&reversed).stdout).expect("JSON");
    assert_eq!(json["next_due"], due);
    pin("status_servers", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_has_a_fixed_shape_and_the_same_exit_codes() {
    let zone = Zone::serve().await;
    let server = zone.hand.server.to_string();
    let json = |expected: i32| {
        let output = zone.shell.output(&["status", "canary", "--json", "--server", &server]);
        assert_eq!(output.status.code(), Some(expected));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "one line: {text}");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    zone.put(&[&idle(now() - 100).replace("\"o\"", "\"s\":\"run\",\"o\"")]).await;
    let overdue = json(1);
    zone.put(&["garbage"]).await;
    let unreadable = json(2);
    let due = now() + 50;
    zone.put(&[&idle(due)]).await;
    let mut fine = json(0);
    // What differs from run to run, in the order of the document.
    for (pointer, shown) in
        [("/servers/0/address", "[SERVER]"), ("/servers/0/nsid", "[SERVER]"), ("/servers/0/ms", "[N]")]
    {
        *fine.pointer_mut(pointer).expect(pointer) = shown.into();
    }
    assert_eq!(overdue["running"]["by"], "alto-0123");
    assert_eq!(overdue["next_due"], serde_json::Value::Null);
    assert_eq!(overdue["condition"], "overdue");
    assert_eq!((&unreadable["condition"], &unreadable["last_run"]), (&"unreadable".into(), &serde_json::Value::Null));
    assert!(unreadable["problem"].as_str().is_some_and(|problem| problem.contains("no JSON object")));
    let text = serde_json::to_string_pretty(&fine)
        .expect("JSON")
        .replace(&due.to_string(), "[DUE]")
        .replace(&(due - 60).to_string(), "[ROUND]");
    pin("status_json", &text);
}

#[test]
fn nobody_to_ask_is_said_with_what_to_try() {
    let shell = Shell::new();
    let output = shell.output(&["status", "canary.soloist.invalid"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("cannot be found") && stderr.contains("hint: name a server to ask"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_answer_comes_over_tcp_alone_is_read() {
    use hickory_proto::rr::RData;
    use hickory_proto::rr::rdata::TXT;
    use soloist_tests::liar::{Liar, Lie, answer};
    let shell = Shell::new();
    let record = idle(now() + 50).replace('}', &format!(",\"note\":\"{}\"}}", "x".repeat(300)));
    let whole = move |question: &_| {
        let strings = record.as_bytes().chunks(255).collect();
        answer(question, &[RData::TXT(TXT::from_bytes(strings))])
    };
    let cut = whole.clone();
    let truncating = Liar::start(move |question, over_tcp| {
        let mut said = cut(question);
        if !over_tcp {
            said.answers.clear();
            said.metadata.truncation = true;
        }
        Lie::say(&said)
    })
    .await;
    let silent =
        Liar::start(move |question, over_tcp| if over_tcp { Lie::say(&whole(question)) } else { Lie::default() }).await;
    for (what, server) in [("truncating", &truncating), ("silent over UDP", &silent)] {
        let address = server.address.to_string();
        let output = shell.output(&["status", "canary.example.com", "--server", &address, "--timeout", "10s"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{what}: {text}");
        assert!(text.contains("alto-0123"), "{what}: {text}");
    }
}
