use wit_component::{StringEncoding, embed_component_metadata};

use super::*;

const START: &str = r#"(func (export "_start"))"#;
const MEMORY: &str = r#"(memory (export "memory") 1)"#;

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn kind(bytes: &[u8]) -> Kind {
    let (component, kind) = component(bytes).unwrap_or_else(|error| panic!("{error}"));
    // It is one now, and of the same world.
    assert_eq!(super::component(&component).unwrap().1, Kind { form: Form::Component, text: false, ..kind });
    kind
}

fn refusal(bytes: &[u8]) -> LoadError {
    component(bytes).map(|(_, kind)| kind).unwrap_err()
}

/// A core module with this WIT in it.
fn embed(text: &str, wit: &str) -> Vec<u8> {
    let mut module = binary(text);
    let mut resolve = wit_parser_resolve(wit);
    let world = resolve.1;
    embed_component_metadata(&mut module, &mut resolve.0, world, StringEncoding::UTF8).unwrap();
    module
}
