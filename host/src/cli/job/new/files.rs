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

macro_rules! wit {
    ($($name:literal),*) => { &[$(($name, include_str!(concat!("../../../../../wit/", $name)))),*] };
}

/// The package `soloist:job`.
const WIT: &[File] = wit!(
    "clock.wit",
    "config.wit",
    "dns.wit",
    "http.wit",
    "job.wit",
    "log.wit",
    "metric.wit",
    "random.wit",
    "secrets.wit",
    "slack.wit",
    "state.wit"
);

macro_rules! sdk {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../../../../guest-sdk/src/", $name)))),*] };
}

/// The crate `soloist-sdk`.
const SDK: &[File] = sdk!(
    "clock.rs",
    "config.rs",
    "context.rs",
    "dns.rs",
    "dns_update.rs",
    "failure.rs",
    "host.rs",
    "http.rs",
    "lib.rs",
    "log.rs",
    "metric.rs",
    "random.rs",
    "secrets.rs",
    "slack.rs",
    "state.rs",
    "test.rs",
    "test/calls.rs",
    "test/ran.rs",
    "test/tests.rs",
    "test/world.rs",
);

/// The files of a project of this name: paths within its folder, and contents.
pub(super) fn project(name: &str, language: Language) -> Vec<(String, Vec<u8>)> {
    let filled = |&(path, text): &File| (path.to_owned(), fill(text, name, language).into_bytes());
    let mut files: Vec<(String, Vec<u8>)> = COMMON.iter().chain(own(language)).map(filled).collect();
    let as_is =
        |folder: &'static str| move |&(path, text): &File| (format!("{folder}{path}"), text.as_bytes().to_vec());
    match language {
        Language::Rust => {
            // In the repository, the package lies beside the crate.
            files.extend(
                SDK.iter()
                    .map(|(path, text)| (*path, text.replace("path: \"../wit\"", "path: \"wit\"")))
                    .map(|(path, text)| (format!("sdk/src/{path}"), text.into_bytes())),
            );
            files.extend(WIT.iter().map(as_is("sdk/wit/")));
        }
        Language::Javascript | Language::Typescript | Language::Python => {
            files.push(filled(&("wit/project.wit", WORLD)));
            files.extend(WIT.iter().map(as_is("wit/deps/soloist-job/")));
        }
        Language::Go | Language::C | Language::Zig => files.extend(WIT.iter().map(as_is("wit/"))),
    }
    files
}

const fn own(language: Language) -> &'static [File] {
    match language {
        Language::Rust => RUST,
        Language::Javascript => JAVASCRIPT,
        Language::Typescript => TYPESCRIPT,
        Language::Python => PYTHON,
        Language::Go | Language::C | Language::Zig => &[],
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

    /// The names of the files in a folder of the repository.
    fn listed(folder: &str, extension: &str) -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(extension))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_whole_wit_package_and_the_whole_sdk_are_carried() {
        assert_eq!(listed("../wit", ".wit"), WIT.iter().map(|(path, _)| *path).collect::<Vec<_>>());
        let sdk: Vec<&str> = SDK.iter().map(|(path, _)| *path).filter(|path| !path.contains('/')).collect();
        assert_eq!(listed("../guest-sdk/src", ".rs"), sdk);
        let tests: Vec<&str> = SDK.iter().filter_map(|(path, _)| path.strip_prefix("test/")).collect();
        assert_eq!(listed("../guest-sdk/src/test", ".rs"), tests);
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
    fn the_sdk_reads_the_wit_that_lies_in_it() {
        let files = project("price-watch", Language::Rust);
        let (_, lib) = files.iter().find(|(path, _)| path == "sdk/src/lib.rs").unwrap();
        assert!(String::from_utf8_lossy(lib).contains("path: \"wit\""));
    }
}
