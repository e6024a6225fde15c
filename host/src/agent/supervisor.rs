//! Keeps one driver a job, by the configuration that was taken last. A new one starts, retires and exchanges drivers; those of
//! jobs of which it says the same go on untouched, their runs and leases included.
//!
//! A job that changed goes on as it was until its next module is ready: no round waits for a compiler. Two drivers of one job
//! never overlap: the old one ends first, with its run and what it writes of it, and the one that follows has an id of its own,
//! so that nothing of the old one is taken for its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::Instrument as _;

use super::driver::Driver;
use super::identity::new_id;
use super::metrics::Metrics;
use super::news::{Failure, News, Reload, read};
use super::{StartError, Stop, announce, arbiters, loader, module_access, origins, zone};
use crate::arbiter::Arbiter;
use crate::capability::Services;
use crate::config::{self, Config, Parts};
use crate::module::{Access, Keep, Origin, Slot};
use crate::runtime::{Compiler, Engine, Prepared};

/// How long a job that changed goes on as it was, at most, while its module is made.
const PATIENCE: Duration = Duration::from_secs(60);

/// What jobs are run with.
pub(super) struct Tools {
    pub(super) engine: Engine,
    pub(super) compiler: Compiler,
    pub(super) services: Services,
    pub(super) access: Access,
}

/// All that the drivers of an agent share, and the drivers.
pub(super) struct Supervisor {
    config: Config,
    /// The agent's name at its start, and what it started with.
    name: String,
    started_with: Parts,
    tools: Tools,
    arbiters: HashMap<String, Arc<dyn Arbiter>>,
    origins: HashMap<String, Origin>,
    metrics: Arc<Metrics>,
    drivers: JoinSet<()>,
    /// The modules of jobs that changed, while they are made: with the job's name and turn.
    ready: JoinSet<(String, u64, Slot<Prepared>)>,
    running: HashMap<String, Running>,
    /// How often a job changed, whichever: no two changes have the same turn.
    turns: u64,
    stop: Stop,
    orderly: bool,
}

/// The driver of a job.
struct Running {
    task: AbortHandle,
    stop: watch::Sender<Stop>,
    /// The last change of the job since this driver began; 0 where there was none.
    turn: u64,
    /// What the driver after this one begins with.
    next: Option<Slot<Prepared>>,
}

impl Supervisor {
    /// Nothing runs yet.
    pub(super) fn new(
        config: Config,
        tools: Tools,
        arbiters: HashMap<String, Arc<dyn Arbiter>>,
        origins: HashMap<String, Origin>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            name: config.agent.name.clone(),
            started_with: config.parts.clone(),
            config,
            tools,
            arbiters,
            origins,
            metrics,
            drivers: JoinSet::new(),
            ready: JoinSet::new(),
            running: HashMap::new(),
            turns: 0,
            stop: Stop::No,
            orderly: true,
        }
    }

    /// Runs until it is stopped. `true` when every job's loop ended in order.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<Stop>, reload: Option<Reload>) -> bool {
        let id = new_id(&self.name);
        for job in self.config.jobs.clone() {
            self.start(&job, id.clone(), None);
        }
        self.warn_of_no_job();
        let mut news = reload.map(News::follow);
        loop {
            self.obey(*stop.borrow_and_update());
            let is_over = self.stop != Stop::No || !self.orderly;
            if self.drivers.is_empty() && is_over {
                return self.orderly;
            }
            tokio::select! {
                Some(ended) = self.drivers.join_next_with_id() => self.ended(ended),
                Some(ready) = self.ready.join_next() => self.exchange(ready),
                changed = stop.changed(), if self.stop < Stop::GiveBack => {
                    if changed.is_err() {
                        self.obey(Stop::GiveBack);
                    }
                }
                read = read(&mut news) => {
                    if let (Stop::No, Some(news)) = (self.stop, &mut news) {
                        let taken = read.map_err(Failure::Config).and_then(|config| self.take(config).map_err(Failure::Start));
                        self.metrics.configured(taken.is_ok());
                        news.say(taken.err());
                    }
                }
            }
        }
    }

    fn warn_of_no_job(&self) {
        if self.config.jobs.is_empty() {
            tracing::warn!("the configuration has no job: there is nothing to do but wait");
        }
    }

    /// Hands on how far the agent is to stop.
    fn obey(&mut self, stop: Stop) {
        if stop <= self.stop {
            return;
        }
        self.stop = stop;
        for running in self.running.values() {
            running.stop.send_if_modified(|own| {
                let is_news = *own < stop;
                *own = stop.max(*own);
                is_news
            });
        }
    }

    fn start(&mut self, job: &config::Job, id: String, slot: Option<Slot<Prepared>>) {
        let Some(arbiter) = self.arbiters.get(&job.name).cloned() else { return };
        let Some(slot) = slot.or_else(|| self.slot(job)) else { return };
        announce(job, arbiter.as_ref(), &id);
        self.metrics.begin(&job.name);
        let (stop, stopped) = watch::channel(self.stop);
        let driver = Driver::new(job.clone(), id, arbiter, slot, stopped, Arc::clone(&self.metrics));
        let task = self.drivers.spawn(driver.run().instrument(span(job)));
        self.running.insert(job.name.clone(), Running { task, stop, turn: 0, next: None });
    }

    /// A slot for the job's module, which is fetched and made from here on.
    fn slot(&self, job: &config::Job) -> Option<Slot<Prepared>> {
        let origin = self.origins.get(&job.name).cloned()?;
        let Tools { engine, compiler, services, .. } = &self.tools;
        let loader = loader(engine, compiler, services, job);
        let keep = compiler.store().map(|store| Keep { store: store.clone(), job: job.name.clone() });
        Some(span(job).in_scope(|| Slot::start_with(origin, loader, keep)))
    }

    /// What the next driver of a job begins with is there: the one that runs is to end.
    fn exchange(&mut self, ready: Result<(String, u64, Slot<Prepared>), JoinError>) {
        let Ok((name, turn, slot)) = ready else { return };
        if let Some(running) = self.running.get_mut(&name).filter(|running| running.turn == turn)
            && self.stop == Stop::No
        {
            running.next = Some(slot);
            running.stop.send_replace(Stop::Retire);
        }
    }

    /// A driver is no more: another one may have been waiting for that.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(name) = self.running.iter().find(|(_, running)| running.task.id() == id).map(|(name, _)| name.clone())
        else {
            return;
        };
        let next = self.running.remove(&name).and_then(|running| running.next);
        if let Err(error) = ended {
            tracing::error!(job = name, %error, "a job's loop broke off; the other jobs go on");
            self.orderly = false;
            return;
        }
        if self.stop != Stop::No {
            return;
        }
        if let Ok(job) = self.config.job(&name).cloned() {
            let id = new_id(&self.name);
            self.start(&job, id, next);
        } else {
            tracing::info!(job = name, event = "removed", "the job is no longer in the configuration");
        }
    }

    /// Goes by another configuration from now on.
    ///
    /// # Errors
    /// It cannot be gone by: nothing has changed.
    fn take(&mut self, config: Config) -> Result<(), StartError> {
        let fixed = self.started_with.fixed_changes(&config.parts);
        let is_shared = self.config.parts.shares_with(&config.parts);
        let services = if is_shared { self.tools.services.clone() } else { self.renewed(&config)? };
        let failed = |error: reqwest::Error| StartError::Services(error.into());
        let access = if is_shared { self.tools.access.clone() } else { module_access(&services).map_err(failed)? };
        let origins = origins(&config, &access)?;
        let mut arbiters = arbiters(&config)?;
        self.keep_arbiters(&config, &mut arbiters);

        let is_same = |name: &str| self.config.parts.has_same(&config.parts, name);
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        for name in self.running.keys() {
            if !config.jobs.iter().any(|job| job.name == *name) {
                removed.push(name.clone());
            } else if !is_same(name) {
                changed.push(name.clone());
            }
        }
        let is_new = |job: &&config::Job| !self.running.contains_key(&job.name);
        let added: Vec<config::Job> = config.jobs.iter().filter(is_new).cloned().collect();
        let is_news = !is_shared || config.parts != self.config.parts;
        (self.tools.services, self.tools.access) = (services, access);
        (self.arbiters, self.origins, self.config) = (arbiters, origins, config);
        self.metrics.keep_clocks(self.arbiters.values());
        self.tools.services.set_zone(zone(&self.config, &self.arbiters));
        self.tools.services.figures().retain(|name| self.config.jobs.iter().any(|job| job.name == name));
        for job in &added {
            let id = new_id(&self.name);
            self.start(job, id, None);
        }
        for name in &removed {
            self.retire(name);
        }
        for name in &changed {
            self.prepare(name);
        }
        self.report(is_news, &added, changed, removed, &fixed);
        Ok(())
    }

    /// A job that is no more: its driver is to end.
    fn retire(&mut self, name: &str) {
        let Some(running) = self.running.get_mut(name) else { return };
        self.turns += 1;
        (running.turn, running.next) = (self.turns, None);
        running.stop.send_replace(Stop::Retire);
    }

    /// A job that changed: its driver is to end when its next one has a module, or none that can be had.
    fn prepare(&mut self, name: &str) {
        let (Ok(job), Some(running)) = (self.config.job(name).cloned(), self.running.get_mut(name)) else { return };
        self.turns += 1;
        (running.turn, running.next) = (self.turns, None);
        let (name, turn) = (name.to_owned(), running.turn);
        let Some(slot) = self.slot(&job) else { return };
        self.ready.spawn(async move {
            // Not for ever: what is no longer granted must not go on.
            let _ = tokio::time::timeout(PATIENCE, settled(&slot)).await;
            (name, turn, slot)
        });
    }

    /// New services, whose figures go on from those before.
    fn renewed(&self, config: &Config) -> Result<Services, StartError> {
        let services = Services::new(&config.services, &config.base);
        Ok(services.map_err(|error| StartError::Services(error.into()))?.continuing(&self.tools.services))
    }

    /// Where nothing about it changed, a record goes on at the arbiter that it has, with its connection and its clock. What is kept
    /// in memory is kept in any case.
    fn keep_arbiters(&self, config: &Config, arbiters: &mut HashMap<String, Arc<dyn Arbiter>>) {
        let are_memory =
            [&self.config.arbiter, &config.arbiter].map(|arbiter| matches!(arbiter, config::Arbiter::Memory));
        let is_same = self.config.parts.has_same_arbiter(&config.parts);
        for job in &config.jobs {
            if let Ok(old) = self.config.job(&job.name)
                && let Some(arbiter) = self.arbiters.get(&job.name)
                && old.record == job.record
                && (is_same || are_memory == [true, true])
            {
                arbiters.insert(job.name.clone(), Arc::clone(arbiter));
            }
        }
    }

    fn report(
        &self,
        is_news: bool,
        added: &[config::Job],
        mut changed: Vec<String>,
        mut removed: Vec<String>,
        fixed: &[String],
    ) {
        changed.sort_unstable();
        removed.sort_unstable();
        if is_news {
            let names: Vec<&str> = added.iter().map(|job| job.name.as_str()).collect();
            let (added, changed, removed) = (names.join(", "), changed.join(", "), removed.join(", "));
            let parts = [("new: ", &added), ("changed: ", &changed), ("removed: ", &removed)];
            let parts: Vec<String> = parts
                .iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(what, names)| format!("{what}{names}"))
                .collect();
            let what = if parts.is_empty() { "no job changed".to_owned() } else { parts.join("; ") };
            tracing::info!(event = "reloaded", added, changed, removed, "took the configuration: {what}");
        } else {
            tracing::debug!(event = "unchanged", "the configuration is the one that is gone by");
        }
        if is_news && !fixed.is_empty() {
            let places = fixed.join(", ");
            tracing::warn!(
                event = "restart-needed",
                places,
                "these change with a restart of the agent only: {places}; all else was taken"
            );
        }
        if is_news {
            self.warn_of_no_job();
        }
    }
}

fn span(job: &config::Job) -> tracing::Span {
    tracing::info_span!("job", job = %job.name)
}

/// Waits until a slot has a module, or says that it has none.
async fn settled(slot: &Slot<Prepared>) {
    loop {
        let changed = slot.changed();
        if slot.current().is_some() || slot.refusal().is_some() || slot.trouble().is_some() {
            return;
        }
        changed.await;
    }
}
