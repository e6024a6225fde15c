//! `soloist job run`: the author's loop, one run of a module with the grants that it would have.

mod value;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::super::log::LogFormat;
use super::super::output::{self, Hint, WithHint};
use super::super::signals::Signals;
use super::project::Project;
use super::{compiler, load};
use crate::agent;
use crate::capability::slack::SlackConfig;
use crate::capability::{Granted, Grants, Services, ServicesConfig, dns, http, slack};
use crate::config::Config;
use crate::config::DEFAULT_TIMEOUT;
use crate::round::{Change, Data, Fence, MAX_DATA_BYTES, Outcome};
use crate::runtime::{
    self, CompileLimits, Engine, Invocation, Lease, Limits, LoadError, Module, Report, Request, clean, wall_ms,
};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The module: a component, a core module with WIT, a WASI preview 1 command, or the text of one; or the folder of a
    /// project (it has a `job.toml`), which is built first.
    #[arg(value_name = "MODULE|DIR", default_value = ".")]
    file: PathBuf,
    /// Run it again at each save, and build it before where it is a project; until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// The job's name, as the module is told it. By default the file's name; with `--config`, its only job.
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Run it as a job of this configuration: with its grants, settings and limits.
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["grant_http", "grant_slack", "grant_dns", "grant", "slack_token_env"])]
    config: Option<PathBuf>,
    /// Allow HTTP requests to this origin: `https://api.example.com`, `http://127.0.0.1:8080`. Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    grant_http: Vec<String>,
    /// Allow messages to this Slack channel: `#ops`. Repeatable.
    #[arg(long, value_name = "CHANNEL")]
    grant_slack: Vec<String>,
    /// A grant as it stands under `[job.NAME.grants]`: `--grant 'dns = ["example.com"]'`. Repeatable.
    #[arg(long, value_name = "TOML")]
    grant: Vec<String>,
    /// Allow questions to the DNS for this name: `example.com`, `*.example.com`, `*`. Repeatable.
    #[arg(long, value_name = "NAME")]
    grant_dns: Vec<String>,
    /// The environment variable that holds the Slack bot token.
    #[arg(long, value_name = "VARIABLE")]
    slack_token_env: Option<String>,
    /// A setting of the job: a TOML value (`200`, `true`, `["a"]`), or else text. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = value::setting)]
    settings: Vec<(String, Value)>,
    /// An argument of a program with a `main`. Repeatable, in order.
    #[arg(long = "arg", value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "config")]
    arguments: Vec<String>,
    /// A variable in the environment of the module. Repeatable.
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = value::variable, conflicts_with = "config")]
    environment: Vec<(String, String)>,
    /// How long the run may take. By default 30s, or what the configuration says.
    #[arg(long, value_name = "TIME", value_parser = value::timeout)]
    timeout: Option<Duration>,
    /// The job's state, as a run before may have left it; what the run makes of it is shown on stderr.
    #[arg(long, value_name = "TEXT", value_parser = value::state)]
    state: Option<Data>,
    /// How much memory the module may have. By default 256MiB, or what the configuration says.
    #[arg(long, value_name = "SIZE", value_parser = value::memory)]
    memory: Option<usize>,
}

/// A job to run once: what a configuration or the command line says of it.
#[derive(Debug)]
struct Job {
    /// Its name.
    name: String,
    /// What it may do.
    grants: Grants,
    /// What serves the grants.
    services: Services,
    /// Its own settings.
    settings: Map<String, Value>,
    /// Its arguments and environment.
    invocation: Arc<Invocation>,
    /// What it may use.
    limits: Limits,
    /// What compiling it may take.
    compiler: CompileLimits,
    /// How long it may take.
    timeout: Duration,
    /// The text that it is left with by the run before.
    state: Option<Data>,
}

pub(super) async fn run(args: Args, format: LogFormat) -> anyhow::Result<ExitCode> {
    let what = What::named(&args.file)?;
    if args.watch {
        return super::watch::run(&what, &args, format).await;
    }
    let mut signals = Signals::new()?;
    let built = tokio::select! {
        built = what.build() => built?,
        signal = signals.next() => bail!("the build was stopped by {signal}"),
    };
    drop(signals);
    try_once(&what, built, &args, CancellationToken::new(), format).await
}

/// What is to be run.
#[derive(Debug)]
pub(super) enum What {
    /// A file that is a module.
    File(PathBuf),
    /// A project, which makes one.
    Project(Project),
}

impl What {
    fn named(path: &Path) -> anyhow::Result<Self> {
        Ok(if path.is_dir() { Self::Project(Project::open(path)?) } else { Self::File(path.to_owned()) })
    }

    /// Builds a project. Gives its module, unless the one in place is just that.
    pub(super) async fn build(&self) -> anyhow::Result<Option<Module>> {
        match self {
            Self::File(_) => Ok(None),
            Self::Project(project) => super::build::make(project, &compiler(CompileLimits::default())?).await,
        }
    }

    fn module(&self) -> &Path {
        match self {
            Self::File(file) => file,
            Self::Project(project) => &project.module,
        }
    }

    /// What a job is called that has no name otherwise.
    fn name(&self) -> Option<String> {
        match self {
            // In a registry a tag or a digest follows the name.
            Self::File(file) if file.as_os_str().as_encoded_bytes().starts_with(b"oci:") => {
                file.file_name()?.to_string_lossy().split([':', '@']).next().map(str::to_owned)
            }
            Self::File(file) => file.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
            Self::Project(project) => Some(project.name.clone()),
        }
    }
}

impl Args {
    /// The configuration that is read for it, if one is.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

/// Runs what there is now, or the module that was just built of it, once, as the arguments and the configuration say now.
pub(super) async fn try_once(
    what: &What,
    built: Option<Module>,
    args: &Args,
    cancel: CancellationToken,
    format: LogFormat,
) -> anyhow::Result<ExitCode> {
    let mut job = match &args.config {
        Some(path) => configured(path, args.job.as_deref())?,
        None => described(what, args)?,
    };
    job.settings.extend(args.settings.iter().cloned());
    job.state.clone_from(&args.state);
    job.timeout = args.timeout.unwrap_or(job.timeout);
    job.limits.memory = args.memory.unwrap_or(job.limits.memory);
    once(what.module(), built, job, cancel, format).await.map_err(|error| match (&args.config, error.downcast_ref()) {
        (None, Some(missing @ LoadError::NotGranted { line, .. })) => {
            let grant = line.split(' ').next().unwrap_or_default();
            let flag = match grant {
                "http" | "slack" | "dns" => format!("--grant-{grant}"),
                _ => format!("--grant '{line}'"),
            };
            let hint = format!("{}, or grant it here with `{flag}`", missing.hint().unwrap_or_default());
            error.context(Hint::new(hint))
        }
        _ => error,
    })
}

/// The job of this name in a configuration, or its only one.
fn configured(path: &Path, name: Option<&str>) -> anyhow::Result<Job> {
    let config = Config::load(path)?;
    let job = match (name, config.jobs.as_slice()) {
        (None, [only]) => only,
        (Some(name), _) => config.job(name)?,
        (None, jobs) => {
            let names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
            return Err(anyhow!("the configuration has {} jobs", jobs.len()))
                .hint(format!("name one with `--job`: `{}`", names.join("`, `")));
        }
    };
    let services = Services::new(&config.services, &config.base)?;
    if job.grants.dns_update.is_some() {
        services.set_zone(agent::zone(&config, &agent::arbiters(&config)?));
    }
    Ok(Job {
        name: job.name.clone(),
        grants: job.grants.clone(),
        services,
        settings: job.settings.as_ref().clone(),
        invocation: Arc::clone(&job.invocation),
        limits: job.limits.clone(),
        compiler: config.compiler,
        timeout: job.timeout,
        state: None,
    })
}

/// The job that the flags describe; its settings are still to be added.
fn described(what: &What, args: &Args) -> anyhow::Result<Job> {
    let given: Grants = toml::from_str(&args.grant.join("\n"))
        .map_err(|error| anyhow!("`--grant` is no grant: {}", error.message()))
        .hint("write it as under `[job.NAME.grants]`: `--grant 'dns = [\"example.com\"]'`")?;
    let http = granted(&args.grant_http, |origins| http::Grant::of(origins).map_err(Into::into))?;
    let slack = granted(&args.grant_slack, |channels| slack::Grant::of(channels).map_err(|error| anyhow!(error)))?;
    let dns = granted(&args.grant_dns, |names| dns::Grant::of(names).map_err(|error| anyhow!(error)))?;
    let grants = Grants { http: http.or(given.http), slack: slack.or(given.slack), dns: dns.or(given.dns), ..given };
    let slack = SlackConfig { token_env: args.slack_token_env.clone(), ..SlackConfig::default() };
    let services = Services::new(&ServicesConfig { slack, ..ServicesConfig::default() }, Path::new("."))?;
    Ok(Job {
        name: args.job.clone().or_else(|| what.name()).unwrap_or_else(|| "job".to_owned()),
        grants,
        services,
        settings: Map::new(),
        invocation: Arc::new(invocation(args)?),
        limits: Limits::default(),
        compiler: CompileLimits::default(),
        timeout: DEFAULT_TIMEOUT,
        state: None,
    })
}

/// Arguments and environment from the command line.
fn invocation(args: &Args) -> anyhow::Result<Invocation> {
    let environment = args.environment.iter().cloned().collect();
    Invocation::new(args.arguments.clone(), environment).context("`--arg` and `--env`")
}

/// A grant of what was named on the command line; none where nothing was.
fn granted<T>(named: &[String], grant: impl FnOnce(Vec<&str>) -> anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    if named.is_empty() {
        return Ok(None);
    }
    grant(named.iter().map(String::as_str).collect()).map(Some)
}

/// Runs the module in a file once, or the one that is loaded from it already, without arbitration, and prints its summary. Ctrl-C stops the run, and so does `cancel`.
///
/// # Errors
/// The module could not be read, is no job or was not granted what it imports.
async fn once(
    file: &Path,
    loaded: Option<Module>,
    job: Job,
    cancel: CancellationToken,
    format: LogFormat,
) -> anyhow::Result<ExitCode> {
    let module = match loaded {
        Some(module) => module,
        None => load(&Engine::new()?, file, &compiler(job.compiler)?).await?,
    };
    let capabilities = Arc::new(Granted::new(job.grants, job.services));
    let prepared = module
        .prepare(&job.name, capabilities)
        .with_context(|| format!("the module `{}` cannot be run", file.display()))?;
    let now = wall_ms();
    let request = Request {
        job: job.name.clone(),
        agent: "job-run".to_owned(),
        fence: Fence { round: now / 1000, attempt: 1 },
        due_ms: now,
        previous: None,
        state: job.state,
        deadline: job.timeout,
        lease: Lease::unlimited(),
        cancel: cancel.clone(),
        settings: Arc::new(job.settings),
        invocation: job.invocation,
        limits: job.limits,
    };
    tracing::debug!(job = job.name, "the run begins");
    let running = runtime::run(&prepared, request);
    tokio::pin!(running);
    let report = tokio::select! {
        report = &mut running => report,
        _ = tokio::signal::ctrl_c() => {
            cancel.cancel();
            running.await
        }
    };
    Ok(show(&job.name, &report, format))
}

fn show(name: &str, report: &Report, format: LogFormat) -> ExitCode {
    tracing::info!(
        job = name,
        outcome = %report.outcome,
        elapsed = ?report.elapsed,
        peak_memory = report.peak_memory,
        printed = report.output.total,
        "the run has ended"
    );
    if report.outcome.is_ok() {
        match &report.change {
            Change::Nothing => {}
            Change::To(None) => tracing::info!(job = name, "the job's state is cleared"),
            Change::To(Some(state)) => {
                let state = state.as_str();
                tracing::info!(job = name, state, "the job's state is now `{}`", clean(state, MAX_DATA_BYTES));
            }
        }
        output::data(&report.message);
        return ExitCode::SUCCESS;
    }
    let error = format!("job `{name}` failed with `{}`: {}", report.outcome, report.message);
    let hint = match report.outcome {
        Outcome::Timeout => Some("give it more time with `--timeout`"),
        Outcome::Memory => Some("give it more with `--memory`"),
        _ => None,
    };
    output::print_problem(&error, hint, format);
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_called_as_its_file_or_its_image_is() {
        for (file, name) in [
            ("jobs/canary.v2.wasm", "canary.v2"),
            ("oci://ghcr.io/acme/canary.rust:1.4", "canary.rust"),
            ("oci://ghcr.io/acme/canary@sha256:00", "canary"),
            ("https://example.com/canary.wasm", "canary"),
        ] {
            assert_eq!(What::File(file.into()).name().as_deref(), Some(name), "{file}");
        }
    }
}
