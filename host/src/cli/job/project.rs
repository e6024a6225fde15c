//! A project: a folder with a `job.toml`, which says how its module is built.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;

use super::super::output::WithHint as _;
use super::new::Language;
use crate::files;

/// The file that makes a folder a project.
pub(super) const FILE: &str = "job.toml";

/// The largest such file.
const MAX_BYTES: u64 = 64 << 10;

/// The most words of a build command.
const MAX_WORDS: usize = 100;

/// What `job.toml` says, with paths that lead there from the current folder.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder.
    pub(super) folder: PathBuf,
    /// The job's name.
    pub(super) name: String,
    /// What it is written in, where that is known: which tools are looked for.
    pub(super) language: Option<Language>,
    /// The command that builds, run in the folder.
    pub(super) build: Vec<String>,
    /// What that command makes.
    pub(super) output: PathBuf,
    /// Where the module is put.
    pub(super) module: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    language: Option<Language>,
    build: Vec<String>,
    output: PathBuf,
    module: PathBuf,
}

impl Project {
    /// Reads the project in a folder.
    ///
    /// # Errors
    /// There is no `job.toml`, or it does not say what it must.
    pub(super) fn open(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(FILE);
        if !file.exists() {
            return Err(anyhow!("the folder `{}` is no job's project: it has no `{FILE}`", folder.display()))
                .hint("`soloist job new NAME --lang rust` makes a project; or name a module, or a project's folder");
        }
        let place = || format!("the file `{}`", file.display());
        let text = files::read_text(&file, MAX_BYTES).with_context(|| format!("{} cannot be read", place()))?;
        let raw: Raw = toml::from_str(&text)
            .map_err(|error| anyhow!("{} is wrong: {}", place(), error.to_string().trim_end()))
            .hint("it has `name`, `language`, `build`, `output` and `module`, as `soloist job new` writes it")?;
        Self::check(folder, raw).with_context(|| format!("{} is wrong", place()))
    }

    fn check(folder: &Path, raw: Raw) -> anyhow::Result<Self> {
        let Raw { name, language, build, output, module } = raw;
        if name.is_empty() || name.len() > 63 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            bail!("`name` has 1 to 63 letters, digits, `-` and `_`");
        }
        if build.is_empty() || build.len() > MAX_WORDS || build[0].is_empty() {
            bail!("`build` is a command: its program and its arguments, as in [\"make\"]");
        }
        for (key, path) in [("output", &output), ("module", &module)] {
            let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
            if path.file_name().is_none() || !path.components().all(inside) {
                bail!("`{key}` is a file in the project's folder, and `{}` is none", path.display());
            }
        }
        let (output, module) = (folder.join(output), folder.join(module));
        Ok(Self { folder: folder.to_owned(), name, language, build, output, module })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> anyhow::Result<Project> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), text).unwrap();
        Project::open(folder.path())
    }

    fn text(output: &str) -> String {
        format!("name = \"a\"\nlanguage = \"c\"\nbuild = [\"make\"]\noutput = \"{output}\"\nmodule = \"a.wasm\"\n")
    }

    #[test]
    fn a_project_says_how_it_is_built() {
        let project = open(&text("build/a.wasm")).unwrap();
        assert_eq!(project.build, ["make"]);
        assert!(project.output.ends_with("build/a.wasm") && project.module.ends_with("a.wasm"));
    }

    #[test]
    fn what_is_made_lies_in_the_folder() {
        for output in ["/etc/passwd", "../a.wasm", "build/../../a", ".", ""] {
            let error = open(&text(output)).expect_err(output);
            assert!(format!("{error:#}").contains("`output` is a file in the project's folder"), "{error:#}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        for (from, to, said) in [
            ("name = \"a\"\n", "", "missing field `name`"),
            ("[\"make\"]", "[]", "`build` is a command"),
            ("\"c\"", "\"cobol\"", "cobol"),
            ("module", "modul", "modul"),
            ("\"a\"", "\"a/b\"", "`name` has"),
        ] {
            let error = format!("{:#}", open(&text("a").replacen(from, to, 1)).expect_err(said));
            assert!(error.contains(said), "{error}");
        }
    }
}
