//! What is taken out of a table: matrices, comma-separated values, pictures, pages.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use epsiloscope::attack::Attack;
use epsiloscope::model::Fingerprint;
use epsiloscope::model::{Classifier, Examined};
use epsiloscope::triage::query::{Flag, Moment};
use epsiloscope::triage::{
    ConfusionMatrix, Database, Plan, Query, Record, Scan, ScanAttackResult, ScanStep, ScannedModel,
    Side, Table, report,
};
use tempfile::tempdir;

use crate::support::{BLUE, RED, tiny_manifest, tiny_network, write_pictures};

const CLASSES: [&str; 2] = ["<script>alert(1)</script>", "b & \"c\",\nd"];

/// Twelve pictures with names and classes that mean something in HTML and in tables.
fn hostile(folder: &Path) -> Table {
    let set = folder.join("<b>set");
    for (class, colour) in CLASSES.into_iter().zip([RED, BLUE]) {
        // A slash cannot be in a name.
        let class = set.join(class.replace('/', "∕"));
        write_pictures(&class, colour, 5, 8, 5);
        let name = class.join("\"'><img src=x onerror=alert(2)>,\n.png");
        fs::copy(class.join("00.png"), name).expect("a file can be copied");
    }
    let models = [3, 4].map(|seed| {
        let mut manifest = tiny_manifest(2);
        manifest.name = format!("<i>{seed}");
        manifest.labels = CLASSES.map(|class| class.replace('/', "∕")).to_vec();
        let network = tiny_network(2, seed);
        Examined {
            fingerprint: Fingerprint([seed as u8; 32]),
            classifier: Arc::new(Classifier::from_trained(network, manifest, &Device::flex())),
        }
    });
    let plan = Plan {
        source: set,
        models: vec!["one".into(), "other".into()],
        attack: Some(Attack::default()),
        flip: None,
        map: false,
    };
    let database = Database::open(&folder.join("hostile.db")).expect("a database");
    let mut scan = Scan::new(database, &plan, models.to_vec(), 64).expect("a scan");
    while scan.step().expect("a step") != ScanStep::Finished {}
    let id = scan.id();
    let mut database = scan.into_database();
    let table = database.table(id).expect("its results");
    let first = table.records[0].picture;
    database.tag(&[first], "<u>tag", true).expect("tagged");
    database.table(id).expect("its results")
}

#[test]
fn pages_hold_nothing_but_text_and_pictures() {
    let folder = tempdir().expect("a folder");
    let table = hostile(folder.path());
    let query = Query::parse("a.wrong or path ~ \"<b>\"", &table.vocabulary()).expect("a query");
    let selected = query.select(&table);
    assert_eq!(selected.len(), 12);
    let path = folder.path().join("page.html");
    report::html(&table, &query, &selected, &path).expect("a page");
    let page = fs::read_to_string(&path).expect("the page is there");
    for part in [
        "<script",
        "<img src=x",
        "<b>",
        "<i>",
        "http",
        "<link",
        "<u>",
    ] {
        assert!(!page.contains(part), "{part} in {page}");
    }
    assert!(page.contains("&lt;img src=x onerror=alert(2)&gt;"));
    assert!(page.contains("path ~ &quot;&lt;b&gt;&quot;"));
    let pictures = page
        .matches("<img alt=\"\" src=\"data:image/png;base64,")
        .count();
    assert_eq!(pictures, page.matches("<figure>").count());
    assert!(pictures > 5);
    let tables = page.matches("<table>").count();
    assert_eq!(tables, ConfusionMatrix::all(&table).len());
}

#[test]
fn tables_read_back() {
    let folder = tempdir().expect("a folder");
    let table = hostile(folder.path());
    let path = folder.path().join("table.csv");
    let selected = [3, 0];
    report::csv(&table, &selected, &path).expect("a table");
    let mut reader = csv::Reader::from_path(&path).expect("the table is there");
    let names = reader.headers().expect("a line of names").clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 2);
    for (row, index) in rows.iter().zip(selected) {
        let record = &table.records[index];
        let cell = |name: &str| {
            let column = names.iter().position(|known| known == name);
            &row[column.unwrap_or_else(|| panic!("no column {name}"))]
        };
        assert_eq!(cell("path"), record.path);
        assert_eq!(cell("true"), table.class(record.truth));
        assert_eq!(cell("tags"), record.tags.join(" "));
        for (side, character) in record.sides.iter().zip('a'..) {
            let side = side.expect("a result");
            let hit = side.attacked.expect("attacked");
            assert_eq!(
                cell(&format!("{character}.pred")),
                table.class(Some(side.class))
            );
            assert_eq!(cell(&format!("{character}.l2")).parse(), Ok(hit.l2));
            assert_eq!(
                cell(&format!("{character}.attacked.success")).parse(),
                Ok(hit.success)
            );
            assert_eq!(cell(&format!("{character}.flip")), "");
        }
    }
    assert_eq!(rows[1].get(names.len() - 1), Some("<u>tag"));
}

#[test]
fn copies_overwrite_nothing() {
    let folder = tempdir().expect("a folder");
    let table = hostile(folder.path());
    let out = folder.path().join("out");
    fs::create_dir(&out).expect("a folder can be made");
    fs::write(out.join("01.png"), "mine").expect("a file can be written");
    let all: Vec<usize> = (0..12).collect();
    let copies = report::copy(&table, &all, &out).expect("copies");
    assert_eq!(copies.len(), 12);
    assert_eq!(fs::read(out.join("01.png")).expect("still there"), b"mine");
    assert_eq!(fs::read_dir(&out).expect("a folder").count(), 13);
    for (record, copy) in table.records.iter().zip(&copies) {
        let [before, after] = [Path::new(&record.path), copy].map(|path| fs::read(path).ok());
        assert_eq!(before, after, "{}", copy.display());
    }
    assert!(copies.contains(&out.join("01 2.png")) && copies.contains(&out.join("01 3.png")));
}

/// A table of made-up results of two models for 512 pictures of three classes.
fn made_up() -> Table {
    let mut table = Table::default();
    table.plan = Some(Plan {
        source: "nowhere".into(),
        models: vec!["one".into(), "other".into()],
        attack: Some(Attack::default()),
        flip: None,
        map: false,
    });
    table.classes = ["cat", "dog", "cow"].map(str::to_owned).to_vec();
    let subject = |name: &str| ScannedModel {
        name: name.into(),
        classes: vec![0, 1, 2],
    };
    table.subjects = vec![subject("one"), subject("other")];
    let record = |index: usize| {
        let truth = (!index.is_multiple_of(7)).then_some(index % 3);
        let side = |side: usize| {
            let [class, after] = [3, 5].map(|factor| (index / factor + side * index) % 3);
            let right = |class: usize| truth.map(|truth| truth == class);
            (index % 11 != side).then(|| Side {
                class,
                confidence: index as f32 / 512.0,
                right: right(class),
                fakeness: None,
                flip: None,
                attacked: (index % 13 != side).then(|| ScanAttackResult {
                    class: after,
                    confidence: 0.5,
                    right: right(after),
                    success: class != after,
                    linf: 0.1,
                    l2: 1.0,
                }),
            })
        };
        Record {
            picture: index as i64,
            number: index as u64,
            path: format!("{index:03}.png"),
            truth,
            sides: vec![side(0), side(1)],
            tags: Vec::new(),
        }
    };
    table.records = (0..512).map(record).collect();
    table
}

#[test]
fn every_cell_is_its_query() {
    let table = made_up();
    let matrices = ConfusionMatrix::all(&table);
    assert_eq!(matrices.len(), 6);
    for matrix in &matrices {
        for (row, counts) in matrix.counts.iter().enumerate() {
            for (column, &count) in counts.iter().enumerate() {
                let query = matrix.query(row, column);
                assert_eq!(
                    query.select(&table).len(),
                    count,
                    "{}: {query}",
                    matrix.title
                );
                let text = query.to_string();
                assert_eq!(
                    Query::parse(&text, &table.vocabulary()),
                    Ok(query),
                    "{text}"
                );
            }
        }
    }
    // All pictures whose truth is known and that both models were asked about, before and after.
    let known = table.records.iter().filter(|record| {
        let asked = |side: &Option<Side>| side.is_some_and(|side| side.attacked.is_some());
        record.truth.is_some() && record.sides.iter().all(asked)
    });
    assert_eq!(matrices[0].total(), known.count());
    let used = matrices[0]
        .counts
        .iter()
        .flatten()
        .filter(|count| **count > 0);
    assert!(used.count() > 8);
}

#[test]
fn selections_by_hand() {
    let table = made_up();
    let select = |text: &str| {
        let query = Query::parse(text, &table.vocabulary());
        query
            .unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
            .select(&table)
    };
    let all = select("");
    assert_eq!(all, (0..512).collect::<Vec<usize>>());
    // What is not known is neither right nor wrong.
    let [right, wrong] = ["a.right", "a.wrong"].map(|text| select(text).len());
    let known = table
        .records
        .iter()
        .filter(|record| record.sides[0].is_some_and(|side| side.right.is_some()));
    assert_eq!(right + wrong, known.count());
    assert_eq!(select("not a.right").len(), 512 - right);
    assert_eq!(select("path ~ 00").len(), 15);
    assert_eq!(select("a.confidence > 0.99"), [507, 508, 509, 510, 511]);
    let best = select("true = cat sort by b.confidence desc");
    // 507 is not known to the second model, and so comes last.
    assert_eq!((best[0], best.last()), (510, Some(&507)));
    let sure = select("confident but wrong");
    assert!(!sure.is_empty());
    for index in sure {
        let record = &table.records[index];
        assert!(
            record
                .sides
                .iter()
                .flatten()
                .any(|side| side.right == Some(false))
        );
        assert!(
            record
                .sides
                .iter()
                .flatten()
                .any(|side| side.confidence >= 0.9)
        );
        assert!(Flag::ConfidentButWrong.holds(record));
    }
    let apart = select("a.pred != b.pred");
    assert_eq!(apart, select("disagree"));
    assert!(
        apart
            .iter()
            .all(|&index| Flag::Disagree(Moment::Clean).holds(&table.records[index]))
    );
    assert_eq!(select("tag = x"), [0; 0]);
}
