//! Background tasks: named threads whose messages wake their owner, with progress and cancellation.
//!
//! An [`Inbox`] belongs to the thread that must not wait, usually the window's. It starts tasks: short ones
//! ([`Inbox::start`]), services that answer commands ([`Inbox::serve`]) and pools of a fixed number of
//! threads over one queue ([`Inbox::pool`]). A panic of a task becomes a message.

mod pool;
mod progress;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use progress::Share;

pub use pool::Pool;
pub use progress::{CancelToken, TaskProgress};

use crate::error::{Error, Result};

/// Locks what threads share, also after one of them panicked with it: its users replace values as a whole or begin anew.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes the owner of an [`Inbox`], from any thread.
type Wake = Arc<dyn Fn() + Send + Sync>;

/// Receives the messages of the tasks that it starts.
pub struct Inbox<T> {
    outbox: Outbox<T>,
    received: Receiver<T>,
}

/// Where a task sends its messages.
pub struct Outbox<T> {
    messages: Sender<T>,
    wake: Wake,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            wake: self.wake.clone(),
        }
    }
}

impl<T> Outbox<T> {
    /// Sends a message and wakes the owner of the inbox. False if the inbox is gone, so that nobody
    /// needs the rest of the work.
    pub fn send(&self, message: T) -> bool {
        let sent = self.messages.send(message).is_ok();
        if sent {
            (self.wake)();
        }
        sent
    }
}

impl<T: Send + 'static> Inbox<T> {
    /// An empty inbox; `wake` is called, on the task's thread, after each message and when progress
    /// changes.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let (messages, received) = channel();
        let wake: Wake = Arc::new(wake);
        Self {
            outbox: Outbox { messages, wake },
            received,
        }
    }

    /// The messages since the last call; those of one task in the order in which it sent them.
    pub fn receive(&self) -> Vec<T> {
        self.received.try_iter().collect()
    }

    /// Runs `work` in a thread of this name. Where it panics, or no thread can be started, `failed` makes
    /// a message of the [`Error::Task`].
    pub fn start(
        &self,
        name: &str,
        failed: fn(Error) -> T,
        work: impl FnOnce(&Outbox<T>, &mut TaskProgress) + Send + 'static,
    ) -> BackgroundTask {
        let (cancel, share) = (CancelToken::default(), Arc::<Share>::default());
        let run = {
            let (name, outbox) = (name.to_owned(), self.outbox.clone());
            let (cancel, share) = (cancel.clone(), share.clone());
            move || {
                let mut report = |now: f32| {
                    if share.set(now) {
                        (outbox.wake)();
                    }
                };
                let mut progress = TaskProgress {
                    progress: &mut report,
                    cancel: &cancel,
                };
                if let Err(error) = guard(&name, || {
                    work(&outbox, &mut progress);
                    Ok(())
                }) {
                    outbox.send(failed(error));
                }
            }
        };
        let thread = Builder::new().name(name.into()).spawn(run);
        let thread = thread.map_err(|error| {
            self.outbox.send(failed(Error::task(name, error)));
        });
        BackgroundTask {
            cancel,
            share,
            thread: thread.ok(),
        }
    }

    /// Starts a task that answers commands: `work` receives them in the order of [`Service::send`].
    pub fn serve<C: Send + 'static>(
        &self,
        name: &str,
        failed: fn(Error) -> T,
        work: impl FnOnce(&Receiver<C>, &Outbox<T>) + Send + 'static,
    ) -> Service<C> {
        let (commands, received) = channel();
        let task = self.start(name, failed, move |outbox, _| work(&received, outbox));
        Service { commands, task }
    }

    /// Starts at most `threads` threads that do the jobs of one queue; see [`Pool`]. Each thread makes
    /// its own worker by `build`, anew after a panic; `failed` makes a message of a job that panicked.
    pub fn pool<J, W>(
        &self,
        name: &str,
        threads: usize,
        failed: fn(J, Error) -> T,
        build: impl Fn() -> W + Clone + Send + 'static,
    ) -> Pool<J>
    where
        J: Clone + Send + 'static,
        W: FnMut(J) -> T + 'static,
    {
        Pool::start(&self.outbox, name, threads, failed, build)
    }
}

/// A task under way. Dropping it cancels the task without waiting for its end.
#[must_use = "a dropped task is cancelled"]
pub struct BackgroundTask {
    cancel: CancelToken,
    share: Arc<Share>,
    /// Nothing once it is waited for, or where no thread could be started.
    thread: Option<JoinHandle<()>>,
}

impl BackgroundTask {
    /// The share of the work that is done, in [0, 1], as last reported.
    pub fn progress(&self) -> f32 {
        self.share.get()
    }

    /// Asks the task to stop at its next report of progress.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Lets the task run to its end on its own.
    pub fn detach(mut self) {
        // Without its handle the thread goes on; the token that `Drop` sets is no longer the task's.
        self.cancel = CancelToken::default();
    }

    /// Waits until the task has ended.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the task was sent as a message.
            let _ = thread.join();
        }
    }
}

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A task that answers commands. Dropping it ends the task once the commands that were sent are done.
#[must_use = "a dropped service ends"]
pub struct Service<C> {
    commands: Sender<C>,
    task: BackgroundTask,
}

impl<C> Service<C> {
    /// Sends a command. One that arrives after the service failed has no effect: its failure is already
    /// a message.
    pub fn send(&self, command: C) {
        let _ = self.commands.send(command);
    }

    /// Waits until all commands that were sent are done.
    pub fn finish(self) {
        drop(self.commands);
        self.task.wait();
    }
}

/// Runs `work`; a panic in it becomes the [`Error::Task`] of the task `name`.
///
/// # Errors
/// Those of `work`.
pub fn guard<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_panic(work).unwrap_or_else(|reason| Err(Error::task(name, reason)))
}

thread_local! {
    /// Whether a panic on this thread is expected and caught, so that no report is due.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread is expected and caught: of a decoder of strangers' files.
pub fn expects_panic() -> bool {
    EXPECTED.get()
}

/// As [`catch_panic`], for code of others that panics on broken files: it is not reported as a crash.
///
/// # Errors
/// Where `work` panics.
pub fn catch_expected_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = EXPECTED.replace(true);
    let result = catch_panic(work);
    EXPECTED.set(before);
    result
}

/// Runs `work`; the error is the text of its panic.
///
/// # Errors
/// Where `work` panics.
pub fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a text".into())
    })
}
