//! The figures of all jobs, bounded for each, and as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::runtime::clean;

/// The most series of a job: names with their labels.
pub const MAX_SERIES: usize = 100;
/// The longest name of a figure or a label, in characters.
pub const MAX_NAME: usize = 64;
/// The most labels of a figure, beside `job`.
pub const MAX_LABELS: usize = 8;
/// The longest value of a label, in bytes.
pub const MAX_LABEL_VALUE: usize = 128;

/// What every name is exported behind, beside the agent's own prefix.
const PREFIX: &str = "job_";

/// Endings that Prometheus gives a meaning: a figure that had one could be mistaken for a part of another.
const RESERVED_ENDINGS: [&str; 6] = ["_total", "_created", "_bucket", "_count", "_sum", "_info"];

/// The figures that the jobs of an agent export. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Figures(Arc<Mutex<BTreeMap<String, Family>>>);

/// Why a figure was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name, a label or the number is none that can be exported.
    #[error("{0}")]
    Invalid(String),
    /// The job has as many series as it may, or the name is of the other kind.
    #[error("{0}")]
    Refused(String),
}

/// All series of a name.
#[derive(Debug)]
struct Family {
    kind: Kind,
    series: BTreeMap<Labels, f64>,
}

/// The job first, then what the job itself says, in the order of the names.
type Labels = Vec<(String, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        })
    }
}

impl Figures {
    /// Adds to a counter of a job.
    ///
    /// # Errors
    /// The name, a label or the number cannot be exported, or the job has no series left.
    pub fn count(&self, job: &str, name: &str, by: f64, labels: Labels) -> Result<(), Error> {
        if by < 0.0 {
            return Err(Error::Invalid(format!("the counter `{}` never falls, and {by} was to be added", shown(name))));
        }
        self.change(job, name, Kind::Counter, labels, |value| value + by)
    }

    /// Sets a gauge of a job.
    ///
    /// # Errors
    /// The name, a label or the number cannot be exported, or the job has no series left.
    pub fn gauge(&self, job: &str, name: &str, value: f64, labels: Labels) -> Result<(), Error> {
        self.change(job, name, Kind::Gauge, labels, |_| value)
    }

    /// Forgets the figures of all jobs but those that are kept: for a configuration that has changed.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.families().retain(|_, family| {
            family.series.retain(|labels, _| labels.first().is_some_and(|(_, job)| keep(job)));
            !family.series.is_empty()
        });
    }

    /// The figures as the agent exports them: the text of `OpenMetrics`.
    pub fn text(&self) -> String {
        let mut registry = Registry::with_prefix("soloist");
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing to a string does not fail.
        encode(&mut text, &registry).map_or_else(|_| String::new(), |()| text)
    }

    fn change(
        &self,
        job: &str,
        name: &str,
        kind: Kind,
        labels: Labels,
        change: impl FnOnce(f64) -> f64,
    ) -> Result<(), Error> {
        check_name(name)?;
        let labels = checked(job, labels)?;
        let mut families = self.families();
        let known = families.get(name);
        if let Some(family) = known.filter(|family| family.kind != kind) {
            return Err(Error::Refused(format!("`{name}` is a {} already", family.kind)));
        }
        let old = known.and_then(|family| family.series.get(&labels)).copied();
        let new = change(old.unwrap_or_default());
        if !new.is_finite() {
            return Err(Error::Invalid(format!("`{name}` would be {new}, and only finite numbers are exported")));
        }
        if old.is_none() && held(&families, job) >= MAX_SERIES {
            return Err(Error::Refused(format!("job `{job}` has its {MAX_SERIES} series already")));
        }
        let family = families.entry(name.to_owned()).or_insert_with(|| Family { kind, series: BTreeMap::new() });
        family.series.insert(labels, new);
        Ok(())
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many series a job has.
fn held(families: &BTreeMap<String, Family>, job: &str) -> usize {
    let of_job = |labels: &&Labels| labels.first().is_some_and(|(_, value)| value == job);
    families.values().map(|family| family.series.keys().filter(of_job).count()).sum()
}

fn check_name(name: &str) -> Result<(), Error> {
    if !is_name(name) {
        return Err(Error::Invalid(format!("`{}` is no name of a figure: it has {NAME}", shown(name))));
    }
    match RESERVED_ENDINGS.iter().find(|ending| name.ends_with(**ending)) {
        Some(&ending) => Err(Error::Invalid(format!(
            "`{name}` ends with `{ending}`, which Prometheus gives a meaning: leave it out (a counter is exported with \
             `_total` at its end)"
        ))),
        None => Ok(()),
    }
}

/// The labels as they are exported.
fn checked(job: &str, mut labels: Labels) -> Result<Labels, Error> {
    if labels.len() > MAX_LABELS {
        return Err(Error::Invalid(format!("{} labels: a figure has at most {MAX_LABELS}", labels.len())));
    }
    labels.sort();
    for (index, (name, value)) in labels.iter().enumerate() {
        let reason = if !is_name(name) {
            format!("`{}` is no name of a label: it has {NAME}", shown(name))
        } else if name.starts_with("__") {
            format!("the label `{name}` begins with `__`, which Prometheus keeps for itself")
        } else if name == "job" {
            "the label `job` is the host's: leave it out".to_owned()
        } else if index > 0 && labels[index - 1].0 == *name {
            format!("the label `{name}` is there twice")
        } else if value.len() > MAX_LABEL_VALUE {
            format!("the label `{name}` has a value of {} bytes: at most {MAX_LABEL_VALUE}", value.len())
        } else {
            continue;
        };
        return Err(Error::Invalid(reason));
    }
    labels.insert(0, ("job".to_owned(), job.to_owned()));
    Ok(labels)
}

/// What a name has, in words.
const NAME: &str = "1 to 64 characters of `a-z`, `0-9` and `_`, and does not begin with a digit";

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// A name that may be none, as an error shows it.
fn shown(name: &str) -> String {
    clean(name, MAX_NAME)
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, family) in self.families().iter() {
            let (kind, help) = match family.kind {
                Kind::Counter => (MetricType::Counter, "Counted by jobs"),
                Kind::Gauge => (MetricType::Gauge, "Set by jobs"),
            };
            let name = format!("{PREFIX}{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, kind)?;
            for (labels, value) in &family.series {
                let series = metric.encode_family(labels)?;
                match family.kind {
                    Kind::Counter => ConstCounter::new(*value).encode(series)?,
                    Kind::Gauge => ConstGauge::new(*value).encode(series)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn figures_stand_under_their_job_and_labels() {
        let figures = Figures::default();
        figures.count("canary", "errors", 1.0, labels(&[])).unwrap();
        figures.count("canary", "errors", 1.5, labels(&[])).unwrap();
        figures.count("canary", "errors", 1.0, labels(&[("zone", "b"), ("host", "a\"b\n")])).unwrap();
        figures.count("canary", "errors", 1.0, labels(&[("host", "a\"b\n"), ("zone", "b")])).unwrap();
        figures.gauge("other", "queue", 7.0, labels(&[])).unwrap();
        figures.gauge("other", "queue", -2.0, labels(&[])).unwrap();
        let expected = "# HELP soloist_job_errors Counted by jobs\n# TYPE soloist_job_errors counter\n\
                        soloist_job_errors_total{job=\"canary\"} 2.5\n\
                        soloist_job_errors_total{job=\"canary\",host=\"a\\\"b\\n\",zone=\"b\"} 2.0\n\
                        # HELP soloist_job_queue Set by jobs\n# TYPE soloist_job_queue gauge\n\
                        soloist_job_queue{job=\"other\"} -2.0\n# EOF\n";
        assert_eq!(figures.text().replace("jobs.\n", "jobs\n"), expected);
    }

    #[test]
    fn what_cannot_be_exported_is_said() {
        let figures = Figures::default();
        let long = "x".repeat(MAX_NAME + 1);
        for (name, word) in [
            ("", "no name"),
            ("Errors", "`Errors`"),
            ("1st", "digit"),
            ("a-b", "no name"),
            ("a\nb", "no name"),
            (&long, "no name"),
            ("errors_total", "`_total`"),
            ("errors_created", "`_created`"),
        ] {
            let error = figures.count("canary", name, 1.0, labels(&[])).unwrap_err();
            assert!(matches!(&error, Error::Invalid(reason) if reason.contains(word)), "{name}: {error}");
        }
        let value = "v".repeat(MAX_LABEL_VALUE + 1);
        let many: Vec<String> = (0..=MAX_LABELS).map(|index| format!("l{index}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
        for (pairs, word) in [
            (&[("job", "x")][..], "the host's"),
            (&[("a", "1"), ("a", "2")], "twice"),
            (&[("__name__", "x")], "`__`"),
            (&[("A", "x")], "no name"),
            (&[("a", &value)], "129 bytes"),
            (&many, "9 labels"),
        ] {
            let error = figures.gauge("canary", "a", 1.0, labels(pairs)).unwrap_err();
            assert!(error.to_string().contains(word), "{pairs:?}: {error}");
        }
        for number in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(figures.count("canary", "a", number, labels(&[])), Err(Error::Invalid(_))), "{number}");
        }
        assert!(matches!(figures.gauge("canary", "a", f64::NEG_INFINITY, labels(&[])), Err(Error::Invalid(_))));
        figures.count("canary", "most", f64::MAX, labels(&[])).unwrap();
        assert!(matches!(figures.count("canary", "most", f64::MAX, labels(&[])), Err(Error::Invalid(_))));
        assert_eq!(figures.text().lines().filter(|line| !line.starts_with('#')).count(), 1);
    }

    #[test]
    fn a_name_is_of_one_kind_for_all_jobs() {
        let figures = Figures::default();
        figures.count("canary", "a", 1.0, labels(&[])).unwrap();
        let error = figures.gauge("other", "a", 1.0, labels(&[])).unwrap_err();
        assert_eq!(error, Error::Refused("`a` is a counter already".to_owned()));
    }

    #[test]
    fn a_job_has_so_many_series_and_takes_none_from_others() {
        let figures = Figures::default();
        for index in 0..MAX_SERIES {
            figures.gauge("canary", "a", 1.0, labels(&[("index", &index.to_string())])).unwrap();
        }
        assert!(matches!(figures.gauge("canary", "a", 1.0, labels(&[])), Err(Error::Refused(_))));
        assert!(matches!(figures.count("canary", "b", 1.0, labels(&[])), Err(Error::Refused(_))));
        figures.gauge("canary", "a", 2.0, labels(&[("index", "0")])).unwrap();
        figures.gauge("other", "a", 1.0, labels(&[])).unwrap();
    }

    #[test]
    fn a_job_that_is_gone_is_forgotten() {
        let figures = Figures::default();
        figures.count("canary", "a", 1.0, labels(&[])).unwrap();
        figures.gauge("other", "b", 1.0, labels(&[])).unwrap();
        figures.retain(|job| job == "other");
        assert!(!figures.text().contains("canary"));
        figures.gauge("other", "a", 1.0, labels(&[])).unwrap();
    }
}
