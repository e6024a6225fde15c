//! PowerDNS on SQLite as a primary that lets one key change TXT records, with its HTTP API beside it.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use soloist::arbiter::tsig::{Algorithm, Key};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::process::{Process, find};
use super::{ATTEMPTS, START, TestServer, ZONE, answers, keys, start_program, token, zone_file};

/// Where Debian's package keeps the tables' definition.
const SCHEMAS: [&str; 2] = [
    "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql",
    "/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql",
];

/// Makes a database of a schema: Python has SQLite within, and needs no program of SQLite's own.
const MAKE_DATABASE: &str = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())";

/// The name under which all of PowerDNS's programs look for their configuration.
const CONFIGURATION: &str = "pdns.conf";

/// A running `pdns_server`.
#[derive(Debug)]
pub struct PowerDns {
    // First, so that it is dropped before its directory.
    process: Process,
    address: SocketAddr,
    key: Key,
    stranger: Key,
    api: Api,
    directory: TempDir,
}

/// The HTTP API of a server.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it asks of its callers: `X-API-Key`.
    pub key: String,
}

impl Api {
    /// Its URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A port that nobody uses, and a key that nobody knows.
    async fn unused() -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        Ok(Self { address, key: format!("{:032x}", rand::random::<u128>()) })
    }

    /// Waits until it answers to this key.
    async fn answers(&self, process: &mut Process) -> Result<()> {
        let url = format!("{}/api/v1/servers/localhost", self.url());
        let client = reqwest::Client::builder().no_proxy().build()?;
        let asking = async {
            loop {
                if let Some(status) = process.ended()? {
                    bail!("the server ended ({status})");
                }
                match client.get(&url).header("X-API-Key", &self.key).send().await {
                    Ok(answer) if answer.status().is_success() => return Ok(()),
                    Ok(answer) => bail!("another server answers at {}: {}", self.address, answer.status()),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let outcome = tokio::time::timeout(START, asking).await.context("the API does not answer");
        outcome.and_then(|result| result).with_context(|| process.log())
    }
}

impl PowerDns {
    /// Starts one, and waits until both DNS and the API answer.
    ///
    /// # Errors
    /// A program is missing or does not answer; its log is in the error.
    pub async fn start(algorithm: Algorithm) -> Result<Self> {
        soloist::capability::http::install_crypto();
        let (key, stranger) = keys(algorithm)?;
        let directory = tempfile::Builder::new().prefix("powerdns-").tempdir()?;
        let path = directory.path();
        let token = token(path)?;
        // The tools read the same file as the server.
        std::fs::write(path.join(CONFIGURATION), database(path))?;
        make_zone(path, &token, [&key, &stranger])?;
        let mut attempt = 1;
        loop {
            let api = Api::unused().await?;
            let starting = |address: SocketAddr| {
                std::fs::write(path.join(CONFIGURATION), database(path) + &configuration(path, address, &api))?;
                spawn(path)
            };
            let (address, mut process) = start_program(starting, None, &token).await?;
            match api.answers(&mut process).await {
                Ok(()) => return Ok(Self { process, address, key, stranger, api, directory }),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Its HTTP API.
    pub const fn api(&self) -> &Api {
        &self.api
    }
}

fn database(directory: &Path) -> String {
    // No SYNC: a killed server has lost nothing that it gave to the system, and no test cuts the power.
    format!(
        "launch=gsqlite3\ngsqlite3-database={}\ngsqlite3-pragma-synchronous=0\n",
        database_file(directory).display()
    )
}

fn database_file(directory: &Path) -> PathBuf {
    directory.join("pdns.sqlite3")
}

/// Every cache is off: an arbiter's answer must be what stands there now. Each agent keeps one connection, and by default
/// PowerDNS lets the 21st wait until another one has been idle for 5 s.
fn configuration(directory: &Path, address: SocketAddr, api: &Api) -> String {
    let (ip, port) = (address.ip(), address.port());
    let (api_ip, api_port, key) = (api.address.ip(), api.address.port(), &api.key);
    format!(
        "local-address={ip}\nlocal-port={port}\nmax-tcp-connections=200\n\
         socket-dir={}\ndaemon=no\nguardian=no\nwrite-pid=no\ndisable-syslog=yes\nsetuid=\nsetgid=\nsecurity-poll-suffix=\n\
         cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\nzone-metadata-cache-ttl=0\n\
         dnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\n\
         webserver=yes\nwebserver-address={api_ip}\nwebserver-port={api_port}\nwebserver-allow-from=127.0.0.0/8\n\
         api=yes\napi-key={key}\n",
        directory.display()
    )
}

/// The database with the zone, and the keys that may and may not change it.
fn make_zone(directory: &Path, token: &str, [key, stranger]: [&Key; 2]) -> Result<()> {
    let schema = SCHEMAS.map(Path::new).into_iter().find(|schema| schema.is_file());
    let schema = schema.context("`pdns-backend-sqlite3` is not installed: it has no schema")?;
    let file = database_file(directory);
    run(Command::new("/usr/bin/python3").arg("-c").arg(MAKE_DATABASE).arg(&file).arg(schema))?;
    let zone = directory.join("zone");
    std::fs::write(&zone, zone_file(token, None))?;
    pdnsutil(directory, &["load-zone".as_ref(), ZONE.as_ref(), zone.as_os_str()])?;
    for key in [key, stranger] {
        let (name, algorithm, secret) = (key.name().to_string(), key.algorithm().name(), key.secret_base64());
        pdnsutil(directory, &["import-tsig-key", &name, algorithm, &secret].map(OsStr::new))?;
    }
    let updater = key.name().to_string();
    pdnsutil(directory, &["set-meta", ZONE, "TSIG-ALLOW-DNSUPDATE", &updater].map(OsStr::new))?;
    pdnsutil(directory, &["set-meta", ZONE, "ALLOW-DNSUPDATE-FROM", "127.0.0.0/8"].map(OsStr::new))
}

/// Where PowerDNS's programs find their configuration: one argument, with an equals sign.
fn config_dir(directory: &Path) -> OsString {
    let mut argument = OsString::from("--config-dir=");
    argument.push(directory);
    argument
}

fn pdnsutil(directory: &Path, arguments: &[&OsStr]) -> Result<()> {
    run(Command::new(find("pdnsutil")?).arg(config_dir(directory)).args(arguments))
}

/// Runs a tool to its end.
fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(output.status.success(), "{} ended with {}: {said}", command.get_program().display(), output.status);
    Ok(())
}

fn spawn(directory: &Path) -> Result<Process> {
    Process::spawn(&find("pdns_server")?, &[&config_dir(directory)], &directory.join("pdns.log"))
}

#[async_trait]
impl TestServer for PowerDns {
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
        self.process = spawn(self.directory.path())?;
        answers(self.address, &token(self.directory.path())?, &mut self.process).await?;
        self.api.answers(&mut self.process).await
    }

    fn process(&self) -> Option<&Process> {
        Some(&self.process)
    }
}
