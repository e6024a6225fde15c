//! A DNS server over UDP and TCP that answers whatever it is told to: late, of another question, cut short, or in bytes that
//! are no message.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::{AbortHandle, JoinSet};

use crate::hand::{read_message, write_message};

/// How often a port is looked for that is free for both.
const ATTEMPTS: usize = 20;

/// What to do with a question.
#[derive(Debug, Clone, Default)]
pub struct Lie {
    /// How long to wait before.
    pub after: Duration,
    /// The messages to send, one after the other; none to say nothing.
    pub messages: Vec<Vec<u8>>,
}

impl Lie {
    /// One message.
    ///
    /// # Panics
    /// It is none.
    pub fn say(message: &Message) -> Self {
        Self::bytes(vec![message.to_vec().expect("it is a message")])
    }

    /// These bytes, each as a message.
    pub fn bytes(messages: Vec<Vec<u8>>) -> Self {
        Self { after: Duration::ZERO, messages }
    }
}

/// The authoritative answer to a question, with these records at its own name.
pub fn answer(question: &Message, data: &[RData]) -> Message {
    let mut answer = question.clone().into_response();
    answer.metadata.authoritative = true;
    for data in data {
        answer.add_answer(Record::from_rdata(question.queries[0].name().clone(), 60, data.clone()));
    }
    answer
}

/// An answer without records.
pub fn code(question: &Message, code: ResponseCode) -> Message {
    let mut answer = question.clone().into_response();
    answer.metadata.response_code = code;
    answer
}

/// A server on a loopback port of its own, gone with this value.
#[derive(Debug)]
pub struct Liar {
    /// Where it listens, over UDP and TCP.
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    questions: Arc<Mutex<Vec<Message>>>,
    serving: [AbortHandle; 2],
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.serving.iter().for_each(AbortHandle::abort);
    }
}

impl Liar {
    /// A server that is told what to do with each question, and whether it came over TCP.
    ///
    /// # Panics
    /// There is no port.
    pub async fn start(lie: impl Fn(&Message, bool) -> Lie + Send + Sync + 'static) -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("it is bound");
        let asked = Arc::new(AtomicUsize::new(0));
        let questions = Arc::new(Mutex::new(Vec::new()));
        let (count, list) = (Arc::clone(&asked), Arc::clone(&questions));
        let lie = Arc::new(move |bytes: &[u8], over_tcp: bool| {
            count.fetch_add(1, Ordering::SeqCst);
            let question = Message::from_vec(bytes).expect("the question is a message");
            let said = lie(&question, over_tcp);
            list.lock().unwrap_or_else(PoisonError::into_inner).push(question);
            said
        });
        let over_udp = tokio::spawn(serve_udp(udp, Arc::clone(&lie))).abort_handle();
        let over_tcp = tokio::spawn(serve_tcp(tcp, lie)).abort_handle();
        Self { address, asked, questions, serving: [over_udp, over_tcp] }
    }

    /// How many questions came, repeated ones counted again.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The questions that came.
    pub fn questions(&self) -> Vec<Message> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..ATTEMPTS {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = tcp.local_addr().expect("it is bound");
        if let Ok(udp) = UdpSocket::bind(address).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP")
}

async fn serve_udp<F: Fn(&[u8], bool) -> Lie + Send + Sync + 'static>(socket: UdpSocket, lie: Arc<F>) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; 65_535];
    let mut saying = JoinSet::new();
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let (said, socket) = (lie(&buffer[..length], false), Arc::clone(&socket));
        saying.spawn(async move {
            tokio::time::sleep(said.after).await;
            for message in said.messages {
                // Whoever asked may be gone.
                let _ = socket.send_to(&message, from).await;
            }
        });
    }
}

async fn serve_tcp<F: Fn(&[u8], bool) -> Lie + Send + Sync + 'static>(listener: TcpListener, lie: Arc<F>) {
    let mut serving = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let lie = Arc::clone(&lie);
        serving.spawn(async move {
            while let Ok(Some(question)) = read_message(&mut client).await {
                let said = lie(&question, true);
                tokio::time::sleep(said.after).await;
                for message in said.messages {
                    if write_message(&mut client, &message).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
