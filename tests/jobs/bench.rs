//! A built job on the bench: run by the library as an agent does, against a Slack of the tests, with its state kept from
//! run to run.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use soloist::capability::{Granted, Grants, Services, ServicesConfig};
use soloist::round::{Change, Data, Fence, Outcome};
use soloist::runtime::{Engine, Module, Prepared, Report, Request};
use soloist_tests::guest;
use soloist_tests::slack::Slack;
use tempfile::TempDir;

/// Compiled modules, each once for all tests: some take a minute here.
static COMPILED: Mutex<Option<(Engine, HashMap<String, Module>)>> = Mutex::new(None);

/// A built module, compiled.
pub(crate) fn module(name: &str) -> Module {
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let (engine, modules) =
        compiled.get_or_insert_with(|| (Engine::new().expect("there is an engine"), HashMap::new()));
    if let Some(module) = modules.get(name) {
        return module.clone();
    }
    let module = Module::load(engine, &built(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    modules.insert(name.to_owned(), module.clone());
    module
}

/// A built module's bytes.
pub(crate) fn built(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs/built").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `jobs/build {name}` makes it", path.display()))
}

/// A job, and the Slack that it tells.
pub(crate) struct Bench {
    pub(crate) slack: Slack,
    /// What it was left with.
    pub(crate) state: Option<Data>,
    /// When the next run was due.
    pub(crate) due_ms: u64,
    name: String,
    grants: String,
    settings: Arc<Map<String, Value>>,
    prepared: Prepared,
    folder: TempDir,
}

impl Bench {
    /// The job with these settings, and these grants, as TOML, beside Slack's `#ops`.
    pub(crate) async fn new(name: &str, settings: Value, grants: &str) -> Self {
        let slack = Slack::start().await;
        let folder = tempfile::tempdir().expect("a folder");
        let prepared = prepare(name, grants, &slack, folder.path());
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        let due_ms = 1_800_000_000_000;
        let (name, grants) = (name.to_owned(), grants.to_owned());
        Self { slack, state: None, due_ms, name, grants, settings: Arc::new(settings), prepared, folder }
    }

    /// From now on another agent runs it: it has the job's state, and was not told to wait.
    pub(crate) fn elsewhere(&mut self) {
        self.prepared = prepare(&self.name, &self.grants, &self.slack, self.folder.path());
    }

    /// Runs it once. What it sets is kept if the run goes well, as with an agent.
    pub(crate) async fn run(&mut self) -> Report {
        let request = Request {
            job: "job".to_owned(),
            fence: Fence { round: self.due_ms / 1000, attempt: 1 },
            due_ms: self.due_ms,
            state: self.state.clone(),
            settings: Arc::clone(&self.settings),
            deadline: Duration::from_secs(60),
            ..guest::request()
        };
        let report = soloist::runtime::run(&self.prepared, request).await;
        if report.outcome == Outcome::Ok
            && let Change::To(data) = &report.change
        {
            self.state.clone_from(data);
        }
        report
    }

    /// Runs it once, and it goes well: the summary.
    pub(crate) async fn ok(&mut self) -> String {
        let report = self.run().await;
        assert_eq!(report.outcome, Outcome::Ok, "{}", report.message);
        report.message
    }

    /// Runs it once, and it ends so, with a message that holds this; nothing is remembered of it.
    pub(crate) async fn fails(&mut self, outcome: Outcome, reason: &str) {
        let before = self.state.clone();
        let report = self.run().await;
        assert_eq!(report.outcome, outcome, "{}", report.message);
        assert!(report.message.contains(reason), "`{}` does not say `{reason}`", report.message);
        assert_eq!(self.state, before);
    }

    /// The messages in `#ops` since the last look.
    pub(crate) fn told(&self, seen: &mut usize) -> Vec<String> {
        let texts = self.slack.texts("#ops");
        let new = texts[*seen..].to_vec();
        *seen = texts.len();
        new
    }
}

fn prepare(name: &str, grants: &str, slack: &Slack, folder: &Path) -> Prepared {
    let config: ServicesConfig = toml::from_str(&slack.by_token(folder)).expect("a configuration");
    let services = Services::new(&config, folder).expect("services");
    let grants: Grants = toml::from_str(&format!("slack = [\"#ops\"]\n{grants}")).expect("grants");
    module(name).prepare(name, Arc::new(Granted::new(grants, services))).expect("the job is granted all")
}

/// Changes a setting.
pub(crate) fn set(bench: &mut Bench, key: &str, value: Value) {
    Arc::make_mut(&mut bench.settings).insert(key.to_owned(), value);
}
