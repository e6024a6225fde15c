//! The arbiter `powerdns` when its API, or the way to it, does not do what it should: nothing is written late or twice, no
//! request waits for longer than its time-out, and no error shows the key.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use soloist::arbiter::powerdns::{ApiKey, Options, PowerDns};
use soloist::arbiter::{Arbiter, Error, Promise};
use soloist::round::contender::Settle;
use soloist::round::{Observation, Replaced, Revision};
use soloist_tests::conformance::api::{ByApi, options};
use soloist_tests::conformance::primary::refused;
use soloist_tests::conformance::{Subject as _, applied, record, stands};
use soloist_tests::hand::name;
use soloist_tests::http_relay::{Fault, HttpRelay, Kind};
use soloist_tests::servers::{ALIAS, TestServer as _};
use tokio::net::TcpListener;

const JOB: &str = "job.example.test";

/// The time-out of requests that are not answered in time: of a replacement, the read has half of it.
const SHORT: Duration = Duration::from_secs(1);

/// How long a request that waits for one time-out may take on a busy machine.
const BUSY: Duration = Duration::from_secs(10);

/// The record's arbiter behind a relay, and as it is.
async fn relayed(api: &ByApi) -> Result<(HttpRelay, PowerDns, PowerDns)> {
    let relay = HttpRelay::start(api.0.api().address).await?;
    let through = options(&format!("http://{}", relay.address()), &api.0.api().key, JOB, SHORT)?;
    Ok((relay, PowerDns::new(through)?, PowerDns::new(api.options(JOB)?)?))
}

/// An API that answers every request alike.
async fn fake<R: IntoResponse + 'static>(
    answer: impl Fn(HeaderMap) -> R + Clone + Send + Sync + 'static,
) -> Result<PowerDns> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().fallback(move |headers: HeaderMap| {
        let answer = answer.clone();
        async move { answer(headers).into_response() }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(PowerDns::new(options(&url, "a-secret-key", JOB, SHORT)?)?)
}

fn unreachable<T: std::fmt::Debug>(result: Result<T, Error>) -> Result<String> {
    let error = result.err().context("expected no answer")?;
    ensure!(matches!(error, Error::Unreachable { .. }), "expected no answer, got {error:?}");
    Ok(error.to_string())
}

#[tokio::test]
async fn the_promise_is_to_settle_and_says_how_long() -> Result<()> {
    let arbiter = PowerDns::new(options("http://127.0.0.1:8081/", "key", JOB, Duration::from_secs(2))?)?;
    ensure!(arbiter.promise() == Promise::Settle(Settle { wait_ms: 6000, reads: 2 }), "{:?}", arbiter.promise());
    let words = arbiter.promise().to_string();
    ensure!(words.contains("best effort") && words.contains("6s") && !words.contains('\n'), "{words}");
    ensure!(arbiter.place() == "job.example.test at http://127.0.0.1:8081", "{}", arbiter.place());
    Ok(())
}

#[tokio::test]
async fn options_that_are_not_safe_are_refused() -> Result<()> {
    let good = options("http://127.0.0.1:8081", "key", JOB, Duration::from_secs(2))?;
    let odd = [
        (Options { settle: Duration::from_secs(3), ..good.clone() }, "3000 ms is shorter than twice"),
        (Options { record: name("job.example.org"), ..good.clone() }, "`job.example.org` is not in the zone"),
        (Options { timeout: Duration::ZERO, ..good.clone() }, "0 ms"),
        (Options { url: "mailto:ops@example.com".parse()?, ..good.clone() }, "no URL"),
    ];
    for (options, words) in odd {
        let error = PowerDns::new(options).err().context("it is taken")?;
        ensure!(error.to_string().contains(words), "`{words}` is missing in: {error}");
    }
    ensure!(
        ApiKey::new("a\nb").is_none() && ApiKey::new("").is_none() && ApiKey::new("ö").is_none(),
        "no header can hold these"
    );
    ensure!(!format!("{good:?}").contains("\"key\""), "the key is shown");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable_at_once() -> Result<()> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    let arbiter = PowerDns::new(options(&format!("http://{free}"), "a-secret-key", JOB, BUSY * 3)?)?;
    let started = Instant::now();
    let words = unreachable(arbiter.read().await)?;
    ensure!(words.contains(&free.to_string()) && words.contains("refused"), "{words}");
    unreachable(arbiter.replace(&Revision::Absent, &record("a").encode()).await)?;
    ensure!(started.elapsed() < BUSY, "it took {:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() -> Result<()> {
    let endless =
        || Body::from_stream(futures_util::stream::repeat_with(|| std::io::Result::Ok(vec![b' '; 64 * 1024])));
    let arbiter = fake(move |_| endless()).await?;
    let error = arbiter.read().await.err().context("it is read")?.to_string();
    ensure!(error.contains("more than 1048576 bytes") && error.contains("4.6"), "{error}");
    Ok(())
}

#[tokio::test]
async fn the_date_of_an_answer_is_the_arbiters_clock() -> Result<()> {
    let body = "{\"rrsets\": []}";
    // 2100-01-01.
    let dated = fake(move |_| ([("date", "Fri, 01 Jan 2100 00:00:00 GMT")], body)).await?;
    dated.read().await?;
    let ahead_ms = dated.clock().context("it has a clock")?.now().wall_ms.abs_diff(4_102_444_800_000);
    ensure!(ahead_ms < 60_000, "it is {ahead_ms} ms off");
    let odd = fake(move |_| ([("date", "yesterday")], body)).await?;
    odd.read().await?;
    ensure!(odd.clock().context("it has a clock")?.ahead_ms() == 0, "it says nothing of its clock");
    Ok(())
}

#[tokio::test]
async fn a_key_that_a_server_repeats_is_not_shown() -> Result<()> {
    for status in [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::INTERNAL_SERVER_ERROR] {
        let echo = fake(move |headers| {
            let key = headers.get("X-API-Key").and_then(|key| key.to_str().ok()).unwrap_or_default();
            (status, format!("{{\"error\": \"what is {key}\"}}"))
        });
        let error = echo.await?.read().await.err().context("it is read")?.to_string();
        ensure!(error.contains("what is [the API key]") && !error.contains("a-secret-key"), "{error}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn a_wrong_key_zone_or_server_is_refused_in_words() -> Result<()> {
    let api = ByApi::start().await?;
    let good = api.options(JOB)?;
    let key = || ApiKey::new("another-key").context("it is a key");
    let cases = [
        (Options { key: key()?, ..good.clone() }, &["401", "`api-key`"][..]),
        (
            Options { zone: name("example.org"), record: name("job.example.org"), ..good.clone() },
            &["404", "`example.org`", "`zone`"],
        ),
        (Options { server_id: "other".to_owned(), ..good.clone() }, &["404", "`other`", "`server-id`"]),
    ];
    for (options, words) in cases {
        let arbiter = PowerDns::new(options)?;
        refused(arbiter.read().await, words)?;
        refused(arbiter.replace(&Revision::Absent, &record("a").encode()).await, words)?;
    }
    let seen = PowerDns::new(good)?.read().await?;
    ensure!(seen == Observation::absent(), "somebody has written: {seen:?}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn an_alias_is_never_claimed() -> Result<()> {
    let api = ByApi::start().await?;
    let arbiter = api.arbiter(ALIAS)?;
    for error in [
        arbiter.read().await.err().context("an alias holds no record")?,
        arbiter.replace(&Revision::Absent, b"a").await.err().context("an alias holds no record")?,
    ] {
        ensure!(error.to_string().contains("alias"), "{error}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn an_answer_that_is_lost_leaves_the_claim_unknown_and_a_read_shows_it_as_ours() -> Result<()> {
    let api = ByApi::start().await?;
    let (relay, arbiter, direct) = relayed(&api).await?;
    relay.fail_next(Kind::Write, Fault::CutBeforeAnswer);
    let replaced = arbiter.replace(&Revision::Absent, &record("ours").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    let seen = stands(&direct, &record("ours")).await?;
    ensure!(relay.writes() == 1, "the write was sent {} times", relay.writes());
    applied(direct.replace(&seen.revision, &record("next").encode()).await?)?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn a_request_that_is_lost_leaves_the_claim_unknown_and_a_read_shows_the_old_record() -> Result<()> {
    let api = ByApi::start().await?;
    let (relay, arbiter, direct) = relayed(&api).await?;
    let revision = applied(direct.replace(&Revision::Absent, &record("old").encode()).await?)?;
    relay.fail_next(Kind::Write, Fault::CutBeforeRequest);
    let replaced = arbiter.replace(&revision, &record("ours").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    stands(&direct, &record("old")).await?;
    ensure!(relay.writes() == 1, "the write was sent {} times", relay.writes());
    Ok(())
}

#[tokio::test]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn a_slow_read_is_not_built_upon() -> Result<()> {
    let api = ByApi::start().await?;
    let (relay, arbiter, direct) = relayed(&api).await?;
    let revision = applied(direct.replace(&Revision::Absent, &record("old").encode()).await?)?;
    // In time for a read, and too late for a write to follow it.
    relay.fail_next(Kind::Read, Fault::Late(SHORT * 7 / 10));
    let started = Instant::now();
    unreachable(arbiter.replace(&revision, &record("ours").encode()).await)?;
    ensure!(started.elapsed() < BUSY, "it took {:?}", started.elapsed());
    ensure!((relay.reads(), relay.writes()) == (1, 0), "{} writes were sent", relay.writes());
    stands(&direct, &record("old")).await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn a_slow_write_is_unknown_within_its_time_out_and_may_be_done_later() -> Result<()> {
    let api = ByApi::start().await?;
    let (relay, arbiter, direct) = relayed(&api).await?;
    let revision = applied(direct.replace(&Revision::Absent, &record("old").encode()).await?)?;
    relay.fail_next(Kind::Write, Fault::Late(SHORT * 2));
    let replaced = arbiter.replace(&revision, &record("late").encode()).await?;
    ensure!(matches!(replaced, Replaced::Unknown(_)), "got {replaced:?}");
    // This is what a claim has to settle for: somebody else's write in between is overwritten.
    let other = direct.replace(&revision, &record("other").encode()).await?;
    soloist_tests::agents::eventually("the late write is done", BUSY, async || {
        let seen = direct.read().await.ok()?;
        seen.is(&record("late").encode()).then_some(())
    })
    .await;
    ensure!(matches!(other, Replaced::Applied(_) | Replaced::Conflict), "got {other:?}");
    ensure!(relay.writes() == 1, "the write was sent {} times", relay.writes());
    Ok(())
}

#[tokio::test]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn a_frozen_server_is_given_up_in_time() -> Result<()> {
    let api = ByApi::start().await?;
    let direct = PowerDns::new(api.options(JOB)?)?;
    let revision = applied(direct.replace(&Revision::Absent, &record("old").encode()).await?)?;
    let arbiter = PowerDns::new(options(&api.0.api().url(), &api.0.api().key, JOB, SHORT)?)?;
    let process = api.0.process().context("it is a process")?;
    process.freeze()?;
    let started = Instant::now();
    unreachable(arbiter.read().await)?;
    unreachable(arbiter.replace(&revision, &record("ours").encode()).await)?;
    ensure!(started.elapsed() < BUSY, "it took {:?}", started.elapsed());
    process.thaw()?;
    stands(&direct, &record("old")).await?;
    Ok(())
}
