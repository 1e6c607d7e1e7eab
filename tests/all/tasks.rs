//! Background tasks, and what runs on them: thumbnails, the database of the triage page, exports.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use burn::tensor::Device;
use epsiloscope::data::samples;
use epsiloscope::data::thumbnails::{SIDE, Thumbnailer};
use epsiloscope::error::{Error, Result};
use epsiloscope::export::job::{Done, ExportJob, Exporter};
use epsiloscope::session::{Figure, Row, State};
use epsiloscope::tasks::{CancelToken, Inbox, TaskProgress, catch_panic, guard};
use epsiloscope::triage::reader::{Chosen, DatabaseReader, ReaderMessage};

/// Longer than any of this takes on a busy machine; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A call to be given as `wake`, and what receives its calls.
fn waker() -> (impl Fn() + Clone + Send + Sync + 'static, Receiver<()>) {
    let (sender, woken) = channel();
    let wake = move || {
        // Nobody waits any more at the end of a test.
        let _ = sender.send(());
    };
    (wake, woken)
}

fn inbox<T: Send + 'static>() -> (Inbox<T>, Receiver<()>) {
    let (wake, woken) = waker();
    (Inbox::new(wake), woken)
}

/// Takes from `receive` after each wake, until `count` messages have arrived.
fn wait_for<T>(count: usize, woken: &Receiver<()>, mut receive: impl FnMut() -> Vec<T>) -> Vec<T> {
    let mut messages = receive();
    while messages.len() < count {
        woken.recv_timeout(PATIENCE).expect("a message wakes");
        messages.extend(receive());
    }
    assert_eq!(messages.len(), count);
    messages
}

#[test]
fn messages_arrive_in_order_from_a_thread_with_a_name() {
    let (inbox, woken) = inbox::<Result<(usize, Option<String>)>>();
    let task = inbox.start("counting", Err, |outbox, _| {
        for number in 0..100 {
            let name = thread::current().name().map(str::to_owned);
            assert!(outbox.send(Ok((number, name))));
        }
    });
    for (at, message) in wait_for(100, &woken, || inbox.receive())
        .into_iter()
        .enumerate()
    {
        let (number, name) = message.expect("no failure");
        assert_eq!((number, name.as_deref()), (at, Some("counting")));
    }
    task.wait();
    assert!(inbox.receive().is_empty());
}

#[test]
fn a_panic_becomes_a_message() {
    let (inbox, woken) = inbox::<Result<u8>>();
    let task = inbox.start("failing", Err, |outbox, _| {
        outbox.send(Ok(1));
        panic!("it broke");
    });
    let messages = wait_for(2, &woken, || inbox.receive());
    assert!(matches!(messages[0], Ok(1)), "what came before is there");
    let Err(Error::Task { task: name, reason }) = &messages[1] else {
        panic!("{:?} is no failed task", messages[1]);
    };
    assert_eq!((name.as_str(), reason.as_str()), ("failing", "it broke"));
    task.wait();

    let next = inbox.start("the next", Err, |outbox, _| {
        outbox.send(Ok(2));
    });
    next.wait();
    assert!(matches!(inbox.receive()[..], [Ok(2)]));
}

#[test]
fn panics_are_caught_with_their_texts() {
    assert_eq!(catch_panic(|| 3), Ok(3));
    assert_eq!(
        catch_panic(|| panic!("a text")),
        Err::<(), _>("a text".into())
    );
    let formatted = catch_panic(|| panic!("{} texts", 2));
    assert_eq!(formatted, Err::<(), _>("2 texts".into()));
    let cancelled = guard("work", || Err::<(), _>(Error::Cancelled));
    assert!(matches!(cancelled, Err(Error::Cancelled)), "no panic");
    let error = guard::<()>("work", || panic!("a text")).expect_err("a panic");
    assert_eq!(error.to_string(), "work: failed unexpectedly: a text");
}

/// Reports progress until it is to stop, and what it then hears.
fn until_cancelled(progress: &mut TaskProgress) -> Error {
    loop {
        if let Err(error) = progress.report(0.25) {
            return error;
        }
        thread::yield_now();
    }
}

#[test]
fn a_task_reports_its_progress_and_stops_when_cancelled() {
    let (inbox, woken) = inbox::<Error>();
    let task = inbox.start(
        "working",
        |error| error,
        |outbox, progress| {
            outbox.send(until_cancelled(progress));
        },
    );
    woken.recv_timeout(PATIENCE).expect("progress wakes");
    assert!((task.progress() - 0.25).abs() < 1e-6);
    assert!(inbox.receive().is_empty());
    task.cancel();
    let messages = wait_for(1, &woken, || inbox.receive());
    assert!(matches!(messages[0], Error::Cancelled));
    task.wait();
}

#[test]
fn dropping_a_task_stops_it_and_detaching_it_does_not() {
    let (inbox, woken) = inbox::<Error>();
    let task = inbox.start(
        "dropped",
        |error| error,
        |outbox, progress| {
            outbox.send(until_cancelled(progress));
        },
    );
    drop(task);
    let messages = wait_for(1, &woken, || inbox.receive());
    assert!(matches!(messages[0], Error::Cancelled));

    let (begin, begun) = channel();
    let work = move |outbox: &epsiloscope::tasks::Outbox<_>, progress: &mut TaskProgress| {
        begun.recv().expect("the task is detached first");
        let stopped = progress.report(1.0).is_err();
        outbox.send(Error::Config(stopped.to_string()));
    };
    inbox.start("detached", |error| error, work).detach();
    begin.send(()).expect("the task waits");
    let messages = wait_for(1, &woken, || inbox.receive());
    assert_eq!(messages[0].to_string(), "false", "it goes on");
}

#[test]
fn a_task_learns_that_nobody_receives() {
    let (inbox, _woken) = inbox::<Result<()>>();
    let (dropped, wait) = channel::<()>();
    let (tell, told) = channel();
    let task = inbox.start("sending", Err, move |outbox, _| {
        // An error: the sender is dropped after the inbox.
        let _ = wait.recv();
        tell.send(outbox.send(Ok(()))).expect("the test waits");
    });
    drop(inbox);
    drop(dropped);
    assert!(!told.recv_timeout(PATIENCE).expect("the task goes on"));
    task.wait();
}

#[test]
fn a_part_of_the_progress_is_scaled_and_can_be_cancelled() {
    let mut shares = Vec::new();
    let cancel = CancelToken::default();
    let mut report = |share| shares.push(share);
    let mut progress = TaskProgress {
        progress: &mut report,
        cancel: &cancel,
    };
    let done = progress.part([0.5, 1.0], |progress| {
        progress.report(0.5)?;
        progress.part([0.5, 1.0], |progress| progress.report(2.0))?;
        cancel.cancel();
        progress.report(0.0)
    });
    assert!(matches!(done, Err(Error::Cancelled)));
    assert_eq!(shares, [0.75, 1.0, 0.5]);
}

#[test]
fn a_service_answers_its_commands_in_order_before_it_ends() {
    let (inbox, _woken) = inbox::<Result<u32>>();
    let service = inbox.serve("squaring", Err, |numbers: &Receiver<u32>, outbox| {
        for number in numbers {
            outbox.send(Ok(number * number));
        }
    });
    (0..50).for_each(|number| service.send(number));
    service.finish();
    let answers: Result<Vec<u32>> = inbox.receive().into_iter().collect();
    let squares: Vec<u32> = (0..50).map(|number| number * number).collect();
    assert_eq!(answers.expect("no failure"), squares);
}

#[test]
fn a_service_that_panics_says_so_and_takes_commands_without_effect() {
    let (inbox, woken) = inbox::<Result<()>>();
    let work = |commands: &Receiver<()>, _: &_| {
        commands.recv().expect("a command");
        panic!("a bad command");
    };
    let service = inbox.serve("failing", Err, work);
    service.send(());
    let messages = wait_for(1, &woken, || inbox.receive());
    assert!(matches!(messages[0], Err(Error::Task { .. })));
    service.send(());
    service.finish();
    assert!(inbox.receive().is_empty());
}

#[test]
fn a_pool_works_on_as_many_jobs_at_once_as_it_has_threads() {
    let (inbox, woken) = inbox::<usize>();
    let meeting = Arc::new(Barrier::new(2));
    let pool = inbox.pool(
        "pairs",
        2,
        |job, _| job,
        move || {
            let meeting = meeting.clone();
            move |job: usize| {
                // With one thread, nobody else would come.
                meeting.wait();
                assert_eq!(thread::current().name(), Some("pairs"));
                job + 1
            }
        },
    );
    pool.edit(|waiting| waiting.extend(0..20));
    let mut done = wait_for(20, &woken, || inbox.receive());
    done.sort_unstable();
    assert_eq!(done, (1..=20).collect::<Vec<_>>());
}

#[test]
fn waiting_jobs_of_a_pool_are_replaced_and_a_panic_costs_one_job() {
    let (inbox, woken) = inbox::<(char, usize)>();
    let (begin, begun) = channel();
    let begun = Arc::new(std::sync::Mutex::new(begun));
    let pool = inbox.pool(
        "one by one",
        1,
        |job, _| (job, 0),
        move || {
            let begun = begun.clone();
            let mut jobs = 0;
            move |job: char| {
                if job == 'a' {
                    let begun = begun.lock().expect("one thread");
                    begun.recv().expect("the test goes on");
                }
                assert_ne!(job, 'x', "a job that panics");
                jobs += 1;
                (job, jobs)
            }
        },
    );
    pool.edit(|waiting| waiting.push_back('a'));
    // Until the thread has taken it; what it is doing is not among those that wait.
    loop {
        let mut taken = false;
        pool.edit(|waiting| taken = waiting.is_empty());
        if taken {
            break;
        }
        thread::yield_now();
    }
    pool.edit(|waiting| waiting.extend(['b', 'c']));
    pool.edit(|waiting| {
        assert_eq!(*waiting, ['b', 'c']);
        *waiting = ['d', 'x', 'e'].into();
    });
    begin.send(()).expect("the thread waits");
    let done = wait_for(4, &woken, || inbox.receive());
    assert_eq!(
        done,
        [('a', 1), ('d', 2), ('x', 0), ('e', 1)],
        "a new worker"
    );
}

#[test]
fn thumbnails_of_pictures_and_of_what_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let picture = image::RgbImage::from_pixel(300, 200, image::Rgb([200, 30, 30]));
    picture.save(path("red.png")).expect("a picture");
    std::fs::write(path("none.png"), b"no picture").expect("a file");
    let cache = folder.path().join("thumbnails.db");
    for _ in ["decoded", "read from the cache"] {
        let (wake, woken) = waker();
        let mut thumbnailer = Thumbnailer::new(Some(cache.clone()), wake);
        let names = ["red.png", "none.png", "missing.png"];
        thumbnailer.submit(names.map(path).to_vec());
        let mut found = wait_for(3, &woken, || thumbnailer.receive());
        found.sort_by_key(|(path, _)| path.clone());
        let [(_, missing), (_, none), (_, red)] = &found[..] else {
            panic!("{} thumbnails", found.len());
        };
        assert!(missing.is_none() && none.is_none());
        let red = red.as_ref().expect("a thumbnail");
        assert_eq!(red.dimensions(), (SIDE as u32, SIDE as u32));
        let [r, g, _] = red.get_pixel(64, 64).0;
        assert!(r > 180 && g < 60, "red");
    }
}

#[test]
fn a_database_that_cannot_be_read_is_closed_with_a_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scans.db");
    std::fs::write(&path, b"no database").expect("a file");
    let (wake, woken) = waker();
    let reader = DatabaseReader::open(&path, Chosen::default(), wake);
    reader.tag(vec![1], "tag", true);
    match &wait_for(1, &woken, || reader.receive())[..] {
        [ReaderMessage::Closed(error)] => assert!(error.to_string().contains("scans.db")),
        _ => panic!("it is not closed"),
    }
}

#[test]
fn a_cancelled_export_ends_and_another_can_begin() {
    let (wake, woken) = waker();
    let mut exporter = Exporter::new(Device::flex(), wake);
    let mut state = State::new(vec!["cifar10-standard".into()]);
    let (picture, truth) = samples::all().swap_remove(0);
    state.add(picture, truth);
    for _ in 0..2 {
        assert!(exporter.progress().is_none() && exporter.outcome().is_none());
        exporter.begin(
            ExportJob::Copy(Figure::default()),
            &state,
            &[Row::default()],
        );
        assert!(exporter.progress().is_some());
        exporter.cancel();
        let outcome = wait_for(1, &woken, || exporter.outcome().into_iter().collect());
        assert!(matches!(outcome[..], [Ok(Done::Cancelled)]));
    }
}
