//! What to try after an error: one place that knows the errors of every boundary.

use std::error::Error;

use crate::agent::StartError;
use crate::arbiter;
use crate::capability::{SecretError, ServicesError, http::ClientError};
use crate::config::ConfigError;
use crate::module::Unavailable;
use crate::runtime::LoadError;

/// What to try after this error, its causes left aside; none where there is nothing better than its message.
pub(super) fn of(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<LoadError>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<Unavailable>() {
        return error.hint().map(str::to_owned);
    }
    if let Some(arbiter::Error::Unreachable { place, .. }) = error.downcast_ref() {
        return Some(unreachable(place));
    }
    if let Some(StartError::Server { .. }) = error.downcast_ref() {
        return Some("check `server` in `[arbiter]`, or write its address: \"192.0.2.1:53\"".to_owned());
    }
    if let Some(StartError::Metrics { .. }) = error.downcast_ref() {
        return Some(
            "another agent may listen there: `metrics` in `[agent]` names an address of this machine and a free port"
                .to_owned(),
        );
    }
    match error.downcast_ref()? {
        ServicesError::Secret(error) => secret(error),
        ServicesError::Client(ClientError::File { .. } | ClientError::Certificates { .. }) => {
            Some("`ca-file` in `[http]` names a PEM file, relative to the configuration's folder".to_owned())
        }
        ServicesError::Client(ClientError::Client(_)) => None,
    }
}

fn unreachable(place: &str) -> String {
    match place.rsplit_once(':') {
        Some((host, port)) => format!(
            "check `server` in `[arbiter]`, and that it answers over TCP: `dig +tcp @{} -p {port} . SOA`",
            host.trim_start_matches('[').trim_end_matches(']')
        ),
        None => "check `server` in `[arbiter]`".to_owned(),
    }
}

fn secret(error: &SecretError) -> Option<String> {
    match error {
        SecretError::File { .. } => {
            Some("a secret's file is relative to the configuration's folder, and readable by this user".to_owned())
        }
        SecretError::Environment { variable, .. } => {
            Some(format!("set it where the agent starts: `export {variable}=…`"))
        }
        SecretError::Unusable { .. } => None,
    }
}
