//! Modules from a real OCI registry, pushed as `wkg` pushes them: followed by tag, pulled once, refused where they are something
//! else, with accounts and with signatures.

use std::time::SystemTime;

use serde_json::json;
use soloist::module::{Origin, Slot, Trust, Unavailable};
use soloist_tests::minisign::Minisign;
use soloist_tests::registry::{ACCOUNT, Registry, WKG, docker_config, manifest};
use soloist_tests::toy::{Toy, origin, text, until, until_text, until_true};

/// Says that a round is due now.
fn due(slot: &Slot<String>) {
    slot.refresh_before(SystemTime::now());
}

/// Why the source gives nothing now, and what to try.
async fn trouble(slot: &Slot<String>) -> (String, String) {
    until(slot, "trouble", |slot| slot.trouble().is_some()).await;
    let reason = slot.trouble().expect("there is").reason.clone();
    (reason.to_string(), reason.hint().unwrap_or_default().to_owned())
}

/// How often the registry gave the bytes of a module or a config.
fn blobs(registry: &Registry) -> usize {
    registry.asked("\"GET /v2/acme/probe/blobs/")
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry; tests/run installs it"]
async fn what_the_tests_push_is_what_wkg_pushes() {
    let registry = Registry::start().await.expect("a registry");
    let name = "acme/command";
    registry.push_blob(name, "application/wasm", WKG.module).await.expect("a blob");
    let config = registry.push_blob(name, "application/vnd.wasm.config.v0+json", WKG.config.as_bytes()).await;
    let wkgs = config.expect("a blob")["digest"].as_str().expect("a digest").to_owned();
    let manifest = serde_json::from_str(WKG.manifest).expect("JSON");
    let digest = registry.put_manifest(name, Some("wkg"), &manifest).await.expect("a manifest");
    assert_eq!(digest.to_string(), WKG.digest, "byte by byte");
    for reference in ["acme/command:wkg", &format!("acme/command@sha256:{digest}")] {
        let module = origin(&registry.source(reference)).fetch().await.expect("a module");
        assert_eq!(module.bytes(), WKG.module, "{reference}");
    }

    registry.push(name, "ours", WKG.module).await.expect("a push");
    let manifest = registry.get(name, "manifests/ours").await.expect("a manifest");
    let told: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let ours = told["config"]["digest"].as_str().expect("a digest");
    assert_eq!(manifest.replace(ours, &wkgs).replace("module.wasm", "command.wasm"), WKG.manifest);
    let config = registry.get(name, &format!("blobs/{ours}")).await.expect("a config");
    let without_time = |config: &str| config.split_once(',').expect("its first field is the time").1.to_owned();
    assert_eq!(without_time(&config), without_time(WKG.config));
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry; tests/run installs it"]
async fn a_tag_is_followed_and_nothing_is_pulled_that_is_known() {
    let registry = Registry::start().await.expect("a registry");
    registry.push("acme/probe", "1", b"one").await.expect("a push");
    let toy = Toy::default();
    let slot = toy.slot(&registry.source("acme/probe:1"));
    until_text(&slot, "one").await;
    let heads = || registry.asked("\"HEAD /v2/acme/probe/manifests/1 ");
    for known in 1..3 {
        due(&slot);
        until_true("another question", || heads() > known).await;
    }
    assert_eq!(
        (blobs(&registry), registry.asked("\"GET /v2/acme/probe/manifests/")),
        (1, 1),
        "one pull for all questions"
    );

    // The same module under another manifest: pushed again, with another config.
    let layer = registry.push_blob("acme/probe", "application/wasm", b"one").await.expect("a blob");
    let config = registry.push_blob("acme/probe", "application/vnd.wasm.config.v0+json", b"{}").await.expect("a blob");
    registry.put_manifest("acme/probe", Some("1"), &manifest(&config, &[layer])).await.expect("a manifest");
    due(&slot);
    until_true("the new manifest", || registry.asked("\"GET /v2/acme/probe/manifests/") == 2).await;

    registry.push("acme/probe", "1", b"another").await.expect("a push");
    until_true("the next module", || {
        due(&slot);
        text(&slot).as_deref() == Some("another")
    })
    .await;
    assert_eq!(blobs(&registry), 2, "the module that was known was not pulled again");
    assert_eq!(toy.loaded(), ["one", "another"]);
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry; tests/run installs it"]
async fn a_digest_is_pulled_once_and_a_registry_that_dies_takes_nothing_away() {
    let mut registry = Registry::start().await.expect("a registry");
    let digest = registry.push("acme/probe", "1", b"one").await.expect("a push");
    let toy = Toy::default();
    let pinned = toy.slot(&registry.source(&format!("acme/probe@sha256:{digest}")));
    let tagged = toy.slot(&registry.source("acme/probe:1"));
    until_text(&pinned, "one").await;
    until_text(&tagged, "one").await;
    registry.kill().expect("it runs");
    due(&pinned);
    due(&tagged);
    let (reason, _) = trouble(&tagged).await;
    assert!(reason.contains("acme/probe:1"), "{reason}");
    assert_eq!((text(&tagged).as_deref(), text(&pinned).as_deref()), (Some("one"), Some("one")));
    assert_eq!(pinned.trouble(), None, "what never changes is not asked for again");
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry; tests/run installs it"]
async fn what_is_no_wasm_artifact_is_refused_with_what_was_found() {
    let registry = Registry::start().await.expect("a registry");
    let name = "acme/probe";
    let good = registry.push(name, "good", b"one").await.expect("a push");
    let blob = |kind: &'static str, bytes: &'static [u8]| {
        let registry = &registry;
        async move { registry.push_blob(name, kind, bytes).await.expect("a blob") }
    };
    let config = blob("application/vnd.wasm.config.v0+json", b"{}").await;
    let image = blob("application/vnd.oci.image.config.v1+json", b"{\"a\":1}").await;
    let wasm = blob("application/wasm", b"two").await;
    let tar = blob("application/vnd.oci.image.layer.v1.tar+gzip", b"tar").await;
    let mut huge = wasm.clone();
    huge["size"] = json!(65 << 20);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{good}"), "size": 2,
            "platform": { "architecture": "amd64", "os": "linux" },
        }],
    });
    for (tag, manifest, found) in [
        ("image", manifest(&image, std::slice::from_ref(&wasm)), "application/vnd.oci.image.config.v1+json"),
        ("tar", manifest(&config, &[tar]), "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("two", manifest(&config, &[wasm.clone(), wasm.clone()]), "2 layers"),
        ("index", index, "list of images"),
        ("huge", manifest(&config, &[huge]), "larger than"),
    ] {
        // A registry may refuse a manifest that lies about a size; then it cannot be asked for.
        if registry.put_manifest(name, Some(tag), &manifest).await.is_err() {
            assert_eq!(tag, "huge");
            continue;
        }
        let toy = Toy::default();
        let (reason, hint) = trouble(&toy.slot(&registry.source(&format!("{name}:{tag}")))).await;
        assert!(reason.contains(found), "{tag}: {reason}");
        assert!(tag == "huge" || hint.contains("wkg oci push"), "{tag}: {hint}");
        assert!(toy.loaded().is_empty(), "{tag}");
    }
    let (reason, hint) = trouble(&Toy::default().slot(&registry.source("acme/probe:none"))).await;
    assert!(reason.contains("404"), "{reason}");
    assert!(hint.contains("wkg oci push"), "{hint}");
}

fn with_docker(registry: &Registry, folder: &tempfile::TempDir) -> Origin {
    let mut origin = origin(&registry.source("acme/probe:1"));
    origin.access.docker = Some(folder.path().to_owned());
    origin
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry; tests/run installs it"]
async fn a_registry_with_accounts_takes_the_docker_configuration_and_a_later_login() {
    let registry = Registry::with_accounts().await.expect("a registry");
    registry.push("acme/probe", "1", b"one").await.expect("a push");
    let folder = tempfile::tempdir().expect("a folder");
    let toy = Toy::default();
    let slot = Slot::start(with_docker(&registry, &folder), toy.loader());
    let (reason, hint) = trouble(&slot).await;
    assert!(reason.contains("demands credentials") && reason.contains("config.json"), "{reason}");
    assert!(hint.contains(&format!("docker login {}", registry.host())), "{hint}");

    docker_config(folder.path(), &registry.host(), "a wrong one").expect("a file");
    until(&slot, "a refusal of the password", |slot| {
        slot.trouble().is_some_and(|trouble| trouble.reason.to_string().contains("refuses the credentials"))
    })
    .await;
    assert!(!format!("{:?}", slot.trouble()).contains("a wrong one"));

    docker_config(folder.path(), &registry.host(), ACCOUNT.1).expect("a file");
    until_text(&slot, "one").await;
    assert_eq!(slot.trouble(), None);
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry and minisign; tests/run installs them"]
async fn a_signature_is_found_by_the_tag_that_stands_for_the_referrers() {
    let registry = Registry::start().await.expect("a registry");
    let (ours, other) = (Minisign::new().expect("keys"), Minisign::new().expect("keys"));
    let name = "acme/probe";
    let first = registry.push(name, "1", b"one").await.expect("a push");
    let mut origin = origin(&registry.source("acme/probe:1"));
    origin.trust = Trust::new(&[], &[ours.public().to_owned()]).expect("a key");
    let toy = Toy::default();
    let slot = Slot::start(origin.clone(), toy.loader());
    until(&slot, "a refusal", |slot| slot.refusal().is_some()).await;
    let refusal = slot.refusal().expect("there is");
    assert!(
        refusal.reason.contains("it is not signed") && refusal.reason.contains("minisign -Sm"),
        "{}",
        refusal.reason
    );
    assert!(!refusal.is_trusted && toy.loaded().is_empty());

    // By somebody else, and of something else.
    let (foreign, altered) = (other.sign(b"one").expect("a signature"), ours.sign(b"ons").expect("a signature"));
    registry.sign(name, first, &[&foreign, &altered]).await.expect("an artifact");
    let is_altered = |slot: &Slot<String>| slot.refusal().is_some_and(|refusal| refusal.reason.contains("was altered"));
    until_true("another refusal", || {
        due(&slot);
        is_altered(&slot)
    })
    .await;

    let good = ours.sign(b"one").expect("a signature");
    registry.sign(name, first, &[&foreign, &altered, &good]).await.expect("an artifact");
    due(&slot);
    until_text(&slot, "one").await;
    assert_eq!(slot.refusal(), None);
    let trusted = origin.fetch().await.expect("a module");
    assert_eq!((trusted.signature(), trusted.bytes().as_ref()), (Some(good.as_str()), b"one".as_slice()));

    // Pushed first and signed a moment later, as everybody does: never refused.
    let refusals = slot.counters().refusals;
    let second = registry.push(name, "1", b"two").await.expect("a push");
    due(&slot);
    registry.sign(name, second, &[&ours.sign(b"two").expect("a signature")]).await.expect("an artifact");
    until_text(&slot, "two").await;
    assert_eq!(slot.counters().refusals, refusals);

    // What is not signed is not even returned to whoever asks once.
    registry.push(name, "2", b"three").await.expect("a push");
    let unsigned = Origin { source: soloist_tests::toy::origin(&registry.source("acme/probe:2")).source, ..origin };
    let error = unsigned.fetch().await.expect_err("unsigned");
    assert!(matches!(error, Unavailable::Distrusted { .. }), "{error}");
}

#[tokio::test]
#[ignore = "needs Debian's docker-registry; tests/run installs it"]
async fn a_module_that_is_not_pinned_is_not_even_pulled() {
    let registry = Registry::start().await.expect("a registry");
    registry.push("acme/probe", "1", b"one").await.expect("a push");
    let mut origin = origin(&registry.source("acme/probe:1"));
    origin.trust = Trust::new(&[soloist::module::Digest::of(b"two").to_string()], &[]).expect("a digest");
    let toy = Toy::default();
    let slot = Slot::start(origin, toy.loader());
    until(&slot, "a refusal", |slot| slot.refusal().is_some()).await;
    assert_eq!((blobs(&registry), slot.counters().refusals), (0, 1));
    registry.push("acme/probe", "1", b"two").await.expect("a push");
    due(&slot);
    until_text(&slot, "two").await;
}
