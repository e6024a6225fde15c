//! The lines that a run writes to the agent's log: marked with job and fence, bounded in number and length.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Level;

use crate::round::Fence;

/// The most lines of one run that are logged.
pub const MAX_LINES: u64 = 1_000;

/// The longest line that is logged, in bytes; a longer one is cut.
pub const MAX_LINE: usize = 8 * 1024;

/// The log of one run.
#[derive(Debug)]
pub struct RunLog {
    job: String,
    fence: Fence,
    lines: AtomicU64,
}

impl RunLog {
    pub(super) const fn new(job: String, fence: Fence) -> Self {
        Self { job, fence, lines: AtomicU64::new(0) }
    }

    /// Logs one line at the target `soloist::job`, unless the run has had its [`MAX_LINES`].
    ///
    /// Control characters are replaced, so that a module cannot forge lines or drive a terminal.
    pub fn line(&self, level: Level, text: &str) {
        // Of 64 bits, so that no run is long enough to wrap it around.
        match self.lines.fetch_add(1, Ordering::Relaxed).cmp(&MAX_LINES) {
            Less => self.emit(level, &clean(text, MAX_LINE)),
            Equal => self.emit(Level::WARN, &format!("the run has logged {MAX_LINES} lines; the rest is dropped")),
            Greater => {}
        }
    }

    fn emit(&self, level: Level, text: &str) {
        let (job, fence) = (self.job.as_str(), tracing::field::display(self.fence));
        // The level of an event is fixed where it stands.
        match level {
            Level::TRACE => tracing::trace!(target: "soloist::job", job, fence, "{text}"),
            Level::DEBUG => tracing::debug!(target: "soloist::job", job, fence, "{text}"),
            Level::INFO => tracing::info!(target: "soloist::job", job, fence, "{text}"),
            Level::WARN => tracing::warn!(target: "soloist::job", job, fence, "{text}"),
            Level::ERROR => tracing::error!(target: "soloist::job", job, fence, "{text}"),
        }
    }
}

/// A text on one line, of at most `most` bytes: white space of any kind becomes a space, other control characters `\u{fffd}`,
/// and a cut is shown by `…`.
pub fn clean(text: &str, most: usize) -> String {
    let mut line = String::with_capacity(text.len().min(most));
    for character in text.trim_end().chars() {
        let shown = match character {
            '\t' | '\n' | '\r' => ' ',
            other if other.is_control() || is_direction(other) => char::REPLACEMENT_CHARACTER,
            other => other,
        };
        if line.len() + shown.len_utf8() + '…'.len_utf8() > most {
            line.push('…');
            break;
        }
        line.push(shown);
    }
    line
}

/// Whether a character changes the direction of the text after it, which can make a line read as another.
const fn is_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_no_control_characters() {
        assert_eq!(clean("a\nb\tc\x1b[31md\0\n", 100), "a b c\u{fffd}[31md\u{fffd}");
        assert_eq!(clean("x\u{202e}y", 100), "x\u{fffd}y");
    }

    #[test]
    fn a_cut_never_splits_a_character_and_keeps_the_bound() {
        for most in 3..40 {
            let line = clean("äöüäöüäöüäöüäöüäöüäöü", most);
            assert!(line.len() <= most, "{most}: {line}");
            assert!(line.ends_with('…'));
        }
        assert_eq!(clean("short", 20), "short");
    }
}
