//! The probe: the module in `tests/guest`, built by `jobs/build`, in as many versions as a test wants.

use std::path::{Path, PathBuf};

/// What stands before the six digits of the version in the module's data.
const MARKER: &[u8] = b"SOLOIST-PROBE-VERSION:";

/// The built probe.
///
/// # Panics
/// It was not built.
pub fn path() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs/built/probe-rust.wasm");
    assert!(path.is_file(), "`{}` is not there: `jobs/build probe-rust` makes it", path.display());
    path
}

/// The probe's bytes, of this version: distinct modules that report their version.
///
/// # Panics
/// It was not built, or is no probe.
pub fn version(number: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(path()).expect("the probe can be read");
    let digits = format!("{number:06}");
    assert_eq!(digits.len(), 6, "a version has six digits");
    let found: Vec<usize> =
        bytes.windows(MARKER.len()).enumerate().filter(|(_, part)| *part == MARKER).map(|(at, _)| at).collect();
    let [at] = found[..] else { panic!("the probe holds {} versions", found.len()) };
    let at = at + MARKER.len();
    bytes[at..at + digits.len()].copy_from_slice(digits.as_bytes());
    bytes
}
