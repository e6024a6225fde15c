//! `soloist job new`: a small project that builds, runs and is tested, in the language of one's choice.

mod files;
mod language;
mod name;

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};

use super::super::output::{self, WithHint as _};

pub(super) use language::Language;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's name, and the name of the folder that is made here: `price-watch`.
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is to be written in.
    #[arg(long, value_name = "LANGUAGE", value_enum)]
    lang: Language,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let Args { name, lang } = args;
    name::check(name, *lang).map_err(|problem| anyhow!("`{name}` cannot be a job's name: {problem}")).hint(
        "use lower-case letters, digits and single hyphens, as in `price-watch`; the folder is made in the current one",
    )?;
    let folder = Path::new(name);
    make_room(folder)?;
    for (path, text) in files::project(name, *lang) {
        write(&folder.join(path), &text)?;
    }
    output::data(next_steps(name, *lang));
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder; an empty one will do, and nothing else that is there.
fn make_room(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    match fs::create_dir(folder) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("the folder `{shown}` cannot be made")),
    }
    let is_folder = folder.symlink_metadata().is_ok_and(|data| data.is_dir());
    if !is_folder {
        return Err(anyhow!("`{shown}` is there already, and is no folder")).hint("choose another name");
    }
    let mut entries = fs::read_dir(folder).with_context(|| format!("the folder `{shown}` cannot be read"))?;
    if entries.next().is_some() {
        return Err(anyhow!("the folder `{shown}` is there already, and not empty"))
            .hint("choose another name, or remove it");
    }
    Ok(())
}

fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("the file `{}` cannot be written", path.display()))
}

fn next_steps(name: &str, language: Language) -> String {
    let facts = language.facts();
    let mut steps = vec![format!("cd {name}")];
    steps.extend(facts.setup.map(str::to_owned));
    steps.push("soloist job build".to_owned());
    steps.push("soloist job run --config soloist.toml".to_owned());
    steps.push(facts.test.to_owned());
    format!(
        "A job in {} is in `{name}/`: begin at `{}`, or with its README.\n\n    {}",
        facts.title,
        facts.source,
        steps.join("\n    ")
    )
}
