//! What becomes of a request: who signed it, then a question, a transfer or an update. Nothing else is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use hickory_net::runtime::Time;
use hickory_net::xfer::Protocol;
use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::NSIDPayload;
use hickory_proto::rr::{DNSClass, LowerName, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};

use super::auth::{self, Auth};
use super::reply::{Outbox, Reply, edns_for, unsent};
use super::store::{Store, Update};
use super::{answer, transfer};
use crate::arbiter::tsig::Key;

/// Answers the requests for one zone. Clones share all of it.
#[derive(Clone)]
pub(super) struct Handler {
    pub(super) store: Arc<Store>,
    pub(super) origin: LowerName,
    pub(super) keys: Vec<Key>,
    pub(super) nsid: NSIDPayload,
    /// When a bad signature was last logged, in seconds since the Unix epoch.
    pub(super) complained: Arc<AtomicU64>,
}

#[async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, handle: R) -> ResponseInfo {
        let now = T::current_time();
        let edns = edns_for(request, &self.nsid);
        let checked = auth::check(request, &self.keys, now);
        let mut outbox = Outbox { request, edns, signing: None, now, handle };
        let signed = match checked {
            Auth::Unsigned => false,
            Auth::Signed(signing) => {
                outbox.signing = Some(signing);
                true
            }
            Auth::Failed(code, signing) => {
                if let Some(complaint) = signing.as_ref().and_then(auth::Signing::complaint) {
                    self.complain(request, complaint, now);
                }
                outbox.signing = signing;
                return outbox.send(Reply::code(request, code)).await.unwrap_or_else(|| unsent(request));
            }
        };
        self.respond(request, &mut outbox, signed).await.unwrap_or_else(|| unsent(request))
    }
}

impl Handler {
    async fn respond<R: ResponseHandler>(
        &self,
        request: &Request,
        outbox: &mut Outbox<'_, R>,
        signed: bool,
    ) -> Option<ResponseInfo> {
        if request.version() > 0 {
            return outbox.send(Reply::code(request, ResponseCode::BADVERS)).await;
        }
        let [query] = request.queries.queries() else {
            return outbox.send(Reply::code(request, ResponseCode::FormErr)).await;
        };
        let ours = query.query_class() == DNSClass::IN && self.origin.zone_of(query.name());
        match (request.metadata.op_code, query.query_type()) {
            (OpCode::Update, _) => {
                let code = self.update(request, signed).await;
                outbox.send(Reply::code(request, code)).await
            }
            (OpCode::Query, _) if !ours => outbox.send(Reply::code(request, ResponseCode::Refused)).await,
            (OpCode::Query, RecordType::AXFR | RecordType::IXFR) => {
                if !signed || *query.name() != self.origin {
                    return outbox.send(Reply::code(request, ResponseCode::Refused)).await;
                }
                transfer::send(&self.store, request, query.query_type(), outbox).await
            }
            (OpCode::Query, _) => {
                let reply = answer::answer(&self.store.zone(), request, query.original());
                outbox.send(reply).await
            }
            _ => outbox.send(Reply::code(request, ResponseCode::NotImp)).await,
        }
    }

    /// RFC 2136, section 3.1, and who may update at all; the store does the rest.
    async fn update(&self, request: &Request, signed: bool) -> ResponseCode {
        let [zone] = request.queries.queries() else { return ResponseCode::FormErr };
        if zone.query_type() != RecordType::SOA {
            return ResponseCode::FormErr;
        }
        if *zone.name() != self.origin || zone.query_class() != DNSClass::IN {
            return ResponseCode::NotAuth;
        }
        let Some(signature) = request.signature.as_ref().filter(|_| signed) else { return ResponseCode::Refused };
        let resendable =
            (request.protocol() == Protocol::Udp).then(|| (request.src().ip(), signature.data.mac.clone()));
        let update =
            Update { prerequisites: request.answers.clone(), updates: request.authorities.clone(), resendable };
        self.store.update(update).await
    }

    /// Says what is wrong with somebody's key, at most once a second: anybody can send such requests.
    fn complain(&self, request: &Request, complaint: &str, now: u64) {
        if self.complained.swap(now, Ordering::Relaxed) != now {
            let key = request.signature.as_ref().map(|record| record.name.to_string()).unwrap_or_default();
            tracing::warn!(client = %request.src(), key, "signature refused: {complaint}");
        }
    }
}
