//! The tools that people have work against the embedded server: `dig`, `nsupdate` and dnspython.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use soloist::arbiter::tsig::{Algorithm, Key};
use soloist_tests::binary::soloist;
use soloist_tests::served::Served;

const ZONE: &str = "example.test";

/// A server, and a key file as `soloist dns key` makes it.
struct Setup {
    served: Served,
    key_file: PathBuf,
    dir: tempfile::TempDir,
}

fn make_key(dir: &Path, file: &str, name: &str, algorithm: Algorithm) -> PathBuf {
    let path = dir.join(file);
    let made = Command::new(soloist())
        .args(["dns", "key", "--name", name, "--algorithm", algorithm.name(), "--out"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    path
}

fn setup(algorithm: Algorithm) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let key_file = make_key(dir.path(), "soloist.key", "soloist", algorithm);
    let key = Key::from_file("soloist", algorithm, &key_file).unwrap();
    Setup { served: Served::start(ZONE, &key, &dir.path().join("data")), key_file, dir }
}

impl Setup {
    /// Runs dig against the server, signing with a key file if one is given.
    fn dig(&self, key: Option<&Path>, args: &[&str]) -> String {
        let mut dig = Command::new("dig");
        dig.args([format!("@{}", self.served.addr.ip()), "-p".to_owned(), self.served.addr.port().to_string()]);
        if let Some(key) = key {
            dig.arg("-k").arg(key);
        }
        let output = dig.args(args).output().expect("dig runs");
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    /// The TXT values at a name, as dig shows them.
    fn txt(&self, owner: &str) -> Vec<String> {
        let mut lines: Vec<String> = self.dig(None, &["+short", owner, "TXT"]).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Has nsupdate send these lines as one update; what it says on stderr, which is nothing where all is well.
    fn nsupdate(&self, key: Option<&Path>, tcp: bool, lines: &[&str]) -> String {
        let mut nsupdate = Command::new("nsupdate");
        if let Some(key) = key {
            nsupdate.arg("-k").arg(key);
        }
        if tcp {
            nsupdate.arg("-v");
        }
        let mut script = format!("server {} {}\nzone {ZONE}\n", self.served.addr.ip(), self.served.addr.port());
        script.push_str(&lines.join("\n"));
        script.push_str("\nsend\n");
        let output = feed(nsupdate, &script);
        String::from_utf8(output.stderr).unwrap().trim().to_owned()
    }

    /// The same signed, over TCP.
    fn signed(&self, lines: &[&str]) -> String {
        self.nsupdate(Some(&self.key_file), true, lines)
    }

    fn serial(&self) -> u32 {
        self.dig(None, &["+short", ZONE, "SOA"]).split(' ').nth(2).unwrap().parse().unwrap()
    }
}

fn feed(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool runs");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
#[ignore = "needs dig; tests/run installs it"]
fn dig_reads_the_zone_and_everything_about_an_answer() {
    let setup = setup(Algorithm::HmacSha256);
    let apex = setup.dig(None, &["+nsid", ZONE, "SOA"]);
    assert!(apex.contains("status: NOERROR") && apex.contains("flags: qr aa"), "{apex}");
    assert!(apex.contains("NSID: ") && apex.contains(&format!("(\"{}\")", setup.served.addr)), "{apex}");
    assert!(apex.contains("EDNS: version: 0"), "{apex}");
    assert!(setup.dig(None, &["+ednsopt=65001:00", ZONE, "NS"]).contains("ns.example.test."));
    assert!(setup.dig(None, &["+edns=1", "+noednsneg", ZONE, "SOA"]).contains("status: BADVERS"));
    assert!(!setup.dig(None, &["+noedns", ZONE, "SOA"]).contains("EDNS:"));

    let missing = setup.dig(None, &["none.example.test", "TXT"]);
    assert!(missing.contains("status: NXDOMAIN") && missing.contains("AUTHORITY: 1"), "{missing}");
    let empty = setup.dig(None, &["ns.example.test", "TXT"]);
    assert!(empty.contains("status: NOERROR") && empty.contains("ANSWER: 0, AUTHORITY: 1"), "{empty}");
    assert!(setup.dig(None, &[ZONE, "ANY"]).contains("ANSWER: 2"));
    assert!(setup.dig(None, &["other.test", "TXT"]).contains("status: REFUSED"));
    assert!(setup.dig(None, &["CH", "version.bind", "TXT"]).contains("status: REFUSED"));
    assert!(setup.dig(None, &["+opcode=notify", ZONE, "SOA"]).contains("status: NOTIMP"));
    assert!(setup.dig(None, &["+tcp", ZONE, "SOA"]).contains("(TCP)"));
}

#[test]
#[ignore = "needs dig and nsupdate; tests/run installs them"]
fn dig_transfers_the_zone_with_the_key_and_not_without() {
    for algorithm in [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512] {
        let setup = setup(algorithm);
        assert_eq!(setup.signed(&["update add job.example.test 60 TXT \"one\""]), "");
        let whole = setup.dig(Some(&setup.key_file), &[ZONE, "AXFR"]);
        assert!(whole.contains("XFR size: 5 records") && whole.contains("\"one\""), "{whole}");
        assert!(!whole.contains("Couldn't verify") && !whole.contains("WARNING"), "{whole}");
        assert!(setup.dig(None, &[ZONE, "AXFR"]).contains("Transfer failed"));
        let stranger = make_key(setup.dir.path(), "stranger.key", "soloist", algorithm);
        assert!(setup.dig(Some(&stranger), &[ZONE, "AXFR"]).contains("Transfer failed"));

        let increment = setup.dig(Some(&setup.key_file), &[ZONE, "IXFR=1", "+tcp"]);
        assert!(increment.contains("XFR size: 5 records"), "{increment}");
        let current = format!("IXFR={}", setup.serial());
        let nothing = setup.dig(Some(&setup.key_file), &[ZONE, &current, "+tcp"]);
        assert!(nothing.contains("XFR size: 1 records"), "{nothing}");
        // A signed question gets a signed answer, which dig checks.
        let signed = setup.dig(Some(&setup.key_file), &["job.example.test", "TXT"]);
        assert!(signed.contains("TSIG PSEUDOSECTION") && !signed.contains("Couldn't verify"), "{signed}");
    }
}

#[test]
#[ignore = "needs dig and nsupdate; tests/run installs them"]
fn a_transfer_of_many_messages_is_verified_by_dig_message_by_message() {
    let setup = setup(Algorithm::HmacSha256);
    let long = "x".repeat(250);
    for batch in 0..8 {
        let lines: Vec<String> =
            (0..100).map(|i| format!("update add j{batch}-{i}.example.test 60 TXT \"{long}\"")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert_eq!(setup.signed(&lines), "");
    }
    let whole = setup.dig(Some(&setup.key_file), &["+nocmd", ZONE, "AXFR"]);
    assert!(whole.contains("XFR size: 804 records (messages "), "{}", &whole[whole.len() - 300..]);
    assert!(!whole.contains("(messages 1,") && !whole.contains("Couldn't verify"));
}

#[test]
#[ignore = "needs dig and nsupdate; tests/run installs them"]
fn nsupdate_adds_and_deletes_in_every_way() {
    let setup = setup(Algorithm::HmacSha256);
    let serial = setup.serial();
    for (i, tcp) in [false, true].into_iter().enumerate() {
        let owner = format!("job{i}.example.test");
        let add = |text: &str| format!("update add {owner} 60 TXT \"{text}\"");
        let update = |lines: &[&str]| setup.nsupdate(Some(&setup.key_file), tcp, lines);
        assert_eq!(update(&[&add("one"), &add("Two"), &add("three words here")]), "");
        assert_eq!(setup.txt(&owner), ["\"Two\"", "\"one\"", "\"three words here\""]);
        assert_eq!(update(&[&format!("update delete {owner} TXT \"Two\"")]), "");
        assert_eq!(setup.txt(&owner), ["\"one\"", "\"three words here\""]);
        assert_eq!(update(&[&format!("update add {owner} 60 A 192.0.2.1")]), "");
        assert_eq!(update(&[&format!("update delete {owner} TXT")]), "");
        assert_eq!(setup.txt(&owner), Vec::<String>::new());
        assert_eq!(setup.dig(None, &["+short", &owner, "A"]).trim(), "192.0.2.1");
        assert_eq!(update(&[&format!("update delete {owner}")]), "");
        assert!(setup.dig(None, &[&owner, "A"]).contains("status: NXDOMAIN"));
        assert_eq!(update(&[&format!("update delete {owner}")]), "", "nothing to delete is no error");
    }
    assert_eq!(setup.serial(), serial + 10, "one up for each update that changed something");
    assert_eq!(setup.signed(&[&format!("update delete {ZONE} NS"), &format!("update delete {ZONE} SOA")]), "");
    assert!(setup.dig(None, &["+short", ZONE, "NS"]).contains("ns.example.test."));
    assert!(setup.signed(&["update add job.other.test 60 TXT x"]).contains("NOTZONE"));
}

#[test]
#[ignore = "needs dig and nsupdate; tests/run installs them"]
fn nsupdate_is_told_which_prerequisite_does_not_hold() {
    let setup = setup(Algorithm::HmacSha512);
    assert_eq!(
        setup.signed(&["update add job.example.test 60 TXT \"a\"", "update add job.example.test 60 TXT \"b\""]),
        ""
    );
    let serial = setup.serial();
    let refused = |prerequisites: &[&str], code: &str| {
        let said = setup.signed(&[prerequisites, &["update add x.example.test 60 TXT \"x\""]].concat());
        assert!(said.contains(code), "{prerequisites:?}: {said}");
    };
    refused(&["prereq nxdomain job.example.test"], "YXDOMAIN");
    refused(&["prereq yxdomain none.example.test"], "NXDOMAIN");
    refused(&["prereq nxrrset job.example.test TXT"], "YXRRSET");
    refused(&["prereq yxrrset job.example.test A"], "NXRRSET");
    refused(&["prereq yxrrset job.example.test TXT \"a\""], "NXRRSET");
    refused(&["prereq yxrrset job.example.test TXT \"a\"", "prereq yxrrset job.example.test TXT \"B\""], "NXRRSET");
    assert_eq!(setup.serial(), serial);
    let held = [
        "prereq yxdomain job.example.test",
        "prereq nxdomain x.example.test",
        "prereq yxrrset job.example.test TXT",
        "prereq nxrrset job.example.test A",
        "prereq yxrrset job.example.test TXT \"b\"",
        "prereq yxrrset job.example.test TXT \"a\"",
        "update delete job.example.test TXT",
        "update add job.example.test 60 TXT \"c\"",
    ];
    assert_eq!(setup.signed(&held), "");
    assert_eq!(setup.txt("job.example.test"), ["\"c\""]);
}

#[test]
#[ignore = "needs dig and nsupdate; tests/run installs them"]
fn nsupdate_without_the_right_key_changes_nothing() {
    let setup = setup(Algorithm::HmacSha256);
    let add = ["update add job.example.test 60 TXT \"x\""];
    assert!(setup.nsupdate(None, true, &add).contains("REFUSED"));
    let wrong_secret = make_key(setup.dir.path(), "wrong.key", "soloist", Algorithm::HmacSha256);
    assert!(setup.nsupdate(Some(&wrong_secret), true, &add).contains("NOTAUTH(BADSIG)"));
    let wrong_name = make_key(setup.dir.path(), "name.key", "other", Algorithm::HmacSha256);
    assert!(setup.nsupdate(Some(&wrong_name), true, &add).contains("NOTAUTH(BADKEY)"));
    let wrong_algorithm = make_key(setup.dir.path(), "algorithm.key", "soloist", Algorithm::HmacSha384);
    assert!(setup.nsupdate(Some(&wrong_algorithm), true, &add).contains("NOTAUTH(BADKEY)"));
    assert_eq!(setup.txt("job.example.test"), Vec::<String>::new());
}

/// Prerequisites of each kind, updates over TCP and UDP, TSIG and AXFR, as a user of dnspython writes them.
const PYTHON: &str = r#"
import sys, dns.query, dns.update, dns.rcode, dns.tsigkeyring, dns.zone, dns.message, dns.tsig, dns.name
host, port, secret = sys.argv[1], int(sys.argv[2]), sys.stdin.read().strip()
ring = dns.tsigkeyring.from_text({"soloist.": ("hmac-sha256", secret)})
def update(send=dns.query.tcp, ring=ring):
    u = dns.update.UpdateMessage("example.test", keyring=ring, keyalgorithm="hmac-sha256")
    u.go = lambda: dns.rcode.to_text(send(u, host, port=port, timeout=10).rcode())
    return u
def check(got, wanted):
    assert got == wanted, f"{got}, not {wanted}"

u = update(); u.absent("job", "TXT"); u.add("job", 5, "TXT", '"first"'); check(u.go(), "NOERROR")
u = update(); u.absent("job", "TXT"); u.add("job", 5, "TXT", '"late"'); check(u.go(), "YXRRSET")
u = update(dns.query.udp); u.present("job", "TXT", '"first"'); u.replace("job", 5, "TXT", '"second"'); check(u.go(), "NOERROR")
u = update(); u.present("job", "TXT", '"first"'); u.replace("job", 5, "TXT", '"late"'); check(u.go(), "NXRRSET")
u = update(); u.present("job", "TXT", '"SECOND"'); u.replace("job", 5, "TXT", '"late"'); check(u.go(), "NXRRSET")
u = update(); u.absent("job"); check(u.go(), "YXDOMAIN")
u = update(); u.present("none"); check(u.go(), "NXDOMAIN")
u = update(); u.present("job", "A"); check(u.go(), "NXRRSET")
u = update(); u.add("two", 5, "TXT", '"a" "b"', '"c"'); check(u.go(), "NOERROR")
u = update(); u.delete("two", "TXT", '"c"'); check(u.go(), "NOERROR")
for _ in range(40):
    u = update(dns.query.udp); u.replace("big", 5, "TXT", " ".join(['"%s"' % ("x" * 250)] * 4)); check(u.go(), "NOERROR")

zone = dns.zone.from_xfr(dns.query.xfr(host, "example.test", port=port, keyring=ring, keyalgorithm="hmac-sha256"))
names = sorted(str(name) for name in zone.nodes)
check(names, ["@", "big", "job", "ns", "two"])
check(zone["two"].to_text(dns.name.from_text("two", None)), 'two 5 IN TXT "a" "b"')
try:
    list(dns.query.xfr(host, "example.test", port=port)); raise SystemExit("an unsigned transfer was answered")
except dns.query.TransferError as refused:
    check(dns.rcode.to_text(refused.rcode), "REFUSED")

wrong = dns.tsigkeyring.from_text({"soloist.": ("hmac-sha256", "d3Jvbmcgc2VjcmV0IGZvciBhIHRlc3Q=")})
for ring, fault in [(wrong, dns.tsig.PeerBadSignature)]:
    try:
        update(ring=ring).go(); raise SystemExit("a wrong key was taken")
    except fault:
        pass
dns.query.udp(dns.message.make_query("job.example.test", "TXT", use_edns=0), host, port=port, timeout=10)
print("fine")
"#;

#[test]
#[ignore = "needs dnspython; tests/run installs it"]
fn dnspython_updates_with_prerequisites_signs_and_transfers() {
    let setup = setup(Algorithm::HmacSha256);
    let key = Key::from_file("soloist", Algorithm::HmacSha256, &setup.key_file).unwrap();
    // The distribution's own Python has the distribution's dnspython.
    let mut python = Command::new("/usr/bin/python3");
    python.arg("-c").arg(PYTHON).arg(setup.served.addr.ip().to_string()).arg(setup.served.addr.port().to_string());
    let output = feed(python, &key.secret_base64());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "fine\n");
}
