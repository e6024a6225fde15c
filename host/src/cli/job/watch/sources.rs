//! The files that a run depends on, and what is in them: outputs of a build are none of them, so that it does not wake itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::super::run::What;

/// The most files that are looked at.
const MAX_FILES: usize = 5_000;

/// The deepest folder that is looked into, below the project's.
const MAX_DEPTH: usize = 16;

/// A larger file is known by its length and its time alone.
const MAX_READ: u64 = 1 << 20;

/// Folders of what was built or fetched, wherever they are.
const MADE: &[&str] = &["__pycache__", "node_modules", "target", "zig-out"];

/// Folders of what was built, right in the project's.
const MADE_AT_THE_TOP: &[&str] = &["bin", "build", "dist", "out"];

/// Files that a build may write beside the sources: which versions it took.
const LOCKS: &[&str] = &["Cargo.lock", "go.sum", "package-lock.json"];

/// Which files are looked at.
#[derive(Debug)]
pub(super) struct Sources {
    /// Files that count wherever they are.
    files: Vec<PathBuf>,
    /// The folder of which all files count, but for what is made.
    folder: Option<PathBuf>,
    /// Files in it that a build makes.
    made: Vec<PathBuf>,
    /// What was read at the last look, so that it is not read again.
    known: BTreeMap<PathBuf, Known>,
}

/// What a file was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    length: u64,
    time: Option<SystemTime>,
    hash: u64,
}

/// What a look has seen. Two are equal where every file has the same contents.
#[derive(Debug)]
pub(super) struct Seen {
    files: BTreeMap<PathBuf, u64>,
    folders: BTreeSet<PathBuf>,
}

impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Seen {
    /// The folders to watch.
    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }
}

impl Sources {
    /// What a run of this depends on, with its configuration.
    pub(super) fn of(what: &What, config: Option<&Path>) -> Self {
        let files = config.map(Path::to_owned).into_iter();
        match what {
            What::File(file) => Self::new(files.chain([file.clone()]).collect(), None, Vec::new()),
            What::Project(project) => {
                let made = vec![project.output.clone(), project.module.clone()];
                Self::new(files.collect(), Some(project.folder.clone()), made)
            }
        }
    }

    fn new(files: Vec<PathBuf>, folder: Option<PathBuf>, made: Vec<PathBuf>) -> Self {
        Self { files, folder, made, known: BTreeMap::new() }
    }

    /// Looks at every file.
    pub(super) fn look(&mut self) -> Seen {
        let mut paths: Vec<(PathBuf, Metadata)> = Vec::new();
        let mut folders = BTreeSet::new();
        for file in &self.files {
            folders.insert(
                file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned(),
            );
            paths.extend(file.metadata().ok().map(|data| (file.clone(), data)));
        }
        if let Some(folder) = &self.folder {
            self.walk(folder, 0, &mut folders, &mut paths);
        }
        let mut known = BTreeMap::new();
        for (path, data) in paths {
            let (length, time) = (data.len(), data.modified().ok());
            let before = self.known.get(&path).filter(|known| known.length == length && known.time == time);
            let hash = before.map_or_else(|| hash(&path, &data), |known| known.hash);
            known.insert(path, Known { length, time, hash });
        }
        self.known = known;
        Seen { files: self.known.iter().map(|(path, known)| (path.clone(), known.hash)).collect(), folders }
    }

    fn walk(&self, folder: &Path, depth: usize, folders: &mut BTreeSet<PathBuf>, paths: &mut Vec<(PathBuf, Metadata)>) {
        folders.insert(folder.to_owned());
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            // A link is not followed: it could lead in a circle.
            let Ok(data) = entry.metadata() else { continue };
            if name.starts_with('.') || name.ends_with('~') || LOCKS.contains(&&*name) || self.made.contains(&path) {
                continue;
            }
            if data.is_dir() {
                let is_made = MADE.contains(&&*name) || depth == 0 && MADE_AT_THE_TOP.contains(&&*name);
                if !is_made && depth < MAX_DEPTH {
                    self.walk(&path, depth + 1, folders, paths);
                }
            } else if data.is_file() && paths.len() < MAX_FILES {
                paths.push((path, data));
            }
        }
    }
}

/// What is in a file: of a large one, how long it is and when it was changed.
fn hash(path: &Path, data: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    match fs::read(path) {
        Ok(bytes) if data.len() <= MAX_READ => bytes.hash(&mut hasher),
        _ => (data.len(), data.modified().ok()).hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Sources) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        for folder in ["src", "build", "target/debug", "node_modules/x", ".git", "src/build"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        fs::write(path.join("src/job.js"), "one").unwrap();
        let made = vec![path.join("a.wasm")];
        (dir, Sources::new(Vec::new(), Some(path), made))
    }

    #[test]
    fn what_a_build_makes_is_no_change() {
        let (dir, mut sources) = folder();
        let before = sources.look();
        for made in ["a.wasm", "build/b", "target/debug/c", "node_modules/x/d", ".git/e", "src/job.js~"] {
            fs::write(dir.path().join(made), "made").unwrap();
        }
        assert_eq!(before, sources.look());
    }

    #[test]
    fn a_file_that_is_saved_made_or_removed_is_a_change() {
        let (dir, mut sources) = folder();
        let mut before = sources.look();
        for (file, text) in [("src/job.js", Some("two")), ("src/build/new.js", Some("")), ("src/job.js", None)] {
            let path = dir.path().join(file);
            match text {
                Some(text) => fs::write(path, text).unwrap(),
                None => fs::remove_file(path).unwrap(),
            }
            let now = sources.look();
            assert_ne!(before, now, "{file}");
            before = now;
        }
    }

    #[test]
    fn a_file_written_anew_with_the_same_text_is_no_change() {
        let (dir, mut sources) = folder();
        let before = sources.look();
        let path = dir.path().join("src/job.js");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "one").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(before, sources.look());
    }

    #[test]
    fn the_folders_of_sources_are_watched_and_no_others() {
        let (dir, mut sources) = folder();
        let seen = sources.look();
        let folders: Vec<_> = seen.folders().map(|path| path.strip_prefix(dir.path()).unwrap().to_owned()).collect();
        assert_eq!(folders, [Path::new(""), Path::new("src"), Path::new("src/build")]);
    }
}
