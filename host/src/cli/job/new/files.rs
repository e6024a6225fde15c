//! The files of a new project: what `host/templates` holds, with the project's names in it.

use super::Language;

/// A file of a template: where it goes, and its text.
type File = (&'static str, &'static str);

macro_rules! files {
    ($folder:literal: $($path:literal = $source:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../templates/", $folder, "/", $source)))),*]
    };
}

const COMMON: &[File] =
    files!("common": "README.md" = "README.md", "soloist.toml" = "soloist.toml", "job.toml" = "job.toml");

/// The world of the languages whose tools import all that it names.
const WORLD: &str = include_str!("../../../../templates/common/project.wit");

const RUST: &[File] = files!("rust":
    ".gitignore" = "gitignore",
    "Cargo.toml" = "Cargo.toml.in",
    "sdk/Cargo.toml" = "sdk-Cargo.toml.in",
    "src/lib.rs" = "src/lib.rs",
);

const JAVASCRIPT: &[File] = files!("javascript":
    ".gitignore" = "gitignore",
    "package.json" = "package.json",
    "src/check.js" = "src/check.js",
    "src/job.js" = "src/job.js",
    "test/check.test.js" = "test/check.test.js",
);

const TYPESCRIPT: &[File] = files!("typescript":
    ".gitignore" = "gitignore",
    "package.json" = "package.json",
    "src/check.ts" = "src/check.ts",
    "src/job.ts" = "src/job.ts",
    "test/check.test.ts" = "test/check.test.ts",
    "tsconfig.json" = "tsconfig.json",
    "types/soloist-job.d.ts" = "types/soloist-job.d.ts",
);

const PYTHON: &[File] = files!("python":
    ".gitignore" = "gitignore",
    "app.py" = "app.py",
    "check.py" = "check.py",
    "pyproject.toml" = "pyproject.toml",
    "test_check.py" = "test_check.py",
);

const GO: &[File] = files!("go":
    ".gitignore" = "gitignore",
    "check/check.go" = "check.go",
    "check/check_test.go" = "check_test.go",
    "go.mod" = "go.mod.in",
    "main.go" = "main.go",
);

const C: &[File] = files!("c":
    ".gitignore" = "gitignore",
    "Makefile" = "Makefile",
    "src/job.c" = "src/job.c",
    "test/test.c" = "test/test.c",
);

const ZIG: &[File] = files!("zig":
    ".gitignore" = "gitignore",
    "build.zig" = "build.zig",
    "src/check.zig" = "src/check.zig",
    "src/job.zig" = "src/job.zig",
    "src/soloist.zig" = "src/soloist.zig",
);

/// A file that is carried as it is: where it goes, and its bytes.
type Carried = (&'static str, &'static [u8]);

macro_rules! carried {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../../../", $folder, "/", $path)))),*]
    };
}

/// The package `soloist:job`.
const WIT: &[Carried] = carried!("wit":
    "clock.wit", "config.wit", "dns.wit", "http.wit", "job.wit", "log.wit", "metric.wit", "random.wit", "secrets.wit",
    "slack.wit", "state.wit"
);

/// The crate `soloist-sdk`.
const RUST_SDK: &[Carried] = carried!("guest-sdk/src":
    "clock.rs", "config.rs", "context.rs", "dns.rs", "dns_update.rs", "failure.rs", "host.rs", "http.rs", "lib.rs",
    "log.rs", "metric.rs", "random.rs", "secrets.rs", "slack.rs", "state.rs", "test.rs", "test/calls.rs",
    "test/ran.rs", "test/tests.rs", "test/world.rs",
);

/// The Go module `soloist`.
const GO_SDK: &[Carried] = carried!("guest-sdk/go":
    "exports/export_wit_world/run.go", "exports/wit_exports/wit_exports.go", "go.mod", "host.go", "http.go",
    "imports/soloist_job_clock/empty.s", "imports/soloist_job_clock/wit_bindings.go",
    "imports/soloist_job_config/empty.s", "imports/soloist_job_config/wit_bindings.go",
    "imports/soloist_job_dns/empty.s", "imports/soloist_job_dns/wit_bindings.go",
    "imports/soloist_job_dns_update/empty.s", "imports/soloist_job_dns_update/wit_bindings.go",
    "imports/soloist_job_http/empty.s", "imports/soloist_job_http/wit_bindings.go",
    "imports/soloist_job_log/empty.s", "imports/soloist_job_log/wit_bindings.go",
    "imports/soloist_job_metric/empty.s", "imports/soloist_job_metric/wit_bindings.go",
    "imports/soloist_job_random/empty.s", "imports/soloist_job_random/wit_bindings.go",
    "imports/soloist_job_secrets/empty.s", "imports/soloist_job_secrets/wit_bindings.go",
    "imports/soloist_job_slack/empty.s", "imports/soloist_job_slack/wit_bindings.go",
    "imports/soloist_job_state/empty.s", "imports/soloist_job_state/wit_bindings.go",
    "imports/soloist_job_types/empty.s", "imports/soloist_job_types/wit_bindings.go", "imports/wit_world/empty.s",
    "imports/wit_world/wit_bindings.go", "soloist.go", "wit/runtime/empty.s", "wit/runtime/memory.go",
    "wit/runtime/realloc_wasip1.go", "wit/runtime/runtime.go", "wit/types/types.go",
);

/// The bindings for C.
const C_SDK: &[Carried] = carried!("guest-sdk/c": "job.c", "job.h", "job_component_type.o");

/// The files of a project of this name: paths within its folder, and contents.
pub(super) fn project(name: &str, language: Language) -> Vec<(String, Vec<u8>)> {
    let filled = |&(path, text): &File| (path.to_owned(), fill(text, name, language).into_bytes());
    let mut files: Vec<(String, Vec<u8>)> = COMMON.iter().chain(own(language)).map(filled).collect();
    let mut carry = |folder: &str, carried: &[Carried]| {
        files.extend(carried.iter().map(|(path, bytes)| (format!("{folder}/{path}"), bytes.to_vec())));
    };
    match language {
        Language::Rust => {
            carry("sdk/src", RUST_SDK);
            carry("sdk/wit", WIT);
        }
        Language::Javascript | Language::Typescript | Language::Python => carry("wit/deps/soloist-job", WIT),
        Language::Go => {
            carry("sdk", GO_SDK);
            carry("wit", WIT);
        }
        Language::C => {
            carry("bindings", C_SDK);
            carry("wit", WIT);
        }
        Language::Zig => carry("wit", WIT),
    }
    match language {
        Language::Javascript | Language::Typescript | Language::Python => {
            files.push(filled(&("wit/project.wit", WORLD)));
        }
        // In the repository, the package lies beside the crate.
        Language::Rust => edit(&mut files, "sdk/src/lib.rs", "path: \"../wit\"", "path: \"wit\""),
        Language::Go | Language::C | Language::Zig => {}
    }
    files
}

fn edit(files: &mut [(String, Vec<u8>)], path: &str, from: &str, to: &str) {
    for (_, bytes) in files.iter_mut().filter(|(file, _)| file == path) {
        *bytes = String::from_utf8_lossy(bytes).replace(from, to).into_bytes();
    }
}

const fn own(language: Language) -> &'static [File] {
    match language {
        Language::Rust => RUST,
        Language::Javascript => JAVASCRIPT,
        Language::Typescript => TYPESCRIPT,
        Language::Python => PYTHON,
        Language::Go => GO,
        Language::C => C,
        Language::Zig => ZIG,
    }
}

/// A template's text with the project's names in it.
fn fill(text: &str, name: &str, language: Language) -> String {
    let facts = language.facts();
    let setup =
        facts.setup.map(|setup| format!("\nOnce, for its tools:\n\n    {setup}\n\nThen:\n")).unwrap_or_default();
    let quoted: Vec<String> = facts.build.iter().map(|word| format!("\"{word}\"")).collect();
    let imports = match language {
        // `fetch` of JavaScript is `wasi:http`, which its tool adds by itself.
        Language::Python => "\n    import soloist:job/http@0.1.0;",
        _ => "",
    };
    let pairs: [(&str, &str); 13] = [
        ("{{title}}", facts.title),
        ("{{source}}", facts.source),
        ("{{setup}}", &setup),
        ("{{build}}", &facts.build.join(" ")),
        ("{{build_list}}", &quoted.join(", ")),
        ("{{output}}", facts.output),
        ("{{test_padded}}", &format!("{:<40}", facts.test)),
        ("{{interfaces}}", facts.interfaces),
        ("{{lang}}", language.name()),
        ("{{imports}}", imports),
        ("{{version}}", env!("CARGO_PKG_VERSION")),
        ("{{crate}}", &name.replace('-', "_")),
        ("{{name}}", name),
    ];
    pairs.into_iter().fold(text.to_owned(), |text, (place, value)| text.replace(place, value))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::ValueEnum as _;

    use super::*;

    /// The files in a folder of the repository, in order.
    fn listed(folder: &str) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
        let (mut files, mut folders) = (Vec::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }

    #[test]
    fn what_is_carried_is_carried_whole() {
        for (folder, carried, aside) in [
            ("wit", WIT, ".md"),
            ("guest-sdk/src", RUST_SDK, ""),
            ("guest-sdk/go", GO_SDK, ".section"),
            ("guest-sdk/c", C_SDK, ".sha256"),
        ] {
            let there = listed(folder).into_iter().filter(|path| aside.is_empty() || !path.ends_with(aside));
            let carried: Vec<&str> = carried.iter().map(|(path, _)| *path).collect();
            assert_eq!(there.collect::<Vec<_>>(), carried, "{folder}");
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for &language in Language::value_variants() {
            for (path, bytes) in project("price-watch", language) {
                let text = String::from_utf8(bytes).unwrap_or_default();
                let open = text.find("{{").map(|at| &text[at..(at + 20).min(text.len())]);
                assert!(
                    !open.is_some_and(
                        |open| open[2..].starts_with(|c: char| c.is_ascii_lowercase()) && open.contains("}}")
                    ),
                    "{path}: {open:?}"
                );
            }
        }
    }

    #[test]
    fn the_types_of_typescript_name_every_function_of_every_interface() {
        let camel = |name: &str| {
            let (first, rest) = name.split_once('-').unwrap_or((name, ""));
            let rest = rest.split('-').filter_map(|word| Some(word.get(..1)?.to_uppercase() + &word[1..]));
            first.to_owned() + &rest.collect::<String>()
        };
        let (_, types) = TYPESCRIPT.iter().find(|(path, _)| path.ends_with(".d.ts")).unwrap();
        let mut functions = 0;
        for (file, bytes) in WIT {
            let text = String::from_utf8_lossy(bytes);
            let interfaces: Vec<&str> =
                text.split("\ninterface ").skip(usize::from(!text.starts_with("interface "))).collect();
            for interface in interfaces.iter().map(|text| text.trim_start_matches("interface ")) {
                let name = interface.split_whitespace().next().unwrap();
                let module = format!("declare module 'soloist:job/{name}@0.1.0' {{");
                let declared = types.split(&module).nth(1).unwrap_or_else(|| panic!("{file}: no {module}"));
                let declared = declared.split("\n}").next().unwrap();
                let body = interface.split("\n}").next().unwrap();
                for function in
                    body.lines().filter_map(|line| line.trim().split_once(": func(")).map(|(name, _)| camel(name))
                {
                    assert!(declared.contains(&format!("function {function}(")), "{file}: {name}.{function}");
                    functions += 1;
                }
            }
        }
        assert!(functions > 15, "{functions}");
    }

    #[test]
    fn the_sdk_reads_the_wit_that_lies_in_it() {
        let files = project("price-watch", Language::Rust);
        let (_, lib) = files.iter().find(|(path, _)| path == "sdk/src/lib.rs").unwrap();
        assert!(String::from_utf8_lossy(lib).contains("path: \"wit\""));
    }
}
