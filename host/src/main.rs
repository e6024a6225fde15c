//! The program `soloist`: parses the command line and calls.

use std::process::ExitCode;

use clap::Parser;
use soloist::cli::{Cli, output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::start_log(cli.log_format);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::print_error(&error.into());
            return ExitCode::from(2);
        }
    };
    runtime.block_on(cli.execute()).unwrap_or_else(|error| {
        output::print_error(&error);
        ExitCode::from(2)
    })
}
