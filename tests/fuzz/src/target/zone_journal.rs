//! Any bytes as the embedded server's journal: read to the last whole entry, or refused; never something else than was written.

use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary as _, Result, Unstructured};

use super::zone_update::ORIGIN;
use crate::dns::server::{Served, read_journal, write_journal};

/// Reads entries, and a journal that was damaged.
pub fn run(data: &[u8]) {
    let _ = read(&mut Unstructured::new(data));
}

fn read(u: &mut Unstructured<'_>) -> Result<()> {
    match u.int_in_range(0..=3)? {
        0 => {
            let dir = directory();
            fs::write(dir.path().join("zone.journal"), u.bytes(u.len())?).expect("the directory is writable");
            let _ = read_journal(dir.path());
            Ok(())
        }
        1 => damaged(u),
        _ => {
            let _ = Served::restored(&ORIGIN, u.bytes(u.len())?);
            Ok(())
        }
    }
}

/// In memory where there is such a place: a journal is synced to the disk with each entry.
fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("there is room for a directory")
}

fn damaged(u: &mut Unstructured<'_>) -> Result<()> {
    let dir = directory();
    let snapshot: &[u8] = <&[u8]>::arbitrary(u)?;
    let changes: Vec<&[u8]> = (0..u.int_in_range(0..=3)?).map(|_| <&[u8]>::arbitrary(u)).collect::<Result<_>>()?;
    write_journal(dir.path(), snapshot, &changes);
    let written: Vec<(bool, &[u8])> =
        std::iter::once((true, snapshot)).chain(changes.iter().map(|change| (false, *change))).collect();
    let path = dir.path().join("zone.journal");
    let whole = fs::read(&path).expect("it was written");
    let mut bytes = whole.clone();
    let cut = u.int_in_range(0..=bytes.len())?;
    let is_cut = u.ratio(1, 2)?;
    if is_cut {
        bytes.truncate(cut);
    } else if let Some(byte) = bytes.get_mut(cut) {
        *byte ^= u8::arbitrary(u)?;
    }
    if u.ratio(1, 4)? {
        bytes.extend(vec![0; u.int_in_range(0..=64)?]);
    }
    fs::write(&path, &bytes).expect("the directory is writable");
    match read_journal(dir.path()) {
        Ok(Some(read)) => {
            let read: Vec<(bool, &[u8])> = read.iter().map(|(kind, payload)| (*kind, payload.as_slice())).collect();
            assert!(written.starts_with(&read), "what is read was written");
            assert!(bytes != whole || read == written, "nothing is dropped from a whole journal");
            let kept = fs::read(&path).expect("it is there");
            assert!(whole.starts_with(&kept), "what is kept was written");
        }
        Ok(None) => panic!("the journal is there"),
        Err(_) => assert_ne!(bytes, whole, "a whole journal is refused"),
    }
    Ok(())
}
