//! Each language from `soloist job new` to a first run, by the commands that the project's own README names.
//!
//! Tools are looked for on the `PATH`, and then in `target/tools/bin`, where `tests/run` puts what it installs. The packages of
//! JavaScript are those of `jobs/node_modules`, if they are there. What is nowhere is installed as the README says.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use soloist_tests::binary::soloist;
use tempfile::TempDir;

/// Seconds that a command may take: a standard library may have to be built, on a machine with other work.
const PATIENCE: &str = "1800";

/// A service that a job can ask.
struct Service {
    origin: String,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Service {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("a bound port"));
        let (status, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
        let answers = (Arc::clone(&status), Arc::clone(&asked));
        let router = Router::new().fallback(move || {
            let (status, asked) = answers.clone();
            async move {
                asked.fetch_add(1, Ordering::SeqCst);
                let status = StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap_or_default();
                (status, "hello")
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { origin, status, asked }
    }
}

/// A project that was made by `soloist job new`.
struct Project {
    _directory: TempDir,
    folder: PathBuf,
    path: String,
    readme: String,
}

impl Project {
    fn new(language: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("language-").tempdir().expect("a directory");
        let program = soloist();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = format!(
            "{}:{}:{}",
            program.parent().expect("a folder").display(),
            std::env::var("PATH").expect("a path"),
            root.join("target/tools/bin").display()
        );
        let name = format!("first-{language}");
        let folder = directory.path().join(&name);
        let mut project = Self { _directory: directory, folder: PathBuf::new(), path, readme: String::new() };
        let parent = folder.parent().expect("a folder").to_owned();
        project.expect(&project.run_in(&parent, &format!("soloist job new {name} --lang {language}")));
        project.readme = std::fs::read_to_string(folder.join("README.md")).expect("the README");
        project.folder = folder;
        // Python's package of Zig calls it otherwise.
        if language == "zig" && !project.run("command -v zig").status.success() {
            let tools = project.folder.parent().expect("a folder").join("bin");
            std::fs::create_dir(&tools).expect("the folder");
            std::fs::write(tools.join("zig"), "#!/bin/sh\nexec python-zig \"$@\"\n").expect("the file");
            std::fs::set_permissions(tools.join("zig"), PermissionsExt::from_mode(0o755)).expect("the rights");
            project.path = format!("{}:{}", tools.display(), project.path);
        }
        let modules = root.join("jobs/node_modules").canonicalize();
        if let Ok(modules) = modules
            && modules.join("@bytecodealliance/componentize-js").is_dir()
            && project.command("npm install").is_some()
        {
            std::os::unix::fs::symlink(modules, project.folder.join("node_modules")).expect("the packages");
        }
        project
    }

    /// A command of the README that begins so.
    fn command(&self, start: &str) -> Option<String> {
        let lines = self.readme.lines().filter_map(|line| line.strip_prefix("    "));
        let commands = lines.map(|line| line.split('#').next().unwrap_or_default().trim());
        commands.into_iter().find(|command| command.starts_with(start)).map(str::to_owned)
    }

    /// What must be done once, where it is not done already.
    fn set_up(&self) {
        let npm = self.command("npm install").filter(|_| !self.folder.join("node_modules").exists());
        let venv = self.command("python3 -m venv").filter(|_| !self.run("command -v componentize-py").status.success());
        for command in [npm, venv].into_iter().flatten() {
            self.expect(&self.run(&command));
        }
    }

    fn run(&self, command: &str) -> Output {
        self.run_in(&self.folder, command)
    }

    fn run_in(&self, folder: &Path, command: &str) -> Output {
        let mut child = Command::new("timeout");
        for (name, _) in std::env::vars_os() {
            // What Cargo tells its tests is no business of another Cargo; the user's own settings are.
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("SOLOIST_") || name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
                child.env_remove(name);
            }
        }
        child.args([PATIENCE, "sh", "-c", command]).env("PATH", &self.path).current_dir(folder).stdin(Stdio::null());
        child.output().expect("a shell")
    }

    /// Panics with all that was said if a command failed.
    fn expect(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{} in {}:\n{all}", output.status, self.folder.display());
        text(&output.stdout)
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).expect("the file");
        assert!(text.contains(from), "`{file}` has `{from}`");
        std::fs::write(&path, text.replace(from, to)).expect("the file");
    }
}

/// The README's commands, on a service of our own in place of its example; then the project's tests, and that they can fail.
async fn check(language: &'static str, test: &'static str, source: &'static str, phrase: &'static str) {
    let service = Service::start().await;
    let origin = service.origin.clone();
    let (status, asked) = (Arc::clone(&service.status), Arc::clone(&service.asked));
    let work = move || {
        let project = Project::new(language);
        project.set_up();
        let build = project.command("soloist job build").expect("how it is built");
        let shown = project.expect(&project.run(&build));
        assert!(shown.contains("sha256:") && shown.contains("http = ["), "{shown}");
        assert!(project.folder.join(format!("first-{language}.wasm")).is_file());

        project.edit("soloist.toml", "https://example.com", &origin);
        let run = project.command("soloist job run").expect("how it is run");
        let summary = project.expect(&project.run(&run));
        assert_eq!(summary, format!("{origin}/ answered 200 with 5 bytes\n"));
        assert_eq!(asked.load(Ordering::SeqCst), 1);

        status.store(503, Ordering::SeqCst);
        let module = format!("soloist job run first-{language}.wasm --config soloist.toml");
        let output = project.run(&module);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("failed with `retry`: {origin}/ answered 503")), "{said}");
        let output = project.run(&format!("soloist job run first-{language}.wasm --set url={origin}/"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("grant"), "{said}");

        let test = project.command(test).expect("how it is tested");
        project.expect(&project.run(&test));
        project.edit(source, phrase, &phrase.replace("answered", "spoke"));
        assert!(!project.run(&test).status.success(), "the project's test finds no mistake");
    };
    tokio::task::spawn_blocking(work).await.expect("the project does what its README says");
}

macro_rules! languages {
    ($($name:ident: $language:literal, $test:literal, $source:literal, $text:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs the tools of the language"]
        async fn $name() {
            check($language, $test, $source, $text).await;
        }
    )*};
}

languages! {
    rust: "rust", "cargo test", "src/lib.rs", "{url} answered {}";
    javascript: "javascript", "npm test", "src/check.js", "} answered $";
    typescript: "typescript", "npm test", "src/check.ts", "} answered $";
    python: "python", "python3 -m unittest", "check.py", "} answered {";
    go: "go", "go test", "check/check.go", "%s answered %d";
    c: "c", "make test", "src/job.c", "%.*s answered %u";
    zig: "zig", "zig build test", "src/check.zig", "{s} answered {d}";
}
