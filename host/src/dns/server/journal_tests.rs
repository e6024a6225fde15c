use super::*;

/// What a directory's journal holds.
fn read(dir: &Path) -> Result<Vec<(Kind, Vec<u8>)>, ServeError> {
    let mut entries = Vec::new();
    let opened = Journal::open(dir, |kind, payload| {
        entries.push((kind, payload.to_vec()));
        Ok(())
    })?;
    Ok(opened.map(|_| entries).unwrap_or_default())
}

fn payloads(dir: &Path) -> Vec<Vec<u8>> {
    read(dir).unwrap().into_iter().map(|(_, payload)| payload).collect()
}

fn bytes(dir: &Path) -> Vec<u8> {
    fs::read(dir.join(FILE)).unwrap()
}

/// A journal with a snapshot and three changes, and where its entries end.
fn three() -> (tempfile::TempDir, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), b"snapshot").unwrap();
    let mut ends = vec![usize::try_from(journal.end).unwrap()];
    for payload in [b"first".as_slice(), b"second, a bit longer", b"third"] {
        journal.append(payload).unwrap();
        ends.push(usize::try_from(journal.end).unwrap());
    }
    (dir, ends)
}

#[test]
fn a_directory_without_a_journal_has_none() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Journal::open(dir.path(), |_, _| Ok(())).unwrap().is_none());
}

#[test]
fn what_was_written_is_read_in_order() {
    let (dir, _) = three();
    let kinds: Vec<Kind> = read(dir.path()).unwrap().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Snapshot, Kind::Change, Kind::Change, Kind::Change]);
    assert_eq!(payloads(dir.path()), [b"snapshot".as_slice(), b"first", b"second, a bit longer", b"third"]);
}

#[test]
fn a_file_cut_at_any_byte_keeps_every_entry_before_the_cut() {
    let (dir, ends) = three();
    let whole = bytes(dir.path());
    for length in ends[0]..=whole.len() {
        fs::write(dir.path().join(FILE), &whole[..length]).unwrap();
        let complete = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(read(dir.path()).unwrap().len(), complete, "cut at {length}");
        assert_eq!(bytes(dir.path()).len(), ends[complete - 1], "the torn rest is gone");
        // What comes next stands where the torn entry stood.
        let mut journal = Journal::open(dir.path(), |_, _| Ok(())).unwrap().unwrap();
        journal.append(b"next").unwrap();
        assert_eq!(payloads(dir.path()).last().unwrap(), b"next");
    }
}

#[test]
fn zeros_after_the_last_entry_are_a_torn_write() {
    let (dir, ends) = three();
    let mut longer = bytes(dir.path());
    longer.extend([0; 100]);
    fs::write(dir.path().join(FILE), longer).unwrap();
    assert_eq!(payloads(dir.path()).len(), 4);
    assert_eq!(bytes(dir.path()).len(), ends[3]);
}

#[test]
fn a_changed_byte_anywhere_is_damage_at_the_entry_that_holds_it() {
    let (dir, ends) = three();
    let whole = bytes(dir.path());
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x41;
        fs::write(dir.path().join(FILE), &broken).unwrap();
        let start = ends.iter().rev().find(|end| **end <= at).copied();
        let start = start.unwrap_or(if at < MAGIC.len() { 0 } else { MAGIC.len() });
        match read(dir.path()) {
            Err(ServeError::Damaged { path, offset, .. }) => {
                assert_eq!((path, offset), (dir.path().join(FILE), start), "byte {at}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
        assert_eq!(bytes(dir.path()), broken, "a damaged file is left as it is");
    }
}

#[test]
fn an_entry_that_is_missing_or_moved_is_damage() {
    let (dir, ends) = three();
    let whole = bytes(dir.path());
    let without_first = [&whole[..ends[0]], &whole[ends[1]..]].concat();
    fs::write(dir.path().join(FILE), without_first).unwrap();
    assert!(matches!(read(dir.path()), Err(ServeError::Damaged { offset, .. }) if offset == ends[0]));
}

#[test]
fn a_journal_without_its_snapshot_is_damage() {
    let (dir, ends) = three();
    let whole = bytes(dir.path());
    for length in 0..ends[0] {
        fs::write(dir.path().join(FILE), &whole[..length]).unwrap();
        assert!(matches!(read(dir.path()), Err(ServeError::Damaged { .. })), "cut at {length}");
    }
}

#[test]
fn a_compacted_journal_holds_the_snapshot_and_what_came_after() {
    let (dir, _) = three();
    let mut journal = Journal::open(dir.path(), |_, _| Ok(())).unwrap().unwrap();
    journal.compact(b"all of it").unwrap();
    assert_eq!(journal.grown(), 0);
    journal.append(b"later").unwrap();
    assert_eq!(payloads(dir.path()), [b"all of it".as_slice(), b"later"]);
    assert!(!dir.path().join(NEW_FILE).exists());
}

#[test]
fn a_compaction_that_stopped_half_way_changes_nothing() {
    let (dir, _) = three();
    fs::write(dir.path().join(NEW_FILE), b"soloist zo").unwrap();
    assert_eq!(payloads(dir.path()).len(), 4);
    let mut journal = Journal::open(dir.path(), |_, _| Ok(())).unwrap().unwrap();
    journal.compact(b"all of it").unwrap();
    assert_eq!(payloads(dir.path()), [b"all of it"]);
}

#[test]
fn a_compaction_that_fails_leaves_the_journal_as_it_was() {
    let (dir, _) = three();
    let mut journal = Journal::open(dir.path(), |_, _| Ok(())).unwrap().unwrap();
    // A directory in the way of the new file.
    fs::create_dir(dir.path().join(NEW_FILE)).unwrap();
    assert!(journal.compact(b"all of it").is_err());
    journal.append(b"later").unwrap();
    assert_eq!(payloads(dir.path()).last().unwrap(), b"later");
}

#[test]
fn a_reader_that_refuses_an_entry_is_told_where_it_stands() {
    let (dir, ends) = three();
    let refused =
        Journal::open(dir.path(), |_, payload| if payload == b"third" { Err("no".to_owned()) } else { Ok(()) });
    assert!(matches!(refused, Err(ServeError::Damaged { offset, reason, .. }) if offset == ends[2] && reason == "no"));
}
