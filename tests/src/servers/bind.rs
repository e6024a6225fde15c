//! BIND 9 as a primary that lets one key change TXT records.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use async_trait::async_trait;
use soloist::arbiter::tsig::{Algorithm, Key};
use tempfile::TempDir;

use super::process::{Process, find};
use super::{TestServer, ZONE, answers, keys, start_program, token, zone_file};

/// A running named.
pub(super) struct Bind {
    // First, so that it is dropped before its directory.
    process: Process,
    address: SocketAddr,
    key: Key,
    stranger: Key,
    files: Files,
}

struct Files {
    directory: TempDir,
    named: PathBuf,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn spawn(&self) -> Result<Process> {
        let configuration = self.path("named.conf");
        let arguments = ["-g".as_ref(), "-c".as_ref(), configuration.as_os_str(), "-n".as_ref(), OsStr::new("2")];
        Process::spawn(&self.named, &arguments, &self.path("named.log"))
    }
}

impl Bind {
    pub(super) async fn start(algorithm: Algorithm) -> Result<Self> {
        let (key, stranger) = keys(algorithm)?;
        let directory = tempfile::Builder::new().prefix("bind-").tempdir()?;
        // A copy, since AppArmor ties its rules for named to the original's path, and they allow no temporary directory.
        let named = directory.path().join("named");
        std::fs::copy(find("named")?, &named)?;
        let files = Files { directory, named };
        let token = token(files.directory.path())?;
        std::fs::write(files.path("zone"), zone_file(&token))?;
        let spawn = |address: SocketAddr| {
            std::fs::write(files.path("named.conf"), configuration(&files, address, [&key, &stranger]))?;
            files.spawn()
        };
        let (address, process) = start_program(spawn, &token).await?;
        Ok(Self { process, address, key, stranger, files })
    }
}

fn configuration(files: &Files, address: SocketAddr, [key, stranger]: [&Key; 2]) -> String {
    let clause = |key: &Key| {
        let (name, algorithm, secret) = (key.name(), key.algorithm().name(), key.secret_base64());
        format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n")
    };
    let directory = files.directory.path().display();
    let (ip, port) = (address.ip(), address.port());
    format!(
        "options {{
            directory \"{directory}\";
            listen-on port {port} {{ {ip}; }};
            listen-on-v6 {{ none; }};
            pid-file \"{directory}/named.pid\";
            session-keyfile \"{directory}/session.key\";
            managed-keys-directory \"{directory}\";
            lock-file none;
            recursion no;
            dnssec-validation no;
            empty-zones-enable no;
            notify no;
            allow-query {{ any; }};
        }};
        controls {{ }};
        {}{}
        zone \"{ZONE}\" {{
            type primary;
            file \"{directory}/zone\";
            update-policy {{ grant {} zonesub TXT; }};
        }};\n",
        clause(key),
        clause(stranger),
        key.name(),
    )
}

#[async_trait]
impl TestServer for Bind {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn stranger(&self) -> Option<&Key> {
        Some(&self.stranger)
    }

    async fn restart(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process = self.files.spawn()?;
        answers(self.address, &token(self.files.directory.path())?, &mut self.process).await
    }

    fn process(&self) -> Option<&Process> {
        Some(&self.process)
    }
}
