//! Exit statuses of WASI preview 1: the adapter knows only 0 and 1, so a module is made to call what takes all of them.

use std::ops::Range;

use wasmparser::{BinaryReader, Parser, Payload, Result};

/// What a module calls to exit, and what it is made to call: both take the status as an `i32`.
const BEFORE: (&str, &str) = (super::PREVIEW1, "proc_exit");
const AFTER: (&str, &str) = ("wasi:cli/exit@0.2.12", "exit-with-code");

/// The number of the section of imports (WebAssembly core specification, 5.5.2).
const IMPORTS: u8 = 2;

/// The module with its exits changed; none if there are none.
pub(super) fn with_statuses(module: &[u8]) -> Result<Option<Vec<u8>>> {
    // Where the section before ended, and so this one's number stands.
    let mut before = 8;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ImportSection(section) = &payload {
            let range = section.range();
            let entries: Vec<(usize, bool)> = section
                .clone()
                .into_imports_with_offsets()
                .map(|found| found.map(|(at, import)| (at, (import.module, import.name) == BEFORE)))
                .collect::<Result<_>>()?;
            if !entries.iter().any(|(_, is_exit)| *is_exit) {
                return Ok(None);
            }
            let content = changed(module, &range, &entries)?;
            return Ok(Some([&module[..before], &[IMPORTS], &sized(&content), &module[range.end..]].concat()));
        }
        if let Some((_, range)) = payload.as_section() {
            before = range.end;
        }
    }
    Ok(None)
}

/// The content of the section of imports, with the exits changed.
fn changed(module: &[u8], section: &Range<usize>, entries: &[(usize, bool)]) -> Result<Vec<u8>> {
    let first = entries.first().map_or(section.end, |(at, _)| *at);
    let mut content = module[section.start..first].to_vec();
    for (index, (at, is_exit)) in entries.iter().enumerate() {
        let end = entries.get(index + 1).map_or(section.end, |(next, _)| *next);
        let entry = &module[*at..end];
        if *is_exit {
            let mut names = BinaryReader::new(entry, 0);
            names.read_string()?;
            names.read_string()?;
            content.extend([sized(AFTER.0.as_bytes()), sized(AFTER.1.as_bytes())].concat());
            content.extend(&entry[names.original_position()..]);
        } else {
            content.extend(entry);
        }
    }
    Ok(content)
}

/// Bytes with their length before them (LEB128).
fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut sized = Vec::with_capacity(bytes.len() + 5);
    let mut rest = bytes.len();
    loop {
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        if rest == 0 {
            sized.push(low);
            break;
        }
        sized.push(low | 0x80);
    }
    sized.extend(bytes);
    sized
}
