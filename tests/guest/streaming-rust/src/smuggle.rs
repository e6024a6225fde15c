//! Tries to set what only the host may: header fields that frame the message, and texts that begin another one.

use soloist_sdk::Failure;
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

/// Header fields that would smuggle something past the host.
const FIELDS: [(&str, &str); 19] = [
    ("host", "evil.example"),
    ("Host", "evil.example"),
    ("transfer-encoding", "chunked"),
    ("Transfer-Encoding", "gzip"),
    ("connection", "x-forwarded-for"),
    ("keep-alive", "timeout=5"),
    ("proxy-authenticate", "Basic"),
    ("proxy-authorization", "Basic eDp4"),
    ("proxy-connection", "keep-alive"),
    ("te", "trailers"),
    ("trailer", "x-sum"),
    ("upgrade", "h2c"),
    ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ("expect", "100-continue"),
    ("via", "1.1 evil.example"),
    ("x-a", "1\r\nhost: evil.example"),
    ("x-a", "1\nx-b: 2"),
    ("x-a\r\nx-b", "1"),
    ("x-a:", "1"),
];

/// All of them must fail.
pub(crate) fn all_of(authority: &str) -> Result<String, Failure> {
    let mut refused = 0;
    let mut tried = |what: String, worked: bool| {
        if worked {
            return Err(Failure::final_(format!("succeeded: {what}")));
        }
        refused += 1;
        Ok(())
    };
    for (name, value) in FIELDS {
        let one = (name.to_owned(), value.as_bytes().to_vec());
        tried(format!("append {name:?}"), Fields::new().append(name, value.as_bytes()).is_ok())?;
        tried(format!("set {name:?}"), Fields::new().set(name, &[value.as_bytes().to_vec()]).is_ok())?;
        tried(format!("from-list {name:?}"), Fields::from_list(&[one]).is_ok())?;
    }
    let request = OutgoingRequest::new(Fields::new());
    for text in ["/ HTTP/1.1\r\nhost: evil.example\r\n\r\n", "/a b"] {
        tried(format!("path {text:?}"), request.set_path_with_query(Some(text)).is_ok())?;
    }
    for text in ["127.0.0.1\r\nx-a: 1", "a b", "a/b"] {
        tried(format!("authority {text:?}"), request.set_authority(Some(text)).is_ok())?;
    }
    let odd = Method::Other("GET / HTTP/1.1\r\nhost: evil.example\r\n\r\nGET".to_owned());
    tried("method".to_owned(), request.set_method(&odd).is_ok())?;
    // A body that is longer, or shorter, than was said.
    for body in ["x".repeat(9), "xx".to_owned()] {
        tried(format!("{} bytes said to be 8", body.len()), sent(authority, &body)?)?;
    }
    Ok(format!("{refused} refused"))
}

/// Whether a body that is said to have eight bytes is taken to its end.
fn sent(authority: &str, text: &str) -> Result<bool, Failure> {
    let length = [("content-length".to_owned(), b"8".to_vec())];
    let fields = Fields::from_list(&length).map_err(|error| Failure::final_(format!("{error:?}")))?;
    let request = OutgoingRequest::new(fields);
    let set = request.set_scheme(Some(&Scheme::Http)).and(request.set_authority(Some(authority)));
    let set = set.and(request.set_path_with_query(Some("/")));
    set.and(request.set_method(&Method::Post)).map_err(|()| Failure::final_("no request"))?;
    let body = request.body().map_err(|()| Failure::final_("no body"))?;
    let output = body.write().map_err(|()| Failure::final_("no stream"))?;
    let future = handle(request, None).map_err(|error| Failure::final_(format!("{error:?}")))?;
    let written = output.blocking_write_and_flush(text.as_bytes()).is_ok();
    drop(output);
    let finished = OutgoingBody::finish(body, None).is_ok();
    future.subscribe().block();
    Ok(written && finished)
}
