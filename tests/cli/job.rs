//! `job run` and `job inspect`: what an author sees of a module, without arbitration.

use crate::shell::{EXAMPLE, HEARTBEAT, HUSH, Shell, pin};

const FETCHING: &str = include_str!("../wat/fetch.wat");

/// A shell with the demo's job, which works for no time at all here, and modules that are none.
fn shell() -> Shell {
    let mut shell = Shell::new();
    let quick = HEARTBEAT.replace("2_000_000_000", "0");
    assert_ne!(quick, HEARTBEAT);
    shell.write("heartbeat.wat", &quick);
    shell.write("slow.wat", HEARTBEAT);
    shell.write("fetch.wat", FETCHING);
    shell.write("broken.wat", "(component\n  (core modul))");
    shell.write("core.wat", "(module)");
    shell.write("empty.wasm", "");
    let rockets = "(component (import \"acme:rockets/launch@1.0.0\" (instance (export \"go\" (func))))";
    shell.write("strange.wat", quick.replacen("(component", rockets, 1));
    shell.write("other.wat", "(component (import \"acme:rockets/launch@1.0.0\" (instance)))");
    shell.set("SOLOIST_LOG", "warn");
    shell
}

fn transcripts(shell: &Shell, commands: &[&[&str]]) -> String {
    commands.iter().map(|arguments| shell.transcript(arguments)).collect()
}

#[test]
fn a_module_is_shown_with_what_it_needs() {
    let shell = shell();
    let text = transcripts(
        &shell,
        &[
            &["job", "inspect", "heartbeat.wat"],
            &["job", "inspect", "heartbeat.wat", "--json"],
            &["job", "inspect", "fetch.wat"],
            &["job", "inspect", "fetch.wat", "--json"],
            &["job", "inspect", "strange.wat"],
            &["job", "inspect", "strange.wat", "--json"],
            &["job", "inspect", "other.wat"],
            &["job", "inspect", "broken.wat"],
            &["job", "inspect", "core.wat"],
            &["job", "inspect", "empty.wasm"],
            &["job", "inspect", "missing.wasm"],
            &["job", "inspect", "jobs"],
        ],
    );
    pin("job_inspect", &text);
}

#[test]
fn a_run_prints_its_summary_and_nothing_else_on_stdout() {
    let mut shell = shell();
    let text =
        transcripts(&shell, &[&["job", "run", "heartbeat.wat"], &["job", "run", "heartbeat.wat", "--job", "hello"]]);
    shell.set("SOLOIST_LOG", "info");
    let told = shell.transcript(&["job", "run", "heartbeat.wat"]);
    pin("job_run", &(text + &told));
}

#[test]
fn a_run_that_fails_or_cannot_be_says_why() {
    let shell = shell();
    shell.write(
        "two.toml",
        format!("{EXAMPLE}[job.two]\nrecord = \"two.example.com\"\nevery = \"1m\"\nmodule = \"a\"\n"),
    );
    let text = transcripts(
        &shell,
        &[
            &["job", "run", "slow.wat", "--timeout", "100ms"],
            &["job", "run", "heartbeat.wat", "--memory", "64KiB"],
            &["job", "run", "fetch.wat"],
            &[
                "job",
                "run",
                "fetch.wat",
                "--grant-http",
                "https://api.example.com",
                "--set",
                "url=http://169.254.169.254/latest",
            ],
            &["job", "run", "fetch.wat", "--grant-http", "api.example.com"],
            &["job", "run", "fetch.wat", "--grant-slack", "#o ps"],
            &["job", "run", "fetch.wat", "--config", "soloist.toml", "--set", "url=https://example.org/"],
            &["job", "run", "heartbeat.wat", "--config", "two.toml"],
            &["job", "run", "heartbeat.wat", "--config", "two.toml", "--job", "cannary"],
            &["job", "run", "heartbeat.wat", "--config", "two.toml", "--grant-http", "https://api.example.com"],
            &["job", "run", "heartbeat.wat", "--timeout", "0s"],
            &["job", "run", "heartbeat.wat", "--memory", "64MB"],
            &["job", "run", "heartbeat.wat", "--set", "url"],
            &["job", "run", "broken.wat"],
            &["job", "run", "strange.wat"],
            &["job", "run", "missing.wasm"],
            &["job", "run", "heartbeat.wat", "--slack-token-env", "SOLOIST_TEST_TOKEN"],
            &["job", "run"],
        ],
    );
    pin("job_run_errors", &text);
}

#[test]
fn a_failed_run_is_one_json_object_where_the_log_is_json() {
    let shell = shell();
    let output = shell.output(&["--log-format", "json", "job", "run", "slow.wat", "--timeout", "100ms"]);
    assert_eq!(output.status.code(), Some(1));
    for line in String::from_utf8(output.stderr).expect("UTF-8").lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        assert_eq!(line["hint"], "give it more time with `--timeout`", "{line}");
    }
}

#[test]
fn a_token_from_the_environment_is_never_shown() {
    let mut shell = shell();
    shell.set("SOLOIST_TEST_TOKEN", HUSH);
    shell.set("SOLOIST_LOG", "trace");
    let arguments = ["job", "run", "heartbeat.wat", "--grant-slack", "#ops", "--slack-token-env", "SOLOIST_TEST_TOKEN"];
    assert!(shell.output(&arguments).status.success(), "`output` looks for the token in all that is said");
}

/// More than a second of one processor's time, built without optimisation or with it.
fn slow_to_compile() -> String {
    soloist_tests::guest::slow_to_compile(8000, 1000)
}

#[test]
fn a_module_is_compiled_within_the_limits_of_the_configuration() {
    let shell = shell();
    shell.write("endless.wat", slow_to_compile());
    for (limit, reason) in
        [("time = \"1s\"\nmemory = \"16GiB\"", "longer than 1s"), ("memory = \"64MiB\"", "more than 64 MiB of memory")]
    {
        shell.write("soloist.toml", format!("{EXAMPLE}\n[compiler]\n{limit}\n"));
        let output = shell.output(&["job", "run", "endless.wat", "--config", "soloist.toml"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("the module `endless.wat` cannot be loaded") && said.contains(reason), "{said}");
        assert!(said.contains("under `[compiler]`"), "{said}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_module_is_compiled_in_a_process_of_its_own() {
    use rustix::process::{Pid, Signal, kill_process};
    use soloist_tests::binary::compiler_of;
    use std::time::{Duration, Instant};

    let shell = shell();
    shell.write("endless.wat", slow_to_compile());
    for command in ["inspect", "run"] {
        let mut child = shell.command(&["job", command, "endless.wat"]);
        let child = child.stderr(std::process::Stdio::piped()).spawn().expect("it starts");
        let begun = Instant::now();
        let compiler = loop {
            if let Some(compiler) = compiler_of(child.id()) {
                break compiler;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "there is no compiler");
            std::thread::sleep(Duration::from_millis(2));
        };
        // Its hard limit of memory is the default, 1 GiB: read as soon as it has set it.
        let limits = || std::fs::read_to_string(format!("/proc/{compiler}/limits")).expect("it still works");
        while !limits().lines().any(|line| line.starts_with("Max data size") && line.contains("1073741824")) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", limits());
            std::thread::sleep(Duration::from_millis(2));
        }
        kill_process(Pid::from_raw(compiler).expect("an id"), Signal::KILL).expect("it still works");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("the module `endless.wat` cannot be loaded") && said.contains("was killed"), "{said}");
    }
}
