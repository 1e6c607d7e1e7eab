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
    type News: Send + 'static;
    /// A request under way.
    type Job;

    /// Which work goes first: while that of a lower number is under way, that of higher ones waits.
    fn urgency(_lane: &Self::Lane, _job: &Self::Job) -> u8 {
        0
    }

    /// Begins a request.
    fn start(&mut self, lane: &Self::Lane, request: &Self::Request) -> Self::Job;

    /// Does one short step.
    fn step(&mut self, job: &mut Self::Job) -> Step<Self::News>;

    /// What to tell when a step of `request` panicked, and what becomes of it.
    fn failed(&mut self, request: &Self::Request, message: String) -> Failure<Self::News>;
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
struct Letter<W: Worker> {
    lane: W::Lane,
    /// The number of the wish it answers.
    number: u64,
    news: Option<W::News>,
    /// Whether nothing is left to do.
    done: bool,
}

/// A request with its number.
#[derive(Clone)]
struct Wish<R> {
    number: u64,
    request: R,
    /// Whether nothing of it is left to do.
    done: bool,
}

/// All wishes by lane.
type Wishes<W> = BTreeMap<<W as Worker>::Lane, Wish<<W as Worker>::Request>>;
/// All wishes with the number of the sending.
type Mail<W> = (u64, Wishes<W>);

/// The window's end of the engine.
pub struct Engine<W: Worker> {
    wishes: Wishes<W>,
    next_number: u64,
    sent: u64,
    outbox: Option<Sender<Mail<W>>>,
    inbox: Receiver<Letter<W>>,
    busy: Arc<AtomicUsize>,
    read: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl<W: Worker + 'static> Engine<W> {
    /// Starts the thread; `build` makes the worker there, and `wake` is called after news.
    pub fn spawn(
        build: impl FnOnce() -> W + Send + 'static,
        wake: impl Fn() + Send + 'static,
    ) -> Self {
        let (outbox, wishes) = channel();
        let (letters, inbox) = channel();
        let busy = Arc::new(AtomicUsize::new(0));
        let read = Arc::new(AtomicU64::new(0));
        let post = Post {
            letters,
            wake: Box::new(wake),
            unread: Cell::new(false),
            busy: busy.clone(),
            read: read.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || run(build(), &wishes, &post))
            .expect("the system can start a thread");
        Self {
            wishes: BTreeMap::new(),
            next_number: 0,
            sent: 0,
            outbox: Some(outbox),
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

    /// As [`Engine::want`], but what is wanted in the lanes `known` is there already, for instance
    /// from another lane: nothing is computed there.
    pub fn want_all_but(
        &mut self,
        requests: BTreeMap<W::Lane, W::Request>,
        known: &BTreeSet<W::Lane>,
    ) -> Vec<W::Lane> {
        let mut changed = Vec::new();
        let mut wishes = BTreeMap::new();
        for (lane, request) in requests {
            let kept = self.wishes.get(&lane);
            let wish = match kept.filter(|kept| kept.request == request) {
                Some(kept) => kept.clone(),
                None => {
                    changed.push(lane.clone());
                    self.next_number += 1;
                    Wish {
                        number: self.next_number,
                        request,
                        done: known.contains(&lane),
                    }
                }
            };
            wishes.insert(lane, wish);
        }
        let removed = self.wishes.keys().any(|lane| !wishes.contains_key(lane));
        if removed || !changed.is_empty() {
            self.wishes = wishes;
            self.send();
        }
        changed
    }

    /// Whether all that is wanted in a lane is done, and its news were read.
    pub fn has_finished(&self, lane: &W::Lane) -> bool {
        self.wishes.get(lane).is_some_and(|wish| wish.done)
    }

    /// The news since the last call; what answers a stale wish is dropped.
    pub fn news(&mut self) -> Vec<(W::Lane, W::News)> {
        let mut fresh = Vec::new();
        for letter in self.inbox.try_iter() {
            let wish = self.wishes.get_mut(&letter.lane);
            let Some(wish) = wish.filter(|wish| wish.number == letter.number) else {
                continue;
            };
            wish.done |= letter.done;
            fresh.extend(letter.news.map(|news| (letter.lane, news)));
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
            let _ = outbox.send((self.sent, self.wishes.clone()));
        }
    }
}

impl<W: Worker> Drop for Engine<W> {
    fn drop(&mut self) {
        self.outbox = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Post<W: Worker> {
    letters: Sender<Letter<W>>,
    wake: Box<dyn Fn() + Send>,
    /// Whether letters were sent since the window was last woken.
    unread: Cell<bool>,
    busy: Arc<AtomicUsize>,
    /// Number of the last mail that was read.
    read: Arc<AtomicU64>,
}

impl<W: Worker> Post<W> {
    fn send(&self, lane: &W::Lane, number: u64, news: Option<W::News>, done: bool) {
        let lane = lane.clone();
        // A window that is gone reads nothing; the engine ends soon.
        let _ = self.letters.send(Letter {
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

fn run<W: Worker>(mut worker: W, mail: &Receiver<Mail<W>>, post: &Post<W>) {
    let mut lanes: BTreeMap<W::Lane, Running<W>> = BTreeMap::new();
    loop {
        let active = report_busy(&lanes, post);
        let Some(wishes) = latest(mail, active == 0) else {
            return;
        };
        if let Some(wishes) = wishes {
            adopt(&mut worker, &mut lanes, wishes, post);
        }
        for lane in most_urgent::<W>(&lanes) {
            step(&mut worker, &lane, &mut lanes, post);
            // A wish that arrived meanwhile counts from the very next step on.
            match latest(mail, false) {
                None => return,
                Some(Some(wishes)) => {
                    adopt(&mut worker, &mut lanes, wishes, post);
                    break;
                }
                Some(None) => {}
            }
        }
        post.deliver();
    }
}

/// Tells the window how many lanes are at work, and wakes it when that changed.
fn report_busy<W: Worker>(lanes: &BTreeMap<W::Lane, Running<W>>, post: &Post<W>) -> usize {
    let active = lanes.values().filter(|lane| lane.job.is_some()).count();
    if post.busy.swap(active, Ordering::AcqRel) != active {
        (post.wake)();
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
    (mail, wishes): Mail<W>,
    post: &Post<W>,
) {
    lanes.retain(|lane, running| {
        wishes
            .get(lane)
            .is_some_and(|wish| wish.number == running.number)
    });
    for (lane, wish) in wishes {
        if lanes.contains_key(&lane) {
            continue;
        }
        let Wish {
            number,
            request,
            done,
        } = wish;
        let mut running = Running {
            number,
            request,
            job: None,
        };
        if !done {
            begin(worker, &lane, &mut running, post);
        }
        lanes.insert(lane, running);
    }
    report_busy(lanes, post);
    post.read.store(mail, Ordering::Release);
}

fn step<W: Worker>(
    worker: &mut W,
    lane: &W::Lane,
    lanes: &mut BTreeMap<W::Lane, Running<W>>,
    post: &Post<W>,
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
                post.send(lane, running.number, step.news, step.done);
            }
        }
        Err(message) => {
            running.job = None;
            let Failure { news, again } = worker.failed(&running.request, message);
            post.send(lane, running.number, Some(news), !again);
            if again {
                begin(worker, lane, running, post);
            }
        }
    }
}

/// Starts a lane's request.
fn begin<W: Worker>(worker: &mut W, lane: &W::Lane, running: &mut Running<W>, post: &Post<W>) {
    match guarded(|| worker.start(lane, &running.request)) {
        Ok(job) => running.job = Some(job),
        Err(message) => {
            let failure = worker.failed(&running.request, message);
            post.send(lane, running.number, Some(failure.news), true);
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
