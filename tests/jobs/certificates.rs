//! `certificates-go`: certificates that openssl makes and shows, as old as a test wants them.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use soloist::round::Outcome;
use soloist_tests::slack::Fault;
use tempfile::TempDir;

use crate::bench::{Bench, set};

/// An https server that shows a certificate.
struct Shown {
    origin: String,
    server: Child,
    _folder: TempDir,
}

impl Shown {
    /// One that ends in so many days.
    fn start(days: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/CN=watched",
            ])
            .args(["-days", &days.to_string(), "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).expect("a port");
        let server = serve(port.port(), &key, &certificate);
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(port).is_err() {
            assert!(Instant::now() < end, "openssl does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { origin: format!("https://{port}"), server, _folder: folder }
    }
}

fn serve(port: u16, key: &Path, certificate: &Path) -> Child {
    Command::new("openssl")
        .args(["s_server", "-quiet", "-www", "-accept", &format!("127.0.0.1:{port}"), "-key"])
        .arg(key)
        .arg("-cert")
        .arg(certificate)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is there")
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

async fn bench(origins: &[&str]) -> Bench {
    let settings = json!({"origins": origins, "channel": "#ops", "days": [30, 7]});
    Bench::new("certificates-go", settings, &format!("http = {origins:?}")).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs and openssl"]
async fn a_certificate_that_ends_soon_is_told_once_for_each_step() {
    let (soon, later) = (Shown::start(20), Shown::start(90));
    let mut bench = bench(&[&soon.origin, &later.origin]).await;
    let mut seen = 0;
    bench.slack.fail_next(Fault::Error("channel_not_found"));
    bench.fails(Outcome::Error, "Slack refused the message to #ops: channel_not_found").await;
    assert_eq!(bench.ok().await, "2 certificates, 1 end soon; told #ops");
    let told = bench.told(&mut seen);
    assert!(told[0].contains(&format!("the certificate of *{}* (watched) ends in 19 days", soon.origin)), "{told:?}");
    assert_eq!(bench.ok().await, "2 certificates");
    // A step that has been reached meanwhile.
    set(&mut bench, "days", json!([30, 20, 7]));
    assert_eq!(bench.ok().await, "2 certificates, 1 end soon; told #ops");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs and openssl"]
async fn an_origin_that_does_not_answer_is_named_and_nothing_is_forgotten() {
    let (soon, mut other) = (Shown::start(5), Shown::start(90));
    let settings = json!({"origins": [&soon.origin, &other.origin], "channel": "#ops", "days": [30, 7]});
    let third = Shown::start(90);
    let grants = format!("http = {:?}", [&soon.origin, &other.origin, &third.origin]);
    let mut bench = Bench::new("certificates-go", settings, &grants).await;
    assert_eq!(bench.ok().await, "2 certificates, 1 end soon; told #ops");
    other.server.kill().expect("it runs");
    other.server.wait().expect("it ends");
    let summary = bench.ok().await;
    assert_eq!(summary, format!("1 certificates; no answer from {}", other.origin));
    set(&mut bench, "origins", json!([&other.origin]));
    bench.fails(Outcome::Retry, "no answer from").await;
    // The silent one may be the one that was told.
    set(&mut bench, "origins", json!([&other.origin, &third.origin]));
    assert_eq!(bench.ok().await, summary);
    set(&mut bench, "origins", json!([&soon.origin]));
    assert_eq!(bench.ok().await, "1 certificates", "what was told is still known");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs built jobs"]
async fn what_was_not_granted_and_what_is_no_setting_is_a_final_failure() {
    for (key, value, reason) in [
        ("origins", json!(["https://example.com"]), "https://example.com"),
        ("days", json!([-1]), "the setting `days`"),
        ("origins", json!([]), "the setting `origins`"),
        ("colour", json!("red"), "colour"),
    ] {
        let mut bench = bench(&["https://127.0.0.1:1"]).await;
        set(&mut bench, key, value);
        bench.fails(Outcome::Error, reason).await;
    }
}
