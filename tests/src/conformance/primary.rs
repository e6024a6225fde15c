//! What the arbiter `rfc2136` must do at every real server, beyond what every arbiter does.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use soloist::arbiter::rfc2136::{Options, Rfc2136};
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist::arbiter::{Arbiter, Error};
use soloist::round::{Observation, Replaced, Revision};

use super::{Subject, applied, conflict, race, record, stands};
use crate::hand::name;
use crate::servers::{self, ALIAS, Kind, TestServer};

/// A time-out for what never answers.
const SHORT: Duration = Duration::from_millis(500);

#[async_trait]
impl Subject for Box<dyn TestServer> {
    fn arbiter(&self, record: &str) -> Result<Arc<dyn Arbiter>> {
        Ok(Arc::new(Rfc2136::new(self.options(record))?))
    }

    async fn overwrite(&self, record: &str, records: &[&[&[u8]]]) -> Result<()> {
        self.hand().overwrite_txt(&name(record), records).await
    }
}

/// Makes sure that the server refused, in words that hold all of these.
pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) -> Result<()> {
    let error = result.err().context("expected a refusal")?;
    ensure!(matches!(error, Error::Refused { .. }), "expected a refusal, got {error:?}");
    let text = error.to_string();
    for word in words {
        ensure!(text.contains(word), "`{word}` is missing in: {text}");
    }
    Ok(())
}

/// Every algorithm signs updates that this server takes.
pub async fn every_algorithm_is_understood(kind: Kind) -> Result<()> {
    for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512] {
        let server = servers::start(kind, algorithm).await?;
        let arbiter = Rfc2136::new(server.options("algorithm.example.test"))?;
        let revision = applied(arbiter.replace(&Revision::Absent, &record("one").encode()).await?)?;
        conflict(&arbiter.replace(&Revision::Absent, &record("two").encode()).await?)?;
        applied(arbiter.replace(&revision, &record("two").encode()).await?)?;
        stands(&arbiter, &record("two")).await?;
    }
    Ok(())
}

/// A wrong secret, name or algorithm, and a key without permission, are refused in words that say what to check.
pub async fn a_wrong_key_is_refused_in_words(kind: Kind) -> Result<()> {
    let server = servers::start(kind, Algorithm::HmacSha256).await?;
    let with = |key: Key| Rfc2136::new(Options { key, ..server.options("key.example.test") });

    let secret = with(Key::generate("soloist", Algorithm::HmacSha256)?)?;
    refused(secret.replace(&Revision::Absent, &record("a").encode()).await, &["`soloist`", "check its secret"])?;
    let unknown = with(Key::generate("nobody", Algorithm::HmacSha256)?)?;
    refused(unknown.replace(&Revision::Absent, &record("a").encode()).await, &["`nobody`", "check the key's name"])?;
    let algorithm = Key::new("soloist", Algorithm::HmacSha512, &server.key().secret_base64(), "the key")?;
    refused(with(algorithm)?.replace(&Revision::Absent, &record("a").encode()).await, &["`soloist`", "hmac-sha512"])?;
    if let Some(stranger) = server.stranger() {
        let stranger = with(stranger.clone())?;
        refused(stranger.replace(&Revision::Absent, &record("a").encode()).await, &["`stranger`", "check"])?;
    }

    let arbiter = with(server.key().clone())?;
    ensure!(arbiter.read().await? == Observation::absent(), "a wrong key has written");
    Ok(())
}

/// A zone that the server does not serve is refused in words, on reading and on writing.
pub async fn another_zone_is_refused_in_words(kind: Kind) -> Result<()> {
    let server = servers::start(kind, Algorithm::HmacSha256).await?;
    let options = Options { zone: name("example.org"), ..server.options("job.example.org") };
    let arbiter = Rfc2136::new(options)?;
    refused(arbiter.read().await, &["`example.org`"])?;
    refused(arbiter.replace(&Revision::Absent, &record("a").encode()).await, &["`example.org`", "check"])?;

    let above = Rfc2136::new(Options { zone: name("test"), ..server.options("job.example.test") })?;
    refused(above.read().await, &["`example.test`", "not in `test`"])?;
    Ok(())
}

/// An alias is no place for a record: it is not read as absent, and no creation there is believed.
pub async fn an_alias_is_never_claimed(kind: Kind) -> Result<()> {
    let server = servers::start(kind, Algorithm::HmacSha256).await?;
    let arbiter = Rfc2136::new(server.options(ALIAS))?;
    let error = arbiter.read().await.err().context("an alias holds no record")?;
    ensure!(error.to_string().contains("alias"), "{error}");
    conflict(&arbiter.replace(&Revision::Absent, &record("a").encode()).await?)
}

/// The same value in other strings is another RRset: a claim on what was read before is a conflict.
pub async fn strings_are_compared_exactly(kind: Kind) -> Result<()> {
    let server = servers::start(kind, Algorithm::HmacSha256).await?;
    let odd = "odd.example.test";
    let arbiter = Rfc2136::new(server.options(odd))?;
    server.overwrite(odd, &[&[b"ab", b"c"]]).await?;
    let seen = arbiter.read().await?;
    for other in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""]] {
        server.overwrite(odd, &[other]).await?;
        conflict(&arbiter.replace(&seen.revision, &record("claim").encode()).await?)?;
    }
    server.overwrite(odd, &[&[b"ab", b"c"]]).await?;
    applied(arbiter.replace(&seen.revision, &record("claim").encode()).await?)?;
    Ok(())
}

/// Values that differ in the case of a letter only are different ones.
pub async fn values_are_compared_with_regard_to_case(kind: Kind) -> Result<()> {
    let (_server, arbiter, seen) = another_case(kind).await?;
    conflict(&arbiter.replace(&seen.revision, &record("claim").encode()).await?)
}

/// PowerDNS (4.7) takes values that differ in the case of a letter only for the same: so a claim goes through although
/// somebody has written in between, and nothing that an agent writes may tell two records apart by case alone.
pub async fn values_are_compared_without_regard_to_case(kind: Kind) -> Result<()> {
    let (_server, arbiter, seen) = another_case(kind).await?;
    applied(arbiter.replace(&seen.revision, &record("claim").encode()).await?)?;
    Ok(())
}

/// What was seen, and has become the same in capital letters since.
async fn another_case(kind: Kind) -> Result<(Box<dyn TestServer>, Rfc2136, Observation)> {
    let server = servers::start(kind, Algorithm::HmacSha256).await?;
    let case = "case.example.test";
    let arbiter = Rfc2136::new(server.options(case))?;
    server.overwrite(case, &[&[b"abc"]]).await?;
    let seen = arbiter.read().await?;
    server.overwrite(case, &[&[b"ABC"]]).await?;
    let now = arbiter.read().await?;
    ensure!(now.is(b"ABC") && now.revision != seen.revision, "saw {now:?}");
    Ok((server, arbiter, seen))
}

/// 24 agents over one connection are no less apart than over 24.
pub async fn one_claimant_has_each_round_over_one_connection(kind: Kind) -> Result<()> {
    let server = servers::start(kind, Algorithm::HmacSha256).await?;
    let first = Rfc2136::new(server.options("shared.example.test"))?;
    let arbiters: Vec<Arc<dyn Arbiter>> = (0..super::CLAIMANTS)
        .map(|_| anyhow::Ok(Arc::new(first.beside(&name("shared.example.test"))?) as Arc<dyn Arbiter>))
        .collect::<Result<_>>()?;
    race(&arbiters).await
}

/// A server that was killed and is back is used at the next request, and has kept what it acknowledged.
pub async fn a_restarted_server_is_found_again(kind: Kind) -> Result<()> {
    let mut server = servers::start(kind, Algorithm::HmacSha256).await?;
    let arbiter = Rfc2136::new(server.options("restart.example.test"))?;
    let revision = applied(arbiter.replace(&Revision::Absent, &record("before").encode()).await?)?;
    server.restart().await?;
    let seen = stands(&arbiter, &record("before")).await?;
    ensure!(seen.revision == revision, "the record came back as another one");
    let revision = applied(arbiter.replace(&revision, &record("after").encode()).await?)?;

    // The first request after a restart may just as well be a claim: one that cannot be lost on a dead connection.
    server.restart().await?;
    match arbiter.replace(&revision, &record("claim").encode()).await? {
        Replaced::Applied(_) => {}
        Replaced::Unknown(_) => {
            let seen = arbiter.read().await?;
            ensure!(seen.is(&record("after").encode()) || seen.is(&record("claim").encode()), "saw {seen:?}");
        }
        Replaced::Conflict => anyhow::bail!("nobody else has claimed"),
    }
    Ok(())
}

/// A server that is frozen leaves a claim unknown and a read unreachable; thawed, it is used again, and what it had
/// been sent is either done or not, as the next read says.
pub async fn a_frozen_server_leaves_a_claim_unknown(kind: Kind) -> Result<()> {
    let server = servers::start(kind, Algorithm::HmacSha256).await?;
    let process = server.process().context("only a process can be frozen")?;
    let options = Options { timeout: SHORT, ..server.options("frozen.example.test") };
    let (arbiter, fresh) = (Rfc2136::new(options.clone())?, Rfc2136::new(options)?);
    let patient = Rfc2136::new(server.options("frozen.example.test"))?;
    let revision = applied(patient.replace(&Revision::Absent, &record("before").encode()).await?)?;
    stands(&patient, &record("before")).await?;

    process.freeze()?;
    for arbiter in [&arbiter, &fresh] {
        let read = arbiter.read().await;
        ensure!(matches!(read, Err(Error::Unreachable { .. })), "got {read:?}");
        let replaced = arbiter.replace(&revision, &record("claim").encode()).await;
        ensure!(matches!(replaced, Ok(Replaced::Unknown(_))), "got {replaced:?}");
    }
    process.thaw()?;

    let seen = patient.read().await?;
    ensure!(seen.is(&record("before").encode()) || seen.is(&record("claim").encode()), "saw {seen:?}");
    // What the server had been sent may be done only now: each step below says by its revision what it builds on.
    let mut revision = seen.revision;
    loop {
        match patient.replace(&revision, &record("after").encode()).await? {
            Replaced::Applied(_) => return Ok(()),
            _ => revision = stands(&patient, &record("claim")).await?.revision,
        }
    }
}
