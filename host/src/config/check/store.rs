//! Checks `[store]` and `[compiler]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::within;
use crate::config::error::{Problem, invalid};
use crate::config::{Size, Store, raw};
use crate::module::{DEFAULT_SIZE, MIN_SIZE};
use crate::runtime::CompileLimits;

/// What a compiler may be given at least and at most, in bytes.
const MEMORY: std::ops::RangeInclusive<u64> = 64 << 20..=64 << 30;

pub(in crate::config) fn store(raw: raw::Store, base: &Path) -> Result<Store, Problem> {
    let size = raw.size.map_or(DEFAULT_SIZE, |Size(bytes)| bytes);
    if size < MIN_SIZE {
        return Err(invalid("[store] size", format!("{size} bytes are less than 16MiB")));
    }
    let path = raw.path.map(|path| base.join(path)).or_else(|| default_path(|name| std::env::var_os(name)));
    Ok(Store { path, size })
}

/// Where a service's manager says, or where programs of this user keep what can be made anew.
fn default_path(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let folder = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd's `CacheDirectory=`, and the XDG Base Directory Specification.
    folder("CACHE_DIRECTORY")
        .or_else(|| folder("XDG_CACHE_HOME").map(|path| path.join("soloist")))
        .or_else(|| folder("HOME").map(|path| path.join(".cache/soloist")))
}

pub(in crate::config) fn compiler(raw: &raw::Compiler) -> Result<CompileLimits, Problem> {
    let default = CompileLimits::default();
    let memory = raw.memory.map_or(default.memory, |Size(bytes)| bytes);
    if !MEMORY.contains(&memory) {
        return Err(invalid("[compiler] memory", format!("{memory} bytes are not from 64MiB to 64GiB")));
    }
    let time = raw.time.map_or(default.time, |span| span.0);
    within("[compiler] time", time, Duration::from_secs(1), Duration::from_secs(3600))?;
    Ok(CompileLimits { memory, time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_where_a_user_expects_it() {
        let path = |set: &[(&str, &str)]| {
            let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
            default_path(variable).map(|path| path.display().to_string())
        };
        let home = ("HOME", "/home/me");
        assert_eq!(path(&[home]).as_deref(), Some("/home/me/.cache/soloist"));
        assert_eq!(path(&[home, ("XDG_CACHE_HOME", "/x")]).as_deref(), Some("/x/soloist"));
        assert_eq!(path(&[home, ("XDG_CACHE_HOME", "relative")]).as_deref(), Some("/home/me/.cache/soloist"));
        assert_eq!(path(&[home, ("CACHE_DIRECTORY", "/var/cache/soloist")]).as_deref(), Some("/var/cache/soloist"));
        assert_eq!(path(&[]), None);
    }
}
