//! A `soloist dns serve` process of a test's own, killed when it goes out of scope.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use soloist::arbiter::tsig::Key;

/// How long a server may take to start: far longer than it ever takes.
const START: Duration = Duration::from_secs(30);

/// The variable that hands the key's secret to the server.
const KEY_VARIABLE: &str = "SOLOIST_TEST_KEY";

/// A server process.
#[derive(Debug)]
pub struct Served {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// Where it listens, over UDP and TCP.
    pub addr: SocketAddr,
}

impl Served {
    /// Starts a server for `zone` on a free port of 127.0.0.1, on the directory `data`.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(zone: &str, key: &Key, data: &Path) -> Self {
        Self::start_by(Command::new(crate::binary::soloist()), zone, key, data)
    }

    /// The same at this address, where one was before.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_at(addr: SocketAddr, zone: &str, key: &Key, data: &Path) -> Self {
        Self::spawn(Command::new(crate::binary::soloist()), addr, zone, key, data)
    }

    /// The same, by a command that takes the program's arguments as its last ones.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_by(command: Command, zone: &str, key: &Key, data: &Path) -> Self {
        Self::spawn(command, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), zone, key, data)
    }

    fn spawn(mut command: Command, addr: SocketAddr, zone: &str, key: &Key, data: &Path) -> Self {
        command
            .args(["--log-format", "json", "dns", "serve", "--listen", &addr.to_string(), "--zone", zone])
            .args(["--key-name", &key.name().to_ascii(), "--key-algorithm", key.algorithm().name()])
            .args(["--key-env", KEY_VARIABLE, "--data"])
            .arg(data)
            .env(KEY_VARIABLE, key.secret_base64())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (sender, lines) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        // Reads to the end, or the server would stop at a full pipe.
        let said = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                said.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
                // Nobody listens any more once the server has started.
                let _ = sender.send(line);
            }
        });
        let mut seen = Vec::new();
        let addr = loop {
            let Ok(line) = lines.recv_timeout(START) else {
                let _ = child.kill();
                panic!("the server did not start: {seen:#?}");
            };
            if let Some(addr) = address_in(&line) {
                break addr;
            }
            seen.push(line);
        };
        Self { child, log, addr }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far, line by line.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills it (SIGKILL) and waits until it is gone.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.wait();
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Panics
    /// It cannot be sent a signal.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).expect("a process has an id");
        // A child that has ended stays there until it is waited for: its id is no other's.
        kill_process(pid, Signal::TERM).expect("an own child can be sent a signal");
    }

    /// Waits until it ends.
    ///
    /// # Panics
    /// It cannot be waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the server can be waited for")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The address in the log line that says where the server listens.
fn address_in(line: &str) -> Option<SocketAddr> {
    let entry: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = entry.get("message")?.as_str()?.strip_prefix("serving on ")?;
    text.split([' ', ',']).next()?.parse().ok()
}
