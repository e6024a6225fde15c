//! The WIT package: it parses, the host has all of it, and every item is documented.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use soloist::capability::{self, Capability};
use soloist::runtime::Interface;
use wit_parser::{Docs, PackageId, Resolve, TypeDefKind, WorldItem, WorldKey};

/// The interface of types alone.
const TYPES: &str = "types";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
}

fn package() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder()).unwrap_or_else(|error| panic!("{error:#}"));
    (resolve, package)
}

/// The interfaces that there is something to call in, by their full names.
fn callable(resolve: &Resolve, package: PackageId) -> Vec<(String, Interface)> {
    let names = resolve.packages[package].interfaces.keys().filter(|name| *name != TYPES);
    names.map(|name| (name.clone(), Interface::new(resolve.packages[package].name.interface_id(name)))).collect()
}

fn found(interface: &Interface) -> &'static Capability {
    capability::find(interface).unwrap_or_else(|| panic!("no capability of this host gives `{interface}`"))
}

#[test]
fn the_host_has_every_interface_and_a_grant_is_named_as_its_interface() {
    let (resolve, package) = package();
    let all = callable(&resolve, package);
    assert!(all.len() >= 11, "{all:?}");
    for (name, interface) in &all {
        let capability = found(interface);
        assert_eq!(capability.name, name);
        if let Some(line) = capability.grant {
            assert!(line.starts_with(&format!("{name} = ")), "{line}");
        }
    }
    // And nothing of this package beside: what a host has, a guest can see.
    let written: BTreeSet<String> = all.iter().map(|(_, interface)| interface.to_string()).collect();
    let has = capability::TABLE.iter().flat_map(|capability| capability.interfaces);
    let has: BTreeSet<String> =
        has.filter(|name| name.starts_with("soloist:job/")).map(|name| (*name).to_owned()).collect();
    assert_eq!(has, written);
}

#[test]
fn the_world_of_a_job_imports_all_of_it_and_the_base_nothing_to_call() {
    let (resolve, package) = package();
    let imports = |world: &str| -> BTreeSet<String> {
        let id = resolve.select_world(&[package], Some(world)).unwrap_or_else(|error| panic!("{error:#}"));
        let interfaces = resolve.worlds[id].imports.iter().filter_map(|(key, item)| match (key, item) {
            (WorldKey::Interface(id), WorldItem::Interface { .. }) => resolve.interfaces[*id].name.clone(),
            _ => None,
        });
        interfaces.filter(|name| name != TYPES).collect()
    };
    assert_eq!(imports("base"), BTreeSet::new());
    assert_eq!(imports("job"), callable(&resolve, package).into_iter().map(|(name, _)| name).collect());
}

#[test]
fn every_item_is_documented() {
    let (resolve, package) = package();
    let mut bare = Vec::new();
    let mut look = |place: String, docs: &Docs| {
        if docs.contents.as_deref().is_none_or(|text| text.trim().len() < 8) {
            bare.push(place);
        }
    };
    let package = &resolve.packages[package];
    look("the package".to_owned(), &package.docs);
    for (name, id) in &package.worlds {
        look(format!("world {name}"), &resolve.worlds[*id].docs);
        for item in resolve.worlds[*id].exports.values() {
            if let WorldItem::Function(function) = item {
                look(format!("{name}.{}", function.name), &function.docs);
            }
        }
    }
    for (name, id) in &package.interfaces {
        let interface = &resolve.interfaces[*id];
        look(format!("interface {name}"), &interface.docs);
        for function in interface.functions.values() {
            look(format!("{name}.{}", function.name), &function.docs);
        }
        for (kind, id) in &interface.types {
            let place = |part: &str| format!("{name}.{kind}.{part}");
            look(format!("{name}.{kind}"), &resolve.types[*id].docs);
            match &resolve.types[*id].kind {
                TypeDefKind::Record(record) => record.fields.iter().for_each(|f| look(place(&f.name), &f.docs)),
                TypeDefKind::Variant(variant) => {
                    variant.cases.iter().for_each(|case| look(place(&case.name), &case.docs));
                }
                TypeDefKind::Enum(cases) => cases.cases.iter().for_each(|case| look(place(&case.name), &case.docs)),
                _ => {}
            }
        }
    }
    assert!(bare.is_empty(), "without documentation: {bare:?}");
}

#[test]
fn what_needs_a_grant_says_so_where_it_is_documented() {
    let (resolve, package) = package();
    let readme = std::fs::read_to_string(folder().join("README.md")).expect("it is there");
    for (name, interface) in callable(&resolve, package) {
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("`{name}` has no row in the table of wit/README.md"));
        let id = resolve.packages[package].interfaces[&name];
        let docs = resolve.interfaces[id].docs.contents.clone().unwrap_or_default();
        if found(&interface).grant.is_some() {
            assert!(row.contains(&format!("`{name} = ")), "{row}");
            assert!(docs.contains(&format!("`{name} = ")), "{name}: {docs}");
        } else {
            assert!(row.contains("every job"), "{row}");
            assert!(docs.contains("Granted to every job"), "{name}: {docs}");
        }
    }
}
