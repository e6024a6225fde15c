//! Modules that DNS points at: one write moves an agent to another module, or back; what points nowhere changes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::TXT;
use soloist::arbiter::rfc2136::Rfc2136;
use soloist::arbiter::tsig::Algorithm;
use soloist::module::{Digest, Slot, Trust};
use soloist_tests::agents::{Event, Fleet, eventually};
use soloist_tests::guest::wat;
use soloist_tests::hand::name;
use soloist_tests::liar::{Liar, Lie, answer};
use soloist_tests::servers::{Kind, PowerDns, TestServer, start};
use soloist_tests::toy::{Toy, origin, text, until, until_text, until_true};

const NAME: &str = "module.example.test";

/// How long an agent may take to go where a pointer points, on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Files over HTTP, and how often each was asked for.
#[derive(Clone, Default)]
struct Files(Arc<Mutex<BTreeMap<String, (String, usize)>>>);

impl Files {
    /// Serves them, and gives what their URLs begin with.
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let router = Router::new().route("/{name}", get(file)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/")
    }

    fn put(&self, name: &str, text: &str) {
        self.0.lock().expect("no panic").insert(name.to_owned(), (text.to_owned(), 0));
    }

    fn asked(&self, name: &str) -> usize {
        self.0.lock().expect("no panic").get(name).map_or(0, |(_, asked)| *asked)
    }
}

async fn file(State(files): State<Files>, Path(name): Path<String>) -> Response {
    match files.0.lock().expect("no panic").get_mut(&name) {
        Some((text, asked)) => {
            *asked += 1;
            text.clone().into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

struct Scene {
    dns: Box<dyn TestServer>,
    files: Files,
    base: String,
    toy: Toy,
}

impl Scene {
    async fn new() -> Self {
        let dns = start(Kind::Embedded, Algorithm::default()).await.expect("a DNS server");
        let files = Files::default();
        let base = files.serve().await;
        Self { dns, files, base, toy: Toy::default() }
    }

    /// Puts these values there.
    async fn write(&self, values: &[&str]) {
        let strings: Vec<[&[u8]; 1]> = values.iter().map(|value| [value.as_bytes()]).collect();
        let records: Vec<&[&[u8]]> = strings.iter().map(<[&[u8]; 1]>::as_slice).collect();
        self.dns.hand().overwrite_txt(&name(NAME), &records).await.expect("the server takes it");
    }

    /// Points at a file, as one with this text.
    async fn point(&self, file: &str, text: &str) {
        self.write(&[&format!("source={}{file} sha256={}", self.base, Digest::of(text.as_bytes()))]).await;
    }

    /// A slot that follows the pointer straight at the server.
    fn slot(&self) -> Slot<String> {
        self.toy.slot(&format!("dns://{}/{NAME}", self.dns.address()))
    }
}

fn due(slot: &Slot<String>) {
    slot.refresh_before(SystemTime::now());
}

async fn until_trouble(slot: &Slot<String>, what: &str) {
    until_true(what, || {
        due(slot);
        slot.trouble().is_some_and(|trouble| trouble.reason.to_string().contains(what))
    })
    .await;
}

#[tokio::test]
async fn one_write_moves_to_another_module_and_back() {
    let scene = Scene::new().await;
    scene.files.put("a", "one");
    scene.files.put("b", "two");
    scene.point("a", "one").await;
    let slot = scene.slot();
    until_text(&slot, "one").await;
    let asked = scene.files.asked("a");
    due(&slot);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.files.asked("a"), asked, "a pointer that stays costs no download");

    scene.point("b", "two").await;
    due(&slot);
    until_text(&slot, "two").await;
    scene.point("a", "one").await;
    due(&slot);
    until_text(&slot, "one").await;
    assert_eq!(scene.toy.loaded(), ["one", "two", "one"]);
    assert_eq!((slot.refusal(), slot.trouble()), (None, None));
}

#[tokio::test]
async fn what_points_nowhere_says_what_was_found_and_the_module_in_use_stays() {
    let scene = Scene::new().await;
    scene.files.put("a", "one");
    let slot = scene.slot();
    until_trouble(&slot, "no TXT record").await;
    scene.point("a", "one").await;
    until_text(&slot, "one").await;
    let digest = Digest::of(b"two");
    for (values, found) in [
        (vec![], "no TXT record"),
        (vec!["v=spf1 -all"], "`v=spf1 -all`"),
        (vec!["source=https://a.example/b sha256=c"], "64 hexadecimal digits"),
        (vec!["source=https://a.example/b sha256=c", "another"], "2 TXT records"),
        (vec![&*format!("source=/etc/hostname sha256={digest}")], "is a file"),
        (vec![&*format!("source={}none sha256={digest}", scene.base)], "404"),
    ] {
        scene.write(&values).await;
        until_trouble(&slot, found).await;
        assert_eq!(text(&slot).as_deref(), Some("one"));
    }
    scene.point("a", "one").await;
    until_true("no trouble", || {
        due(&slot);
        slot.trouble().is_none()
    })
    .await;
    assert_eq!(scene.toy.loaded(), ["one"]);
}

#[tokio::test]
async fn the_digest_is_obeyed_and_a_module_that_comes_later_is_taken() {
    let scene = Scene::new().await;
    scene.files.put("a", "one");
    scene.point("a", "one").await;
    let slot = scene.slot();
    until_text(&slot, "one").await;
    // DNS is faster than the server that has the module.
    scene.point("a", "two").await;
    let (wanted, found) = (Digest::of(b"two"), Digest::of(b"one"));
    until_trouble(&slot, &format!("it names {wanted}, and what is at `{}a` is {found}", scene.base)).await;
    scene.files.put("a", "two");
    until_text(&slot, "two").await;
    assert_eq!((slot.trouble(), scene.toy.loaded()), (None, vec!["one".to_owned(), "two".to_owned()]));

    // Back to the module in use, wherever that is said to be: nothing is fetched.
    scene.point("a", "three").await;
    until_trouble(&slot, "it names").await;
    scene.point("gone", "two").await;
    until_true("no trouble", || {
        due(&slot);
        slot.trouble().is_none()
    })
    .await;
    assert_eq!((slot.refusal(), text(&slot).as_deref()), (None, Some("two")));
}

#[tokio::test]
async fn a_pin_in_the_configuration_goes_before_dns() {
    let scene = Scene::new().await;
    scene.files.put("a", "one");
    scene.point("a", "one").await;
    let mut origin = origin(&format!("dns://{}/{NAME}", scene.dns.address()));
    origin.trust = Trust::new(&[Digest::of(b"two").to_string()], &[]).unwrap();
    let slot = Slot::start(origin, scene.toy.loader());
    until(&slot, "a refusal", |slot| slot.refusal().is_some()).await;
    assert!(slot.refusal().unwrap().reason.contains("`sha256`"));
    assert_eq!(scene.files.asked("a"), 0, "what is not allowed is not fetched");
}

#[tokio::test]
async fn the_arbiter_reads_the_pointer_and_believes_nobody_without_its_key() {
    let scene = Scene::new().await;
    scene.files.put("a", "one");
    scene.point("a", "one").await;
    let mut origin = origin(&format!("dns:{NAME}"));
    origin.access.pointer = Some(Arc::new(Rfc2136::new(scene.dns.options(NAME)).unwrap()));
    let slot = Slot::start(origin.clone(), scene.toy.loader());
    until_text(&slot, "one").await;
    let wrong = soloist::arbiter::tsig::Key::generate("soloist", Algorithm::default()).unwrap();
    let options = soloist::arbiter::rfc2136::Options { key: wrong, ..scene.dns.options(NAME) };
    origin.access.pointer = Some(Arc::new(Rfc2136::new(options).unwrap()));
    let slot = Slot::start(origin, scene.toy.loader());
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    until_true("it stays without a module", || text(&slot).is_none()).await;
}

/// Signed by minisign 0.11: `module one`, with this key.
const KEY: &str = "RWTNNHQVxKHgycwgIjUSFbw8arWrGAvI3CvV0Mdltnje/QdtdHIbSSq2";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
RUTNNHQVxKHgyb7NWvbz0Vwpd4Xi4rjE6q7+Elc72Osg3qhlFdJVrG0Ek2cno1atpwf2OJkjxNVkPitG+8zQzhhekgRLfphllAA=\n\
trusted comment: release 1\n\
0PcA97igpn4HnkGC71sVNCKgGsE82aPephIpwgyMJVDjbQ+KLbiGzs+MaT/Qq4Bt6/Ja/nV6aNSmoLjj80G9Bg==";

#[tokio::test]
async fn a_digest_in_dns_stands_for_no_signature() {
    let scene = Scene::new().await;
    scene.files.put("a", "module one");
    scene.point("a", "module one").await;
    let mut origin = origin(&format!("dns://{}/{NAME}", scene.dns.address()));
    origin.trust = Trust::new(&[], &[KEY.to_owned()]).unwrap();
    let slot = Slot::start(origin, scene.toy.loader());
    until(&slot, "a refusal", |slot| slot.refusal().is_some()).await;
    assert!(slot.refusal().unwrap().reason.contains("it is not signed"), "{:?}", slot.refusal());
    scene.files.put("a.minisig", SIGNATURE);
    due(&slot);
    until_text(&slot, "module one").await;
}

#[tokio::test]
async fn a_cache_is_not_believed() {
    let files = Files::default();
    files.put("a", "one");
    let value = format!("source={}a sha256={}", files.serve().await, Digest::of(b"one"));
    let dns = Liar::start(move |question, _| {
        let mut said = answer(question, &[RData::TXT(TXT::new(vec![value.clone()]))]);
        said.metadata.authoritative = false;
        Lie::say(&said)
    })
    .await;
    let toy = Toy::default();
    let slot = toy.slot(&format!("dns://{}/{NAME}", dns.address));
    until_trouble(&slot, "from a cache").await;
    assert_eq!((text(&slot), files.asked("a")), (None, 0));
}

/// The job that reads the pointer by the arbiter, at PowerDNS's API, cannot find its zone by the system's resolver. The other asks
/// the same server over DNS.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pdns-server and pdns-backend-sqlite3; tests/run installs them"]
async fn one_write_at_powerdns_moves_an_agent_that_reads_by_its_api_and_back() {
    let server = PowerDns::start(Algorithm::default()).await.unwrap();
    let files = Files::default();
    let base = files.serve().await;
    let job = |job: &str, module: &str| {
        format!("[job.{job}]\nrecord = \"{job}.example.test\"\nevery = \"4s\"\nmodule = \"{module}\"\n")
    };
    let straight = format!("dns://{}/{NAME}", server.address());
    let jobs = [job("api", &format!("dns:{NAME}")), job("dns", &straight)].concat();
    let mut fleet = Fleet::at_api(&server, "timeout = \"400ms\"", &jobs);
    let put = |file: &str, word: &str| {
        let module = wat("ok.wat").replace("all is well", word);
        files.put(file, &module);
        // Longer than one string of a TXT record holds.
        format!("source={base}{file}?{} sha256={}", "x".repeat(300), Digest::of(module.as_bytes()))
    };
    let [one, two] = [put("a", "all is one!"), put("b", "all is two!")];
    let write = async |values: &[&str]| {
        let strings: Vec<Vec<&[u8]>> = values.iter().map(|value| value.as_bytes().chunks(255).collect()).collect();
        let records: Vec<&[&[u8]]> = strings.iter().map(Vec::as_slice).collect();
        // On SQLite it may fail where the agent writes at the same time.
        let writing = async || server.hand().overwrite_txt(&name(NAME), &records).await.ok();
        eventually("the server takes it", LONG, writing).await;
    };
    let log = fleet.log().clone();
    let last = |job: &str| {
        let ran = |event: &Event| event.kind() == "ran" && event.job() == job && event.text("outcome") == "ok";
        log.all(ran).pop().map(|event| event.text("summary").to_owned())
    };
    let until_both = async |word: &str| {
        let is_there = |job| last(job).as_deref() == Some(word);
        eventually(&format!("both say `{word}`"), LONG, async || (is_there("api") && is_there("dns")).then_some(()))
            .await;
    };
    write(&[&one]).await;
    fleet.start_all(&["alto"]).await;
    until_both("all is one!").await;
    write(&[&two]).await;
    until_both("all is two!").await;

    // What points nowhere changes nothing, and is said.
    write(&[&one, &two]).await;
    let refused = |event: &Event| event.said.to_string().contains("there are 2 TXT records and not one");
    eventually("both say what stands there", LONG, async || (log.all(refused).len() >= 2).then_some(())).await;
    write(&[&one]).await;
    until_both("all is one!").await;
}
