//! A slow way to a server: every byte is late by the same time, in both directions, and none is lost.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

/// How much is under way in one direction of a connection, in reads of at most [`CHUNK`] bytes.
const MAX_UNDER_WAY: usize = 256;

/// The most that is read at once, in bytes.
const CHUNK: usize = 4096;

/// A TCP relay that takes its time.
#[derive(Debug)]
pub struct Slow {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Slow {
    /// A way to this server, `late` in each direction, on a free port of an own address.
    ///
    /// # Panics
    /// There is no free port.
    pub async fn start(at: IpAddr, server: SocketAddr, late: Duration) -> Self {
        let listener = TcpListener::bind((at, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                open.spawn(relay(client, server, late));
            }
        });
        Self { address, accepting: accepting.abort_handle() }
    }

    /// Where to connect instead of to the server.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        // And with it all connections.
        self.accepting.abort();
    }
}

async fn relay(client: TcpStream, server: SocketAddr, late: Duration) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::join!(delay(from_client, to_server, late), delay(from_server, to_client, late));
}

/// Passes on what comes, later. The end of it, too.
async fn delay(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, late: Duration) {
    let (sender, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(MAX_UNDER_WAY);
    let receive = async move {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = from.read(&mut chunk).await.unwrap_or(0);
            if sender.send((Instant::now() + late, chunk[..read].to_vec())).await.is_err() || read == 0 {
                return;
            }
        }
    };
    let pass_on = async move {
        while let Some((at, bytes)) = under_way.recv().await {
            tokio::time::sleep_until(at).await;
            if bytes.is_empty() || to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        // The other side may be gone already.
        let _ = to.shutdown().await;
    };
    tokio::join!(receive, pass_on);
}
