//! Figures that the agent exports beside its own, marked with the job. Granted to every job.
//!
//! ```no_run
//! use soloist_sdk::{Failure, metric};
//!
//! fn tell() -> Result<(), Failure> {
//!     metric::counter("errors").label("kind", "timeout").add(1.0)?;
//!     metric::gauge("queue_length").set(17.0)?;
//!     Ok(())
//! }
//! ```
//!
//! These are exported as `soloist_job_errors_total` and `soloist_job_queue_length`. A job has at most 100 series.

use std::fmt;

use crate::host::metric as host;

/// A figure that only rises.
pub fn counter(name: impl Into<String>) -> Counter {
    Counter { name: name.into(), labels: Vec::new() }
}

/// A figure that rises and falls.
pub fn gauge(name: impl Into<String>) -> Gauge {
    Gauge { name: name.into(), labels: Vec::new() }
}

/// A figure that only rises; [`Counter::add`] adds to it.
#[derive(Debug, Clone)]
#[must_use = "a counter counts nothing until it is added to"]
pub struct Counter {
    name: String,
    labels: Vec<(String, String)>,
}

impl Counter {
    /// Gives it a label; at most 8.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Adds to it.
    ///
    /// # Errors
    /// The figure was not taken: see [`Error`].
    pub fn add(&self, by: f64) -> Result<(), Error> {
        Ok(host::count(&self.name, by, &self.labels)?)
    }
}

/// A figure that rises and falls; [`Gauge::set`] sets it.
#[derive(Debug, Clone)]
#[must_use = "a gauge shows nothing until it is set"]
pub struct Gauge {
    name: String,
    labels: Vec<(String, String)>,
}

impl Gauge {
    /// Gives it a label; at most 8.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Sets it.
    ///
    /// # Errors
    /// The figure was not taken: see [`Error`].
    pub fn set(&self, value: f64) -> Result<(), Error> {
        Ok(host::gauge(&self.name, value, &self.labels)?)
    }
}

/// Why a figure was not taken. No further attempt can help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The name or a label is none that Prometheus allows, the number is not finite, or a counter was to fall.
    Invalid(String),
    /// The job has its 100 series, or the name is already of the other kind.
    Refused(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Invalid(reason) | Self::Refused(reason)) = self;
        write!(f, "the figure was not taken: {reason}")
    }
}

impl std::error::Error for Error {}

impl From<host::Error> for Error {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Invalid(reason) => Self::Invalid(reason),
            host::Error::Refused(reason) => Self::Refused(reason),
        }
    }
}
