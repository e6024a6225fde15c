//! `soloist seal`: makes the key that a job's record is sealed with.

use std::path::PathBuf;
use std::process::ExitCode;

use rand::RngCore as _;
use zeroize::Zeroizing;

use super::{keyfile, output};
use crate::round::{KEY_BYTES, SealKey};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a new key, for `keys` in `[seal]`.
    Key(KeyArgs),
}

/// Where to write it.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// A new file for the key, readable by its owner only [default: print it].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// The key cannot be written.
pub fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let Command::Key(args) = command;
    let mut secret = Zeroizing::new([0; KEY_BYTES]);
    rand::rng().fill_bytes(secret.as_mut());
    let text = SealKey::text(&secret);
    match &args.out {
        None => output::data(text.as_str()),
        Some(path) => {
            keyfile::write(path, &text)?;
            tracing::info!(id = SealKey::new(&secret).id(), "wrote a new key to {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
