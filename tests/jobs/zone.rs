//! `zone-watch-zig`: two name servers of one zone, of which one is behind.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::NS;
use serde_json::json;
use soloist::arbiter::tsig::Algorithm;
use soloist::capability::{Granted, Services};
use soloist::round::Outcome;
use soloist::runtime::{Engine, Module, Request, run};
use soloist_tests::hand::name;
use soloist_tests::servers::{self, Kind, TestServer};
use soloist_tests::slack::Fault;
use soloist_tests::{guest, netns};

use crate::bench::{Bench, built, set};

async fn change(server: &dyn TestServer) {
    let hand = server.hand();
    hand.overwrite_txt(&name("canary.example.test"), &[&[b"changed"]]).await.expect("the zone can be changed");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs and BIND"]
async fn a_server_that_stays_behind_is_told_once_and_so_is_its_end() {
    let first = servers::start(Kind::Bind, Algorithm::HmacSha256).await.expect("BIND");
    let second = servers::start(Kind::Bind, Algorithm::HmacSha256).await.expect("BIND");
    let addresses = [first.address().to_string(), second.address().to_string()];
    let settings =
        json!({"zone": servers::ZONE, "channel": "#ops", "servers": addresses, "patience": 300, "timeout": 10_000});
    let grants = format!("dns = {{ names = [\"{}\"], servers = {addresses:?} }}", servers::ZONE);
    let mut bench = Bench::new("zone-watch-zig", settings, &grants).await;
    let mut seen = 0;
    let agreed = bench.ok().await;
    assert!(agreed.starts_with("2 servers serve "), "{agreed}");

    change(&*first).await;
    assert_eq!(bench.ok().await, "1 of 2 servers are behind");
    bench.due_ms += 299_000;
    assert_eq!(bench.ok().await, "1 of 2 servers are behind");
    assert!(bench.told(&mut seen).is_empty());
    bench.due_ms += 1_000;
    bench.slack.fail_next(Fault::RateLimited(3000));
    bench.fails(Outcome::Retry, "Slack asks to wait").await;
    bench.elsewhere();
    assert_eq!(bench.ok().await, "1 of 2 servers are behind; told #ops");
    let told = bench.told(&mut seen);
    assert!(told[0].contains("1 of 2 name servers of *example.test* are behind"), "{told:?}");
    assert!(told[0].contains(&format!("{} serves ", addresses[1])), "{told:?}");
    bench.due_ms += 60_000;
    assert_eq!(bench.ok().await, "1 of 2 servers are behind");

    change(&*second).await;
    let again = bench.ok().await;
    assert!(again.starts_with("2 servers serve ") && again.ends_with("; told #ops"), "{again}");
    assert!(bench.told(&mut seen)[0].contains("all 2 name servers of *example.test* serve"));
    assert_eq!(bench.state, None);
}

#[test]
#[ignore = "needs root, ip, BIND and built jobs"]
fn the_servers_of_a_zone_are_those_that_it_names() {
    // Servers are asked at port 53, which is free in a network of one's own.
    netns::within(|mut network| async move {
        let first = servers::start_at(Kind::Bind, &network.place()).await.expect("BIND");
        let second_at = network.place();
        let second = servers::start_at(Kind::Bind, &second_at).await.expect("BIND");
        let zone = name(servers::ZONE);
        let other = name("ns2.example.test");
        let join = async |server: &dyn TestServer| {
            let address = RData::A(second_at.address().into());
            server.hand().add(&other, vec![address]).await.expect("an address");
            server.hand().add(&zone, vec![RData::NS(NS(other.clone()))]).await.expect("a name server");
        };
        join(&*first).await;

        // The engine's threads are in the network where it was made.
        let engine = Engine::new().expect("an engine");
        let module = Module::load(&engine, &built("zone-watch-zig")).expect("it loads");
        let services = format!("[dns]\nresolvers = [\"{}\"]", first.address());
        let services = Services::new(&toml::from_str(&services).expect("services"), Path::new("")).expect("services");
        let watch = async |grant: &str| {
            let grants = toml::from_str(&format!("slack = [\"#ops\"]\ndns = {grant}")).expect("grants");
            let granted = Arc::new(Granted::new(grants, services.clone()));
            let settings = json!({"zone": servers::ZONE, "channel": "#ops", "timeout": 10_000});
            let settings = Arc::new(settings.as_object().cloned().expect("an object"));
            let deadline = Duration::from_secs(60);
            let prepared = module.prepare("zone", granted).expect("it is granted all");
            run(&prepared, Request { settings, deadline, ..guest::request() }).await
        };
        // As the README has it, but for the servers, which are in a private network here.
        let granted = "{ names = [\"example.test\", \"*.example.test\"], servers = [\"*.example.test\"] }";
        let report = watch(granted).await;
        assert_eq!((report.outcome, &*report.message), (Outcome::Ok, "1 of 2 servers are behind"));
        join(&*second).await;
        let report = watch(granted).await;
        assert_eq!((report.outcome, &*report.message), (Outcome::Ok, "2 servers serve 3"));
        // A server is asked only where its name is granted, too.
        let report = watch("[\"example.test\"]").await;
        assert_eq!(report.outcome, Outcome::Error);
        assert!(report.message.contains("was not granted the server `ns"), "{}", report.message);
    });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn a_server_that_does_not_answer_is_behind_and_what_was_not_granted_is_final() {
    // Nobody listens on a port that was free a moment ago.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let settings = json!({
        "zone": "example.test", "channel": "#ops", "servers": [nobody.to_string()], "patience": 0, "timeout": 500,
    });
    let grants = format!("dns = {{ names = [\"example.test\"], servers = [\"{nobody}\"] }}");
    let mut bench = Bench::new("zone-watch-zig", settings, &grants).await;
    assert_eq!(bench.ok().await, "1 of 1 servers are behind; told #ops");
    for (key, value, reason) in [
        ("zone", json!("example.com"), "example.com"),
        ("zone", json!(7), "wrong kind"),
        ("colour", json!("red"), "a setting is unknown"),
    ] {
        set(&mut bench, key, value);
        bench.fails(Outcome::Error, reason).await;
        set(&mut bench, "zone", json!("example.test"));
    }
}
