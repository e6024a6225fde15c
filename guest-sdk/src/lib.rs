//! What a Rust job for Soloist is written with: one function and one macro.
//!
//! ```
//! use soloist_sdk::{Context, Failure, config, http, log};
//!
//! soloist_sdk::job!(run);
//!
//! fn run(context: Context) -> Result<String, Failure> {
//!     let url = config::get("url").ok_or_else(|| Failure::final_("the setting `url` is missing"))?;
//!     let response = http::get(url)?;
//!     log::info!("round {}: {} bytes", context.round, response.body.len());
//!     Ok(format!("the service answered {}", response.status))
//! }
//! ```
//!
//! The summary that [`job!`]'s function returns is one line for people; a [`Failure`] says whether another attempt can
//! help, and `?` makes one of any error. Each capability is a module here: [`log`], [`config`], [`clock`], [`random`], [`metric`]
//! and [`state`] are granted to every job; [`http`], [`secrets`], [`slack`], [`dns`] and [`dns_update`] need the grant of that
//! name in the configuration. A component imports only what its job uses.
//!
//! A job is a package of its own with `crate-type = ["cdylib"]`: `soloist job new NAME --lang rust` writes one, and
//! `soloist job build` builds it.
//!
//! # Tests
//!
//! A job's function runs by plain `cargo test` on a host for tests, which answers as the test says and tells what was asked of
//! it:
//!
//! ```
//! # use soloist_sdk::{Context, Failure, config, http};
//! # fn run(_: Context) -> Result<String, Failure> {
//! #     let url = config::get("url").ok_or_else(|| Failure::final_("the setting `url` is missing"))?;
//! #     Ok(format!("the service answered {}", http::get(url)?.status))
//! # }
//! use soloist_sdk::test::Host;
//!
//! let url = "https://example.com/health";
//! let ran = Host::new().config("url", url).respond(url, 503, "").run(run);
//! assert_eq!(ran.result, Ok("the service answered 503".to_owned()));
//! assert_eq!(ran.requests[0].url, url);
//! ```

pub mod clock;
pub mod config;
mod context;
pub mod dns;
pub mod dns_update;
mod failure;
mod host;
pub mod http;
pub mod log;
pub mod metric;
pub mod random;
pub mod secrets;
pub mod slack;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod test;

pub use context::Context;
pub use failure::Failure;

/// The generated bindings. Not public interface: only what [`job!`] expands to may name it.
#[doc(hidden)]
#[expect(clippy::too_many_arguments, clippy::same_length_and_capacity, reason = "generated code")]
pub mod __bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "job",
        pub_export_macro: true,
        default_bindings_module: "soloist_sdk::__bindings",
    });
}

/// Makes a function the job that this component exports: `fn(Context) -> Result<String, Failure>`.
///
/// ```
/// use soloist_sdk::{Context, Failure};
///
/// soloist_sdk::job!(run);
///
/// fn run(context: Context) -> Result<String, Failure> {
///     Ok(format!("hello from attempt {}", context.attempt))
/// }
/// ```
#[macro_export]
macro_rules! job {
    ($run:path) => {
        const _: () = {
            struct Job;
            impl $crate::__bindings::Guest for Job {
                fn run(
                    context: $crate::__bindings::Context,
                ) -> ::core::result::Result<::std::string::String, $crate::__bindings::Failure> {
                    $crate::__run($run, context)
                }
            }
    $crate::__bindings::export!(Job with_types_in $crate::__bindings);
        };
    };
}

/// Calls a job's function with what came over the boundary. Not public interface.
#[doc(hidden)]
pub fn __run(
    run: fn(Context) -> Result<String, Failure>,
    context: __bindings::Context,
) -> Result<String, __bindings::Failure> {
    run(context.into()).map_err(Into::into)
}
