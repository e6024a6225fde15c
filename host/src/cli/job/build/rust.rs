//! Rust for `wasm32-wasip2`: rustup's with the target, or Debian's, with which the standard library is built as well.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::anyhow;

use super::tools::{Tools, is_program, which};
use crate::cli::output::WithHint as _;

const TARGET: &str = "wasm32-wasip2";

/// How it is got.
pub(super) const HINT: &str = "install Rust (https://rustup.rs), then: rustup target add wasm32-wasip2; or on Debian: apt-get \
                               install rustc-web cargo-web rust-web-src lld-22 wasi-libc";

/// Debian's compiler, and its C library for WASI.
const RUSTC: &str = "/usr/bin/rustc";
const LIBRARY: &str = "/usr/lib/wasm32-wasi";

/// What cargo is started with, so that it builds for the target.
///
/// # Errors
/// No compiler here can; with what is missing.
pub(super) fn find() -> anyhow::Result<Tools> {
    // The output lies where `job.toml` says.
    let unset = vec!["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];
    if has_target("rustc") {
        return Ok(Tools { unset, ..Tools::default() });
    }
    let path = vec![PathBuf::from("/usr/bin")];
    let set = vec![("RUSTC", OsString::from(RUSTC))];
    if is_program(Path::new(RUSTC)) && is_program(Path::new("/usr/bin/cargo")) {
        if has_target(RUSTC) {
            return Ok(Tools { path, set, unset, ..Tools::default() });
        }
        if let Some(more) = with_sources() {
            tracing::info!("with Debian's Rust; the standard library is built here too, which takes a while at first");
            let set = set.into_iter().chain(more).collect();
            // Either would replace the flags that are set.
            let unset = unset.into_iter().chain(["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]).collect();
            return Ok(Tools { path, set, unset, ..Tools::default() });
        }
    }
    Err(anyhow!("no Rust compiler here can build for {TARGET}")).hint(HINT)
}

/// What Debian's compiler needs to build its own standard library and to link with it; none if a part is missing.
fn with_sources() -> Option<Vec<(&'static str, OsString)>> {
    let sysroot = PathBuf::from(printed(RUSTC, &["--print", "sysroot"])?);
    let library = Path::new(LIBRARY);
    let has_sources = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
    if !has_sources || !library.join("libc.a").is_file() {
        return None;
    }
    // Debian has no wasm-component-ld; every toolchain of rustup's does, with the target or without.
    let folders = rustup_tools();
    let tool = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| is_program(path));
    let linker = tool("wasm-component-ld").or_else(|| which("wasm-component-ld"))?;
    let wasm_ld = which("wasm-ld-22").or_else(|| tool("gcc-ld/wasm-ld")).or_else(|| which("wasm-ld"))?;
    let flags = format!(
        "-Clink-self-contained=no -Lnative={LIBRARY} -Clink-arg={LIBRARY}/crt1-reactor.o -Clink-arg=--wasm-ld-path={}",
        wasm_ld.display()
    );
    Some(vec![
        // For an unstable option.
        ("RUSTC_BOOTSTRAP", "1".into()),
        ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort".into()),
        ("CARGO_TARGET_WASM32_WASIP2_LINKER", linker.into()),
        ("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", flags.into()),
    ])
}

/// The folders of tools in rustup's toolchains.
fn rustup_tools() -> Vec<PathBuf> {
    let Some(host) = printed(RUSTC, &["-vV"])
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned)))
    else {
        return Vec::new();
    };
    let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".rustup")));
    let toolchains = home.and_then(|home| fs::read_dir(home.join("toolchains")).ok());
    let sysroots = toolchains.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let current = printed("rustc", &["--print", "sysroot"]).map(PathBuf::from);
    current.into_iter().chain(sysroots).map(|sysroot| sysroot.join("lib/rustlib").join(&host).join("bin")).collect()
}

/// Whether a compiler has the standard library of the target.
fn has_target(rustc: &str) -> bool {
    let Some(folder) = printed(rustc, &["--print", "target-libdir", "--target", TARGET]) else { return false };
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// What a command prints, if it ends well.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
