use wit_component::{DecodedWasm, StringEncoding, decode, embed_component_metadata};

use super::*;

const PRINTS: &str = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
const START: &str = r#"(func (export "_start"))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wat_of_tests(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../tests/wat/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn kind(bytes: &[u8]) -> Kind {
    let (component, kind) = component(bytes).unwrap_or_else(|error| panic!("{error}"));
    // It is a component now, and of the same world; and one that compiles.
    assert_eq!(super::component(&component).unwrap().1, Kind { form: Form::Component, text: false, ..kind });
    super::super::compile::compile(&wasmtime::Engine::default(), bytes).unwrap_or_else(|error| panic!("{error}"));
    kind
}

fn refusal(bytes: &[u8]) -> LoadError {
    component(bytes).map(|(_, kind)| kind).unwrap_err()
}

/// A core module that carries the WIT of this component.
fn embed(module: &str, like: &str) -> Vec<u8> {
    let DecodedWasm::Component(resolve, world) = decode(&binary(like)).unwrap() else { panic!("it is a component") };
    let mut module = binary(module);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// `ok.wat` as tools make it: its types are those of an interface that it imports.
fn job_of_tools() -> String {
    let text = wat_of_tests("ok.wat");
    let (before, rest) = text.split_once("  ;; A named type").unwrap();
    let (types, after) = rest.split_once("  (func $run").unwrap();
    let types = &types[types.find("(type $context-type").unwrap()..];
    let types = types.replace(
        "(export $context \"context\" (type $context-type))",
        "(export \"context\" (type (eq $context-type)))",
    );
    let types = types.replace(
        "(export $failure \"failure\" (type $failure-type))",
        "(export \"failure\" (type (eq $failure-type)))",
    );
    format!(
        r#"{before} (import "soloist:job/types@0.1.0" (instance $types {types}))
        (alias export $types "context" (type $context-type)) (import "context" (type $context (eq $context-type)))
        (alias export $types "failure" (type $failure-type)) (import "failure" (type $failure (eq $failure-type)))
        (func $run{after}"#
    )
}

/// The core module in `ok.wat`, with what more is imported.
fn job(imports: &str) -> String {
    let text = wat_of_tests("ok.wat");
    let (_, module) = text.split_once("(core module $job").unwrap();
    let (module, _) = module.split_once("(core instance").unwrap();
    format!("(module {imports} {}", module.replace("\"realloc\"", "\"cabi_realloc\""))
}

#[test]
fn a_component_is_a_job_or_a_command_by_its_exports() {
    let job = wat_of_tests("ok.wat");
    let expected = Kind { form: Form::Component, world: World::Job, text: true };
    assert_eq!(kind(job.as_bytes()), expected);
    assert_eq!(kind(format!("\u{feff};; a comment\n{job}").as_bytes()), expected);
    assert_eq!(kind(&binary(&job)), Kind { text: false, ..expected });
}

#[test]
fn a_preview_1_command_becomes_a_component() {
    let expected = Kind { form: Form::Preview1, world: World::Command, text: false };
    assert_eq!(kind(&binary(&format!("(module {PRINTS} {MEMORY} {START})"))), expected);
    // One that imports nothing at all is a program, too.
    assert_eq!(kind(&binary(&format!("(module {MEMORY} {START})"))), expected);
    assert_eq!(kind(wat_of_tests("command.wat").as_bytes()), Kind { text: true, ..expected });
    assert_eq!(Kind { text: true, ..expected }.to_string(), "WASI preview 1 command as text");
}

#[test]
fn a_core_module_with_its_wit_becomes_a_component() {
    let expected = Kind { form: Form::Core, world: World::Job, text: false };
    assert_eq!(kind(&embed(&job(""), &job_of_tools())), expected);
    // With WASI preview 1 beside it; and what has a `_start` as well is called as its WIT says.
    assert_eq!(kind(&embed(&job(PRINTS), &job_of_tools())), expected);
    let both = job(PRINTS).replacen("(memory", &format!("{START} (memory"), 1);
    assert_eq!(kind(&embed(&both, &job_of_tools())), expected);
}

#[test]
fn a_command_may_say_in_wit_what_else_it_imports() {
    let like = r#"(component (import "soloist:job/clock@0.1.0" (instance (export "now-ms" (func (result u64))))))"#;
    let imports = r#"(import "soloist:job/clock@0.1.0" "now-ms" (func (result i64)))"#;
    let command = embed(&format!("(module {PRINTS} {imports} {MEMORY} {START})"), like);
    assert_eq!(kind(&command), Kind { form: Form::Preview1, world: World::Command, text: false });
    let (component, _) = component(&command).unwrap();
    let DecodedWasm::Component(resolve, world) = decode(&component).unwrap() else { panic!("it is a component") };
    let names: Vec<String> = resolve.worlds[world].imports.keys().map(|key| resolve.name_world_key(key)).collect();
    assert!(names.iter().any(|name| name == "soloist:job/clock@0.1.0"), "{names:?}");
}

#[test]
fn a_core_module_is_told_what_it_lacks() {
    let said = |text: &str| {
        let error = refusal(&binary(text));
        (error.to_string(), error.hint().unwrap_or_default())
    };
    let (error, _) = said("(module)");
    assert!(error.contains("core module without WIT") && error.ends_with("and exports no `_start`"), "{error}");
    let (error, hint) = said(&format!("(module {PRINTS} {MEMORY})"));
    assert!(error.ends_with("and no WASI preview 1 command: it exports no `_start`"), "{error}");
    assert!(hint.contains("a `main`"), "{hint}");
    let (error, _) = said(&format!("(module (import \"env\" \"now\" (func)) {PRINTS} {MEMORY} {START})"));
    assert!(error.ends_with("; it imports from `env`"), "{error}");
    let (_, hint) = said("(module (import \"wasi_unstable\" \"fd_write\" (func)))");
    assert!(hint.contains("wasi_snapshot_preview1"), "{hint}");
    let (_, hint) = said("(module (import \"gojs\" \"runtime.wasmExit\" (func)))");
    assert!(hint.contains("GOOS=wasip1"), "{hint}");
}

#[test]
fn what_a_module_calls_its_own_is_listed_up_to_a_limit_and_without_what_a_terminal_obeys() {
    let name = |number: usize| format!("{number}\\1b[2J{}", "x".repeat(10_000));
    let imports: String = (0..30).map(|number| format!("(import \"{}\" \"f\" (func))", name(number))).collect();
    let error = refusal(&binary(&format!("(module {imports})")));
    let LoadError::CoreModule { others, .. } = &error else { panic!("{error}") };
    assert_eq!(others.len(), LISTED);
    assert!(error.to_string().len() < 5000 && !error.to_string().contains('\u{1b}'), "{error}");

    let mut text = String::from("(component (core module) (instance)");
    (0..30).for_each(|number| text += &format!("(export \"a{number}{}\" (instance 0))", "x".repeat(10_000)));
    let error = refusal(&binary(&(text + ")")));
    let LoadError::NoRun { exports } = &error else { panic!("{error}") };
    assert_eq!(exports.len(), LISTED);
    assert!(error.to_string().len() < 5000, "{error}");

    let error = refusal(format!("(module (func (call $\"\\1b[2J{}\")))", "x".repeat(10_000)).as_bytes());
    assert!(error.to_string().len() < 2000 && !error.to_string().contains('\u{1b}'), "{error}");
    assert!(error.to_string().contains("at line 1, column"), "{error}");
}

#[test]
fn a_core_module_that_does_not_fit_its_wit_says_so() {
    let error = refusal(&embed(&format!("(module {MEMORY})"), &job_of_tools()));
    assert!(matches!(&error, LoadError::Encode(reason) if reason.contains("run")), "{error}");
}

#[test]
fn a_component_without_run_says_what_it_exports() {
    assert_eq!(refusal(b"(component)"), LoadError::WitPackage);
    let error = refusal(b"(component (core module) (instance) (export \"it\" (instance 0)))");
    assert_eq!(error, LoadError::NoRun { exports: vec!["it".to_owned()] });
    let package = r#"(component (type (component (type (component (export "a:b/c" (instance))))
        (export "a:b/w" (component (type 0))))) (export "w" (type 0)))"#;
    assert_eq!(refusal(package.as_bytes()), LoadError::WitPackage);
}

#[test]
fn components_are_not_nested_without_end() {
    let nested = |levels: usize| {
        // In binary: a component section (4) around the component before, with its length.
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..levels {
            let mut outer = b"\0asm\x0d\0\x01\0\x04".to_vec();
            let mut length = component.len();
            while length > 127 {
                outer.push(u8::try_from(length & 127).unwrap() | 128);
                length >>= 7;
            }
            outer.push(u8::try_from(length).unwrap());
            outer.extend(&component);
            component = outer;
        }
        component
    };
    assert!(matches!(refusal(&nested(MAX_NESTING - 1)), LoadError::NoRun { .. }));
    assert_eq!(refusal(&nested(MAX_NESTING)), LoadError::Nested);
    assert_eq!(refusal(&nested(100_000)), LoadError::Nested);
    // As text.
    let text = "(component ".repeat(10_000) + &")".repeat(10_000);
    assert!(matches!(refusal(text.as_bytes()), LoadError::Text(_)));
}

#[test]
fn what_is_cut_off_is_invalid() {
    let whole = binary(&wat_of_tests("ok.wat"));
    for length in [9, 20, whole.len() / 2, whole.len() - 1] {
        let error = refusal(&whole[..length]);
        assert!(matches!(error, LoadError::Invalid(_) | LoadError::NoRun { .. } | LoadError::WitPackage), "{error}");
    }
    assert!(matches!(refusal(b"\0asm"), LoadError::Unrecognised { .. }));
    let error = refusal(b"\0asm\x02\0\0\0");
    assert!(matches!(&error, LoadError::Unrecognised { what } if what.contains("unknown version [02, ")), "{error}");
}
