//! One run: one store, one call of `run`, ended on time whatever the module does, and a report of how it went.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{I32Exit, WasiCtx};

use super::bindings::soloist::job::types::{Context, Failure};
use super::command::Invocation;
use super::facts::{Facts, Stop};
use super::lease::Lease;
use super::limits::Limits;
use super::log::clean;
use super::output::{Capture, Output};
use super::prepare::{Entry, Prepared};
use super::state::State;
use super::verdict::{self, End};
use crate::clock::{millis, wall_ms};
use crate::round::{Change, Data, Fence, Outcome};

/// The longest summary or reason in a report, in bytes.
pub const MAX_MESSAGE: usize = 4 * 1024;

/// What to run a module for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The job's name.
    pub job: String,
    /// The agent that runs it.
    pub agent: String,
    /// The round and the attempt.
    pub fence: Fence,
    /// When the round was due, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    /// How the job's previous run ended, as the code in the record.
    pub previous: Option<String>,
    /// The job's text, as the last run that went well left it.
    pub state: Option<Data>,
    /// How long the run may take, from now.
    pub deadline: Duration,
    /// What allows the run to act; when it is lost, the run is stopped.
    pub lease: Lease,
    /// Stops the run.
    pub cancel: CancellationToken,
    /// The job's own settings.
    pub settings: Arc<Map<String, Value>>,
    /// Its arguments and environment.
    pub invocation: Arc<Invocation>,
    /// What it may use.
    pub limits: Limits,
}

/// How a run went.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The job's summary, or why there is none; one line of at most [`MAX_MESSAGE`] bytes.
    pub message: String,
    /// What the job's text becomes: of no interest unless the run went well.
    pub change: Change,
    /// What it printed.
    pub output: Output,
    /// How long it took.
    pub elapsed: Duration,
    /// The most linear memory that it had, in bytes.
    pub peak_memory: usize,
}

/// Runs the module once, on the engine's own threads, and waits for the end. Whatever the module does is in the report.
///
/// A run that is past its deadline, cancelled or without a lease is stopped within a few ticks ([`super::TICK`]), in the
/// module's code as in a host call that waits. So is one whose future is dropped.
pub async fn run(prepared: &Prepared, request: Request) -> Report {
    let started = Instant::now();
    let engine = prepared.module().engine().clone();
    let task = AbortOnDropHandle::new(engine.threads().spawn(here(prepared.clone(), request, started)));
    let report = task.await.unwrap_or_else(|error| Report {
        outcome: Outcome::Host,
        message: clean(&format!("the host failed in the run: {error}"), MAX_MESSAGE),
        change: Change::Nothing,
        output: Output::default(),
        elapsed: started.elapsed(),
        peak_memory: 0,
    });
    // Until here: the threads end with the last clone of the engine.
    drop(engine);
    report
}

/// The run itself, in a task of its own: a panic in the host ends the task and nothing else.
async fn here(prepared: Prepared, request: Request, started: Instant) -> Report {
    let _running = prepared.module().engine().running();
    let context = introduce(&request);
    let facts = Arc::new(Facts::new(&request));
    let limits = request.limits;
    let capture = Capture::new(Arc::clone(&facts), &limits);
    let mut wasi = WasiCtx::builder();
    match &prepared.entry {
        Entry::Job(_) => request.invocation.for_job(&mut wasi),
        Entry::Command(_) => request.invocation.for_command(&mut wasi, &context),
    }
    let mut state = State::new(Arc::clone(&facts), &limits, &capture, &mut wasi);
    prepared.capabilities.enter(&mut state);

    let (end, peak_memory, refused_memory) = match Store::try_new(prepared.module().engine().wasmtime(), state) {
        Ok(mut store) => {
            bound(&mut store, &facts, &limits);
            let end = until_stopped(&facts, call(&prepared, &mut store, &context)).await;
            let limiter = &store.data().limiter;
            (end, limiter.peak_memory(), limiter.refused_memory())
        }
        Err(error) => (End::NotStarted(error), 0, false),
    };
    let output = capture.finish();
    let (outcome, message) = match end {
        End::Printed => (Outcome::Ok, capture.last_line()),
        end => {
            verdict::backtrace(&end, &facts.log);
            verdict::verdict(end, refused_memory, &limits, &capture.stderr_tail())
        }
    };
    let (message, change) = (clean(&message, MAX_MESSAGE), facts.change());
    Report { outcome, message, change, output, elapsed: started.elapsed(), peak_memory }
}

/// What the module is told of the request.
fn introduce(request: &Request) -> Context {
    Context {
        job: request.job.clone(),
        agent: request.agent.clone(),
        round: request.fence.round,
        attempt: request.fence.attempt,
        due_ms: request.due_ms,
        deadline_ms: wall_ms().saturating_add(millis(request.deadline)),
        previous: request.previous.clone(),
    }
}

/// Puts a bound on everything that a module can use up.
fn bound(store: &mut Store<State>, facts: &Arc<Facts>, limits: &Limits) {
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits.call);
    store.set_max_component_handles(limits.resources.saturating_mul(10));
    let facts = Arc::clone(facts);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match facts.stop() {
        Some(stop) => Err(wasmtime::Error::new(stop)),
        // Every tick, so that runs share the threads fairly and the stop above is noticed by the select.
        None => Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))),
    });
}

/// The end of the call, or the stop: once the run must stop, nothing more of it is polled.
async fn until_stopped(facts: &Facts, call: impl Future<Output = End>) -> End {
    if let Some(stop) = facts.stop() {
        return End::Stopped(stop);
    }
    let mut call = pin!(call);
    // Many runs end without waiting for anything. These need no timer, which would wake another of the threads.
    match poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        Poll::Ready(end) => end,
        Poll::Pending => tokio::select! {
            biased;
            stop = facts.stopped() => End::Stopped(stop),
            end = call => end,
        },
    }
}

async fn call(prepared: &Prepared, store: &mut Store<State>, context: &Context) -> End {
    match &prepared.entry {
        Entry::Job(pre) => {
            let job = match pre.instantiate_async(&mut *store).await {
                Ok(job) => job,
                Err(error) => return End::from_error(error, true),
            };
            match job.call_run(&mut *store, context).await {
                Ok(Ok(summary)) => End::Summary(summary),
                Ok(Err(Failure::Retry(reason))) => End::Retry(reason),
                Ok(Err(Failure::Final(reason))) => End::Final(reason),
                Err(error) => End::from_error(error, false),
            }
        }
        Entry::Command(pre) => {
            let command = match pre.instantiate_async(&mut *store).await {
                Ok(command) => command,
                Err(error) => return End::from_error(error, true),
            };
            match command.wasi_cli_run().call_run(&mut *store).await {
                Ok(Ok(())) => End::Printed,
                // WASI's `run` tells no more than that; so does `exit` in most languages with 1.
                Ok(Err(())) => End::Status(1),
                Err(error) => match error.downcast_ref::<I32Exit>() {
                    Some(I32Exit(0)) => End::Printed,
                    Some(I32Exit(status)) => End::Status(*status),
                    None => End::from_error(error, false),
                },
            }
        }
    }
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Deadline => Self::Timeout,
            Stop::LeaseLost | Stop::Cancelled => Self::Stopped,
        }
    }
}
