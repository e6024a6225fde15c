//! `soloist job inspect`: what a module is and needs, before anybody runs it.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output;
use super::{compiler, load};
use crate::capability;
use crate::runtime::{CompileLimits, Engine, Import, Interface, Module, is_wasi};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The module: a component, a core module with WIT, a WASI preview 1 command, or the text of one; a file, `https://…`,
    /// `oci://REGISTRY/NAME:TAG` or `dns:NAME`.
    #[arg(value_name = "MODULE")]
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What an import asks of the host.
enum Needs {
    /// Every job has it.
    Nothing,
    /// A grant: its key and the line to write.
    Grant(&'static str, &'static str),
    /// This host does not have it.
    Unavailable,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let engine = Engine::new()?;
    let module = load(&engine, &args.file, &compiler(CompileLimits::default())?).await?;
    let file = args.file.display().to_string();
    if args.json {
        print_json(&file, &module);
    } else {
        print_text(&file, &module);
    }
    let runs_here = module.imports().iter().all(|import| !matches!(needs(import), Needs::Unavailable));
    Ok(if runs_here { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn needs(import: &Import) -> Needs {
    if !import.callable || is_wasi(&import.interface) {
        return Needs::Nothing;
    }
    match capability::find(&import.interface) {
        None => Needs::Unavailable,
        Some(capability) => capability.grant.map_or(Needs::Nothing, |line| Needs::Grant(capability.name, line)),
    }
}

/// The lines that the job's grants need, each once.
fn grants(module: &Module) -> Vec<(&'static str, &'static str)> {
    let mut grants = Vec::new();
    for import in module.imports() {
        if let Needs::Grant(name, line) = needs(import)
            && !grants.contains(&(name, line))
        {
            grants.push((name, line));
        }
    }
    grants
}

/// What it imports that this host does not have.
pub(super) fn missing(module: &Module) -> impl Iterator<Item = &Interface> {
    let missing = module.imports().iter().filter(|import| matches!(needs(import), Needs::Unavailable));
    missing.map(|import| &import.interface)
}

/// What an author wants to know of a module that was just built. Exits as `job inspect` does.
pub(super) fn summary(file: &str, module: &Module) -> ExitCode {
    field("file", &file);
    field("kind", &module.kind());
    field("size", &format!("{} bytes", module.size()));
    field("digest", &format!("sha256:{}", module.digest()));
    let mut runs_here = true;
    for interface in missing(module) {
        field("missing", &format!("{interface}: not on this host"));
        runs_here = false;
    }
    print_grants(module);
    if runs_here { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn field(name: &str, value: &dyn std::fmt::Display) {
    output::data(format!("{name:<9}{value}"));
}

fn print_grants(module: &Module) {
    let grants = grants(module);
    if grants.is_empty() {
        field("grants", &"none needed");
    }
    for (index, (_, line)) in grants.iter().enumerate() {
        field(if index == 0 { "grants" } else { "" }, line);
    }
}

fn print_text(file: &str, module: &Module) {
    field("file", &file);
    field("kind", &module.kind());
    field("size", &format!("{} bytes", module.size()));
    field("digest", &format!("sha256:{}", module.digest()));
    field("world", &module.kind().world.name());
    if module.imports().is_empty() {
        field("imports", &"nothing");
    }
    for (index, import) in module.imports().iter().enumerate() {
        let note = match needs(import) {
            Needs::Nothing => "every job may".to_owned(),
            Needs::Grant(name, _) => format!("with the grant `{name}`"),
            Needs::Unavailable => "not on this host".to_owned(),
        };
        field(if index == 0 { "imports" } else { "" }, &format!("{:<40} {note}", import.interface.to_string()));
    }
    print_grants(module);
}

fn print_json(file: &str, module: &Module) {
    let imports: Vec<_> = module
        .imports()
        .iter()
        .map(|import| {
            let (grant, available) = match needs(import) {
                Needs::Nothing => (None, true),
                Needs::Grant(name, _) => (Some(name), true),
                Needs::Unavailable => (None, false),
            };
            json!({ "interface": import.interface.to_string(), "grant": grant, "available": available })
        })
        .collect();
    output::data(json!({
        "file": file,
        "kind": module.kind().to_string(),
        "size": module.size(),
        "digest": format!("sha256:{}", module.digest()),
        "world": module.kind().world.name(),
        "imports": imports,
        "grants": grants(module).iter().map(|(name, _)| *name).collect::<Vec<_>>(),
    }));
}
