//! Header fields: which a job may set, and what becomes of them at a redirect.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// The most bytes of header fields, names and values together, of a request and of a response.
pub(super) const MAX_HEADERS: usize = 64 * 1024;

/// Fields that frame the message or belong to one connection (RFC 9110, section 7.6.1): the host sets them.
const HOST_FIELDS: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Fields that describe a body, dropped with it.
const BODY_FIELDS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION];

/// Fields that hold credentials, dropped when another origin is next.
const CREDENTIALS: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION];

/// Whether only the host sets this field.
pub(super) fn belongs_to_host(name: &HeaderName) -> bool {
    HOST_FIELDS.contains(&name.as_str())
}

/// A job's header fields.
///
/// # Errors
/// Which one is malformed or not a job's to set.
pub(super) fn parse(fields: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let shown = crate::runtime::clean(name, 100);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{shown}` is no header name"))?;
        if belongs_to_host(&name) {
            return Err(format!("the header `{name}` belongs to the host"));
        }
        // The value may be a secret, and so is not shown.
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the header `{name}` has a value with a control character"))?;
        headers.try_append(name, value).map_err(|_| "there are too many header fields".to_owned())?;
    }
    check_size(&headers).map(|()| headers)
}

/// # Errors
/// The fields are larger than [`MAX_HEADERS`].
pub(super) fn check_size(headers: &HeaderMap) -> Result<(), String> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_HEADERS {
        return Err(format!("the header fields have {size} bytes, and at most {MAX_HEADERS} are allowed"));
    }
    Ok(())
}

/// The next request's method after a redirect; whether the body goes with it (RFC 9110, section 15.4).
pub(super) fn redirected(status: StatusCode, method: &Method) -> Option<(Method, bool)> {
    match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if *method == Method::POST => Some((Method::GET, false)),
        StatusCode::SEE_OTHER if *method == Method::HEAD => Some((Method::HEAD, false)),
        StatusCode::SEE_OTHER => Some((Method::GET, false)),
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => Some((method.clone(), true)),
        _ => None,
    }
}

/// Drops the fields that must not be sent on.
pub(super) fn strip(headers: &mut HeaderMap, keeps_body: bool, same_origin: bool) {
    if !keeps_body {
        for name in BODY_FIELDS {
            headers.remove(name);
        }
    }
    if !same_origin {
        for name in CREDENTIALS {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<HeaderMap, String> {
        parse(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn fields_that_frame_the_message_belong_to_the_host() {
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "connection",
            "TE",
            "upgrade",
            "proxy-authorization",
            "expect",
            "http2-settings",
            "Keep-Alive",
            "proxy-authenticate",
            "Proxy-Connection",
            "trailer",
            "via",
        ] {
            assert!(one(name, "x").unwrap_err().contains("belongs to the host"), "{name}");
        }
        assert!(one("authorization", "Bearer x").is_ok());
        assert!(one("x-übung", "x").unwrap_err().contains("no header name"));
        assert!(one("x y", "x").is_err());
    }

    #[test]
    fn a_value_cannot_begin_another_field() {
        let error = one("authorization", "geheim\r\nhost: evil").unwrap_err();
        assert!(error.contains("control character") && !error.contains("geheim"));
        assert!(one("x-name", "Jürgen").is_ok(), "bytes above ASCII are allowed");
    }

    #[test]
    fn fields_are_bounded_together() {
        let fields = vec![("x-long".to_owned(), "v".repeat(1000)); 70];
        assert!(parse(&fields).unwrap_err().contains("at most 65536"));
    }

    #[test]
    fn a_redirect_keeps_or_drops_method_and_body() {
        let status = |code| StatusCode::from_u16(code).unwrap();
        for (code, method, next) in [
            (301, Method::POST, Some((Method::GET, false))),
            (302, Method::POST, Some((Method::GET, false))),
            (301, Method::PUT, Some((Method::PUT, true))),
            (302, Method::GET, Some((Method::GET, true))),
            (303, Method::PUT, Some((Method::GET, false))),
            (303, Method::HEAD, Some((Method::HEAD, false))),
            (307, Method::POST, Some((Method::POST, true))),
            (308, Method::DELETE, Some((Method::DELETE, true))),
            (304, Method::GET, None),
            (300, Method::GET, None),
            (200, Method::GET, None),
        ] {
            assert_eq!(redirected(status(code), &method), next, "{code} {method}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let mut headers = parse(&[
            ("authorization".to_owned(), "Bearer x".to_owned()),
            ("cookie".to_owned(), "a=b".to_owned()),
            ("content-type".to_owned(), "text/plain".to_owned()),
            ("accept".to_owned(), "*/*".to_owned()),
        ])
        .unwrap();
        strip(&mut headers, true, true);
        assert_eq!(headers.len(), 4);
        strip(&mut headers, false, false);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
    }
}
