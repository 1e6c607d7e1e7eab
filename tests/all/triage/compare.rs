//! Several scans in one table, and how often which numbers occur.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use epsiloscope::app::panels::triage::TriageState;
use epsiloscope::attack::{Attack, Norm};
use epsiloscope::data::thumbnails::Thumbnailer;
use epsiloscope::model::{Examined, Fingerprint};
use epsiloscope::session::Triage;
use epsiloscope::triage::query::{Moment, NumberColumn};
use epsiloscope::triage::{
    ConfusionMatrix, Database, Histogram, Plan, Query, Scan, ScanStep, Table,
};
use tempfile::tempdir;

use crate::support::{BLUE, RED, tiny_classifier, write_pictures};

/// What one scan with the model of that seed finds.
fn scan(database: &Path, source: PathBuf, seed: u64, attack: Option<Attack>) -> Table {
    let plan = Plan {
        source,
        models: vec![format!("model {seed}").as_str().into()],
        attack,
        flip: None,
        map: false,
    };
    let model = Examined {
        fingerprint: Fingerprint([seed as u8; 32]),
        classifier: Arc::new(tiny_classifier(2, seed)),
    };
    let database = Database::open(database).expect("a database");
    let mut scan = Scan::new(database, &plan, vec![model], 4).expect("a scan");
    while scan.step().expect("a step") != ScanStep::Finished {}
    let id = scan.id();
    scan.into_database().table(id).expect("its results")
}

#[test]
fn another_scan_stands_beside_where_it_saw_the_same_pictures() {
    let folder = tempdir().expect("a folder");
    let set = folder.path().join("set");
    write_pictures(&set.join("class 0"), RED, 6, 8, 5);
    write_pictures(&set.join("class 1"), BLUE, 6, 8, 6);
    let list = folder.path().join("some.txt");
    // The classes come in another order here.
    let lines = "set/class 1/02.png\tclass 1\nset/class 0/01.png\tclass 0\nset/class 1/05.png\n";
    fs::write(&list, lines).expect("a list");
    let database = folder.path().join("scans.db");
    let attack = Attack::pgd(Norm::L2, 0.8, 3);
    let whole = scan(&database, set, 3, Some(attack));
    let part = scan(&database, list, 4, None);

    let both = whole.clone().joined_with(&part);
    assert_eq!((both.own_models(), both.subjects.len()), (1, 2));
    assert_eq!(both.subjects[1].name, "tiny (clean)");
    let seen = both
        .records
        .iter()
        .filter(|record| record.sides[1].is_some());
    assert_eq!(seen.count(), 3);
    for record in &both.records {
        let alone = part
            .records
            .iter()
            .find(|other| other.picture == record.picture);
        let Some(found) = record.sides[1] else {
            assert!(alone.is_none(), "{} was forgotten", record.path);
            continue;
        };
        let alone = alone.and_then(|other| other.sides[0]).expect("it saw it");
        assert_eq!(both.classes[found.class], part.classes[alone.class]);
        assert_eq!(found.confidence, alone.confidence);
    }
    let query = Query::parse("a.pred != b.pred or a.pred = b.pred", &both.vocabulary());
    assert_eq!(query.expect("both have letters").select(&both).len(), 3);
    let outcomes = ConfusionMatrix::outcomes(&both, [0, 1]);
    // One picture of the list has no known class there, but in the folder's scan it has.
    assert!(outcomes.total() >= 2 && outcomes.rows.parts.len() == 4);
    assert_eq!(outcomes.columns.parts.len(), 2, "one scan did not attack");
}

/// A query of one scan may mean nothing in the next, whose pictures are fewer.
#[test]
fn a_selection_never_outlives_its_table() {
    let folder = tempdir().expect("a folder");
    let set = folder.path().join("set");
    write_pictures(&set.join("class 0"), RED, 9, 8, 5);
    let few = folder.path().join("few");
    write_pictures(&few, BLUE, 2, 8, 6);
    let database = folder.path().join("scans.db");
    let mut memory = TriageState::new(Thumbnailer::new(None, || {}));
    let triage = Triage {
        query: "path ~ set".into(),
        ..Triage::default()
    };
    memory.contents.table = Arc::new(scan(&database, set, 3, None));
    memory.refresh(&triage);
    assert_eq!(memory.selection.len(), 9);
    let half_written = Triage {
        query: "true = ".into(),
        ..triage
    };
    memory.contents.table = Arc::new(scan(&database, few, 3, None));
    memory.refresh(&half_written);
    let records = memory.contents.table.records.len();
    assert_eq!(records, 2);
    assert!(memory.selection.iter().all(|&index| index < records));
}

#[test]
fn a_histogram_counts_each_selected_picture_once() {
    let folder = tempdir().expect("a folder");
    let set = folder.path().join("set");
    write_pictures(&set.join("class 0"), RED, 20, 8, 5);
    let table = scan(&folder.path().join("scans.db"), set, 3, None);
    let column = NumberColumn::Confidence(0, Moment::Clean);
    assert_eq!(NumberColumn::known(&table), [column]);
    let selected: Vec<usize> = (0..15).collect();
    let histogram = Histogram::of(&table, &selected, column).expect("all have it");
    assert_eq!(histogram.counts.iter().sum::<usize>(), 15);
    for (bin, &count) in histogram.counts.iter().enumerate() {
        let [from, to] = histogram.range(bin);
        let inside = selected
            .iter()
            .filter_map(|&index| column.of(&table.records[index]));
        let inside = inside.filter(|&value| (from..to).contains(&f64::from(value)));
        // The greatest is at the end of the last.
        let last = usize::from(bin + 1 == histogram.counts.len());
        assert!(inside.count().abs_diff(count) <= last);
    }
    assert!(Histogram::of(&table, &selected, NumberColumn::Flip(0)).is_none());
}
