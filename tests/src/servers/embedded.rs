//! Our own authoritative server, in this process.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use hickory_proto::rr::{RData, rdata::CNAME};
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist::dns::server::{self, Options, Running};
use tempfile::TempDir;

use super::{ALIAS, Process, TestServer, ZONE, keys};
use crate::hand::{Hand, name};

/// A running server.
pub(super) struct Embedded {
    // First, so that it is dropped before its directory; none only while it restarts.
    running: Option<Running>,
    address: SocketAddr,
    key: Key,
    directory: TempDir,
}

impl Embedded {
    pub(super) async fn start(algorithm: Algorithm) -> Result<Self> {
        // Every key that this server knows may write.
        let (key, _) = keys(algorithm)?;
        let directory = tempfile::Builder::new().prefix("embedded-").tempdir()?;
        let running = run(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &key, &directory).await?;
        let address = *running.addrs().first().context("it listens nowhere")?;
        let server = Self { running: Some(running), address, key, directory };
        let Hand { zone, .. } = server.hand();
        server.hand().add(&name(ALIAS), vec![RData::CNAME(CNAME(zone.prepend_label("ns")?))]).await?;
        Ok(server)
    }
}

async fn run(address: SocketAddr, key: &Key, directory: &TempDir) -> Result<Running> {
    let data = directory.path().join("zone");
    Ok(server::start(Options::new(name(ZONE), vec![address], vec![key.clone()], data)).await?)
}

#[async_trait]
impl TestServer for Embedded {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn stranger(&self) -> Option<&Key> {
        None
    }

    async fn restart(&mut self) -> Result<()> {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.running = Some(run(self.address, &self.key, &self.directory).await?);
        Ok(())
    }

    fn process(&self) -> Option<&Process> {
        None
    }
}
