//! Background computation, stated as requests.
//!
//! Once a frame the window submits its current request for each lane. The worker thread starts requests that
//! changed, cancels those that are gone, and steps the most urgent lanes, several at a time or in turn. So progress, cancellation
//! and fairness are one mechanism, and a newer request replaces a stale one within one step.
//!
//! Nothing here knows of tensors or of the window; the tests run it on integers.

mod thread;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use thread::{Outbox, run};

/// The computations of the scheduler's thread, which builds and owns the worker.
pub trait Worker {
    /// Key of a request; lanes are stepped in their order.
    type Lane: Ord + Clone + Send + 'static;
    /// What is to be computed in a lane; an equal request is not started again.
    type Request: PartialEq + Clone + Send + 'static;
    /// Progress and results, sent to the window.
    type Message: Send + 'static;
    /// A running request.
    type Job: Send;

    /// Priority: while jobs of a lower number run, those of higher numbers wait.
    fn urgency(_lane: &Self::Lane, _job: &Self::Job) -> u8 {
        0
    }

    /// Starts a request.
    fn start(&mut self, lane: &Self::Lane, request: &Self::Request) -> Self::Job;

    /// Number of jobs of the same priority that are stepped at the same time, at least 1.
    fn jobs_at_once(&self) -> usize {
        1
    }

    /// Does one short step of a job without the worker, on any thread, while other jobs are stepped. `None` where the
    /// next step needs the worker.
    fn step_alone(_job: &mut Self::Job) -> Option<Step<Self::Message>> {
        None
    }

    /// Does one short step of a job.
    fn step(&mut self, job: &mut Self::Job) -> Step<Self::Message>;

    /// Takes from a step without the worker what the worker keeps.
    fn keep(&mut self, _job: &Self::Job, _step: &Step<Self::Message>) {}

    /// The message for a step of `request` that panicked, and whether the request is started again.
    fn failed(&mut self, request: &Self::Request, message: String) -> Failure<Self::Message>;
}

/// How a step that panicked is handled.
pub struct Failure<N> {
    /// The message for the window.
    pub message: N,
    /// Whether the request is started again; else its lane stays idle until another request.
    pub again: bool,
}

/// The result of one step.
pub struct Step<N> {
    /// A message, if there is progress or a result to show.
    pub message: Option<N>,
    /// Whether the job has finished.
    pub done: bool,
}

/// A message of a lane.
struct Message<W: Worker> {
    lane: W::Lane,
    /// The number of the request that it answers.
    number: u64,
    content: Option<W::Message>,
    /// Whether the job has finished.
    done: bool,
}

/// A request with its number.
#[derive(Clone)]
struct Submission<R> {
    number: u64,
    request: R,
    /// Whether its job has finished.
    done: bool,
}

/// All current requests by lane.
type Submissions<W> = BTreeMap<<W as Worker>::Lane, Submission<<W as Worker>::Request>>;
/// All current requests with the number of the batch.
type Batch<W> = (u64, Submissions<W>);

/// The window's side of the scheduler.
pub struct Scheduler<W: Worker> {
    submissions: Submissions<W>,
    next_number: u64,
    sent: u64,
    outbox: Option<Sender<Batch<W>>>,
    inbox: Receiver<Message<W>>,
    busy: Arc<AtomicUsize>,
    read: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl<W: Worker + 'static> Scheduler<W> {
    /// Starts the thread; `build` makes the worker there, and `wake` is called when there are messages.
    pub fn spawn(
        build: impl FnOnce() -> W + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let (sender, submissions) = channel();
        let (messages, inbox) = channel();
        let busy = Arc::new(AtomicUsize::new(0));
        let read = Arc::new(AtomicU64::new(0));
        let outbox = Outbox {
            messages,
            wake: Box::new(wake),
            unread: Cell::new(false),
            busy: busy.clone(),
            read: read.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("scheduler".into())
            .spawn(move || run(build(), &submissions, &outbox))
            .expect("the system can start a thread");
        Self {
            submissions: BTreeMap::new(),
            next_number: 0,
            sent: 0,
            outbox: Some(sender),
            inbox,
            busy,
            read,
            thread: Some(thread),
        }
    }

    /// Submits all current requests. Returns the lanes whose request changed.
    pub fn submit(&mut self, requests: BTreeMap<W::Lane, W::Request>) -> Vec<W::Lane> {
        self.submit_except(requests, &BTreeSet::new())
    }

    /// As [`Scheduler::submit`], but the results of the lanes `known` exist already, for instance in
    /// another lane: nothing is computed there.
    pub fn submit_except(
        &mut self,
        requests: BTreeMap<W::Lane, W::Request>,
        known: &BTreeSet<W::Lane>,
    ) -> Vec<W::Lane> {
        let mut changed = Vec::new();
        let mut submissions = BTreeMap::new();
        for (lane, request) in requests {
            let kept = self.submissions.get(&lane);
            let submission = match kept.filter(|kept| kept.request == request) {
                Some(kept) => kept.clone(),
                None => {
                    changed.push(lane.clone());
                    self.next_number += 1;
                    Submission {
                        number: self.next_number,
                        request,
                        done: known.contains(&lane),
                    }
                }
            };
            submissions.insert(lane, submission);
        }
        let removed = self
            .submissions
            .keys()
            .any(|lane| !submissions.contains_key(lane));
        if removed || !changed.is_empty() {
            self.submissions = submissions;
            self.send();
        }
        changed
    }

    /// Whether the request of a lane has finished, and its messages were read.
    pub fn has_finished(&self, lane: &W::Lane) -> bool {
        self.submissions
            .get(lane)
            .is_some_and(|submission| submission.done)
    }

    /// The messages since the last call; those of stale requests are dropped.
    pub fn messages(&mut self) -> Vec<(W::Lane, W::Message)> {
        let mut fresh = Vec::new();
        for message in self.inbox.try_iter() {
            let submission = self.submissions.get_mut(&message.lane);
            let Some(submission) =
                submission.filter(|submission| submission.number == message.number)
            else {
                continue;
            };
            submission.done |= message.done;
            fresh.extend(message.content.map(|content| (message.lane, content)));
        }
        fresh
    }

    /// Number of lanes with a running job.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Whether no job is running and the thread has taken in every request. The messages of all finished jobs
    /// can then be read.
    pub fn is_idle(&self) -> bool {
        self.read.load(Ordering::Acquire) == self.sent && self.busy.load(Ordering::Acquire) == 0
    }

    fn send(&mut self) {
        if let Some(outbox) = &self.outbox {
            self.sent += 1;
            // A thread that has ended sends nothing any more; the window goes on.
            let _ = outbox.send((self.sent, self.submissions.clone()));
        }
    }
}

impl<W: Worker> Drop for Scheduler<W> {
    fn drop(&mut self) {
        self.outbox = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
