//! Every way to write a wrong configuration: the error says where and what, and what to try.

use std::fmt::Write as _;

use crate::shell::{EXAMPLE, HUSH, SECRET, Shell, pin};

/// The transcripts of `run --check` with one text of the example in place of another.
fn refusals(changes: &[(&str, &str)]) -> String {
    let shell = Shell::new();
    let mut text = String::new();
    for (from, to) in changes {
        shell.configure(from, to);
        let shown = to.replace(SECRET, "[SECRET]").replace(HUSH, "[SECRET]");
        let _ = writeln!(text, "# {} -> {}", from.trim(), shown.trim().replace('\n', "\n#   "));
        text += &shell.transcript(&["run", "--check"]);
    }
    assert!(!text.contains("exit code 0"), "all of these are refused: {text}");
    text
}

#[test]
fn the_example_of_the_documentation_is_a_good_configuration() {
    let shell = Shell::new();
    pin("check_good", &shell.transcript(&["run", "--check"]));
}

#[test]
fn the_configuration_in_the_readme_is_a_good_one() {
    let readme = include_str!("../../README.md");
    let (_, block) = readme.split_once("\n    [agent]\n").expect("it begins with the agent");
    let (block, _) = block.split_once("\n**Cron.**").expect("it ends before what is said of cron");
    let lines = block.lines().filter_map(|line| line.strip_prefix("    "));
    // There is no such certificate here.
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with("ca-file")).collect();
    let shell = Shell::new();
    shell.write("soloist.toml", format!("[agent]\n{}", lines.join("\n")));
    shell.write("slack.token", "xoxb-1");
    shell.write("api.token", "a-token-of-23-characters");
    shell.write("ops.webhook", "https://hooks.slack.com/services/T/B/x");
    let made = shell.output(&["seal", "key", "--out", "soloist-seal.key"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let checked = shell.output(&["run", "--check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn a_grant_of_changes_is_of_names_in_the_zone_that_no_agent_goes_by() {
    let grants = |value: &str| format!("[job.canary.grants]\ndns-update = {value}\n");
    let wrong = [
        "[{ name = \"www.example.net\", types = [\"A\"] }]",
        "[{ name = \"*.com\", types = [\"A\"] }]",
        "[{ name = \"example.com\", types = [\"NS\"] }]",
        "[{ name = \"canary.example.com\", types = [\"A\"] }]",
        "[{ name = \"www.example.com\", types = [\"SOA\"] }]",
        "[{ name = \"www.example.com\" }]",
    ];
    let wrong: Vec<String> = wrong.iter().map(|value| grants(value)).collect();
    let changes: Vec<(&str, &str)> = wrong.iter().map(|text| ("[job.canary.grants]\n", text.as_str())).collect();
    pin("config_dns_update", &refusals(&changes));
}

#[test]
fn line_ends_and_marks_of_other_systems_are_taken() {
    let shell = Shell::new();
    for text in [EXAMPLE.replace('\n', "\r\n"), format!("\u{feff}{EXAMPLE}")] {
        shell.write("soloist.toml", text);
        assert!(shell.output(&["run", "--check"]).status.success());
    }
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_known_one_named() {
    pin(
        "config_unknown",
        &refusals(&[
            ("[arbiter]", "[arbitr]"),
            ("[arbiter]", "[agents]\n[arbiter]"),
            ("server = ", "sever = "),
            ("secret-file = ", "secretfile = "),
            ("secret-file = ", "secret = "),
            ("every = ", "Every = "),
            ("every = ", "interval = "),
            ("http = ", "htp = "),
            ("http = ", "files = "),
            ("[job.canary.grants]", "[job.canary.grant]"),
            ("[job.canary]\n", "[http]\nca = \"x\"\n[job.canary]\n"),
            ("[job.canary]\n", "[slack]\ntoken = \"hush-hush\"\n[job.canary]\n"),
        ]),
    );
}

#[test]
fn a_job_is_due_by_exactly_one_of_an_interval_and_a_cron_expression() {
    let every = "every = \"60s\"\n";
    let cron = |line: &str| format!("cron = \"{line}\"\n");
    let zone = |name: &str| format!("cron = \"@daily\"\ntimezone = \"{name}\"\n");
    pin(
        "config_schedule",
        &refusals(&[
            (every, ""),
            (every, "every = \"60s\"\ncron = \"@daily\"\n"),
            (every, "every = \"60s\"\ntimezone = \"UTC\"\n"),
            (every, "cron = 5\n"),
            (every, &cron("0 9 30 2 *")),
            (every, &cron("*/5 9-17 * *")),
            (every, &cron("*/5 25 * * *")),
            (every, &cron("0 9 * * MON-FRY")),
            (every, &cron("0/5 * * * *")),
            (every, &cron("@midnight")),
            (every, &cron("0 22-2 * * *")),
            (every, &zone("Europe/Sofja")),
            (every, &zone("new york")),
            (every, &zone("+02:00")),
            (every, &zone("localtime")),
            (every, &format!("{}spread = \"10m\"\n", cron("*/5 * * * *"))),
        ]),
    );
}

#[test]
fn a_missing_key_is_named_with_a_line_that_has_it() {
    pin(
        "config_missing",
        &refusals(&[
            ("kind = \"rfc2136\"\n", ""),
            ("server = \"192.0.2.1:53\"\n", ""),
            ("zone = \"example.com\"\n", ""),
            ("key = {", "# {"),
            ("name = \"soloist\", ", ""),
            (", secret-file = \"soloist.key\"", ""),
            ("secret-file = \"soloist.key\"", "secret-file = \"soloist.key\", secret-env = \"KEY\""),
            ("record = \"canary.example.com\"\n", ""),
            ("every = \"60s\"\n", ""),
            ("module = \"jobs/canary.wasm\"\n", ""),
        ]),
    );
}

#[test]
fn a_source_or_a_demand_that_makes_no_sense_is_refused() {
    let module = "module = \"jobs/canary.wasm\"\n";
    let from = |source: &str| format!("module = \"{source}\"\n");
    let with = |line: &str| format!("{module}{line}\n");
    pin(
        "config_modules",
        &refusals(&[
            (module, &from("oci:ghcr.io/acme/canary:1")),
            (module, &from("oci://canary:1")),
            (module, &from("oci://me:hush@ghcr.io/acme/canary:1")),
            (module, &from("oci://ghcr.io/acme/canary@sha512:00")),
            (module, &from("dns:")),
            (module, &from("dns://ns1.example.com/canary.example.com")),
            (module, &from("ftp://example.com/canary.wasm")),
            (module, &with("sha256 = \"abc\"")),
            (module, &with("sha256 = 5")),
            (module, &with("sha256 = [\"abc\", 5]")),
            (module, &with("minisign = \"minisign.pub\"")),
            (module, &with("minisign = [\"RWT\"]")),
        ]),
    );
}

#[test]
fn a_value_of_another_kind_or_form_is_refused() {
    pin(
        "config_values",
        &refusals(&[
            ("kind = \"rfc2136\"", "kind = \"rfc2316\""),
            ("kind = \"rfc2136\"", "kind = \"etcd\""),
            ("\"192.0.2.1:53\"", "\"192.0.2.1\""),
            ("\"192.0.2.1:53\"", "53"),
            ("\"example.com\"", "\"example..com\""),
            ("hmac-sha256", "hmac-md5"),
            ("name = \"soloist\"", "name = \"so..loist\""),
            ("every = \"60s\"", "every = 60"),
            ("every = \"60s\"", "every = \"60\""),
            ("every = \"60s\"", "every = \"a minute\""),
            ("every = \"60s\"", "every = \"1500ms\""),
            ("attempts = 3", "attempts = \"three\""),
            ("attempts = 3", "attempts = -1"),
            ("attempts = 3", "attempts = 3\ndelivery = \"exactly-once\""),
            ("attempts = 3", "attempts = 3\ndelivery = \"at-most-once\""),
            ("lease = \"30s\"\nattempts = 3", "lease = \"24s\"\ndelivery = \"at-most-once\""),
            ("attempts = 3", "attempts = 3\nmissed = \"catchup\""),
            ("attempts = 3", "attempts = 3\nmissed = \"skip\"\ncatch-up = 5"),
            ("attempts = 3", "attempts = 3\nmemory = 64"),
            ("attempts = 3", "attempts = 3\nmemory = \"64MB\""),
            ("canary.example.com", "canary..example.com"),
            ("canary.example.com", "canary.example.org"),
            ("canary.example.com", "*.example.com"),
            (
                "[job.canary]\n",
                "[job.\"\"]\nrecord = \"a.example.com\"\nevery = \"1s\"\nmodule = \"a\"\n[job.canary]\n",
            ),
            (
                "[job.canary]\n",
                "[job.\"a b\"]\nrecord = \"a.example.com\"\nevery = \"1s\"\nmodule = \"a\"\n[job.canary]\n",
            ),
            (
                "[job.canary]\n",
                "[job.other]\nrecord = \"CANARY.example.com.\"\nevery = \"1s\"\nmodule = \"a\"\n[job.canary]\n",
            ),
            ("jobs/canary.wasm", ""),
            ("jobs/canary.wasm", "http://example.com/canary.wasm"),
            ("jobs/canary.wasm", "file:///canary.wasm"),
            ("https://api.example.com\"]", "api.example.com\"]"),
            ("http = [\"https://api.example.com\"]", "slack = [\"\"]"),
            ("http = [\"https://api.example.com\"]", "slack = \"#ops\""),
            ("/health\"", "/health\"\nratio = nan"),
            ("[arbiter]", "[arbiter"),
            ("attempts = 3", "attempts = 3\nattempts = 4"),
        ]),
    );
}

#[test]
fn every_limit_is_named_where_it_is_passed() {
    let agent = |line: &str| format!("[agent]\n{line}\n[arbiter]");
    let arbiter = |line: &str| format!("{line}\nzone = \"example.com\"");
    let job = |line: &str| format!("attempts = 3\n{line}");
    let changes = [
        ("[arbiter]", agent("grace = \"61m\"")),
        ("[arbiter]", agent("reread = \"0s\"")),
        ("[arbiter]", agent("reread = \"61m\"")),
        ("[arbiter]", agent("metrics = \"localhost:9464\"")),
        ("zone = \"example.com\"", arbiter("timeout = \"49ms\"")),
        ("zone = \"example.com\"", arbiter("timeout = \"61s\"")),
        ("zone = \"example.com\"", arbiter("ttl = 86401")),
        ("every = \"60s\"", "every = \"0s\"".to_owned()),
        ("every = \"60s\"", "every = \"367days\"".to_owned()),
        ("timeout = \"20s\"", "timeout = \"9ms\"".to_owned()),
        ("timeout = \"20s\"", "timeout = \"25h\"".to_owned()),
        ("lease = \"30s\"", "lease = \"1s\"".to_owned()),
        ("lease = \"30s\"", "lease = \"25h\"".to_owned()),
        ("attempts = 3", "attempts = 0".to_owned()),
        ("attempts = 3", "attempts = 101".to_owned()),
        ("attempts = 3", job("backoff = \"61m\"")),
        ("attempts = 3", job("spread = \"61s\"")),
        ("attempts = 3", job("missed = \"catch-up\"\ncatch-up = 0")),
        ("attempts = 3", job("missed = \"catch-up\"\ncatch-up = 1001")),
        ("attempts = 3", job("start-deadline = \"999ms\"")),
        ("attempts = 3", job("start-deadline = \"25h\"")),
        ("attempts = 3", job("memory = \"63KiB\"")),
        ("attempts = 3", job("memory = \"5GiB\"")),
        ("attempts = 3", job("memory = \"99999999999GiB\"")),
    ];
    let changes: Vec<(&str, &str)> = changes.iter().map(|(from, to)| (*from, to.as_str())).collect();
    let mut text = refusals(&changes);

    let shell = Shell::new();
    shell.write("long.toml", EXAMPLE.replace("[job.canary", &format!("[job.{}", "x".repeat(64))));
    text += &shell.transcript(&["run", "--check", "--config", "long.toml"]);
    let mut jobs = String::new();
    for n in 0..1001 {
        let _ = writeln!(jobs, "[job.j{n}]\nrecord = \"j{n}.example.com\"\nevery = \"1s\"\nmodule = \"a\"");
    }
    shell.write("many.toml", format!("{EXAMPLE}{jobs}"));
    text += &shell.transcript(&["run", "--check", "--config", "many.toml"]);
    shell.write("large.toml", format!("{EXAMPLE}#{}", " ".repeat(1024 * 1024)));
    text += &shell.transcript(&["run", "--check", "--config", "large.toml"]);
    pin("config_limits", &text);
}

#[test]
fn each_limit_itself_is_taken() {
    let shell = Shell::new();
    for (from, to) in [
        ("[arbiter]", "[agent]\ngrace = \"1h\"\nreread = \"1h\"\n[arbiter]"),
        ("[arbiter]", "[agent]\ngrace = \"0s\"\nreread = \"1s\"\nmetrics = \"[::1]:9464\"\n[arbiter]"),
        ("zone = \"example.com\"", "zone = \"example.com\"\ntimeout = \"50ms\"\nttl = 0"),
        ("zone = \"example.com\"", "zone = \"example.com\"\ntimeout = \"1m\"\nttl = 86400"),
        ("every = \"60s\"", "every = \"366days\""),
        ("timeout = \"20s\"", "timeout = \"10ms\""),
        ("timeout = \"20s\"\nlease = \"30s\"", "timeout = \"1day\""),
        ("lease = \"30s\"\nattempts = 3", "lease = \"2s\"\nattempts = 100\nbackoff = \"1h\"\nspread = \"60s\""),
        ("attempts = 3", "attempts = 1\nbackoff = \"0s\"\nspread = \"0s\"\nmemory = \"4GiB\""),
        ("attempts = 3", "memory = \"64KiB\""),
    ] {
        shell.configure(from, to);
        let output = shell.output(&["run", "--check"]);
        assert!(output.status.success(), "{to}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_refused_and_not_repeated() {
    pin(
        "config_secrets",
        &refusals(&[
            (
                "key = { name = \"soloist\", algorithm = \"hmac-sha256\", secret-file = \"soloist.key\" }",
                &format!("key = \"{SECRET}\""),
            ),
            ("\"soloist.key\"", &format!("\"{SECRET}\"")),
            ("secret-file = \"soloist.key\"", &format!("secret-env = \"{SECRET}\"")),
            ("every = \"60s\"", &format!("every = {{ every = \"{HUSH}\" }}")),
            ("attempts = 3", &format!("attempts = \"{HUSH}\"")),
            ("[job.canary]\n", &format!("[slack.webhooks]\n\"#ops\" = \"https://example.com/{HUSH}\"\n[job.canary]\n")),
            ("[job.canary]\n", &format!("[slack.webhooks]\n\"#ops\" = {{ url = \"{HUSH}\" }}\n[job.canary]\n")),
            ("[job.canary]\n", &format!("[slack]\ntoken-file = \"soloist.toml\" # {HUSH}\n[job.canary]\n")),
            ("https://api.example.com\"]", &format!("https://me:{HUSH}@api.example.com/{HUSH}?{HUSH}\"]")),
            ("jobs/canary.wasm", &format!("http://me:{HUSH}@example.com/a?{HUSH}")),
            ("/health\"", &format!("/health\"\ntoken = {HUSH}")),
        ]),
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let mut shell = Shell::new();
    let mut text = shell.transcript(&["run", "--config", "nowhere.toml"]);
    text += &shell.transcript(&["run", "--config", "jobs"]);
    shell.write("utf16.toml", [0xff, 0xfe, 0x5b, 0x00]);
    text += &shell.transcript(&["run", "--config", "utf16.toml"]);
    shell.configure("soloist.key", "other.key");
    text += &shell.transcript(&["run"]);
    for (key, content) in [
        ("empty.key", ""),
        ("odd.key", "hush-hush!"),
        ("other-name.key", &format!("key \"bob\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};")),
        ("other-kind.key", &format!("key \"soloist\" {{ algorithm hmac-sha512; secret \"{SECRET}\"; }};")),
    ] {
        shell.write(key, content);
        shell.configure("soloist.key", key);
        text += &shell.transcript(&["run"]);
    }
    shell.configure("secret-file = \"soloist.key\"", "secret-env = \"SOLOIST_TEST_KEY\"");
    text += &shell.transcript(&["run"]);
    for (file, line) in [
        ("slack", "token-file = \"slack.token\""),
        ("slack", "token-env = \"SOLOIST_TEST_TOKEN\""),
        ("http", "ca-file = \"ca.pem\""),
    ] {
        shell.configure("[job.canary]\n", &format!("[{file}]\n{line}\n[job.canary]\n"));
        text += &shell.transcript(&["run", "--check"]);
    }
    shell.configure("secret-file = \"soloist.key\"", "secret-env = \"SOLOIST_TEST_KEY\"");
    shell.set("SOLOIST_TEST_KEY", SECRET);
    text += &shell.transcript(&["run", "--check"]);
    pin("config_files", &text);
}

#[test]
fn an_unknown_job_is_answered_with_the_jobs_there_are() {
    let shell = Shell::new();
    let mut text = shell.transcript(&["status", "canry"]);
    text += &shell.transcript(&["init", "heartbeat"]);
    shell.write("soloist.toml", EXAMPLE.split("[job.canary]").next().expect("the first part"));
    text += &shell.transcript(&["init", "canary"]);
    text += &shell.transcript(&["init"]);
    text += &shell.transcript(&["run", "--check"]);
    pin("config_jobs", &text);
}

#[test]
fn the_arbiter_memory_has_no_record_to_look_at() {
    let shell = Shell::new();
    shell.configure("kind = \"rfc2136\"", "kind = \"memory\"");
    let text =
        shell.transcript(&["init"]) + &shell.transcript(&["status", "canary"]) + &shell.transcript(&["run", "--check"]);
    pin("config_memory", &text);
}

/// The arbiter's table for the API of PowerDNS.
const POWERDNS: &str = "[arbiter]
kind = \"powerdns\"
url = \"http://192.0.2.1:8081\"
zone = \"example.com\"
api-key-file = \"powerdns.key\"
timeout = \"1s\"
settle = \"4s\"
";

/// The transcript of `run --check` with this table.
fn with_arbiter(table: &str) -> String {
    let shell = Shell::new();
    shell.write("powerdns.key", format!("{HUSH}-of-powerdns\n"));
    shell.write("odd.key", format!("{HUSH}-ö\n"));
    let jobs = EXAMPLE.find("[job.canary]").expect("the example has a job");
    shell.write("soloist.toml", format!("{table}\n{}", &EXAMPLE[jobs..]));
    shell.transcript(&["run", "--check"])
}

#[test]
fn the_api_of_powerdns_is_checked_like_a_server() {
    let mut text = with_arbiter(POWERDNS);
    assert!(text.contains("exit code 0"), "{text}");
    for (from, to) in [
        ("url = \"http://192.0.2.1:8081\"\n", ""),
        ("http://192.0.2.1:8081", "192.0.2.1:8081"),
        ("http://192.0.2.1:8081", "http://ops:hush-hush@192.0.2.1:8081"),
        ("http://192.0.2.1:8081", "ftp://192.0.2.1"),
        ("zone = \"example.com\"\n", ""),
        ("example.com", "example.org"),
        ("zone = ", "server-id = \"\"\nzone = "),
        ("zone = ", "server = \"192.0.2.1:53\"\nzone = "),
        ("kind = \"powerdns\"", "kind = \"powerdsn\""),
        ("kind = \"powerdns\"", "kind = \"rfc2136\""),
        ("api-key-file = \"powerdns.key\"\n", ""),
        ("api-key-file = \"powerdns.key\"\n", "api-key = \"hush-hush-hush-hush\"\n"),
        ("powerdns.key", "hush-hush-hush-hush"),
        ("powerdns.key", "none.key"),
        ("powerdns.key", "odd.key"),
        ("api-key-file = \"powerdns.key\"", "api-key-env = \"SOLOIST_TEST_UNSET\""),
        ("timeout = \"1s\"", "timeout = \"61s\""),
        ("settle = \"4s\"", "settle = \"1s\""),
        ("settle = \"4s\"", "settle = \"31s\""),
        ("settle = \"4s\"", "settle = \"1h\""),
        ("settle = \"4s\"", "settle = \"10s\""),
    ] {
        assert!(POWERDNS.contains(from), "the table has `{from}`");
        let _ = writeln!(text, "# {} -> {}", from.trim(), to.replace(HUSH, "[SECRET]").trim().replace('\n', "\n#   "));
        text += &with_arbiter(&POWERDNS.replacen(from, to, 1));
    }
    assert_eq!(text.matches("exit code 0").count(), 1, "{text}");
    pin("config_powerdns", &text);
}
