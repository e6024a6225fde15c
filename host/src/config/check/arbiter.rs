//! Checks `[arbiter]`.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{domain, within};
use crate::arbiter::tsig::{Algorithm, Key};
use crate::config::error::{Problem, invalid, nearest};
use crate::config::{Arbiter, MAX_TTL, raw};

pub(in crate::config) fn arbiter(raw: raw::Arbiter, base: &Path) -> Result<Arbiter, Problem> {
    match raw.kind.as_str() {
        "memory" => Ok(Arbiter::Memory),
        "rfc2136" => {
            let missing = |key: &str, line: &str| {
                invalid("[arbiter]", format!("the key `{key}` is missing")).hint(format!("write `{line}`"))
            };
            let server = raw.server.ok_or_else(|| missing("server", "server = \"192.0.2.1:53\""))?;
            if server.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
                let problem = format!("`{server}` is no address and port");
                return Err(invalid("[arbiter] server", problem)
                    .hint("write it as \"192.0.2.1:53\", \"[2001:db8::1]:53\" or \"ns1.example.com:53\""));
            }
            let zone = raw.zone.ok_or_else(|| missing("zone", "zone = \"example.com\""))?;
            let key =
                raw.key.ok_or_else(|| missing("key", "key = { name = \"soloist\", secret-file = \"soloist.key\" }"))?;
            let timeout = raw.timeout.map_or(Duration::from_secs(2), |span| span.0);
            within("[arbiter] timeout", timeout, Duration::from_millis(50), Duration::from_secs(60))?;
            let ttl = raw.ttl.unwrap_or(60);
            if ttl > MAX_TTL {
                return Err(invalid("[arbiter] ttl", format!("{ttl} is not from 0 to {MAX_TTL}, in seconds")));
            }
            Ok(Arbiter::Rfc2136 {
                server,
                zone: domain("[arbiter] zone", &zone)?,
                key: tsig_key(key, base)?,
                ttl,
                timeout,
            })
        }
        other => {
            let kinds = ["rfc2136", "memory"];
            let problem = invalid("[arbiter] kind", format!("`{other}` is no arbiter"));
            Err(problem.hint(nearest(other, &kinds).map_or_else(
                || format!("the arbiters are `{}`", kinds.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            )))
        }
    }
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
