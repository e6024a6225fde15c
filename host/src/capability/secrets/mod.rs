//! `soloist:job/secrets`: placeholders that the gate of `http` replaces on the way to the origins that a secret is bound to.
//! No module ever sees a secret.

mod config;
mod replace;
mod vault;

pub use config::{Bound, SecretsConfig};
pub(super) use replace::Replacer;
pub use vault::{PLACEHOLDER, PREFIX, Vault};

use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};
use tracing::Level;
use wasmtime::component::{HasSelf, Linker};

use super::{Capability, Granted, Services};
use crate::runtime::{State, clean};

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world secrets { import soloist:job/secrets@0.1.0; }",
        path: "../wit",
        imports: { default: trappable },
    });
}

use bindings::soloist::job::secrets as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "secrets",
    interfaces: &["soloist:job/secrets@0.1.0"],
    grant: Some("secrets = [\"…\"]"),
    granted: |grants| grants.secrets.is_some(),
    link: add_to_linker,
    enter: |granted, state| drop(enter(granted, state)),
};

/// The most secrets of one job.
pub const MAX_SECRETS: usize = 32;

/// The grant `secrets = ["api-token"]`: names under `[secrets]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant(Vec<String>);

impl Grant {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        if names.len() > MAX_SECRETS {
            return Err(de::Error::custom(format!(
                "{} secrets are named, and a job has at most {MAX_SECRETS}",
                names.len()
            )));
        }
        names.iter().try_for_each(|name| config::check_name(name)).map_err(de::Error::custom)?;
        Ok(Self(names))
    }
}

/// What placeholders keep for a run.
struct Context {
    vault: Arc<Vault>,
    names: String,
    services: Services,
}

/// The run's vault: made by whichever capability needs it first.
pub(super) fn enter(granted: &Granted, state: &mut State) -> Arc<Vault> {
    if let Ok(context) = state.extensions.get::<Context>() {
        return Arc::clone(&context.vault);
    }
    let names: Vec<&str> = granted.grants.secrets.iter().flat_map(Grant::names).collect();
    let bound = names.iter().filter_map(|name| granted.services.secret(name)).cloned();
    let vault = Arc::new(Vault::new(bound));
    let names = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    state.extensions.insert(Context { vault: Arc::clone(&vault), names, services: granted.services.clone() });
    vault
}

impl wit::Host for State {
    fn get(&mut self, name: String) -> wasmtime::Result<Result<String, wit::Error>> {
        self.facts().check()?;
        let facts = Arc::clone(self.facts());
        let context = self.extensions.get::<Context>()?;
        if let Some(placeholder) = context.vault.placeholder(&name) {
            return Ok(Ok(placeholder.to_owned()));
        }
        let shown = clean(&name, config::MAX_NAME);
        let comma = if context.names.is_empty() { "" } else { ", " };
        let reason = format!(
            "job `{0}` was not granted the secret `{shown}`: write `secrets = [{1}{comma}\"{shown}\"]` under \
             `[job.{0}.grants]`",
            facts.job, context.names
        );
        facts.log.line(Level::WARN, &format!("a secret was denied: {reason}"));
        context.services.count_denied(&facts.job, "secrets");
        Ok(Err(wit::Error::Denied(reason)))
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_names_secrets_and_no_paths() {
        #[derive(Debug, Deserialize)]
        struct Table {
            secrets: Grant,
        }
        let parse = |text: &str| toml::from_str::<Table>(text).map(|table| table.secrets);
        assert_eq!(parse("secrets = [\"a\", \"api-token\"]").unwrap().names().collect::<Vec<_>>(), ["a", "api-token"]);
        for odd in ["", "../etc/passwd", "a/b", "A", "a b", "a\\n"] {
            assert!(parse(&format!("secrets = [\"{odd}\"]")).is_err(), "{odd}");
        }
    }
}
