//! The secrets of one run: a placeholder for each, put in and taken out of what goes through the gate.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use rand::Rng as _;
use reqwest::Url;
use zeroize::Zeroizing;

use super::Bound;
use super::replace::{Replacer, Rule};

/// How every placeholder begins.
pub const PREFIX: &str = "soloist-secret-";

/// The length of a placeholder, in characters.
pub const PLACEHOLDER: usize = 40;

/// The secrets that one run may use, each with the placeholder that stands for it in this run.
pub struct Vault {
    held: Vec<Held>,
    inward: Replacer,
}

struct Held {
    placeholder: String,
    bound: Bound,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("secrets", &self.held.len()).finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault of these secrets, with new placeholders.
    pub fn new(secrets: impl IntoIterator<Item = Bound>) -> Self {
        let held: Vec<Held> = secrets.into_iter().map(|bound| Held { placeholder: placeholder(), bound }).collect();
        let rules = held.iter().flat_map(|held| {
            let shown = held.placeholder.as_bytes().to_vec();
            let rule = move |wanted| Rule { wanted, with: Ok(Zeroizing::new(shown.clone())) };
            forms(held.bound.secret.expose()).into_iter().map(rule)
        });
        let inward = Replacer::new(rules.collect());
        Self { held, inward }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The placeholder of a secret.
    pub fn placeholder(&self, name: &str) -> Option<&str> {
        self.held.iter().find(|held| held.bound.name == name).map(|held| held.placeholder.as_str())
    }

    /// Whether a secret may go to this URL's origin, so that an answer from there may hold it.
    pub(in crate::capability) fn is_bound_to(&self, url: &Url) -> bool {
        self.held.iter().any(|held| held.bound.origins.covers(url))
    }

    /// What puts the secrets in that may go to this URL's origin, and refuses the others' placeholders.
    pub(in crate::capability) fn outward(&self, url: &Url) -> Replacer {
        let rule = |held: &Held| Rule {
            wanted: Zeroizing::new(held.placeholder.as_bytes().to_vec()),
            with: if held.bound.origins.covers(url) {
                Ok(Zeroizing::new(held.bound.secret.expose().as_bytes().to_vec()))
            } else {
                Err(not_bound(&held.bound.name, url))
            },
        };
        Replacer::new(self.held.iter().map(rule).collect())
    }

    /// What takes the secrets out of an answer.
    pub(in crate::capability) fn inward(&self) -> Replacer {
        self.inward.again()
    }

    /// Puts the secrets into header fields. `Basic user:PLACEHOLDER` as `authorization` is encoded when the secret is in.
    ///
    /// # Errors
    /// A secret is not bound to this origin, or stands where none is put.
    pub(in crate::capability) fn fill(&self, headers: &mut HeaderMap, url: &Url) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        let outward = self.outward(url);
        for (name, value) in headers.iter_mut() {
            if contains(name.as_str().as_bytes(), PREFIX.as_bytes()) {
                return Err("a secret's placeholder stands in the name of a header field".to_owned());
            }
            if !contains(value.as_bytes(), PREFIX.as_bytes()) {
                continue;
            }
            let mut filled = Zeroizing::new(outward.again().step(value.as_bytes(), true)?);
            if name == header::AUTHORIZATION
                && let Some(credentials) = basic(&filled)
            {
                filled = Zeroizing::new(format!("Basic {}", STANDARD.encode(credentials)).into_bytes());
            }
            *value = HeaderValue::from_bytes(&filled)
                .map_err(|_| format!("with its secret, the header `{name}` has a control character"))?;
            value.set_sensitive(true);
        }
        Ok(())
    }

    /// Refuses a placeholder in a URL: what stands there ends up in other people's logs.
    ///
    /// # Errors
    /// There is one.
    pub(in crate::capability) fn check_url(&self, url: &Url) -> Result<(), String> {
        let is_there = self.held.iter().any(|held| url.as_str().contains(&held.placeholder));
        if is_there {
            return Err("a secret's placeholder stands in the URL: put it into a header field or the body".to_owned());
        }
        Ok(())
    }

    /// That a redirect carries no secret to an origin that it is not bound to.
    ///
    /// # Errors
    /// It does.
    pub(in crate::capability) fn check_redirect(&self, url: &Url) -> Result<(), String> {
        let carried = |held: &&Held| {
            !held.bound.origins.covers(url)
                && forms(held.bound.secret.expose()).iter().any(|form| contains(url.as_str().as_bytes(), form))
        };
        self.held.iter().find(carried).map_or(Ok(()), |held| Err(not_bound(&held.bound.name, url)))
    }

    /// Takes the secrets out of the header fields of an answer.
    pub(in crate::capability) fn scrub_headers(&self, headers: &mut HeaderMap) {
        if self.is_empty() {
            return;
        }
        let names: Vec<_> = headers.keys().filter(|name| self.is_named(name.as_str())).cloned().collect();
        for name in names {
            headers.remove(name);
        }
        for value in headers.values_mut() {
            let scrubbed = self.scrub(value.as_bytes());
            if scrubbed != value.as_bytes() {
                *value = HeaderValue::from_bytes(&scrubbed).unwrap_or_else(|_| HeaderValue::from_static(""));
            }
        }
    }

    /// Whether a secret stands in the name of a header field, in lower case.
    fn is_named(&self, name: &str) -> bool {
        self.held.iter().any(|held| name.contains(&*Zeroizing::new(held.bound.secret.expose().to_ascii_lowercase())))
    }

    /// Takes the secrets out of a text.
    pub(in crate::capability) fn scrub_text(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&self.scrub(text.as_bytes())).into_owned()
    }

    fn scrub(&self, bytes: &[u8]) -> Vec<u8> {
        // No rule of these refuses anything.
        self.inward().step(bytes, true).unwrap_or_default()
    }
}

fn not_bound(name: &str, url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    format!(
        "the secret `{name}` is not bound to `{origin}`: name it in `origins` under `[secrets.{name}]` if that is meant"
    )
}

/// A name that nobody guesses: 125 bits.
fn placeholder() -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut random = rand::rng();
    let digits = (PREFIX.len()..PLACEHOLDER).map(|_| char::from(DIGITS[random.random_range(0..DIGITS.len())]));
    PREFIX.chars().chain(digits).collect()
}

/// A secret as it may stand in an answer: as it is, in JSON, in a URL, in base64.
fn forms(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let json = serde_json::Value::from(secret).to_string();
    let slashes = json.trim_matches('"').replace('/', "\\/");
    let (mut upper, mut lower) = (String::new(), String::new());
    for byte in secret.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            upper.push(char::from(byte));
            lower.push(char::from(byte));
        } else {
            upper.push_str(&format!("%{byte:02X}"));
            lower.push_str(&format!("%{byte:02x}"));
        }
    }
    let form = upper.replace("%20", "+");
    let encoded = STANDARD.encode(secret);
    let unpadded = encoded.trim_end_matches('=').to_owned();
    let mut forms: Vec<Zeroizing<Vec<u8>>> =
        [secret.to_owned(), json.trim_matches('"').to_owned(), slashes, upper, lower, form, unpadded]
            .into_iter()
            .map(|form| Zeroizing::new(form.into_bytes()))
            .collect();
    forms.sort_by(|one, other| one.as_slice().cmp(other));
    forms.dedup();
    forms
}

/// What stands after `Basic ` where it is not encoded yet.
fn basic(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    (scheme.eq_ignore_ascii_case(b"basic ") && rest.contains(&b':')).then_some(rest)
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|part| part == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::{Secret, http::Grant};

    fn vault() -> (Vault, String) {
        let origins = Grant::of(["https://api.example.com"]).unwrap();
        let bound = Bound { name: "token".to_owned(), secret: Secret::new("geheim/\"1 2"), origins };
        let vault = Vault::new([bound]);
        let placeholder = vault.placeholder("token").unwrap().to_owned();
        (vault, placeholder)
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_placeholder_is_another_in_each_run() {
        let (_, one) = vault();
        let (_, other) = vault();
        assert!(one.starts_with(PREFIX) && one.len() == PLACEHOLDER && one != other, "{one} {other}");
        assert!(one.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
    }

    #[test]
    fn a_header_gets_the_secret_on_the_way_to_its_origin_only() {
        let (vault, placeholder) = vault();
        let headers = |value: String| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]);
        let mut filled = headers(format!("Bearer {placeholder}"));
        vault.fill(&mut filled, &url("https://api.example.com/x")).unwrap();
        assert_eq!(filled["authorization"], "Bearer geheim/\"1 2");
        assert!(!format!("{filled:?} {vault:?}").contains("geheim"));
        let mut filled = headers(format!("Basic me:{placeholder}"));
        vault.fill(&mut filled, &url("https://api.example.com/x")).unwrap();
        assert_eq!(filled["authorization"], format!("Basic {}", STANDARD.encode("me:geheim/\"1 2")));
        for other in ["https://example.com/", "http://api.example.com/", "https://api.example.com:8443/"] {
            let error = vault.fill(&mut headers(placeholder.clone()), &url(other)).unwrap_err();
            assert!(error.contains("`token` is not bound to") && !error.contains("geheim"), "{error}");
        }
        let named = HeaderMap::from_iter([(placeholder.parse::<http::HeaderName>().unwrap(), "x".parse().unwrap())]);
        assert!(vault.fill(&mut named.clone(), &url("https://api.example.com/")).is_err());
        assert!(vault.check_url(&url(&format!("https://api.example.com/?key={placeholder}"))).is_err());
    }

    #[test]
    fn a_field_whose_name_holds_the_secret_is_taken_out() {
        let origins = Grant::of(["https://api.example.com"]).unwrap();
        let vault = Vault::new([Bound { name: "token".to_owned(), secret: Secret::new("Geheim-17"), origins }]);
        let mut headers: HeaderMap = ["x-geheim-17-x", "x-other"]
            .map(|name| (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static("x")))
            .into_iter()
            .collect();
        vault.scrub_headers(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-other"]);
    }

    #[test]
    fn an_answer_never_holds_the_secret_in_a_usual_form() {
        let (vault, placeholder) = vault();
        let encoded = STANDARD.encode("geheim/\"1 2");
        for form in [
            "geheim/\"1 2",
            "geheim/\\\"1 2",
            "geheim\\/\\\"1 2",
            "geheim%2F%221%202",
            "geheim%2f%221%202",
            "geheim%2F%221+2",
            &encoded,
        ] {
            let shown = vault.scrub_text(&format!("you said {form}!"));
            let tail = if form == encoded { "=" } else { "" };
            let plain = format!("you said {placeholder}{}!", if encoded.ends_with('=') { tail } else { "" });
            assert_eq!(shown, plain, "{form}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", "geheim/\"1 2".parse().unwrap());
        vault.scrub_headers(&mut headers);
        assert_eq!(headers["x-echo"], placeholder);
        assert!(vault.check_redirect(&url("https://evil.example/?geheim%2F%221%202")).is_err());
        assert!(vault.check_redirect(&url("https://api.example.com/?geheim%2F%221%202")).is_ok());
    }
}
