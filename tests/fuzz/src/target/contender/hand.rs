//! Hands and rivals at the zone: mostly garbage, and records that are nearly or wholly right.

use arbitrary::{Arbitrary as _, Result, Unstructured};

use super::watch::Watched;
use super::zone::Zone;
use crate::round::contender::Now;
use crate::round::contender::steer::Steer;
use crate::round::{Fence, Form, Outcome, Record, State};
use crate::target::seal;

const KEYS: [&str; 16] =
    ["id", "timer", "timerold", "r", "a", "f", "s", "o", "m", "w", "d", "p", "t", "n", "h", "entryid"];
const VALUES: [&str; 23] = [
    "\"ba9876543210\"",
    "\"run\"",
    "\"once\"",
    "\"retry\"",
    "\"free\"",
    "\"idle\"",
    "\"a\"",
    "\"b\"",
    "\"\"",
    "true",
    "false",
    "null",
    "0",
    "1",
    "2",
    "-1",
    "1e15",
    "1000000",
    "253402300799",
    "18446744073709551615",
    "[]",
    "{}",
    "\"\\u0000\"",
];

/// A hand: garbage, several records, none, an older one, or an operator who steers.
pub(super) fn any(u: &mut Unstructured<'_>, zone: &mut Zone, watched: &mut Watched, now: Now) -> Result<()> {
    let values = match u.int_in_range(0..=7)? {
        0 => zone.older(u)?,
        1 => Vec::new(),
        2 | 3 => return steer(u, zone, watched, now),
        _ => values(u, zone, watched, now)?,
    };
    zone.put(values);
    Ok(())
}

/// What may stand at a name.
pub(super) fn values(u: &mut Unstructured<'_>, zone: &Zone, watched: &mut Watched, now: Now) -> Result<Vec<Vec<u8>>> {
    let count = if u.ratio(3, 4)? { 1 } else { u.int_in_range(0..=3)? };
    (0..count)
        .map(|_| if watched.rules().seal.key_id().is_none() { value(u, now) } else { sealed(u, zone, watched, now) })
        .collect()
}

/// What may stand where records are sealed: by a hand that has the key, another key, or none.
fn sealed(u: &mut Unstructured<'_>, zone: &Zone, watched: &mut Watched, now: Now) -> Result<Vec<u8>> {
    let how = u.int_in_range(0..=7)?;
    if how == 0 {
        // What stands there, with a byte changed.
        let mut value = zone.values().first().cloned().unwrap_or_default();
        if let Some(last) = value.len().checked_sub(1) {
            value[u.int_in_range(0..=last)?] = *u.choose(b"0123456789abAB")?;
        }
        return Ok(value);
    }
    let value = value(u, now)?;
    let Ok(record) = Record::decode(&value) else { return Ok(value) };
    let form = *u.choose(&[Form::Sign, Form::Encrypt])?;
    Ok(match how {
        1 => seal::seal(Some(form), &[seal::FOREIGN], seal::NAME, false).seal(&record),
        2 => seal::seal(Some(form), &[seal::FIRST], seal::OTHER_NAME, false).seal(&record),
        // The signature of another record.
        3 => zone.values().first().map_or_else(Vec::new, |signed| {
            let tail = signed.len().saturating_sub(60);
            [value.strip_suffix(b"}").unwrap_or(&value), &signed[tail..]].concat()
        }),
        4 | 5 => watched.seal(&record),
        6 => watched.vouch(seal::seal(Some(form), &[seal::FIRST], seal::NAME, false).seal(&record), &record),
        _ => value,
    })
}

fn value(u: &mut Unstructured<'_>, now: Now) -> Result<Vec<u8>> {
    if u.ratio(1, 4)? {
        return Ok(<&[u8]>::arbitrary(u)?.to_vec());
    }
    let mut fields =
        vec![format!("\"id\":{}", u.choose(&["\"a\"", "\"b\"", "\"me\""])?), format!("\"timer\":{}", time(u, now)?)];
    for _ in 0..u.int_in_range(0..=6)? {
        let value = if u.ratio(1, 2)? { time(u, now)? } else { (*u.choose(&VALUES)?).to_owned() };
        fields.push(format!("\"{}\":{value}", u.choose(&KEYS)?));
    }
    let mut text = format!("{{{}}}", fields.join(",")).into_bytes();
    if u.ratio(1, 8)? {
        let place = u.int_in_range(0..=text.len() - 1)?;
        text[place] = u8::arbitrary(u)?;
    }
    Ok(text)
}

fn time(u: &mut Unstructured<'_>, now: Now) -> Result<String> {
    let seconds = now.wall_seconds();
    Ok(match u.int_in_range(0..=3)? {
        0 => seconds.saturating_add_signed(i64::from(i8::arbitrary(u)?)),
        1 => seconds.saturating_add_signed(i64::from(i32::arbitrary(u)?)),
        2 => seconds / 60 * 60,
        _ => u64::arbitrary(u)?,
    }
    .to_string())
}

fn steer(u: &mut Unstructured<'_>, zone: &mut Zone, watched: &mut Watched, now: Now) -> Result<()> {
    let steer = match u.int_in_range(0..=3)? {
        0 => Steer::Pause { reason: "why".to_owned() },
        1 => Steer::Resume,
        2 => Steer::Module { wanted: "ba9876543210".to_owned() },
        _ => Steer::Trigger,
    };
    let rules = watched.rules();
    if let Ok(Some(record)) = zone.observe().opened(&rules.seal)
        && let Ok(new) = steer.apply(&record, rules, now)
    {
        let new = rules.seal.numbered(new, 0, now.wall_ms);
        let value = watched.seal(&new);
        assert_eq!(watched.rules().seal.open(&value), Ok(new), "what an operator writes can be read");
        zone.put(vec![value]);
    }
    Ok(())
}

/// Another agent writes its part of a round, by its own clock and rules.
pub(super) fn rival(u: &mut Unstructured<'_>, zone: &mut Zone, watched: &mut Watched, now: Now) -> Result<()> {
    let rules = watched.rules();
    let seen = zone.observe().opened(&rules.seal);
    let mut record = match seen {
        Ok(Some(record)) => record,
        _ if zone.values().is_empty() || u.ratio(1, 4)? => Record::new("b", now.wall_seconds()),
        _ => return Ok(()),
    };
    (*u.choose(&["b", "c", "me"])?).clone_into(&mut record.id);
    record.state = *u.choose(&[State::Idle, State::Running, State::Once, State::Retry, State::Free])?;
    record.timer = now.wall_seconds().saturating_add_signed(i64::from(i16::arbitrary(u)?));
    let due = rules.schedule.at_or_before(now.wall_seconds());
    record.fence = match record.fence {
        Some(fence) if u.ratio(1, 2)? => Some(Fence { attempt: fence.attempt.saturating_add(1), ..fence }),
        _ => Some(Fence { round: due, attempt: u.int_in_range(1..=3)? }),
    };
    let attempts = record.fence.map_or(0, |fence| fence.attempt);
    record.returned = if u.ratio(1, 2)? { record.returned.min(attempts) } else { u.int_in_range(0..=attempts)? };
    record.outcome = u.ratio(1, 2)?.then_some(Outcome::Retry);
    // An agent counts on; a hand that has the key may not.
    let record = if u.ratio(7, 8)? { rules.seal.numbered(record, 0, now.wall_ms) } else { record };
    let value = watched.seal(&record);
    zone.put(vec![value]);
    Ok(())
}
