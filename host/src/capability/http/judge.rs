//! What errors become for a job: no secret is in them, and what was denied is counted and logged.

use std::sync::Arc;

use tracing::Level;

use super::client::text;
use super::gate::Error;
use super::upload::Broken;
use crate::capability::Services;
use crate::capability::secrets::Vault;
use crate::runtime::Facts;

/// What errors become for the job: without secrets, and counted where something was denied.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) services: Services,
    pub(super) facts: Arc<Facts>,
    pub(super) vault: Arc<Vault>,
    pub(super) broken: Broken,
}

impl Judge {
    /// Counts and logs what was denied, and lets no secret out with an error.
    pub(super) fn watched<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(Error::Denied(reason)) => Error::Denied(self.vault.scrub_text(&reason)),
            Err(Error::Invalid(reason)) => Error::Invalid(self.vault.scrub_text(&reason)),
            Err(Error::TooLarge(reason)) => Error::TooLarge(self.vault.scrub_text(&reason)),
            Err(Error::Failed(reason)) => Error::Failed(self.vault.scrub_text(&reason)),
            Err(error @ (Error::Lost(_) | Error::Timeout)) => error,
        };
        if let Error::Denied(reason) = &error {
            self.services.count_denied(&self.facts.job, "http");
            self.facts.log.line(Level::WARN, &format!("a request was denied: {reason}"));
        }
        Err(error)
    }

    /// What an error in the middle of a response's body means.
    pub(super) fn body(&self, error: &reqwest::Error) -> Error {
        let error = match self.broken.get() {
            Some(broken) => broken.clone(),
            None if error.is_timeout() => Error::Timeout,
            None => Error::Failed(format!("the body: {}", text(error))),
        };
        match self.watched::<()>(Err(error)) {
            Err(error) => error,
            Ok(()) => Error::Timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::capability::http::Grant;
    use crate::capability::secrets::Bound;
    use crate::capability::{Secret, ServicesConfig};

    #[test]
    fn no_error_holds_a_secret_whatever_it_is_about() {
        let origins = Grant::of(["https://api.example.com"]).unwrap();
        let bound = Bound { name: "token".to_owned(), secret: Secret::new("geheim-und-lang"), origins };
        let judge = Judge {
            services: Services::new(&ServicesConfig::default(), Path::new("")).unwrap(),
            facts: Arc::new(Facts::of_any_run()),
            vault: Arc::new(Vault::new([bound])),
            broken: Broken::default(),
        };
        for error in [Error::Denied, Error::Invalid, Error::TooLarge, Error::Failed] {
            let error = judge.watched::<()>(Err(error("of `geheim-und-lang.example`".to_owned()))).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("of `soloist-secret-") && text.ends_with(".example`"), "{text}");
        }
    }
}
