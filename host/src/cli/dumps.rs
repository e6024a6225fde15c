//! No core dump of this process, and no other process of the same user that reads its memory: secrets are in it.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Switches core dumps off, before any secret is read. A process started from this one has none either.
pub fn switch_off() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let done = setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = done {
        tracing::warn!(%error, "core dumps cannot be switched off: one could hold secrets");
    }
}
