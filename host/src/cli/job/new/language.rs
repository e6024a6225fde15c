//! The languages that a project can be in, and what is particular to each.

use clap::ValueEnum;
use serde::Deserialize;

/// A language that jobs are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli::job) enum Language {
    Rust,
    #[value(alias = "js")]
    Javascript,
    #[value(alias = "ts")]
    Typescript,
    Python,
    Go,
    C,
    Zig,
}

/// What the commands of a language are, with `{{…}}` where the project's names go.
pub(super) struct Facts {
    /// How its people write its name.
    pub(super) title: &'static str,
    /// Where to begin to read.
    pub(super) source: &'static str,
    /// What must be done once, before the first build; nothing where there is nothing.
    pub(super) setup: Option<&'static str>,
    /// The one command that builds.
    pub(super) build: &'static [&'static str],
    /// What that command makes.
    pub(super) output: &'static str,
    /// The command that runs the project's tests.
    pub(super) test: &'static str,
    /// How another interface comes in.
    pub(super) interfaces: &'static str,
}

/// The tools of JavaScript and Python import all that the world names.
const NAMED: &str = "\
To use another interface of `wit/deps/soloist-job`, add its `import` to `wit/project.wit`, and its grant to the configuration.";

/// The others import what is used.
const USED: &str = "\
Every interface of `wit/` is there to be used; each but the ones that every job may needs its grant in the configuration.";

impl Language {
    /// Its name on the command line and in `job.toml`.
    pub(in crate::cli::job) const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
            Self::Zig => "zig",
        }
    }

    pub(super) const fn facts(self) -> Facts {
        match self {
            Self::Rust => RUST,
            Self::Javascript => JAVASCRIPT,
            Self::Typescript => TYPESCRIPT,
            Self::Python => PYTHON,
            Self::Go => GO,
            Self::C => C,
            Self::Zig => ZIG,
        }
    }
}

const RUST: Facts = Facts {
    title: "Rust",
    source: "src/lib.rs",
    setup: None,
    build: &["cargo", "build", "--release", "--target", "wasm32-wasip2"],
    output: "target/wasm32-wasip2/release/{{crate}}.wasm",
    test: "cargo test",
    interfaces: "`sdk/` is the crate `soloist-sdk` of the `soloist` that made this project; `cargo doc --open` shows what it has.",
};

const JAVASCRIPT: Facts = Facts {
    title: "JavaScript",
    source: "src/job.js",
    setup: Some("npm install"),
    build: &["npm", "run", "build"],
    output: "build/{{name}}.wasm",
    test: "npm test",
    interfaces: NAMED,
};

const TYPESCRIPT: Facts = Facts { title: "TypeScript", source: "src/job.ts", ..JAVASCRIPT };

const PYTHON: Facts = Facts {
    title: "Python",
    source: "app.py",
    setup: Some("python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1"),
    build: &["componentize-py", "-d", "wit", "-w", "project", "componentize", "app", "-o", "build/{{name}}.wasm"],
    output: "build/{{name}}.wasm",
    test: "python3 -m unittest",
    interfaces: NAMED,
};

const GO: Facts = Facts {
    title: "Go",
    source: "main.go",
    setup: None,
    // The bindings link to a function of Go's run time, which Go allows with a word only.
    build: &[
        "env",
        "GOOS=wasip1",
        "GOARCH=wasm",
        "go",
        "build",
        "-buildmode=c-shared",
        "-ldflags=-checklinkname=0",
        "-o",
        "build/{{name}}.wasm",
        ".",
    ],
    output: "build/{{name}}.wasm",
    test: "go test ./...",
    interfaces: USED,
};

const C: Facts = Facts {
    title: "C",
    source: "src/job.c",
    setup: None,
    build: &["make"],
    output: "build/{{name}}.wasm",
    test: "make test",
    interfaces: USED,
};

const ZIG: Facts = Facts {
    title: "Zig",
    source: "src/job.zig",
    setup: None,
    build: &["zig", "build"],
    output: "zig-out/bin/{{name}}.wasm",
    test: "zig build test",
    interfaces: "\
`src/soloist.zig` has the functions of the host that this job uses; each other of `wit/` is a few lines more. With Zig from `pip
install ziglang`, `zig` is `python-zig`.",
};
