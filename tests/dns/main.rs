//! A job's questions to the DNS: many servers at once, each for itself, and none that was not granted.

mod real;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, MX};
use hickory_proto::rr::{RData, Record};
use soloist::arbiter::tsig::Algorithm;
use soloist::capability::dns::{
    Answer, Asker, DnsConfig, Error, MAX_AT_ONCE, MAX_QUESTIONS, MAX_SERVERS, Reply, Resolver,
};
use soloist::capability::{Grants, Services, ServicesConfig};
use soloist::runtime::{Facts, Lease, Request};
use soloist_tests::guest::request;
use soloist_tests::hand::name;
use soloist_tests::liar::{Liar, Lie, answer, code};
use soloist_tests::servers::{self, Kind};

const WWW: &str = "www.example.test";

fn a(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
}

/// A server that has one address for every name.
async fn honest() -> Liar {
    Liar::start(|question, _| Lie::say(&answer(question, &[a(1)]))).await
}

fn services(resolvers: &[SocketAddr]) -> Services {
    let resolvers = resolvers.iter().copied().map(Resolver).collect();
    let config = ServicesConfig { dns: DnsConfig { resolvers }, ..ServicesConfig::default() };
    Services::new(&config, std::path::Path::new(".")).expect("services without secrets")
}

fn asker_of(dns: &str, services: Services, request: &Request) -> Asker {
    let grants: Grants = toml::from_str(&format!("dns = {dns}")).unwrap_or_else(|error| panic!("{dns}: {error}"));
    Asker::new(grants.dns.expect("it is granted"), services, Arc::new(Facts::new(request)))
}

/// Whoever may ask for every name, at these servers too.
fn asker(servers: &[SocketAddr]) -> Asker {
    let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
    let dns = format!("{{ names = [\"*\"], servers = [{}] }}", servers.join(", "));
    asker_of(&dns, services(&[]), &Request { deadline: Duration::from_mins(5), ..request() })
}

fn texts(servers: &[SocketAddr]) -> Vec<String> {
    servers.iter().map(SocketAddr::to_string).collect()
}

/// One server's reply to a question for addresses.
async fn ask_one(server: &Liar) -> Result<Answer, Error> {
    let servers = [server.address];
    let replies = asker(&servers).ask(WWW, "A", &texts(&servers), Some(Duration::from_millis(1500))).await;
    replies.expect("the lease stands").remove(0).answer
}

fn data(answer: &Answer) -> Vec<String> {
    answer.records.iter().map(|rr| format!("{} {} {} {}", rr.name, rr.ttl, rr.rtype, rr.data)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_servers_has_a_reply_of_its_own() {
    let silent = Liar::start(|_, _| Lie::default()).await;
    let refusing = Liar::start(|question, _| Lie::say(&code(question, ResponseCode::Refused))).await;
    let slow =
        Liar::start(|question, _| Lie { after: Duration::from_millis(300), ..Lie::say(&answer(question, &[a(2)])) });
    let slow = slow.await;
    let truncating = Liar::start(|question, over_tcp| {
        let mut said = answer(question, &[a(3), a(4)]);
        if !over_tcp {
            said.answers.clear();
            said.metadata.truncation = true;
        }
        Lie::say(&said)
    })
    .await;
    let embedded = servers::start(Kind::Embedded, Algorithm::HmacSha256).await.expect("it starts");
    embedded
        .hand()
        .add(&name(WWW), vec![RData::MX(MX::new(10, name("mail.example.test"))), a(5)])
        .await
        .expect("added");

    let servers =
        [silent.address, refusing.address, slow.address, truncating.address, embedded.address(), slow.address];
    let asker = asker(&servers);
    let replies = asker.ask(WWW, "A", &texts(&servers), Some(Duration::from_secs(5))).await.expect("the lease stands");
    assert_eq!(replies.iter().map(|reply| reply.server.clone()).collect::<Vec<_>>(), texts(&servers));
    let answers: Vec<_> = replies.iter().map(|reply| reply.answer.as_ref()).collect();
    assert_eq!(answers[0], Err(&Error::Timeout));
    assert!(replies[0].elapsed >= Duration::from_secs(5));
    assert_eq!(answers[1].map(|answer| answer.rcode.as_str()), Ok("REFUSED"));
    assert_eq!(answers[2].map(data), Ok(vec![format!("{WWW} 60 A 192.0.2.2")]));
    assert!(replies[2].elapsed >= Duration::from_millis(300) && replies[2].elapsed < Duration::from_secs(5));
    assert_eq!(answers[3].map(data), Ok(vec![format!("{WWW} 60 A 192.0.2.3"), format!("{WWW} 60 A 192.0.2.4")]));
    let own = answers[4].expect("the real server answers");
    assert_eq!((own.rcode.as_str(), own.authoritative), ("NOERROR", true));
    assert_eq!(data(own), [format!("{WWW} 60 A 192.0.2.5")]);
    // Recursion was not asked for.
    assert!(slow.questions().iter().all(|question| !question.recursion_desired));

    let mail = asker.ask(WWW, "mx", &[embedded.address().to_string()], None).await.expect("the lease stands");
    assert_eq!(mail[0].answer.as_ref().map(data), Ok(vec![format!("{WWW} 60 MX 10 mail.example.test.")]));
    let none = asker.ask("none.example.test", "A", &[embedded.address().to_string()], None).await.unwrap_or_default();
    assert_eq!(none[0].answer.as_ref().map(|answer| answer.rcode.as_str()), Ok("NXDOMAIN"));
}

#[tokio::test]
async fn what_answers_another_question_is_no_answer() {
    let other_name = |question: &Message| {
        let mut said = answer(question, &[a(66)]);
        said.queries[0].set_name(name("other.example.test"));
        said
    };
    // Over UDP anybody may have sent it, so that the server's own word is waited for; over TCP nobody else can have.
    let liar = Liar::start(move |question, _| Lie::say(&other_name(question))).await;
    assert_eq!(ask_one(&liar).await, Err(Error::Timeout));
    let liar = Liar::start(move |question, over_tcp| {
        let mut said = other_name(question);
        said.metadata.truncation = !over_tcp;
        if !over_tcp {
            said.queries.clone_from(&question.queries);
        }
        Lie::say(&said)
    })
    .await;
    let error = ask_one(&liar).await.expect_err("it is none");
    assert!(matches!(&error, Error::Failed(reason) if reason.contains("another question")), "{error:?}");
}

#[tokio::test]
async fn a_forged_id_is_passed_over() {
    let liar = Liar::start(|question, _| {
        let mut forged = answer(question, &[a(66)]);
        forged.metadata.id = question.id.wrapping_add(1);
        let messages = [forged, answer(question, &[a(1)])].map(|message| message.to_vec().expect("a message"));
        Lie::bytes(messages.into())
    })
    .await;
    assert_eq!(ask_one(&liar).await.as_ref().map(data), Ok(vec![format!("{WWW} 60 A 192.0.2.1")]));
}

#[tokio::test]
async fn bytes_that_are_no_message_are_an_error_and_nothing_worse() {
    // Behind the question's own bytes: names that point at themselves, at each other, and past the end; counts that lie.
    let tails: [&[u8]; 5] = [
        &[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4],
        &[0xc0, 0xff, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1],
        &[0xc0, 0x1e, 0xc0, 0x1c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1],
        &[0x3f, 1, 2, 3],
        &[0, 0, 1, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 192],
    ];
    for tail in tails {
        let liar = Liar::start(move |question, _| {
            let mut plain = question.clone().into_response();
            plain.set_edns(hickory_proto::op::Edns::new());
            plain.edns = None;
            let mut bytes = plain.to_vec().expect("a message");
            bytes[7] = 1;
            bytes.extend_from_slice(tail);
            // A second pointer loop: the record's name points at itself.
            Lie::bytes(vec![bytes])
        })
        .await;
        let error = ask_one(&liar).await.expect_err("it is no message");
        assert!(matches!(error, Error::Failed(_) | Error::Timeout), "{error:?}");
    }
    let liar = Liar::start(|question, _| {
        let id = question.id.to_be_bytes();
        Lie::bytes(vec![vec![], vec![1], id.to_vec(), [&id[..], &[0xff; 40]].concat()])
    })
    .await;
    assert!(matches!(ask_one(&liar).await, Err(Error::Failed(_) | Error::Timeout)));
}

#[tokio::test]
async fn aliases_without_an_end_are_handed_over_and_not_followed() {
    let chain = |question: &Message| {
        let mut said = question.clone().into_response();
        let asked = question.queries[0].name().clone();
        let other = name("b.example.test");
        for (from, to) in [(&asked, &other), (&other, &asked)] {
            said.add_answer(Record::from_rdata(from.clone(), 60, RData::CNAME(CNAME(to.clone()))));
        }
        said
    };
    let liar = Liar::start(move |question, _| Lie::say(&chain(question))).await;
    let expected = vec![format!("{WWW} 60 CNAME b.example.test."), format!("b.example.test 60 CNAME {WWW}.")];
    assert_eq!(ask_one(&liar).await.as_ref().map(data), Ok(expected.clone()));
    let before = liar.asked();
    let asker = asker_of("\"*\"", services(&[liar.address]), &request());
    assert_eq!(asker.lookup(WWW, "A").await.as_ref().map(data), Ok(expected));
    assert_eq!(liar.asked() - before, 1);
}

#[tokio::test]
async fn truncation_over_tcp_is_an_error() {
    let liar = Liar::start(|question, _| {
        let mut said = answer(question, &[a(1)]);
        said.metadata.truncation = true;
        Lie::say(&said)
    })
    .await;
    let error = ask_one(&liar).await.expect_err("it never ends");
    assert!(matches!(&error, Error::Failed(reason) if reason.contains("truncated over TCP")), "{error:?}");
}

#[tokio::test]
async fn a_lookup_asks_the_resolvers_one_after_the_other() {
    let failing = Liar::start(|question, _| Lie::say(&code(question, ResponseCode::ServFail))).await;
    let good = honest().await;
    let asker = asker_of("[\"*.example.test\"]", services(&[failing.address, good.address]), &request());
    let found = asker.lookup("WWW.Example.Test", "A").await.expect("the second one knows");
    assert_eq!(data(&found), [format!("{WWW} 60 A 192.0.2.1")]);
    assert_eq!((failing.asked(), good.asked()), (1, 1));
    assert!(good.questions()[0].recursion_desired);

    let asker = asker_of("\"*\"", services(&[failing.address]), &request());
    assert_eq!(asker.lookup(WWW, "A").await.map(|answer| answer.rcode), Ok("SERVFAIL".to_owned()));
    let none = Liar::start(|question, _| Lie::say(&code(question, ResponseCode::NXDomain))).await;
    let asker = asker_of("\"*\"", services(&[none.address]), &request());
    assert_eq!(asker.lookup(WWW, "A").await.map(|answer| answer.rcode), Ok("NXDOMAIN".to_owned()));
}

#[tokio::test]
async fn what_was_not_granted_is_not_asked() {
    let server = honest().await;
    let services = services(&[server.address]);
    let asker = asker_of("[\"example.test\"]", services.clone(), &request());
    let denied = |result: Result<Answer, Error>, word: &str| match result {
        Err(Error::Denied(reason)) if reason.contains(word) => {}
        other => panic!("{word}: {other:?}"),
    };
    denied(
        asker.lookup(WWW, "A").await,
        "dns = [\\\"example.test\\\", \\\"www.example.test\\\"]".replace("\\\"", "\"").as_str(),
    );
    let servers =
        ["127.0.0.1", "10.0.0.1", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "192.0.2.1:5353", "0.0.0.0"];
    let mut places: Vec<String> = servers.iter().map(|server| (*server).to_owned()).collect();
    places.push(server.address.to_string());
    for reply in asker.ask("example.test", "A", &places, None).await.expect("the lease stands") {
        denied(reply.answer, "servers = [");
    }
    for invalid in ["0177.0.0.1", "2130706433", "0x7f000001:53:53", "", "a b"] {
        let reply =
            asker.ask("example.test", "A", &[invalid.to_owned()], None).await.expect("the lease stands").remove(0);
        assert!(matches!(reply.answer, Err(Error::Invalid(_) | Error::Denied(_))), "{reply:?}");
    }
    assert_eq!(server.asked(), 0);
    let denials = services.denied("canary", "dns");
    assert!(denials >= 9, "{denials}");
    for (name, rtype) in
        [("a..b", "A"), ("", "A"), ("example.test", "AXFR"), ("example.test", "OPT"), ("example.test", "B")]
    {
        assert!(matches!(asker.lookup(name, rtype).await, Err(Error::Invalid(_))), "{name} {rtype}");
    }
}

#[tokio::test]
async fn a_servers_name_leads_nowhere_private_unless_it_was_granted() {
    // The resolver says that every name is this machine.
    let local = RData::A(A(Ipv4Addr::LOCALHOST));
    let resolver = Liar::start(move |question, _| Lie::say(&answer(question, std::slice::from_ref(&local)))).await;
    let port = resolver.address.port();
    let plain = asker_of("\"*\"", services(&[resolver.address]), &request());
    let reply = plain.ask(WWW, "A", &["ns.example.test".to_owned()], None).await.expect("the lease stands").remove(0);
    let Err(Error::Denied(reason)) = &reply.answer else { panic!("{reply:?}") };
    assert!(reason.contains("127.0.0.1") && reason.contains("servers = [\"ns.example.test\"]"), "{reason}");

    let dns = format!("{{ names = [\"*\"], servers = [\"ns.example.test:{port}\"] }}");
    let granted = asker_of(&dns, services(&[resolver.address]), &request());
    let named = format!("ns.example.test:{port}");
    let reply = granted.ask(WWW, "A", &[named], None).await.expect("the lease stands").remove(0);
    assert_eq!(reply.answer.as_ref().map(data), Ok(vec![format!("{WWW} 60 A 127.0.0.1")]));

    // Link-local and metadata addresses stay refused, whatever the name.
    let metadata = RData::A(A(Ipv4Addr::new(169, 254, 169, 254)));
    let resolver = Liar::start(move |question, _| Lie::say(&answer(question, std::slice::from_ref(&metadata)))).await;
    let granted =
        asker_of("{ names = [\"*\"], servers = [\"ns.example.test\"] }", services(&[resolver.address]), &request());
    let reply = granted.ask(WWW, "A", &["ns.example.test".to_owned()], None).await.expect("the lease stands").remove(0);
    assert!(matches!(reply.answer, Err(Error::Denied(_))), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_asks_so_many_questions_and_no_more() {
    let server = honest().await;
    let asker = asker(&[server.address]);
    let ask = async |many: usize| {
        let servers = vec![server.address.to_string(); many];
        asker.ask(WWW, "A", &servers, Some(Duration::from_secs(10))).await.expect("the lease stands")
    };
    let too_many = ask(MAX_SERVERS + 1).await;
    assert!(too_many.iter().all(|reply| matches!(&reply.answer, Err(Error::Invalid(_)))));
    assert_eq!((too_many.len(), server.asked()), (MAX_SERVERS + 1, 0));
    let mut replies: Vec<Reply> = Vec::new();
    for _ in 0..4 {
        replies.extend(ask(MAX_SERVERS).await);
    }
    let answered = replies.iter().filter(|reply| reply.answer.is_ok()).count();
    let denied = replies.iter().filter(|reply| matches!(&reply.answer, Err(Error::Denied(_)))).count();
    assert_eq!((answered, denied), (MAX_QUESTIONS, 4 * MAX_SERVERS - MAX_QUESTIONS));
}

#[tokio::test]
async fn a_question_ends_with_the_run_and_is_not_asked_without_its_lease() {
    let silent = Liar::start(|_, _| Lie::default()).await;
    let dns = format!("{{ names = [\"*\"], servers = [\"{}\"] }}", silent.address);
    let short = Request { deadline: Duration::from_millis(300), ..request() };
    let asker = asker_of(&dns, services(&[]), &short);
    let begun = std::time::Instant::now();
    let replies = asker.ask(WWW, "A", &[silent.address.to_string()], Some(Duration::from_secs(10))).await;
    assert_eq!(replies.expect("the lease stands")[0].answer, Err(Error::Timeout));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

    let before = silent.asked();
    let lost = Request { lease: Lease::until(0), ..request() };
    let asker = asker_of(&dns, services(&[silent.address]), &lost);
    assert!(asker.ask(WWW, "A", &[silent.address.to_string()], None).await.is_err());
    assert!(matches!(asker.lookup(WWW, "A").await, Err(Error::Lost(_))));
    assert_eq!(silent.asked(), before);
}

#[tokio::test]
async fn an_answer_that_comes_after_the_lease_is_nobodys() {
    let slow =
        Liar::start(|question, _| Lie { after: Duration::from_secs(1), ..Lie::say(&answer(question, &[a(1)])) }).await;
    let lease = Lease::unlimited();
    let request = Request { lease: lease.clone(), ..request() };
    let asker = asker_of("{ names = [\"*\"] }", services(&[slow.address]), &request);
    let looking = tokio::spawn(async move { asker.lookup(WWW, "A").await });
    while slow.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    lease.revoke();
    assert!(matches!(looking.await.expect("no panic"), Err(Error::Lost(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_questions_are_under_way_at_once_and_no_more() {
    let silent = Liar::start(|_, _| Lie::default()).await;
    let asker = asker(&[silent.address]);
    let servers = vec![silent.address.to_string(); MAX_AT_ONCE + 20];
    let asking = tokio::spawn(async move { asker.ask(WWW, "A", &servers, Some(Duration::from_secs(10))).await });
    let before = std::time::Instant::now();
    while silent.asked() < MAX_AT_ONCE && before.elapsed() < Duration::from_secs(8) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A question is sent again meanwhile, under the same number.
    let ids: std::collections::HashSet<u16> = silent.questions().iter().map(|question| question.id).collect();
    assert_eq!(ids.len(), MAX_AT_ONCE);
    asking.abort();
}
