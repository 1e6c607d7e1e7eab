//! Work in the background, stated as wishes.
//!
//! The window says once a frame what it wants in each lane. The worker thread starts what changed,
//! drops what is no longer wanted, and steps the most urgent lanes in turn. So progress, cancellation and
//! fairness are one mechanism, and a newer wish replaces a stale one within one step.
//!
//! Nothing here knows of tensors or of the window; the tests run it on integers.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

/// What the engine's thread does; the thread builds it and owns it.
pub trait Worker {
    /// Names the places where results go; lanes are stepped in their order.
    type Lane: Ord + Clone + Send + 'static;
    /// What is wanted in a lane; an equal request is not started again.
    type Request: PartialEq + Clone + Send + 'static;
    /// What the window is told.
    type Message: Send + 'static;
    /// A request under way.
    type Job;

    /// Which work goes first: while that of a lower number is under way, that of higher ones waits.
    fn urgency(_lane: &Self::Lane, _job: &Self::Job) -> u8 {
        0
    }

    /// All that is wanted from now on, before any of it is begun.
    fn requested<'a>(&mut self, _requests: impl Iterator<Item = &'a Self::Request>)
    where
        Self::Request: 'a,
    {
    }

    /// Begins a request.
    fn start(&mut self, lane: &Self::Lane, request: &Self::Request) -> Self::Job;

    /// Does one short step.
    fn step(&mut self, job: &mut Self::Job) -> Step<Self::Message>;

    /// What to tell when a step of `request` panicked, and what becomes of it.
    fn failed(&mut self, request: &Self::Request, message: String) -> Failure<Self::Message>;
}

/// The answer to a step that panicked.
pub struct Failure<N> {
    /// What to tell.
    pub news: N,
    /// Whether the request begins anew; else its lane rests until it is wanted anew.
    pub again: bool,
}

/// The result of one step.
pub struct Step<N> {
    /// Something to show, if there is.
    pub news: Option<N>,
    /// Whether nothing is left to do.
    pub done: bool,
}

/// What happened in a lane.
struct Message<W: Worker> {
    lane: W::Lane,
    /// The number of the wish it answers.
    number: u64,
    news: Option<W::Message>,
    /// Whether nothing is left to do.
    done: bool,
}

/// A request with its number.
#[derive(Clone)]
struct Submission<R> {
    number: u64,
    request: R,
    /// Whether nothing of it is left to do.
    done: bool,
}

/// All wishes by lane.
type Submissions<W> = BTreeMap<<W as Worker>::Lane, Submission<<W as Worker>::Request>>;
/// All wishes with the number of the sending.
type Batch<W> = (u64, Submissions<W>);

/// The window's end of the engine.
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
    /// Starts the thread; `build` makes the worker there, and `wake` is called after news.
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

    /// States all that is wanted from now on. Returns the lanes whose wish changed.
    pub fn want(&mut self, requests: BTreeMap<W::Lane, W::Request>) -> Vec<W::Lane> {
        self.want_all_but(requests, &BTreeSet::new())
    }

    /// As [`Scheduler::want`], but what is wanted in the lanes `known` is there already, for instance
    /// from another lane: nothing is computed there.
    pub fn want_all_but(
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

    /// Has requests begun anew when they are wanted next, though they are equal to those before: what
    /// they read has changed.
    pub fn restart(&mut self, stale: impl Fn(&W::Request) -> bool) {
        self.submissions
            .retain(|_, submission| !stale(&submission.request));
    }

    /// Whether all that is wanted in a lane is done, and its news were read.
    pub fn has_finished(&self, lane: &W::Lane) -> bool {
        self.submissions
            .get(lane)
            .is_some_and(|submission| submission.done)
    }

    /// The news since the last call; what answers a stale wish is dropped.
    pub fn news(&mut self) -> Vec<(W::Lane, W::Message)> {
        let mut fresh = Vec::new();
        for message in self.inbox.try_iter() {
            let submission = self.submissions.get_mut(&message.lane);
            let Some(submission) =
                submission.filter(|submission| submission.number == message.number)
            else {
                continue;
            };
            submission.done |= message.done;
            fresh.extend(message.news.map(|news| (message.lane, news)));
        }
        fresh
    }

    /// How many lanes are at work.
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Whether nothing is under way and every wish was heard. The news of all that is done are then
    /// ready to be read.
    pub fn is_idle(&self) -> bool {
        self.read.load(Ordering::Acquire) == self.sent && self.busy.load(Ordering::Acquire) == 0
    }

    fn send(&mut self) {
        if let Some(outbox) = &self.outbox {
            self.sent += 1;
            // An engine whose thread is gone has nothing to say; the window goes on.
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
    /// Whether letters were sent since the window was last woken.
    unread: Cell<bool>,
    busy: Arc<AtomicUsize>,
    /// Number of the last mail that was read.
    read: Arc<AtomicU64>,
}

impl<W: Worker> Outbox<W> {
    fn send(&self, lane: &W::Lane, number: u64, news: Option<W::Message>, done: bool) {
        let lane = lane.clone();
        // A window that is gone reads nothing; the engine ends soon.
        let _ = self.messages.send(Message {
            lane,
            number,
            news,
            done,
        });
        self.unread.set(true);
    }

    /// Wakes the window if there is something to read: once for what belongs together, as every
    /// frame has its price.
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

fn run<W: Worker>(mut worker: W, mail: &Receiver<Batch<W>>, outbox: &Outbox<W>) {
    let mut lanes: BTreeMap<W::Lane, Running<W>> = BTreeMap::new();
    loop {
        let active = report_busy(&lanes, outbox);
        let Some(submissions) = latest(mail, active == 0) else {
            return;
        };
        if let Some(submissions) = submissions {
            adopt(&mut worker, &mut lanes, submissions, outbox);
        }
        for lane in most_urgent::<W>(&lanes) {
            step(&mut worker, &lane, &mut lanes, outbox);
            // A wish that arrived meanwhile counts from the very next step on.
            match latest(mail, false) {
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

/// Tells the window how many lanes are at work, and wakes it when that changed.
fn report_busy<W: Worker>(lanes: &BTreeMap<W::Lane, Running<W>>, outbox: &Outbox<W>) -> usize {
    let active = lanes.values().filter(|lane| lane.job.is_some()).count();
    if outbox.busy.swap(active, Ordering::AcqRel) != active {
        (outbox.wake)();
    }
    active
}

/// The lanes at work that no more urgent one keeps waiting.
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

/// The newest mail: outer `None` when the window is gone, inner `None` when there is no mail.
fn latest<T>(mail: &Receiver<T>, wait: bool) -> Option<Option<T>> {
    let mut newest = if wait { Some(mail.recv().ok()?) } else { None };
    loop {
        match mail.try_recv() {
            Ok(mail) => newest = Some(mail),
            Err(TryRecvError::Empty) => return Some(newest),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}

fn adopt<W: Worker>(
    worker: &mut W,
    lanes: &mut BTreeMap<W::Lane, Running<W>>,
    (mail, submissions): Batch<W>,
    outbox: &Outbox<W>,
) {
    worker.requested(submissions.values().map(|submission| &submission.request));
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
    outbox.read.store(mail, Ordering::Release);
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
    match guarded(|| worker.step(job)) {
        Ok(step) => {
            if step.done {
                running.job = None;
            }
            if step.done || step.news.is_some() {
                outbox.send(lane, running.number, step.news, step.done);
            }
        }
        Err(message) => {
            running.job = None;
            let Failure { news, again } = worker.failed(&running.request, message);
            outbox.send(lane, running.number, Some(news), !again);
            if again {
                begin(worker, lane, running, outbox);
            }
        }
    }
}

/// Starts a lane's request.
fn begin<W: Worker>(worker: &mut W, lane: &W::Lane, running: &mut Running<W>, outbox: &Outbox<W>) {
    match guarded(|| worker.start(lane, &running.request)) {
        Ok(job) => running.job = Some(job),
        Err(message) => {
            let failure = worker.failed(&running.request, message);
            outbox.send(lane, running.number, Some(failure.news), true);
        }
    }
}

/// Runs `work` and turns a panic into its message: one picture's trouble must not end the window.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "an unknown failure".into())
    })
}
