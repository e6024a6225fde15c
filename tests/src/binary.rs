//! The program under test: the `soloist` of these sources, never one of an earlier build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The path of the `soloist` binary beside this test's own executable.
///
/// # Panics
/// It cannot be built.
pub fn soloist() -> PathBuf {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(build);
    PROGRAM.clone()
}

/// The compiler that a process of the program has started, while it works (Linux).
///
/// # Panics
/// There is no `/proc`.
pub fn compiler_of(program: u32) -> Option<i32> {
    let processes =
        std::fs::read_dir("/proc").expect("Linux").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid: &i32| {
        let file = |name| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let parent = file("stat").rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parent == Some(program) && file("cmdline").split('\0').nth(1) == Some("compile")
    })
}

/// Cargo builds a program for the tests of its own package only, and these tests are another package.
fn build() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/debug/deps/NAME-HASH
    let directory = test.ancestors().nth(2).expect("a test lies two directories below the build's");
    // Not set where a test's executable is started by hand: then what is there has to do.
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        // As the tests are built, so that nothing is built twice.
        build.args(["build", "--quiet", "--workspace", "--bin", "soloist"]);
        // Cargo tells a test of its package. Build scripts that look at such a variable would run again, and all that follows.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_a_package(&name.to_string_lossy())) {
            build.env_remove(name);
        }
        if directory.ends_with("release") {
            build.arg("--release");
        }
        let output = build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).output().expect("cargo starts");
        assert!(output.status.success(), "`soloist` cannot be built: {}", String::from_utf8_lossy(&output.stderr));
    }
    let path = directory.join(format!("soloist{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "`{}` is not there: `cargo build --workspace` makes it", path.display());
    path
}

fn is_of_a_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|start| variable.starts_with(start))
}
