//! The dates and times of day that a cron expression names, on a calendar without time zones.

use croner::parser::{CronParser, Seconds, Year};
use croner::{CronPattern, Weekday, errors::CronError as Refusal};
use jiff::civil::Date;

/// The longest cron expression, in bytes.
pub const MAX_CRON: usize = 256;

/// After so many years the calendar repeats, weekdays and all.
const CYCLE: i16 = 400;

/// One day, in seconds.
const DAY: u32 = 86_400;

/// The fields, the second first, and what each can be.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, `L`, `LW` or `15W`"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 or SUN to SAT, `5L` or `1#2`"),
];

/// Why a cron expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// It is too long.
    #[error("a cron expression of {0} bytes is longer than {MAX_CRON}")]
    TooLong(usize),
    /// It is none.
    #[error("`{expression}` is no cron expression: {problem}")]
    Syntax {
        /// What was written.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It names no date that ever comes, such as February 30.
    #[error("`{0}` never comes: no date in {CYCLE} years is one of its dates")]
    Never(String),
}

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    dates: CronPattern,
    /// One bit an hour, minute, second.
    hours: u64,
    minutes: u64,
    seconds: u64,
    follows_clock: bool,
}

impl Pattern {
    pub(super) fn parse(expression: &str) -> Result<Self, CronError> {
        let expression = expression.trim();
        if expression.len() > MAX_CRON {
            return Err(CronError::TooLong(expression.len()));
        }
        let dates = parser().parse(expression).map_err(|refusal| CronError::Syntax {
            expression: expression.to_owned(),
            problem: problem(expression, &refusal),
        })?;
        let dates = dates.pattern;
        let bits = |values: Vec<u16>| values.into_iter().fold(0, |bits, value| bits | 1_u64 << value);
        let pattern = Self {
            text: expression.to_owned(),
            hours: bits(dates.hours.values()),
            minutes: bits(dates.minutes.values()),
            seconds: bits(dates.seconds.values()),
            follows_clock: [&dates.hours, &dates.minutes, &dates.seconds].iter().any(|field| field.from_wildcard),
            dates,
        };
        let has_times = [pattern.hours, pattern.minutes, pattern.seconds].iter().all(|bits| *bits != 0);
        if !has_times || pattern.date_from(Date::constant(2000, 1, 1)).is_none() {
            return Err(CronError::Never(expression.to_owned()));
        }
        Ok(pattern)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether there is a `*` among seconds, minutes and hours.
    pub(super) fn follows_clock(&self) -> bool {
        self.follows_clock
    }

    /// The first of its dates that is not before `date`; none where there is none in a whole cycle of the calendar.
    pub(super) fn date_from(&self, date: Date) -> Option<Date> {
        let last = date.year().saturating_add(CYCLE);
        let mut date = date;
        while date.year() <= last {
            if !self.has_month(date) {
                date = date.last_of_month().tomorrow().ok()?;
            } else if self.has_date(date) {
                return Some(date);
            } else {
                date = date.tomorrow().ok()?;
            }
        }
        None
    }

    /// The last of its dates that is not after `date`; none where there is none in a whole cycle of the calendar.
    pub(super) fn date_until(&self, date: Date) -> Option<Date> {
        let first = date.year().saturating_sub(CYCLE);
        let mut date = date;
        while date.year() >= first {
            if !self.has_month(date) {
                date = date.first_of_month().yesterday().ok()?;
            } else if self.has_date(date) {
                return Some(date);
            } else {
                date = date.yesterday().ok()?;
            }
        }
        None
    }

    fn has_month(&self, date: Date) -> bool {
        self.dates.month_match(u32::from(date.month().unsigned_abs())).is_ok_and(|has| has)
    }

    fn has_date(&self, date: Date) -> bool {
        let weekday = Weekday::from_days_from_sunday(u32::from(date.weekday().to_sunday_zero_offset().unsigned_abs()));
        let (month, day) = (u32::from(date.month().unsigned_abs()), u32::from(date.day().unsigned_abs()));
        self.dates.day_match(i32::from(date.year()), month, day, weekday).is_ok_and(|has| has)
    }

    /// The first of its times of day that is not before `time`, in seconds since midnight.
    pub(super) fn time_from(&self, time: u32) -> Option<u32> {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = first_from(self.seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = first_from(self.minutes, minute + 1) {
                return Some(hour * 3600 + minute * 60 + first(self.seconds));
            }
        }
        let hour = first_from(self.hours, hour + 1)?;
        Some(hour * 3600 + first(self.minutes) * 60 + first(self.seconds))
    }

    /// The last of its times of day that is not after `time`, in seconds since midnight.
    pub(super) fn time_until(&self, time: u32) -> Option<u32> {
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = last_until(self.seconds, second)
            {
                return Some(hour * 3600 + minute * 60 + second);
            }
            if let Some(minute) = minute.checked_sub(1).and_then(|minute| last_until(self.minutes, minute)) {
                return Some(hour * 3600 + minute * 60 + last(self.seconds));
            }
        }
        let hour = last_until(self.hours, hour.checked_sub(1)?)?;
        Some(hour * 3600 + last(self.minutes) * 60 + last(self.seconds))
    }

    /// The shortest time between two of its times of day, on whatever dates, in seconds.
    pub(super) fn shortest(&self) -> u32 {
        let first_time = self.time_from(0).unwrap_or(0);
        let (mut shortest, mut time) = (DAY, first_time);
        while let Some(next) = self.time_from(time + 1).filter(|_| shortest > 1) {
            shortest = shortest.min(next - time);
            time = next;
        }
        shortest.min(first_time + DAY - time)
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

const fn has(bits: u64, place: u32) -> bool {
    bits >> place & 1 == 1
}

const fn first(bits: u64) -> u32 {
    bits.trailing_zeros()
}

const fn last(bits: u64) -> u32 {
    bits.ilog2()
}

fn first_from(bits: u64, least: u32) -> Option<u32> {
    let rest = bits >> least << least;
    (rest != 0).then(|| first(rest))
}

fn last_until(bits: u64, most: u32) -> Option<u32> {
    let rest = bits & (u64::MAX >> (63 - most));
    (rest != 0).then(|| last(rest))
}

/// What is wrong with an expression, with the field where it is wrong.
fn problem(expression: &str, refusal: &Refusal) -> String {
    if expression.starts_with('@') {
        return "the names are `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly`".to_owned();
    }
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if !matches!(fields.len(), 5 | 6) {
        let count = fields.len();
        return format!(
            "it has {count} field{}, not five (minute, hour, day of the month, month, day of the week) or six, the second first",
            if count == 1 { "" } else { "s" }
        );
    }
    let skipped = FIELDS.len() - fields.len();
    let mut named = fields.iter().zip(&FIELDS[skipped..]).enumerate();
    let wrong = named.find_map(|(index, (field, (name, range)))| {
        let alone: Vec<&str> =
            (0..FIELDS.len()).map(|place| if place == index + skipped { field } else { "*" }).collect();
        let refusal = parser().parse(&alone.join(" ")).err()?;
        Some(format!("the {name} `{field}`: {} (it goes from {range})", in_words(&refusal)))
    });
    wrong.unwrap_or_else(|| in_words(refusal))
}

/// The parser's reason in our words.
fn in_words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::IllegalCharacters(_) => "a character that does not belong there".to_owned(),
        Refusal::ComponentError(text) if text.starts_with("Range out of bounds") => {
            "a range begins with its lower end and keeps within the bounds".to_owned()
        }
        Refusal::ComponentError(text) | Refusal::InvalidPattern(text) => {
            let mut letters = text.trim_end_matches('.').chars();
            letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
        }
        other => other.to_string(),
    }
}
