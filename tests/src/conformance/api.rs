//! What the arbiter `powerdns` must do at a real server, beyond what every arbiter does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use async_trait::async_trait;
use soloist::arbiter::Arbiter;
use soloist::arbiter::powerdns::{ApiKey, DEFAULT_SERVER_ID, DEFAULT_SETTLE, Options, PowerDns, client};
use soloist::round::Replaced;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{CLAIMANTS, Subject, record};
use crate::hand::name;
use crate::servers::{self, TestServer as _, ZONE};

/// A time-out for busy machines.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How many rounds are claimed at once: each is some hundred requests, and PowerDNS opens its database anew for each.
const ROUNDS: u64 = 10;

/// A PowerDNS server, asked by its API.
#[derive(Debug)]
pub struct ByApi(pub servers::PowerDns);

impl ByApi {
    /// Starts one.
    ///
    /// # Errors
    /// As [`servers::PowerDns::start`].
    pub async fn start() -> Result<Self> {
        Ok(Self(servers::PowerDns::start(soloist::arbiter::tsig::Algorithm::default()).await?))
    }

    /// What an arbiter of a record there needs.
    pub fn options(&self, record: &str) -> Result<Options> {
        options(&self.0.api().url(), &self.0.api().key, record, TIMEOUT)
    }
}

/// What an arbiter of a record at this API needs.
pub fn options(url: &str, key: &str, record: &str, timeout: Duration) -> Result<Options> {
    soloist::capability::http::install_crypto();
    Ok(Options {
        client: client(reqwest::Client::builder().tls_certs_only([]), timeout)?,
        url: url.parse()?,
        server_id: DEFAULT_SERVER_ID.to_owned(),
        zone: name(ZONE),
        record: name(record),
        key: ApiKey::new(key).ok_or_else(|| anyhow::anyhow!("it is no key"))?,
        ttl: 60,
        timeout,
        settle: timeout * DEFAULT_SETTLE,
    })
}

#[async_trait]
impl Subject for ByApi {
    fn arbiter(&self, record: &str) -> Result<Arc<dyn Arbiter>> {
        Ok(Arc::new(PowerDns::new(self.options(record)?)?))
    }

    async fn overwrite(&self, record: &str, records: &[&[&[u8]]]) -> Result<()> {
        self.0.hand().overwrite_txt(&name(record), records).await
    }
}

/// Of 24 agents that claim at once several may be told that they wrote, as the API only overwrites; when all of them are done,
/// exactly one reads itself back. Stands for `one_claimant_has_each_round`, which takes an arbiter that compares.
#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
pub async fn one_claimant_is_read_back(subject: &dyn Subject) -> Result<()> {
    let mut told = 0;
    for round in 1..=ROUNDS {
        let (start, done) = (Arc::new(Barrier::new(CLAIMANTS)), Arc::new(Barrier::new(CLAIMANTS)));
        let mut claims = JoinSet::new();
        for number in 0..CLAIMANTS {
            let arbiter = subject.arbiter("race.example.test")?;
            let (start, done) = (Arc::clone(&start), Arc::clone(&done));
            let mut claim = record(&format!("{number:02x}"));
            claim.timer = round;
            claims.spawn(async move {
                let seen = arbiter.read().await;
                start.wait().await;
                let replaced = match seen {
                    Ok(seen) => arbiter.replace(&seen.revision, &claim.encode()).await,
                    Err(error) => Err(error),
                };
                done.wait().await;
                let wrote = match replaced? {
                    Replaced::Applied(_) => true,
                    Replaced::Unknown(_) | Replaced::Conflict => false,
                };
                anyhow::Ok((wrote, arbiter.read().await?.is(&claim.encode())))
            });
        }
        let mut winners = 0;
        for claim in claims.join_all().await {
            let (wrote, is_read_back) = claim?;
            told += usize::from(wrote);
            winners += usize::from(is_read_back);
        }
        ensure!(winners == 1, "round {round} has {winners} winners");
    }
    println!("{ROUNDS} rounds: {told} claims were written, one of each round was read back");
    Ok(())
}
