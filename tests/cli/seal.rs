//! Sealed records: their keys, what is wrong with `[seal]`, and what `init` and `status` make of them.

use std::fmt::Write as _;

use crate::shell::{CANARY, EXAMPLE, Shell, Zone, now, pin, titled};
use soloist_tests::hand::name;

/// Keys of seals, each of which has a piece that no output may have.
const KEY: &str = "soloist-seal-1.hush-hush-hush-hush-hush-hush-hush-hush-hus";
const OTHER: &str = "soloist-seal-1.Hush-hush-hush-hush-hush-hush-hush-hush-hus";

/// The table, as it stands in the example before the job.
fn sealed(table: &str) -> String {
    format!("[seal]\n{table}\n[job.canary]\n")
}

#[test]
fn what_is_wrong_with_a_seal_is_said_and_no_key_is_repeated() {
    let nine = ["{ file = \"seal.key\" }"; 9].join(", ");
    let mut text = String::new();
    for table in [
        "keys = [{ file = \"seal.key\" }]",
        "kind = \"sign\"",
        "kind = \"sing\"\nkeys = [{ file = \"seal.key\" }]",
        "kind = \"sign\"\nkey-file = \"seal.key\"",
        "kind = \"sign\"\nkeys = [\"seal.key\"]",
        "kind = \"sign\"\nkeys = [{ file = \"none.key\" }]",
        "kind = \"sign\"\nkeys = [{ file = \"empty.key\" }]",
        "kind = \"sign\"\nkeys = [{ file = \"soloist.key\" }]",
        "kind = \"sign\"\nkeys = [{ env = \"SOLOIST_TEST_SEAL\" }]",
        "kind = \"sign\"\nkeys = [{ env = \"SOLOIST_TEST_NO_SEAL\" }]",
        "kind = \"sign\"\nkeys = [{ file = \"seal.key\" }, { file = \"same.key\" }]",
        &format!("kind = \"sign\"\nkeys = [{nine}]"),
        &format!("kind = \"sign\"\nkeys = [{{ file = \"{KEY}\" }}]"),
        &format!("kind = \"sign\"\nkeys = [\"{KEY}\"]"),
        "kind = \"none\"\n[job.other]\nrecord = \"b.example.com\"\nevery = \"1s\"\nmodule = \"a\"\nseal = \"encrypt\"",
    ] {
        let mut shell = Shell::new();
        shell.write("seal.key", KEY);
        shell.write("same.key", format!("{KEY}\n"));
        shell.write("empty.key", "\n");
        shell.set("SOLOIST_TEST_SEAL", "hush-hush");
        shell.configure("[job.canary]\n", &sealed(table));
        let _ = writeln!(text, "# {}", table.replace(KEY, "[KEY]").replace('\n', "\n# "));
        text += &shell.transcript(&["run", "--check"]);
    }
    assert!(!text.contains("exit code 0"), "all of these are refused: {text}");
    pin("seal_config", &text);
}

#[test]
fn every_kind_of_seal_and_place_of_a_key_is_taken() {
    let mut shell = Shell::new();
    shell.write("seal.key", KEY);
    shell.set("SOLOIST_TEST_SEAL", OTHER);
    for (table, job) in [
        ("kind = \"none\"", ""),
        ("kind = \"none\"\nkeys = [{ file = \"seal.key\" }]", "seal = \"sign\"\n"),
        ("kind = \"sign\"\nkeys = [{ file = \"seal.key\" }, { env = \"SOLOIST_TEST_SEAL\" }]", "seal = \"encrypt\"\n"),
        ("kind = \"encrypt\"\nkeys = [{ env = \"SOLOIST_TEST_SEAL\" }]\naccept-unsealed = true", "seal = \"none\"\n"),
    ] {
        shell.configure("[job.canary]\n", &format!("{}{job}", sealed(table)));
        let output = shell.output(&["run", "--check"]);
        assert!(output.status.success(), "{table}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_key_is_made_for_its_owner_alone_and_never_written_over_another() {
    let mut shell = Shell::new();
    let output = shell.output(&["seal", "key", "--out", "seal.key"]);
    assert!(output.status.success() && output.stdout.is_empty());
    let text = std::fs::read_to_string(shell.path().join("seal.key")).expect("the key");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(text.trim()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(shell.path().join("seal.key")).expect("the key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let mut transcript = shell.transcript(&["seal", "key", "--out", "seal.key"]);
    transcript += &shell.transcript(&["seal", "key", "--out", "nowhere/seal.key"]);
    assert_eq!(std::fs::read_to_string(shell.path().join("seal.key")).expect("the key"), text, "it is as it was");
    shell.configure("[job.canary]\n", &sealed("kind = \"sign\"\nkeys = [{ file = \"seal.key\" }]"));
    assert!(shell.output(&["run", "--check"]).status.success(), "what was made is taken");
    let printed = shell.output(&["seal", "key"]).stdout;
    assert!(printed.starts_with(b"soloist-seal-1.") && printed != text.as_bytes());
    shell.hide(text.trim(), "[KEY]");
    pin("seal_key", &transcript);
}

/// A served zone whose example is sealed.
async fn serve(kind: &str, keys: &[(&str, &str)]) -> Zone {
    let zone = Zone::serve().await;
    for (file, key) in keys {
        zone.shell.write(file, key);
    }
    configure(&zone, kind, keys[0].0);
    zone
}

fn configure(zone: &Zone, kind: &str, key: &str) {
    let table = sealed(&format!("kind = \"{kind}\"\nkeys = [{{ file = \"{key}\" }}]"));
    let example = EXAMPLE.replace("192.0.2.1:53", &zone.hand.server.to_string());
    zone.shell.write("soloist.toml", example.replacen("[job.canary]\n", &table, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_record_is_created_shown_and_left_alone() {
    let mut text = String::new();
    for kind in ["sign", "encrypt"] {
        let zone = serve(kind, &[("seal.key", KEY), ("other.key", OTHER)]).await;
        let server = zone.hand.server.to_string();
        text += &titled(kind, &zone.shell.transcript(&["init"]));
        let values = zone.values().await;
        assert_eq!(values[0].starts_with("{\"id\":\"tester-"), kind == "sign", "{values:?}");
        assert_eq!(values[0].contains("timer"), kind == "sign", "{values:?}");
        text += &zone.shell.transcript(&["init"]);
        assert_eq!(zone.values().await, values);
        text += &zone.shell.transcript(&["status", "canary", "--server", &server]);
        text += &zone.shell.transcript(&["status", "canary", "--seal-key", "other.key", "--server", &server]);
        let json = |arguments: &[&str]| -> serde_json::Value {
            let all = [&["status", "canary.example.com", "--json", "--server", &server], arguments].concat();
            serde_json::from_slice(&zone.shell.output(&all).stdout).expect("JSON")
        };
        assert_eq!((json(&[])["seal"]["kind"].as_str(), json(&[])["problem"].as_str()), (Some(kind), None));
        std::fs::remove_file(zone.shell.path().join("soloist.toml")).expect("the configuration");
        assert_eq!(json(&[])["condition"], "unreadable");
        assert_eq!(json(&["--seal-key", "seal.key"])["condition"], "fine");
        let name = "canary.example.com";
        text += &zone.shell.transcript(&["status", name, "--server", &server]);
        text += &zone.shell.transcript(&["status", name, "--seal-key", "other.key", "--server", &server]);
        text += &zone.shell.transcript(&[
            "status",
            name,
            "--seal-key",
            "other.key",
            "--seal-key",
            "seal.key",
            "--server",
            &server,
        ]);
        text += &zone.shell.transcript(&["status", name, "--seal-key", "none.key", "--server", &server]);
    }
    pin("seal_status", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_seal_refuses_is_shown_and_replaced_only_when_told_so() {
    let zone = serve("sign", &[("seal.key", KEY), ("other.key", OTHER)]).await;
    let repair = ["init", "--repair", "--yes"];
    assert!(zone.shell.output(&["init"]).status.success());
    let good = zone.values().await.remove(0);
    let changed = good.replacen("\"timerold\":0", "\"timerold\":7", 1);
    let plain = format!("{{\"id\":\"alto-0123\",\"timer\":{},\"timerold\":0}}", now() + 50);
    configure(&zone, "sign", "other.key");
    let mut text = titled("with another key", &zone.shell.transcript(&["init"]));
    assert_eq!(zone.values().await, [good]);
    configure(&zone, "sign", "seal.key");
    for (what, value) in [("changed", &changed), ("not sealed", &plain)] {
        zone.put(&[value]).await;
        text += &titled(what, &zone.shell.transcript(&["init"]));
        assert_eq!(zone.values().await, [value.as_str()], "nothing was written without a word");
        let output = zone.shell.output(&repair);
        assert!(String::from_utf8_lossy(&output.stdout).contains("would be replaced: {"), "it is shown");
        assert!(zone.values().await[0].contains("\"h\":\""));
        assert!(zone.shell.output(&["init"]).status.success(), "it is fine now");
    }
    zone.shell.write("soloist.toml", EXAMPLE.replace("192.0.2.1:53", &zone.hand.server.to_string()));
    text += &titled("without a key", &zone.shell.transcript(&["init"]));
    pin("seal_init", &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_sealed_anew_as_the_newest_one_but_not_under_a_run() {
    let zone = serve("sign", &[("seal.key", KEY)]).await;
    let plain = |state: &str| {
        let round = now() - 10;
        format!("{{\"id\":\"alto-0123\",\"timer\":{},\"timerold\":0,\"r\":{round},\"a\":1{state}}}", now() + 50)
    };
    zone.put(&[&plain(",\"s\":\"run\"")]).await;
    // Read without its seal, and written with one.
    let lenient = "kind = \"sign\"\naccept-unsealed = true\nkeys = [{ file = \"seal.key\" }]";
    let example = EXAMPLE.replace("192.0.2.1:53", &zone.hand.server.to_string());
    zone.shell.write("soloist.toml", example.replacen("[job.canary]\n", &sealed(lenient), 1));
    let mut text = titled("under a run", &zone.shell.transcript(&["init", "--reseal"]));
    zone.put(&[&plain("")]).await;
    text += &titled("idle", &zone.shell.transcript(&["init", "--reseal"]));
    let first: serde_json::Value = serde_json::from_str(&zone.values().await[0]).expect("JSON");
    assert!(zone.shell.output(&["init", "--reseal"]).status.success());
    let second: serde_json::Value = serde_json::from_str(&zone.values().await[0]).expect("JSON");
    assert!(second["n"].as_u64() > first["n"].as_u64(), "{first} {second}");
    assert_eq!((&first["id"], &first["r"]), (&second["id"], &second["r"]));
    assert_eq!(zone.hand.txt(&name(CANARY)).await.expect("the server answers").len(), 1);
    pin("seal_reseal", &text);
}
