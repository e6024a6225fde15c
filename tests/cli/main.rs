//! The command line as a user meets it: what stands on stdout and stderr, hints and exit codes, pinned as transcripts.
#![cfg(unix)]

mod check;
mod config;
mod help;
mod init;
mod job;
mod output;
mod powerdns;
mod project;
mod schedule;
mod seal;
mod shell;
mod signals;
mod status;
mod steer;
mod watch;
