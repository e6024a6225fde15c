use std::net::Ipv4Addr;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record};
use tokio::net::UdpSocket;

use super::*;

#[test]
fn a_pointer_is_a_name_and_perhaps_a_server() {
    for (text, shown) in [
        ("module.example.com", "dns:module.example.com"),
        ("Module.Example.com.", "dns:module.example.com"),
        ("//127.0.0.1:5353/a.example", "dns://127.0.0.1:5353/a.example"),
        ("//192.0.2.1/a.example", "dns://192.0.2.1:53/a.example"),
        ("//[2001:db8::1]/a.example", "dns://[2001:db8::1]:53/a.example"),
    ] {
        assert_eq!(Pointer::parse(text).unwrap().to_string(), shown, "{text}");
    }
    for text in
        ["", "//", "//a.example", "//ns1.example/a.example", "//192.0.2.1/", "a..b", "a.example?type=TXT", "a/b"]
    {
        let error = Pointer::parse(text).expect_err(text);
        assert!(error.hint().contains("dns:NAME"), "{error}");
    }
}

#[test]
fn a_value_names_a_source_and_a_digest() {
    let digest = Digest::of(b"abc");
    let read = |text: &str| Pointed::parse(text.as_bytes());
    let url = read(&format!("source=https://example.com/a.wasm?v=1 sha256={digest}")).unwrap();
    assert_eq!((url.source.to_string().as_str(), url.digest), ("https://example.com/a.wasm", digest));
    let image = read(&format!(" sha256=sha256:{digest}\tsource=oci://ghcr.io/a/b:1 ")).unwrap();
    assert_eq!((image.source.to_string().as_str(), image.digest), ("oci://ghcr.io/a/b:1", digest));
}

#[test]
fn a_value_that_points_nowhere_is_refused_and_says_why() {
    let digest = Digest::of(b"abc");
    for (value, reason) in [
        (String::new(), "no `source=`"),
        ("v=spf1 -all".to_owned(), "`v` is neither"),
        ("hello".to_owned(), "no `key=value`"),
        ("source=https://example.com/a".to_owned(), "no `sha256=`"),
        (format!("sha256={digest}"), "no `source=`"),
        ("source=https://example.com/a sha256=abc".to_owned(), "64 hexadecimal"),
        (format!("source=https://a/b source=https://a/c sha256={digest}"), "two of `source`"),
        (format!("source=http://example.com/a sha256={digest}"), "plain http"),
        (format!("source=/etc/passwd sha256={digest}"), "is a file"),
        (format!("source=file:///etc/passwd sha256={digest}"), "file://"),
        (format!("source=dns:b.example sha256={digest}"), "a pointer again"),
        (format!("source=https://a/b sha256={digest} run=rm"), "`run` is neither"),
        (format!("source=https://a/{} sha256={digest}", "b".repeat(MAX_VALUE)), "are the most"),
    ] {
        let error = Pointed::parse(value.as_bytes()).expect_err(&value);
        assert!(error.contains(reason), "{value}: {error}");
    }
    assert_eq!(Pointed::parse(b"\xff").unwrap_err(), "it is no text");
}

/// A server that says this of every name, for the zone or from its cache, until the test ends.
async fn says(text: &'static str, authoritative: bool) -> Server {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut question = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            let mut answer = Message::from_vec(&question[..length]).unwrap().into_response();
            answer.metadata.authoritative = authoritative;
            let name = answer.queries[0].name().clone();
            answer.add_answer(Record::from_rdata(name, 60, RData::TXT(TXT::new(vec![text.to_owned()]))));
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    Server { name: None, addr }
}

#[tokio::test]
async fn all_servers_of_a_zone_must_say_the_same_and_of_their_own() {
    let name = Name::from_ascii("module.example.com.").unwrap();
    let (one, same, other, cached) =
        (says("one", true).await, says("one", true).await, says("two", true).await, says("one", false).await);
    let asked = async |servers: &[&Server]| {
        at_all(&name, &servers.iter().map(|&server| server.clone()).collect::<Vec<_>>()).await
    };
    assert_eq!(asked(&[&one, &same]).await, Ok(vec![b"one".to_vec()]));
    for servers in [[&one, &other], [&other, &one]] {
        let error = asked(&servers).await.unwrap_err();
        assert!(error.contains("has not reached all servers"), "{error}");
    }
    // One that does not speak for the zone is as good as one that does not answer.
    assert_eq!(asked(&[&cached, &one]).await, Ok(vec![b"one".to_vec()]));
    let error = asked(&[&cached]).await.unwrap_err();
    assert!(error.contains("from a cache"), "{error}");
    assert!(asked(&[]).await.is_err());
}
