//! The credentials of a registry: from the configuration of docker, for the challenge that the registry sends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Url};

use crate::files;

/// The largest `config.json` that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// How long a credential helper may take.
const HELPER: Duration = Duration::from_secs(10);

/// What docker calls its own registry in its configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What a registry may take us by.
pub(super) enum Credentials {
    Password(String, String),
    /// A token that another token is given for (OAuth 2).
    Identity(String),
}

impl Credentials {
    /// HTTP's basic authentication (RFC 7617); none for an identity token, which is nothing for it.
    pub(super) fn basic(&self) -> Option<HeaderValue> {
        let Self::Password(user, password) = self else { return None };
        secret(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The credentials for a registry, in the docker configuration of this folder; none where there are none.
///
/// # Errors
/// The configuration, or a helper that it names, is broken: in words, and without what a helper printed, which may be a secret.
pub(super) async fn find(folder: Option<PathBuf>, host: String) -> Result<Option<Credentials>, String> {
    let Some(folder) = folder else { return Ok(None) };
    let path = folder.join("config.json");
    let name = path.display().to_string();
    let late = || {
        format!(
            "the credential helper that `{name}` names does not answer within {}",
            humantime::format_duration(HELPER)
        )
    };
    let finding = tokio::task::spawn_blocking(move || look(&path, &host));
    match tokio::time::timeout(HELPER, finding).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(late()),
    }
}

fn look(path: &Path, host: &str) -> Result<Option<Credentials>, String> {
    let name = path.display();
    let text = match files::read(path, MAX_CONFIG_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("the docker configuration `{name}` cannot be read: {error}")),
    };
    let server = if host == "index.docker.io" { DOCKER_HUB } else { host };
    match docker_credential::get_credential_from_reader(text.as_slice(), server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(Some(Credentials::Password(user, password))),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credentials::Identity(token))),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // What helpers say where they have nothing (docker-credential-helpers, `credentials/error.go`).
        Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => {
            Ok(None)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(format!("`{helper}`, which `{name}` names, fails for `{server}`"))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => {
            Err(format!("the credential helper that `{name}` names for `{server}` cannot be run"))
        }
        Err(CredentialRetrievalError::MalformedHelperResponse) => {
            Err(format!("the credential helper that `{name}` names for `{server}` answers with what is no credential"))
        }
        Err(_) => Err(format!(
            "the docker configuration `{name}` is no configuration, or its entry for `{server}` no credential"
        )),
    }
}

/// What a registry demands (RFC 9110, section 11.6.1).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) is_basic: bool,
    /// Where to ask for a token, and the service to name there.
    pub(super) bearer: Option<(String, Option<String>)>,
}

impl Challenge {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut challenge = Self::default();
        for text in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()) {
            let (scheme, parameters) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") {
                challenge.is_basic = true;
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = pairs(parameters);
                let get = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
                challenge.bearer = get("realm").map(|realm| (realm, get("service")));
            }
        }
        challenge
    }
}

/// `key=value` and `key="value"`, between commas.
fn pairs(mut text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while let Some((key, rest)) = text.split_once('=') {
        let mut value = String::new();
        let rest = rest.trim_start();
        let mut end = rest.len();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        end = at + 2;
                        break;
                    }
                    '\\' => value.extend(chars.next().map(|(_, c)| c)),
                    c => value.push(c),
                }
            }
        } else {
            end = rest.find(',').unwrap_or(rest.len());
            rest[..end].trim().clone_into(&mut value);
        }
        pairs.push((key.trim_matches([' ', ',']).to_ascii_lowercase(), value));
        text = rest.get(end..).unwrap_or_default();
    }
    pairs
}

/// Asks for a token to pull with: by GET, or, for an identity token, by the POST of OAuth 2.
///
/// <https://distribution.github.io/distribution/spec/auth/oauth/>
pub(super) fn token_request(
    client: &Client,
    mut realm: Url,
    service: Option<&str>,
    scope: &str,
    credentials: Option<&Credentials>,
) -> RequestBuilder {
    let mut form = realm.clone();
    if let Some(Credentials::Identity(token)) = credentials {
        form.set_query(None);
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", "soloist")
            .append_pair("service", service.unwrap_or_default())
            .append_pair("scope", scope)
            .append_pair("refresh_token", token);
        let body = form.query().unwrap_or_default().to_owned();
        return client.post(realm).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
    }
    if let Some(service) = service {
        realm.query_pairs_mut().append_pair("service", service);
    }
    realm.query_pairs_mut().append_pair("scope", scope);
    let request = client.get(realm);
    match credentials.and_then(Credentials::basic) {
        Some(basic) => request.header(AUTHORIZATION, basic),
        None => request,
    }
}

/// The header with the token in an answer.
pub(super) fn token(body: &[u8]) -> Option<HeaderValue> {
    #[derive(serde::Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty())?;
    secret(&format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&'static str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>| Challenge {
            is_basic: false,
            bearer: Some((realm.to_owned(), service.map(str::to_owned))),
        };
        assert_eq!(
            challenge(&[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:pull,push""#
            ]),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(challenge(&[r#"bearer scope="x", realm = "https://a/\"b" "#]), bearer("https://a/\"b", None));
        assert_eq!(challenge(&["Bearer realm=https://a/t, service=s"]), bearer("https://a/t", Some("s")));
        assert_eq!(challenge(&[r#"Basic realm="Registry Realm""#]), Challenge { is_basic: true, bearer: None });
        for odd in
            ["", "Bearer", "Bearer realm", "Bearer =", "Digest realm=\"x\"", "Bearer service=\"s", "Bearer realm=\"é\\"]
        {
            let mut headers = HeaderMap::new();
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(odd.as_bytes()).unwrap());
            assert!(!Challenge::of(&headers).is_basic, "{odd}");
        }
    }

    #[test]
    fn a_token_stands_under_either_name() {
        for body in [r#"{"token":"t"}"#, r#"{"access_token":"t","expires_in":60}"#] {
            assert_eq!(token(body.as_bytes()).unwrap().to_str().unwrap(), "Bearer t");
        }
        for body in ["{}", r#"{"token":""}"#, r#"{"token":"a\nb"}"#, "[]"] {
            assert!(token(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn what_we_are_taken_by_is_never_shown() {
        let basic = Credentials::Password("me".to_owned(), "hush".to_owned()).basic().unwrap();
        assert_eq!(basic.to_str().unwrap(), "Basic bWU6aHVzaA==");
        assert_eq!(format!("{basic:?}"), "Sensitive");
    }

    #[test]
    fn credentials_are_those_of_the_docker_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let password = |host: &str| match look(&path, host) {
            Ok(Some(Credentials::Password(user, password))) => Ok(Some(format!("{user}:{password}"))),
            Ok(Some(Credentials::Identity(token))) => Ok(Some(token)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        assert_eq!(password("a.example"), Ok(None), "no file");
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6aHVi"}, "a.example:5000": {"auth": "bWU6aHVzaA=="},
            "b.example": {"auth": "bWU6", "identitytoken": "id"}, "c.example": {"auth": "hush!"}},
            "credHelpers": {"d.example": "none-such"}}"#;
        std::fs::write(&path, text).unwrap();
        assert_eq!(password("index.docker.io"), Ok(Some("me:hub".to_owned())));
        assert_eq!(password("a.example:5000"), Ok(Some("me:hush".to_owned())));
        assert_eq!(password("b.example"), Ok(Some("id".to_owned())));
        assert_eq!(password("e.example"), Ok(None));
        for broken in ["c.example", "d.example"] {
            let error = password(broken).unwrap_err();
            assert!(error.contains(broken) && !error.contains("hush"), "{error}");
        }
        std::fs::write(&path, "{").unwrap();
        assert!(password("a.example:5000").unwrap_err().contains("config.json"));
    }
}
