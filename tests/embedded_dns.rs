//! The embedded DNS server as a library: one winner a round, who may do what, and what it answers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use hickory_net::client::ClientHandle;
use hickory_net::xfer::DnsHandle;
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigError;
use hickory_proto::rr::rdata::{A, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist::dns::query::{self, QueryError, Server};
use soloist::dns::server::{self, Options, Running, ServeError};
use soloist::round::Observation;
use soloist_tests::dns_client::{create, encode, exchange, name, swap, tcp, txt, udp, update};
use tokio::net::UdpSocket;

const ZONE: &str = "example.test";

fn key() -> Key {
    Key::generate("soloist", Algorithm::HmacSha256).unwrap()
}

fn options(data: &Path, key: &Key) -> Options {
    Options::new(name(ZONE), vec!["127.0.0.1:0".parse().unwrap()], vec![key.clone()], data)
}

async fn serve(data: &Path, key: &Key) -> Running {
    server::start(options(data, key)).await.unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn socket(server: &Running) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server.addrs()[0]).await.unwrap();
    socket
}

/// What the server has at a name, asked as an agent asks.
async fn look(server: &Running, owner: &Name) -> Observation {
    let servers = [Server { name: None, addr: server.addrs()[0] }];
    let answer = query::ask_all(owner, &servers, Duration::from_secs(20)).await.remove(0);
    answer.result.unwrap().observation
}

fn values(observation: &Observation) -> Vec<String> {
    observation.values.iter().map(|value| String::from_utf8(value.clone()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_clients_over_udp_and_tcp_exactly_one_wins_each_round() {
    const CLIENTS: usize = 24;
    const ROUNDS: usize = 60;
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    // Small enough to be compacted under way.
    let server = server::start(Options { compact_at: 2048, ..options(data.path(), &key) }).await.unwrap();
    let (zone, owner, addr) = (name(ZONE), name("job.example.test"), server.addrs()[0]);
    let barrier = Arc::new(tokio::sync::Barrier::new(CLIENTS));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..CLIENTS {
        let (zone, owner, barrier, key) = (zone.clone(), owner.clone(), Arc::clone(&barrier), key.clone());
        tasks.spawn(async move {
            let mut client = if i % 2 == 0 { tcp(addr, Some(&key)).await } else { udp(addr, Some(&key)) };
            let mut won = Vec::new();
            let mut current: Option<String> = None;
            for round in 0..ROUNDS {
                barrier.wait().await;
                let mine = format!("{round} {i}");
                let new = txt(&owner, &mine);
                let code = match &current {
                    None => create(&mut client, &zone, new).await,
                    Some(current) => swap(&mut client, &zone, txt(&owner, current), new).await,
                };
                match code.unwrap() {
                    ResponseCode::NoError => won.push(round),
                    ResponseCode::NXRRSet | ResponseCode::YXRRSet => {}
                    other => panic!("{other}"),
                }
                barrier.wait().await;
                let servers = [Server { name: None, addr }];
                let answer = query::ask_all(&owner, &servers, Duration::from_secs(20)).await.remove(0);
                let seen = values(&answer.result.unwrap().observation);
                let [winner] = seen.as_slice() else { panic!("{seen:?}") };
                assert_eq!(*winner == mine, won.last() == Some(&round), "who is told to have won stands there");
                current = Some(winner.clone());
            }
            won
        });
    }
    let mut won: Vec<usize> = tasks.join_all().await.concat();
    won.sort_unstable();
    assert_eq!(won, (0..ROUNDS).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn a_zone_is_there_again_after_a_stop_and_its_port_and_directory_are_free() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let first = serve(data.path(), &key).await;
    let (zone, owner) = (name(ZONE), name("job.example.test"));
    let mut client = tcp(first.addrs()[0], Some(&key)).await;
    assert_eq!(create(&mut client, &zone, txt(&owner, "kept")).await.unwrap(), ResponseCode::NoError);
    let (serial, addr) = (first.serial(), first.addrs()[0]);
    assert!(matches!(server::start(options(data.path(), &key)).await, Err(ServeError::InUse(_))));
    first.stop().await;

    let again = server::start(Options { listen: vec![addr], ..options(data.path(), &key) }).await.unwrap();
    assert_eq!(values(&look(&again, &owner).await), ["kept"]);
    assert_eq!(again.serial(), serial);
    again.stop().await;
    let other = Options { zone: name("other.test"), ..options(data.path(), &key) };
    assert!(matches!(server::start(other).await, Err(ServeError::OtherZone { .. })));
}

#[tokio::test]
async fn a_dropped_server_gives_its_port_and_directory_back() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let addr = serve(data.path(), &key).await.addrs()[0];
    // The tasks of the dropped one end when the runtime gets to them.
    let mut attempts = 0;
    let again = loop {
        match server::start(Options { listen: vec![addr], ..options(data.path(), &key) }).await {
            Ok(running) => break running,
            Err(error) => assert!(attempts < 1000, "{error}"),
        }
        attempts += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    again.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_it() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let error = server::start(Options { listen: vec![taken], ..options(data.path(), &key) }).await.unwrap_err();
    assert!(matches!(&error, ServeError::Listen { addr, .. } if *addr == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()));
    drop(holder);
}

#[tokio::test]
async fn only_a_good_signature_of_a_known_key_changes_anything() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let server = serve(data.path(), &key).await;
    let serial = server.serial();
    let socket = socket(&server).await;
    let owner = name("job.example.test");
    let ask = || update(&name(ZONE), txt(&owner, "x").records_without_rrsigs().cloned());
    let verdict = |answer: &Message| (answer.response_code, answer.signature().and_then(|record| record.data.error));

    let unsigned = exchange(&socket, &encode(ask(), None)).await;
    assert_eq!(verdict(&unsigned), (ResponseCode::Refused, None));

    let stranger = Key::generate("stranger", Algorithm::HmacSha256).unwrap();
    let answer = exchange(&socket, &encode(ask(), Some((&stranger, now())))).await;
    assert_eq!(verdict(&answer), (ResponseCode::NotAuth, Some(TsigError::BadKey)));

    let impostor = Key::generate("soloist", Algorithm::HmacSha256).unwrap();
    let answer = exchange(&socket, &encode(ask(), Some((&impostor, now())))).await;
    assert_eq!(verdict(&answer), (ResponseCode::NotAuth, Some(TsigError::BadSig)));
    assert!(answer.signature().unwrap().data.mac.is_empty(), "nothing is signed for an impostor");

    let other = Key::new("soloist", Algorithm::HmacSha512, &key.secret_base64(), "test").unwrap();
    let answer = exchange(&socket, &encode(ask(), Some((&other, now())))).await;
    assert_eq!(verdict(&answer), (ResponseCode::NotAuth, Some(TsigError::BadKey)), "one algorithm a key");

    for time in [0, 100, now() - 1000, now() + 1000] {
        let answer = exchange(&socket, &encode(ask(), Some((&key, time)))).await;
        assert_eq!(verdict(&answer), (ResponseCode::NotAuth, Some(TsigError::BadTime)), "time {time}");
        let tsig = &answer.signature().unwrap().data;
        assert_eq!((tsig.mac.len(), tsig.other.len(), tsig.time), (32, 6, time), "signed, with the server's own time");
    }
    assert_eq!(server.serial(), serial);
    assert_eq!(look(&server, &owner).await, Observation::absent());

    let answer = exchange(&socket, &encode(ask(), Some((&key, now())))).await;
    assert_eq!(verdict(&answer), (ResponseCode::NoError, None));
    assert_eq!(values(&look(&server, &owner).await), ["x"]);
    server.stop().await;
}

#[tokio::test]
async fn every_key_and_algorithm_of_a_server_is_taken() {
    let data = tempfile::tempdir().unwrap();
    let algorithms = [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512];
    let keys: Vec<Key> = algorithms.map(|algorithm| Key::generate(algorithm.name(), algorithm).unwrap()).into();
    let server = server::start(Options { keys: keys.clone(), ..options(data.path(), &keys[0]) }).await.unwrap();
    for (i, key) in keys.iter().enumerate() {
        let mut client = udp(server.addrs()[0], Some(key));
        let new = txt(&name(&format!("job{i}.example.test")), "x");
        // The client checks the signature of the answer.
        assert_eq!(create(&mut client, &name(ZONE), new).await.unwrap(), ResponseCode::NoError);
    }
    let twice = vec![keys[0].clone(), keys[0].clone()];
    let elsewhere = tempfile::tempdir().unwrap();
    for keys in [twice, Vec::new()] {
        let refused = server::start(Options { keys, ..options(elsewhere.path(), &key()) }).await;
        assert!(matches!(refused, Err(ServeError::Keys(_))));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_update_that_is_sent_twice_over_udp_is_answered_alike_and_made_once() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let server = serve(data.path(), &key).await;
    let owner = name("job.example.test");
    let mut request = update(&name(ZONE), txt(&owner, "mine").records_without_rrsigs().cloned());
    let mut absent = Record::update0(owner.clone(), 0, RecordType::TXT);
    absent.dns_class = DNSClass::NONE;
    request.add_answer(absent);
    let bytes = encode(request, Some((&key, now())));
    // As hickory does it: each time from another socket.
    for _ in 0..3 {
        let answer = exchange(&socket(&server).await, &bytes).await;
        assert_eq!(answer.response_code, ResponseCode::NoError, "the winner is not told that it lost to itself");
    }
    assert_eq!(values(&look(&server, &owner).await), ["mine"]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_served_is_refused() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let server = serve(data.path(), &key).await;
    let socket = socket(&server).await;
    let ask = async |owner: &str, class, rtype| {
        let mut message = Message::query();
        let mut query = Query::query(name(owner), rtype);
        query.set_query_class(class);
        message.add_query(query);
        let answer = exchange(&socket, &encode(message, None)).await;
        (answer.response_code, answer.authoritative)
    };
    for owner in ["other.test", "test", "xexample.test"] {
        assert_eq!(ask(owner, DNSClass::IN, RecordType::TXT).await, (ResponseCode::Refused, false));
    }
    assert_eq!(ask("version.bind", DNSClass::CH, RecordType::TXT).await, (ResponseCode::Refused, false));
    assert_eq!(ask(ZONE, DNSClass::CH, RecordType::SOA).await, (ResponseCode::Refused, false));
    assert_eq!(ask(ZONE, DNSClass::IN, RecordType::AXFR).await, (ResponseCode::Refused, false));
    assert_eq!(ask(ZONE, DNSClass::IN, RecordType::SOA).await, (ResponseCode::NoError, true));
    assert_eq!(ask("none.example.test", DNSClass::IN, RecordType::TXT).await, (ResponseCode::NXDomain, true));
    assert_eq!(ask("ns.example.test", DNSClass::IN, RecordType::TXT).await, (ResponseCode::NoError, true));

    let mut client = tcp(server.addrs()[0], Some(&key)).await;
    let elsewhere = create(&mut client, &name("other.test"), txt(&name("job.other.test"), "x")).await.unwrap();
    assert_eq!(elsewhere, ResponseCode::NotAuth);
    let bytes = encode(
        update(&name(ZONE), txt(&name("job.other.test"), "x").records_without_rrsigs().cloned()),
        Some((&key, now())),
    );
    assert_eq!(exchange(&socket, &bytes).await.response_code, ResponseCode::NotZone);
    server.stop().await;
}

fn axfr() -> DnsRequest {
    let mut message = Message::query();
    message.add_query(Query::query(name(ZONE), RecordType::AXFR));
    DnsRequest::new(message, DnsRequestOptions::default())
}

#[tokio::test]
async fn a_transfer_is_for_those_who_sign_and_holds_the_whole_zone() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let server = serve(data.path(), &key).await;
    let addr = server.addrs()[0];
    let unsigned = tcp(addr, None).await.send(axfr()).next().await.unwrap().unwrap();
    assert_eq!((unsigned.response_code, unsigned.answers.len()), (ResponseCode::Refused, 0));

    // More than one message's worth.
    let mut client = tcp(addr, Some(&key)).await;
    let long = "x".repeat(250);
    let mut expected = BTreeSet::new();
    for i in 0..600 {
        let owner = name(&format!("job{i}.example.test"));
        assert_eq!(create(&mut client, &name(ZONE), txt(&owner, &long)).await.unwrap(), ResponseCode::NoError);
        expected.insert(owner);
    }
    let mut messages = tcp(addr, Some(&key)).await.send(axfr());
    let (mut records, mut count) = (Vec::new(), 0);
    let is_soa = |record: &Record| record.record_type() == RecordType::SOA;
    // The second SOA ends the transfer; the client goes on waiting.
    while count == 0 || records.iter().filter(|record| is_soa(record)).count() < 2 {
        // The client checks the signature of each message, chained to the one before.
        records.extend(messages.next().await.unwrap().unwrap().answers.iter().cloned());
        count += 1;
    }
    assert!(count > 1, "{count} messages");
    let soas: Vec<usize> = (0..records.len()).filter(|i| is_soa(&records[*i])).collect();
    assert_eq!(soas, [0, records.len() - 1]);
    let names: BTreeSet<Name> = records
        .iter()
        .filter(|record| record.record_type() == RecordType::TXT)
        .map(|record| record.name.clone())
        .collect();
    assert_eq!(names, expected);
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_udp_is_read_over_tcp() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let server = serve(data.path(), &key).await;
    let owner = name("job.example.test");
    let strings: Vec<String> = (0..8).map(|i| i.to_string().repeat(250)).collect();
    let long = TXT::from_bytes(strings.iter().map(String::as_bytes).collect());
    let record = Record::from_rdata(owner.clone(), 5, RData::TXT(long));
    let bytes = encode(update(&name(ZONE), [record]), Some((&key, now())));
    let socket = socket(&server).await;
    assert_eq!(exchange(&socket, &bytes).await.response_code, ResponseCode::NoError);

    let mut question = Message::query();
    question.add_query(Query::query(owner.clone(), RecordType::TXT));
    let cut = exchange(&socket, &encode(question.clone(), None)).await;
    assert!(cut.truncation && cut.answers.is_empty());
    let signed = exchange(&socket, &encode(question, Some((&key, now())))).await;
    assert!(signed.truncation && signed.signature().is_some());
    assert_eq!(values(&look(&server, &owner).await), [strings.concat()]);
    server.stop().await;
}

#[tokio::test]
async fn all_servers_are_asked_at_once_and_each_answer_says_what_it_is() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let server = server::start(Options { nsid: Some("first".to_owned()), ..options(data.path(), &key) }).await.unwrap();
    let owner = name("job.example.test");
    let mut client = tcp(server.addrs()[0], Some(&key)).await;
    create(&mut client, &name(ZONE), txt(&owner, "here")).await.unwrap();

    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let addrs = [server.addrs()[0], silent.local_addr().unwrap(), closed, server.addrs()[0]];
    let servers = addrs.map(|addr| Server { name: None, addr });
    let timeout = Duration::from_millis(1500);
    let answers = query::ask_all(&owner, &servers, timeout).await;
    assert_eq!(answers.iter().map(|answer| answer.server.addr).collect::<Vec<_>>(), addrs);
    for answer in [&answers[0], &answers[3]] {
        let seen = answer.result.as_ref().unwrap();
        assert_eq!(values(&seen.observation), ["here"]);
        assert_eq!((seen.authoritative, seen.ttl, seen.nsid.as_deref()), (true, Some(5), Some("first")));
    }
    assert_eq!(answers[1].result, Err(QueryError::Timeout(timeout)));
    assert!(answers[2].result.is_err());

    let absent = query::ask_all(&name("none.example.test"), &servers[..1], timeout).await.remove(0).result.unwrap();
    assert_eq!((absent.observation, absent.authoritative, absent.ttl), (Observation::absent(), true, None));
    let elsewhere = query::ask_all(&name("job.other.test"), &servers[..1], timeout).await.remove(0).result;
    assert!(elsewhere.unwrap_err().to_string().contains("REFUSED"));
    server.stop().await;
}

#[tokio::test]
async fn the_servers_of_a_record_are_those_of_its_enclosing_zone() {
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let server = serve(data.path(), &key).await;
    let mut client = tcp(server.addrs()[0], Some(&key)).await;
    let ns = name("ns.example.test");
    let second = Record::from_rdata(ns.clone(), 60, RData::A(A::new(127, 0, 0, 2)));
    assert_eq!(client.append(second, name(ZONE), false).await.unwrap().response_code, ResponseCode::NoError);

    let mut connection = ConnectionConfig::udp();
    connection.port = server.addrs()[0].port();
    let upstream = NameServerConfig::new(server.addrs()[0].ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![upstream]);
    let resolver =
        hickory_resolver::TokioResolver::builder_with_config(config, hickory_net::runtime::TokioRuntimeProvider::new());
    let resolver = resolver.build().unwrap();
    let (zone, servers) = query::servers_by(&resolver, &name("deep.job.example.test")).await.unwrap();
    assert_eq!(zone, name(ZONE));
    let addrs: BTreeSet<String> = servers.iter().map(|server| server.addr.to_string()).collect();
    assert_eq!(addrs, BTreeSet::from(["127.0.0.1:53".to_owned(), "127.0.0.2:53".to_owned()]));
    assert!(servers.iter().all(|server| server.name.as_ref() == Some(&ns)));
    let lost = query::servers_by(&resolver, &name("job.other.test")).await.unwrap_err();
    assert!(matches!(lost, QueryError::Discovery { .. }), "{lost}");
    server.stop().await;
}
