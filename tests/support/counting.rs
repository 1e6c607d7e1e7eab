//! An engine that counts integers down: every step waits for the test's leave, so that nothing
//! depends on time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use epsiloscope::compute::scheduler::{Failure, Scheduler, Step, Worker};

/// Longer than anything here takes, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// This request panics when it is started, negative ones in their first step; a positive one is
/// as many steps long.
pub(crate) const BAD_START: i64 = 0;
/// This one begins anew twice after it has failed.
pub(crate) const SECOND_CHANCE: i64 = -7;

#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Started(u32, i64),
    /// The step has begun; it ends when the test allows it.
    Stepping(u32, i64),
}

pub(crate) use Event::{Started, Stepping};

#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    /// Of this request so many steps are left.
    Left(i64, i64),
    Failed(String),
}

pub(crate) struct Counter {
    events: Sender<Event>,
    leave: Receiver<()>,
    chances: u32,
    gone: Arc<AtomicBool>,
}

pub(crate) struct Job {
    lane: u32,
    request: i64,
    left: i64,
}

impl Worker for Counter {
    /// Tens are the urgency.
    type Lane = u32;
    type Request = i64;
    type Message = Message;
    type Job = Job;

    fn urgency(lane: &u32, _: &Self::Job) -> u8 {
        (lane / 10) as u8
    }

    fn start(&mut self, &lane: &u32, &request: &i64) -> Job {
        assert_ne!(request, BAD_START, "bad start");
        let _ = self.events.send(Started(lane, request));
        Job {
            lane,
            request,
            left: request,
        }
    }

    fn step(&mut self, job: &mut Job) -> Step<Message> {
        let _ = self.events.send(Stepping(job.lane, job.request));
        // Once the test has let go of the other end, steps run by themselves.
        let _ = self.leave.recv();
        assert!(job.request > 0, "bad step {}", job.request);
        job.left -= 1;
        Step {
            message: Some(Message::Left(job.request, job.left)),
            done: job.left == 0,
        }
    }

    fn failed(&mut self, &request: &i64, message: String) -> Failure<Message> {
        let again = request == SECOND_CHANCE && self.chances > 0;
        self.chances -= u32::from(again);
        Failure {
            message: Message::Failed(message),
            again,
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

/// An engine in the hands of a test. The leave is dropped before the engine, which joins its thread.
pub(crate) struct Bench {
    leave: Option<Sender<()>>,
    pub(crate) events: Receiver<Event>,
    pub(crate) gone: Arc<AtomicBool>,
    pub(crate) woken: Arc<AtomicUsize>,
    pub(crate) engine: Scheduler<Counter>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let (leave, on_leave) = channel();
        let (to_events, events) = channel();
        let (gone, woken) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (its_gone, its_woken) = (gone.clone(), woken.clone());
        let build = move || Counter {
            events: to_events,
            leave: on_leave,
            chances: 2,
            gone: its_gone,
        };
        let wake = move || {
            its_woken.fetch_add(1, Ordering::SeqCst);
        };
        let engine = Scheduler::spawn(build, wake);
        Self {
            leave: Some(leave),
            events,
            gone,
            woken,
            engine,
        }
    }

    pub(crate) fn submit(&mut self, submissions: &[(u32, i64)]) -> Vec<u32> {
        self.engine
            .submit(submissions.iter().copied().collect::<BTreeMap<u32, i64>>())
    }

    /// Waits for the next events.
    #[track_caller]
    pub(crate) fn expect(&self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            assert_eq!(self.events.recv_timeout(PATIENCE), Ok(event));
        }
    }

    /// Lets the step under way end and waits for the next events.
    #[track_caller]
    pub(crate) fn then(&self, events: impl IntoIterator<Item = Event>) {
        self.leave
            .as_ref()
            .expect("steps still wait")
            .send(())
            .expect("the engine runs");
        self.expect(events);
    }

    /// Lets all steps run by themselves from now on.
    pub(crate) fn let_go(&mut self) {
        self.leave = None;
    }

    /// Waits until no lane is at work and returns the events since.
    #[track_caller]
    pub(crate) fn settle(&self) -> Vec<Event> {
        wait_until(|| self.engine.busy() == 0);
        self.events.try_iter().collect()
    }

    /// Collects message until there are `count`.
    #[track_caller]
    pub(crate) fn messages(&mut self, count: usize) -> Vec<(u32, Message)> {
        let mut message = Vec::new();
        wait_until(|| {
            message.extend(self.engine.messages());
            message.len() >= count
        });
        message
    }
}

#[track_caller]
pub(crate) fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "the engine takes too long");
        std::thread::yield_now();
    }
}
