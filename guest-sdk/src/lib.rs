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
//! help, and `?` makes one of any error. Each capability is a module here: [`log`], [`config`], [`http`], [`slack`]. A
//! component imports only what its job uses, and needs the grant of that name in the configuration; `log` and `config` are
//! granted to every job.
//!
//! A job is a package of its own with `crate-type = ["cdylib"]`, built by
//! `cargo build --release --target wasm32-wasip2`. The capabilities exist inside a run only: calling one on the machine that
//! builds the job, in a unit test for instance, panics. Keep what is worth a unit test in functions of its own that take what
//! a capability gave; see `jobs/canary-rust`.

pub mod config;
mod context;
mod failure;
pub mod http;
pub mod log;
pub mod slack;

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
