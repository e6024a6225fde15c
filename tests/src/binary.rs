//! Where the program under test is: the `soloist` that the same build made.

use std::path::PathBuf;

/// The path of the `soloist` binary beside this test's own executable.
///
/// # Panics
/// It was not built: cargo builds a program for the tests of its own package only.
pub fn soloist() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/debug/deps/NAME-HASH
    let dir = test.ancestors().nth(2).expect("a test lies two directories below the build's");
    let path = dir.join(format!("soloist{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "`{}` is not there: `cargo build --workspace` makes it", path.display());
    path
}
