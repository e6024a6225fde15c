//! Agents as processes on a network of their own, and every fault that it can have: no fence is ever run twice, no round
//! is lost beyond what the README says, and rounds go on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist_tests::account::{Account, Rounds, counted};
use soloist_tests::agents::{Event, Fleet, eventually, now_ms};
use soloist_tests::binary;
use soloist_tests::counter::{Call, Counter};
use soloist_tests::hand::{Hand, name};
use soloist_tests::netns::{Network, Place, Slow, within};
use soloist_tests::probe;
use soloist_tests::servers::bind::{Bind, Disk};
use soloist_tests::servers::{self, Kind, TestServer};

const AGENTS: [&str; 3] = ["alto", "basso", "canto"];
const MANY: [&str; 5] = ["alto", "basso", "canto", "dulcian", "echo"];
const RECORD: &str = "count.example.test";

/// How long a claim stands.
const LEASE: Duration = Duration::from_secs(3);

/// How long a run may take: longer than any fault, so that nothing but its lease stops one that was frozen.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long each fault lasts: longer than a lease, an agent's patience and a few rounds.
const FAULT: Duration = Duration::from_secs(8);

/// How long after the end of an outage all agents ask again: they wait up to 5 s between two attempts, and a request that
/// is lost for good is waited for twice 2 s.
const NOTICE_MS: u64 = 10_000;

/// How long something may take that takes a few seconds: far longer.
const LONG: Duration = Duration::from_secs(60);

/// How many rounds are run before a fault, and after it.
const SOME: u64 = 3;

/// A server, agents and a counter, each at its place.
struct Stage<S: TestServer + ?Sized> {
    // The processes end before the network does.
    fleet: Fleet,
    dns: Box<S>,
    dns_at: Place,
    counter: Counter,
    places: BTreeMap<String, Place>,
    network: Network,
    every: u64,
    first: u64,
}

impl Stage<dyn TestServer> {
    async fn with(kind: Kind, mut network: Network) -> Self {
        let dns_at = network.place();
        let dns = servers::start_at(kind, &dns_at).await.unwrap();
        Self::new(network, dns_at, dns, 1).await
    }
}

impl Stage<Bind> {
    async fn with_bind(mut network: Network, disk: Disk) -> Self {
        let dns_at = network.place();
        let dns = Bind::start_at(&dns_at, disk).await.unwrap();
        Self::new(network, dns_at, Box::new(dns), 1).await
    }
}

impl<S: TestServer + ?Sized> Stage<S> {
    async fn new(network: Network, dns_at: Place, dns: Box<S>, every: u64) -> Self {
        let counter = Counter::start_at(network.here()).await;
        let (origin, lease, timeout) = (counter.origin(), LEASE.as_secs(), TIMEOUT.as_secs());
        let tables = format!(
            r#"
[job.count]
record = "{RECORD}"
every = "{every}s"
module = "probe.wasm"
timeout = "{timeout}s"
lease = "{lease}s"
attempts = 10
[job.count.grants]
http = ["{origin}"]
slack = []
[job.count.config]
mode = "sleep"
seconds = 0.3
url = "{origin}/report"
"#
        );
        let fleet = Fleet::new(dns.address(), dns.key(), &tables);
        std::fs::write(fleet.path("probe.wasm"), probe::version(0)).unwrap();
        Self { fleet, dns, dns_at, counter, places: BTreeMap::new(), network, every, first: 0 }
    }

    /// Starts an agent at a place of its own.
    async fn join(&mut self, agent: &str) {
        let place = self.network.place();
        self.fleet.start_by(place.command(&binary::soloist()), agent);
        self.places.insert(agent.to_owned(), place);
        self.fleet.loaded(agent).await;
    }

    /// Starts all agents, and waits for some rounds.
    async fn play(&mut self, agents: &[&str]) {
        self.fleet.due_at(RECORD, now_ms() / 1000 + 3600).await;
        for agent in agents {
            self.join(agent).await;
        }
        let soon = now_ms() / 1000 + 2;
        self.first = soon.next_multiple_of(self.every);
        self.fleet.due_at(RECORD, self.first).await;
        self.some_rounds().await;
    }

    /// Waits for a call, from now on.
    async fn call(&self, what: &str, is_it: impl Fn(&Call) -> bool) -> Call {
        let from = self.counter.calls().len();
        eventually(what, LONG, async || self.counter.calls().into_iter().skip(from).find(&is_it)).await
    }

    /// Waits until some rounds that are due from now on were run.
    async fn some_rounds(&self) {
        let enough = now_ms() / 1000 + SOME * self.every;
        self.call("rounds go on", |call| call.phase == "end" && call.fence.round >= enough).await;
    }

    /// Lets the fault be for its time, which is over after it.
    async fn during(&self) {
        tokio::time::sleep(FAULT).await;
    }

    /// Waits for some rounds, says what became of all, and that none was run twice.
    async fn account(&self, fault: &str, unreachable: Option<(u64, u64)>) -> Account {
        self.some_rounds().await;
        let starts = counted(&self.counter.calls());
        let last = starts.iter().map(|start| start.fence.round).max().unwrap();
        let unreachable = unreachable.map(|(from_ms, to_ms)| from_ms..=to_ms + NOTICE_MS);
        let rounds = Rounds { all: self.first..=last, every: self.every, unreachable };
        let account = Account::of(&starts, self.fleet.log(), &rounds);
        tell(&format!("{fault:40} {account}"));
        assert_eq!(account.twice, Vec::<String>::new(), "{fault}: fences that were run twice");
        account
    }

    /// The same where some agent could reach the arbiter all the time.
    async fn nothing_is_lost(&self, fault: &str) -> Account {
        let account = self.account(fault, None).await;
        assert_eq!(account.lost, Vec::<u64>::new(), "{fault}: rounds that were lost");
        account
    }

    /// The same where none could from one time to another, in milliseconds since the Unix epoch.
    async fn nothing_else_is_lost(&self, fault: &str, from_ms: u64, to_ms: u64) {
        let account = self.account(fault, Some((from_ms, to_ms))).await;
        assert_eq!(account.lost, Vec::<u64>::new(), "{fault}: rounds that were lost");
        assert!(account.unreachable > 0, "{fault}: it was no fault");
    }

    fn troubles(&self, agent: &str) -> usize {
        self.fleet.log().all(|event| event.agent == agent && matches!(event.kind(), "trouble" | "unknown")).len()
    }

    fn ran_by(&self, agent: &str, from_ms: u64) -> usize {
        self.counter.calls().iter().filter(|call| call.agent == agent && call.at_ms >= from_ms).count()
    }
}

#[expect(clippy::print_stdout, reason = "what a reader of the test's output wants to know")]
fn tell(row: &str) {
    println!("{row}");
}

fn is_start(call: &Call) -> bool {
    call.phase == "start"
}

#[test]
#[ignore = "needs root, ip, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn agents_that_are_killed_in_the_middle_of_a_run() {
    within(async |network| {
        let mut stage = Stage::with(Kind::Bind, network).await;
        stage.play(&AGENTS).await;
        for number in 0..3 {
            let victim = stage.call("a run begins", is_start).await;
            stage.fleet.kill(&victim.agent);
            let again =
                |call: &Call| is_start(call) && call.fence.round == victim.fence.round && call.fence.attempt == 2;
            stage.call("another agent takes the round over", again).await;
            stage.join(&format!("new-{number}")).await;
        }
        let account = stage.nothing_is_lost("SIGKILL in a run, three times").await;
        assert!(account.again >= 3);
        // A second for the lease's end to be a whole one, another one until it is looked at.
        let most = LEASE + Duration::from_secs(3);
        assert!(Duration::from_millis(account.gap_ms) < most, "no run for {} ms", account.gap_ms);
    });
}

#[test]
#[ignore = "needs root, ip, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn an_agent_that_is_frozen_for_longer_than_its_lease() {
    within(async |network| {
        let mut stage = Stage::with(Kind::Bind, network).await;
        stage.play(&AGENTS).await;
        let frozen = stage.call("a run begins", is_start).await;
        stage.fleet.freeze(&frozen.agent);
        let frozen_ms = now_ms();
        stage.during().await;
        assert!(LEASE < FAULT && FAULT < TIMEOUT);
        stage.fleet.thaw(&frozen.agent);
        stage.nothing_is_lost("SIGSTOP in a run, longer than the lease").await;
        let late = |call: &&Call| call.fence == frozen.fence && call.at_ms > frozen_ms;
        assert_eq!(stage.counter.calls().iter().filter(late).count(), 0, "it did more for a round that it had lost");
    });
}

#[test]
#[ignore = "needs root, ip, nft, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn one_agent_that_is_cut_off() {
    within(async |network| {
        let mut stage = Stage::with(Kind::Bind, network).await;
        stage.play(&AGENTS).await;
        let winner = stage.call("a run begins", is_start).await.agent;
        stage.places[&winner].cut_off();
        stage.during().await;
        stage.places[&winner].heal();
        let healed_ms = now_ms();
        stage.nothing_is_lost("one agent cut off in a run").await;
        assert!(stage.troubles(&winner) > 0, "it has noticed");
        eventually("it plays again", LONG, async || (stage.ran_by(&winner, healed_ms) > 0).then_some(())).await;
    });
}

#[test]
#[ignore = "needs root, ip, nft, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn all_agents_that_are_cut_off() {
    within(async |network| {
        let mut stage = Stage::with(Kind::Bind, network).await;
        stage.play(&AGENTS).await;
        let from_ms = now_ms();
        stage.places.values().for_each(Place::cut_off);
        stage.during().await;
        stage.places.values().for_each(Place::heal);
        stage.nothing_else_is_lost("all agents cut off", from_ms, now_ms()).await;
    });
}

async fn the_server_is_cut_off(kind: Kind, network: Network) {
    let mut stage = Stage::with(kind, network).await;
    stage.play(&AGENTS).await;
    let from_ms = now_ms();
    stage.dns_at.cut_off();
    stage.during().await;
    stage.dns_at.heal();
    stage.nothing_else_is_lost(&format!("{kind:?} cut off"), from_ms, now_ms()).await;
}

async fn the_server_restarts(kind: Kind, network: Network) {
    let mut stage = Stage::with(kind, network).await;
    stage.play(&AGENTS).await;
    let from_ms = now_ms();
    for _ in 0..3 {
        stage.call("a run begins", is_start).await;
        stage.dns.restart().await.unwrap();
    }
    let account = stage.account(&format!("{kind:?} killed and started, three times"), Some((from_ms, now_ms()))).await;
    assert_eq!(account.lost, Vec::<u64>::new(), "rounds that were lost");
}

#[test]
#[ignore = "needs root, ip, nft, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn bind_is_cut_off() {
    within(|network| the_server_is_cut_off(Kind::Bind, network));
}

#[test]
#[ignore = "needs root, ip, nft, Knot and the probe built by jobs/build; tests/run provides all but root"]
fn knot_is_cut_off() {
    within(|network| the_server_is_cut_off(Kind::Knot, network));
}

#[test]
#[ignore = "needs root, ip, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn bind_is_killed_and_started_again() {
    within(|network| the_server_restarts(Kind::Bind, network));
}

#[test]
#[ignore = "needs root, ip, Knot and the probe built by jobs/build; tests/run provides all but root"]
fn knot_is_killed_and_started_again() {
    within(|network| the_server_restarts(Kind::Knot, network));
}

#[test]
#[ignore = "needs root, ip, nft, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn a_network_that_loses_30_percent() {
    within(async |network| {
        let stage = with_losses(network, MANY.len()).await;
        let account = stage.account("30 % of all packets lost", None).await;
        // Nobody may get through for a whole turn: that round is then run as a later one.
        assert!(account.run > 2 * account.lost.len(), "{account}: {:?}", account.lost);
    });
}

#[test]
#[ignore = "needs root, ip, nft, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn a_network_that_loses_30_percent_for_all_but_one() {
    within(async |network| {
        let stage = with_losses(network, MANY.len() - 1).await;
        stage.nothing_is_lost("30 % of packets lost for four of five").await;
    });
}

/// Five agents, after a time in which the packets of so many of them were lost.
async fn with_losses(network: Network, how_many: usize) -> Stage<dyn TestServer> {
    let mut stage = Stage::with(Kind::Bind, network).await;
    stage.play(&MANY).await;
    let unlucky = || stage.places.values().take(how_many);
    unlucky().for_each(|place| place.lose(30));
    tokio::time::sleep(3 * FAULT).await;
    unlucky().for_each(Place::heal);
    assert!(MANY.iter().any(|agent| stage.troubles(agent) > 0), "somebody has noticed");
    stage
}

#[test]
#[ignore = "needs root, ip, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn a_server_half_a_second_away() {
    const LATE: Duration = Duration::from_millis(500);
    within(async |mut network| {
        let dns_at = network.place();
        let dns = servers::start_at(Kind::Bind, &dns_at).await.unwrap();
        let way = Slow::start(network.here().into(), dns.address(), LATE).await;
        let mut stage = Stage::new(network, dns_at, dns, 5).await;
        stage.fleet.configure(way.address(), stage.dns.key());
        stage.play(&AGENTS).await;
        let account = stage.nothing_is_lost("500 ms to the server, 500 ms back").await;
        assert_eq!((account.merged, account.again), (0, 0));
    });
}

#[test]
#[ignore = "needs root, ip, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn a_server_whose_disk_is_full() {
    within(async |network| {
        let mut stage = Stage::with_bind(network, Disk::Small).await;
        stage.play(&AGENTS).await;
        stage.dns.fill_disk().unwrap();
        let from_ms = now_ms();
        stage.during().await;
        stage.dns.empty_disk().unwrap();
        stage.nothing_else_is_lost("the server's disk full", from_ms, now_ms()).await;
    });
}

#[test]
#[ignore = "needs root, ip, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn one_agent_with_a_wrong_key() {
    within(async |network| {
        let mut stage = Stage::with(Kind::Bind, network).await;
        let (server, right) = (stage.dns.address(), stage.dns.key().clone());
        stage.play(&AGENTS).await;
        stage.fleet.configure(server, &Key::generate("soloist", Algorithm::default()).unwrap());
        stage.join("wrong").await;
        stage.fleet.configure(server, &right);
        stage.during().await;
        stage.nothing_is_lost("one agent of four with a wrong key").await;
        assert_eq!(stage.ran_by("wrong", 0), 0);
        let said = |event: &Event| {
            event.agent == "wrong" && event.text("kind") == "read" && event.text("message").contains("BADSIG")
        };
        assert!(stage.fleet.log().first(said).is_some(), "it says what is wrong");
    });
}

/// Whether a key may write there.
async fn may_write(hand: &Hand, key: &Key) -> bool {
    let hand = Hand { key: key.clone(), ..hand.clone() };
    match hand.overwrite_txt(&name("other.example.test"), &[&[b"x"]]).await {
        Ok(()) => true,
        Err(error) if error.to_string().contains(&ResponseCode::NotAuth.to_string()) => false,
        Err(error) => panic!("{error:#}"),
    }
}

#[test]
#[ignore = "needs root, ip, BIND 9 and the probe built by jobs/build; tests/run provides all but root"]
fn a_key_that_is_rotated() {
    within(async |network| {
        let mut stage = Stage::with_bind(network, Disk::Ample).await;
        let (hand, old) = (stage.dns.hand(), stage.dns.key().clone());
        let new = Key::generate("soloist-2", Algorithm::default()).unwrap();
        stage.play(&AGENTS).await;
        stage.dns.accept(&[&old, &new]).unwrap();
        eventually("the new key counts", LONG, async || may_write(&hand, &new).await.then_some(())).await;
        stage.fleet.configure(hand.server, &new);
        for agent in AGENTS {
            stage.fleet.terminate(agent);
            assert!(stage.fleet.ended(agent).await.success());
            stage.join(&format!("{agent}-2")).await;
            stage.some_rounds().await;
        }
        stage.dns.accept(&[&new]).unwrap();
        eventually("the old key does not", LONG, async || (!may_write(&hand, &old).await).then_some(())).await;
        let account = stage.nothing_is_lost("a key rotated, agent by agent").await;
        assert_eq!(account.again, 0);
    });
}
