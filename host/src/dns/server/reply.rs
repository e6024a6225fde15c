//! An answer on its way out: what fits is sent whole and signed, what does not is sent empty and marked truncated.

use std::iter;

use hickory_net::xfer::Protocol;
use hickory_proto::op::{Edns, Header, HeaderCounts, Metadata, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption, NSIDPayload};
use hickory_proto::rr::{Record, rdata::TSIG};
use hickory_proto::serialize::binary::BinEncoder;
use hickory_server::server::{Request, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::MAX_UDP_ANSWER;
use super::auth::Signing;

/// An answer: its header and sections.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) metadata: Metadata,
    pub(super) answers: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) additionals: Vec<Record>,
}

impl Reply {
    /// An answer without a record.
    pub(super) fn code(request: &Request, code: ResponseCode) -> Self {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = code;
        Self { metadata, answers: Vec::new(), authorities: Vec::new(), additionals: Vec::new() }
    }
}

/// The EDNS part of the answers to a request: none where the request has none (RFC 6891).
pub(super) fn edns_for(request: &Request, nsid: &NSIDPayload) -> Option<Edns> {
    let asked = request.edns.as_ref()?;
    let mut edns = Edns::new();
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    edns.set_max_payload(asked.max_payload().min(MAX_UDP_ANSWER));
    if asked.option(EdnsCode::NSID).is_some() {
        edns.options_mut().insert(EdnsOption::NSID(nsid.clone()));
    }
    Some(edns)
}

/// Where the answers to one request go, and how they are signed.
pub(super) struct Outbox<'r, R> {
    pub(super) request: &'r Request,
    pub(super) edns: Option<Edns>,
    pub(super) signing: Option<Signing>,
    pub(super) now: u64,
    pub(super) handle: R,
}

impl<R: ResponseHandler> Outbox<'_, R> {
    /// Sends an answer. None if it cannot be sent: the connection is gone or too much is on its way.
    pub(super) async fn send(&mut self, mut reply: Reply) -> Option<ResponseInfo> {
        let limit = match (self.request.protocol(), &self.edns) {
            (Protocol::Udp, Some(edns)) => usize::from(edns.max_payload()),
            (Protocol::Udp, None) => 512,
            _ => usize::from(u16::MAX),
        };
        let room = self.signing.as_ref().map_or(0, Signing::room);
        let mut bytes = self.encode(&reply)?;
        if bytes.len() + room > limit {
            reply.metadata.truncation = true;
            reply.answers.clear();
            reply.authorities.clear();
            reply.additionals.clear();
            bytes = self.encode(&reply)?;
        }
        let signature = match &mut self.signing {
            Some(signing) => Some(signing.sign(&bytes, self.now)?),
            None => None,
        };
        self.send_signed(&reply, signature).await
    }

    fn encode(&self, reply: &Reply) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut bytes);
        let response = MessageResponseBuilder::new(&self.request.queries, self.edns.as_ref()).build(
            reply.metadata,
            &reply.answers,
            &reply.authorities,
            iter::empty(),
            &reply.additionals,
        );
        response.destructive_emit(&mut encoder).ok()?;
        Some(bytes)
    }

    async fn send_signed(&mut self, reply: &Reply, signature: Option<Box<Record<TSIG>>>) -> Option<ResponseInfo> {
        let mut response = MessageResponseBuilder::new(&self.request.queries, self.edns.as_ref()).build(
            reply.metadata,
            &reply.answers,
            &reply.authorities,
            iter::empty(),
            &reply.additionals,
        );
        if let Some(signature) = signature {
            response.set_signature(signature);
        }
        match self.handle.send_response(response).await {
            Ok(info) => Some(info),
            Err(error) => {
                tracing::debug!(%error, client = %self.request.src(), "an answer cannot be sent");
                None
            }
        }
    }
}

/// What hickory wants to know of an answer that was never sent.
pub(super) fn unsent(request: &Request) -> ResponseInfo {
    let mut metadata = Metadata::response_from_request(&request.metadata);
    metadata.response_code = ResponseCode::ServFail;
    ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
}
