//! `job new` and `job build`: what is written and said, and what is refused.

use crate::shell::{HEARTBEAT, Shell, pin};

const LANGUAGES: [&str; 7] = ["rust", "javascript", "typescript", "python", "go", "c", "zig"];

fn transcripts(shell: &Shell, commands: &[&[&str]]) -> String {
    commands.iter().map(|arguments| shell.transcript(arguments)).collect()
}

/// A project that copies text in place of compiling anything.
fn project(shell: &Shell, folder: &str, build: &str) {
    let text = format!("name = \"hello\"\nbuild = {build}\noutput = \"build/hello.wat\"\nmodule = \"hello.wasm\"\n");
    shell.write(&format!("{folder}/job.toml"), text);
    shell.write(&format!("{folder}/hello.wat"), HEARTBEAT.replace("2_000_000_000", "0"));
}

#[test]
fn a_project_of_each_language_says_what_comes_next() {
    let shell = Shell::new();
    let text: String =
        LANGUAGES.iter().map(|lang| shell.transcript(&["job", "new", &format!("my-{lang}"), "--lang", lang])).collect();
    for language in LANGUAGES {
        let folder = shell.path().join(format!("my-{language}"));
        for file in ["README.md", "job.toml", "soloist.toml", ".gitignore"] {
            assert!(folder.join(file).is_file(), "{language}: {file}");
        }
        let readme = std::fs::read_to_string(folder.join("README.md")).expect("the README");
        assert!(!readme.contains("{{"), "{readme}");
    }
    pin("job_new", &text);
}

#[test]
fn what_cannot_be_a_project_is_refused_and_nothing_is_written() {
    let shell = Shell::new();
    shell.write("taken/file", "");
    shell.write("file", "");
    std::fs::create_dir(shell.path().join("empty")).expect("a folder");
    let names = [
        "../up",
        "/tmp/x",
        "..",
        "a/b",
        ".hidden",
        "Upper",
        "under_score",
        "a b",
        "é",
        "3d",
        "a--b",
        "a-",
        "",
        "taken",
        "file",
    ];
    let mut text: String =
        names.iter().map(|name| shell.transcript(&["job", "new", name, "--lang", "python"])).collect();
    text += &transcripts(
        &shell,
        &[
            &["job", "new", "fn", "--lang", "rust"],
            &["job", "new", "serde", "--lang", "rust"],
            &["job", "new", "hello", "--lang", "cobol"],
            &["job", "new", "hello"],
        ],
    );
    pin("job_new_errors", &text);
    let mut left: Vec<String> = std::fs::read_dir(shell.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["empty", "file", "jobs", "soloist.key", "soloist.toml", "taken"]);
    assert!(!shell.path().parent().expect("a parent").join("up").exists());
    assert!(shell.output(&["job", "new", "empty", "--lang", "c"]).status.success(), "an empty folder will do");
}

#[test]
fn the_configuration_of_a_project_is_a_good_one() {
    let shell = Shell::new();
    assert!(shell.output(&["job", "new", "hello", "--lang", "c"]).status.success());
    shell.write("hello/hello.wasm", HEARTBEAT);
    let output = shell.output(&["run", "--check", "--config", "hello/soloist.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_build_shows_the_module_and_a_build_that_fails_says_why() {
    let mut shell = Shell::new();
    shell.set("SOLOIST_LOG", "warn");
    project(&shell, "good", r#"["cp", "hello.wat", "build/hello.wat"]"#);
    project(&shell, "fails", r#"["sh", "-c", "echo one; echo two >&2; exit 7"]"#);
    project(&shell, "nothing", r#"["true"]"#);
    project(&shell, "missing", r#"["soloist-no-such-tool"]"#);
    project(&shell, "empty", "[]");
    project(&shell, "broken", r#"["cp", "hello.wat", "build/hello.wat"]"#);
    shell.write("broken/hello.wat", "(component\n  (core modul)");
    project(&shell, "outside", r#"["true"]"#);
    let outside = std::fs::read_to_string(shell.path().join("outside/job.toml")).expect("the file");
    shell.write("outside/job.toml", outside.replace("build/hello.wat", "../hello.wat"));
    let text = transcripts(
        &shell,
        &[
            &["job", "build", "good"],
            &["job", "run", "good"],
            &["job", "build", "fails"],
            &["job", "run", "fails"],
            &["job", "build", "nothing"],
            &["job", "build", "missing"],
            &["job", "build", "empty"],
            &["job", "build", "broken"],
            &["job", "build", "outside"],
            &["job", "build"],
            &["job", "build", "none"],
            &["job", "run"],
        ],
    );
    pin("job_build", &text);
}

#[test]
fn a_tool_that_is_missing_is_named_with_how_it_is_got() {
    let mut shell = Shell::new();
    shell.set("SOLOIST_LOG", "warn");
    for language in LANGUAGES {
        assert!(shell.output(&["job", "new", &format!("in-{language}"), "--lang", language]).status.success());
    }
    // No tool is there, wherever this test runs.
    shell.set("PATH", "/nonexistent");
    shell.set("WASI_SDK_PATH", "/nonexistent");
    let text: String =
        LANGUAGES.iter().map(|language| shell.transcript(&["job", "build", &format!("in-{language}")])).collect();
    pin("job_build_tools", &text);
}

#[test]
fn what_no_agent_takes_leaves_the_module_before_it_in_place() {
    let mut shell = Shell::new();
    shell.set("SOLOIST_LOG", "warn");
    project(&shell, "job", r#"["cp", "hello.wat", "build/hello.wat"]"#);
    let good = std::fs::read(shell.path().join("job/hello.wat")).expect("the source");
    let module = shell.path().join("job/hello.wasm");
    let mut text = String::new();
    let import = "(component\n  (import \"acme:disk/read@1.0.0\" (instance (export \"read\" (func))))\n";
    let foreign = &String::from_utf8_lossy(&good).replacen("(component", import, 1);
    for source in ["(component\n  (core modul)", "(component)", "(module)", foreign] {
        shell.write("job/hello.wat", source);
        text += &shell.transcript(&["job", "build", "job"]);
        assert!(!module.exists(), "{source}");
    }
    shell.write("job/hello.wat", &good);
    assert!(shell.output(&["job", "build", "job"]).status.success());
    for source in ["(component)", foreign] {
        shell.write("job/hello.wat", source);
        text += &transcripts(&shell, &[&["job", "build", "job"], &["job", "run", "job"]]);
        assert_eq!(std::fs::read(&module).expect("the module"), good, "{source}");
    }
    pin("job_build_refused", &text);
}
