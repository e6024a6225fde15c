//! A web server on loopback whose pages the test changes as it goes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

type Pages = Arc<Mutex<BTreeMap<String, (u16, String)>>>;
type Requests = Arc<Mutex<Vec<String>>>;

pub(crate) struct Web {
    pub(crate) origin: String,
    pages: Pages,
    requests: Requests,
    task: AbortHandle,
}

impl Web {
    pub(crate) async fn start() -> Self {
        let (pages, requests) = (Pages::default(), Requests::default());
        let router = Router::new().fallback(answer).with_state((Arc::clone(&pages), Arc::clone(&requests)));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { origin, pages, requests, task }
    }

    /// What a path answers from now on. Status 0 breaks the connection.
    pub(crate) fn page(&self, path: &str, status: u16, body: &str) {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), (status, body.to_owned()));
    }

    /// The requests since the last look: `GET /page`.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The grant for this server.
    pub(crate) fn grant(&self) -> String {
        format!("http = [\"{}\"]", self.origin)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State((pages, requests)): State<(Pages, Requests)>, method: Method, uri: Uri) -> Response {
    requests.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {uri}"));
    let page = pages.lock().unwrap_or_else(PoisonError::into_inner).get(uri.path()).cloned();
    let Some((status, body)) = page else { return StatusCode::NOT_FOUND.into_response() };
    if status == 0 {
        let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let stream = futures_util::stream::iter([Err::<axum::body::Bytes, _>(error)]);
        return axum::body::Body::from_stream(stream).into_response();
    }
    let kind = match body.as_bytes().first() {
        Some(b'{') => "application/json",
        Some(b'<') if body.starts_with("<?xml") => "application/xml",
        _ => "text/html; charset=utf-8",
    };
    (StatusCode::from_u16(status).expect("a status"), [(header::CONTENT_TYPE, kind)], body).into_response()
}
