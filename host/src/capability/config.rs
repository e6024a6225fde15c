//! `soloist:job/config` and `wasi:config/store`: the job's own settings. Every job has them.

use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

use super::Capability;
use crate::runtime::State;

mod bindings {
    wasmtime::component::bindgen!({
        inline: "package soloist:host; world config { import soloist:job/config@0.1.0; }",
        path: "../wit",
        imports: { default: trappable },
    });
}

use bindings::soloist::job::config as wit;

pub(super) const CAPABILITY: Capability = Capability {
    name: "config",
    interfaces: &["soloist:job/config@0.1.0", "wasi:config/store@0.2.0-rc.1"],
    grant: None,
    granted: |_| true,
    link: add_to_linker,
    enter: |_, _| {},
};

impl wit::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.facts().check()?;
        Ok(self.facts().settings.get(&key).map(text))
    }

    fn json(&mut self) -> wasmtime::Result<String> {
        self.facts().check()?;
        Ok(serde_json::to_string(&*self.facts().settings)?)
    }
}

/// A setting as text: a string as it is, everything else as JSON, which for numbers and booleans is also TOML.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    wasmtime_wasi_config::add_to_linker(linker, standard)
}

/// The settings as `wasi:config/store` has them, put together when they are first asked for.
fn standard(state: &mut State) -> WasiConfig<'_> {
    let settings = Arc::clone(&state.facts().settings);
    let all = || settings.iter().map(|(key, value)| (key.clone(), text(value))).collect::<WasiConfigVariables>();
    WasiConfig::from(&*state.extensions.or_insert_with(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_reads_as_it_was_written() {
        for (value, expected) in [
            (serde_json::json!("https://example.com/"), "https://example.com/"),
            (serde_json::json!(200), "200"),
            (serde_json::json!(0.5), "0.5"),
            (serde_json::json!(true), "true"),
            (serde_json::json!([1, "b"]), "[1,\"b\"]"),
            (serde_json::json!({"a": 1}), "{\"a\":1}"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
