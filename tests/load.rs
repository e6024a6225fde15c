//! What agents ask of a real BIND as they become more: queries and updates a round, counted on their way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use soloist::arbiter::tsig::Algorithm;
use soloist_tests::agents::{Event, Fleet, eventually, now_ms, until_ms};
use soloist_tests::heartbeat;
use soloist_tests::relay::Relay;
use soloist_tests::servers::{self, Kind};

const RECORD: &str = "count.example.test";

/// Seconds between two rounds.
const EVERY: u64 = 4;

/// How many rounds are counted each time.
const ROUNDS: u64 = 4;

/// How many agents there are, each time.
const AGENTS: [usize; 6] = [1, 2, 5, 10, 25, 50];

/// The most that an agent may ask in a round, on average: when it is due, after a claim that was refused, and once a second
/// while another one runs; twice that. One that asks blindly, twice a second, is above it.
const MAX_QUERIES: u64 = 6;

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn tell(row: &str) {
    println!("{row}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND 9; tests/run provides it"]
async fn the_server_is_asked_a_few_times_a_round_by_each_of_fifty_agents() {
    let server = servers::start(Kind::Bind, Algorithm::HmacSha256).await.unwrap();
    let relay = Relay::start(server.address()).await.unwrap();
    let tables = format!(
        "[job.count]\nrecord = \"{RECORD}\"\nevery = \"{EVERY}s\"\nmodule = \"heartbeat.wat\"\ntimeout = \"3s\"\n"
    );
    let mut fleet = Fleet::new(relay.address(), server.key(), &tables);
    std::fs::write(fleet.path("heartbeat.wat"), heartbeat::working(Duration::from_millis(200))).unwrap();
    fleet.due_at(RECORD, now_ms() / 1000 + 2).await;
    tell("agents  queries a round  of each agent  updates a round  connections");
    let mut started = 0;
    for agents in AGENTS {
        let names: Vec<String> = (started..agents).map(|number| format!("a{number:02}")).collect();
        started = agents;
        fleet.start_all(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;

        // From the middle between two rounds to the middle between two others.
        let first = (now_ms() / 1000 + EVERY + 1).next_multiple_of(EVERY);
        let rounds = first..first + ROUNDS * EVERY;
        until_ms(first * 1000 - 1000).await;
        let before = (relay.queries(), relay.updates());
        until_ms(rounds.end * 1000 - 1000).await;
        let (queries, updates) = (relay.queries() - before.0, relay.updates() - before.1);

        let done = |event: &Event| event.kind() == "finished" && rounds.contains(&event.number("round"));
        let last = |event: &Event| event.kind() == "finished" && event.number("round") >= rounds.end - EVERY;
        eventually("the last round is done", Duration::from_secs(30), async || fleet.log().first(last)).await;
        let (queries, updates) = (u64::try_from(queries).unwrap(), u64::try_from(updates).unwrap());
        let each = u64::try_from(agents).unwrap();
        tell(&format!(
            "{agents:6}  {:15.1}  {:13.2}  {:15.1}  {:11}",
            per(queries, ROUNDS),
            per(queries, ROUNDS * each),
            per(updates, ROUNDS),
            relay.connections(),
        ));
        assert_eq!(fleet.log().all(done).len(), usize::try_from(ROUNDS).unwrap(), "each round is run once");
        assert!(queries <= MAX_QUERIES * ROUNDS * each, "{queries} queries in {ROUNDS} rounds of {agents} agents");
        // A claim of each at most, and the winner's end.
        assert!(updates <= (each + 1) * ROUNDS, "{updates} updates in {ROUNDS} rounds of {agents} agents");
    }
}

#[expect(clippy::cast_precision_loss, reason = "they are small")]
fn per(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}
