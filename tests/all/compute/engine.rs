//! The engine: what it starts, stops and tells, and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex};

use epsiloscope::compute::scheduler::{Failure, Scheduler, Step, Worker};

use crate::support::counting::{
    BAD_START, Bench, Message, PATIENCE, SECOND_CHANCE, Started, Stepping, wait_until,
};

#[test]
fn a_newer_request_replaces_a_stale_one_within_one_step() {
    let mut bench = Bench::new();
    assert_eq!(bench.submit(&[(0, 100)]), [0]);
    bench.expect([Started(0, 100), Stepping(0, 100)]);
    // Of the requests stated during one step, the last one counts.
    bench.submit(&[(0, 200)]);
    assert_eq!(bench.submit(&[(0, 7)]), [0]);
    bench.then([Started(0, 7), Stepping(0, 7)]);
    // The last messages of the stale request are in the box by now, and are dropped.
    assert!(bench.engine.messages().is_empty());
    bench.then([Stepping(0, 7)]);
    assert_eq!(bench.engine.messages(), [(0, Message::Left(7, 6))]);
    assert!(
        bench.woken.load(Ordering::SeqCst) > 0,
        "the window is told of message"
    );
}

#[test]
fn unchanged_requests_go_on_and_finished_ones_rest() {
    let mut bench = Bench::new();
    bench.submit(&[(0, 3)]);
    bench.expect([Started(0, 3), Stepping(0, 3)]);
    assert!(bench.submit(&[(0, 3)]).is_empty());
    bench.then([Stepping(0, 3)]);
    assert_eq!(
        bench.submit(&[(0, 3), (1, 1)]),
        [1],
        "only the new lane has changed"
    );
    bench.then([Started(1, 1), Stepping(0, 3)]);
    bench.then([Stepping(1, 1)]);
    bench.let_go();
    assert!(bench.settle().is_empty());
    let done = [
        (0, Message::Left(3, 2)),
        (0, Message::Left(3, 1)),
        (0, Message::Left(3, 0)),
        (1, Message::Left(1, 0)),
    ];
    assert_eq!(bench.messages(4), done);
    // What is done is not done again for being wanted still.
    assert_eq!(bench.submit(&[(0, 3), (1, 1), (2, 1)]), [2]);
    bench.expect([Started(2, 1), Stepping(2, 1)]);
    assert_eq!(bench.messages(1), [(2, Message::Left(1, 0))]);
    assert!(bench.settle().is_empty());
}

#[test]
fn lanes_no_longer_wanted_stop() {
    let mut bench = Bench::new();
    bench.submit(&[(0, 100), (1, 100)]);
    bench.expect([Started(0, 100), Started(1, 100), Stepping(0, 100)]);
    assert!(
        bench.submit(&[(1, 100)]).is_empty(),
        "taking away changes no request"
    );
    for _ in 0..5 {
        bench.then([Stepping(1, 100)]);
    }
    assert_eq!(bench.engine.busy(), 1);
    // Wanted anew, it begins anew.
    assert_eq!(bench.submit(&[(0, 100), (1, 100)]), [0]);
    bench.then([Started(0, 100), Stepping(0, 100)]);
    bench.submit(&[]);
    bench.let_go();
    assert!(bench.settle().is_empty());
    assert!(bench.engine.messages().is_empty(), "nothing is wanted");
}

#[test]
fn results_of_an_earlier_request_are_dropped_though_it_is_wanted_again() {
    let mut bench = Bench::new();
    bench.submit(&[(0, 5)]);
    bench.expect([Started(0, 5), Stepping(0, 5)]);
    bench.then([Stepping(0, 5)]);
    bench.submit(&[]);
    assert_eq!(bench.submit(&[(0, 5)]), [0]);
    bench.then([Started(0, 5), Stepping(0, 5)]);
    assert!(bench.engine.messages().is_empty());
    bench.then([Stepping(0, 5)]);
    assert_eq!(bench.engine.messages(), [(0, Message::Left(5, 4))]);
}

#[test]
fn lanes_of_one_urgency_are_stepped_in_turn() {
    let mut bench = Bench::new();
    bench.let_go();
    bench.submit(&[(0, 3), (1, 2), (2, 3)]);
    bench.expect([Started(0, 3), Started(1, 2), Started(2, 3)]);
    bench.expect([Stepping(0, 3), Stepping(1, 2), Stepping(2, 3)]);
    bench.expect([Stepping(0, 3), Stepping(1, 2), Stepping(2, 3)]);
    bench.expect([Stepping(0, 3), Stepping(2, 3)]);
    assert_eq!(bench.messages(8).len(), 8);
    assert!(bench.settle().is_empty());
}

#[test]
fn less_urgent_lanes_wait() {
    let mut bench = Bench::new();
    bench.submit(&[(0, 2), (10, 2), (20, 1)]);
    bench.expect([
        Started(0, 2),
        Started(10, 2),
        Started(20, 1),
        Stepping(0, 2),
    ]);
    assert_eq!(bench.engine.busy(), 3, "waiting lanes are at work too");
    bench.then([Stepping(0, 2)]);
    bench.then([Stepping(10, 2)]);
    // A more urgent request goes first from the next step on.
    bench.submit(&[(0, 2), (1, 2), (10, 2), (20, 1)]);
    bench.then([Started(1, 2), Stepping(1, 2)]);
    bench.then([Stepping(1, 2)]);
    bench.then([Stepping(10, 2)]);
    bench.then([Stepping(20, 1)]);
    assert_eq!(bench.engine.busy(), 1);
    bench.let_go();
    assert!(bench.settle().is_empty());
}

#[test]
fn a_panic_becomes_news_and_the_engine_goes_on() {
    let mut bench = Bench::new();
    bench.let_go();
    bench.submit(&[(0, BAD_START), (1, -3), (2, 2)]);
    let message = bench.messages(4);
    let of = |lane: u32| {
        message
            .iter()
            .filter(|(of, _)| *of == lane)
            .map(|(_, message)| message)
            .collect::<Vec<_>>()
    };
    for (lane, text) in [(0, "bad start"), (1, "bad step -3")] {
        let found = of(lane);
        let [Message::Failed(message)] = &found[..] else {
            panic!("{found:?} of lane {lane}")
        };
        assert!(message.contains(text), "{message}");
    }
    assert_eq!(of(2), [&Message::Left(2, 1), &Message::Left(2, 0)]);
    bench.settle();
    // A failed request rests while it stays the same; another one in its place is tried.
    assert_eq!(bench.submit(&[(0, BAD_START), (1, 1), (2, 2)]), [1]);
    assert_eq!(bench.messages(1), [(1, Message::Left(1, 0))]);
    assert_eq!(bench.submit(&[(0, 1), (1, 1), (2, 2)]), [0]);
    assert_eq!(bench.messages(1), [(0, Message::Left(1, 0))]);
    assert_eq!(
        bench.settle(),
        [Started(1, 1), Stepping(1, 1), Started(0, 1), Stepping(0, 1)]
    );
}

#[test]
fn a_failed_request_begins_anew_if_the_worker_says_so() {
    let mut bench = Bench::new();
    bench.let_go();
    bench.submit(&[(0, SECOND_CHANCE)]);
    let message = bench.messages(3);
    assert!(
        message
            .iter()
            .all(|(_, message)| matches!(message, Message::Failed(_)))
    );
    let once = || [Started(0, SECOND_CHANCE), Stepping(0, SECOND_CHANCE)];
    let events = bench.settle();
    assert_eq!(
        events,
        [once(), once(), once()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    );
    assert_eq!(message.len(), 3, "then it rests");
}

#[test]
fn dropping_the_engine_ends_its_thread_after_the_step_under_way() {
    let mut bench = Bench::new();
    bench.submit(&[(0, i64::MAX), (1, i64::MAX)]);
    bench.expect([Started(0, i64::MAX)]);
    bench.let_go();
    let Bench {
        engine,
        gone,
        events,
        ..
    } = bench;
    drop(engine);
    assert!(
        gone.load(Ordering::SeqCst),
        "the worker is gone with its thread"
    );
    let rest = std::iter::from_fn(|| match events.recv_timeout(PATIENCE) {
        Ok(event) => Some(event),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("the worker still holds its end"),
    });
    assert!(rest.count() > 0);
}

#[test]
fn what_is_known_from_elsewhere_is_not_computed() {
    let mut bench = Bench::new();
    bench.let_go();
    bench.submit(&[(10, 2)]);
    assert!(!bench.engine.has_finished(&10));
    assert_eq!(bench.messages(2).len(), 2);
    wait_until(|| {
        bench.engine.messages();
        bench.engine.has_finished(&10)
    });
    bench.settle();
    // The same request in another lane, said to be known, and one that is not.
    let requests = BTreeMap::from([(0, 2), (1, 1)]);
    let changed = bench.engine.submit_except(requests, &BTreeSet::from([0]));
    assert_eq!(changed, [0, 1]);
    assert!(bench.engine.has_finished(&0));
    assert_eq!(bench.messages(1), [(1, Message::Left(1, 0))]);
    assert_eq!(bench.settle(), [Started(1, 1), Stepping(1, 1)]);
    assert!(bench.submit(&[(0, 2), (1, 1)]).is_empty(), "it stays known");
    assert!(bench.settle().is_empty());
    assert_eq!(bench.submit(&[(0, 3)]), [0], "another request is computed");
    assert_eq!(bench.messages(3).len(), 3);
}

/// A worker whose steps end only when two of them have begun. The step of lane 1 then panics.
#[derive(Default)]
struct Meeting {
    begun: Arc<(Mutex<usize>, Condvar)>,
    kept: Arc<AtomicUsize>,
}

/// The lane, and how many steps have begun.
type Guest = (u32, Arc<(Mutex<usize>, Condvar)>);

impl Worker for Meeting {
    type Lane = u32;
    type Request = ();
    type Message = Result<(), String>;
    type Job = Guest;

    fn start(&mut self, lane: &u32, (): &()) -> Guest {
        (*lane, self.begun.clone())
    }

    fn jobs_at_once(&self) -> usize {
        2
    }

    fn step_alone((lane, begun): &mut Guest) -> Option<Step<Self::Message>> {
        let (count, changed) = &**begun;
        let mut count = count.lock().expect("nobody panics with it");
        *count += 1;
        changed.notify_all();
        let (count, waited) = changed
            .wait_timeout_while(count, PATIENCE, |count| *count < 2)
            .expect("nobody panics with it");
        drop(count);
        assert!(!waited.timed_out(), "the steps run in turn");
        assert_ne!(*lane, 1, "the panic of one");
        Some(Step {
            message: Some(Ok(())),
            done: true,
        })
    }

    fn step(&mut self, _: &mut Guest) -> Step<Self::Message> {
        unreachable!("no step needs the worker")
    }

    fn keep(&mut self, _: &Guest, _: &Step<Self::Message>) {
        self.kept.fetch_add(1, Ordering::SeqCst);
    }

    fn failed(&mut self, (): &(), message: String) -> Failure<Self::Message> {
        Failure {
            message: Err(message),
            again: false,
        }
    }
}

#[test]
fn jobs_are_stepped_at_the_same_time_and_the_panic_of_one_stays_its_own() {
    if rayon::current_num_threads() < 2 {
        return;
    }
    let worker = Meeting::default();
    let kept = worker.kept.clone();
    let mut scheduler = Scheduler::spawn(|| worker, || {});
    scheduler.submit(BTreeMap::from([(0, ()), (1, ())]));
    wait_until(|| scheduler.is_idle());
    let mut messages = scheduler.messages();
    messages.sort_by_key(|(lane, _)| *lane);
    assert_eq!(messages[0], (0, Ok(())));
    let failure = messages[1].1.as_ref().expect_err("lane 1 panicked");
    assert!(failure.contains("the panic of one"), "{failure}");
    assert_eq!(kept.load(Ordering::SeqCst), 1);
}
