//! The targets without the fuzzer: every input that was kept, changes of those and random bytes, the same ones each time.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use soloist_fuzz::target::{ALL, Target};

/// How many random inputs a target gets, and how many changes of its corpus together.
const RANDOM: usize = 1_000;
const CHANGED: usize = 3_000;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs that were kept in a folder, by name; none where there is no such folder.
fn inputs(folder: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join(folder).join(target))
        .map(|entries| entries.map(|entry| entry.expect("the folder can be read").path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("an input can be read"))).collect()
}

/// Feeds an input that may be kept already; if it fails, it is kept among the artifacts, and named.
fn feed((name, run): &Target, input: &[u8], kept: Option<&Path>) {
    if catch_unwind(AssertUnwindSafe(|| run(input))).is_ok() {
        return;
    }
    let unkept = || {
        let folder = root().join("artifacts").join(name);
        fs::create_dir_all(&folder).expect("the artifacts have a folder");
        folder.join("quick")
    };
    let path = kept.map_or_else(unkept, Path::to_owned);
    if kept.is_none() {
        fs::write(&path, input).expect("an input can be kept");
    }
    panic!("the target `{name}` fails with `{}`", path.display());
}

#[test]
fn every_input_that_was_kept_does_no_harm() {
    for target in ALL {
        let (corpus, found) = (inputs("corpus", target.0), inputs("artifacts", target.0));
        assert!(!corpus.is_empty(), "the target `{}` has a corpus", target.0);
        for (path, input) in corpus.iter().chain(&found) {
            feed(target, input, Some(path));
        }
    }
}

#[test]
fn changed_and_random_inputs_do_no_harm() {
    for target in ALL {
        let mut rng = SmallRng::seed_from_u64(1);
        let corpus = inputs("corpus", target.0);
        for round in 0..CHANGED {
            let mut input = corpus[round % corpus.len()].1.clone();
            change(&mut input, &mut rng);
            feed(target, &input, None);
        }
        for _ in 0..RANDOM {
            let length = rng.random_range(0..2048);
            let input: Vec<u8> = (0..length).map(|_| rng.random()).collect();
            feed(target, &input, None);
        }
    }
}

fn change(input: &mut Vec<u8>, rng: &mut SmallRng) {
    for _ in 0..rng.random_range(1..4) {
        let place = rng.random_range(0..=input.len());
        match rng.random_range(0..4) {
            0 => input.truncate(place),
            1 => input.insert(place, rng.random()),
            2 => input.extend((0..rng.random_range(1..64)).map(|_| rng.random::<u8>())),
            _ => {
                if let Some(byte) = input.get_mut(place) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
        }
    }
}

#[test]
fn each_target_is_fed_by_a_program_of_its_name() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let mut programs: Vec<&str> =
        manifest["bin"].as_array().unwrap().iter().map(|program| program["name"].as_str().unwrap()).collect();
    programs.sort_unstable();
    let targets: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(programs, targets);
    for name in targets {
        let program = fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("target::{name}::run(data)")), "{program}");
    }
}

/// Names and versions of the crates in a lock file.
fn locked(path: &Path) -> BTreeMap<String, Vec<String>> {
    let lock: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for found in lock["package"].as_array().unwrap() {
        let text = |key: &str| found[key].as_str().unwrap().to_owned();
        crates.entry(text("name")).or_default().push(text("version"));
    }
    crates
}

#[test]
fn every_crate_has_the_version_that_the_host_has() {
    let host = locked(&root().join("../../Cargo.lock"));
    for (name, versions) in locked(&root().join("Cargo.lock")) {
        let Some(hosts) = host.get(&name) else { continue };
        for version in versions {
            assert!(
                hosts.contains(&version),
                "the host has {name} {}, and the targets {version}: `cargo update --manifest-path tests/fuzz/Cargo.toml -p \
                 {name} --precise {}`",
                hosts.join(" and "),
                hosts[0]
            );
        }
    }
}
