//! Where calls of the host go: on WebAssembly to the host, elsewhere to the one that a unit test has put together.

#[cfg(target_family = "wasm")]
pub(crate) use crate::__bindings::soloist::job::{
    clock, config, dns, dns_update, http, log, metric, random, secrets, slack, state,
};

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::test::calls::{clock, config, dns, dns_update, http, log, metric, random, secrets, slack, state};
