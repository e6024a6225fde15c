//! Every command with the API of a real PowerDNS server for an arbiter.

use soloist_tests::servers::PowerDns;

use crate::shell::{HEARTBEAT, Shell};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn a_record_is_made_steered_and_shown_over_the_api() {
    let server = PowerDns::start(soloist::arbiter::tsig::Algorithm::default()).await.expect("PowerDNS starts");
    let shell = Shell::new();
    let (url, key) = (server.api().url(), &server.api().key);
    shell.write("api.key", key);
    shell.write("heartbeat.wasm", HEARTBEAT);
    shell.write(
        "soloist.toml",
        format!(
            "[arbiter]\nkind = \"powerdns\"\nurl = \"{url}\"\nzone = \"example.test\"\napi-key-file = \"api.key\"\n\
             [job.beat]\nrecord = \"beat.example.test\"\nevery = \"60s\"\nmodule = \"heartbeat.wasm\"\n"
        ),
    );
    let mut said = String::new();
    let mut expect = |arguments: &[&str], code: i32, words: &[&str]| {
        let text = shell.transcript(arguments);
        assert!(text.contains(&format!("exit code {code}\n")), "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` is missing in: {text}");
        }
        said += &text;
    };
    expect(&["run", "--check"], 0, &["all is well"]);
    expect(&["status", "beat"], 2, &["there is no TXT record at this name", "only the arbiter was asked"]);
    expect(&["init"], 0, &["wrote the record at beat.example.test at", &url]);
    expect(&["init"], 0, &["it is left as it is"]);
    expect(&["status", "beat"], 0, &["beat (beat.example.test): fine", "has this record"]);
    expect(&["pause", "beat", "--reason", "moving"], 0, &["paused at"]);
    expect(&["status", "beat"], 0, &["moving"]);
    expect(&["resume", "beat"], 0, &["resumed at"]);
    expect(&["status", "beat", "--json"], 0, &["\"authoritative\":true", &server.api().address.to_string()]);
    shell.write("api.key", "another-key-than-the-servers");
    expect(&["status", "beat"], 2, &["401 Unauthorized", "`api-key`"]);
    expect(&["init"], 2, &["401 Unauthorized", "`api-key`"]);
    assert!(!said.contains(key.as_str()) && !said.contains("another-key"), "a key is shown: {said}");
}
