//! Knot DNS as a primary that lets one key change records of the types that tests write.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use async_trait::async_trait;
use soloist::arbiter::tsig::{Algorithm, Key};
use tempfile::TempDir;

use super::process::{Process, find};
use super::{TestServer, ZONE, answers, keys, launch, start_program, token, zone_file};
use crate::netns::Place;

/// A running knotd.
pub(super) struct Knot {
    // First, so that it is dropped before its directory.
    process: Process,
    address: SocketAddr,
    key: Key,
    stranger: Key,
    directory: TempDir,
    place: Option<Place>,
}

fn spawn(directory: &Path, place: Option<&Place>) -> Result<Process> {
    let configuration: PathBuf = directory.join("knot.conf");
    let arguments = ["-c".as_ref(), configuration.as_os_str()];
    Process::spawn_by(launch(&find("knotd")?, place), &arguments, &directory.join("knot.log"))
}

impl Knot {
    pub(super) async fn start(algorithm: Algorithm, place: Option<&Place>) -> Result<Self> {
        let (key, stranger) = keys(algorithm)?;
        let directory = tempfile::Builder::new().prefix("knot-").tempdir()?;
        let token = token(directory.path())?;
        std::fs::write(directory.path().join("zone"), zone_file(&token, place))?;
        // Knot does not make it, starts all the same, and then fails every update.
        std::fs::create_dir(directory.path().join("database"))?;
        let starting = |address: SocketAddr| {
            let text = configuration(directory.path(), address, [&key, &stranger]);
            std::fs::write(directory.path().join("knot.conf"), text)?;
            spawn(directory.path(), place)
        };
        let (address, process) = start_program(starting, place, &token).await?;
        Ok(Self { process, address, key, stranger, directory, place: place.cloned() })
    }
}

fn configuration(directory: &Path, address: SocketAddr, keys: [&Key; 2]) -> String {
    let sections = keys.map(|key| {
        let (name, algorithm, secret) = (key.name(), key.algorithm().name(), key.secret_base64());
        format!("  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n")
    });
    let directory = directory.display();
    let (ip, port) = (address.ip(), address.port());
    let updater = keys[0].name();
    format!(
        "server:\n    rundir: \"{directory}\"\n    listen: {ip}@{port}\n    udp-workers: 1\n    tcp-workers: 2\n    background-workers: 2\n\
         database:\n    storage: \"{directory}/database\"\n\
         log:\n  - target: stderr\n    any: info\n\
         key:\n{}\
         acl:\n  - id: update\n    key: {updater}\n    action: update\n    update-type: [TXT, A, AAAA, CNAME, MX]\n\
         zone:\n  - domain: {ZONE}\n    storage: \"{directory}\"\n    file: zone\n    acl: update\n",
        sections.concat(),
    )
}

#[async_trait]
impl TestServer for Knot {
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
        self.process = spawn(self.directory.path(), self.place.as_ref())?;
        answers(self.address, &token(self.directory.path())?, &mut self.process).await
    }

    fn process(&self) -> Option<&Process> {
        Some(&self.process)
    }
}
