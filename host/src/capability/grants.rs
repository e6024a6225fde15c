//! What a job was granted: `[job.NAME.grants]`, checked when it is read, and linked as it stands there.

use serde::Deserialize;
use wasmtime::component::Linker;

use super::services::Services;
use super::{TABLE, dns, dns_update, find, http, secrets, slack};
use crate::runtime::{Access, Capabilities, Interface, State};

/// The table `[job.NAME.grants]`. Unknown keys are refused.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grants {
    /// Origins that the job may send requests to.
    pub http: Option<http::Grant>,
    /// Secrets that the job may use without seeing them.
    pub secrets: Option<secrets::Grant>,
    /// Channels that the job may post to.
    pub slack: Option<slack::Grant>,
    /// Names that the job may ask the DNS for.
    pub dns: Option<dns::Grant>,
    /// RRsets that the job may replace.
    pub dns_update: Option<dns_update::Grant>,
}

/// A job's grants and what serves them: what its modules are prepared with.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The grants.
    pub grants: Grants,
    /// What all jobs of the agent share.
    pub services: Services,
}

impl Granted {
    /// The grants, served by these services.
    pub const fn new(grants: Grants, services: Services) -> Self {
        Self { grants, services }
    }
}

impl Granted {
    /// That the host has what its grants promise.
    ///
    /// # Errors
    /// What to write in the configuration.
    pub fn check(&self) -> Result<(), String> {
        let slack = self.grants.slack.as_ref();
        slack.map_or(Ok(()), |grant| slack::check_credentials(grant, self.services.slack()))
    }
}

impl Capabilities for Granted {
    fn access(&self, interface: &Interface) -> Access {
        match find(interface) {
            None => Access::Unknown,
            Some(capability) if (capability.granted)(&self.grants) => Access::Granted,
            Some(capability) => Access::Missing { line: capability.grant.unwrap_or_default().to_owned() },
        }
    }

    fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        TABLE
            .iter()
            .filter(|capability| (capability.granted)(&self.grants))
            .try_for_each(|capability| (capability.link)(linker))
    }

    fn enter(&self, state: &mut State) {
        for capability in TABLE.iter().filter(|capability| (capability.granted)(&self.grants)) {
            (capability.enter)(self, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Grants, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn grants_are_read_and_unknown_ones_refused() {
        let grants = parse("http = [\"https://api.example.com\"]\nslack = [\"#ops\"]").unwrap();
        assert!(grants.http.is_some() && grants.slack.is_some());
        assert_eq!(parse("").unwrap(), Grants::default());
        assert!(parse("files = [\"/\"]").unwrap_err().contains("unknown field `files`"));
        assert!(parse("http = [\"api.example.com\"]").unwrap_err().contains("`api.example.com`"));
        assert!(parse("slack = [\"\"]").unwrap_err().contains("channel"));
    }
}
