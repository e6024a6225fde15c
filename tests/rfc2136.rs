//! The arbiter `rfc2136` when the way to its server, or the server itself, does not do what it should: nothing is sent
//! twice, nothing unsigned is believed, and no request waits for longer than its time-out.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use soloist::arbiter::rfc2136::{Options, Rfc2136};
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist::arbiter::{Arbiter, Error};
use soloist::round::{Observation, Replaced, Revision};
use soloist_tests::conformance::primary::refused;
use soloist_tests::conformance::{applied, record, stands};
use soloist_tests::fake::{Fake, Reply, signed, signed_at, unsigned};
use soloist_tests::hand::name;
use soloist_tests::relay::{Fault, Relay};
use soloist_tests::servers::{self, Kind, TestServer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The time-out of requests that are never answered.
const SHORT: Duration = Duration::from_millis(300);

/// How long a request that waits for one time-out may take on a busy machine.
const BUSY: Duration = Duration::from_secs(10);

async fn embedded() -> Result<Box<dyn TestServer>> {
    servers::start(Kind::Embedded, Algorithm::HmacSha256).await
}

async fn relayed(server: &dyn TestServer) -> Result<(Relay, Rfc2136)> {
    let relay = Relay::start(server.address()).await?;
    let options = Options { server: relay.address().to_string(), ..server.options("job.example.test") };
    Ok((relay, Rfc2136::new(options)?))
}

/// An arbiter at a fake server, with a key of its own.
fn at(fake: &Fake) -> Result<Rfc2136> {
    Ok(Rfc2136::new(options(fake.address(), Key::generate("soloist", Algorithm::HmacSha256)?))?)
}

fn options(server: SocketAddr, key: Key) -> Options {
    let (zone, record) = (name("example.test"), name("job.example.test"));
    Options { server: server.to_string(), zone, record, key, ttl: 60, timeout: SHORT }
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_claim_unknown_and_a_read_shows_it_as_ours() -> Result<()> {
    let server = embedded().await?;
    let (relay, arbiter) = relayed(&*server).await?;
    relay.fail_next_update(Fault::CutBeforeAnswer);
    let replaced = arbiter.replace(&Revision::Absent, &record("ours").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    let seen = stands(&arbiter, &record("ours")).await?;
    ensure!(relay.updates() == 1, "the update was sent {} times", relay.updates());
    applied(arbiter.replace(&seen.revision, &record("next").encode()).await?)?;
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_lost_leaves_the_claim_unknown_and_a_read_shows_the_old_record() -> Result<()> {
    let server = embedded().await?;
    let (relay, arbiter) = relayed(&*server).await?;
    let revision = applied(arbiter.replace(&Revision::Absent, &record("old").encode()).await?)?;
    relay.fail_next_update(Fault::CutBeforeRequest);
    let replaced = arbiter.replace(&revision, &record("ours").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    stands(&arbiter, &record("old")).await?;
    ensure!(relay.updates() == 2, "{} updates were sent, and two were asked for", relay.updates());
    applied(arbiter.replace(&revision, &record("ours").encode()).await?)?;
    Ok(())
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_the_claim_unknown_and_its_connection_unused() -> Result<()> {
    let server = embedded().await?;
    let relay = Relay::start(server.address()).await?;
    let options = Options { server: relay.address().to_string(), timeout: SHORT, ..server.options("job.example.test") };
    let arbiter = Rfc2136::new(options)?;
    relay.fail_next_update(Fault::SwallowAnswer);
    let replaced = arbiter.replace(&Revision::Absent, &record("ours").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    ensure!(relay.connections() == 1, "there were {} connections", relay.connections());
    stands(&arbiter, &record("ours")).await?;
    ensure!(
        (relay.connections(), relay.updates()) == (2, 1),
        "the hung connection was used, or the update sent, again"
    );
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_closed_while_idle_is_opened_again() -> Result<()> {
    let server = embedded().await?;
    let (relay, arbiter) = relayed(&*server).await?;
    for round in 1..=20 {
        let seen = arbiter.read().await?;
        relay.cut();
        // Nobody waits here for the arbiter to notice: whatever it does, it neither fails a read nor writes twice.
        let before = relay.updates();
        let claim = record(&format!("{round:02x}"));
        let replaced = arbiter.replace(&seen.revision, &claim.encode()).await?;
        ensure!(relay.updates() <= before + 1, "round {round}: the update was sent twice");
        relay.cut();
        let after = arbiter.read().await?;
        match replaced {
            Replaced::Applied(revision) => ensure!(after.revision == revision, "round {round}: not what was written"),
            Replaced::Unknown(_) => ensure!(after.is(&claim.encode()) || after == seen, "round {round}: saw {after:?}"),
            Replaced::Conflict => anyhow::bail!("round {round}: nobody else has claimed"),
        }
    }
    Ok(())
}

#[tokio::test]
async fn any_number_of_jobs_share_one_connection() -> Result<()> {
    let server = embedded().await?;
    let (relay, first) = relayed(&*server).await?;
    let mut jobs = JoinSet::new();
    for number in 0..200 {
        let arbiter = first.beside(&name(&format!("job{number}.example.test")))?;
        jobs.spawn(async move {
            ensure!(arbiter.read().await? == Observation::absent(), "nothing stands there");
            let revision = applied(arbiter.replace(&Revision::Absent, &record("one").encode()).await?)?;
            applied(arbiter.replace(&revision, &record("two").encode()).await?)?;
            stands(&arbiter, &record("two")).await?;
            Ok(())
        });
    }
    for job in jobs.join_all().await {
        job?;
    }
    ensure!(relay.connections() == 1, "200 jobs took {} connections", relay.connections());
    ensure!(relay.updates() == 400, "{} updates were sent, and 400 were asked for", relay.updates());
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() -> Result<()> {
    let silent = Fake::start(|_, _| Reply::Silence).await?;
    let arbiter = at(&silent)?;
    let started = Instant::now();
    let read = arbiter.read().await;
    ensure!(matches!(read, Err(Error::Unreachable { .. })), "got {read:?}");
    let replaced = arbiter.replace(&Revision::Absent, &record("a").encode()).await;
    ensure!(matches!(replaced, Ok(Replaced::Unknown(_))), "got {replaced:?}");
    ensure!(started.elapsed() < BUSY, "it took {:?}", started.elapsed());
    let connections = silent.connections();
    ensure!(connections == 2, "each request opens a connection of its own, and there were {connections}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_answers_holds_up_no_queue() -> Result<()> {
    let silent = Fake::start(|_, _| Reply::Silence).await?;
    let first = at(&silent)?;
    let started = Instant::now();
    let mut jobs = JoinSet::new();
    for number in 0..100 {
        let arbiter = first.beside(&name(&format!("job{number}.example.test")))?;
        jobs.spawn(async move { arbiter.replace(&Revision::Absent, &record("a").encode()).await });
    }
    for outcome in jobs.join_all().await {
        // Those whose turn never came were not sent at all.
        let given_up = matches!(outcome, Ok(Replaced::Unknown(_)) | Err(Error::Unreachable { .. }));
        ensure!(given_up, "got {outcome:?}");
    }
    ensure!(started.elapsed() < BUSY, "it took {:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_at_once() -> Result<()> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    let arbiter = Rfc2136::new(options(free, Key::generate("soloist", Algorithm::HmacSha256)?))?;
    let started = Instant::now();
    let read = arbiter.read().await;
    let Err(Error::Unreachable { place, reason }) = read else { anyhow::bail!("got {read:?}") };
    ensure!(place == free.to_string() && reason.contains("refused"), "{place}: {reason}");
    let replaced = arbiter.replace(&Revision::Absent, &record("a").encode()).await;
    ensure!(matches!(replaced, Err(Error::Unreachable { .. })), "got {replaced:?}");
    ensure!(started.elapsed() < BUSY, "it took {:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn an_unsigned_answer_neither_wins_nor_loses_a_round() -> Result<()> {
    for code in [ResponseCode::NoError, ResponseCode::NXRRSet, ResponseCode::YXRRSet, ResponseCode::ServFail] {
        let forger = Fake::start(move |request, _| unsigned(request, code).into()).await?;
        let replaced = at(&forger)?.replace(&Revision::Absent, &record("a").encode()).await?;
        let Replaced::Unknown(reason) = replaced else { anyhow::bail!("{code} unsigned is believed: {replaced:?}") };
        ensure!(reason.contains("not signed with the key `soloist`"), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_signed_with_another_key_neither_wins_nor_loses_a_round() -> Result<()> {
    let other = Key::generate("soloist", Algorithm::HmacSha256)?.signer();
    let forger = Fake::start(move |request, _| signed(request, ResponseCode::NoError, &other, None).into()).await?;
    let replaced = at(&forger)?.replace(&Revision::Absent, &record("a").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    Ok(())
}

#[tokio::test]
async fn an_unsigned_refusal_says_what_to_check() -> Result<()> {
    let words: [(ResponseCode, &[&str]); 5] = [
        (ResponseCode::Refused, &["`soloist`", "update-policy { grant soloist. name job.example.test. TXT; };"]),
        (ResponseCode::NotAuth, &["`example.test`", "`soloist`"]),
        (ResponseCode::NotZone, &["`job.example.test`", "`example.test`"]),
        (ResponseCode::NotImp, &["no dynamic updates"]),
        (ResponseCode::FormErr, &["FORMERR"]),
    ];
    for (code, words) in words {
        let refusing = Fake::start(move |request, _| unsigned(request, code).into()).await?;
        refused(at(&refusing)?.replace(&Revision::Absent, &record("a").encode()).await, words)?;
    }
    Ok(())
}

#[tokio::test]
async fn garbage_for_an_answer_leaves_a_claim_unknown_and_a_read_without_result() -> Result<()> {
    let garbage: [fn(&[u8], usize) -> Reply; 4] = [
        |_, _| Reply::Answer(Vec::new()),
        |_, _| Reply::Answer(vec![0xff; 700]),
        |request, _| Reply::Answer(request[..12].to_vec()),
        |request, _| Reply::Answer(request.to_vec()),
    ];
    for answer in garbage {
        let babbler = Fake::start(answer).await?;
        let arbiter = at(&babbler)?;
        let replaced = arbiter.replace(&Revision::Absent, &record("a").encode()).await;
        ensure!(matches!(replaced, Ok(Replaced::Unknown(_))), "got {replaced:?}");
        let read = arbiter.read().await;
        ensure!(matches!(read, Err(Error::Unreachable { .. } | Error::Nonsense { .. })), "got {read:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_not_authoritative_is_not_read_as_absent() -> Result<()> {
    for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
        let cache = Fake::start(move |request, _| {
            let mut answer = unsigned(request, code)
                .and_then(|answer| Message::from_vec(&answer).ok())
                .unwrap_or_else(Message::query);
            answer.metadata.authoritative = false;
            answer.to_vec().ok().into()
        })
        .await?;
        refused(at(&cache)?.read().await, &["not authoritative for `job.example.test`"])?;
    }
    let failing = Fake::start(|request, _| unsigned(request, ResponseCode::ServFail).into()).await?;
    let read = at(&failing)?.read().await;
    ensure!(matches!(read, Err(Error::Unreachable { .. })), "got {read:?}");
    Ok(())
}

#[tokio::test]
async fn a_signed_answer_is_believed() -> Result<()> {
    for (code, means) in [
        (ResponseCode::NoError, "Applied"),
        (ResponseCode::NXRRSet, "Conflict"),
        (ResponseCode::YXRRSet, "Conflict"),
        (ResponseCode::NXDomain, "Conflict"),
        (ResponseCode::YXDomain, "Conflict"),
        (ResponseCode::ServFail, "Unknown"),
        (ResponseCode::Unknown(11), "Unknown"),
    ] {
        let key = Key::generate("soloist", Algorithm::HmacSha256)?;
        let signer = key.signer();
        let server = Fake::start(move |request, _| signed(request, code, &signer, None).into()).await?;
        let arbiter = Rfc2136::new(options(server.address(), key))?;
        let replaced = arbiter.replace(&Revision::Absent, &record("a").encode()).await?;
        ensure!(format!("{replaced:?}").starts_with(means), "{code} is taken for {replaced:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_up_on_a_second_request_is_read_again_and_never_written_to_twice() -> Result<()> {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    let key = Key::generate("soloist", Algorithm::HmacSha256)?;
    let signer = key.signer();
    // As a server does that closes an idle connection at the moment when a request is on its way.
    let hasty = Fake::start(move |request, earlier| {
        counted.fetch_add(usize::from(is_update(request)), Ordering::SeqCst);
        let answer = || signed_at(request, ResponseCode::NXDomain, &signer, local()).into();
        if earlier == 0 { answer() } else { Reply::HangUp }
    })
    .await?;
    let arbiter = Rfc2136::new(options(hasty.address(), key))?;
    for _ in 0..3 {
        ensure!(arbiter.read().await? == Observation::absent(), "nothing stands there");
    }
    ensure!(hasty.connections() == 3, "there were {} connections", hasty.connections());
    let replaced = arbiter.replace(&Revision::Absent, &record("a").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    ensure!(writes.load(Ordering::SeqCst) == 1, "the update was sent {} times", writes.load(Ordering::SeqCst));
    Ok(())
}

#[tokio::test]
async fn clocks_that_are_apart_are_named() -> Result<()> {
    for (theirs, words) in [(3600, "3600 s ahead of ours"), (-3600, "3600 s behind ours")] {
        let key = Key::generate("soloist", Algorithm::HmacSha256)?;
        let signer = key.signer();
        let server = Fake::start(move |request, _| {
            let error = Some((TsigError::BadTime, theirs));
            signed(request, ResponseCode::NotAuth, &signer, error).into()
        })
        .await?;
        let arbiter = Rfc2136::new(options(server.address(), key))?;
        refused(
            arbiter.replace(&Revision::Absent, &record("a").encode()).await,
            &["BADTIME", words, "check the clocks"],
        )?;
    }
    Ok(())
}

fn is_update(request: &[u8]) -> bool {
    Message::from_vec(request).is_ok_and(|message| message.metadata.op_code == OpCode::Update)
}

/// The second that it is by this machine's clock.
fn local() -> u64 {
    soloist::clock::wall_ms() / 1000
}

/// A server whose clock is so many seconds ahead of this machine's, and an arbiter there.
async fn ahead(seconds: i64) -> Result<(Fake, Rfc2136)> {
    let key = Key::generate("soloist", Algorithm::HmacSha256)?;
    let signer = key.signer();
    let server = Fake::start(move |request, _| {
        let code = if is_update(request) { ResponseCode::NoError } else { ResponseCode::NXDomain };
        signed_at(request, code, &signer, local().saturating_add_signed(seconds)).into()
    })
    .await?;
    let arbiter = Rfc2136::new(options(server.address(), key))?;
    Ok((server, arbiter))
}

/// How far the time to go by is ahead of this machine's clock, in seconds, to the nearest.
fn moved(arbiter: &Rfc2136) -> Result<i64> {
    let clock = arbiter.clock().context("its answers show a clock")?;
    Ok((clock.now().wall_ms.cast_signed() - soloist::clock::wall_ms().cast_signed() + 500).div_euclid(1000))
}

#[tokio::test]
async fn a_read_shows_the_time_to_go_by_at_all_the_arbiters_of_a_server() -> Result<()> {
    // Two days: further than any request may be off.
    for seconds in [0, 240, -240, 3600, -3600, 172_800, -172_800] {
        let (_server, arbiter) = ahead(seconds).await?;
        let beside = arbiter.beside(&name("other.example.test"))?;
        ensure!(moved(&beside)? == 0, "nothing was shown yet");
        ensure!(arbiter.read().await? == Observation::absent(), "nothing stands there");
        let by = moved(&beside)?;
        ensure!(by.abs_diff(seconds) <= 1, "the server is {seconds} s ahead, and the time was moved by {by} s");
        applied(beside.replace(&Revision::Absent, &record("a").encode()).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn an_update_that_is_refused_for_its_time_shows_the_time_and_the_next_one_goes_by_it() -> Result<()> {
    for (seconds, words) in [(3600, "s ahead of ours"), (-172_800, "s behind ours")] {
        let (_server, arbiter) = ahead(seconds).await?;
        let replaced = arbiter.replace(&Revision::Absent, &record("a").encode()).await;
        refused(replaced, &["BADTIME", "nothing was written", words, "check the clocks"])?;
        applied(arbiter.replace(&Revision::Absent, &record("a").encode()).await?)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_time_that_is_not_signed_with_our_key_moves_no_clock_and_its_answer_is_no_read() -> Result<()> {
    let other = Key::generate("soloist", Algorithm::HmacSha256)?.signer();
    let forger =
        Fake::start(move |request, _| signed_at(request, ResponseCode::NXDomain, &other, local() + 3600).into())
            .await?;
    let arbiter = at(&forger)?;
    let read = arbiter.read().await;
    let Err(Error::Nonsense { reason, .. }) = read else { anyhow::bail!("got {read:?}") };
    ensure!(reason.contains("not signed with the key `soloist`"), "{reason}");
    ensure!(moved(&arbiter)? == 0, "a forger moved the clock");
    Ok(())
}

#[tokio::test]
async fn a_server_that_signs_no_reads_is_asked_the_time_by_one_update_that_changes_nothing() -> Result<()> {
    let key = Key::generate("soloist", Algorithm::HmacSha256)?;
    let signer = key.signer();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let taciturn = Fake::start(move |request, _| {
        if is_update(request) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.to_vec());
            return signed_at(request, ResponseCode::NXRRSet, &signer, local() + 240).into();
        }
        unsigned(request, ResponseCode::NXDomain).into()
    })
    .await?;
    let arbiter = Rfc2136::new(options(taciturn.address(), key))?;
    for _ in 0..3 {
        ensure!(arbiter.read().await? == Observation::absent(), "nothing stands there");
    }
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let [update] = &asked[..] else { anyhow::bail!("{} updates were sent", asked.len()) };
    ensure!(Message::from_vec(update)?.authorities.is_empty(), "the update would change something");
    ensure!(moved(&arbiter)?.abs_diff(240) <= 1, "the time to go by is another: {}", moved(&arbiter)?);
    Ok(())
}

#[tokio::test]
async fn a_server_that_signs_nothing_is_read_all_the_same_and_asked_the_time_once_a_minute_at_most() -> Result<()> {
    let updates = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&updates);
    let silent = Fake::start(move |request, _| {
        counted.fetch_add(usize::from(is_update(request)), Ordering::SeqCst);
        if is_update(request) { Reply::Silence } else { unsigned(request, ResponseCode::NXDomain).into() }
    })
    .await?;
    let arbiter = at(&silent)?;
    for _ in 0..5 {
        ensure!(arbiter.read().await? == Observation::absent(), "nothing stands there");
    }
    ensure!(updates.load(Ordering::SeqCst) == 1, "it was asked {} times", updates.load(Ordering::SeqCst));
    Ok(())
}

#[tokio::test]
async fn the_time_of_a_server_that_repeats_ours_is_found_by_what_it_lets_pass() -> Result<()> {
    for seconds in [0, 1, -2, 240, -3600, 60_000] {
        let key = Key::generate("soloist", Algorithm::HmacSha256)?;
        let signer = key.signer();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // As PowerDNS: the time in its signature is the request's, and it does not sign what is too far off.
        let server = Fake::start(move |request, _| {
            counted.fetch_add(1, Ordering::SeqCst);
            let Ok(message) = Message::from_vec(request) else { return Reply::HangUp };
            let tsig = message.signature().map(|signature| (signature.data.time, signature.data.fudge));
            let now = local().saturating_add_signed(seconds);
            match tsig {
                Some((time, fudge)) if time.abs_diff(now) <= u64::from(fudge) => {
                    signed(request, ResponseCode::NXDomain, &signer, None).into()
                }
                _ => unsigned(request, ResponseCode::NotAuth).into(),
            }
        })
        .await?;
        let arbiter = Rfc2136::new(options(server.address(), key))?;
        ensure!(arbiter.read().await? == Observation::absent(), "nothing stands there");
        let first = asked.load(Ordering::SeqCst);
        ensure!(first <= 30, "the first read took {first} questions");
        for _ in 0..3 {
            arbiter.read().await?;
        }
        let by = moved(&arbiter)?;
        ensure!(by.abs_diff(seconds) <= 1, "the server is {seconds} s ahead, and the time was moved by {by} s");
        let rest = asked.load(Ordering::SeqCst) - first;
        ensure!(rest <= 12, "three reads took {rest} questions");
    }
    Ok(())
}
