//! `soloist job`: what an author sees, on both streams and in the exit code.

use std::io::{Read as _, Write as _};
use std::process::Command;

fn soloist(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(soloist_tests::binary::soloist())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wat"))
        .env_remove("SOLOIST_LOG")
        .args(arguments)
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_run_prints_its_summary_and_nothing_else_on_stdout() {
    let (code, stdout, stderr) = soloist(&["job", "run", "ok.wat"]);
    assert_eq!((code, stdout.as_str()), (0, "all is well\n"), "{stderr}");
}

#[test]
fn a_failed_run_says_why_and_exits_1() {
    let (code, stdout, stderr) = soloist(&["job", "run", "sleep.wat", "--timeout", "100ms", "--job", "nap"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("error: job `nap` failed with `timeout`: still running at its deadline"), "{stderr}");
    assert!(stderr.contains("hint: give it more time with `--timeout`"), "{stderr}");
}

#[test]
fn a_missing_grant_is_named_with_the_line_to_add() {
    let (code, stdout, stderr) = soloist(&["job", "run", "fetch.wat", "--job", "canary"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(
        stderr.contains("the module imports `soloist:job/http@0.1.0`, which job `canary` was not granted"),
        "{stderr}"
    );
    assert!(stderr.contains("hint: add `http = [\"https://…\"]` under `[job.canary.grants]`"), "{stderr}");
}

#[test]
fn a_flag_grants_and_a_setting_arrives() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let setting = format!("url={origin}/health");
    let (code, _, stderr) = soloist(&["job", "run", "fetch.wat", "--grant-http", &origin, "--set", &setting]);
    assert_eq!(code, 1);
    assert!(stderr.contains("failed with `error`") && stderr.contains("Connection refused"), "{stderr}");
    let (code, _, stderr) = soloist(&["job", "run", "fetch.wat", "--grant-http", "127.0.0.1", "--set", &setting]);
    assert_eq!(code, 2);
    assert!(stderr.contains("`127.0.0.1` is no origin"), "{stderr}");
}

#[test]
fn what_is_no_job_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("core.wat");
    std::fs::write(&file, "(module)").expect("a file");
    let (code, _, stderr) = soloist(&["job", "inspect", file.to_str().expect("a path")]);
    assert_eq!(code, 2);
    assert!(stderr.contains("the module is a core module without WIT"), "{stderr}");
    assert!(stderr.contains("hint: ") && stderr.contains("wasm-tools component embed"), "{stderr}");
    let (code, _, stderr) = soloist(&["job", "run", "none.wasm"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("the module `none.wasm` cannot be read: No such file"), "{stderr}");
}

/// Answers one connection, and gives what it said.
fn answer_once(listener: std::net::TcpListener) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a request");
            read.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").expect("it is sent");
        String::from_utf8_lossy(&read).into_owned()
    })
}

#[test]
fn a_proxy_of_the_environment_is_not_used_as_no_address_would_be_checked_there() {
    let (server, proxy) = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").expect("a port")).into();
    let origin = format!("http://{}", server.local_addr().expect("an address"));
    let proxied = format!("http://{}", proxy.local_addr().expect("an address"));
    let (asked, _by_proxy) = (answer_once(server), answer_once(proxy));
    let mut command = Command::new(soloist_tests::binary::soloist());
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(variable, &proxied);
    }
    let output = command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wat"))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .args(["job", "run", "fetch.wat", "--grant-http", &origin, "--set", &format!("url={origin}/x")])
        .output()
        .expect("the program runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{stderr}");
    assert!(asked.is_finished(), "the proxy was asked: {stderr}");
    assert!(asked.join().expect("a request").starts_with("GET /x HTTP/1.1\r\n"));
}

#[test]
fn inspect_shows_what_a_module_needs() {
    let (code, stdout, stderr) = soloist(&["job", "inspect", "fetch.wat"]);
    assert_eq!(code, 0, "{stderr}");
    let stdout: Vec<&str> =
        stdout.lines().filter(|line| !line.starts_with("digest") && !line.starts_with("size")).collect();
    insta::assert_snapshot!(stdout.join("\n"), @r#"
    file     fetch.wat
    kind     component as text
    world    soloist:job/job@0.1.0
    imports  soloist:job/config@0.1.0                 every job may
             soloist:job/http@0.1.0                   with the grant `http`
    grants   http = ["https://…"]
    "#);
}

#[test]
fn inspect_speaks_json() {
    let (code, stdout, stderr) = soloist(&["job", "inspect", "--json", "fetch.wat"]);
    assert_eq!(code, 0, "{stderr}");
    let shown: serde_json::Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(shown["grants"], serde_json::json!(["http"]));
    assert_eq!(shown["imports"][0]["interface"], "soloist:job/config@0.1.0");
    assert!(shown["digest"].as_str().is_some_and(|digest| digest.len() == "sha256:".len() + 64));
}
