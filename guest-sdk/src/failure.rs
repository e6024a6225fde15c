//! Why a run failed, and whether trying again can help.

use std::error::Error;
use std::fmt::{self, Display};

use crate::__bindings::soloist::job::types;
use crate::{config, dns, dns_update, http, metric, secrets, slack, state};

/// Why a run failed. The text goes to the agent's log.
///
/// `?` makes one of any error. The errors of this crate know whether another attempt can help: a time-out may, a missing
/// grant may not. Any other error is worth another attempt, since a final one loses the round; say otherwise with
/// `map_err`:
///
/// ```
/// use soloist_sdk::Failure;
///
/// fn limit(text: &str) -> Result<u32, Failure> {
///     text.parse().map_err(Failure::final_)
/// }
/// assert!(matches!(limit("ten"), Err(Failure::Final(_))));
/// ```
///
/// It is deliberately no [`Error`] itself: that is what lets every error become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Worth another attempt, by any agent, after the configured backoff.
    Retry(String),
    /// No further attempt in this round can help.
    Final(String),
}

impl Failure {
    /// A failure that is worth another attempt.
    pub fn retry(reason: impl Display) -> Self {
        Self::Retry(reason.to_string())
    }

    /// A failure that no further attempt in this round can help.
    pub fn final_(reason: impl Display) -> Self {
        Self::Final(reason.to_string())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Retry(reason) | Self::Final(reason)) = self;
        f.write_str(reason)
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut is_hopeless = is_final(&error);
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            is_hopeless |= is_final(error);
            cause = error.source();
        }
        if is_hopeless { Self::Final(reason) } else { Self::Retry(reason) }
    }
}

/// Whether this error of ours says that no further attempt can help.
fn is_final(error: &(dyn Error + 'static)) -> bool {
    fn asked<E: Error + 'static>(error: &(dyn Error + 'static), is_retryable: fn(&E) -> bool) -> bool {
        error.downcast_ref().is_some_and(|error| !is_retryable(error))
    }
    asked(error, http::Error::is_retryable)
        || asked(error, slack::Error::is_retryable)
        || asked(error, dns::Error::is_retryable)
        || asked(error, dns_update::Error::is_retryable)
        || error.is::<config::Error>()
        || error.is::<metric::Error>()
        || error.is::<secrets::Error>()
        || error.is::<state::Error>()
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Retry(reason) => Self::Retry(reason),
            Failure::Final(reason) => Self::Final(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_is_worth_another_attempt() {
        assert_eq!(Failure::from(http::Error::Timeout), Failure::retry("no complete answer in time"));
    }

    #[test]
    fn a_missing_grant_is_final() {
        assert!(matches!(Failure::from(http::Error::Denied("no".to_owned())), Failure::Final(_)));
        assert!(matches!(Failure::from(slack::Error::Denied("no".to_owned())), Failure::Final(_)));
        assert!(matches!(Failure::from(dns::Error::Denied("no".to_owned())), Failure::Final(_)));
        assert!(matches!(Failure::from(dns_update::Error::Refused("no".to_owned())), Failure::Final(_)));
        assert!(matches!(Failure::from(secrets::Error::Denied("no".to_owned())), Failure::Final(_)));
    }

    #[test]
    fn an_error_of_others_is_worth_another_attempt() {
        let error = "ten".parse::<u32>().expect_err("no number");
        assert_eq!(Failure::from(error), Failure::retry("invalid digit found in string"));
    }

    #[test]
    fn an_error_tells_its_causes_and_is_judged_by_them() {
        #[derive(Debug)]
        struct Outer(http::Error);
        impl Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("cannot ask")
            }
        }
        impl Error for Outer {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&self.0)
            }
        }
        let failure = Failure::from(Outer(http::Error::Denied("add a grant".to_owned())));
        assert_eq!(failure, Failure::final_("cannot ask: the grants do not allow it: add a grant"));
    }
}
