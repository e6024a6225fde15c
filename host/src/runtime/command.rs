//! What a program is started with: arguments and environment, as the configuration has them and with what is known of the run.

use std::collections::BTreeMap;

use wasmtime_wasi::WasiCtxBuilder;

use super::bindings::soloist::job::types::Context;

/// The most arguments.
const MAX_ARGUMENTS: usize = 100;

/// The most variables.
const MAX_VARIABLES: usize = 100;

/// The most bytes of all of them together.
const MAX_BYTES: usize = 64 * 1024;

/// What names of variables that the host sets begin with.
const PREFIX: &str = "SOLOIST_";

/// The arguments and the environment of a module, as the configuration has them: `args` and `env`.
///
/// At most 100 of each, of 64 KiB together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// Why arguments or an environment cannot be given to a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// Too many arguments.
    #[error("{0} arguments are more than {MAX_ARGUMENTS}")]
    Arguments(usize),
    /// Too many variables.
    #[error("{0} variables are more than {MAX_VARIABLES}")]
    Variables(usize),
    /// Too many bytes.
    #[error("arguments and environment have {0} bytes together, more than {MAX_BYTES}")]
    Bytes(usize),
    /// A text that ends before its end, for programs in C.
    #[error("an argument or a variable's value must not hold a zero byte")]
    Zero,
    /// A name that is none.
    #[error("`{0}` is no name of a variable: it must not be empty, and not hold `=` or a zero byte")]
    Name(String),
    /// A name that the host sets.
    #[error("`{0}` is set by the agent: names that begin with `{PREFIX}` are its own")]
    Reserved(String),
}

impl Invocation {
    /// Checks arguments and environment.
    ///
    /// # Errors
    /// They are too many or too long, or no program could be given them.
    pub fn new(arguments: Vec<String>, environment: BTreeMap<String, String>) -> Result<Self, InvocationError> {
        if arguments.len() > MAX_ARGUMENTS {
            return Err(InvocationError::Arguments(arguments.len()));
        }
        if environment.len() > MAX_VARIABLES {
            return Err(InvocationError::Variables(environment.len()));
        }
        let bytes = arguments.iter().map(String::len).sum::<usize>()
            + environment.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if bytes > MAX_BYTES {
            return Err(InvocationError::Bytes(bytes));
        }
        if arguments.iter().chain(environment.values()).any(|text| text.contains('\0')) {
            return Err(InvocationError::Zero);
        }
        for name in environment.keys() {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(InvocationError::Name(name.escape_debug().to_string()));
            }
            if name.starts_with(PREFIX) {
                return Err(InvocationError::Reserved(name.clone()));
            }
        }
        Ok(Self { arguments, environment: environment.into_iter().collect() })
    }

    /// For a job, which is told of its run by `context`: what the configuration says, and no more.
    pub(super) fn for_job(&self, wasi: &mut WasiCtxBuilder) {
        if !self.arguments.is_empty() {
            wasi.args(&self.arguments);
        }
        if !self.environment.is_empty() {
            wasi.envs(&self.environment);
        }
    }

    /// For a program: the job's name as its own, and what is known of the run in its environment.
    pub(super) fn for_command(&self, wasi: &mut WasiCtxBuilder, context: &Context) {
        wasi.arg(&context.job).args(&self.arguments).envs(&self.environment);
        wasi.env("SOLOIST_JOB", &context.job).env("SOLOIST_AGENT", &context.agent);
        for (name, number) in [
            ("SOLOIST_ROUND", context.round),
            ("SOLOIST_ATTEMPT", u64::from(context.attempt)),
            ("SOLOIST_DUE_MS", context.due_ms),
            ("SOLOIST_DEADLINE_MS", context.deadline_ms),
        ] {
            wasi.env(name, number.to_string());
        }
        if let Some(previous) = &context.previous {
            wasi.env("SOLOIST_PREVIOUS", previous);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Invocation, InvocationError> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Invocation::new(arguments.iter().map(|text| (*text).to_owned()).collect(), environment.collect())
    }

    #[test]
    fn what_no_program_could_be_given_is_refused() {
        assert!(new(&["-v", ""], &[("TZ", "UTC"), ("EMPTY", "")]).is_ok());
        assert_eq!(new(&["a\0b"], &[]), Err(InvocationError::Zero));
        assert_eq!(new(&[], &[("A", "\0")]), Err(InvocationError::Zero));
        assert_eq!(new(&[], &[("", "x")]), Err(InvocationError::Name(String::new())));
        assert_eq!(new(&[], &[("A=B", "x")]), Err(InvocationError::Name("A=B".to_owned())));
        assert_eq!(new(&[], &[("SOLOIST_JOB", "x")]), Err(InvocationError::Reserved("SOLOIST_JOB".to_owned())));
    }

    #[test]
    fn there_is_a_limit_to_everything() {
        assert!(new(&["x"; 100], &[]).is_ok());
        assert_eq!(new(&["x"; 101], &[]), Err(InvocationError::Arguments(101)));
        let long = "x".repeat(MAX_BYTES - 1);
        assert!(new(&[&long], &[]).is_ok());
        assert_eq!(new(&[&long], &[("A", "b")]), Err(InvocationError::Bytes(MAX_BYTES + 1)));
        let many: Vec<String> = (0..101).map(|number| format!("A{number}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
        assert_eq!(new(&[], &many), Err(InvocationError::Variables(101)));
    }
}
