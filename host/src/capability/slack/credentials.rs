//! Who the host is at Slack: the top-level table `[slack]`, and the secrets that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;

use super::Grant;
use crate::capability::{Secret, SecretError, SecretSource};

/// Slack's Web API.
const API: &str = "https://slack.com/api";

/// The top-level table `[slack]`.
///
/// ```toml
/// [slack]
/// token-file = "slack.token"            # or token-env = "SLACK_TOKEN": a bot token, for every granted channel
/// [slack.webhooks]
/// "#ops" = { file = "ops.webhook" }     # or { env = "OPS_WEBHOOK" }: an incoming webhook, for this channel
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlackConfig {
    /// A file with a bot token, relative to the configuration's folder.
    pub token_file: Option<PathBuf>,
    /// An environment variable with a bot token.
    pub token_env: Option<String>,
    /// Incoming webhooks by channel. They come before the token.
    pub webhooks: BTreeMap<String, SecretSource>,
    /// The Web API, for tests and proxies; by default Slack's own.
    pub api: Option<String>,
}

/// The secrets themselves.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub(super) token: Option<Secret>,
    pub(super) webhooks: BTreeMap<String, Secret>,
    pub(super) api: Url,
}

impl SlackConfig {
    /// Reads the secrets.
    ///
    /// # Errors
    /// One is missing or no token or URL, or both `token-file` and `token-env` are there.
    pub fn resolve(&self, base: &Path) -> Result<Credentials, SecretError> {
        let unusable = |what: String, reason: &str| SecretError::Unusable { what, reason: reason.to_owned() };
        let source = match (&self.token_file, &self.token_env) {
            (Some(_), Some(_)) => {
                return Err(unusable("the Slack token".to_owned(), "give `token-file` or `token-env`, not both"));
            }
            (Some(file), None) => Some(SecretSource::File(file.clone())),
            (None, Some(variable)) => Some(SecretSource::Env(variable.clone())),
            (None, None) => None,
        };
        let token = source.map(|source| source.resolve("the Slack token", base)).transpose()?;
        if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(unusable("the Slack token".to_owned(), "it holds a space or a character that is not ASCII"));
        }
        let mut webhooks = BTreeMap::new();
        for (channel, source) in &self.webhooks {
            let what = format!("the Slack webhook for `{channel}`");
            let secret = source.resolve(&what, base)?;
            if http_url(secret.expose()).is_none() {
                return Err(unusable(what, "it is no `https` URL"));
            }
            webhooks.insert(channel.clone(), secret);
        }
        let api = self.api.as_deref().unwrap_or(API).trim_end_matches('/');
        let api = http_url(&format!("{api}/"))
            .ok_or_else(|| unusable("`api` under `[slack]`".to_owned(), "it is no `https` URL"))?;
        Ok(Credentials { token, webhooks, api })
    }
}

impl Credentials {
    /// The URL of a method of the Web API.
    pub(super) fn method(&self, name: &str) -> Url {
        let mut url = self.api.clone();
        url.set_path(&format!("{}{name}", self.api.path()));
        url
    }

    /// The first channel of a grant that neither a webhook nor the token serves.
    pub(super) fn missing_for<'a>(&self, grant: &'a Grant) -> Option<&'a str> {
        let served = |channel: &&String| self.token.is_some() || self.webhooks.contains_key(channel.as_str());
        grant.0.iter().find(|channel| !served(channel)).map(String::as_str)
    }
}

fn http_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<Credentials, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "xoxb-geheim\n").unwrap();
        std::fs::write(folder.path().join("hook"), "https://hooks.slack.com/services/geheim\n").unwrap();
        std::fs::write(folder.path().join("odd"), "geheim geheim").unwrap();
        let config: SlackConfig = toml::from_str(text).map_err(|error| error.to_string())?;
        config.resolve(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn token_and_webhooks_are_read_and_not_shown() {
        let credentials = resolve("token-file = \"token\"\n[webhooks]\n\"#ops\" = { file = \"hook\" }").unwrap();
        assert!(credentials.token.is_some() && credentials.webhooks.contains_key("#ops"));
        assert_eq!(credentials.method("chat.postMessage").as_str(), "https://slack.com/api/chat.postMessage");
        assert!(!format!("{credentials:?}").contains("geheim"));
    }

    #[test]
    fn no_table_is_no_credentials() {
        let credentials = resolve("").unwrap();
        assert!(credentials.token.is_none() && credentials.webhooks.is_empty());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (text, reason) in [
            ("token-file = \"odd\"", "it holds a space"),
            ("token-file = \"token\"\ntoken-env = \"X\"", "not both"),
            ("[webhooks]\n\"#ops\" = { file = \"token\" }", "the Slack webhook for `#ops` is not usable"),
            ("[webhooks]\n\"#ops\" = { path = \"hook\" }", "unknown variant `path`"),
            ("api = \"slack.com\"", "no `https` URL"),
            ("token = \"xoxb\"", "unknown field `token`"),
        ] {
            let error = resolve(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
