//! Keys and signatures by Debian's `minisign`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// A key pair without a password.
#[derive(Debug)]
pub struct Minisign {
    home: TempDir,
    public: String,
}

impl Minisign {
    /// Makes one.
    ///
    /// # Errors
    /// The program is missing, or fails.
    pub fn new() -> Result<Self> {
        let home = tempfile::Builder::new().prefix("minisign-").tempdir()?;
        run(home.path(), &["-GW", "-p", "key.pub", "-s", "key"])?;
        let text = std::fs::read_to_string(home.path().join("key.pub"))?;
        let public = text.lines().nth(1).context("a public key has two lines")?.to_owned();
        Ok(Self { home, public })
    }

    /// The public key, as a configuration has it.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Signs these bytes; the trusted comment is `for the tests`.
    ///
    /// # Errors
    /// The program fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<String> {
        let file = tempfile::NamedTempFile::new_in(self.home.path())?;
        std::fs::write(file.path(), bytes)?;
        let name = file.path().display().to_string();
        run(self.home.path(), &["-S", "-s", "key", "-t", "for the tests", "-x", "signature", "-m", &name])?;
        Ok(std::fs::read_to_string(self.home.path().join("signature"))?)
    }
}

fn run(home: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("minisign");
    let output = command.args(arguments).current_dir(home).stdin(Stdio::null()).output();
    let output = output.context("`minisign` cannot be started")?;
    ensure!(output.status.success(), "minisign: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
