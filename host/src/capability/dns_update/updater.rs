//! One run's changes to the zone: held against the grant and the jobs' own records, bounded, and sent only while the lease
//! stands.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::rr::RecordType;

use super::grant::Grant;
use crate::arbiter::account::{ChangeError, RrSet};
use crate::arbiter::presentation::{data_from, data_text, is_meta, name_from, name_text, type_from, type_text};
use crate::capability::Services;
use crate::runtime::{Facts, LeaseLost, clean};

/// The most changes of a run.
pub const MAX_CHANGES: usize = 100;
/// The most RRsets of a change.
pub const MAX_RRSETS: usize = 20;
/// The most records of an RRset.
pub const MAX_RECORDS: usize = 100;
/// The most bytes of all data of a change, as text: half of what a message holds.
pub const MAX_BYTES: usize = 32 * 1024;
/// The longest time to live, in seconds: a week.
pub const MAX_TTL: u32 = 604_800;

/// What an RRset is to be, as a job says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The owner's name.
    pub name: String,
    /// The type.
    pub rtype: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// The data of each record, in presentation form; a TXT record's text as it is.
    pub data: Vec<String>,
}

/// Why a change was not made, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The run may no longer act. Nothing was sent.
    #[error(transparent)]
    Lost(#[from] LeaseLost),
    /// It is not granted, is the record of a job, or there is no such account.
    #[error("{0}")]
    Denied(String),
    /// The name, the type or the data is none, or over a limit.
    #[error("{0}")]
    Invalid(String),
    /// The server refused it.
    #[error("{0}")]
    Refused(String),
    /// No answer, or a server error. The change may have been made.
    #[error("{0}")]
    Unavailable(String),
}

/// What a run changes the zone through.
#[derive(Debug)]
pub struct Updater {
    grant: Grant,
    services: Services,
    facts: Arc<Facts>,
    changes: AtomicUsize,
}

impl Updater {
    /// The updater of one run.
    pub const fn new(grant: Grant, services: Services, facts: Arc<Facts>) -> Self {
        Self { grant, services, facts, changes: AtomicUsize::new(0) }
    }

    /// Replaces RRsets, all of them or none. Takes at most a few of the arbiter's time-outs.
    ///
    /// # Errors
    /// It is not allowed, makes no sense, or was refused; or nobody knows whether it was made.
    pub async fn replace(&self, wanted: &[Wanted]) -> Result<(), Error> {
        self.facts.check()?;
        let rrsets = parse(wanted)?;
        let zone = self.services.zone();
        let Some(account) = zone.account else {
            return Err(self.denied(
                "the arbiter of this agent is no zone's: DNS is changed through `kind = \"rfc2136\"` or `\"powerdns\"` in \
                 `[arbiter]`"
                    .to_owned(),
            ));
        };
        for set in &rrsets {
            self.check(set, account.zone(), &zone.records).map_err(|reason| self.denied(reason))?;
        }
        if self.changes.fetch_add(1, Ordering::Relaxed) >= MAX_CHANGES {
            return Err(self.denied(format!("the run has made its {MAX_CHANGES} changes")));
        }
        let facts = Arc::clone(&self.facts);
        let may = move || facts.check().is_ok();
        match account.replace_rrsets(&rrsets, &may).await {
            Ok(()) => Ok(()),
            Err(ChangeError::Withdrawn) => Err(Error::Lost(LeaseLost)),
            Err(ChangeError::Refused(reason)) => Err(Error::Refused(reason)),
            Err(ChangeError::Unavailable(reason)) => Err(Error::Unavailable(reason)),
        }
    }

    fn check(
        &self,
        set: &RrSet,
        zone: &hickory_proto::rr::Name,
        records: &[hickory_proto::rr::Name],
    ) -> Result<(), String> {
        self.grant.check(&self.facts.job, &set.name, set.rtype)?;
        let (name, kind) = (name_text(&set.name), type_text(set.rtype));
        if !zone.zone_of(&set.name) {
            return Err(format!("`{name}` is not in the arbiter's zone `{}`", name_text(zone)));
        }
        if set.name == *zone && matches!(set.rtype, RecordType::NS | RecordType::CNAME | RecordType::DNAME) {
            return Err(format!("{kind} records at `{name}` would take the zone itself away: no job changes them"));
        }
        let takes_all_below = matches!(set.rtype, RecordType::NS | RecordType::DNAME);
        if takes_all_below && let Some(record) = records.iter().find(|record| set.name.zone_of(record)) {
            return Err(format!(
                "{kind} records at `{name}` would take away the record of a job at `{}`, by which agents agree: no job \
                 changes them",
                name_text(record)
            ));
        }
        if records.contains(&set.name) {
            return Err(format!(
                "`{name}` has the record of a job, by which agents agree: nothing at that name is changed"
            ));
        }
        Ok(())
    }

    fn denied(&self, reason: String) -> Error {
        self.services.count_denied(&self.facts.job, "dns-update");
        Error::Denied(reason)
    }
}

/// The RRsets that a job wants, if they make sense together.
fn parse(wanted: &[Wanted]) -> Result<Vec<RrSet>, Error> {
    let invalid = |reason: String| Error::Invalid(reason);
    if wanted.is_empty() || wanted.len() > MAX_RRSETS {
        return Err(invalid(format!("{} RRsets: a change has 1 to {MAX_RRSETS}", wanted.len())));
    }
    let bytes: usize = wanted.iter().flat_map(|set| &set.data).map(String::len).sum();
    if bytes > MAX_BYTES {
        return Err(invalid(format!("{bytes} bytes of data: a change has at most {MAX_BYTES}")));
    }
    let rrsets = wanted.iter().map(|set| rrset(set).map_err(invalid)).collect::<Result<Vec<_>, _>>()?;
    let mut seen = HashSet::new();
    for set in &rrsets {
        let name = name_text(&set.name);
        if !seen.insert((&set.name, set.rtype)) {
            return Err(invalid(format!("the {} records of `{name}` are there twice", type_text(set.rtype))));
        }
        let beside =
            |other: &RrSet| other.name == set.name && other.rtype != RecordType::CNAME && !other.data.is_empty();
        if set.rtype == RecordType::CNAME && !set.data.is_empty() && rrsets.iter().any(beside) {
            return Err(invalid(format!("`{name}` cannot be an alias (CNAME) and have other records, too")));
        }
    }
    Ok(rrsets)
}

fn rrset(wanted: &Wanted) -> Result<RrSet, String> {
    let name = name_from(&wanted.name)?;
    let rtype = type_from(&wanted.rtype)
        .filter(|rtype| !is_meta(*rtype))
        .ok_or_else(|| format!("`{}` is no type of records", clean(&wanted.rtype, 40)))?;
    let place = || format!("the {} records of `{}`", type_text(rtype), name_text(&name));
    if wanted.data.len() > MAX_RECORDS {
        return Err(format!("{}: {} of them are more than {MAX_RECORDS}", place(), wanted.data.len()));
    }
    if wanted.ttl > MAX_TTL {
        return Err(format!("{}: a TTL of {} s is longer than {MAX_TTL}", place(), wanted.ttl));
    }
    let mut data = Vec::new();
    let mut seen = HashSet::new();
    for text in &wanted.data {
        let read = data_from(rtype, text).map_err(|reason| format!("{}: {reason}", place()))?;
        // One record that is said twice is one record (RFC 2181, section 5).
        if seen.insert(data_text(&read)) {
            data.push(read);
        }
    }
    if matches!(rtype, RecordType::CNAME | RecordType::DNAME) && data.len() > 1 {
        return Err(format!("{}: there can be one only", place()));
    }
    Ok(RrSet { name, rtype, ttl: wanted.ttl, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, rtype: &str, data: &[&str]) -> Wanted {
        let data = data.iter().map(|text| (*text).to_owned()).collect();
        Wanted { name: name.to_owned(), rtype: rtype.to_owned(), ttl: 60, data }
    }

    #[test]
    fn a_change_is_read_and_said_once() {
        let sets = parse(&[
            wanted("WWW.example.com", "a", &["192.0.2.1", "192.0.2.1", "192.0.2.2"]),
            wanted("old.example.com", "CNAME", &["www.example.com"]),
            wanted("old.example.com", "A", &[]),
        ])
        .unwrap();
        assert_eq!(name_text(&sets[0].name), "www.example.com");
        assert_eq!(sets[0].data.iter().map(data_text).collect::<Vec<_>>(), ["192.0.2.1", "192.0.2.2"]);
        assert!(sets[2].data.is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let www = |rtype: &str, data: &[&str]| wanted("www.example.com", rtype, data);
        let many: Vec<String> = (0..=MAX_RECORDS).map(|index| format!("192.0.2.{index}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let long = "x".repeat(4000);
        let mut eternal = www("A", &["192.0.2.1"]);
        eternal.ttl = u32::MAX;
        for (sets, word) in [
            (vec![], "0 RRsets"),
            (vec![www("A", &[]); MAX_RRSETS + 1], "21 RRsets"),
            (vec![www("A", &["192.0.2.1"]), www("A", &[])], "twice"),
            (vec![www("A", &["192.0.2.1"]), www("CNAME", &["a.example.com"])], "alias"),
            (vec![www("CNAME", &["a.example.com", "b.example.com"])], "one only"),
            (vec![www("DNAME", &["a.example.com", "b.example.com"])], "one only"),
            (vec![www("A", &["x"])], "no IPv4 address"),
            (vec![www("A", &many)], "more than 100"),
            (vec![www("ANY", &[])], "`ANY` is no type"),
            (vec![wanted("a..b", "A", &[])], "`a..b`"),
            (vec![eternal], "a TTL of"),
            (vec![www("TXT", &[long.as_str(); 9])], "bytes of data"),
        ] {
            let error = parse(&sets).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
