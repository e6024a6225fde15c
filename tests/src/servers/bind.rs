//! BIND 9 as a primary that lets one key change records of the types that tests write.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use soloist::arbiter::tsig::{Algorithm, Key};
use tempfile::TempDir;

use super::process::{Process, find};
use super::{TestServer, ZONE, answers, keys, launch, start_program, token, zone_file};
use crate::netns::Place;

/// What a small disk holds, in bytes.
const SMALL: usize = 256 * 1024;

/// A running named.
pub struct Bind {
    // First, so that it is dropped before its directory.
    process: Process,
    address: SocketAddr,
    key: Key,
    stranger: Key,
    files: Files,
}

/// What a server keeps its zone on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// The directory for temporary files.
    Ample,
    /// A file system of its own, of 256 KiB, that is gone with the process.
    Small,
}

struct Files {
    directory: TempDir,
    named: PathBuf,
    place: Option<Place>,
    disk: Disk,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn spawn(&self) -> Result<Process> {
        let configuration = self.path("named.conf");
        let arguments = ["-g".as_ref(), "-c".as_ref(), configuration.as_os_str(), "-n".as_ref(), OsStr::new("2")];
        let (command, log) = (launch(&self.named, self.place.as_ref()), self.path("named.log"));
        match self.disk {
            Disk::Ample => Process::spawn_by(command, &arguments, &log),
            Disk::Small => {
                // In the namespace of mounts that `ip netns exec` has made for it: nobody else sees it.
                let mount =
                    format!("mount -t tmpfs -o size={SMALL} none \"$1\" && cp \"$2\" \"$1\" && shift 2 && exec \"$@\"");
                let (data, zone) = (self.path("data"), self.path("zone"));
                let program = [data.as_os_str(), zone.as_os_str(), self.named.as_os_str()];
                let shell = ["-c".as_ref(), mount.as_ref(), OsStr::new("sh")];
                let all: Vec<&OsStr> = shell.into_iter().chain(program).chain(arguments).collect();
                Process::spawn_by(launch(Path::new("sh"), self.place.as_ref()), &all, &log)
            }
        }
    }

    fn configure(&self, address: SocketAddr, writers: &[&Key], stranger: &Key) -> Result<()> {
        Ok(std::fs::write(self.path("named.conf"), configuration(self, address, writers, stranger))?)
    }
}

impl Bind {
    pub(super) async fn start(algorithm: Algorithm) -> Result<Self> {
        Self::start_anywhere(algorithm, None, Disk::Ample).await
    }

    /// Starts it at this place of a network, and waits until it answers.
    ///
    /// # Errors
    /// The program is missing or does not answer; its log is in the error.
    pub async fn start_at(place: &Place, disk: Disk) -> Result<Self> {
        Self::start_anywhere(Algorithm::default(), Some(place), disk).await
    }

    async fn start_anywhere(algorithm: Algorithm, place: Option<&Place>, disk: Disk) -> Result<Self> {
        let (key, stranger) = keys(algorithm)?;
        let directory = tempfile::Builder::new().prefix("bind-").tempdir()?;
        // A copy, since AppArmor ties its rules for named to the original's path, and they allow no temporary directory.
        let named = directory.path().join("named");
        std::fs::copy(find("named")?, &named)?;
        let files = Files { directory, named, place: place.cloned(), disk };
        let token = token(files.directory.path())?;
        std::fs::create_dir(files.path("data"))?;
        for file in ["zone", "data/zone"] {
            std::fs::write(files.path(file), zone_file(&token, place))?;
        }
        let spawn = |address: SocketAddr| {
            files.configure(address, &[&key], &stranger)?;
            files.spawn()
        };
        let (address, process) = start_program(spawn, place, &token).await?;
        Ok(Self { process, address, key, stranger, files })
    }

    /// Lets these keys write from now on, and no others. It takes a moment.
    pub fn accept(&self, writers: &[&Key]) -> Result<()> {
        self.files.configure(self.address, writers, &self.stranger)?;
        self.process.reload()
    }

    /// Fills its disk to the last byte.
    pub fn fill_disk(&self) -> Result<()> {
        let mut ballast = File::create(self.ballast())?;
        for size in [4096, 1] {
            for _ in 0..SMALL {
                match ballast.write(&vec![0; size]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        match ballast.write(&[0]) {
            Err(error) if error.kind() == ErrorKind::StorageFull => Ok(()),
            written => bail!("the disk is not full: {written:?}"),
        }
    }

    /// Makes room on it again.
    pub fn empty_disk(&self) -> Result<()> {
        std::fs::remove_file(self.ballast()).context("the disk was filled")
    }

    fn ballast(&self) -> PathBuf {
        self.process.sees(&self.files.path("data/ballast"))
    }
}

fn configuration(files: &Files, address: SocketAddr, writers: &[&Key], stranger: &Key) -> String {
    let clause = |key: &Key| {
        let (name, algorithm, secret) = (key.name(), key.algorithm().name(), key.secret_base64());
        format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n")
    };
    let keys: String = writers.iter().copied().chain([stranger]).map(clause).collect();
    let grants: String =
        writers.iter().map(|key| format!("grant {} zonesub TXT A AAAA CNAME MX NS; ", key.name())).collect();
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
        {keys}
        zone \"{ZONE}\" {{
            type primary;
            file \"{directory}/data/zone\";
            update-policy {{ {grants}}};
        }};\n",
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
