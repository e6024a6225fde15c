//! Drives one job's contender: owns its sockets, clocks, module and run.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Stop;
use super::metrics::Metrics;
use super::report::Reporter;
use crate::arbiter::clock::Clock;
use crate::arbiter::{self, Arbiter};
use crate::clock::{boot_ms, wall_ms};
use crate::config::Job;
use crate::module::{Loaded, Slot, Trouble};
use crate::round::contender::{Action, Contender, Ended, Event, Halt, Now};
use crate::round::{Data, Fence, Outcome};
use crate::runtime::{self, Lease, Prepared, Report, Request};

/// The longest sleep at a time: timers stand still while the machine sleeps, the clock of a lease does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// How long a driver that is retired waits for its arbiter, once nothing runs.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// One job's loop.
pub(super) struct Driver {
    job: Job,
    id: String,
    arbiter: Arc<dyn Arbiter>,
    clock: Option<Arc<Clock>>,
    slot: Slot<Prepared>,
    stop: watch::Receiver<Stop>,
    contender: Contender,
    reporter: Reporter,
    metrics: Arc<Metrics>,
    refusals: u64,
    trouble: Option<Arc<Trouble>>,
    exchange: Option<BoxFuture<'static, Event>>,
    run: Option<Run>,
    /// The module that the contender was told of last, and the one that stands in its last claim: the record must not
    /// say one thing and another one run.
    told: Option<Arc<Loaded<Prepared>>>,
    claimed: Option<Arc<Loaded<Prepared>>>,
    /// Since when there is nothing left to do but to hear from the arbiter.
    retired: Option<Instant>,
}

/// The run under way.
struct Run {
    fence: Fence,
    lease: Lease,
    cancel: CancellationToken,
    report: BoxFuture<'static, Report>,
}

/// What a run is told of the runs before it.
struct Before {
    previous: Option<Outcome>,
    data: Option<Data>,
}

impl Driver {
    pub(super) fn new(
        job: Job,
        id: String,
        arbiter: Arc<dyn Arbiter>,
        slot: Slot<Prepared>,
        stop: watch::Receiver<Stop>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let contender = Contender::new(id.clone(), job.rules.clone(), rand::random(), arbiter::now(arbiter.as_ref()));
        let (clock, reporter) = (arbiter.clock(), Reporter::default());
        Self {
            job,
            id,
            arbiter,
            clock,
            slot,
            stop,
            contender,
            reporter,
            metrics,
            refusals: 0,
            trouble: None,
            exchange: None,
            run: None,
            told: None,
            claimed: None,
            retired: None,
        }
    }

    /// Runs until the contender is done.
    pub(super) async fn run(mut self) {
        loop {
            let changed = self.slot.changed();
            self.count_refusals();
            self.told = self.slot.current();
            let digest = self.told.as_ref().map(|module| module.digest.short());
            if let Some(digest) = &digest {
                self.metrics.holds(&self.job.name, digest);
            }
            self.contender.handle(self.now(), Event::Module(digest));
            let asked = *self.stop.borrow_and_update();
            self.contender.handle(self.now(), stop_event(asked));
            if !self.act() {
                return;
            }
            if self.is_given_up(asked) {
                tracing::warn!("the arbiter does not answer: leaving what was to be written to the end of the lease");
                return self.halt();
            }
            let wait = self
                .contender
                .poll_timeout()
                .map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.saturating_sub(boot_ms())).min(LONGEST_SLEEP));
            let wait = if self.retired.is_some() { wait.min(LAST_WORDS / 5) } else { wait };
            let event = tokio::select! {
                event = polled(&mut self.exchange) => { self.exchange = None; self.answered(&event); event }
                ended = ended(&mut self.run) => {
                    self.run = None;
                    self.metrics.ran(&self.job.name, &ended.outcome);
                    Event::Ended(ended)
                }
                () = tokio::time::sleep(wait) => Event::Time,
                () = changed => Event::Time,
                _ = self.stop.changed() => Event::Time,
            };
            self.contender.handle(self.now(), event);
        }
    }

    /// Counts modules that were refused since the last look, and a source that gives none.
    fn count_refusals(&mut self) {
        let (refusals, trouble) = (self.slot.counters().refusals, self.slot.trouble());
        let is_new = trouble.is_some() && trouble != self.trouble;
        for _ in self.refusals..refusals + u64::from(is_new) {
            self.metrics.refused_a_module(&self.job.name);
        }
        (self.refusals, self.trouble) = (refusals, trouble);
    }

    /// Whether it has waited long enough for the end of what is to be retired.
    fn is_given_up(&mut self, asked: Stop) -> bool {
        if asked != Stop::Retire || self.run.is_some() {
            self.retired = None;
            return false;
        }
        self.retired.get_or_insert_with(Instant::now).elapsed() >= LAST_WORDS
    }

    /// The time to go by. It may jump, above all at an answer that shows the arbiter's.
    fn now(&self) -> Now {
        arbiter::now(self.arbiter.as_ref())
    }

    /// Counts an exchange, and says once what it showed of this machine's clock.
    fn answered(&self, event: &Event) {
        self.metrics.exchanged(&self.job.name, event);
        if let Some((clock, news)) = self.clock.as_ref().and_then(|clock| Some((clock, clock.news()?))) {
            Reporter::skew(news, clock.place());
        }
    }

    /// Does what the contender asks for; false when it is done.
    fn act(&mut self) -> bool {
        while let Some(action) = self.contender.poll_action() {
            match action {
                Action::Read => self.read(),
                Action::Replace { expected, value, record } => {
                    if record.state.is_running() && self.run.is_none() {
                        self.claimed.clone_from(&self.told);
                    }
                    let arbiter = Arc::clone(&self.arbiter);
                    let ask = async move { arbiter.replace(&expected, &value).await };
                    self.exchange =
                        Some(ask.map(|outcome| Event::Replaced(outcome.map_err(|error| error.to_string()))).boxed());
                }
                Action::Start { fence, lease_until_ms, module, previous, data } => {
                    self.start(fence, lease_until_ms, module.as_deref(), Before { previous, data });
                }
                Action::Extend { lease_until_ms } => {
                    if let Some(run) = &self.run {
                        run.lease.extend(lease_until_ms);
                    }
                }
                Action::Halt(halt) => {
                    Reporter::halt(halt, self.run.as_ref().map(|run| run.fence));
                    if halt != Halt::Shutdown {
                        self.metrics.lost_a_lease(&self.job.name);
                    }
                    self.halt();
                }
                Action::Notice(notice) => {
                    let now = self.now();
                    self.metrics.noticed(&self.job.name, &notice, now.wall_ms);
                    self.reporter.notice(&notice, now.wall_ms, &self.arbiter.place(), &self.job.name);
                }
                Action::Done => {
                    self.halt();
                    return false;
                }
            }
        }
        true
    }

    fn read(&mut self) {
        let arbiter = Arc::clone(&self.arbiter);
        let ask = async move { arbiter.read().await };
        self.exchange = Some(ask.map(|seen| Event::Read(seen.map_err(|error| error.to_string()))).boxed());
        let now_ms = self.now().wall_ms;
        let wait_ms = (self.job.rules.schedule.after(now_ms / 1000) * 1000).saturating_sub(now_ms);
        // The slot goes by this machine's clock.
        self.slot.refresh_before(UNIX_EPOCH + Duration::from_millis(wall_ms().saturating_add(wait_ms)));
    }

    fn halt(&mut self) {
        if let Some(run) = self.run.take() {
            run.lease.revoke();
            run.cancel.cancel();
            // The run ends on its own threads; what it reports is of no interest to the record any more.
            tokio::spawn(run.report.map(|_| ()));
        }
    }

    fn start(&mut self, fence: Fence, lease_until_ms: u64, module: Option<&str>, before: Before) {
        let is_named = |claimed: &Arc<Loaded<Prepared>>| module == Some(claimed.digest.short().as_str());
        let Some(module) = self.claimed.take().filter(is_named) else {
            // The contender claims only with a module that it was told of.
            tracing::error!(round = fence.round, attempt = fence.attempt, "there is no module to run");
            return self.contender.handle(self.now(), Event::Ended(Outcome::Host.into()));
        };
        let (lease, cancel) = (Lease::until(lease_until_ms), CancellationToken::new());
        let report = self.begin(module, fence, lease.clone(), cancel.clone(), before);
        self.run = Some(Run { fence, lease, cancel, report });
    }

    fn begin(
        &self,
        module: Arc<Loaded<Prepared>>,
        fence: Fence,
        lease: Lease,
        cancel: CancellationToken,
        before: Before,
    ) -> BoxFuture<'static, Report> {
        let request = Request {
            job: self.job.name.clone(),
            agent: self.id.clone(),
            fence,
            due_ms: fence.round * 1000,
            deadline: self.job.timeout,
            lease,
            cancel,
            previous: before.previous.map(|outcome| outcome.code().to_owned()),
            state: before.data,
            settings: Arc::clone(&self.job.settings),
            invocation: Arc::clone(&self.job.invocation),
            limits: self.job.limits.clone(),
        };
        async move { runtime::run(&module.value, request).await }.boxed()
    }
}

async fn polled(exchange: &mut Option<BoxFuture<'static, Event>>) -> Event {
    match exchange {
        Some(exchange) => exchange.await,
        None => pending().await,
    }
}

async fn ended(run: &mut Option<Run>) -> Ended {
    let Some(run) = run else { return pending().await };
    let report = (&mut run.report).await;
    let (round, attempt) = (run.fence.round, run.fence.attempt);
    let ms = u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX);
    let (outcome, message) = (&report.outcome, &report.message);
    if outcome.is_ok() {
        tracing::info!(event = "ran", round, attempt, ms, %outcome, summary = %message, "{message}");
    } else {
        tracing::warn!(event = "ran", round, attempt, ms, %outcome, reason = %message, "the run failed ({outcome}): {message}");
    }
    Ended { outcome: report.outcome, change: report.change }
}

const fn stop_event(stop: Stop) -> Event {
    match stop {
        Stop::No => Event::Time,
        Stop::Finish | Stop::Retire => Event::Stop,
        Stop::GiveBack => Event::GiveBack,
    }
}
