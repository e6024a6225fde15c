//! A job's changes to RRsets through the arbiter's account: what was granted is made, all of it or none, and nothing else is.

use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{Name, RData, RecordType};
use soloist::arbiter::account::Account;
use soloist::arbiter::powerdns::{self, ApiKey};
use soloist::arbiter::presentation::{data_text, name_from};
use soloist::arbiter::rfc2136::{self, Rfc2136};
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist::arbiter::{Arbiter, memory::Memory};
use soloist::capability::dns_update::{Error, MAX_CHANGES, Updater, Wanted, Zone};
use soloist::capability::{Granted, Grants, Services};
use soloist::round::Outcome;
use soloist::runtime::{Engine, Facts, Lease, Module, Request, run};
use soloist_tests::calls::set_address;
use soloist_tests::guest::{request, services};
use soloist_tests::hand::{Hand, name};
use soloist_tests::servers::{self, ALIAS, Kind, PowerDns, TestServer, ZONE};

const RECORD: &str = "canary.example.test";
/// The record of another job, below a name that is nobody's.
const DEEP: &str = "canary.jobs.example.test";
const WWW: &str = "www.example.test";

fn rfc2136(server: &dyn TestServer, key: &Key) -> Rfc2136 {
    Rfc2136::new(rfc2136::Options {
        server: server.address().to_string(),
        zone: name(ZONE),
        record: name(RECORD),
        key: key.clone(),
        ttl: 60,
        timeout: Duration::from_secs(20),
    })
    .expect("the record is in the zone")
}

fn api(server: &PowerDns, key: &str) -> powerdns::PowerDns {
    let timeout = Duration::from_secs(20);
    powerdns::PowerDns::new(powerdns::Options {
        client: powerdns::client(reqwest::Client::builder(), timeout).expect("a client"),
        url: server.api().url().parse().expect("a URL"),
        server_id: "localhost".to_owned(),
        zone: name(ZONE),
        record: name(RECORD),
        key: ApiKey::new(key).expect("a key"),
        ttl: 60,
        timeout,
        settle: timeout * 2,
    })
    .expect("the record is in the zone")
}

/// Changes for a run with this grant, by this arbiter's account.
fn updater_of(grant: &str, account: Option<Arc<dyn Account>>, request: &Request) -> (Updater, Services) {
    let grants: Grants =
        toml::from_str(&format!("dns-update = {grant}")).unwrap_or_else(|error| panic!("{grant}: {error}"));
    let services = services();
    let records = [RECORD, DEEP].map(|record| name_from(record).expect("a name"));
    services.set_zone(Zone { account, records: records.into() });
    let updater =
        Updater::new(grants.dns_update.expect("it is granted"), services.clone(), Arc::new(Facts::new(request)));
    (updater, services)
}

/// Whoever may change the usual types everywhere below the zone.
fn updater(arbiter: &dyn Arbiter) -> Updater {
    let types = "[\"A\", \"AAAA\", \"TXT\", \"CNAME\", \"MX\", \"NS\", \"DNAME\"]";
    let grant = format!(
        "[{{ name = \"*.{ZONE}\", types = {types} }}, {{ name = \"{ZONE}\", types = {types} }}, \
         {{ name = \"example.net\", types = [\"A\"] }}]"
    );
    updater_of(&grant, arbiter.account(), &request()).0
}

fn set(name: &str, rtype: &str, data: &[&str]) -> Wanted {
    let data = data.iter().map(|text| (*text).to_owned()).collect();
    Wanted { name: name.to_owned(), rtype: rtype.to_owned(), ttl: 120, data }
}

/// What a server has at a name, sorted.
async fn found(hand: &Hand, at: &str, rtype: RecordType) -> Vec<String> {
    let answer = hand.ask(&name(at), rtype).await.expect("the server answers");
    let at_name = answer.answers.iter().filter(|record| record.name == name(at) && record.record_type() == rtype);
    let mut texts: Vec<String> = at_name.map(|record| format!("{} {}", record.ttl, data_text(&record.data))).collect();
    texts.sort();
    texts
}

/// What holds at every arbiter that has an account.
async fn holds(arbiter: &dyn Arbiter, hand: &Hand) {
    let updater = updater(arbiter);
    // Several RRsets at once, in any order of their data, one record said twice.
    let long = "x".repeat(600);
    let first = [
        set("WWW.example.test", "A", &["192.0.2.1", "192.0.2.2", "192.0.2.1"]),
        set(WWW, "AAAA", &["2001:db8::1"]),
        set("text.example.test", "TXT", &["v=1; \"quoted\" \\ ", &long]),
        set("mail.example.test", "MX", &["10 www.example.test"]),
    ];
    assert_eq!(updater.replace(&first).await, Ok(()));
    assert_eq!(found(hand, WWW, RecordType::A).await, ["120 192.0.2.1", "120 192.0.2.2"]);
    assert_eq!(found(hand, WWW, RecordType::AAAA).await, ["120 2001:db8::1"]);
    assert_eq!(
        found(hand, "text.example.test", RecordType::TXT).await,
        ["120 v=1; \"quoted\" \\ ".to_owned(), format!("120 {long}")]
    );
    assert_eq!(found(hand, "mail.example.test", RecordType::MX).await, ["120 10 www.example.test."]);
    // The same again is no error.
    assert_eq!(updater.replace(&first).await, Ok(()));
    // What is not named stays; none deletes; what is not there can be deleted.
    let second =
        [set(WWW, "A", &["192.0.2.3"]), set("mail.example.test", "MX", &[]), set("none.example.test", "A", &[])];
    assert_eq!(updater.replace(&second).await, Ok(()));
    assert_eq!(found(hand, WWW, RecordType::A).await, ["120 192.0.2.3"]);
    assert_eq!(found(hand, WWW, RecordType::AAAA).await, ["120 2001:db8::1"]);
    assert!(found(hand, "mail.example.test", RecordType::MX).await.is_empty());

    // All or none: nothing can stand beside an alias, and an alias beside nothing.
    let beside = [set(WWW, "A", &["192.0.2.66"]), set(ALIAS, "A", &["192.0.2.66"])];
    let error = updater.replace(&beside).await.expect_err("an alias stands there");
    assert!(matches!(&error, Error::Refused(_)), "{error:?}");
    assert_eq!(found(hand, WWW, RecordType::A).await, ["120 192.0.2.3"]);
    let alias = [set("text.example.test", "CNAME", &["www.example.test."]), set(WWW, "A", &["192.0.2.66"])];
    let error = updater.replace(&alias).await.expect_err("a text stands there");
    assert!(matches!(&error, Error::Refused(_)), "{error:?}");
    assert_eq!(found(hand, WWW, RecordType::A).await, ["120 192.0.2.3"]);
    assert_eq!(found(hand, "text.example.test", RecordType::TXT).await.len(), 2);
    // One in place of the other is fine, both ways.
    let instead = [set("text.example.test", "CNAME", &["www.example.test."]), set("text.example.test", "TXT", &[])];
    assert_eq!(updater.replace(&instead).await, Ok(()));
    assert_eq!(found(hand, "text.example.test", RecordType::CNAME).await, ["120 www.example.test."]);
    let back = [set("text.example.test", "TXT", &["back"]), set("text.example.test", "CNAME", &[])];
    assert_eq!(updater.replace(&back).await, Ok(()));
    assert_eq!(found(hand, "text.example.test", RecordType::TXT).await, ["120 back"]);

    for (denied, word) in [
        (set(RECORD, "A", &["192.0.2.1"]), "the record of a job"),
        (set("Canary.Example.Test.", "TXT", &[]), "the record of a job"),
        (set("example.net", "A", &["192.0.2.1"]), "not in the arbiter's zone"),
        (set("example.org", "A", &["192.0.2.1"]), "was not granted"),
        (set(WWW, "SRV", &["1 2 3 a.example.test."]), "was not granted"),
        (set(ZONE, "SOA", &[]), "zone's own"),
        (set(ZONE, "CNAME", &["a.example.test."]), "zone itself"),
        (set(ZONE, "NS", &["a.example.test."]), "zone itself"),
        (set(ZONE, "DNAME", &["a.example.test."]), "zone itself"),
    ] {
        let error = updater.replace(&[set(WWW, "A", &["192.0.2.66"]), denied]).await.expect_err(word);
        assert!(matches!(&error, Error::Denied(reason) if reason.contains(word)), "{word}: {error:?}");
    }
    assert_eq!(found(hand, WWW, RecordType::A).await, ["120 192.0.2.3"]);
}

/// A key that the server knows and that may change nothing.
async fn refuses_strangers(server: &dyn TestServer) {
    let stranger = server.stranger().expect("it has such a key");
    let error = updater(&rfc2136(server, stranger)).replace(&[set(WWW, "A", &["192.0.2.66"])]).await;
    let Err(Error::Refused(reason)) = &error else { panic!("{error:?}") };
    assert!(["REFUSED", "NOTAUTH", "BADKEY"].iter().any(|code| reason.contains(code)), "{reason}");
    assert!(!reason.contains(&stranger.secret_base64()));
}

async fn at(kind: Kind) {
    let server = servers::start(kind, Algorithm::HmacSha256).await.expect("it starts");
    holds(&rfc2136(&*server, server.key()), &server.hand()).await;
    if kind != Kind::Embedded {
        refuses_strangers(&*server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_takes_changes() {
    at(Kind::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND"]
async fn bind_takes_changes() {
    at(Kind::Bind).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Knot"]
async fn knot_takes_changes() {
    at(Kind::Knot).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PowerDNS"]
async fn powerdns_takes_changes() {
    at(Kind::PowerDns).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PowerDNS"]
async fn the_api_of_powerdns_takes_changes() {
    let server = PowerDns::start(Algorithm::HmacSha256).await.expect("it starts");
    asks_whether_it_may(&api(&server, &server.api().key), &server.hand()).await;
    holds(&api(&server, &server.api().key), &server.hand()).await;
    let wrong = "not-the-key-of-this-server";
    let error = updater(&api(&server, wrong)).replace(&[set(WWW, "A", &["192.0.2.66"])]).await;
    assert!(
        matches!(&error, Err(Error::Refused(reason)) if reason.contains("401") && !reason.contains(wrong)),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_arbiter_without_a_zone_says_so() {
    let (updater, services) =
        updater_of("[{ name = \"www.example.test\", types = [\"A\"] }]", Memory::default().account(), &request());
    let error = updater.replace(&[set(WWW, "A", &["192.0.2.1"])]).await.expect_err("there is no zone");
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("`kind = \"rfc2136\"`")), "{error:?}");
    assert_eq!(services.denied("canary", "dns-update"), 1);
}

#[tokio::test]
async fn nothing_takes_a_name_away_that_the_record_of_a_job_is_below() {
    let account = Arc::new(Counting::default());
    let grant = "[{ name = \"*.example.test\", types = [\"A\", \"NS\", \"DNAME\"] }]";
    let (updater, services) = updater_of(grant, Some(account.clone()), &request());
    for (at, rtype) in [("jobs.example.test", "NS"), ("jobs.example.test", "DNAME"), (DEEP, "NS"), (DEEP, "DNAME")] {
        for data in [&["a.example.net."][..], &[]] {
            let error = updater.replace(&[set(at, rtype, data)]).await.expect_err("a record is there or below");
            let Error::Denied(reason) = &error else { panic!("{error:?}") };
            assert!(reason.contains(&format!("take away the record of a job at `{DEEP}`")), "{reason}");
        }
    }
    assert_eq!(services.denied("canary", "dns-update"), 8);
    assert_eq!(account.0.load(std::sync::atomic::Ordering::SeqCst), 0);
    // Beside it and below it, and other types above it, are nobody's record.
    for (at, rtype, data) in [
        ("jobs.example.test", "A", "192.0.2.1"),
        ("other.example.test", "NS", "a.example.net."),
        ("obs.example.test", "DNAME", "a.example.net."),
        ("below.canary.jobs.example.test", "NS", "a.example.net."),
    ] {
        assert_eq!(updater.replace(&[set(at, rtype, &[data])]).await, Ok(()), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_reach_leaves_it_open() {
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.expect("it starts");
    let arbiter = rfc2136(&*server, server.key());
    drop(server);
    let error = updater(&arbiter).replace(&[set(WWW, "A", &["192.0.2.1"])]).await.expect_err("nobody answers");
    assert!(matches!(&error, Error::Unavailable(_)), "{error:?}");
}

/// Counts what it is given, and asks at the last moment whether it may.
#[derive(Default)]
struct Counting(std::sync::atomic::AtomicUsize, Option<Lease>);

#[async_trait::async_trait]
impl Account for Counting {
    async fn replace_rrsets(
        &self,
        _: &[soloist::arbiter::account::RrSet],
        may: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), soloist::arbiter::account::ChangeError> {
        // The lease is lost while a connection is made.
        if let Some(lease) = &self.1 {
            lease.revoke();
        }
        if !may() {
            return Err(soloist::arbiter::account::ChangeError::Withdrawn);
        }
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }

    fn zone(&self) -> &Name {
        static ZONE_NAME: std::sync::LazyLock<Name> = std::sync::LazyLock::new(|| name(ZONE));
        &ZONE_NAME
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_changes_what_it_was_granted() {
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.expect("it starts");
    let text = set_address(WWW);
    let run_with = async |name: &str| {
        let engine = Engine::new().expect("an engine");
        let services = services();
        let account = rfc2136(&*server, server.key()).account();
        services.set_zone(Zone { account, records: Arc::default() });
        let grants =
            toml::from_str(&format!("dns-update = [{{ name = \"{name}\", types = [\"A\"] }}]")).expect("grants");
        let granted = Arc::new(Granted::new(grants, services));
        let module = Module::load(&engine, text.as_bytes()).expect("it is a module");
        run(&module.prepare("canary", granted).expect("it is granted"), request()).await
    };
    let report = run_with("other.example.test").await;
    assert_eq!(report.outcome, Outcome::Error);
    assert!(report.message.contains("was not granted the A records of `www.example.test`"), "{}", report.message);
    let report = run_with(WWW).await;
    assert_eq!((report.outcome, report.message.as_str()), (Outcome::Ok, WWW));
    assert_eq!(found(&server.hand(), WWW, RecordType::A).await, ["300 192.0.2.7"]);

    let engine = Engine::new().expect("an engine");
    let ungranted = Arc::new(Granted::new(Grants::default(), services()));
    let module = Module::load(&engine, text.as_bytes()).expect("it is a module");
    let error = module.prepare("canary", ungranted).expect_err("it is not granted");
    let hint = "add `dns-update = [{ name = \"…\", types = [\"A\"] }]` under `[job.canary.grants]`";
    assert_eq!(error.hint().as_deref(), Some(hint));
}

#[tokio::test]
async fn a_run_makes_so_many_changes_and_no_more() {
    let account = Arc::new(Counting::default());
    let grant = "[{ name = \"www.example.test\", types = [\"A\"] }]";
    let (updater, _) = updater_of(grant, Some(account.clone()), &request());
    for _ in 0..MAX_CHANGES {
        assert_eq!(updater.replace(&[set(WWW, "A", &["192.0.2.1"])]).await, Ok(()));
    }
    let error = updater.replace(&[set(WWW, "A", &["192.0.2.1"])]).await.expect_err("it has made enough");
    assert!(matches!(&error, Error::Denied(reason) if reason.contains("100 changes")), "{error:?}");
    assert_eq!(account.0.load(std::sync::atomic::Ordering::SeqCst), MAX_CHANGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_once_the_lease_is_lost() {
    let grant = "[{ name = \"www.example.test\", types = [\"A\"] }]";
    let lease = Lease::lasting(Duration::from_mins(10));
    let account = Arc::new(Counting(std::sync::atomic::AtomicUsize::default(), Some(lease.clone())));
    let (updater, _) = updater_of(grant, Some(account.clone()), &Request { lease, ..request() });
    assert!(matches!(updater.replace(&[set(WWW, "A", &["192.0.2.1"])]).await, Err(Error::Lost(_))));
    assert_eq!(account.0.load(std::sync::atomic::Ordering::SeqCst), 0);

    // The real accounts ask, too.
    let server = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.expect("it starts");
    asks_whether_it_may(&rfc2136(&*server, server.key()), &server.hand()).await;
}

/// An account asks right before it sends.
async fn asks_whether_it_may(arbiter: &dyn Arbiter, hand: &Hand) {
    let set = soloist::arbiter::account::RrSet {
        name: name(WWW),
        rtype: RecordType::A,
        ttl: 60,
        data: vec![RData::A("192.0.2.1".parse().expect("an address"))],
    };
    let account = arbiter.account().expect("it has one");
    let refused = account.replace_rrsets(std::slice::from_ref(&set), &|| false).await;
    assert_eq!(refused, Err(soloist::arbiter::account::ChangeError::Withdrawn));
    assert!(found(hand, WWW, RecordType::A).await.is_empty());
    assert_eq!(account.replace_rrsets(&[set], &|| true).await, Ok(()));
    assert_eq!(found(hand, WWW, RecordType::A).await, ["60 192.0.2.1"]);
}
