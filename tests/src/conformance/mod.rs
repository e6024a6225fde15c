//! What every arbiter must do, whatever it is underneath: one function a promise, each with a record of its own.

pub mod api;
pub mod primary;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use serde_json::{Value, json};
use soloist::arbiter::Arbiter;
use soloist::arbiter::memory::Memory;
use soloist::round::{Observation, Record, Replaced, Revision, Unreadable};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// How many agents claim the same round.
const CLAIMANTS: usize = 24;

/// How many rounds they claim.
const ROUNDS: u64 = 50;

/// An arbiter under test: any number of records, each seen by any number of agents.
#[async_trait]
pub trait Subject: Send + Sync {
    /// One agent's own arbiter of a record.
    fn arbiter(&self, record: &str) -> Result<Arc<dyn Arbiter>>;

    /// Puts TXT records, each with its strings, in place of the record: a hand at the zone.
    async fn overwrite(&self, record: &str, records: &[&[&[u8]]]) -> Result<()>;
}

/// The arbiter in memory, with any number of records.
#[derive(Debug, Default)]
pub struct InMemory {
    records: Mutex<HashMap<String, Memory>>,
}

impl InMemory {
    fn record(&self, record: &str) -> Memory {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).entry(record.to_owned()).or_default().clone()
    }
}

#[async_trait]
impl Subject for InMemory {
    fn arbiter(&self, record: &str) -> Result<Arc<dyn Arbiter>> {
        Ok(Arc::new(self.record(record)))
    }

    async fn overwrite(&self, record: &str, records: &[&[&[u8]]]) -> Result<()> {
        self.record(record).overwrite(records.iter().map(|strings| strings.concat()).collect());
        Ok(())
    }
}

/// An idle record by this agent.
pub fn record(id: &str) -> Record {
    Record::new(id, 1_642_500_093)
}

/// A record whose JSON text has exactly this many bytes.
fn record_of(bytes: usize) -> Result<Record> {
    let mut long = record("long");
    long.extra.insert("x".to_owned(), Value::from(""));
    let padding = bytes.checked_sub(long.encode().len()).context("too short for a record")?;
    long.extra.insert("x".to_owned(), Value::from("x".repeat(padding)));
    ensure!(long.encode().len() == bytes, "the padding went wrong");
    Ok(long)
}

/// The revision of an applied replacement.
pub fn applied(replaced: Replaced) -> Result<Revision> {
    match replaced {
        Replaced::Applied(revision) => Ok(revision),
        other => bail!("expected an applied replacement, got {other:?}"),
    }
}

fn conflict(replaced: &Replaced) -> Result<()> {
    ensure!(*replaced == Replaced::Conflict, "expected a conflict, got {replaced:?}");
    Ok(())
}

/// Makes sure that exactly this record stands there, and gives its observation.
pub async fn stands(arbiter: &dyn Arbiter, record: &Record) -> Result<Observation> {
    let seen = arbiter.read().await?;
    ensure!(seen.is(&record.encode()), "expected {record:?}, saw {:?}", texts(&seen));
    Ok(seen)
}

fn texts(seen: &Observation) -> Vec<String> {
    seen.values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// A name without a record is read as absent, as often as one likes.
pub async fn a_missing_name_is_absent(subject: &dyn Subject) -> Result<()> {
    let arbiter = subject.arbiter("missing.example.test")?;
    for _ in 0..2 {
        let seen = arbiter.read().await?;
        ensure!(seen == Observation::absent(), "saw {seen:?}");
    }
    Ok(())
}

/// Of two creations, the second is a conflict.
pub async fn a_record_is_created_once(subject: &dyn Subject) -> Result<()> {
    let arbiter = subject.arbiter("once.example.test")?;
    applied(arbiter.replace(&Revision::Absent, &record("first").encode()).await?)?;
    conflict(&arbiter.replace(&Revision::Absent, &record("second").encode()).await?)?;
    // The same bytes again are no less a second creation.
    conflict(&arbiter.replace(&Revision::Absent, &record("first").encode()).await?)?;
    stands(&*arbiter, &record("first")).await?;
    Ok(())
}

/// A replacement with the revision that was read, or that the last one gave, applies and is read back by others.
pub async fn the_right_revision_replaces(subject: &dyn Subject) -> Result<()> {
    let (arbiter, other) = (subject.arbiter("right.example.test")?, subject.arbiter("right.example.test")?);
    applied(arbiter.replace(&Revision::Absent, &record("one").encode()).await?)?;
    let seen = stands(&*other, &record("one")).await?;
    let revision = applied(other.replace(&seen.revision, &record("two").encode()).await?)?;
    stands(&*arbiter, &record("two")).await?;
    applied(other.replace(&revision, &record("three").encode()).await?)?;
    stands(&*arbiter, &record("three")).await?;
    Ok(())
}

/// A replacement with an older revision is a conflict and changes nothing.
pub async fn a_stale_revision_changes_nothing(subject: &dyn Subject) -> Result<()> {
    let arbiter = subject.arbiter("stale.example.test")?;
    let old = applied(arbiter.replace(&Revision::Absent, &record("one").encode()).await?)?;
    applied(arbiter.replace(&old, &record("two").encode()).await?)?;
    conflict(&arbiter.replace(&old, &record("three").encode()).await?)?;
    stands(&*arbiter, &record("two")).await?;
    Ok(())
}

/// The same record has the same revision, whoever reads it, and the one that its writer was given.
pub async fn the_same_record_has_the_same_revision(subject: &dyn Subject) -> Result<()> {
    let (arbiter, other) = (subject.arbiter("same.example.test")?, subject.arbiter("same.example.test")?);
    for bytes in [60, 255, 256, 1000] {
        let before = arbiter.read().await?.revision;
        let long = record_of(bytes)?;
        let written = applied(arbiter.replace(&before, &long.encode()).await?)?;
        let (first, second) = (stands(&*arbiter, &long).await?, stands(&*other, &long).await?);
        ensure!(first == second, "two reads differ: {first:?} and {second:?}");
        ensure!(first.revision == written, "the writer was given {written:?}, and {first:?} is read");
        ensure!(before != written, "another record has the same revision");
    }
    Ok(())
}

/// Two TXT records at the name are seen, not claimed over, and repaired with the revision of both.
pub async fn a_second_record_is_seen_and_repaired(subject: &dyn Subject) -> Result<()> {
    let name = "second.example.test";
    let arbiter = subject.arbiter(name)?;
    let alone = applied(arbiter.replace(&Revision::Absent, &record("ours").encode()).await?)?;
    let ours = record("ours").encode();
    subject.overwrite(name, &[&[&ours], &[b"another"]]).await?;

    let seen = arbiter.read().await?;
    ensure!(seen.values == [b"another".to_vec(), ours], "saw {:?}", texts(&seen));
    ensure!(seen.record() == Err(Unreadable::Several(2)), "two records are no record");
    conflict(&arbiter.replace(&alone, &record("claim").encode()).await?)?;
    conflict(&arbiter.replace(&Revision::Absent, &record("claim").encode()).await?)?;
    ensure!(arbiter.read().await? == seen, "a conflict changed something");

    applied(arbiter.replace(&seen.revision, &record("repaired").encode()).await?)?;
    stands(&*arbiter, &record("repaired")).await?;
    Ok(())
}

/// With the revision of two records, nothing is replaced where only one of them is left.
pub async fn a_revision_covers_every_record(subject: &dyn Subject) -> Result<()> {
    let name = "covers.example.test";
    let arbiter = subject.arbiter(name)?;
    subject.overwrite(name, &[&[b"one"], &[b"two"]]).await?;
    let both = arbiter.read().await?.revision;
    for left in [&b"one"[..], b"two"] {
        subject.overwrite(name, &[&[left]]).await?;
        conflict(&arbiter.replace(&both, &record("claim").encode()).await?)?;
    }
    subject.overwrite(name, &[&[b"one"], &[b"two"], &[b"three"]]).await?;
    conflict(&arbiter.replace(&both, &record("claim").encode()).await?)?;
    subject.overwrite(name, &[&[b"two"], &[b"one"]]).await?;
    applied(arbiter.replace(&both, &record("claim").encode()).await?)?;
    Ok(())
}

/// Values around the length of one string, and far beyond it, are written and replaced whole.
pub async fn long_values_come_back_whole(subject: &dyn Subject) -> Result<()> {
    let arbiter = subject.arbiter("long.example.test")?;
    let mut revision = Revision::Absent;
    for bytes in [254, 255, 256, 257, 510, 511, 1000, 2000, 2048] {
        let long = record_of(bytes)?;
        applied(arbiter.replace(&revision, &long.encode()).await.with_context(|| format!("{bytes} bytes"))?)?;
        revision = stands(&*arbiter, &long).await?.revision;
    }
    applied(arbiter.replace(&revision, &record("short").encode()).await?)?;
    stands(&*arbiter, &record("short")).await?;
    Ok(())
}

/// Whatever text stands in a field comes back byte for byte.
pub async fn any_text_comes_back(subject: &dyn Subject) -> Result<()> {
    let arbiter = subject.arbiter("text.example.test")?;
    let mut revision = Revision::Absent;
    for text in ["ä€🎻", "\"quoted\"", "back\\slash \\255 \\", "tab\tline\nend\u{0}", "; $ORIGIN (.) @", "  spaces  "]
    {
        let mut odd = record("text");
        odd.extra.insert(text.to_owned(), Value::from(text));
        revision = applied(arbiter.replace(&revision, &odd.encode()).await.with_context(|| format!("{text:?}"))?)?;
        let seen = stands(&*arbiter, &odd).await?;
        ensure!(seen.revision == revision, "{text:?} has another revision when read");
        ensure!(seen.record()? == Some(odd), "{text:?} does not come back");
    }
    Ok(())
}

/// A value that is no record can be read, and replaced by its revision: no agent does, but a person may.
pub async fn what_is_no_record_can_be_replaced(subject: &dyn Subject) -> Result<()> {
    let name = "garbage.example.test";
    let arbiter = subject.arbiter(name)?;
    let every_byte: Vec<u8> = (0..=254).collect();
    for garbage in [&b"v=spf1 -all"[..], b"", b" ", &every_byte, b"\xff\xfe", b"{\"id\":"] {
        subject.overwrite(name, &[&[garbage]]).await?;
        let seen = arbiter.read().await?;
        ensure!(seen.values == [garbage.to_vec()], "{garbage:?} is read as {:?}", seen.values);
        ensure!(seen.record().is_err(), "{garbage:?} is no record");
        applied(
            arbiter
                .replace(&seen.revision, &record("repaired").encode())
                .await
                .with_context(|| format!("{garbage:?}"))?,
        )?;
        stands(&*arbiter, &record("repaired")).await?;
    }
    Ok(())
}

/// A record that stands in other strings than we would write is read, claimed, and compared exactly.
pub async fn a_value_in_odd_strings_is_replaced(subject: &dyn Subject) -> Result<()> {
    let name = "odd.example.test";
    let arbiter = subject.arbiter(name)?;
    let value = record("odd").encode();
    let (start, end) = value.split_at(2);
    let each: Vec<&[u8]> = value.chunks(1).collect();
    for strings in [&[start, end][..], &[b"", start, b"", end, b""], &each] {
        subject.overwrite(name, &[strings]).await?;
        let seen = stands(&*arbiter, &record("odd")).await?;
        ensure!(seen.record()? == Some(record("odd")), "the strings are not joined");
        applied(arbiter.replace(&seen.revision, &record("claimed").encode()).await?)?;
        stands(&*arbiter, &record("claimed")).await?;
    }
    Ok(())
}

/// A record of another program, with fields that nobody here knows, is claimed and keeps them.
pub async fn unknown_fields_survive(subject: &dyn Subject) -> Result<()> {
    let name = "unknown.example.test";
    let arbiter = subject.arbiter(name)?;
    let foreign =
        br#"{"id": "MAWDAHDOQH", "timer": 1642500093, "timerold": 1642500022, "entryid": "1b60", "z": [1, null]}"#;
    subject.overwrite(name, &[&[foreign]]).await?;
    let seen = arbiter.read().await?;
    let mut claim = seen.record()?.context("a record stands there")?;
    "ours".clone_into(&mut claim.id);
    applied(arbiter.replace(&seen.revision, &claim.encode()).await?)?;
    let kept = arbiter.read().await?.record()?.context("a record stands there")?;
    ensure!(kept == claim, "{kept:?} is not {claim:?}");
    ensure!(kept.extra["entryid"] == json!("1b60") && kept.extra["z"] == json!([1, null]), "{kept:?} lost a field");
    Ok(())
}

/// A record that was removed by hand is absent again: its revision is worth nothing, and it can be created.
pub async fn a_removed_record_can_be_created_again(subject: &dyn Subject) -> Result<()> {
    let name = "removed.example.test";
    let arbiter = subject.arbiter(name)?;
    let old = applied(arbiter.replace(&Revision::Absent, &record("old").encode()).await?)?;
    subject.overwrite(name, &[]).await?;
    ensure!(arbiter.read().await? == Observation::absent(), "the record is gone");
    conflict(&arbiter.replace(&old, &record("claim").encode()).await?)?;
    applied(arbiter.replace(&Revision::Absent, &record("new").encode()).await?)?;
    stands(&*arbiter, &record("new")).await?;
    Ok(())
}

/// Records at different names know nothing of each other.
pub async fn records_do_not_touch_each_other(subject: &dyn Subject) -> Result<()> {
    let (left, right) = (subject.arbiter("left.example.test")?, subject.arbiter("right.of.left.example.test")?);
    let revision = applied(left.replace(&Revision::Absent, &record("left").encode()).await?)?;
    ensure!(right.read().await? == Observation::absent(), "the other name has no record");
    applied(right.replace(&Revision::Absent, &record("right").encode()).await?)?;
    applied(left.replace(&revision, &record("left again").encode()).await?)?;
    stands(&*right, &record("right")).await?;
    Ok(())
}

/// Of 24 agents that claim at once, exactly one has each of 50 rounds, and it knows.
pub async fn one_claimant_has_each_round(subject: &dyn Subject) -> Result<()> {
    let arbiters: Vec<Arc<dyn Arbiter>> =
        (0..CLAIMANTS).map(|_| subject.arbiter("race.example.test")).collect::<Result<_>>()?;
    race(&arbiters).await
}

/// The race of these agents: exactly one has each round, and it knows.
pub async fn race(arbiters: &[Arc<dyn Arbiter>]) -> Result<()> {
    for round in 1..=ROUNDS {
        let start = Arc::new(Barrier::new(arbiters.len()));
        let mut claims = JoinSet::new();
        for (number, arbiter) in arbiters.iter().enumerate() {
            let (arbiter, start) = (Arc::clone(arbiter), Arc::clone(&start));
            let mut claim = record(&format!("{number:02x}"));
            claim.timer = round;
            claims.spawn(async move {
                let seen = arbiter.read().await;
                start.wait().await;
                let replaced = arbiter.replace(&seen?.revision, &claim.encode()).await?;
                anyhow::Ok((claim, replaced))
            });
        }
        let mut winners = Vec::new();
        let mut unknown = Vec::new();
        for claim in claims.join_all().await {
            match claim? {
                (claim, Replaced::Applied(_)) => winners.push(claim),
                (claim, Replaced::Unknown(_)) => unknown.push(claim),
                (_, Replaced::Conflict) => {}
            }
        }
        let seen = arbiters[0].read().await?;
        winners.extend(unknown.into_iter().filter(|claim| seen.is(&claim.encode())));
        ensure!(winners.len() == 1, "round {round} has {} winners: {winners:?}", winners.len());
        ensure!(
            seen.is(&winners[0].encode()),
            "round {round} was won by {:?}, and {:?} stands there",
            winners[0],
            texts(&seen)
        );
    }
    Ok(())
}
