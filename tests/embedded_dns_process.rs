//! `soloist dns` as a process: killed, on a full disk, stopped; and what its errors say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{Name, RData, Record, RecordSet, RecordType};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use soloist::arbiter::tsig::{Algorithm, Key};
use soloist::dns::query::{self, Server};
use soloist_tests::binary::soloist;
use soloist_tests::dns_client::{create, name, swap, tcp, txt, udp};
use soloist_tests::served::Served;

const ZONE: &str = "example.test";

fn key() -> Key {
    Key::generate("soloist", Algorithm::HmacSha256).unwrap()
}

async fn values(served: &Served, owner: &Name) -> Vec<String> {
    let servers = [Server { name: None, addr: served.addr }];
    let answer = query::ask_all(owner, &servers, Duration::from_secs(20)).await.remove(0);
    let observation = answer.result.unwrap().observation;
    observation.values.into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
}

/// Runs `soloist` to its end.
fn run(args: &[&str]) -> Output {
    Command::new(soloist()).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_under_updates_has_every_one_that_it_acknowledged() {
    const WRITERS: usize = 6;
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let mut served = Served::start(ZONE, &key, data.path());
    for life in 0..5_u64 {
        let addr = served.addr;
        let (acknowledged, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let (key, acknowledged) = (key.clone(), acknowledged.clone());
            writers.spawn(async move {
                let owner = name(&format!("w{writer}.life{life}.example.test"));
                let mut client = if writer % 2 == 0 { tcp(addr, Some(&key)).await } else { udp(addr, Some(&key)) };
                let mut last: Option<u64> = None;
                for next in 0_u64.. {
                    let new = txt(&owner, &next.to_string());
                    let sent = match last {
                        None => create(&mut client, &name(ZONE), new).await,
                        Some(last) => swap(&mut client, &name(ZONE), txt(&owner, &last.to_string()), new).await,
                    };
                    // The server is gone.
                    let Ok(code) = sent else { return };
                    assert_eq!(code, ResponseCode::NoError);
                    last = Some(next);
                    if acknowledged.send((owner.clone(), next)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(acknowledged);
        let mut latest: BTreeMap<Name, u64> = BTreeMap::new();
        let enough = 150 + 37 * life;
        let mut seen = 0;
        while seen < enough || latest.len() < WRITERS {
            let (owner, value) = told.recv().await.unwrap();
            latest.insert(owner, value);
            seen += 1;
        }
        served.kill();
        writers.abort_all();
        while writers.join_next().await.is_some() {}
        while let Some((owner, value)) = told.recv().await {
            latest.insert(owner, value);
        }
        served = Served::start(ZONE, &key, data.path());
        for (owner, value) in latest {
            let kept: Vec<u64> = values(&served, &owner).await.iter().map(|value| value.parse().unwrap()).collect();
            // One more may have been written without its acknowledgement getting out.
            assert!(kept == [value] || kept == [value + 1], "{owner}: acknowledged {value}, kept {kept:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_an_update_and_loses_nothing() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    // No file may grow beyond 16 KiB: what a full disk does, to a write half way through, without a disk of its own.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\""]).arg(soloist());
    let mut served = Served::start_by(command, ZONE, &key, data.path());
    let mut client = tcp(served.addr, Some(&key)).await;
    // Large ones, so that much is half written at the limit, and room for small ones is left where that is undone.
    let (long, owner) = ("x".repeat(14 * 250), |i: usize| name(&format!("job{i}.example.test")));
    let large = |i: usize| {
        let mut set = RecordSet::with_ttl(owner(i), RecordType::TXT, 5);
        let strings = long.as_bytes().chunks(250).collect();
        set.insert(Record::from_rdata(owner(i), 5, RData::TXT(TXT::from_bytes(strings))), 0);
        set
    };
    let mut written = 0;
    let code = loop {
        match create(&mut client, &name(ZONE), large(written)).await.unwrap() {
            ResponseCode::NoError => written += 1,
            other => break other,
        }
        assert!(written < 100, "the limit holds");
    };
    assert_eq!((code, written), (ResponseCode::ServFail, 4));
    assert_eq!(values(&served, &owner(written)).await, Vec::<String>::new(), "what failed is not there");
    assert_eq!(values(&served, &owner(written - 1)).await, [long.as_str()]);
    let small = name("small.example.test");
    let after = create(&mut client, &name(ZONE), txt(&small, "fits")).await.unwrap();
    assert_eq!(after, ResponseCode::NoError, "the half-written entry is gone, and there is room for a small one");
    served.kill();

    let served = Served::start(ZONE, &key, data.path());
    for i in 0..written {
        assert_eq!(values(&served, &owner(i)).await, [long.as_str()]);
    }
    assert_eq!(values(&served, &owner(written)).await, Vec::<String>::new());
    assert_eq!(values(&served, &small).await, ["fits"]);
    let mut client = tcp(served.addr, Some(&key)).await;
    let room = create(&mut client, &name(ZONE), large(written)).await.unwrap();
    assert_eq!(room, ResponseCode::NoError);
}

#[tokio::test]
async fn a_signal_stops_the_server_and_it_says_so_with_success() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(ZONE, &key, data.path());
        let id = Pid::from_raw(served.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
        assert!(served.wait().success());
    }
}

#[tokio::test]
async fn a_damaged_journal_is_an_error_that_says_where_and_what_to_do() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let mut served = Served::start(ZONE, &key, data.path());
    let mut client = tcp(served.addr, Some(&key)).await;
    for i in 0..3 {
        create(&mut client, &name(ZONE), txt(&name(&format!("job{i}.example.test")), "x")).await.unwrap();
    }
    served.kill();
    let journal = data.path().join("zone.journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let at = bytes.windows(4).position(|window| window == b"job1").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let file = key_file(data.path(), &key);
    let (file, dir) = (file.to_str().unwrap(), data.path().to_str().unwrap());
    let output = run(&["dns", "serve", "--zone", ZONE, "--listen", "127.0.0.1:0", "--key-file", file, "--data", dir]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("zone.journal") && text.contains("is damaged at byte "), "{text}");
    assert!(text.contains("hint: ") && text.contains("truncate -s "), "{text}");
}

fn key_file(dir: &Path, key: &Key) -> std::path::PathBuf {
    let path = dir.join("test.key");
    std::fs::write(&path, key.secret_base64()).unwrap();
    path
}

#[test]
fn a_new_key_is_for_its_owner_only_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new.key");
    let text = path.to_str().unwrap();
    let made = run(&["dns", "key", "--name", "agents.example", "--algorithm", "hmac-sha512", "--out", text]);
    assert!(made.status.success(), "{}", stderr(&made));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let clause = std::fs::read_to_string(&path).unwrap();
    assert!(clause.starts_with("key \"agents.example\" {\n\talgorithm hmac-sha512;\n\tsecret \""), "no secret shown");
    let key = Key::from_file("agents.example", Algorithm::HmacSha512, &path).unwrap();
    assert!(!stderr(&made).contains(&key.secret_base64()), "the secret is in no log");

    let again = run(&["dns", "key", "--out", text]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("hint: a key is never overwritten"), "{}", stderr(&again));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), clause);
    assert!(String::from_utf8(run(&["dns", "key"]).stdout).unwrap().starts_with("key \"soloist\" {"));
}

#[test]
fn what_cannot_be_served_is_an_error_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let file = key_file(dir.path(), &key());
    let file = file.to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let serve = |zone: &str, listen: &str, file: &str| {
        let output = run(&["dns", "serve", "--zone", zone, "--listen", listen, "--key-file", file, "--data", data]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let text = serve(ZONE, &taken, file);
    assert!(text.contains(&format!("cannot listen on `{taken}`")) && text.contains("hint: another program"), "{text}");
    let text = serve("a..b", "127.0.0.1:0", file);
    assert!(text.contains("`a..b`") && text.contains("hint: "), "{text}");
    let text = serve(".", "127.0.0.1:0", file);
    assert!(text.contains("no name of a zone") && text.contains("hint: "), "{text}");
    let text = serve(ZONE, "127.0.0.1:0", "/nowhere/key");
    assert!(text.contains("/nowhere/key") && text.contains("hint: `soloist dns key"), "{text}");
    let text = serve(ZONE, "192.0.2.1:0", file);
    assert!(text.contains("192.0.2.1") && text.contains("hint: this machine has no address"), "{text}");
}

/// How many lines of its log say this.
fn said(served: &Served, what: &str) -> usize {
    served.log().iter().filter(|line| line.contains(what)).count()
}

async fn is_answered(served: &Served, key: &Key, job: &str) {
    for (over, client) in [("udp", udp(served.addr, Some(key))), ("tcp", tcp(served.addr, Some(key)).await)] {
        let (owner, mut client) = (name(&format!("{over}-{job}.example.test")), client);
        assert_eq!(
            create(&mut client, &name(ZONE), txt(&owner, "here")).await.unwrap(),
            ResponseCode::NoError,
            "{over}"
        );
        assert_eq!(values(served, &owner).await, ["here"], "{over}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_beyond_every_limit_keep_nobody_out() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 48; exec \"$0\" \"$@\""]).arg(soloist());
    let served = Served::start_by(command, ZONE, &key, data.path());
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(served.addr).unwrap()).collect();
    is_answered(&served, &key, "meanwhile").await;
    drop(idle);
    is_answered(&served, &key, "afterwards").await;
    assert_eq!(said(&served, "as many TCP connections as may be"), 1, "{:#?}", served.log());
    assert_eq!(said(&served, "no TCP connection can be taken"), 0, "{:#?}", served.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_descriptor_left_waits_for_one_and_answers_the_rest() {
    let (data, key) = (tempfile::tempdir().unwrap(), key());
    let served = Served::start(ZONE, &key, data.path());
    let pid = Pid::from_raw(served.id().try_into().unwrap());
    let open = |number: u64| std::fs::symlink_metadata(format!("/proc/{}/fd/{number}", served.id())).is_ok();
    let free = (0..100_000).find(|number| !open(*number)).unwrap();
    let before = prlimit(pid, Resource::Nofile, Rlimit { current: Some(free), ..getrlimit(Resource::Nofile) }).unwrap();
    let waiting = TcpStream::connect(served.addr).unwrap();
    let (begun, used) = (Instant::now(), ticks(&served));
    while begun.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // In hundredths of a second: one that asks again and again uses nearly two hundred.
    let used = ticks(&served) - used;
    assert!(used < 50, "{used}");
    let mut client = udp(served.addr, Some(&key));
    let owner = name("meanwhile.example.test");
    assert_eq!(create(&mut client, &name(ZONE), txt(&owner, "here")).await.unwrap(), ResponseCode::NoError);
    prlimit(pid, Resource::Nofile, before).unwrap();
    is_answered(&served, &key, "afterwards").await;
    drop(waiting);
    assert_eq!(said(&served, "no TCP connection can be taken"), 1, "{:#?}", served.log());
}

/// The processor time that a server has used, in hundredths of a second.
fn ticks(served: &Served) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", served.id())).unwrap();
    // Behind the name of the program: utime and stime are the 14th and 15th of all fields.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
