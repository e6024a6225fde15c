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
    let last = Last {
        job: "canary".to_owned(),
        source: "https://example.com/a.wasm".to_owned(),
        digest: Digest::of(b"module").to_string(),
        signature: Some("signed".to_owned()),
        when: SystemTime::UNIX_EPOCH,
    };
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
