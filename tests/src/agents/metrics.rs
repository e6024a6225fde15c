//! The metrics of an agent, as Prometheus fetches them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Fleet, eventually};

/// How long an agent may take to say where its metrics are.
const START: Duration = Duration::from_secs(30);

/// The lines of an agent's metrics. Its configuration has `metrics` in `[agent]`.
///
/// # Panics
/// There are none.
pub async fn scrape(fleet: &Fleet, agent: &str) -> Vec<String> {
    let said = || fleet.log().all(|event| event.agent == agent && event.kind() == "metrics").pop();
    let event = eventually("the agent says where its metrics are", START, async || said()).await;
    let mut stream = TcpStream::connect(event.text("address")).await.expect("the agent listens there");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("the agent takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the agent answers");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.lines().map(str::to_owned).collect()
}
