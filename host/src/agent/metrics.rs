//! What an agent counts, as Prometheus reads it (the text of `OpenMetrics`): per job and per arbiter, no more series than the
//! configuration and the kinds of outcomes make, and no secret. Behind them the figures of the jobs, `soloist_job_…`: none of
//! the agent's own begins so.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::StartError;
use crate::arbiter::Arbiter;
use crate::arbiter::clock::Clock;
use crate::capability::{Denials, Services};
use crate::clock::wall_ms;
use crate::round::contender::{Event, Notice};
use crate::round::{Outcome, Replaced};

/// What the text is.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bounds of how late rounds are won, in seconds.
const LATE: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

type Labels<const N: usize> = [(&'static str, String); N];

/// The numbers of one agent.
pub(super) struct Metrics {
    registry: Registry,
    clocks: Mutex<Vec<Arc<Clock>>>,
    config_taken: Gauge,
    config_time: Gauge<f64, AtomicU64>,
    skew: Family<Labels<1>, Gauge<f64, AtomicU64>>,
    reads: Family<Labels<2>, Counter>,
    replacements: Family<Labels<2>, Counter>,
    won: Family<Labels<1>, Counter>,
    late: Family<Labels<1>, Histogram>,
    runs: Family<Labels<2>, Counter>,
    lost: Family<Labels<1>, Counter>,
    refused: Family<Labels<1>, Counter>,
    module: Family<Labels<2>, Gauge>,
    /// The module of each job, as it stands in `module`.
    held: Mutex<HashMap<String, String>>,
    denials: Denials,
}

impl Metrics {
    /// Nothing has happened yet. What has one series a job begins at 0, so that its first event is seen as a change.
    pub(super) fn new(services: &Services) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("soloist"),
            clocks: Mutex::default(),
            config_taken: Gauge::default(),
            config_time: Gauge::default(),
            skew: Family::default(),
            reads: Family::default(),
            replacements: Family::default(),
            won: Family::default(),
            late: Family::new_with_constructor(|| Histogram::new(LATE)),
            runs: Family::default(),
            lost: Family::default(),
            refused: Family::default(),
            module: Family::default(),
            held: Mutex::default(),
            denials: services.denials().clone(),
        };
        metrics.register();
        metrics.registry.register_collector(Box::new(services.figures().clone()));
        metrics.configured(true);
        metrics
    }

    /// A job begins, or goes on: what has one series a job begins at 0.
    pub(super) fn begin(&self, job: &str) {
        drop(self.won.get_or_create(&of(job)));
        drop(self.late.get_or_create(&of(job)));
        drop(self.lost.get_or_create(&of(job)));
        drop(self.refused.get_or_create(&of(job)));
    }

    /// The clocks of these arbiters are shown from now on, and no others.
    pub(super) fn keep_clocks<'a>(&self, arbiters: impl Iterator<Item = &'a Arc<dyn Arbiter>>) {
        let mut clocks: Vec<Arc<Clock>> = Vec::new();
        for clock in arbiters.filter_map(|arbiter| arbiter.clock()) {
            if !clocks.iter().any(|known| Arc::ptr_eq(known, &clock)) {
                clocks.push(clock);
            }
        }
        self.skew.clear();
        *self.clocks.lock().unwrap_or_else(PoisonError::into_inner) = clocks;
    }

    /// A configuration was read, and taken or not.
    pub(super) fn configured(&self, is_taken: bool) {
        self.config_taken.set(i64::from(is_taken));
        if is_taken {
            #[expect(clippy::cast_precision_loss, reason = "a millisecond in the age of the Earth is not missed")]
            self.config_time.set(wall_ms() as f64 / 1000.0);
        }
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let taken = "Whether the configuration that was read last was taken: 1, or 0 where an older one is gone by";
        registry.register("config_last_reload_successful", taken, self.config_taken.clone());
        let time = "When a configuration was taken last, in seconds since the Unix epoch";
        registry.register("config_last_reload_success_timestamp_seconds", time, self.config_time.clone());
        let skew = "How far this machine's clock is ahead of the arbiter's; 0 where it can be right";
        registry.register("clock_skew_seconds", skew, self.skew.clone());
        registry.register("reads", "Reads of the record at the arbiter", self.reads.clone());
        registry.register("replacements", "Conditional replacements asked of the arbiter", self.replacements.clone());
        registry.register("rounds_won", "Claims that were won", self.won.clone());
        registry.register("late_seconds", "How long after its due time a round was won", self.late.clone());
        registry.register("runs", "Runs that ended, by how", self.runs.clone());
        registry.register("leases_lost", "Runs stopped because their lease was lost", self.lost.clone());
        registry.register(
            "modules_refused",
            "Modules that were refused, or could not be fetched",
            self.refused.clone(),
        );
        let module = "The module that the next run of the job uses here, by the beginning of its SHA-256: always 1";
        registry.register("module_info", module, self.module.clone());
        registry.register("denials", "What runs asked of a capability and were not granted", self.denials.clone());
    }

    /// A read or a replacement has its outcome.
    pub(super) fn exchanged(&self, job: &str, event: &Event) {
        let (family, outcome) = match event {
            Event::Read(Ok(_)) => (&self.reads, "ok"),
            Event::Read(Err(_)) => (&self.reads, "failed"),
            Event::Replaced(Ok(Replaced::Applied(_))) => (&self.replacements, "applied"),
            Event::Replaced(Ok(Replaced::Conflict)) => (&self.replacements, "conflict"),
            Event::Replaced(Ok(Replaced::Unknown(_))) => (&self.replacements, "unknown"),
            Event::Replaced(Err(_)) => (&self.replacements, "failed"),
            _ => return,
        };
        family.get_or_create(&with(job, outcome)).inc();
    }

    /// The contender noticed something, at this time in milliseconds since the Unix epoch.
    pub(super) fn noticed(&self, job: &str, notice: &Notice, wall_ms: u64) {
        if let Notice::Won { fence, .. } = notice {
            self.won.get_or_create(&of(job)).inc();
            // A retry is late by its round's earlier attempts, which says nothing of how soon agents act.
            if fence.attempt == 1 {
                let late_ms = wall_ms.saturating_sub(fence.round.saturating_mul(1000));
                self.late.get_or_create(&of(job)).observe(std::time::Duration::from_millis(late_ms).as_secs_f64());
            }
        }
    }

    /// A run ended.
    pub(super) fn ran(&self, job: &str, outcome: &Outcome) {
        self.runs.get_or_create(&with(job, outcome.code())).inc();
    }

    /// A run was stopped because its lease was lost.
    pub(super) fn lost_a_lease(&self, job: &str) {
        self.lost.get_or_create(&of(job)).inc();
    }

    /// The job's next run uses the module of this digest here.
    pub(super) fn holds(&self, job: &str, digest: &str) {
        let labels = |digest: &str| [("job", job.to_owned()), ("sha256", digest.to_owned())];
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.insert(job.to_owned(), digest.to_owned()) {
            Some(before) if before == digest => return,
            Some(before) => _ = self.module.remove(&labels(&before)),
            None => {}
        }
        self.module.get_or_create(&labels(digest)).set(1);
    }

    /// A module was refused, or could not be fetched.
    pub(super) fn refused_a_module(&self, job: &str) {
        self.refused.get_or_create(&of(job)).inc();
    }

    fn text(&self) -> Result<String, fmt::Error> {
        for clock in self.clocks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let labels = [("arbiter", clock.place().to_owned())];
            #[expect(clippy::cast_precision_loss, reason = "a millisecond in the age of the Earth is not missed")]
            self.skew.get_or_create(&labels).set(clock.ahead_ms() as f64 / 1000.0);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn of(job: &str) -> Labels<1> {
    [("job", job.to_owned())]
}

fn with(job: &str, outcome: &str) -> Labels<2> {
    [("job", job.to_owned()), ("outcome", outcome.to_owned())]
}

/// The listener of the metrics; gone when this is dropped.
pub(super) struct Serving {
    _task: AbortOnDropHandle<()>,
}

/// Serves the metrics at `/metrics`, to whoever reaches the address: there is no password. The number of connections is
/// bounded by the open files that the process may have.
///
/// # Errors
/// The address cannot be listened on.
pub(super) async fn serve(address: SocketAddr, metrics: Arc<Metrics>) -> Result<Serving, StartError> {
    let failed = |error| StartError::Metrics { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let real = listener.local_addr().map_err(failed)?;
    tracing::info!(event = "metrics", address = %real, "metrics at http://{real}/metrics");
    let answer = move || {
        let text = metrics.text();
        async move { response(text) }
    };
    let router = Router::new().route("/metrics", get(answer));
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the metrics are no longer served");
        }
    });
    Ok(Serving { _task: AbortOnDropHandle::new(task) })
}

fn response(text: Result<String, fmt::Error>) -> Response {
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::ServicesConfig;
    use crate::round::{Fence, Observation, Revision};

    #[test]
    fn every_number_stands_under_its_job_and_outcome() {
        let services = Services::new(&ServicesConfig::default(), std::path::Path::new("")).unwrap();
        let metrics = Metrics::new(&services);
        metrics.begin("canary");
        metrics.begin("idle");
        services.denials().get_or_create(&[("job", "canary".to_owned()), ("capability", "http".to_owned())]).inc();
        metrics.refused_a_module("canary");
        metrics.holds("canary", "aaaaaaaaaaaa");
        metrics.holds("canary", "bbbbbbbbbbbb");
        metrics.exchanged("canary", &Event::Read(Ok(Observation::absent())));
        metrics.exchanged("canary", &Event::Read(Err("out of reach".to_owned())));
        metrics.exchanged("canary", &Event::Replaced(Ok(Replaced::Applied(Revision::Absent))));
        metrics.exchanged("canary", &Event::Replaced(Ok(Replaced::Conflict)));
        metrics.exchanged("canary", &Event::Time);
        for attempt in [1, 2] {
            metrics.noticed("canary", &Notice::Won { fence: Fence { round: 100, attempt }, from: None }, 100_300);
        }
        metrics.ran("canary", &Outcome::Ok);
        metrics.lost_a_lease("canary");
        let text = metrics.text().unwrap();
        for line in [
            "soloist_reads_total{job=\"canary\",outcome=\"ok\"} 1",
            "soloist_reads_total{job=\"canary\",outcome=\"failed\"} 1",
            "soloist_replacements_total{job=\"canary\",outcome=\"applied\"} 1",
            "soloist_replacements_total{job=\"canary\",outcome=\"conflict\"} 1",
            "soloist_rounds_won_total{job=\"canary\"} 2",
            "soloist_rounds_won_total{job=\"idle\"} 0",
            "soloist_late_seconds_sum{job=\"canary\"} 0.3",
            "soloist_late_seconds_count{job=\"canary\"} 1",
            "soloist_runs_total{job=\"canary\",outcome=\"ok\"} 1",
            "soloist_leases_lost_total{job=\"canary\"} 1",
            "soloist_modules_refused_total{job=\"canary\"} 1",
            "soloist_modules_refused_total{job=\"idle\"} 0",
            "soloist_denials_total{job=\"canary\",capability=\"http\"} 1",
            "soloist_module_info{job=\"canary\",sha256=\"bbbbbbbbbbbb\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
        assert!(!text.contains("aaaaaaaaaaaa"), "it is used no longer:\n{text}");
    }
}
