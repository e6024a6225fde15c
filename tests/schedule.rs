//! Due times against known instants, and against an oracle that looks at every minute of the clock.

use std::collections::BTreeSet;

use croner::Cron;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use soloist::round::{CronError, Schedule};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("the zone is in the database")
}

fn at(time: &str) -> u64 {
    time.parse::<Timestamp>().expect("a time").as_second().unsigned_abs()
}

fn shown(seconds: u64) -> String {
    moment(seconds).to_string()
}

fn moment(seconds: u64) -> Timestamp {
    Timestamp::from_second(seconds.cast_signed()).expect("a time")
}

fn cron(expression: &str, zone_name: &str) -> Schedule {
    Schedule::cron(expression, zone(zone_name)).expect("an expression")
}

/// From `from` on, an expression is due at exactly these times; looked at forwards and backwards.
#[track_caller]
fn due(expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let schedule = cron(expression, zone);
    let mut time = at(from) - 1;
    let mut forwards = Vec::new();
    for _ in expected {
        time = schedule.after(time);
        forwards.push(shown(time));
    }
    assert_eq!(forwards, expected, "`{expression}` in {zone}");
    let mut backwards = Vec::new();
    for _ in expected {
        backwards.push(shown(schedule.at_or_before(time)));
        time = schedule.at_or_before(time) - 1;
    }
    backwards.reverse();
    assert_eq!(backwards, expected, "`{expression}` in {zone}, backwards");
}

#[test]
fn a_fixed_time_that_the_clock_leaves_out_is_due_right_after_the_gap() {
    // In Sofia, 03:00 becomes 04:00 at 01:00 UTC.
    due(
        "30 3 * * *",
        "Europe/Sofia",
        "2026-03-28T00:00:00Z",
        &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    );
    // In New York, 02:00 becomes 03:00 at 07:00 UTC.
    due(
        "30 2 * * *",
        "America/New_York",
        "2026-03-07T00:00:00Z",
        &["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
    );
    // On Lord Howe Island, 02:00 becomes 02:30 at 15:30 UTC of the day before.
    due(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-02T00:00:00Z",
        &["2026-10-02T15:45:00Z", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
    );
    // In São Paulo, midnight became 01:00.
    due(
        "@daily",
        "America/Sao_Paulo",
        "2018-11-03T00:00:00Z",
        &["2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"],
    );
    // In Apia, there was no December 30.
    due(
        "0 9 * * *",
        "Pacific/Apia",
        "2011-12-29T12:00:00Z",
        &["2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"],
    );
}

#[test]
fn several_fixed_times_in_one_gap_are_one_due_time() {
    due(
        "0,30 3 * * *",
        "Europe/Sofia",
        "2026-03-28T00:00:00Z",
        &["2026-03-28T01:00:00Z", "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
    );
    due(
        "0 3,4 * * *",
        "Europe/Sofia",
        "2026-03-28T00:00:00Z",
        &["2026-03-28T01:00:00Z", "2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
    );
}

#[test]
fn a_fixed_time_that_the_clock_shows_twice_is_due_the_first_time() {
    // In Sofia, 04:00 becomes 03:00 at 01:00 UTC.
    due(
        "30 3 * * *",
        "Europe/Sofia",
        "2026-10-24T00:00:00Z",
        &["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    );
    due(
        "0 3,4 * * *",
        "Europe/Sofia",
        "2026-10-25T00:00:00Z",
        &["2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T01:00:00Z"],
    );
    // In New York, 02:00 becomes 01:00 at 06:00 UTC.
    due(
        "30 1 * * *",
        "America/New_York",
        "2026-10-31T00:00:00Z",
        &["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
    );
    // On Lord Howe Island, 02:00 becomes 01:30 at 15:00 UTC of the day before.
    due("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]);
    // Seen from within the repeated hour, before the clock shows that time again.
    let weekly = cron("45 3 * * SUN", "Europe/Sofia");
    assert_eq!(shown(weekly.at_or_before(at("2026-10-25T01:10:00Z"))), "2026-10-25T00:45:00Z");
    assert_eq!(shown(weekly.after(at("2026-10-25T01:10:00Z"))), "2026-11-01T01:45:00Z");
}

#[test]
fn what_follows_the_clock_goes_on_in_real_time_when_the_clock_is_set() {
    for (from, zone) in [
        ("2026-03-28T23:00:00Z", "Europe/Sofia"),
        ("2026-10-24T22:00:00Z", "Europe/Sofia"),
        ("2026-03-08T05:00:00Z", "America/New_York"),
        ("2026-11-01T04:00:00Z", "America/New_York"),
        ("2026-04-04T13:00:00Z", "Australia/Lord_Howe"),
        ("2026-10-03T14:00:00Z", "Australia/Lord_Howe"),
    ] {
        let schedule = cron("*/5 * * * *", zone);
        let mut time = at(from);
        for _ in 0..60 {
            assert_eq!(schedule.after(time), time + 5 * MINUTE, "{zone} after {}", shown(time));
            time += 5 * MINUTE;
            assert_eq!(schedule.at_or_before(time), time);
            assert_eq!(schedule.gap(time), 5 * MINUTE);
        }
    }
}

#[test]
fn what_follows_the_clock_is_due_whenever_the_clock_shows_it() {
    due(
        "*/30 3 * * *",
        "Europe/Sofia",
        "2026-03-28T00:00:00Z",
        &["2026-03-28T01:00:00Z", "2026-03-28T01:30:00Z", "2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"],
    );
    due(
        "*/30 3 * * *",
        "Europe/Sofia",
        "2026-10-25T00:00:00Z",
        &[
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-26T01:00:00Z",
        ],
    );
    // The first half of a repeated hour ends with nothing due for a week: the second half is not passed over.
    due(
        "30,45 * * * SUN",
        "Europe/Sofia",
        "2026-10-25T00:30:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z", "2026-10-25T01:45:00Z"],
    );
    due(
        "*/30 3 * * SUN",
        "Europe/Sofia",
        "2026-10-25T00:30:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-11-01T01:00:00Z"],
    );
}

#[test]
fn a_zone_that_never_sets_its_clock_is_due_every_day_alike() {
    due("0 9 * * *", "Asia/Tokyo", "2026-03-29T00:00:00Z", &["2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"]);
    due("@weekly", "UTC", "2026-03-24T00:00:00Z", &["2026-03-29T00:00:00Z", "2026-04-05T00:00:00Z"]);
    due("@hourly", "Asia/Kolkata", "2026-03-24T00:00:00Z", &["2026-03-24T00:30:00Z", "2026-03-24T01:30:00Z"]);
}

#[test]
fn leap_days_and_last_days_come_when_the_calendar_has_them() {
    due("0 0 29 2 *", "UTC", "2026-11-20T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    due("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]);
    due(
        "0 12 L * *",
        "Europe/Sofia",
        "2027-12-31T12:00:00Z",
        &["2028-01-31T10:00:00Z", "2028-02-29T10:00:00Z", "2028-03-31T09:00:00Z", "2028-04-30T09:00:00Z"],
    );
    due("0 0 31 * *", "UTC", "2026-02-01T00:00:00Z", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]);
    // The last weekday, the weekday nearest to the 15th (a Sunday, a Sunday, a Wednesday), the last Friday, the second Monday.
    due("0 0 LW * *", "UTC", "2026-01-01T00:00:00Z", &["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"]);
    due(
        "0 0 15W * *",
        "UTC",
        "2026-02-01T00:00:00Z",
        &["2026-02-16T00:00:00Z", "2026-03-16T00:00:00Z", "2026-04-15T00:00:00Z"],
    );
    due("0 0 * * 5L", "UTC", "2026-01-01T00:00:00Z", &["2026-01-30T00:00:00Z", "2026-02-27T00:00:00Z"]);
    due("0 0 * * MON#2", "UTC", "2026-01-01T00:00:00Z", &["2026-01-12T00:00:00Z", "2026-02-09T00:00:00Z"]);
}

#[test]
fn either_kind_of_day_will_do_and_a_plus_asks_for_both() {
    due(
        "0 0 13 * FRI",
        "UTC",
        "2026-02-10T00:00:00Z",
        &["2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z", "2026-02-27T00:00:00Z", "2026-03-06T00:00:00Z"],
    );
    due(
        "0 0 13 * +FRI",
        "UTC",
        "2026-02-01T00:00:00Z",
        &["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z", "2026-11-13T00:00:00Z"],
    );
}

#[test]
fn office_hours_wait_for_monday_and_that_wait_is_the_gap() {
    let expression = "*/5 9-17 * * MON-FRI";
    due(
        expression,
        "Europe/Sofia",
        "2026-03-27T15:50:00Z",
        &["2026-03-27T15:50:00Z", "2026-03-27T15:55:00Z", "2026-03-30T06:00:00Z"],
    );
    let schedule = cron(expression, "Europe/Sofia");
    let weekend = at("2026-03-30T06:00:00Z") - at("2026-03-27T15:55:00Z");
    for near in ["2026-03-27T08:00:00Z", "2026-03-27T15:56:00Z", "2026-03-28T12:00:00Z", "2026-03-30T10:00:00Z"] {
        assert_eq!(schedule.gap(at(near)), weekend, "around {near}");
    }
    let night = 15 * HOUR + 5 * MINUTE;
    assert_eq!(schedule.gap(at("2026-03-25T10:00:00Z")), night);
    assert_eq!(schedule.shortest(), 5 * MINUTE);
}

#[test]
fn seconds_come_first_where_there_are_six_fields() {
    due(
        "*/20 30 8 * * *",
        "UTC",
        "2026-01-01T08:30:10Z",
        &["2026-01-01T08:30:20Z", "2026-01-01T08:30:40Z", "2026-01-02T08:30:00Z"],
    );
    due("59 59 23 31 12 *", "UTC", "2026-01-01T00:00:00Z", &["2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"]);
    assert_eq!(cron("* * * * * *", "UTC").shortest(), 1);
    assert_eq!(cron("5,50 * * * * *", "UTC").shortest(), 15);
    assert_eq!(cron("0 0 * * *", "UTC").shortest(), DAY);
}

#[test]
fn what_never_comes_or_is_no_expression_is_refused() {
    for never in ["0 0 30 2 *", "0 0 31 4,6 *", "0 0 31 9 +MON", "0 0 * * L", ", * * * *"] {
        assert!(matches!(Schedule::cron(never, TimeZone::UTC), Err(CronError::Never(_))), "`{never}` never comes");
    }
    for (wrong, part) in [
        ("* * * *", "4 fields"),
        ("", "0 fields"),
        ("0 0 0 1 1 * 2030", "7 fields"),
        ("61 * * * *", "the minute `61`"),
        ("0 61 * * * *", "the minute `61`"),
        ("*/0 * * * *", "the minute `*/0`"),
        ("0 17-9 * * *", "the hour `17-9`"),
        ("0 0 0 * *", "the day of the month `0`"),
        ("0 0 * FOO *", "the month `FOO`"),
        ("0 0 * * 8", "the day of the week `8`"),
        ("0.5 * * * * *", "the second `0.5`"),
        ("@reboot", "`@daily`"),
    ] {
        let error = Schedule::cron(wrong, TimeZone::UTC).expect_err("it is no expression").to_string();
        assert!(error.contains(part), "`{wrong}` is refused because of {part}: {error}");
    }
    let long = format!("{} * * * *", "1,".repeat(200));
    assert!(matches!(Schedule::cron(&long, TimeZone::UTC), Err(CronError::TooLong(_))));
}

/// The due times in a span of seconds, found by looking at every step of the clock and the calendar.
fn oracle(expression: &str, zone: &TimeZone, from: u64, until: u64, step: u64) -> BTreeSet<u64> {
    let parsed: Cron = expression.parse().expect("an expression");
    let names = |time: DateTime| parsed.is_time_matching(&time).expect("a real date");
    let clock: Vec<&str> = expression.split_whitespace().rev().skip(3).collect();
    if clock.iter().any(|field| field.contains('*')) {
        let steps = (from..until).step_by(usize::try_from(step).expect("a step"));
        return steps.filter(|time| names(zone.to_datetime(moment(*time)))).collect();
    }
    // What the clock shows in the span is at most a day of zones, and a skipped day, away from what it shows in UTC.
    let mut time = Offset::UTC.to_datetime(moment(from - 3 * DAY));
    let last = Offset::UTC.to_datetime(moment(until + 3 * DAY));
    let mut due = BTreeSet::new();
    while time < last {
        if names(time) {
            let mut real = time;
            while let AmbiguousOffset::Gap { .. } = zone.to_ambiguous_timestamp(real).offset() {
                real = real.checked_add(SignedDuration::from_secs(60)).expect("a time");
            }
            due.insert(zone.to_ambiguous_timestamp(real).earlier().expect("a time").as_second().unsigned_abs());
        }
        time = time.checked_add(SignedDuration::from_secs(step.cast_signed())).expect("a time");
    }
    due.range(from..until).copied().collect()
}

/// The same, as the schedule has it, forwards and backwards.
fn walked(schedule: &Schedule, from: u64, until: u64) -> BTreeSet<u64> {
    let forwards: BTreeSet<u64> =
        std::iter::successors(Some(schedule.after(from - 1)), |due| Some(schedule.after(*due)))
            .take_while(|due| *due < until)
            .collect();
    let backwards: BTreeSet<u64> =
        std::iter::successors(Some(schedule.at_or_before(until - 1)), |due| Some(schedule.at_or_before(*due - 1)))
            .take_while(|due| *due >= from)
            .collect();
    assert_eq!(forwards, backwards, "{schedule}: forwards and backwards differ");
    forwards
}

#[test]
fn no_zone_has_a_change_of_its_clock_that_loses_or_repeats_a_due_time() {
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let mut changes = 0;
    for name in jiff::tz::db().available() {
        let zone = zone(name.as_str());
        for change in zone.following(moment(from)).map(|change| change.timestamp().as_second().unsigned_abs()) {
            if change >= until {
                break;
            }
            changes += 1;
            let (from, until) = (change - 4 * HOUR, change + 4 * HOUR);
            for expression in ["10,40 * * * *", "0,30 0-23 * * *"] {
                let schedule = Schedule::cron(expression, zone.clone()).expect("an expression");
                let expected = oracle(expression, &zone, from, until, 5 * MINUTE);
                assert_eq!(walked(&schedule, from, until), expected, "{schedule} around {}", shown(change));
            }
        }
    }
    assert!(changes > 100, "the database has zones that set their clocks: {changes} changes");
}

const ZONES: [&str; 10] = [
    "Europe/Sofia",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Tokyo",
    "UTC",
    "Europe/Dublin",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "America/St_Johns",
];

fn expression() -> impl Strategy<Value = String> {
    let minute = prop::sample::select(vec!["0", "30", "*/5", "*/7", "0,15,59", "10-20", "*", "10-50/20"]);
    let hour = prop::sample::select(vec!["*", "0", "1", "2", "3", "1-4", "0-23", "*/2", "23", "2,3", "9-17"]);
    let day = prop::sample::select(vec!["*", "*", "*", "1", "L", "13", "29", "*/2", "15W", "28-31"]);
    let month = prop::sample::select(vec!["*", "*", "*", "3", "MAR-APR", "2", "10,11"]);
    let weekday = prop::sample::select(vec!["*", "*", "*", "MON-FRI", "SUN", "0L", "SUN#2", "+SAT,SUN"]);
    (minute, hour, day, month, weekday)
        .prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"))
        .prop_filter("it never comes", |expression| Schedule::cron(expression, TimeZone::UTC).is_ok())
}

/// A zone, and a time of which every second one is close to a change of its clock.
fn place() -> impl Strategy<Value = (&'static str, u64)> {
    (prop::sample::select(ZONES.to_vec()), any::<bool>(), 946_684_800_u64..2_208_988_800).prop_map(
        |(name, near, time)| {
            let change =
                zone(name).following(moment(time)).next().map(|change| change.timestamp().as_second().unsigned_abs());
            (name, change.filter(|_| near).unwrap_or(time) / 60 * 60)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_due_time_is_lost_or_made_up((name, middle) in place(), expression in expression(), days in 1_u64..4) {
        let schedule = cron(&expression, name);
        let (from, until) = (middle - days * DAY, middle + days * DAY);
        prop_assert_eq!(walked(&schedule, from, until), oracle(&expression, &zone(name), from, until, MINUTE));
    }

    #[test]
    fn every_second_counts((name, middle) in place(), seconds in prop::sample::select(vec!["*/7", "0,59", "*", "30"]), expression in expression()) {
        let expression = format!("{seconds} {expression}");
        let (from, until) = (middle - 1200, middle + 1200);
        let schedule = cron(&expression, name);
        // Fixed times in whole hours of seconds are for the other test: the oracle looks at six days of them.
        if expression.split_whitespace().take(3).any(|field| field.contains('*')) {
            prop_assert_eq!(walked(&schedule, from, until), oracle(&expression, &zone(name), from, until, 1));
        }
    }

    #[test]
    fn the_due_times_around_a_time_are_on_their_sides(
        (name, middle) in place(), expression in expression(), offset in 0..2 * DAY, n in 1_u32..8,
    ) {
        let time = middle - DAY + offset;
        let schedule = cron(&expression, name);
        let (last, next) = (schedule.at_or_before(time), schedule.after(time));
        prop_assert!(last <= time && time < next);
        // `*/5 3 * 3 0L`: in Sofia no clock has shown that hour on the last Sunday of March since 1996.
        prop_assume!(next < u64::MAX);
        prop_assert_eq!(schedule.after(last), next);
        prop_assert_eq!(schedule.at_or_before(next), next);
        prop_assert_eq!(schedule.at_or_before(next - 1), last);
        prop_assert!(schedule.gap(time) >= next - last);
        let mut again = schedule.nth_before(time, n);
        // It is 0 where the epoch comes first.
        for _ in (again > 0).then_some(1..n).into_iter().flatten() {
            again = schedule.after(again);
        }
        prop_assert_eq!(again, last);
    }
}
