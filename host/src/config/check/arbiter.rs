//! Checks `[arbiter]`.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use hickory_proto::rr::Name;
use reqwest::Url;

use super::{domain, within};
use crate::arbiter::powerdns::{self, ApiKey};
use crate::arbiter::tsig::{Algorithm, Key};
use crate::capability::SecretSource;
use crate::config::error::{Problem, invalid, nearest, secret};
use crate::config::{Arbiter, MAX_SETTLE, MAX_TTL, raw};

pub(in crate::config) fn arbiter(raw: raw::Arbiter, base: &Path) -> Result<Arbiter, Problem> {
    match raw.kind.as_str() {
        "memory" => Ok(Arbiter::Memory),
        "rfc2136" => rfc2136(raw, base),
        "powerdns" => powerdns(raw, base),
        other => {
            let kinds = ["rfc2136", "powerdns", "memory"];
            let problem = invalid("[arbiter] kind", format!("`{other}` is no arbiter"));
            Err(problem.hint(nearest(other, &kinds).map_or_else(
                || format!("the arbiters are `{}`", kinds.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            )))
        }
    }
}

/// Refuses what another kind of arbiter would understand.
fn refuse(kind: &str, others: &[(&str, bool)]) -> Result<(), Problem> {
    match others.iter().find(|(_, is_there)| *is_there) {
        None => Ok(()),
        Some((key, _)) => Err(invalid(&format!("[arbiter] {key}"), format!("the arbiter `{kind}` has no such key"))
            .hint("leave it out, or look whether `kind` is what is meant")),
    }
}

fn missing(key: &str, line: &str) -> Problem {
    invalid("[arbiter]", format!("the key `{key}` is missing")).hint(format!("write `{line}`"))
}

fn zone(given: Option<&str>) -> Result<Name, Problem> {
    domain("[arbiter] zone", given.ok_or_else(|| missing("zone", "zone = \"example.com\""))?)
}

fn time_out(given: Option<raw::Span>) -> Result<Duration, Problem> {
    let timeout = given.map_or(Duration::from_secs(2), |span| span.0);
    within("[arbiter] timeout", timeout, Duration::from_millis(50), Duration::from_secs(60))?;
    Ok(timeout)
}

fn ttl(given: Option<u32>) -> Result<u32, Problem> {
    let ttl = given.unwrap_or(60);
    if ttl > MAX_TTL {
        return Err(invalid("[arbiter] ttl", format!("{ttl} is not from 0 to {MAX_TTL}, in seconds")));
    }
    Ok(ttl)
}

fn rfc2136(raw: raw::Arbiter, base: &Path) -> Result<Arbiter, Problem> {
    let others = [
        ("url", raw.url.is_some()),
        ("server-id", raw.server_id.is_some()),
        ("api-key-file", raw.api_key_file.is_some()),
        ("api-key-env", raw.api_key_env.is_some()),
        ("settle", raw.settle.is_some()),
    ];
    refuse("rfc2136", &others)?;
    let server = raw.server.ok_or_else(|| missing("server", "server = \"192.0.2.1:53\""))?;
    if server.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
        let problem = format!("`{server}` is no address and port");
        return Err(invalid("[arbiter] server", problem)
            .hint("write it as \"192.0.2.1:53\", \"[2001:db8::1]:53\" or \"ns1.example.com:53\""));
    }
    let name = raw.zone.as_deref().ok_or_else(|| missing("zone", "zone = \"example.com\""))?;
    let key = raw.key.ok_or_else(|| missing("key", "key = { name = \"soloist\", secret-file = \"soloist.key\" }"))?;
    let (timeout, ttl) = (time_out(raw.timeout)?, ttl(raw.ttl)?);
    Ok(Arbiter::Rfc2136 { server, zone: zone(Some(name))?, key: tsig_key(key, base)?, ttl, timeout })
}

fn powerdns(raw: raw::Arbiter, base: &Path) -> Result<Arbiter, Problem> {
    refuse("powerdns", &[("server", raw.server.is_some()), ("key", raw.key.is_some())])?;
    let url = url(&raw.url.ok_or_else(|| missing("url", "url = \"http://127.0.0.1:8081\""))?)?;
    let zone = zone(raw.zone.as_deref())?;
    let server_id = raw.server_id.unwrap_or_else(|| powerdns::DEFAULT_SERVER_ID.to_owned());
    if server_id.is_empty() || server_id.contains(|c: char| c.is_control() || c == '/') {
        return Err(invalid("[arbiter] server-id", "it is no server's name")
            .hint("leave it out, unless the API calls its server other than `localhost`"));
    }
    let key = api_key(raw.api_key_file, raw.api_key_env, base)?;
    let (timeout, ttl) = (time_out(raw.timeout)?, ttl(raw.ttl)?);
    let settle = raw.settle.map_or(timeout * powerdns::DEFAULT_SETTLE, |span| span.0);
    within("[arbiter] settle", settle, timeout * powerdns::MIN_SETTLE, MAX_SETTLE).map_err(|problem| {
        problem.hint(format!(
            "a write can be on its way for {} times `timeout`, and no claim is safe before; leave `settle` out for {} times",
            powerdns::MIN_SETTLE,
            powerdns::DEFAULT_SETTLE
        ))
    })?;
    Ok(Arbiter::PowerDns { url, server_id, zone, key, ttl, timeout, settle })
}

/// Where requests go. What stands beside host and path may be a secret, so that no error repeats it.
fn url(text: &str) -> Result<Url, Problem> {
    const PLACE: &str = "[arbiter] url";
    const HINT: &str = "write it as \"http://127.0.0.1:8081\", what comes before `/api` of the API's addresses";
    let url = Url::parse(text).map_err(|_| invalid(PLACE, "it is no URL").hint(HINT))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid(PLACE, "it is no URL of http or https").hint(HINT));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(PLACE, "there is more in it than a host, a port and a path")
            .hint("write the API's key to a file, and name that in `api-key-file`"));
    }
    Ok(url)
}

fn api_key(file: Option<PathBuf>, variable: Option<String>, base: &Path) -> Result<ApiKey, Problem> {
    const HINT: &str = "write `api-key-file = \"powerdns.key\"`, or `api-key-env = \"POWERDNS_API_KEY\"`";
    let (place, source) = match (file, variable) {
        (Some(file), None) if !base.join(&file).exists() && may_be_an_api_key(&file.to_string_lossy()) => {
            return Err(invalid(
                "[arbiter] api-key-file",
                "there is no such file, and the key itself seems to stand there",
            )
            .hint("put the key in a file of its own, readable by the agent only, and write the file's name there"));
        }
        (Some(file), None) => ("[arbiter] api-key-file", SecretSource::File(file)),
        (None, Some(variable)) => ("[arbiter] api-key-env", SecretSource::Env(variable)),
        (None, None) => return Err(invalid("[arbiter]", "there is no API key").hint(HINT)),
        (Some(_), Some(_)) => {
            return Err(invalid("[arbiter]", "there are both `api-key-file` and `api-key-env`").hint(HINT));
        }
    };
    let alone = |_: &Path| "it holds the key alone: what PowerDNS has as `api-key`".to_owned();
    let secret = source.resolve("the API key", base).map_err(|error| secret(place, error, alone, None))?;
    ApiKey::new(secret.expose()).ok_or_else(|| invalid(place, "the key has characters that no HTTP header can hold"))
}

/// Whether a text may be an API's key: then no error repeats it. A file's name is shorter, or has a dot or a slash.
fn may_be_an_api_key(text: &str) -> bool {
    text.len() >= 16 && !text.contains(['.', '/', '\\'])
}

fn tsig_key(raw: raw::Key, base: &Path) -> Result<Key, Problem> {
    const PLACE: &str = "[arbiter] key";
    const HINT: &str = "write `secret-file = \"soloist.key\"`, or `secret-env = \"SOLOIST_KEY\"`";
    let algorithm = raw.algorithm.as_deref().map_or(Ok(Algorithm::default()), Algorithm::from_str)?;
    match (raw.secret_file, raw.secret_env) {
        (Some(file), None) if !base.join(&file).exists() && looks_like_a_secret(&file.to_string_lossy()) => {
            Err(invalid(PLACE, "`secret-file` names a file, and a secret seems to stand there itself").hint(
                "put the secret in a file of its own, readable by the agent only, and write the file's name there",
            ))
        }
        (None, Some(variable)) if looks_like_a_secret(&variable) => {
            Err(invalid(PLACE, "`secret-env` names an environment variable, and a secret seems to stand there itself")
                .hint("write the variable's name there"))
        }
        (Some(file), None) => Ok(Key::from_file(&raw.name, algorithm, &base.join(file))?),
        (None, Some(variable)) => Ok(Key::from_env(&raw.name, algorithm, &variable)?),
        (None, None) => Err(invalid(PLACE, "there is no secret").hint(HINT)),
        (Some(_), Some(_)) => Err(invalid(PLACE, "there are both `secret-file` and `secret-env`").hint(HINT)),
    }
}

/// Whether a text may be the base64 of a key: then no error repeats it. A name is too short for one, or has a dot.
fn looks_like_a_secret(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|bytes| bytes.len() >= 16)
}
