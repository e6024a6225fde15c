//! Any rules that a configuration can give to a contender.

use arbitrary::{Arbitrary as _, Result, Unstructured};

use crate::round::contender::{Backoff, Delivery, Missed, Rules, Settle};
use crate::round::{Schedule, Seal};
use crate::target::{schedule, seal};

/// The longest lease: of the longest timeout and the margin.
const MOST_LEASE_MS: u64 = 86_405_000;

pub(super) fn any(u: &mut Unstructured<'_>) -> Result<Rules> {
    let seal = if u.ratio(5, 8)? { Seal::none() } else { seal::any(u)? };
    Ok(Rules { seal, ..unsealed(u)? })
}

fn unsealed(u: &mut Unstructured<'_>) -> Result<Rules> {
    let minute = Schedule::every(60).expect("a minute is an interval");
    let schedule = if u.ratio(1, 2)? { minute } else { schedule::schedule(u)?.unwrap_or(minute) };
    if u.ratio(1, 4)? {
        return Ok(Rules { lease_ms: 10_000, renew_ms: Some(5_000), ..Rules::new(schedule) });
    }
    let delivery = if u.ratio(3, 4)? { Delivery::AtLeastOnce } else { Delivery::AtMostOnce };
    let lease_ms =
        if u.ratio(3, 4)? { u.int_in_range(2_000..=60_000)? } else { u.int_in_range(2_000..=MOST_LEASE_MS)? };
    let is_renewed = delivery == Delivery::AtLeastOnce && bool::arbitrary(u)?;
    let backoff_ms = u.int_in_range(0..=3_600_000)?;
    let missed = match u.int_in_range(0..=2)? {
        0 => Missed::RunOnce,
        1 => Missed::Skip,
        _ => Missed::CatchUp { most: u.int_in_range(1..=1000)? },
    };
    let settle = Settle { wait_ms: u.int_in_range(1..=60_000)?, reads: u.int_in_range(1..=5)? };
    Ok(Rules {
        lease_ms,
        renew_ms: is_renewed.then_some(lease_ms / 2),
        delivery,
        missed,
        start_deadline_ms: bool::arbitrary(u)?.then_some(u.int_in_range(1_000..=86_400_000)?),
        settle: u.ratio(1, 4)?.then_some(settle),
        same_module: u.ratio(1, 4)?,
        attempts: if delivery == Delivery::AtMostOnce { 1 } else { u.int_in_range(1..=100)? },
        backoff: Backoff { base_ms: backoff_ms, cap_ms: backoff_ms.max(60_000) },
        spread_ms: if u.ratio(1, 2)? { 50 } else { u.int_in_range(0..=60_000)? },
        reread_ms: u.int_in_range(1_000..=3_600_000)?,
        ..Rules::new(schedule)
    })
}
