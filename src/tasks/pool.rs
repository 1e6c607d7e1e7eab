//! A fixed number of threads over one queue whose waiting jobs can be replaced.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use super::{Outbox, guard};
use crate::error::Error;

/// Threads that do the jobs of one queue, the first of the queue first. Dropping it drops the jobs that
/// wait and ends each thread after the job that it is doing.
pub struct Pool<J> {
    queue: Arc<Queue<J>>,
}

struct Queue<J> {
    state: Mutex<QueueState<J>>,
    changed: Condvar,
}

struct QueueState<J> {
    waiting: VecDeque<J>,
    closed: bool,
}

impl<J: Clone + Send + 'static> Pool<J> {
    pub(super) fn start<T, W>(
        outbox: &Outbox<T>,
        name: &str,
        threads: usize,
        failed: fn(J, Error) -> T,
        build: impl Fn() -> W + Clone + Send + 'static,
    ) -> Self
    where
        T: Send + 'static,
        W: FnMut(J) -> T + 'static,
    {
        let queue = Arc::new(Queue {
            state: Mutex::new(QueueState {
                waiting: VecDeque::new(),
                closed: false,
            }),
            changed: Condvar::new(),
        });
        for _ in 0..threads {
            let (name, build) = (name.to_owned(), build.clone());
            let (queue, outbox) = (queue.clone(), outbox.clone());
            let thread = Builder::new().name(name.clone());
            let run = move || run(&queue, &outbox, &name, failed, build);
            if let Err(error) = thread.spawn(run) {
                // The threads that were started, if any, do the jobs.
                tracing::warn!("{}", Error::task("thread of a pool", error));
            }
        }
        Self { queue }
    }

    /// Lets `change` edit the jobs that wait; those that are being done go on.
    pub fn edit(&self, change: impl FnOnce(&mut VecDeque<J>)) {
        change(&mut self.queue.lock().waiting);
        self.queue.changed.notify_all();
    }
}

impl<J> Drop for Pool<J> {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.changed.notify_all();
    }
}

impl<J> Queue<J> {
    /// The lock. No thread panics while it holds it, apart from an `edit`, which leaves a valid queue.
    fn lock(&self) -> MutexGuard<'_, QueueState<J>> {
        super::lock(&self.state)
    }

    /// Waits for the next job; nothing once the pool is dropped.
    fn next(&self) -> Option<J> {
        let mut state = self.lock();
        while !state.closed {
            if let Some(job) = state.waiting.pop_front() {
                return Some(job);
            }
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        None
    }
}

fn run<J: Clone, T, W: FnMut(J) -> T>(
    queue: &Queue<J>,
    outbox: &Outbox<T>,
    name: &str,
    failed: fn(J, Error) -> T,
    build: impl Fn() -> W,
) {
    let mut worker: Option<W> = None;
    while let Some(job) = queue.next() {
        let work = || Ok(worker.get_or_insert_with(&build)(job.clone()));
        let message = guard(name, work).unwrap_or_else(|error| {
            // A panic may have left the worker's state half changed.
            worker = None;
            failed(job, error)
        });
        if !outbox.send(message) {
            return;
        }
    }
}
