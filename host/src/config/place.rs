//! Where in the text of a configuration something stands, for errors about values that were read already.

use toml::de::{DeTable, DeValue};

/// The line, from 1, of a place as errors call it: `[job.canary] lease`, `[arbiter]`. Where there is no such key, the line of the
/// innermost table around it; none where the text has nothing of it.
pub(super) fn line(text: &str, place: &str) -> Option<usize> {
    let (table, keys) = place.split_at(place.rfind(']')? + 1);
    let document = DeTable::parse(text).ok()?;
    // Read as the header that it is: a name within quotes may have dots and brackets.
    let header = DeTable::parse(table).ok()?;
    let (mut there, mut wanted, mut start) = (document.get_ref(), header.get_ref(), None);
    while let Some(name) = wanted.iter().next() {
        let Some((at, value)) = find(there, name.0.get_ref()) else { break };
        start = Some(at);
        let (DeValue::Table(inner), DeValue::Table(next)) = (value, name.1.get_ref()) else { break };
        (there, wanted) = (inner, next);
    }
    // Of several keys, the first that is there.
    let key = keys.split(',').find_map(|key| find(there, key.trim())).filter(|_| wanted.is_empty());
    let start = key.map(|(at, _)| at).or(start)?;
    Some(text.as_bytes()[..start].split(|byte| *byte == b'\n').count())
}

/// Where a key of a table begins, and its value.
fn find<'t, 'd>(table: &'t DeTable<'d>, name: &str) -> Option<(usize, &'t DeValue<'d>)> {
    table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, value)| (key.span().start, value.get_ref()))
}

#[cfg(test)]
mod tests {
    use super::line;

    const TEXT: &str = "# first\n[arbiter]\nkind = \"memory\"\nkey = { name = \"a\" }\n\n[job.\"a.b\"]\nevery = \"1s\"\n\
                        [job.\"a.b\".grants]\ndns-update = [\n  1,\n]\n[job.one]\nconfig.deep = 1\nenv = {}\n";

    #[test]
    fn a_place_has_the_line_of_its_key_or_of_the_table_around_it() {
        for (place, expected) in [
            ("[arbiter] kind", Some(3)),
            ("[arbiter] key", Some(4)),
            ("[arbiter] ttl", Some(2)),
            ("[arbiter]", Some(2)),
            ("[job.\"a.b\"] every", Some(7)),
            ("[job.\"a.b\"] lease", Some(6)),
            ("[job.\"a.b\".grants] dns-update", Some(9)),
            ("[job.\"a.b\".grants] secrets", Some(8)),
            ("[job.one] config", Some(13)),
            ("[job.one] args, env", Some(14)),
            ("[job.one.grants] secrets", Some(12)),
            ("[store] size", None),
            ("the environment variable `SOLOIST_AGENT_NAME`", None),
        ] {
            assert_eq!(line(TEXT, place), expected, "{place}");
        }
    }
}
