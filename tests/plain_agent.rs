//! The agent that was there before ours, which knows four fields and overwrites them on no condition, beside two of ours on
//! one record: both take turns, and ours never runs a round that the other has just run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use rand::Rng as _;
use serde_json::{Value, json};
use soloist::arbiter::tsig::Algorithm;
use soloist_tests::agents::{Event, Fleet, eventually, now_ms};
use soloist_tests::hand::{Hand, name};
use soloist_tests::heartbeat;
use soloist_tests::relay::{Relay, Written};
use soloist_tests::servers::{self, Kind};

const RECORD: &str = "count.example.test";

/// What the other's provider calls its record: a field that ours does not know.
const ENTRY: &str = "1b60b15ff35e4d6f9a3f";

/// Who the other is.
const PLAIN: &str = "MAWDAHDOQH";

/// Seconds between two rounds, of ours and of the other.
const EVERY: u64 = 2;

/// How often the other looks at the record, in milliseconds.
const LOOK_MS: std::ops::Range<u64> = 500..600;

/// How many rounds each side is to run.
const ROUNDS: usize = 5;

/// How many runs of ours the other overwrites on purpose.
const OVERWRITTEN: usize = 3;

/// How long that may take: each needs some luck to be first.
const LONG: Duration = Duration::from_secs(180);

/// The plain agent: looks now and then, and where the timer has passed, writes that it runs now, and runs.
async fn play_plain(hand: Hand) {
    loop {
        let wait = rand::rng().random_range(LOOK_MS);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let found = hand.txt(&name(RECORD)).await.unwrap();
        let value: Value = serde_json::from_slice(&found[0].txt_data.concat()).unwrap();
        let now = now_ms() / 1000;
        if value["timer"].as_u64().unwrap() <= now {
            overwrite(&hand, now, now + EVERY).await;
        }
    }
}

async fn overwrite(hand: &Hand, timerold: u64, timer: u64) {
    let text = json!({"id": PLAIN, "timer": timer, "timerold": timerold, "entryid": ENTRY}).to_string();
    hand.overwrite_txt(&name(RECORD), &[&[text.as_bytes()]]).await.unwrap();
}

/// What was written, and when.
struct Line {
    at_ms: u64,
    record: Value,
}

impl Line {
    fn of(written: &Written) -> Self {
        let [value] = &written.values[..] else { panic!("one record is written at a time: {written:?}") };
        Self { at_ms: written.at_ms, record: serde_json::from_slice(value).unwrap() }
    }

    fn is_plain(&self) -> bool {
        self.record["id"] == PLAIN
    }

    /// Whether it is a claim of ours. No claim is renewed here.
    fn is_claim(&self) -> bool {
        self.record["s"] == "run"
    }

    fn starts_a_run(&self) -> bool {
        self.is_plain() || self.is_claim()
    }
}

async fn lines(relay: &Relay) -> Vec<Line> {
    relay.written().await.iter().map(Line::of).collect()
}

/// Claims of ours that stood in the record between the other's `timerold` and its `timer`.
fn too_early(lines: &[Line]) -> Vec<String> {
    let mut early = Vec::new();
    let mut plain: Option<&Line> = None;
    for line in lines {
        if line.is_plain() {
            plain = Some(line);
        } else if let Some(plain) = plain.filter(|_| line.is_claim())
            && line.at_ms < plain.record["timer"].as_u64().unwrap() * 1000
        {
            early.push(format!("{} at {} ms, after {}", line.record, line.at_ms, plain.record));
        }
    }
    early
}

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn tell(figure: &str) {
    println!("{figure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_agent_and_ours_take_turns_at_one_record() {
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.unwrap();
    let relay = Relay::start(server.address()).await.unwrap();
    // Ours ask at once when a round is due, the other every half second: without a spread it would wait for its turn forever.
    let tables = format!(
        "[job.count]\nrecord = \"{RECORD}\"\nevery = \"{EVERY}s\"\nmodule = \"heartbeat.wat\"\ntimeout = \"2s\"\n\
         lease = \"4s\"\nspread = \"1s\"\n"
    );
    let mut fleet = Fleet::new(relay.address(), server.key(), &tables);
    std::fs::write(fleet.path("heartbeat.wat"), heartbeat::working(Duration::from_millis(300))).unwrap();
    let hand = Hand { server: relay.address(), ..server.hand() };
    overwrite(&hand, now_ms() / 1000, now_ms() / 1000 + 60).await;
    fleet.start_all(&["alto", "basso"]).await;
    overwrite(&hand, now_ms() / 1000, now_ms() / 1000 + EVERY).await;
    let begun = relay.written().await.len();
    let playing = tokio::spawn(play_plain(hand.clone()));

    let won = |event: &Event| event.kind() == "won";
    let ran = |event: &Event| event.kind() == "ran" && event.text("outcome") == "ok";
    eventually("each side runs some rounds", LONG, async || {
        assert!(!playing.is_finished(), "the plain agent has failed");
        let plain = lines(&relay).await.iter().skip(begun).filter(|line| line.is_plain()).count();
        (plain >= ROUNDS && fleet.log().all(ran).len() >= ROUNDS).then_some(())
    })
    .await;
    // It reads, ours claims, and it writes: seldom, so a hand does the same here.
    for _ in 0..OVERWRITTEN {
        let before = fleet.log().all(won).len();
        eventually("ours has a round", LONG, async || (fleet.log().all(won).len() > before).then_some(())).await;
        overwrite(&hand, now_ms() / 1000, now_ms() / 1000 + EVERY).await;
    }
    let before = fleet.log().all(ran).len();
    eventually("ours goes on", LONG, async || (fleet.log().all(ran).len() > before + 1).then_some(())).await;
    playing.abort();

    let all = lines(&relay).await;
    let (plain, ours) = (all[begun..].iter().filter(|line| line.is_plain()).count(), fleet.log().all(ran).len());
    let starts: Vec<u64> = all[begun..].iter().filter(|line| line.starts_a_run()).map(|line| line.at_ms).collect();
    let gap_ms = starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    let superseded = fleet.log().all(|event| event.kind() == "superseded").len();
    tell(&format!(
        "the plain agent ran {plain} rounds, ours {ours}; the longest gap was {gap_ms} ms; it overwrote {superseded} runs of ours"
    ));
    assert!(superseded >= OVERWRITTEN, "ours found the record overwritten {superseded} times");
    assert_eq!(too_early(&all), Vec::<String>::new(), "claims of a round that the other had just run");
    let forgot = all.iter().find(|line| line.record["entryid"] != ENTRY);
    assert!(forgot.is_none(), "a rewrite lost a field: {}", forgot.unwrap().record);
    // A lease, a turn, and what each waits at most; twice, for a slow machine.
    assert!(gap_ms < 16_000, "nobody ran anything for {gap_ms} ms");
}
