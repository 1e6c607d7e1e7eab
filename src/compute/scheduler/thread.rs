//! The scheduler's thread: takes in requests, steps their jobs by priority, and sends messages.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use rayon::prelude::*;

use super::{Batch, Failure, Message, Step, Submission, Worker};
use crate::tasks::catch_panic;

/// Where messages go, and what the window knows of the thread.
pub(super) struct Outbox<W: Worker> {
    pub(super) messages: Sender<Message<W>>,
    pub(super) wake: Box<dyn Fn() + Send>,
    /// Whether messages were sent since the window was last woken.
    pub(super) unread: Cell<bool>,
    pub(super) busy: Arc<AtomicUsize>,
    /// Number of the last batch that was taken in.
    pub(super) read: Arc<AtomicU64>,
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

/// Runs until the window is gone.
pub(super) fn run<W: Worker>(mut worker: W, batches: &Receiver<Batch<W>>, outbox: &Outbox<W>) {
    let mut lanes: BTreeMap<W::Lane, Running<W>> = BTreeMap::new();
    loop {
        let active = report_busy(&lanes, outbox);
        let Some(submissions) = latest(batches, active == 0) else {
            return;
        };
        if let Some(submissions) = submissions {
            adopt(&mut worker, &mut lanes, submissions, outbox);
        }
        for together in most_urgent::<W>(&lanes).chunks(worker.jobs_at_once()) {
            step(&mut worker, together, &mut lanes, outbox);
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

/// Steps the jobs of some lanes at the same time, those that need the worker in turn.
fn step<W: Worker>(
    worker: &mut W,
    together: &[W::Lane],
    lanes: &mut BTreeMap<W::Lane, Running<W>>,
    outbox: &Outbox<W>,
) {
    let jobs = together.iter().filter_map(|lane| {
        let running = lanes.get_mut(lane)?;
        Some((lane, running.job.take()?))
    });
    let mut jobs: Vec<(&W::Lane, W::Job)> = jobs.collect();
    let alone = |job: &mut W::Job| catch_panic(|| W::step_alone(job));
    let steps: Vec<_> = match &mut jobs[..] {
        [(_, job)] => vec![alone(job)],
        jobs => {
            let jobs = jobs.iter_mut().map(|(_, job)| job).collect::<Vec<_>>();
            let jobs = jobs.into_par_iter().with_max_len(1);
            jobs.map(alone).collect()
        }
    };
    for ((lane, mut job), step) in jobs.into_iter().zip(steps) {
        let step = match step {
            Ok(Some(step)) => catch_panic(|| worker.keep(&job, &step)).map(|()| step),
            Ok(None) => catch_panic(|| worker.step(&mut job)),
            Err(message) => Err(message),
        };
        if let Some(running) = lanes.get_mut(lane) {
            publish(worker, lane, (running, job), step, outbox);
        }
    }
}

/// Sends what a step says to the window, and goes on with its job where it has not ended.
fn publish<W: Worker>(
    worker: &mut W,
    lane: &W::Lane,
    (running, job): (&mut Running<W>, W::Job),
    step: Result<Step<W::Message>, String>,
    outbox: &Outbox<W>,
) {
    match step {
        Ok(step) => {
            running.job = (!step.done).then_some(job);
            if step.done || step.message.is_some() {
                outbox.send(lane, running.number, step.message, step.done);
            }
        }
        Err(message) => {
            drop(job);
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
