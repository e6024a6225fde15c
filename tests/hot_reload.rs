//! A module that follows a file: each change is one swap, and a bad module never replaces a good one.
#![cfg(unix)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use soloist::module::{Counters, Digest, Unavailable};
use soloist_tests::toy::{Toy, text, until, until_text, until_true};
use tempfile::TempDir;

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("job.wasm");
    (directory, path)
}

/// Puts a complete file in place of another.
fn rename_over(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("a new file");
    fs::rename(new, path).expect("a rename");
}

#[tokio::test]
async fn each_way_to_change_a_file_is_exactly_one_swap() {
    let (directory, path) = directory();
    fs::write(&path, "one").unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "one").await;

    rename_over(&path, "two");
    until_text(&slot, "two").await;

    let mut file = fs::File::create(&path).unwrap();
    for part in ["three", ", written", " in", " place,", " with", " pauses"] {
        file.write_all(part.as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    drop(file);
    until_text(&slot, "three, written in place, with pauses").await;

    fs::remove_file(&path).unwrap();
    fs::write(&path, "four").unwrap();
    until_text(&slot, "four").await;

    let elsewhere = directory.path().join("elsewhere.wasm");
    fs::write(&elsewhere, "five").unwrap();
    symlink(&elsewhere, path.with_extension("link")).unwrap();
    fs::rename(path.with_extension("link"), &path).unwrap();
    until_text(&slot, "five").await;

    // The same size, and the times set back: only what the system keeps by itself tells.
    let modified = fs::metadata(&elsewhere).unwrap().modified().unwrap();
    fs::write(&elsewhere, "nine").unwrap();
    fs::File::options().write(true).open(&elsewhere).unwrap().set_modified(modified).unwrap();
    until_text(&slot, "nine").await;

    let wanted = ["one", "two", "three, written in place, with pauses", "four", "five", "nine"];
    assert_eq!(toy.loaded(), wanted);
    assert_eq!(slot.counters(), Counters { swaps: 6, refusals: 0 });
    let current = slot.current().unwrap();
    assert_eq!((current.digest, current.size), (Digest::of(b"nine"), 4));
}

#[tokio::test]
async fn a_flip_of_a_kubernetes_volume_is_one_swap() {
    let (directory, path) = directory();
    let base = directory.path();
    for (version, text) in [("..1", "one"), ("..2", "two"), ("..3", "three")] {
        fs::create_dir(base.join(version)).unwrap();
        fs::write(base.join(version).join("job.wasm"), text).unwrap();
    }
    symlink("..1", base.join("..data")).unwrap();
    symlink("..data/job.wasm", &path).unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "one").await;
    for (version, text) in [("..2", "two"), ("..3", "three")] {
        symlink(version, base.join("..data_tmp")).unwrap();
        fs::rename(base.join("..data_tmp"), base.join("..data")).unwrap();
        until_text(&slot, text).await;
    }
    // And a change behind the last link is seen as well.
    fs::write(base.join("..3/job.wasm"), "four").unwrap();
    until_text(&slot, "four").await;
    assert_eq!(toy.loaded(), ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn a_bad_module_stays_out_and_the_good_one_stays() {
    let (_directory, path) = directory();
    fs::write(&path, "good").unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "good").await;

    rename_over(&path, "bad one");
    until(&slot, "a refusal", |slot| slot.refusal().is_some()).await;
    let refusal = slot.refusal().unwrap();
    assert_eq!((refusal.digest, refusal.reason.as_str()), (Digest::of(b"bad one"), "`bad one` is no module"));
    assert_eq!(text(&slot).as_deref(), Some("good"));

    // The same one again, as another file: nothing to load. The panic after it shows that it was looked at.
    rename_over(&path, "bad one");
    tokio::time::sleep(Duration::from_millis(300)).await;
    rename_over(&path, "panic");
    until(&slot, "another refusal", |slot| slot.counters().refusals == 2).await;
    assert_eq!(slot.refusal().unwrap().reason, "the loader panicked: told to panic");
    assert_eq!(text(&slot).as_deref(), Some("good"));

    // Back to what is in use: no load, no swap, and no refusal any more.
    rename_over(&path, "good");
    until(&slot, "no refusal", |slot| slot.refusal().is_none()).await;
    rename_over(&path, "better");
    until_text(&slot, "better").await;
    assert_eq!(toy.loaded(), ["good", "bad one", "panic", "better"]);
    assert_eq!(slot.counters(), Counters { swaps: 2, refusals: 2 });
}

#[tokio::test]
async fn a_deleted_file_keeps_the_good_module() {
    let (_directory, path) = directory();
    fs::write(&path, "good").unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "good").await;
    fs::remove_file(&path).unwrap();
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    assert!(matches!(slot.trouble().unwrap().reason, Unavailable::Missing(_)));
    assert_eq!(text(&slot).as_deref(), Some("good"));
    fs::write(&path, "back").unwrap();
    until_text(&slot, "back").await;
    assert_eq!(slot.trouble(), None);
}

#[tokio::test]
async fn a_file_that_appears_later_is_picked_up_even_with_its_directory() {
    let (directory, _) = directory();
    let path = directory.path().join("not/yet/job.wasm");
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    assert!(slot.current().is_none());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "here").unwrap();
    until_text(&slot, "here").await;
    // The directory is watched from now on, and so is the one that takes its place.
    fs::rename(path.parent().unwrap(), directory.path().join("old")).unwrap();
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, "there").unwrap();
    until_text(&slot, "there").await;
    assert_eq!(toy.loaded(), ["here", "there"]);
}

#[tokio::test]
async fn many_quick_swaps_end_on_the_last_one() {
    let (_directory, path) = directory();
    fs::write(&path, "slow start").unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "slow start").await;
    for number in 1..=200 {
        rename_over(&path, &format!("slow {number}"));
        // Sometimes long enough for a swap in between.
        tokio::time::sleep(Duration::from_millis(if number % 50 == 0 { 250 } else { 2 })).await;
    }
    until_text(&slot, "slow 200").await;
    let loaded = toy.loaded();
    assert_eq!(loaded.last().map(String::as_str), Some("slow 200"));
    assert!(loaded.len() < 50, "{loaded:?}");
    assert_eq!(slot.counters().swaps, loaded.len() as u64);
}

#[tokio::test]
async fn a_file_that_is_replaced_all_the_time_is_still_taken() {
    let (_directory, path) = directory();
    fs::write(&path, "start").unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "start").await;
    let restless = path.clone();
    let changes = tokio::spawn(async move {
        for number in 0_u64.. {
            rename_over(&restless, &format!("version {number}"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    until(&slot, "a version", |slot| slot.counters().swaps > 1).await;
    changes.abort();
}

#[tokio::test]
async fn a_run_under_way_keeps_its_module() {
    let (_directory, path) = directory();
    fs::write(&path, "old").unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "old").await;
    let run = slot.current().unwrap();
    rename_over(&path, "new");
    until_text(&slot, "new").await;
    assert_eq!(run.value, "old");
    assert_eq!(Arc::strong_count(&run), 1, "nothing else keeps the old module alive");
}

#[tokio::test]
async fn what_is_too_large_or_no_file_is_not_read() {
    let (_directory, path) = directory();
    fs::create_dir(&path).unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until(&slot, "trouble", |slot| slot.trouble().is_some()).await;
    assert!(matches!(slot.trouble().unwrap().reason, Unavailable::Unreadable { .. }));
    fs::remove_dir(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(soloist::module::MAX_MODULE_BYTES + 1).unwrap();
    let is_too_large = |trouble: Arc<soloist::module::Trouble>| matches!(trouble.reason, Unavailable::TooLarge(_));
    until(&slot, "too large", |slot| slot.trouble().is_some_and(is_too_large)).await;
    assert_eq!(toy.loaded(), Vec::<String>::new());
}

#[tokio::test]
async fn loads_never_overlap_in_a_process() {
    let (directory, _) = directory();
    let toy = Toy::default();
    let slots: Vec<_> = (0..8)
        .map(|number| {
            let path = directory.path().join(format!("{number}.wasm"));
            fs::write(&path, format!("slow {number}")).unwrap();
            toy.slot(path.to_str().unwrap())
        })
        .collect();
    for (number, slot) in slots.iter().enumerate() {
        until_text(slot, &format!("slow {number}")).await;
    }
    assert_eq!((toy.loaded().len(), toy.most_at_once()), (8, 1));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_load_gives_way_to_everything_else() {
    use soloist::module::Slot;
    use soloist_tests::toy::origin;
    let (_directory, path) = directory();
    fs::write(&path, "any").unwrap();
    let nice = || {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        fields.split(' ').nth(16).unwrap().parse::<i32>().unwrap()
    };
    let here = nice();
    let slot = Slot::start(origin(path.to_str().unwrap()), Arc::new(move |_| Ok(nice())), None);
    until_true("a load", || slot.current().is_some()).await;
    assert_eq!(slot.current().unwrap().value, (here + 10).min(19));
    assert_eq!(nice(), here, "only the loading thread is nicer");
}

#[tokio::test]
async fn a_dropped_slot_follows_nothing() {
    let (_directory, path) = directory();
    fs::write(&path, "one").unwrap();
    let toy = Toy::default();
    let slot = toy.slot(path.to_str().unwrap());
    until_text(&slot, "one").await;
    drop(slot);
    until_true("the loader to be let go", || !toy.is_in_use()).await;
    rename_over(&path, "two");
    assert_eq!(toy.loaded(), ["one"]);
}
