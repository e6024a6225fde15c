//! Any bytes as the answer to a query for the record: a refusal, or an observation that an update can be conditioned on.

use std::sync::LazyLock;

use hickory_proto::op::DnsResponse;
use hickory_proto::rr::Name;

use crate::arbiter::rfc2136::Judge;
use crate::arbiter::tsig::{Algorithm, Key};
use crate::round::Revision;

/// The judge of answers about `job.example.test`.
pub(super) static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
    let name = |text: &str| text.parse::<Name>().expect("it is a name");
    let key = Key::new("soloist", Algorithm::HmacSha256, "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "the text");
    Judge::new(name("example.test."), name("job.example.test."), key.expect("it is a key"))
});

/// Judges the bytes as an answer.
pub fn run(data: &[u8]) {
    let Ok(answer) = DnsResponse::from_buffer(data.to_vec()) else { return };
    let Ok(seen) = JUDGE.of_query(&answer, b"the MAC of the query") else { return };
    assert!(answer.authoritative, "only a primary says what stands there");
    assert!(seen.values.is_sorted());
    assert_eq!(seen.revision == Revision::Absent, seen.values.is_empty());
    let update = JUDGE.update(&seen.revision, b"new").expect("what was seen can be expected");
    if !seen.values.is_empty() {
        assert_eq!(update.answers.len(), seen.values.len(), "each record is a prerequisite");
    }
    let _ = seen.record();
}
