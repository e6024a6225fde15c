//! What registries do that Debian's does not: tokens, the referrers API, blobs elsewhere, limits, lies. By the OCI distribution
//! specification 1.1 and the token specification of distribution.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get};
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::TXT;
use serde_json::{Value, json};
use soloist::module::{Digest, Origin, Slot, Trust};
use soloist::runtime::{Engine, Module};
use soloist_tests::liar::{Liar, Lie, answer as answer_dns};
use soloist_tests::registry::WKG;
use soloist_tests::toy::{Toy, origin, text, until, until_text, until_true};

/// Signed by minisign 0.11: `module one`, with this key.
const KEY: &str = "RWTNNHQVxKHgycwgIjUSFbw8arWrGAvI3CvV0Mdltnje/QdtdHIbSSq2";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
RUTNNHQVxKHgyb7NWvbz0Vwpd4Xi4rjE6q7+Elc72Osg3qhlFdJVrG0Ek2cno1atpwf2OJkjxNVkPitG+8zQzhhekgRLfphllAA=\n\
trusted comment: release 1\n\
0PcA97igpn4HnkGC71sVNCKgGsE82aPephIpwgyMJVDjbQ+KLbiGzs+MaT/Qq4Bt6/Ja/nV6aNSmoLjj80G9Bg==";

/// The kind of an artifact that is a signature.
const MINISIGN: &str = "application/vnd.minisign.signature";

/// The answer to a path below `/v2/probe/`.
type Answer = (StatusCode, &'static str, Bytes);

/// What the registry has and does, as the test sets it.
#[derive(Default)]
struct Has {
    answers: BTreeMap<String, Answer>,
    /// The token that it wants, if any.
    token: Option<&'static str>,
    /// Where it says that tokens are given; by default its own `/token`.
    realm: Option<String>,
    /// Whether blobs are elsewhere.
    redirects: bool,
    /// Whether it answers everything with this status.
    fails: Option<(StatusCode, &'static str)>,
    /// What it was asked: the path and the authorization.
    asked: Vec<(Instant, String, String)>,
    /// What the token server was asked.
    tokens: Vec<String>,
}

#[derive(Clone)]
struct Registry {
    port: u16,
    has: Arc<Mutex<Has>>,
}

impl Registry {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let registry = Self { port: listener.local_addr().expect("a bound port").port(), has: Arc::default() };
        let router = Router::new()
            .route("/v2/probe/{*path}", any(answer))
            .route("/elsewhere/{*path}", get(elsewhere))
            .route("/token", any(token))
            .with_state(registry.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        registry
    }

    fn set(&self, change: impl FnOnce(&mut Has)) {
        change(&mut self.has.lock().expect("no panic"));
    }

    fn put(&self, path: &str, kind: &'static str, bytes: impl Into<Bytes>) {
        self.set(|has| _ = has.answers.insert(path.to_owned(), (StatusCode::OK, kind, bytes.into())));
    }

    /// Puts a manifest under its digest, and a tag.
    fn put_manifest(&self, tag: &str, manifest: &Value) -> Digest {
        let body = serde_json::to_vec(manifest).expect("JSON");
        let digest = Digest::of(&body);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        self.put(&format!("manifests/sha256:{digest}"), kind, body.clone());
        self.put(&format!("manifests/{tag}"), kind, body);
        digest
    }

    fn put_blob(&self, kind: &str, bytes: &'static [u8]) -> Value {
        let digest = Digest::of(bytes);
        self.put(&format!("blobs/sha256:{digest}"), "application/octet-stream", bytes);
        json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": bytes.len() })
    }

    fn push(&self, tag: &str, module: &'static [u8]) -> Digest {
        let config = self.put_blob("application/vnd.wasm.config.v0+json", b"{}");
        let layer = self.put_blob("application/wasm", module);
        self.put_manifest(tag, &json!({ "schemaVersion": 2, "config": config, "layers": [layer] }))
    }

    /// Lets the signature refer to an image, as artifacts of these kinds.
    fn refer(&self, image: Digest, kinds: &[&str]) {
        let config = self.put_blob("application/vnd.oci.empty.v1+json", b"{}");
        let layer = self.put_blob("text/plain", SIGNATURE.as_bytes());
        let artifact = self.put_manifest("none", &json!({ "schemaVersion": 2, "config": config, "layers": [layer] }));
        let digest = format!("sha256:{artifact}");
        let entry = |kind: &&str| json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1, "artifactType": kind });
        let entries: Vec<Value> = kinds.iter().map(entry).collect();
        let index = json!({ "schemaVersion": 2, "manifests": entries }).to_string();
        self.put(&format!("referrers/sha256:{image}"), "application/vnd.oci.image.index.v1+json", index);
    }

    fn origin(&self) -> Origin {
        origin(&format!("oci://127.0.0.1:{}/probe:1", self.port))
    }

    fn authorizations(&self) -> Vec<String> {
        self.has.lock().expect("no panic").asked.iter().map(|(_, _, authorization)| authorization.clone()).collect()
    }
}

fn authorization(headers: &HeaderMap) -> String {
    headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

async fn answer(State(registry): State<Registry>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let mut has = registry.has.lock().expect("no panic");
    let path = uri.path().trim_start_matches("/v2/probe/").to_owned();
    let authorization = authorization(&headers);
    has.asked.push((Instant::now(), path.clone(), authorization.clone()));
    if let Some((status, retry_after)) = has.fails {
        let body = json!({ "errors": [{ "code": "DENIED", "message": "not\u{1b}[2J you" }] }).to_string();
        return (status, [(header::RETRY_AFTER, retry_after)], body).into_response();
    }
    if let Some(wanted) = has.token
        && authorization != format!("Bearer {wanted}")
    {
        let realm = has.realm.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}/token", registry.port));
        let challenge = format!("Bearer realm=\"{realm}\",service=\"tests\",scope=\"repository:probe:pull\"");
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
    }
    if has.redirects && path.starts_with("blobs/") {
        // Another host, by another name of this machine.
        return Redirect::temporary(&format!("http://localhost:{}/elsewhere/{path}", registry.port)).into_response();
    }
    match has.answers.get(&path) {
        Some((status, kind, bytes)) => {
            let digest = format!("sha256:{}", Digest::of(bytes));
            let body = if method == Method::HEAD { Body::empty() } else { Body::from(bytes.clone()) };
            (*status, [("content-type", *kind), ("docker-content-digest", &digest)], body).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn elsewhere(State(registry): State<Registry>, uri: Uri, headers: HeaderMap) -> Response {
    let mut has = registry.has.lock().expect("no panic");
    has.asked.push((Instant::now(), uri.path().to_owned(), authorization(&headers)));
    let path = uri.path().trim_start_matches("/elsewhere/");
    has.answers.get(path).map_or(StatusCode::NOT_FOUND.into_response(), |answer| answer.2.clone().into_response())
}

async fn token(
    State(registry): State<Registry>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mut has = registry.has.lock().expect("no panic");
    has.tokens.push(format!("{method} {} {} {body}", uri.query().unwrap_or_default(), authorization(&headers)));
    json!({ "access_token": has.token, "expires_in": 60 }).to_string().into_response()
}

fn due(slot: &Slot<String>) {
    slot.refresh_before(SystemTime::now() + Duration::from_millis(20));
}

async fn trouble(slot: &Slot<String>) -> String {
    until(slot, "trouble", |slot| slot.trouble().is_some()).await;
    slot.trouble().expect("there is").reason.to_string()
}

fn docker(folder: &std::path::Path, port: u16, entry: &Value) {
    let text = json!({ "auths": { format!("127.0.0.1:{port}"): entry } }).to_string();
    std::fs::write(folder.join("config.json"), text).expect("a file");
}

#[tokio::test]
async fn what_wkg_pushed_is_read_to_the_byte() {
    let registry = Registry::start().await;
    let manifest: Value = serde_json::from_str(WKG.manifest).unwrap();
    let digest = registry.put_manifest("1", &manifest);
    assert_eq!(digest.to_string(), WKG.digest);
    registry.put(&format!("blobs/sha256:{}", Digest::of(WKG.config.as_bytes())), "", WKG.config.as_bytes());
    registry.put(&format!("blobs/sha256:{}", Digest::of(WKG.module)), "", WKG.module);
    let at = |reference: &str| origin(&format!("oci://127.0.0.1:{}/probe{reference}", registry.port));
    for reference in [":1", &format!("@sha256:{digest}"), &format!(":1@sha256:{digest}")] {
        let module = at(reference).fetch().await.unwrap_or_else(|error| panic!("{reference}: {error}"));
        let loaded = Module::load(&Engine::new().unwrap(), module.bytes()).unwrap();
        assert_eq!(loaded.kind().to_string(), "WASI preview 1 command", "{reference}");
    }
    // Nothing is fetched that nobody reads.
    let asked = registry.has.lock().unwrap().asked.clone();
    assert_eq!(asked.iter().filter(|(_, path, _)| path.starts_with("blobs/")).count(), 3);
}

#[tokio::test]
async fn a_token_is_asked_for_by_password_or_identity_and_again_when_it_is_over() {
    let registry = Registry::start().await;
    registry.push("1", b"one");
    registry.set(|has| has.token = Some("first"));
    let folder = tempfile::tempdir().unwrap();
    let mut origin = registry.origin();
    origin.access.docker = Some(folder.path().to_owned());
    let toy = Toy::default();
    let slot = Slot::start(origin.clone(), toy.loader());
    until_text(&slot, "one").await;
    docker(folder.path(), registry.port, &json!({ "username": "me", "password": "hush" }));
    registry.set(|has| has.token = Some("second"));
    registry.push("1", b"two");
    registry.set(|has| has.asked.clear());
    due(&slot);
    until_text(&slot, "two").await;
    let authorizations = registry.authorizations();
    assert_eq!(authorizations[..2], ["Bearer first", "Bearer second"], "what is over is asked for anew at once");
    docker(folder.path(), registry.port, &json!({ "identitytoken": "refresh&me" }));
    registry.set(|has| has.token = Some("third"));
    registry.push("1", b"three");
    due(&slot);
    until_text(&slot, "three").await;
    let tokens = registry.has.lock().unwrap().tokens.clone();
    let [anonymous, password, identity] = &tokens[..] else { panic!("{tokens:?}") };
    let query = "GET service=tests&scope=repository%3Aprobe%3Apull ";
    assert_eq!(anonymous.trim_end(), query.trim_end());
    assert!(password.starts_with(query) && password.contains("Basic bWU6aHVzaA=="), "{password}");
    assert!(identity.starts_with("POST  ") && identity.contains("grant_type=refresh_token"), "{identity}");
    assert!(identity.contains("refresh_token=refresh%26me") && !identity.contains("Basic"), "{identity}");
}

#[tokio::test]
async fn credentials_go_nowhere_else() {
    let registry = Registry::start().await;
    registry.push("1", b"one");
    registry.set(|has| (has.token, has.redirects) = (Some("secret"), true));
    let toy = Toy::default();
    let slot = Slot::start(registry.origin(), toy.loader());
    until_text(&slot, "one").await;
    let elsewhere = {
        let has = registry.has.lock().unwrap();
        has.asked
            .iter()
            .filter(|(_, path, _)| path.starts_with("/elsewhere/"))
            .map(|asked| asked.2.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(elsewhere, [""], "a blob that is elsewhere is fetched without the token");
    assert!(registry.authorizations().contains(&"Bearer secret".to_owned()));

    // Not even to the place where the registry sends us for a token, without TLS.
    let registry = Registry::start().await;
    registry.set(|has| (has.token, has.realm) = (Some("secret"), Some("http://192.0.2.1/token".to_owned())));
    let slot = Slot::start(registry.origin(), toy.loader());
    assert!(trouble(&slot).await.contains("without TLS"));
}

#[tokio::test]
async fn the_referrers_api_gives_signatures() {
    let registry = Registry::start().await;
    let digest = registry.push("1", b"module one");
    let mut origin = registry.origin();
    origin.trust = Trust::new(&[], &[KEY.to_owned()]).unwrap();
    registry.refer(digest, &["application/spdx+json"]);
    let toy = Toy::default();
    let slot = Slot::start(origin, toy.loader());
    until(&slot, "a refusal", |slot| slot.refusal().is_some()).await;
    // One that is too long is not read to its end.
    registry.refer(digest, &[MINISIGN]);
    registry.put(&format!("blobs/sha256:{}", Digest::of(SIGNATURE.as_bytes())), "text/plain", vec![b'x'; 9000]);
    due(&slot);
    assert!(trouble(&slot).await.contains("more than 8192 bytes"));
    // Of many, so many are looked at.
    registry.set(|has| has.asked.clear());
    registry.refer(digest, &[&["application/spdx+json"; 3][..], &[MINISIGN; 20]].concat());
    due(&slot);
    until_text(&slot, "module one").await;
    let is_signature = |path: &str| path == format!("blobs/sha256:{}", Digest::of(SIGNATURE.as_bytes()));
    let asked = registry.has.lock().unwrap().asked.iter().filter(|asked| is_signature(&asked.1)).count();
    assert_eq!(asked, 16);
}

#[tokio::test]
async fn a_registry_that_has_enough_is_left_alone_for_as_long_as_it_says() {
    let registry = Registry::start().await;
    registry.push("1", b"one");
    registry.set(|has| has.fails = Some((StatusCode::TOO_MANY_REQUESTS, "4")));
    let toy = Toy::default();
    let slot = Slot::start(registry.origin(), toy.loader());
    let reason = trouble(&slot).await;
    assert!(reason.contains("asked too often") && reason.contains("429"), "{reason}");
    registry.set(|has| has.fails = None);
    until_text(&slot, "one").await;
    let asked: Vec<Instant> = registry.has.lock().unwrap().asked.iter().map(|asked| asked.0).collect();
    assert!(asked[1] - asked[0] > Duration::from_millis(3900), "{:?}", asked[1] - asked[0]);
}

#[tokio::test]
async fn refusals_and_lies_are_told_apart_and_nothing_is_loaded() {
    let registry = Registry::start().await;
    let toy = Toy::default();
    registry.set(|has| has.fails = Some((StatusCode::FORBIDDEN, "")));
    let reason = trouble(&Slot::start(registry.origin(), toy.loader())).await;
    assert!(reason.contains("does not allow it") && !reason.contains('\u{1b}'), "{reason}");
    registry.set(|has| has.fails = None);

    let digest = registry.push("1", b"one");
    let module = Digest::of(b"one");
    registry.put(&format!("blobs/sha256:{module}"), "application/wasm", b"two".as_slice());
    let reason = trouble(&Slot::start(registry.origin(), toy.loader())).await;
    assert!(reason.contains("other bytes"), "{reason}");

    // Nor is one read that is larger than a module may be, whatever its manifest says.
    registry.put(&format!("blobs/sha256:{module}"), "application/wasm", vec![b'x'; (64 << 20) + 1]);
    let reason = trouble(&Slot::start(registry.origin(), toy.loader())).await;
    assert!(reason.contains("more than 67108864 bytes"), "{reason}");
    registry.put(&format!("blobs/sha256:{module}"), "application/wasm", b"one".as_slice());

    // A manifest of another module, in the place of the one that was named.
    let path = |tag: &str| format!("manifests/{tag}");
    registry.push("other", b"three");
    let other = registry.has.lock().unwrap().answers[&path("other")].clone();
    registry.put(&path(&format!("sha256:{digest}")), other.1, other.2);
    let by_digest = origin(&format!("oci://127.0.0.1:{}/probe@sha256:{digest}", registry.port));
    let reason = trouble(&Slot::start(by_digest, toy.loader())).await;
    assert!(reason.contains("other bytes"), "{reason}");

    // A token without end.
    registry.set(|has| has.token = Some("x".repeat(70_000).leak()));
    let reason = trouble(&Slot::start(registry.origin(), toy.loader())).await;
    assert!(reason.contains("more than 65536 bytes"), "{reason}");
    registry.set(|has| has.token = None);

    // A manifest without end is not read to its end.
    let huge = vec![b' '; (4 << 20) + 1];
    registry.put(&format!("manifests/sha256:{digest}"), "application/json", huge);
    let reason = trouble(&Slot::start(registry.origin(), toy.loader())).await;
    assert!(reason.contains("more than"), "{reason}");

    let nonsense = registry.put_manifest("1", &json!({ "schemaVersion": 2, "mediaType": "text/html" }));
    let slot = Slot::start(registry.origin(), toy.loader());
    assert!(trouble(&slot).await.contains("`text/html`"), "{nonsense}");
    assert_eq!((text(&slot), toy.loaded().is_empty()), (None, true));
    until_true("it is asked again", || registry.has.lock().unwrap().asked.len() > 8).await;
}

#[tokio::test]
async fn a_pointer_leads_to_an_image_and_demands_its_digest_and_signature() {
    let registry = Registry::start().await;
    let toy = Toy::default();
    let image = registry.push("1", b"module one");
    let said = Arc::new(Mutex::new(Digest::of(b"module two")));
    let (wanted, port) = (Arc::clone(&said), registry.port);
    let dns = Liar::start(move |question, _| {
        let digest = *wanted.lock().expect("no panic");
        let value = format!("source=oci://127.0.0.1:{port}/probe:1 sha256={digest}");
        Lie::say(&answer_dns(question, &[RData::TXT(TXT::new(vec![value]))]))
    })
    .await;
    let mut origin = origin(&format!("dns://{}/module.example.test", dns.address));
    origin.trust = Trust::new(&[], &[KEY.to_owned()]).unwrap();
    let slot = Slot::start(origin, toy.loader());
    assert!(trouble(&slot).await.contains("it names"));
    let is_blob = |asked: &(Instant, String, String)| asked.1.starts_with("blobs/");
    assert!(!registry.has.lock().unwrap().asked.iter().any(is_blob), "what is not wanted is not pulled");

    *said.lock().unwrap() = Digest::of(b"module one");
    until(&slot, "a refusal", |slot| {
        due(slot);
        slot.refusal().is_some_and(|refusal| refusal.reason.contains("it is not signed"))
    })
    .await;
    registry.refer(image, &[MINISIGN]);
    due(&slot);
    until_text(&slot, "module one").await;
}
