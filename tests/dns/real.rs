//! A module's questions, and those to real servers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::MX;
use soloist::arbiter::tsig::Algorithm;
use soloist::capability::dns::{Answer, Error, Reply};
use soloist::capability::{Granted, Grants};
use soloist::round::Outcome;
use soloist::runtime::{Engine, Module, run};
use soloist_tests::calls::{Import, component, failure, summary};
use soloist_tests::guest::request;
use soloist_tests::hand::name;
use soloist_tests::servers::{self, Kind};

use super::{WWW, a, asker, data, honest, services, texts};

const DNS: Import = Import {
    interface: "soloist:job/dns@0.1.0",
    text: r#"(type $rr-type (record (field "name" string) (field "rtype" string) (field "ttl" u32) (field "data" string)))
             (export "rr" (type $rr (eq $rr-type)))
             (type $answer-type (record (field "rcode" string) (field "authoritative" bool)
               (field "records" (list $rr)) (field "nsid" (option string))))
             (export "answer" (type $answer (eq $answer-type)))
             (type $error-type (variant (case "denied" string) (case "invalid" string) (case "timeout")
               (case "failed" string)))
             (export "error" (type $error (eq $error-type)))
             (export "lookup" (func (param "name" string) (param "rtype" string)
               (result (result $answer (error $error)))))"#,
    functions: &[("lookup", "(param i32 i32 i32 i32 i32)")],
};

#[tokio::test]
async fn a_module_looks_up_what_it_was_granted() {
    let server = honest().await;
    // The result from 32: a tag, then from 36 the answer, with its records' list at 48, or the error's text at 40.
    let body = format!(
        "(call $lookup (i32.const 512) (i32.const 16) (i32.const 528) (i32.const 1) (i32.const 32))
         (if (result i32) (i32.load8_u (i32.const 32))
           (then {}) (else (local.set $a (i32.load (i32.const 48))) {}))",
        failure("(i32.load (i32.const 40))", "(i32.load (i32.const 44))"),
        summary("(i32.load offset=20 (local.get $a))", "(i32.load offset=24 (local.get $a))"),
    );
    let text = component(&[DNS], "www.example.testA", &body);
    for (name, outcome, message) in [
        ("*.example.test", Outcome::Ok, "192.0.2.1"),
        ("example.test", Outcome::Error, "job `canary` was not granted the name `www.example.test`"),
    ] {
        let engine = Engine::new().expect("an engine");
        let grants: Grants = toml::from_str(&format!("dns = [\"{name}\"]")).expect("grants");
        let granted = Arc::new(Granted::new(grants, services(&[server.address])));
        let module = Module::load(&engine, text.as_bytes()).expect("it is a module");
        let report = run(&module.prepare("canary", granted).expect("it is granted"), request()).await;
        assert_eq!(report.outcome, outcome, "{}", report.message);
        assert!(report.message.starts_with(message), "{}", report.message);
    }
}

const KINDS: [Kind; 4] = [Kind::Bind, Kind::Knot, Kind::PowerDns, Kind::Embedded];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs BIND, Knot and PowerDNS"]
async fn real_servers_answer_alike() {
    let mut running = Vec::new();
    for kind in KINDS {
        let server = servers::start(kind, Algorithm::HmacSha256).await.expect("it starts");
        let long: Vec<&[u8]> = vec![&[b'x'; 250]; 12];
        server.hand().overwrite_txt(&name("long.example.test"), &[&long]).await.expect("it is written");
        // BIND takes a mail exchange only if it has an address.
        for data in [a(7), RData::MX(MX::new(10, name(WWW)))] {
            server.hand().add(&name(WWW), vec![data]).await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        }
        running.push(server);
    }
    let dead = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let mut servers: Vec<SocketAddr> = running.iter().map(|server| server.address()).collect();
    servers.push(dead);
    let asker = asker(&servers);
    let ask = async |name: &str, rtype: &str| {
        let replies = asker.ask(name, rtype, &texts(&servers), Some(Duration::from_secs(5))).await;
        let mut replies = replies.expect("the lease stands");
        let last = replies.pop().expect("the dead one has a reply, too");
        assert!(matches!(last.answer, Err(Error::Failed(_) | Error::Timeout)), "{last:?}");
        let answered = |(kind, reply): (&Kind, Reply)| {
            reply.answer.unwrap_or_else(|error| panic!("{kind:?} to {name} {rtype}: {error:?}"))
        };
        KINDS.iter().zip(replies).map(answered).collect::<Vec<Answer>>()
    };
    for answer in ask(WWW, "A").await {
        assert_eq!((answer.rcode.as_str(), answer.authoritative), ("NOERROR", true));
        assert_eq!(data(&answer), [format!("{WWW} 60 A 192.0.2.7")]);
    }
    for answer in ask(WWW, "MX").await {
        assert_eq!(data(&answer), [format!("{WWW} 60 MX 10 {WWW}.")]);
    }
    // Longer than a datagram: truncated, and asked for again over TCP.
    for answer in ask("long.example.test", "TXT").await {
        assert_eq!(answer.records[0].data, "x".repeat(3000));
    }
    for answer in ask("none.example.test", "TYPE65280").await {
        assert_eq!((answer.rcode.as_str(), answer.records.len()), ("NXDOMAIN", 0));
    }
    for answer in ask("example.test", "SOA").await {
        assert_eq!(answer.records.len(), 1, "{answer:?}");
        assert_eq!(answer.records[0].data.split(' ').count(), 7, "{answer:?}");
    }
}
