//! Loading in the background: on a thread of its own at low priority, one at a time in the process.

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};

use super::trust::Trusted;

/// Why a module was refused.
pub type LoadError = Box<dyn Error + Send + Sync>;

/// Compiles and checks a module. It may block for seconds; it is called on a thread of its own, never twice at a time in one
/// process. A panic is a refusal.
pub type Loader<T> = Arc<dyn Fn(Trusted) -> Result<T, LoadError> + Send + Sync>;

/// Compiling takes all of a processor and hundreds of megabytes; what runs meanwhile is rounds.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// How much nicer than the rest of the process a loading thread is: the most there is, 19, would starve on a busy machine.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Loads a module once it is this one's turn. Dropping the future does not stop a load under way: its result is dropped, and
/// the next one still waits for its end.
pub(super) async fn load<T: Send + 'static>(loader: Loader<T>, module: Trusted) -> Result<T, LoadError> {
    let turn = ONE_AT_A_TIME.acquire().await?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new().name("soloist-load".to_owned()).spawn(move || {
        lower_priority();
        let result = catch_unwind(AssertUnwindSafe(|| loader(module)));
        drop(turn);
        let _ = sender.send(result.unwrap_or_else(|panic| Err(describe(panic.as_ref()).into())));
    })?;
    receiver.await?
}

/// Linux keeps a priority for each thread; elsewhere this would be the whole process.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "the loading thread keeps its priority");
    }
}

fn describe(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the loader panicked: {}", text.unwrap_or("it did not say why"))
}
