//! Replacing texts in a stream of bytes, wherever the borders of its pieces fall.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// What to look for, and what to put in its place.
pub(in crate::capability) struct Rule {
    pub(super) wanted: Zeroizing<Vec<u8>>,
    /// Or why the stream must not go on.
    pub(super) with: Result<Zeroizing<Vec<u8>>, String>,
}

/// Replaces by rules. It holds back no more than the beginning of what it looks for.
pub(in crate::capability) struct Replacer {
    rules: Arc<[Rule]>,
    /// The bytes that a rule may begin with.
    first: [bool; 256],
    held: Zeroizing<Vec<u8>>,
}

/// What stands at a place.
enum Found<'a> {
    /// This, whole.
    Rule(&'a Rule),
    /// The beginning of something, up to the end of what is known.
    Beginning,
    Nothing,
}

impl Replacer {
    /// Of two rules that fit at one place, the longer one counts.
    pub(super) fn new(mut rules: Vec<Rule>) -> Self {
        rules.retain(|rule| !rule.wanted.is_empty());
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.wanted.len()));
        let mut first = [false; 256];
        for rule in &rules {
            first[usize::from(rule.wanted[0])] = true;
        }
        Self { rules: rules.into(), first, held: Zeroizing::default() }
    }

    /// One that begins anew, by the same rules.
    pub(super) fn again(&self) -> Self {
        Self { rules: Arc::clone(&self.rules), first: self.first, held: Zeroizing::default() }
    }

    /// The next piece; `last` is the end. Gives what is ready of the stream.
    ///
    /// # Errors
    /// Something was found that must not be in it: the reason.
    pub(in crate::capability) fn step(&mut self, piece: &[u8], last: bool) -> Result<Vec<u8>, String> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let mut ready = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            match self.look(&text[at..], last) {
                Found::Rule(rule) => {
                    ready.extend_from_slice(rule.with.as_ref().map_err(Clone::clone)?);
                    at += rule.wanted.len();
                }
                Found::Beginning => break,
                Found::Nothing => {
                    ready.push(text[at]);
                    at += 1;
                }
            }
        }
        self.held = Zeroizing::new(text[at..].to_vec());
        Ok(ready)
    }

    fn look(&self, text: &[u8], last: bool) -> Found<'_> {
        if !self.first[usize::from(text[0])] {
            return Found::Nothing;
        }
        for rule in self.rules.iter() {
            if text.starts_with(&rule.wanted) {
                return Found::Rule(rule);
            }
            if !last && rule.wanted.starts_with(text) {
                return Found::Beginning;
            }
        }
        Found::Nothing
    }
}

impl fmt::Debug for Replacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replacer").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(wanted: &str, with: Result<&str, &str>) -> Rule {
        Rule {
            wanted: Zeroizing::new(wanted.as_bytes().to_vec()),
            with: with.map(|with| Zeroizing::new(with.as_bytes().to_vec())).map_err(str::to_owned),
        }
    }

    fn all(replacer: &Replacer, pieces: &[&[u8]]) -> Result<String, String> {
        let mut replacer = replacer.again();
        let mut ready = Vec::new();
        for piece in pieces {
            ready.extend(replacer.step(piece, false)?);
        }
        ready.extend(replacer.step(&[], true)?);
        Ok(String::from_utf8(ready).unwrap())
    }

    #[test]
    fn it_makes_no_difference_where_the_pieces_end() {
        let replacer = Replacer::new(vec![rule("abab", Ok("<1>")), rule("ababc", Ok("<2>")), rule("b!", Ok("<3>"))]);
        let text = b"xaababcab abab b!abaaba abababab bab";
        let whole = all(&replacer, &[text]).unwrap();
        assert_eq!(whole, "xa<2>ab <1> <3>abaaba <1><1> bab");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(all(&replacer, &pieces).unwrap(), whole, "{first} {second}");
            }
        }
    }

    #[test]
    fn what_must_not_be_there_ends_the_stream() {
        let replacer = Replacer::new(vec![rule("secret", Err("not here"))]);
        assert_eq!(all(&replacer, &[b"a sec", b"ret"]), Err("not here".to_owned()));
        assert_eq!(all(&replacer, &[b"a sec", b"tor"]), Ok("a sector".to_owned()));
        assert!(!format!("{replacer:?}").contains("secret"));
    }
}
