//! The log file and the reports of panics.

use std::fs;

use epsiloscope::app::diagnostics::{PanicReport, RollingFile};

#[test]
fn a_full_log_makes_room_and_keeps_the_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new").join("a.log");
    let mut log = RollingFile::open(path.clone(), 10).expect("a file");
    for line in ["first\n", "next\n", "third\n", "fourth\n"] {
        log.append(line.as_bytes()).expect("room");
    }
    let read = |path| fs::read_to_string(path).expect("text");
    assert_eq!(read(path.clone()), "fourth\n");
    assert_eq!(read(path.with_extension("1.log")), "third\n");
    let files = fs::read_dir(path.parent().expect("a folder")).expect("a folder");
    assert_eq!(files.count(), 2, "older ones are gone");
}

#[test]
fn a_log_goes_on_where_the_last_run_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.log");
    for _ in 0..2 {
        let mut log = RollingFile::open(path.clone(), 8).expect("a file");
        log.append(b"run\n").expect("room");
    }
    assert_eq!(fs::read_to_string(&path).expect("text"), "run\nrun\n");
    let mut log = RollingFile::open(path.clone(), 8).expect("a file");
    log.append(b"longer than a file may be\n").expect("room");
    let text = fs::read_to_string(&path).expect("text");
    assert_eq!(text, "longer than a file may be\n", "no line is cut");
}

#[test]
fn a_report_says_what_a_reader_needs() {
    let log = ["WARN one".to_owned(), "WARN two".to_owned()];
    let report = PanicReport {
        thread: Some("worker"),
        location: Some("src/a.rs:1:2".into()),
        message: "index out of bounds",
        backtrace: "0: main\n",
        log: &log,
    };
    let text = report.to_string();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        text.starts_with(&format!("epsiloscope {version} on ")),
        "{text}"
    );
    let rest = text.split_once('\n').expect("lines").1;
    assert_eq!(
        rest,
        "thread: worker\nat: src/a.rs:1:2\nmessage: index out of bounds\n\nbacktrace:\n0: main\n\nlog:\nWARN one\nWARN two\n"
    );
}
