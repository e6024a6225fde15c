//! TXT records as text (RFC 1035, section 5.1), both ways: whatever bytes a value has come back as they were.

use super::super::presentation::quoted;

/// The longest string in a TXT record, in bytes (RFC 1035, section 3.3).
const MAX_STRING: usize = 255;

/// The text of the TXT record that holds a value: as few quoted strings as can hold it, each byte that is not printable
/// ASCII as `\DDD`.
pub(super) fn encode(value: &[u8]) -> String {
    if value.is_empty() {
        return quoted(b"");
    }
    value.chunks(MAX_STRING).map(quoted).collect::<Vec<_>>().join(" ")
}

/// The strings of a TXT record from its text; none where it is no such text.
///
/// Strings may stand without quotes, as people write them into a database, and bytes above 127 without an escape.
pub(super) fn decode(text: &str) -> Option<Vec<Vec<u8>>> {
    let mut bytes = text.bytes().peekable();
    let mut strings = Vec::new();
    loop {
        while bytes.next_if(u8::is_ascii_whitespace).is_some() {}
        let Some(first) = bytes.peek() else { break };
        let is_quoted = *first == b'"';
        if is_quoted {
            bytes.next();
        }
        let mut string = Vec::new();
        loop {
            match bytes.next() {
                Some(b'"') if is_quoted => break,
                Some(b'"') => return None,
                Some(b'\\') => string.push(escaped(&mut bytes)?),
                Some(byte) => string.push(byte),
                None if is_quoted => return None,
                None => break,
            }
            if !is_quoted && bytes.peek().is_none_or(u8::is_ascii_whitespace) {
                break;
            }
        }
        if is_quoted && bytes.peek().is_some_and(|next| !next.is_ascii_whitespace()) {
            return None;
        }
        strings.push(string);
    }
    let is_record = !strings.is_empty() && strings.iter().all(|string| string.len() <= MAX_STRING);
    is_record.then_some(strings)
}

/// What stands behind a backslash: three digits of one byte, or any other character itself.
fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let first = bytes.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digits = [first, bytes.next()?, bytes.next()?];
    let text = std::str::from_utf8(&digits).ok()?;
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The text of these strings, as [`encode`] would write each: equal records have equal texts, however they came.
pub(super) fn canonical(strings: &[Vec<u8>]) -> String {
    strings.iter().map(|string| quoted(string)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let every: Vec<u8> = (0..=255).collect();
        for value in [&every[..], b"", b"\"", b"\\", b"\\255", b"a b\tc", &[0xff; 600]] {
            let text = encode(value);
            assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text}");
            let strings = decode(&text).unwrap();
            assert_eq!(strings.concat(), value, "{text}");
            assert_eq!(canonical(&strings), text);
        }
    }

    #[test]
    fn a_long_value_is_split_into_strings_of_255_bytes() {
        let lengths = |bytes: usize| -> Vec<usize> {
            decode(&encode(&vec![b'x'; bytes])).unwrap().iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(0), [0]);
        assert_eq!(lengths(255), [255]);
        assert_eq!(lengths(256), [255, 1]);
        assert_eq!(lengths(700), [255, 255, 190]);
    }

    #[test]
    fn a_string_is_written_as_servers_write_it() {
        assert_eq!(encode(b"{\"id\": \"\xc3\xa4\"}\n"), r#""{\"id\": \"\195\164\"}\010""#);
    }

    #[test]
    fn what_people_write_is_understood() {
        let strings =
            |text: &str| decode(text).map(|strings| strings.iter().map(|s| s.escape_ascii().to_string()).collect());
        let some = |strings: &[&str]| Some(strings.iter().map(|s| (*s).to_owned()).collect::<Vec<String>>());
        assert_eq!(strings("v=spf1 -all"), some(&["v=spf1", "-all"]));
        assert_eq!(strings("  \"a\"\t\"b\" "), some(&["a", "b"]));
        assert_eq!(strings(r#""\a\"\\\100""#), some(&[r#"a\"\\d"#]));
        assert_eq!(strings("\"ä\""), some(&[r"\xc3\xa4"]));
        assert_eq!(strings("\"\""), some(&[""]));
    }

    #[test]
    fn what_is_no_txt_record_is_refused() {
        for text in ["", "  ", "\"", "\"a", "a\"b", "\"a\"b", "\\", "\"\\\"", "\"\\25\"", "\"\\256\"", "\"\\2x5\""] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode(&format!("\"{}\"", "x".repeat(256))), None);
    }
}
