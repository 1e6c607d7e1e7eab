//! Scans: the counts of `evaluate`, nothing computed twice, whatever stops them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};
use epsiloscope::attack::{Attack, Norm};
use epsiloscope::data::{Dataset, Split};
use epsiloscope::evaluate;
use epsiloscope::model::Fingerprint;
use epsiloscope::model::import::ModelSource;
use epsiloscope::model::{Classifier, Examined, FeatureLayer, Network, ResNet};
use epsiloscope::triage::query::Moment;
use epsiloscope::triage::{
    ConfusionMatrix, Database, FlipSearch, Plan, Query, Scan, ScanStep, Table, report,
};
use tempfile::{TempDir, tempdir};

use crate::support::{
    BLUE, RED, largest_difference, message_naming, tiny_manifest, tiny_network, values,
    write_pictures,
};

/// A network that counts the pictures it looks at.
struct Counting(ResNet, Arc<AtomicUsize>);

impl Network for Counting {
    fn features(&self, x: Tensor<4>, cut: FeatureLayer) -> Tensor<4> {
        self.1.fetch_add(x.dims()[0], Ordering::Relaxed);
        self.0.features(x, cut)
    }

    fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        self.0.embed(features)
    }

    fn logits(&self, embedding: Tensor<2>) -> Tensor<2> {
        Network::logits(&self.0, embedding)
    }
}

/// A tree of seven pictures of either class, one of them broken, and where a database goes.
struct Set {
    folder: TempDir,
}

impl Set {
    fn new() -> Self {
        let folder = tempdir().expect("a folder");
        let test = folder.path().join("set/test");
        write_pictures(&test.join("class 0"), RED, 7, 8, 5);
        write_pictures(&test.join("class 1"), BLUE, 7, 8, 6);
        fs::write(test.join("class 0/03.png"), "no picture").expect("a file can be written");
        Self { folder }
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("set")
    }

    fn plan(&self) -> Plan {
        Plan {
            source: self.source(),
            models: vec!["one".into(), "other".into()],
            attack: Some(Attack::pgd(Norm::L2, 0.8, 3)),
            flip: Some(FlipSearch {
                most: 3.0,
                tolerance: 0.1,
            }),
            map: true,
        }
    }

    fn database(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn scan(&self, name: &str, plan: &Plan, models: &[Examined]) -> Scan {
        let database = Database::open(&self.database(name)).expect("a database");
        Scan::new(database, plan, models.to_vec(), 4).expect("a scan")
    }
}

fn models() -> (Vec<Examined>, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let models = [3, 4].map(|seed| {
        let network = Counting(tiny_network(2, seed).fold(), count.clone());
        let device = Device::flex();
        Examined {
            fingerprint: Fingerprint([seed as u8; 32]),
            classifier: Arc::new(Classifier::from_network(
                Box::new(network),
                tiny_manifest(2),
                &device,
            )),
        }
    });
    (models.to_vec(), count)
}

fn finish(mut scan: Scan) -> Table {
    while scan.step().expect("a step") != ScanStep::Finished {}
    let id = scan.id();
    scan.into_database().table(id).expect("its results")
}

#[test]
fn counts_are_those_of_evaluate() {
    let set = Set::new();
    let (models, _) = models();
    let table = finish(set.scan("all.db", &set.plan(), &models));
    assert_eq!(
        (table.records.len(), table.broken.len(), table.total()),
        (13, 1, 14)
    );
    assert!(table.broken[0].0.ends_with("03.png"), "{:?}", table.broken);
    let database = Database::open(&set.database("all.db")).expect("a database");
    for (side, examined) in models.iter().enumerate() {
        let kept = database
            .representations(&table, side)
            .expect("representations");
        assert_eq!(kept.len(), 13);
        let data = Dataset::open(&set.source(), Split::Test, [8, 8]).expect("a data set");
        let model = &examined.classifier;
        let whole = values(model.representation(data.tensor(&[kept[4].record], model.device())));
        // Kept in half precision.
        assert!(largest_difference(&kept[4].clean, &whole) < 1e-2);
        assert!(
            kept.iter()
                .all(|one| one.attacked.as_ref() != Some(&one.clean))
        );
    }
    let attack = set.plan().attack;
    for (side, examined) in models.iter().enumerate() {
        let model = &examined.classifier;
        let data = Dataset::open(&set.source(), Split::Test, [8, 8]).expect("a data set");
        for (moment, attack) in [(Moment::Clean, None), (Moment::Attacked, attack.as_ref())] {
            let report = evaluate::evaluate(model, &data, attack, |_| true);
            let matrix = ConfusionMatrix::confusion(&table, side, moment);
            let right: usize = matrix
                .rows
                .parts
                .iter()
                .enumerate()
                .filter_map(|(row, (name, _))| {
                    let same = |(column, (other, _)): (usize, &(String, _))| {
                        (name == other).then(|| matrix.counts[row][column])
                    };
                    matrix.columns.parts.iter().enumerate().find_map(same)
                })
                .sum();
            assert_eq!(right as f64 / 13.0, report.accuracy, "{side} {moment:?}");
            if attack.is_some() {
                let norms = table.records.iter().map(|record| {
                    let side = record.sides[side].expect("a result");
                    side.attacked.expect("attacked").l2
                });
                assert_eq!(norms.fold(0.0, f32::max), report.l2[1]);
                let moved = table.records.iter().filter(|record| {
                    record.sides[side]
                        .and_then(|side| side.attacked)
                        .is_some_and(|hit| hit.success)
                });
                let candidates = table.records.iter().filter(|record| {
                    record.sides[side].is_some_and(|side| side.right == Some(true))
                });
                let success = moved.count() as f64 / candidates.count().max(1) as f64;
                assert_eq!(success, report.success);
            }
        }
    }
}

#[test]
fn a_scan_dropped_at_any_step_does_nothing_twice() {
    let set = Set::new();
    let (models, count) = models();
    let whole = finish(set.scan("whole.db", &set.plan(), &models));
    let work = count.swap(0, Ordering::Relaxed);
    assert!(work > 13 * 2 * 5, "{work}");
    // Dropped whenever a batch is stored, so that nothing is lost.
    let pieces = loop {
        let mut scan = set.scan("pieces.db", &set.plan(), &models);
        let before = scan.progress().done;
        assert_eq!(before, 0);
        let mut worked = false;
        let end = loop {
            let earlier = scan.progress();
            match scan.step().expect("a step") {
                ScanStep::Finished => break true,
                // Batches of which all is known are passed over.
                ScanStep::Stored => {
                    let sound = scan.progress().done - scan.progress().broken;
                    let before = earlier.done - earlier.broken;
                    worked |= scan.progress().known - earlier.known < sound - before;
                    if worked {
                        break false;
                    }
                }
                ScanStep::Working => {}
            }
        };
        if end {
            let id = scan.id();
            break scan.into_database().table(id).expect("its results");
        }
    };
    assert_eq!(pieces, whole);
    assert_eq!(count.swap(0, Ordering::Relaxed), work);
    // Dropped in the middle of a batch: that batch alone is done again.
    let mut scan = set.scan("dropped.db", &set.plan(), &models);
    while scan.step().expect("a step") != ScanStep::Stored {}
    for _ in 0..9 {
        assert_eq!(scan.step().expect("a step"), ScanStep::Working);
    }
    drop(scan);
    assert_eq!(finish(set.scan("dropped.db", &set.plan(), &models)), whole);
    let again = count.swap(0, Ordering::Relaxed);
    assert!(
        (work + 1..work + work / 3).contains(&again),
        "{again} against {work}"
    );
    // Once more, and all is known.
    let mut scan = set.scan("dropped.db", &set.plan(), &models);
    while scan.step().expect("a step") != ScanStep::Finished {}
    assert_eq!((scan.progress().known, scan.progress().broken), (13, 1));
    assert_eq!(count.load(Ordering::Relaxed), 0);
}

#[test]
fn flips_are_bracketed_and_a_finer_search_goes_on_from_there() {
    let set = Set::new();
    let (models, count) = models();
    let mut plan = set.plan();
    plan.map = false;
    let coarse = finish(set.scan("flips.db", &plan, &models));
    count.store(0, Ordering::Relaxed);
    plan.flip = Some(FlipSearch {
        most: 3.0,
        tolerance: 0.02,
    });
    let fine = finish(set.scan("flips.db", &plan, &models));
    let (mut found, mut narrower) = (0, 0);
    for (before, after) in coarse.records.iter().zip(&fine.records) {
        for (before, after) in before.sides.iter().zip(&after.sides) {
            let [before, after] = [before, after].map(|side| side.expect("a result"));
            assert_eq!(before.attacked, after.attacked);
            let [wide, narrow] = [before, after].map(|side| side.flip.expect("a bracket"));
            assert!(wide.low <= narrow.low && narrow.high <= wide.high);
            let Some(high) = narrow.high else { continue };
            found += 1;
            assert!(high - narrow.low <= 0.02);
            assert_eq!(high == 0.0, before.right == Some(false));
            narrower += usize::from(wide != narrow);
        }
    }
    assert!(found > 4 && narrower > 2, "{found} {narrower}");
    // At the upper end it is seen as another class, at the lower one it is not.
    let data = Dataset::open(&set.source(), Split::Test, [8, 8]).expect("a data set");
    for (index, record) in fine.records.iter().enumerate() {
        let side = record.sides[0].expect("a result");
        let Some(high) = side
            .flip
            .and_then(|flip| flip.high)
            .filter(|high| *high > 0.0)
        else {
            continue;
        };
        let low = side.flip.expect("a bracket").low;
        let (model, label) = (&models[0].classifier, data.labels[index]);
        let flips = |epsilon: f32| {
            let attack = Attack {
                epsilon,
                ..plan.attack.clone().expect("an attack")
            };
            let x = data.tensor(&[index], model.device());
            let adversarial = attack.run(model, &x, &[label], &[index as u64]);
            evaluate::predict(model, adversarial) != [label]
        };
        assert!(
            flips(high) && (low == 0.0 || !flips(low)),
            "{index}: {low} {high}"
        );
    }
}

#[test]
fn lists_and_folders_are_sources() {
    let set = Set::new();
    let (models, _) = models();
    let list = set.folder.path().join("list.txt");
    let line = "set/test/class 1/02.png\tclass 1\n\nset/test/class 0/00.png\nnowhere.png\tother\n";
    fs::write(&list, line).expect("a file can be written");
    let mut plan = set.plan();
    plan.source = list;
    let table = finish(set.scan("list.db", &plan, &models));
    let truth = |index: usize| table.class(table.records[index].truth).to_owned();
    assert_eq!(
        (table.records.len(), truth(0).as_str(), truth(1).as_str()),
        (2, "class 1", "")
    );
    assert!(table.broken[0].0.ends_with("nowhere.png"));
    // Without a true class the attack leaves the predicted one, and nothing is right or wrong.
    let side = table.records[1].sides[0].expect("a result");
    let hit = side.attacked.expect("attacked");
    assert_eq!((side.right, hit.success), (None, hit.class != side.class));
    plan.source = set.source().join("test/class 1");
    let table = finish(set.scan("list.db", &plan, &models));
    assert_eq!((table.records.len(), table.records[0].truth), (7, None));
    // CIFAR-10's binary batches: a label and three planes each.
    let binary = set.folder.path().join("binary");
    fs::create_dir(&binary).expect("a folder can be made");
    let record = |label: u8| [vec![label], vec![90 + label; 3 * 32 * 32]].concat();
    let bytes = [record(3), record(5)].concat();
    fs::write(binary.join("test_batch.bin"), bytes).expect("a file can be written");
    plan.source = binary;
    let table = finish(set.scan("binary.db", &plan, &models));
    assert_eq!(
        (table.records.len(), table.class(table.records[0].truth)),
        (2, "cat")
    );
    let out = set.folder.path().join("out");
    let copies = report::copy(&table, &[1], &out).expect("a copy");
    let copy = image::open(&copies[0]).expect("a picture").to_rgb8();
    assert!(copy.dimensions() == (32, 32) && copy.pixels().all(|pixel| pixel.0 == [95; 3]));
    let empty = tempdir().expect("a folder");
    plan.source = empty.path().into();
    let database = Database::open(&set.database("list.db")).expect("a database");
    assert_eq!(database.scans().expect("a list").len(), 2);
    let refused = Scan::new(database, &plan, models, 4);
    message_naming(empty.path(), refused.map(|_| ()));
}

#[test]
fn tags_views_and_names_are_kept() {
    let set = Set::new();
    let (models, _) = models();
    let plan = Plan {
        attack: None,
        flip: None,
        ..set.plan()
    };
    let table = finish(set.scan("tags.db", &plan, &models));
    let mut database = Database::open(&set.database("tags.db")).expect("a database");
    let [first, second] = [0, 1].map(|index: usize| table.records[index].picture);
    database
        .tag(&[first, second], "odd one", true)
        .expect("tagged");
    database
        .tag(&[second], "odd one", false)
        .expect("not any more");
    database
        .save_view("mine", Some("tag = \"odd one\""))
        .expect("saved");
    let id = database.scans().expect("a list")[0].id;
    database.rename(id, "first try").expect("renamed");
    drop(database);
    let mut database = Database::open(&set.database("tags.db")).expect("a database");
    let row = database.scans().expect("a list").remove(0);
    assert_eq!(
        (row.name.as_str(), row.done, row.finished),
        ("first try", 14, true)
    );
    assert_eq!(row.plan, plan);
    let (name, text) = database.views().expect("a list").remove(0);
    let table = database.table(id).expect("its results");
    let query = Query::parse(&text, &table.vocabulary()).expect("a query");
    assert_eq!((name.as_str(), query.select(&table)), ("mine", vec![0]));
    database.save_view("mine", None).expect("forgotten");
    database.forget(id).expect("forgotten");
    assert!(database.views().expect("a list").is_empty());
    assert!(database.scans().expect("a list").is_empty());
    message_naming(Path::new(&set.database("tags.db")), database.table(id));
}

#[test]
fn another_normaliser_is_another_model() {
    use epsiloscope::model::{Normalizer, Weights};
    let mut network = tiny_network(2, 1);
    let mut weights = Weights::of(&mut network);
    let mut fingerprint = |manifest: &epsiloscope::model::Manifest| {
        manifest.attach(&mut weights);
        let source = ModelSource::Weights(weights.clone());
        Fingerprint::of_model(&"tiny".into(), &source).expect("a fingerprint")
    };
    let manifest = tiny_manifest(2);
    let first = fingerprint(&manifest);
    let mut other = manifest.clone();
    other.name = "another name".into();
    assert_eq!(fingerprint(&other), first);
    other.normalizer = Normalizer::HALF;
    assert_ne!(fingerprint(&other), first);
    manifest.attach(&mut weights);
    let array = weights.tensors.values_mut().next().expect("a tensor");
    array.values[0] += 1.0;
    let changed = Fingerprint::of_model(&"tiny".into(), &ModelSource::Weights(weights.clone()));
    assert_ne!(changed.expect("a fingerprint"), first);
}
