//! The program `soloist`: parses the command line and calls.

use std::process::ExitCode;

use soloist::cli::{Cli, dumps, log, output};

fn main() -> ExitCode {
    let cli = match Cli::from_arguments() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let format = cli.log_format;
    dumps::switch_off();
    let done = log::start(format).and_then(|()| match cli.alone() {
        Some(done) => done,
        None => tokio::runtime::Runtime::new()?.block_on(cli.execute()),
    });
    done.unwrap_or_else(|error| {
        output::print_error(&error, format);
        ExitCode::from(2)
    })
}
