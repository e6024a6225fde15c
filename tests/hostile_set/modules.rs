//! Modules that are attacks themselves, as an agent meets them.

use std::fs::File;
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;

/// 500 MB.
pub(crate) const HUGE: u64 = 500 << 20;

/// How deep `deep` nests.
const DEPTH: usize = 100_000;

/// What might pass for wasmtime's compiled code: it is loaded from the host's own store only.
pub(crate) fn forged() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\xc8\0\0\0\0\0\0\0\0\x01\0\x3e\0\x01\0\0\0".to_vec();
    bytes.resize(4096, 0);
    bytes.extend_from_slice(b".wasmtime.engine\0.wasmtime.bti\0.text\0");
    bytes
}

/// Components within components, in binary: 100,000 of them.
pub(crate) fn deep() -> Vec<u8> {
    let preamble = b"\0asm\x0d\0\x01\0";
    // From the inside out; each is a section of the next, whose size is five bytes long whatever it is.
    let sizes = (0..DEPTH).map(|level| preamble.len() + level * (preamble.len() + 6));
    let mut bytes = preamble.to_vec();
    for size in sizes.rev() {
        bytes.push(4);
        bytes.extend(leb(size));
        bytes.extend_from_slice(preamble);
    }
    bytes
}

/// LEB128 in five bytes.
fn leb(number: usize) -> [u8; 5] {
    let part = |shift: usize, more: u8| u8::try_from(number >> shift & 0x7f).expect("seven bits") | more;
    [part(0, 0x80), part(7, 0x80), part(14, 0x80), part(21, 0x80), part(28, 0)]
}

/// The same as text.
pub(crate) fn deep_text() -> String {
    "(component ".repeat(DEPTH) + &")".repeat(DEPTH)
}

/// A file of 500 MB that takes no room.
pub(crate) fn huge_file(path: &Path) {
    File::create(path).and_then(|file| file.set_len(HUGE)).expect("a sparse file");
}

/// A server of modules of 500 MB, one that says so and one that does not.
pub(crate) async fn huge_server() -> (String, tokio::task::JoinHandle<()>) {
    let router =
        Router::new().route("/said", get(|| async { huge(true) })).route("/unsaid", get(|| async { huge(false) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("the server runs") });
    (origin, task)
}

fn huge(says_so: bool) -> Response {
    let piece = Bytes::from(vec![0_u8; 1 << 20]);
    let pieces = (0..HUGE >> 20).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    let mut response = Body::from_stream(futures_util::stream::iter(pieces)).into_response();
    if says_so {
        response.headers_mut().insert("content-length", HUGE.into());
    }
    response
}
