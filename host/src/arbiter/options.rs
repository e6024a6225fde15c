//! What every arbiter's options have in common: names of one spelling, a record in its zone, times and TTLs within limits.

use std::time::Duration;

use hickory_proto::rr::Name;

/// The largest TTL, in seconds (RFC 2181, section 8).
const MAX_TTL: u32 = 0x7fff_ffff;

/// The longest time-out of an exchange.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);

/// Why options make no arbiter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The record's name is not in the zone.
    #[error("the record `{record}` is not in the zone `{zone}`")]
    OutsideZone {
        /// The record's name.
        record: String,
        /// The zone.
        zone: String,
    },
    /// The record's name is a wildcard, which nobody can ask for.
    #[error("the record `{0}` is a wildcard: name one record")]
    Wildcard(String),
    /// The TTL is none that a record can have.
    #[error("the TTL {0} is too large: a record has at most {MAX_TTL} seconds")]
    Ttl(u32),
    /// The time-out is zero or longer than a minute.
    #[error("the time-out of {} ms is not between 1 ms and {} s", .0.as_millis(), MAX_TIMEOUT.as_secs())]
    Timeout(Duration),
    /// The URL is none that requests can be sent to.
    #[error("`{0}` is no URL of an HTTP API")]
    Url(String),
    /// A claim would be relied on before the last one that may come is written.
    #[error("the settle time of {} ms is shorter than twice the time-out of {} ms", .settle.as_millis(), .timeout.as_millis())]
    Settle {
        /// The settle time.
        settle: Duration,
        /// The time-out.
        timeout: Duration,
    },
}

/// Refuses a TTL or a time-out that is out of range.
pub(super) fn within_limits(ttl: u32, timeout: Duration) -> Result<(), Invalid> {
    if ttl > MAX_TTL {
        return Err(Invalid::Ttl(ttl));
    }
    if timeout < Duration::from_millis(1) || timeout > MAX_TIMEOUT {
        return Err(Invalid::Timeout(timeout));
    }
    Ok(())
}

/// The record's name, absolute, if it is one name in the zone.
pub(super) fn checked(record: &Name, zone: &Name) -> Result<Name, Invalid> {
    let record = absolute(record);
    if !zone.zone_of(&record) {
        return Err(Invalid::OutsideZone { record: bare(&record), zone: bare(zone) });
    }
    if record.is_wildcard() {
        return Err(Invalid::Wildcard(bare(&record)));
    }
    Ok(record)
}

/// A name in lower case, absolute.
pub(super) fn absolute(name: &Name) -> Name {
    let mut name = name.to_lowercase();
    name.set_fqdn(true);
    name
}

/// A name as people write it: without the dot at its end.
pub(super) fn bare(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some(bare) if !bare.is_empty() => bare.to_owned(),
        _ => text,
    }
}
