//! Checks `[seal]`, and what a job says of its own.

use std::path::Path;

use hickory_proto::rr::Name;

use crate::capability::{SecretError, SecretSource};
use crate::config::error::{Problem, invalid, nearest, secret};
use crate::config::{Seals, raw};
use crate::round::{Form, MAX_SEAL_KEYS, Seal, SealKey};

/// What errors call a key.
const WHAT: &str = "the seal's key";

pub(in crate::config) fn seal(raw: Option<raw::Seal>, base: &Path) -> Result<Seals, Problem> {
    let Some(raw) = raw else { return Ok(Seals::default()) };
    let kind = raw.kind.ok_or_else(|| {
        invalid("[seal]", "the key `kind` is missing").hint("write `kind = \"sign\"`, or \"encrypt\" or \"none\"")
    })?;
    let form = form("[seal] kind", &kind)?;
    if raw.keys.len() > MAX_SEAL_KEYS {
        return Err(invalid("[seal] keys", format!("{} keys are more than {MAX_SEAL_KEYS}", raw.keys.len())));
    }
    if form.is_some() && raw.keys.is_empty() {
        return Err(no_key("[seal]", &kind));
    }
    let mut keys: Vec<SealKey> = Vec::new();
    for source in &raw.keys {
        let key = read_key(source, base)?;
        if keys.iter().any(|other| other.id() == key.id()) {
            return Err(invalid("[seal] keys", format!("the key with the id `{}` stands there twice", key.id())));
        }
        keys.push(key);
    }
    Ok(Seals { form, keys, accept_unsealed: raw.accept_unsealed })
}

fn read_key(source: &SecretSource, base: &Path) -> Result<SealKey, Problem> {
    let named = match source {
        SecretSource::File(path) => path.to_string_lossy(),
        SecretSource::Env(variable) => variable.into(),
    };
    if SealKey::from_text(&named).is_some() {
        let problem = "it names a file or an environment variable, and a key seems to stand there itself";
        return Err(invalid("[seal] keys", problem).hint("put the key in a file of its own, and write its name there"));
    }
    let made = |path: &Path| format!("`soloist seal key --out {}` makes one", path.display());
    let unusable = Some("`soloist seal key` shows what one looks like");
    seal_key(source, base).map_err(|error| secret("[seal] keys", error, made, unusable))
}

/// The key that stands in a file or the environment.
///
/// # Errors
/// It cannot be read, or is no key as `soloist seal key` makes it.
pub(in crate::config) fn seal_key(source: &SecretSource, base: &Path) -> Result<SealKey, SecretError> {
    let what = match source {
        SecretSource::File(path) => format!("{WHAT} in the file `{}`", path.display()),
        SecretSource::Env(variable) => format!("{WHAT} in the environment variable `{variable}`"),
    };
    let unusable = |reason: String| SecretError::Unusable { what, reason };
    match source.resolve(WHAT, base) {
        Ok(secret) => SealKey::from_text(secret.expose())
            .ok_or_else(|| unusable("it is none that `soloist seal key` has made".to_owned())),
        Err(SecretError::Unusable { reason, .. }) => Err(unusable(reason)),
        Err(other) => Err(other),
    }
}

/// The seal of a job's record, which may have a kind of its own.
pub(super) fn of_job(seals: &Seals, place: &str, kind: Option<&str>, record: &Name) -> Result<Seal, Problem> {
    let form = kind.map_or(Ok(seals.form), |kind| form(place, kind))?;
    if form.is_some() && seals.keys.is_empty() {
        return Err(no_key(place, kind.unwrap_or_default()));
    }
    Ok(Seals { form, ..seals.clone() }.of(record))
}

fn form(place: &str, kind: &str) -> Result<Option<Form>, Problem> {
    match kind {
        "none" => Ok(None),
        "sign" => Ok(Some(Form::Sign)),
        "encrypt" => Ok(Some(Form::Encrypt)),
        other => {
            let kinds = ["none", "sign", "encrypt"];
            Err(invalid(place, format!("`{other}` is no seal")).hint(nearest(other, &kinds).map_or_else(
                || format!("the seals are `{}`", kinds.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            )))
        }
    }
}

fn no_key(place: &str, kind: &str) -> Problem {
    invalid(place, format!("`{kind}` needs a key, and there is none")).hint(
        "write `keys = [{ file = \"soloist-seal.key\" }]` in `[seal]`; `soloist seal key --out soloist-seal.key` makes one",
    )
}
