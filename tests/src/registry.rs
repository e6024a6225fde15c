//! A real OCI registry (Debian's `docker-registry`) on a loopback port of its own, and a hand that pushes to it as `wkg` does.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use soloist::module::Digest;
use tempfile::TempDir;

use crate::servers::Process;

/// How long it may take to answer.
const START: Duration = Duration::from_secs(30);

/// How often it is started at another port.
const ATTEMPTS: usize = 5;

/// The user that a registry with accounts knows, and the password.
pub const ACCOUNT: (&str, &str) = ("soloist", "hush-hush");

/// That account as `htpasswd -B` writes it (bcrypt, 2^5 rounds).
const HTPASSWD: &str = "soloist:$2b$05$sROUgxep8SAfxWy5LFMMj.qENAGYRKf.GgoRvPaHwyBSMN5RaXkWG\n";

/// What `oras attach` is told to call a signature.
pub const SIGNATURE: &str = "application/vnd.minisign.signature";

/// The media type of a manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The media type of a list of manifests.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What `wkg oci push` (wkg 0.16.1) put into Debian's docker-registry for `command.wasm`, byte by byte as the registry gives
/// it: the manifest, the config, and the layer, which is `tests/wat/command.wat`.
#[derive(Debug, Clone, Copy)]
pub struct Wkg {
    /// The manifest.
    pub manifest: &'static str,
    /// The digest of the manifest, as wkg printed it.
    pub digest: &'static str,
    /// The config.
    pub config: &'static str,
    /// The layer.
    pub module: &'static [u8],
}

/// See [`Wkg`].
pub const WKG: Wkg = Wkg {
    manifest: include_str!("../wkg/manifest.json"),
    digest: "67ff396b071ff45f4470af155b9b8bd5eb866d086b09de14ab245b1bf1dc2e6a",
    config: include_str!("../wkg/config.json"),
    module: include_bytes!("../wkg/command.wasm"),
};

/// A registry, gone with this value.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    client: Client,
    has_accounts: bool,
    process: Process,
    home: TempDir,
}

impl Registry {
    /// Starts a registry that serves everybody.
    ///
    /// # Errors
    /// It is missing, or does not answer; its log is in the error.
    pub async fn start() -> Result<Self> {
        Self::start_with(false).await
    }

    /// Starts a registry that serves [`ACCOUNT`] alone.
    ///
    /// # Errors
    /// As of [`start`](Self::start).
    pub async fn with_accounts() -> Result<Self> {
        Self::start_with(true).await
    }

    async fn start_with(has_accounts: bool) -> Result<Self> {
        let mut home = tempfile::Builder::new().prefix("registry-").tempdir()?;
        std::fs::write(home.path().join("htpasswd"), HTPASSWD)?;
        let mut attempt = 1;
        loop {
            let address = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let process = spawn(home.path(), address, has_accounts)?;
            let mut registry = Self { address, client: crate::toy::client(), has_accounts, process, home };
            match registry.answers().await {
                Ok(()) => return Ok(registry),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
            home = registry.home;
        }
    }

    async fn answers(&mut self) -> Result<()> {
        let asking = async {
            loop {
                if let Some(status) = self.process.ended()? {
                    bail!("the registry ended ({status})");
                }
                match self.client.get(self.url("")).send().await {
                    Ok(_) => return Ok(()),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let outcome = tokio::time::timeout(START, asking).await.context("the registry does not answer");
        outcome.and_then(|result| result).with_context(|| self.process.log())
    }

    /// `oci://` and what a job's `module` needs behind it.
    pub fn source(&self, reference: &str) -> String {
        format!("oci://{}/{reference}", self.address)
    }

    /// The host and port, as in a docker configuration.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// How often the log says that this was asked for: a part of a line of the access log, such as `GET /v2/probe/blobs/`.
    pub fn asked(&self, what: &str) -> usize {
        let log = std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(what)).count()
    }

    /// Kills it.
    ///
    /// # Errors
    /// It has ended already.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v2/{path}", self.address)
    }

    async fn send(&self, method: Method, url: &str, kind: &str, body: Vec<u8>) -> Result<Response> {
        let mut request = self.client.request(method, url).header(CONTENT_TYPE, kind).body(body);
        if self.has_accounts {
            request = request.basic_auth(ACCOUNT.0, Some(ACCOUNT.1));
        }
        Ok(request.send().await?)
    }

    /// Pushes a blob in one go (POST, then PUT), and describes it.
    ///
    /// # Errors
    /// The registry does not take it.
    pub async fn push_blob(&self, name: &str, kind: &str, bytes: &[u8]) -> Result<Value> {
        let digest = format!("sha256:{}", Digest::of(bytes));
        let begun = self.send(Method::POST, &self.url(&format!("{name}/blobs/uploads/")), kind, Vec::new()).await?;
        ensure!(begun.status() == StatusCode::ACCEPTED, "no upload: {}", begun.status());
        let location = begun.headers().get(LOCATION).context("no location")?.to_str()?.to_owned();
        let url = format!("{location}{}digest={digest}", if location.contains('?') { '&' } else { '?' });
        let put = self.send(Method::PUT, &url, "application/octet-stream", bytes.to_vec()).await?;
        ensure!(put.status() == StatusCode::CREATED, "the blob is refused: {}", put.status());
        Ok(json!({ "digest": digest, "mediaType": kind, "size": bytes.len() }))
    }

    /// The bytes of a blob, or of a manifest: `blobs/sha256:…`, `manifests/TAG`.
    ///
    /// # Errors
    /// The registry does not have it.
    pub async fn get(&self, name: &str, path: &str) -> Result<String> {
        let request = self.client.get(self.url(&format!("{name}/{path}"))).header(ACCEPT, MANIFEST);
        Ok(request.send().await?.error_for_status()?.text().await?)
    }

    /// Puts a manifest under a tag, or its digest, and gives its digest.
    ///
    /// # Errors
    /// The registry does not take it.
    pub async fn put_manifest(&self, name: &str, tag: Option<&str>, manifest: &Value) -> Result<Digest> {
        let body = serde_json::to_vec(manifest)?;
        let digest = Digest::of(&body);
        let kind = manifest["mediaType"].as_str().unwrap_or(MANIFEST).to_owned();
        let reference = tag.map_or_else(|| format!("sha256:{digest}"), str::to_owned);
        let put = self.send(Method::PUT, &self.url(&format!("{name}/manifests/{reference}")), &kind, body).await?;
        let status = put.status();
        ensure!(status == StatusCode::CREATED, "the manifest is refused: {status}: {}", put.text().await?);
        Ok(digest)
    }

    /// Pushes a module as `wkg oci push` pushes `module.wasm` at the beginning of 2026, and gives the digest of its manifest.
    /// It differs only where the module is a component: its imports and exports are not told.
    ///
    /// # Errors
    /// The registry does not take it.
    pub async fn push(&self, name: &str, tag: &str, module: &[u8]) -> Result<Digest> {
        let blob = self.push_blob(name, "application/wasm", module).await?;
        let config = json!({
            "created": "2026-01-01T00:00:00.123456789Z",
            "author": null,
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [blob["digest"]],
            "component": { "exports": [], "imports": [], "target": null },
        });
        let config = serde_json::to_vec(&config)?;
        let config = self.push_blob(name, "application/vnd.wasm.config.v0+json", &config).await?;
        let layer = json!({
            "annotations": { "org.opencontainers.image.title": "module.wasm" },
            "digest": blob["digest"],
            "mediaType": blob["mediaType"],
            "size": blob["size"],
        });
        self.put_manifest(name, Some(tag), &manifest(&config, &[layer])).await
    }

    /// Attaches a signature to a manifest as `oras attach` does at a registry without the referrers API: an artifact with it as
    /// its subject, and an index of all of them under the tag that stands for it.
    ///
    /// # Errors
    /// The registry does not take it.
    pub async fn sign(&self, name: &str, subject: Digest, signatures: &[&str]) -> Result<()> {
        let mut entries = vec![json!({
            "mediaType": MANIFEST, "digest": format!("sha256:{subject}"), "size": 2, "artifactType": "application/vnd.example.sbom",
        })];
        for signature in signatures {
            let empty = self.push_blob(name, "application/vnd.oci.empty.v1+json", b"{}").await?;
            let layer = self.push_blob(name, SIGNATURE, signature.as_bytes()).await?;
            let mut artifact = manifest(&empty, &[layer]);
            artifact["artifactType"] = SIGNATURE.into();
            artifact["subject"] = json!({ "mediaType": MANIFEST, "digest": format!("sha256:{subject}"), "size": 2 });
            let size = serde_json::to_vec(&artifact)?.len();
            let digest = self.put_manifest(name, None, &artifact).await?;
            entries.push(json!({
                "mediaType": MANIFEST, "digest": format!("sha256:{digest}"), "size": size, "artifactType": SIGNATURE,
            }));
        }
        // A registry without the API knows no artifact types, and wants platforms: entries of other kinds are as good.
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        self.put_manifest(name, Some(&format!("sha256-{subject}")), &index).await?;
        Ok(())
    }
}

/// A manifest of these descriptors, its fields in canonical order.
pub fn manifest(config: &Value, layers: &[Value]) -> Value {
    json!({ "config": config, "layers": layers, "mediaType": MANIFEST, "schemaVersion": 2 })
}

/// Writes a docker configuration with this password of the account for a registry, and gives its folder.
///
/// # Errors
/// It cannot be written.
pub fn docker_config(folder: &Path, host: &str, password: &str) -> Result<PathBuf> {
    let entry = json!({ "username": ACCOUNT.0, "password": password });
    std::fs::write(folder.join("config.json"), json!({ "auths": { host: entry } }).to_string())?;
    Ok(folder.to_owned())
}

fn spawn(home: &Path, address: SocketAddr, has_accounts: bool) -> Result<Process> {
    let mut text = format!(
        "version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: false\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: {address}\n",
        home.join("data").display()
    );
    if has_accounts {
        text +=
            &format!("auth:\n  htpasswd:\n    realm: soloist tests\n    path: {}\n", home.join("htpasswd").display());
    }
    let config = home.join("config.yml");
    std::fs::write(&config, text)?;
    let program = crate::servers::find("docker-registry")?;
    Process::spawn(&program, &[OsStr::new("serve"), config.as_os_str()], &home.join("log"))
}
