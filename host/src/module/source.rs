//! Where a module comes from: a path, a URL, an artifact in a registry or a pointer in DNS, as in the configuration.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::MAX_MODULE_BYTES;
use super::oci::Image;
use super::pointer::Pointer;
use super::trust::Distrust;

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// An `https` URL, or an `http` URL at a loopback address.
    Url(Url),
    /// `oci://REGISTRY/NAME:TAG` or `@sha256:…`: an artifact in a registry.
    Oci(Image),
    /// `dns:NAME` or `dns://SERVER/NAME`: a TXT record that names another source, and a digest.
    Pointer(Pointer),
}

impl Source {
    /// Parses the setting `module`: a path, relative to `base`, a URL, an image, or a pointer.
    ///
    /// # Errors
    /// It is empty, or a URL that modules are not taken from.
    pub fn parse(text: &str, base: &Path) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        if let Some(image) = text.strip_prefix("oci:") {
            return Image::parse(image).map(Self::Oci);
        }
        if let Some(pointer) = text.strip_prefix("dns:") {
            return Pointer::parse(pointer).map(Self::Pointer);
        }
        if !text.contains("://") {
            return Ok(Self::File(base.join(text)));
        }
        let url =
            Url::parse(text).map_err(|error| SourceError::Malformed { url: cut(text), reason: error.to_string() })?;
        match url.scheme() {
            "https" | "http" if is_safe(&url) => Ok(Self::Url(url)),
            "https" | "http" => Err(SourceError::Plain(show(&url))),
            "file" => Err(SourceError::FileUrl(show(&url))),
            scheme => Err(SourceError::Scheme { url: show(&url), scheme: scheme.to_owned() }),
        }
    }
}

impl Source {
    /// All of its text, which may hold secrets: what tells it from another source.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::Url(url) => url.to_string(),
            other => other.to_string(),
        }
    }
}

/// Without what may be a secret: a URL's user, password and query.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(&show(url)),
            Self::Oci(image) => image.fmt(f),
            Self::Pointer(pointer) => pointer.fmt(f),
        }
    }
}

/// Whether a module may be taken from here: nobody on the way can change it.
pub(super) fn is_safe(url: &Url) -> bool {
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => true,
        ("http", Some(host)) => is_loopback(host),
        _ => false,
    }
}

/// Whether a host, as it stands in a URL, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// A URL for people: without user, password, query and fragment, which may hold secrets.
fn show(url: &Url) -> String {
    let mut url = url.clone();
    // Either fails for a URL that cannot have a user, and so has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// What is no URL cannot be taken apart: its scheme is all that is shown.
fn cut(text: &str) -> String {
    let (scheme, _) = text.split_once("://").unwrap_or((text, ""));
    format!("{scheme}://…")
}

/// Why the setting `module` is no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It is empty.
    #[error("`module` is empty")]
    Empty,
    /// It is no URL.
    #[error("`{url}` is no URL: {reason}")]
    Malformed {
        /// What of it can be shown.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// A plain `http` URL beyond this machine.
    #[error("a module is not taken from `{0}`: over plain http anybody on the way can change it")]
    Plain(String),
    /// A `file` URL.
    #[error("a module is not taken from `{0}`: a file is named by its path")]
    FileUrl(String),
    /// Another scheme.
    #[error("a module is not taken from `{url}`: `{scheme}` is none of https, oci, dns and a path")]
    Scheme {
        /// The URL.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// It begins with `oci:`, and names no image.
    #[error("`{image}` names nothing in a registry: {reason}")]
    Image {
        /// What of it can be shown.
        image: String,
        /// What is wrong.
        reason: String,
    },
    /// It begins with `dns:`, and names no record.
    #[error("`{pointer}` names no record: {reason}")]
    Pointer {
        /// It.
        pointer: String,
        /// What is wrong.
        reason: String,
    },
}

impl SourceError {
    /// What to try.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "name a file or a URL: module = \"jobs/canary.wasm\"",
            Self::Malformed { .. } => "write it as https://HOST/PATH",
            Self::Plain(_) => "use https; plain http is for loopback addresses only: http://127.0.0.1:8080/canary.wasm",
            Self::FileUrl(_) => "leave out `file://`: module = \"/srv/jobs/canary.wasm\"",
            Self::Scheme { .. } => "use a path, https://…, oci://REGISTRY/NAME:TAG or dns:NAME",
            Self::Image { .. } => "write it as oci://REGISTRY/NAME:TAG or oci://REGISTRY/NAME@sha256:DIGEST",
            Self::Pointer { .. } => "write it as dns:NAME, or dns://ADDRESS:PORT/NAME for a server of your choice",
        }
    }
}

/// Why there is no module to be had from a source now. Whatever was loaded before stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There is no such file.
    #[error("there is no file `{0}`")]
    Missing(String),
    /// The file cannot be read, or is no regular file.
    #[error("the file `{path}` cannot be read: {reason}")]
    Unreadable {
        /// Its path.
        path: String,
        /// What happened.
        reason: String,
    },
    /// The file did not hold still.
    #[error("the file `{0}` is changing all the time")]
    Restless(String),
    /// The server did not give it.
    #[error("`{url}` cannot be fetched: {reason}")]
    Fetch {
        /// The URL, without what may be a secret.
        url: String,
        /// What happened.
        reason: String,
    },
    /// It is larger than [`MAX_MODULE_BYTES`].
    #[error("the module at `{0}` is larger than {MAX_MODULE_BYTES} bytes, the most that is read")]
    TooLarge(String),
    /// The registry did not give it.
    #[error("`{image}` cannot be pulled: {reason}")]
    Registry {
        /// The image.
        image: String,
        /// What happened.
        reason: String,
        /// What to try.
        hint: Option<String>,
    },
    /// The pointer is not there, or points nowhere.
    #[error("`{pointer}` points at no module: {reason}")]
    Pointer {
        /// The pointer.
        pointer: String,
        /// What was found.
        reason: String,
        /// What to try.
        hint: Option<String>,
    },
    /// It is not to be trusted.
    #[error("the module at `{place}` is refused: {}", distrust.why)]
    Distrusted {
        /// Where it was found.
        place: String,
        /// Why.
        distrust: Distrust,
    },
    /// The source says that it has not changed, and was not asked that.
    #[error("the server says that the module has not changed, in answer to an unconditional request")]
    Unasked,
    /// This process is ending.
    #[error("this process is ending")]
    Ending,
}

impl Unavailable {
    pub(super) fn fetch(url: &Url, reason: impl Into<String>) -> Self {
        Self::Fetch { url: show(url), reason: reason.into() }
    }

    pub(super) fn too_large(url: &Url) -> Self {
        Self::TooLarge(show(url))
    }

    /// What to try.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Missing(_) => Some("`module` is relative to the configuration's folder; is the module built?"),
            Self::Fetch { .. } => Some("`curl -I URL` shows what its server says"),
            Self::Registry { hint, .. } | Self::Pointer { hint, .. } => hint.as_deref(),
            Self::Distrusted { distrust, .. } => Some(distrust.why.hint()),
            Self::Unreadable { .. } | Self::Restless(_) | Self::TooLarge(_) | Self::Unasked | Self::Ending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, SourceError> {
        Source::parse(text, Path::new("/etc/soloist"))
    }

    #[test]
    fn a_path_is_relative_to_the_configuration() {
        assert_eq!(parse("jobs/a.wasm"), Ok(Source::File("/etc/soloist/jobs/a.wasm".into())));
        assert_eq!(parse("/srv/a.wasm"), Ok(Source::File("/srv/a.wasm".into())));
        assert_eq!(parse(""), Err(SourceError::Empty));
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["https://example.com/a.wasm", "http://127.0.0.1:80/a", "http://[::1]/a", "http://localhost:8080/a"]
        {
            assert!(matches!(parse(good), Ok(Source::Url(_))), "{good}");
        }
        for bad in
            ["http://example.com/a", "http://10.0.0.1/a", "http://localhost.example.com/a", "http://127.0.0.1.nip.io/a"]
        {
            let error = parse(bad).expect_err(bad);
            assert!(matches!(error, SourceError::Plain(_)), "{error}");
            assert!(error.hint().contains("https"));
        }
    }

    #[test]
    fn other_schemes_are_refused_with_a_hint() {
        assert!(matches!(parse("file:///a.wasm"), Err(SourceError::FileUrl(_))));
        assert!(matches!(parse("ftp://example.com/a"), Err(SourceError::Scheme { .. })));
        assert!(matches!(parse("https://"), Err(SourceError::Malformed { .. })));
    }

    #[test]
    fn what_may_be_a_secret_is_never_shown() {
        let source = parse("https://me:hush@example.com/a.wasm?token=hush#hush").expect("a URL");
        assert_eq!(source.to_string(), "https://example.com/a.wasm");
        let error = parse("http://me:hush@example.com/a?token=hush").expect_err("plain http");
        assert!(!error.to_string().contains("hush"), "{error}");
        let error = parse("https://me:hush@:port/a?token=hush").expect_err("no URL");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
