//! Scans that the window orders, in the background.

use std::collections::BTreeMap;

use epsiloscope::compute::scheduler::Scheduler;
use epsiloscope::compute::{ComputeMessage, ComputeWorker, Lane, Request, ScanRequest};
use epsiloscope::session::{Row, requests};
use epsiloscope::triage::{Database, Plan};
use tempfile::tempdir;

use crate::session::requests::state;
use crate::support::counting::wait_until;
use crate::support::write_two_colours;

#[test]
fn a_scan_goes_on_in_the_background_until_it_pauses() {
    let folder = tempdir().expect("a folder");
    write_two_colours(folder.path(), 0, 2);
    let order = ScanRequest {
        plan: Plan {
            source: folder.path().into(),
            models: vec!["cifar10-robust".into()],
            attack: None,
            flip: None,
            map: false,
        },
        database: folder.path().join("scans.db"),
    };
    let mut state = state();
    state.progress.scan.request = Some(order.clone());
    state.progress.scan.paused = true;
    assert!(!requests(&state, &[Row::default()]).contains_key(&Lane::Scan));
    state.progress.scan.paused = false;
    let request = requests(&state, &[Row::default()]).remove(&Lane::Scan);
    assert_eq!(request, Some(Request::Scan(order.clone())));

    let device = burn::tensor::Device::flex();
    let mut engine = Scheduler::spawn(move || ComputeWorker::new(device), || {});
    engine.submit(BTreeMap::from([(Lane::Scan, Request::Scan(order.clone()))]));
    let mut last = None;
    wait_until(|| {
        for (_, message) in engine.messages() {
            match message {
                ComputeMessage::Scanned(progress) => last = Some(progress),
                ComputeMessage::Failed(message) => panic!("{message}"),
                _ => panic!("other message"),
            }
        }
        engine.has_finished(&Lane::Scan)
    });
    let last = last.expect("its progress is told");
    assert_eq!((last.done, last.total), (4, 4));
    let database = Database::open(&order.database).unwrap_or_else(|error| panic!("{error}"));
    let scan = database.scans().unwrap_or_else(|error| panic!("{error}"))[0].id;
    let table = database
        .table(scan)
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(table.records.iter().all(|record| record.sides[0].is_some()));
}
