//! Background computation, stated as requests.
//!
//! Once a frame the window submits its current request for each lane. The worker thread starts requests that
//! changed, cancels those that are gone, and steps the most urgent lanes in turn. So progress, cancellation
//! and fairness are one mechanism, and a newer request replaces a stale one within one step.
//!
//! Nothing here knows of tensors or of the window; the tests run it on integers.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use crate::tasks::catch_panic;

/// The computations of the scheduler's thread, which builds and owns the worker.
pub trait Worker {
    /// Key of a request; lanes are stepped in their order.
    type Lane: Ord + Clone + Send + 'static;
    /// What is to be computed in a lane; an equal request is not started again.
    type Request: PartialEq + Clone + Send + 'static;
    /// Progress and results, sent to the window.
    type Message: Send + 'static;
    /// A running request.
    type Job;

    /// Priority: while jobs of a lower number run, those of higher numbers wait.
    fn urgency(_lane: &Self::Lane, _job: &Self::Job) -> u8 {
        0
    }

    /// Starts a request.
    fn start(&mut self, lane: &Self::Lane, request: &Self::Request) -> Self::Job;

    /// Does one short step of a job.
    fn step(&mut self, job: &mut Self::Job) -> Step<Self::Message>;

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

struct Outbox<W: Worker> {
    messages: Sender<Message<W>>,
    wake: Box<dyn Fn() + Send>,
    /// Whether messages were sent since the window was last woken.
    unread: Cell<bool>,
    busy: Arc<AtomicUsize>,
    /// Number of the last batch that was taken in.
    read: Arc<AtomicU64>,
}

impl<W: Worker> Outbox<W> {
    fn send(&self, lane: &W::Lane, number: u64, message: Option<W::Message>, done: bool) {
        let lane = lane.clone();
        // A window that is gone reads nothing; the thread ends soon.
        let _ = self.messages.send(Message {
            lane,
            number,
            content: message,
            done,
        });
        self.unread.set(true);
    }

    /// Wakes the window if there are messages: once for all of them, as every frame costs time.
    fn deliver(&self) {
        if self.unread.take() {
            (self.wake)();
        }
    }
}

struct Running<W: Worker> {
    number: u64,
    request: W::Request,
    job: Option<W::Job>,
}

fn run<W: Worker>(mut worker: W, batches: &Receiver<Batch<W>>, outbox: &Outbox<W>) {
    let mut lanes: BTreeMap<W::Lane, Running<W>> = BTreeMap::new();
    loop {
        let active = report_busy(&lanes, outbox);
        let Some(submissions) = latest(batches, active == 0) else {
            return;
        };
        if let Some(submissions) = submissions {
            adopt(&mut worker, &mut lanes, submissions, outbox);
        }
        for lane in most_urgent::<W>(&lanes) {
            step(&mut worker, &lane, &mut lanes, outbox);
            // A request that arrived meanwhile takes effect with the very next step.
            match latest(batches, false) {
                None => return,
                Some(Some(submissions)) => {
                    adopt(&mut worker, &mut lanes, submissions, outbox);
                    break;
                }
                Some(None) => {}
            }
        }
        outbox.deliver();
    }
}

/// Publishes the number of lanes with a running job, and wakes the window when that changed.
fn report_busy<W: Worker>(lanes: &BTreeMap<W::Lane, Running<W>>, outbox: &Outbox<W>) -> usize {
    let active = lanes.values().filter(|lane| lane.job.is_some()).count();
    if outbox.busy.swap(active, Ordering::AcqRel) != active {
        (outbox.wake)();
    }
    active
}

/// The lanes with running jobs of the highest priority.
fn most_urgent<W: Worker>(lanes: &BTreeMap<W::Lane, Running<W>>) -> Vec<W::Lane> {
    let active = || {
        lanes.iter().filter_map(|(lane, running)| {
            let job = running.job.as_ref()?;
            Some((lane, W::urgency(lane, job)))
        })
    };
    let first = active().map(|(_, urgency)| urgency).min();
    active()
        .filter(|(_, urgency)| Some(*urgency) == first)
        .map(|(lane, _)| lane.clone())
        .collect()
}

/// The newest batch: outer `None` when the window is gone, inner `None` when there is none.
fn latest<T>(batches: &Receiver<T>, wait: bool) -> Option<Option<T>> {
    let mut newest = if wait {
        Some(batches.recv().ok()?)
    } else {
        None
    };
    loop {
        match batches.try_recv() {
            Ok(batch) => newest = Some(batch),
            Err(TryRecvError::Empty) => return Some(newest),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

/// Takes in a batch: cancels jobs whose request is gone or changed, and starts new requests.
fn adopt<W: Worker>(
    worker: &mut W,
    lanes: &mut BTreeMap<W::Lane, Running<W>>,
    (number, submissions): Batch<W>,
    outbox: &Outbox<W>,
) {
    lanes.retain(|lane, running| {
        submissions
            .get(lane)
            .is_some_and(|submission| submission.number == running.number)
    });
    for (lane, submission) in submissions {
        if lanes.contains_key(&lane) {
            continue;
        }
        let Submission {
            number,
            request,
            done,
        } = submission;
        let mut running = Running {
            number,
            request,
            job: None,
        };
        if !done {
            begin(worker, &lane, &mut running, outbox);
        }
        lanes.insert(lane, running);
    }
    report_busy(lanes, outbox);
    outbox.read.store(number, Ordering::Release);
}

fn step<W: Worker>(
    worker: &mut W,
    lane: &W::Lane,
    lanes: &mut BTreeMap<W::Lane, Running<W>>,
    outbox: &Outbox<W>,
) {
    let Some(running) = lanes.get_mut(lane) else {
        return;
    };
    let Some(job) = &mut running.job else { return };
    match catch_panic(|| worker.step(job)) {
        Ok(step) => {
            if step.done {
                running.job = None;
            }
            if step.done || step.message.is_some() {
                outbox.send(lane, running.number, step.message, step.done);
            }
        }
        Err(message) => {
            running.job = None;
            let Failure { message, again } = worker.failed(&running.request, message);
            outbox.send(lane, running.number, Some(message), !again);
            if again {
                begin(worker, lane, running, outbox);
            }
        }
    }
}

/// Starts a lane's request.
fn begin<W: Worker>(worker: &mut W, lane: &W::Lane, running: &mut Running<W>, outbox: &Outbox<W>) {
    match catch_panic(|| worker.start(lane, &running.request)) {
        Ok(job) => running.job = Some(job),
        Err(message) => {
            let failure = worker.failed(&running.request, message);
            outbox.send(lane, running.number, Some(failure.message), true);
        }
    }
}
