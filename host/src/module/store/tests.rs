use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;

const TARGET: &str = "0123456789abcdef";

fn store() -> (TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&home.path().join("store"), DEFAULT_SIZE).unwrap();
    (home, store)
}

fn files(store: &Store, folder: &str) -> Vec<PathBuf> {
    fs::read_dir(store.path().join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn last(source: &str, module: &[u8]) -> Last {
    Last {
        job: "canary".to_owned(),
        source: source.to_owned(),
        digest: Digest::of(module).to_string(),
        signature: Some("signed".to_owned()),
        when: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn what_is_kept_is_there_for_the_next_process() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    assert!(store.keep_module(digest, b"module").is_some());
    store.keep_compiled(digest, TARGET, &[b"co", b"de"]);
    let next = Store::open(store.path(), DEFAULT_SIZE).unwrap();
    assert_eq!(next.module(digest).as_deref(), Some(b"module".as_slice()));
    assert_eq!(next.compiled(digest, TARGET).as_deref(), Some(b"code".as_slice()));
    assert_eq!(next.compiled(digest, "another"), None);
    assert_eq!(next.compiled(Digest::of(b"other"), TARGET), None);
}

#[test]
fn it_is_for_this_user_alone() {
    let (_home, store) = store();
    store.keep_module(Digest::of(b"module"), b"module");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.path()), 0o700);
    assert_eq!(mode(&store.path().join("modules")), 0o700);
    assert_eq!(mode(&store.path().join("key")), 0o600);
    assert_eq!(mode(&files(&store, "modules")[0]), 0o600);
}

#[test]
fn damaged_and_forged_entries_are_removed() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    store.keep_module(digest, b"module");
    fs::write(&files(&store, "modules")[0], b"nodule").unwrap();
    assert_eq!(store.module(digest), None);
    assert!(files(&store, "modules").is_empty());

    let change = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        store.keep_compiled(digest, TARGET, &[b"code"]);
        let path = files(&store, "compiled").remove(0);
        fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
        assert_eq!(store.compiled(digest, TARGET), None);
        assert!(files(&store, "compiled").is_empty());
    };
    change(&|mut bytes| {
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    });
    change(&|bytes| bytes[..bytes.len() - 1].to_vec());
    change(&|bytes| bytes[..20].to_vec());
    change(&|_| Vec::new());
    // Machine code as it is, without a MAC; and with one that was made for another module.
    change(&|_| b"\x7fELF and so on".to_vec());
    let other = Digest::of(b"other");
    change(&|_| {
        [store.0.key.seal(Context::Compiled { digest: &other, target: TARGET }, &[b"code"]), b"code".into()].concat()
    });
}

#[test]
fn an_entry_that_was_moved_to_another_place_is_not_taken() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    store.keep_compiled(digest, TARGET, &[b"code"]);
    let there = store.compiled_path(digest, "fedcba9876543210");
    fs::copy(store.compiled_path(digest, TARGET), &there).unwrap();
    assert_eq!(store.compiled(digest, "fedcba9876543210"), None, "code for another engine");
    assert!(!there.exists());

    let last = last("https://example.com/a.wasm", b"module");
    store.set_last("canary", "a", &last);
    let note = files(&store, "last").remove(0);
    store.set_last("other", "a", &last);
    let other = files(&store, "last").into_iter().find(|path| *path != note).unwrap();
    fs::copy(&note, &other).unwrap();
    assert_eq!(store.last("other", "a"), None, "the note of another job");
    assert_eq!(store.last("canary", "a"), Some(last));
}

#[test]
fn a_module_that_was_cut_off_is_written_again() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    drop(store.keep_module(digest, b"module"));
    fs::write(store.module_path(digest), b"mod").unwrap();
    assert!(store.keep_module(digest, b"module").is_some());
    assert_eq!(store.module(digest).as_deref(), Some(b"module".as_slice()));
}

#[test]
fn another_stores_code_is_not_taken() {
    let (_home, store) = store();
    let (_elsewhere, other) = self::store();
    let digest = Digest::of(b"module");
    other.keep_compiled(digest, TARGET, &[b"code"]);
    let path = files(&other, "compiled").remove(0);
    fs::copy(&path, store.path().join("compiled").join(path.file_name().unwrap())).unwrap();
    assert_eq!(store.compiled(digest, TARGET), None);
    assert_eq!(other.compiled(digest, TARGET).as_deref(), Some(b"code".as_slice()));
}

#[test]
fn a_key_that_others_may_read_is_replaced() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    store.keep_compiled(digest, TARGET, &[b"code"]);
    let key = store.path().join("key");
    let before = fs::read(&key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let next = Store::open(store.path(), DEFAULT_SIZE).unwrap();
    assert_ne!(fs::read(&key).unwrap(), before);
    assert_eq!(next.compiled(digest, TARGET), None);
}

#[test]
fn a_key_that_is_cut_off_is_replaced() {
    let (_home, store) = store();
    let key = store.path().join("key");
    for damaged in [b"".as_slice(), &[0; 31], &[0; 33]] {
        fs::write(&key, damaged).unwrap();
        Store::open(store.path(), DEFAULT_SIZE).unwrap();
        let made = fs::read(&key).unwrap();
        assert!(made.len() == 32 && !made.starts_with(&[0; 31]), "{made:?}");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_not_taken() {
    let (_home, store) = store();
    let key = store.path().join("key");
    // Only root may give something away. For everybody else, what is root's is somebody else's.
    let (folder, key) = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&key, Some(65534), None).unwrap();
        let before = fs::read(&key).unwrap();
        Store::open(store.path(), DEFAULT_SIZE).unwrap();
        assert_ne!(fs::read(&key).unwrap(), before);
        std::os::unix::fs::chown(&key, Some(65534), None).unwrap();
        std::os::unix::fs::chown(store.path(), Some(65534), None).unwrap();
        (store.path().to_owned(), key)
    } else {
        ("/usr".into(), "/etc/passwd".into())
    };
    assert!(!key::is_private(&key).unwrap());
    let error = Store::open(&folder, DEFAULT_SIZE).unwrap_err();
    assert!(error.to_string().contains("belongs to another user"), "{error}");
}

#[test]
fn an_entry_is_read_up_to_its_limit() {
    let (home, _) = store();
    let path = home.path().join("entry");
    assert_eq!(entry::read(&path, 4).unwrap(), None);
    fs::write(&path, "four").unwrap();
    assert_eq!(entry::read(&path, 4).unwrap().as_deref(), Some(b"four".as_slice()));
    assert!(entry::read(&path, 3).is_err());
}

#[test]
fn what_was_begun_long_ago_and_never_finished_is_removed() {
    let (_home, store) = store();
    let begun = |name: &str, hours: u64| {
        let path = store.path().join("tmp").join(name);
        fs::write(&path, "half").unwrap();
        entry::touch(&path, SystemTime::now() - Duration::from_hours(hours));
        path
    };
    let (old, new) = (begun("old", 2), begun("new", 0));
    Store::open(store.path(), DEFAULT_SIZE).unwrap();
    assert_eq!((old.exists(), new.exists()), (false, true));
}

#[test]
fn the_oldest_notes_of_jobs_go_first() {
    let (_home, store) = store();
    let most = evict::MAX_LAST;
    for number in 0..most + 3 {
        let path = store.path().join("last").join(number.to_string());
        fs::write(&path, "").unwrap();
        entry::touch(&path, SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64));
    }
    store.evict();
    let there = |number: usize| store.path().join("last").join(number.to_string()).exists();
    assert_eq!(files(&store, "last").len(), most);
    assert_eq!([0, 2, 3, most + 2].map(there), [false, false, true, true]);
}

#[test]
fn whatever_uses_an_entry_makes_it_newer() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    drop(store.keep_module(digest, b"module"));
    store.keep_compiled(digest, TARGET, &[b"code"]);
    let (module, compiled) = (store.module_path(digest), store.compiled_path(digest, TARGET));
    let is_newer_by = |path: &Path, used: &dyn Fn()| {
        entry::touch(path, SystemTime::UNIX_EPOCH);
        used();
        fs::metadata(path).unwrap().modified().unwrap() > SystemTime::UNIX_EPOCH
    };
    assert!(is_newer_by(&module, &|| _ = store.module(digest)), "read");
    assert!(is_newer_by(&module, &|| _ = store.keep_module(digest, b"module")), "kept again");
    assert!(is_newer_by(&compiled, &|| _ = store.compiled(digest, TARGET)), "read");
}

#[test]
fn machine_code_counts_and_makes_room_for_itself() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), 2500).unwrap();
    let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
    store.keep_compiled(old, TARGET, &[&[0; 2000]]);
    entry::touch(&store.compiled_path(old, TARGET), SystemTime::UNIX_EPOCH);
    store.keep_compiled(new, TARGET, &[&[0; 2000]]);
    assert!(!store.compiled_path(old, TARGET).exists() && store.compiled_path(new, TARGET).exists());
}

#[test]
fn a_module_larger_than_the_store_is_kept_while_it_is_held() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), 100).unwrap();
    let bytes = [0; 200];
    let held = store.keep_module(Digest::of(&bytes), &bytes);
    assert!(held.is_some() && store.module(Digest::of(&bytes)).is_some());
}

#[test]
fn what_is_being_removed_is_written_anew_and_not_in_its_place() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    drop(store.keep_module(digest, b"module"));
    let path = store.module_path(digest);
    // As another process does that evicts it.
    let removing = File::open(&path).unwrap();
    assert!(evict::is_free(&removing, &path));
    let keeping = std::thread::spawn({
        let store = store.clone();
        move || store.keep_module(digest, b"module")
    });
    std::thread::sleep(Duration::from_millis(100));
    fs::remove_file(&path).unwrap();
    drop(removing);
    let held = keeping.join().unwrap();
    assert!(held.is_some() && path.exists(), "{held:?}");
}

#[test]
fn what_was_replaced_meanwhile_is_not_evicted() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    drop(store.keep_module(digest, b"module"));
    let path = store.module_path(digest);
    let opened = File::open(&path).unwrap();
    assert!(evict::is_free(&opened, &path));
    drop(opened);
    let opened = File::open(&path).unwrap();
    entry::write(store.path(), &path, &[b"module"]).unwrap();
    let held = store.keep_module(digest, b"module");
    assert!(held.is_some() && !evict::is_free(&opened, &path));
}

#[test]
fn a_file_that_was_replaced_is_not_the_one_that_was_opened() {
    let home = tempfile::tempdir().unwrap();
    let (path, new) = (home.path().join("a"), home.path().join("b"));
    fs::write(&path, "same").unwrap();
    fs::write(&new, "same").unwrap();
    let opened = File::open(&path).unwrap();
    assert!(entry::is_same(&opened, &path));
    fs::rename(&new, &path).unwrap();
    assert!(!entry::is_same(&opened, &path));
    fs::remove_file(&path).unwrap();
    assert!(!entry::is_same(&opened, &path));
}

#[test]
fn what_was_used_least_lately_goes_first_and_what_is_in_use_stays() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), 2500).unwrap();
    let bytes: Vec<Vec<u8>> = (0..4).map(|number| vec![number; 1000]).collect();
    let digest = |number: usize| Digest::of(&bytes[number]);
    let age = |number: usize, seconds: u64| {
        entry::touch(&store.module_path(digest(number)), SystemTime::now() - Duration::from_secs(seconds));
    };
    let held = store.keep_module(digest(0), &bytes[0]).unwrap();
    age(0, 300);
    drop(store.keep_module(digest(1), &bytes[1]));
    age(1, 200);
    drop(store.keep_module(digest(2), &bytes[2]));
    assert!(store.module_path(digest(0)).exists(), "it is in use");
    assert!(!store.module_path(digest(1)).exists(), "it was used before the newest one");
    age(2, 100);
    drop(held);
    // Used again: the next one to go is another.
    assert!(store.module(digest(0)).is_some());
    drop(store.keep_module(digest(3), &bytes[3]));
    let there = |number| store.module_path(digest(number)).exists();
    assert_eq!([0, 1, 2, 3].map(there), [true, false, false, true]);
}

#[test]
fn machine_code_of_a_module_in_use_stays() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path(), 100).unwrap();
    let digest = Digest::of(b"module");
    let held = store.keep_module(digest, b"module").unwrap();
    store.keep_compiled(digest, TARGET, &[&[0; 200]]);
    assert!(store.compiled(digest, TARGET).is_some());
    // Another process sees that it is in use, too.
    Store::open(home.path(), 100).unwrap().evict();
    assert!(store.compiled(digest, TARGET).is_some());
    drop(held);
    store.evict();
    assert!(store.compiled(digest, TARGET).is_none());
}

#[test]
fn the_last_module_of_a_job_is_known_by_job_and_source() {
    let (_home, store) = store();
    let last = last("https://example.com/a.wasm", b"module");
    store.set_last("canary", "https://example.com/a.wasm?token=hush", &last);
    assert_eq!(store.last("canary", "https://example.com/a.wasm?token=hush").as_ref(), Some(&last));
    assert_eq!(store.last("canary", "https://example.com/b.wasm"), None);
    assert_eq!(store.last("other", "https://example.com/a.wasm?token=hush"), None);
    let path = files(&store, "last").remove(0);
    let text = fs::read(&path).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("hush"));
    fs::write(&path, [&text, b" ".as_slice()].concat()).unwrap();
    assert_eq!(store.last("canary", "https://example.com/a.wasm?token=hush"), None);
    assert!(!path.exists());
}

#[test]
fn a_folder_that_cannot_be_written_costs_what_would_be_kept() {
    let (_home, store) = store();
    let digest = Digest::of(b"module");
    fs::remove_dir_all(store.path()).unwrap();
    assert!(store.keep_module(digest, b"module").is_none());
    store.keep_compiled(digest, TARGET, &[b"code"]);
    assert_eq!(store.compiled(digest, TARGET), None);
    assert_ne!(store.0.failing.load(Ordering::Relaxed), 0);
    // Once it works again, the next trouble is news.
    Store::open(store.path(), DEFAULT_SIZE).unwrap();
    assert!(store.keep_module(digest, b"module").is_some());
    store.keep_compiled(digest, TARGET, &[b"code"]);
    assert_eq!(store.0.failing.load(Ordering::Relaxed), 0);
    assert!(Store::open(Path::new("/proc/none/such"), DEFAULT_SIZE).is_err());
}

#[test]
fn many_at_once_agree_on_one_key() {
    let home = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"module");
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let root = home.path().to_owned();
            std::thread::spawn(move || {
                let store = Store::open(&root, DEFAULT_SIZE).unwrap();
                store.keep_compiled(digest, TARGET, &[b"code"]);
                assert!(store.keep_module(digest, b"module").is_some());
                store
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap().compiled(digest, TARGET).as_deref(), Some(b"code".as_slice()));
    }
}
