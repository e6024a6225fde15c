//! Agents as they run in earnest: `soloist run` processes that share nothing but a record, and are killed with the value
//! that stands for them.

mod clock;
mod log;
mod metrics;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use soloist::arbiter::Arbiter as _;
use soloist::arbiter::rfc2136::{self, Rfc2136};
use soloist::arbiter::tsig::Key;
use soloist::round::{Observation, Record, Replaced};
use tempfile::TempDir;

pub use self::clock::{eventually, now_ms, until_ms};
pub use self::log::{Event, Log};
pub use self::metrics::scrape;
use crate::hand::name;
use crate::servers::{PowerDns, TestServer as _, ZONE};

/// How long agents have to start and to load their modules, with every core busy.
const START: Duration = Duration::from_secs(60);

/// How long a process that was asked to end may take.
const END: Duration = Duration::from_secs(30);

/// What the kernel counts a process's time in: 100 to a second on every Linux that we meet.
const TICKS_A_SECOND: f64 = 100.0;

/// Agents with one configuration, in a directory of their own.
#[derive(Debug)]
pub struct Fleet {
    home: TempDir,
    server: SocketAddr,
    key: Key,
    tables: String,
    jobs: usize,
    /// How often the configuration was written again: agents that run go by the file that they were started with.
    rewritten: AtomicUsize,
    agents: BTreeMap<String, Child>,
    log: Log,
}

impl Fleet {
    /// Writes the key and the configuration: `tables` are all of its tables but `[arbiter]`, with paths relative to
    /// [`home`](Self::home).
    ///
    /// # Panics
    /// They cannot be written.
    pub fn new(server: SocketAddr, key: &Key, tables: &str) -> Self {
        let fleet = Self::bare(server, key, tables);
        fleet.write_rfc2136(server, &fleet.key);
        fleet
    }

    /// Writes another configuration, for agents that are started from now on: they go to this address, with this key.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn configure(&self, server: SocketAddr, key: &Key) {
        self.rewritten.fetch_add(1, Ordering::Relaxed);
        self.write_rfc2136(server, key);
    }

    /// The same, with this text.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn configure_as(&self, text: &str) {
        self.rewritten.fetch_add(1, Ordering::Relaxed);
        std::fs::write(self.config(), text).expect("the configuration can be written");
    }

    /// The configuration of agents that are started now.
    pub fn config(&self) -> PathBuf {
        match self.rewritten.load(Ordering::Relaxed) {
            0 => self.path("soloist.toml"),
            times => self.path(&format!("soloist-{times}.toml")),
        }
    }

    fn write_rfc2136(&self, server: SocketAddr, key: &Key) {
        let arbiter = format!(
            "[arbiter]\nkind = \"rfc2136\"\nserver = \"{server}\"\nzone = \"{ZONE}\"\n\
             key = {{ name = \"{}\", algorithm = \"{}\", secret-file = \"{}\" }}\n\n",
            key.name(),
            key.algorithm().name(),
            self.key_file()
        );
        self.write(&key.secret_base64(), &arbiter);
    }

    /// The same, of agents that arbitrate over the HTTP API of a PowerDNS server; `settings` are lines of `[arbiter]`.
    ///
    /// # Panics
    /// They cannot be written.
    pub fn at_api(server: &PowerDns, settings: &str, tables: &str) -> Self {
        let arbiter = format!(
            "[arbiter]\nkind = \"powerdns\"\nurl = \"{}\"\nzone = \"{ZONE}\"\napi-key-file = \"key\"\n{settings}\n\n",
            server.api().url()
        );
        let fleet = Self::bare(server.address(), server.key(), tables);
        fleet.write(&server.api().key, &arbiter);
        fleet
    }

    fn bare(server: SocketAddr, key: &Key, tables: &str) -> Self {
        let home = tempfile::Builder::new().prefix("fleet-").tempdir().expect("there is room for a directory");
        let jobs = tables.lines().filter(|line| is_job(line)).count();
        let (key, tables) = (key.clone(), tables.to_owned());
        let rewritten = AtomicUsize::new(0);
        Self { home, server, key, tables, jobs, rewritten, agents: BTreeMap::new(), log: Log::default() }
    }

    /// Writes the secret and the configuration, of which `arbiter` is the table.
    fn write(&self, secret: &str, arbiter: &str) {
        let text = arbiter.to_owned() + &self.tables;
        std::fs::write(self.path(&self.key_file()), secret).expect("the key can be written");
        std::fs::write(self.config(), text).expect("the configuration can be written");
    }

    fn key_file(&self) -> String {
        match self.rewritten.load(Ordering::Relaxed) {
            0 => "key".to_owned(),
            times => format!("key-{times}"),
        }
    }

    /// The configuration's directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What the agents say.
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// Starts an agent.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(&mut self, agent: &str) {
        self.start_with(agent, &[]);
    }

    /// Starts an agent with more in its environment.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start_with(&mut self, agent: &str, environment: &[(&str, String)]) {
        let mut command = Command::new(crate::binary::soloist());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        self.start_by(command, agent);
    }

    /// Starts an agent by a command that becomes the program and takes its arguments as the last ones.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start_by(&mut self, mut command: Command, agent: &str) {
        let mut child = command
            // It ends with its stdin, and so with this process, however that ends.
            .args(["--log-format", "json", "run", "--end-with-parent", "--config"])
            .arg(self.config())
            .env("SOLOIST_AGENT_NAME", agent)
            // What they keep goes with the fleet.
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("CACHE_DIRECTORY")
            .env("SOLOIST_LOG", "info,soloist=debug,hickory_net=warn")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("an agent starts");
        self.log.follow(agent, child.stderr.take().expect("stderr is piped"));
        let before = self.agents.insert(agent.to_owned(), child);
        assert!(before.is_none(), "there is an agent `{agent}` already");
    }

    /// Starts agents, and waits until each has a module for each job.
    ///
    /// # Panics
    /// One does not get so far.
    pub async fn start_all(&mut self, agents: &[&str]) {
        for agent in agents {
            self.start(agent);
        }
        self.all_loaded(agents).await;
    }

    /// Waits until each of these agents has a module for each job.
    ///
    /// # Panics
    /// One does not get so far.
    pub async fn all_loaded(&mut self, agents: &[&str]) {
        for agent in agents {
            self.loaded(agent).await;
        }
    }

    /// Waits until an agent that was started has a module for each job.
    ///
    /// # Panics
    /// It does not get so far.
    pub async fn loaded(&mut self, agent: &str) {
        let loaded = |event: &Event| event.agent == agent && event.kind() == "swapped";
        let (log, jobs) = (self.log.clone(), self.jobs);
        let child = self.agents.get_mut(agent).expect("it was started");
        eventually(&format!("`{agent}` loads its modules"), START, async || {
            let ended = child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "`{agent}` ended: {ended:?}");
            (log.all(loaded).len() >= jobs).then_some(())
        })
        .await;
    }

    /// The process of an agent.
    ///
    /// # Panics
    /// It was not started, or was killed.
    pub fn pid(&self, agent: &str) -> u32 {
        self.child(agent).id()
    }

    fn child(&self, agent: &str) -> &Child {
        self.agents.get(agent).unwrap_or_else(|| panic!("there is no agent `{agent}`"))
    }

    fn signal(&self, agent: &str, signal: Signal) -> Pid {
        let pid = i32::try_from(self.pid(agent)).ok().and_then(Pid::from_raw).expect("a process has an id");
        // A child that has ended stays there until it is waited for: its id is no other's.
        kill_process(pid, signal).expect("an own child can be sent a signal");
        pid
    }

    /// Kills an agent (SIGKILL), and waits until it is gone. It can be started again.
    pub fn kill(&mut self, agent: &str) {
        self.signal(agent, Signal::KILL);
        self.take(agent).wait().expect("a child can be waited for");
    }

    /// Freezes an agent (SIGSTOP), and returns when all of it stands still.
    pub fn freeze(&self, agent: &str) {
        let pid = self.signal(agent, Signal::STOP);
        let status = waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child can be waited for");
        assert!(status.is_some_and(|(_, status)| status.stopped()), "`{agent}` ended when it was to be frozen");
    }

    /// Lets an agent go on (SIGCONT).
    pub fn thaw(&self, agent: &str) {
        self.signal(agent, Signal::CONT);
    }

    /// Asks an agent to read its configuration again (SIGHUP).
    pub fn hangup(&self, agent: &str) {
        self.signal(agent, Signal::HUP);
    }

    /// Asks an agent to end (SIGTERM).
    pub fn terminate(&self, agent: &str) {
        self.signal(agent, Signal::TERM);
    }

    /// Waits until an agent that was asked to end does.
    pub async fn ended(&mut self, agent: &str) -> ExitStatus {
        let mut child = self.take(agent);
        eventually(&format!("`{agent}` ends"), END, async || child.try_wait().expect("a child can be waited for")).await
    }

    fn take(&mut self, agent: &str) -> Child {
        self.agents.remove(agent).unwrap_or_else(|| panic!("there is no agent `{agent}`"))
    }

    /// The most memory that an agent has had in RAM (`VmHWM`) and what it has now (`VmRSS`), in bytes.
    pub fn memory(&self, agent: &str) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid(agent))).expect("Linux, and it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
            let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
            kib.parse::<u64>().expect("it is a number of kB") * 1024
        };
        (field("VmHWM"), field("VmRSS"))
    }

    /// How long an agent has had a processor, in seconds (`utime` and `stime` of proc(5)).
    ///
    /// # Panics
    /// It is gone.
    pub fn processor_seconds(&self, agent: &str) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid(agent))).expect("Linux, and it runs");
        // The name before it is in parentheses, and may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |field: usize| fields.get(field).and_then(|text| text.parse::<u32>().ok()).expect("Linux tells it");
        f64::from(ticks(11) + ticks(12)) / TICKS_A_SECOND
    }

    /// The arbiter of a record, as an agent has it.
    ///
    /// # Panics
    /// The record is not in the zone.
    pub fn arbiter(&self, record: &str) -> Rfc2136 {
        Rfc2136::new(rfc2136::Options {
            server: self.server.to_string(),
            zone: name(ZONE),
            record: name(record),
            key: self.key.clone(),
            ttl: rfc2136::DEFAULT_TTL,
            timeout: Duration::from_secs(10),
        })
        .expect("the record is in the zone")
    }

    /// What stands at a record.
    ///
    /// # Panics
    /// The server does not tell.
    pub async fn read(&self, record: &str) -> (Observation, Record) {
        let seen = self.arbiter(record).read().await.expect("the server tells what stands there");
        let found = seen.record().expect("it is a record").expect("there is a record");
        (seen, found)
    }

    /// Puts an idle record there, whatever stood there before: the next round is due at this second.
    ///
    /// # Panics
    /// The server does not take it.
    pub async fn due_at(&self, record: &str, second: u64) {
        let arbiter = self.arbiter(record);
        let seen = arbiter.read().await.expect("the server tells what stands there");
        let idle = Record::new("a-hand", second);
        let written = arbiter.replace(&seen.revision, &idle.encode()).await.expect("the server takes it");
        assert!(matches!(written, Replaced::Applied(_)), "{written:?}");
    }
}

fn is_job(line: &str) -> bool {
    line.trim().strip_prefix("[job.").is_some_and(|name| !name.contains('.'))
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.agents.values_mut() {
            // It may have ended by itself: then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            self.show_logs();
        }
    }
}

impl Fleet {
    #[expect(clippy::print_stderr, reason = "the test harness shows it with the failed test")]
    fn show_logs(&self) {
        let mut agents: Vec<String> = self.log.all(|_| true).into_iter().map(|event| event.agent).collect();
        agents.sort();
        agents.dedup();
        for agent in agents {
            eprintln!("--- the log of `{agent}` ends with:\n{}", self.log.tail(&agent));
        }
    }
}
