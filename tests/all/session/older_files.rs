//! Files that version 0.1.0 wrote still open, and mean what they meant.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::attack::{Attack, AttackMethod, Goal, Norm};
use epsiloscope::attribution::{Baseline, ClassChoice, Method, Rule, Score};
use epsiloscope::compute::{Blend, Channels, Palette, PictureSource, Sign};
use epsiloscope::counterfactual::Counterfactual;
use epsiloscope::data::{Crop, Origin};
use epsiloscope::model::{Classifier, ModelRef, Weights};
use epsiloscope::session::{
    self, Against, Bottom, ChangeView, Column, CounterfactualTarget, MethodChoice, Motion, Page,
    SeedSource, Size, Spread, State, TriageTab,
};
use epsiloscope::synthesis::{ClassObjective, Start, Task};
use epsiloscope::train::checkpoint::Checkpoint;
use epsiloscope::triage::{Database, Query};

use crate::support::values;

fn fixture(name: &str) -> PathBuf {
    Path::new("tests/fixtures/v0.1").join(name)
}

/// A grey picture of the size that the tiny models take.
fn grey() -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(vec![0.5_f32; 3 * 64], [1, 3, 8, 8]),
        &Device::flex(),
    )
}

fn check_settings(state: &State) {
    let expected = Attack {
        method: AttackMethod::Pgd,
        norm: Norm::Linf,
        epsilon: 0.03125,
        steps: 7,
        step_size: Some(0.0078125),
        goal: Goal::Targeted(3),
        random_start: false,
        restarts: 2,
        seed: u64::MAX,
    };
    assert_eq!(state.settings.attack, expected);
    let Method::IntegratedGradients(method) = &state.settings.explanation.method else {
        panic!("{:?}", state.settings.explanation)
    };
    assert_eq!(
        (method.steps, method.rule, method.seed),
        (20, Rule::GaussLegendre, 5)
    );
    let baseline = Baseline::Gaussian {
        count: 4,
        sigma: 0.5,
    };
    assert_eq!(method.baseline, baseline);
    let question = &state.settings.explanation.question;
    assert_eq!(question.score, Score::Probability);
    assert_eq!(question.class, ClassChoice::Class(3));
    assert_eq!(question.against, Some(ClassChoice::Second));
    assert!(state.settings.checks.curves && state.settings.checks.sanity);
    assert_eq!(state.settings.range[..2], [0.125, 4.0]);
    check_synthesis(state);
    let counterfactual = &state.settings.counterfactual;
    assert!(counterfactual.attacked);
    assert_eq!(counterfactual.target, Some(CounterfactualTarget::Class(3)));
    assert_eq!(counterfactual.method, MethodChoice::default());
    assert_eq!(
        (counterfactual.along, counterfactual.threshold),
        (0.5, Some(0.25))
    );
    assert_eq!(counterfactual.showing, ChangeView::Mask);
    check_display(state);
}

fn check_synthesis(state: &State) {
    let synthesis = &state.settings.synthesis;
    let config = &synthesis.config;
    let task = Task::Generate {
        class: 3,
        objective: ClassObjective::CrossEntropy,
    };
    assert_eq!(config.task, task);
    assert_eq!(config.start, Start::GreyNoise);
    assert_eq!(
        [config.radius, config.step, config.momentum],
        [30.0, 0.25, 0.5]
    );
    assert_eq!([config.variation, config.spectrum], [0.125, 0.0625]);
    assert_eq!(
        (config.iterations, config.jitter, config.count, config.seed),
        (40, 2, 2, 9)
    );
    assert!(config.anneal && config.fake_relu);
    assert_eq!(synthesis.which, PictureSource::Attacked);
    assert_eq!(synthesis.seeds, SeedSource::Library);
    assert_eq!(synthesis.units, [3, 5]);
    assert_eq!(
        (synthesis.speed, state.navigation.playhead.cursor),
        (Some(2), Some(4))
    );
    assert_eq!(state.navigation.playhead.until, 12);
    assert_eq!(synthesis.against, Against::Start);
}

fn check_display(state: &State) {
    let display = &state.settings.display;
    let shown = [true, true, false, true, false, true, true, false, true];
    assert_eq!(display.shown, shown);
    assert_eq!(display.hidden, [1]);
    assert_eq!(display.bottom, Bottom::Units);
    assert_eq!(display.filled, Some(Column::Attacked));
    assert_eq!(
        (display.centre, display.zoom, display.gain),
        ([0.25, 0.75], 4.0, 33.0)
    );
    assert_eq!(display.divider, Some(0.25));
    assert!(!display.controls && !display.library && !display.timeline);
    let heat = &display.heat;
    assert_eq!((heat.sign, heat.channels), (Sign::Absolute, Channels::Mean));
    assert_eq!((heat.palette, heat.blend), (Palette::Viridis, Blend::Alone));
    assert_eq!(
        [heat.percentile, heat.threshold, heat.opacity, heat.contour],
        [99.0, 0.25, 0.75, 0.5]
    );
    assert!(heat.locked);
}

#[test]
fn a_session_of_version_0_1_opens_with_every_setting() {
    let opened = session::open(&fixture("session.epsiloscope"));
    let opened = opened.unwrap_or_else(|error| panic!("{error}"));
    assert!(opened.problems.is_empty(), "{:?}", opened.problems);
    assert!(opened.missing.is_empty());
    assert!(opened.hashes[0].is_some() && opened.hashes[1].is_none());
    let mut state = opened.state;
    assert_eq!(
        state.document.models,
        ["cifar10-standard", "cifar10-robust"].map(ModelRef::from)
    );
    let [bundled, pasted] = &state.document.library[..] else {
        panic!("{} pictures", state.document.library.len())
    };
    assert_eq!(bundled.picture.origin, Origin::Bundled);
    assert_eq!(bundled.truth.as_deref(), Some("airplane"));
    assert_eq!(pasted.picture.origin, Origin::Memory);
    assert_eq!(pasted.picture.pixels.dimensions(), (7, 5));
    assert_eq!(pasted.picture.pixels.get_pixel(2, 1).0, [60, 40, 9]);
    let crop = Crop {
        at: [0.25, 0.75],
        scale: 0.5,
    };
    assert_eq!(pasted.crop, crop);
    assert_eq!(state.navigation.selected, Some(1));
    let hash = |picture: Option<&epsiloscope::data::Picture>| picture.map(|picture| picture.hash);
    assert_eq!(
        hash(state.document.reference.as_ref()),
        Some(bundled.picture.hash)
    );
    assert_eq!(
        hash(state.document.start.as_ref()),
        Some(pasted.picture.hash)
    );
    check_settings(&state);
    check_triage(&state);
    check_exports(&state);
    assert_eq!(state.document.bookmarks.len(), 1);
    assert_eq!(
        (
            &*state.document.bookmarks[0].name,
            &*state.document.bookmarks[0].note
        ),
        ("1: airplane", "what to say")
    );
    state.show_bookmark(0);
    assert_eq!(
        state.document.models,
        ["cifar10-robust", "cifar10-standard"].map(ModelRef::from)
    );
    assert_eq!(state.navigation.selected, Some(0));
    check_settings(&state);
}

fn check_triage(state: &State) {
    assert_eq!(state.navigation.page, Page::Triage);
    let triage = &state.navigation.triage;
    assert_eq!(
        triage.database.as_deref(),
        Some(Path::new("/pictures/scan.db"))
    );
    assert_eq!(
        triage.source.as_deref(),
        Some(Path::new("/pictures/two-colours"))
    );
    assert_eq!((triage.scan, triage.beside), (Some(1), Some(2)));
    assert_eq!(
        (&*triage.query, triage.tab),
        ("a.wrong", TriageTab::Matrices)
    );
    assert_eq!((triage.side, triage.chosen), (96.0, Some(3)));
    assert_eq!(
        [
            triage.matrix,
            triage.histogram,
            triage.map_of,
            triage.coloring
        ],
        [1, 2, 1, 1]
    );
    assert!(triage.arrows && triage.keeps && triage.flips);
}

fn check_exports(state: &State) {
    let figure = &state.document.exports.figure;
    assert_eq!((&*figure.pictures, &*figure.rows), (&[0][..], &[1][..]));
    assert_eq!(figure.columns, [Column::Input, Column::Attacked]);
    assert_eq!(figure.epsilons, [0.25, 0.5]);
    assert_eq!((figure.spread, figure.text), (Spread::Down, 11.0));
    let size = Size::Millimetres {
        width: 120.0,
        dpi: 300.0,
    };
    assert_eq!(figure.size, size);
    assert!(!figure.names && !figure.color_bar && figure.curves && figure.zoomed);
    let film = &state.document.exports.film;
    assert_eq!(&film.figure, figure);
    let motion = Motion::Epsilon {
        from: 0.125,
        to: Some(0.5),
    };
    assert_eq!(film.motion, motion);
    assert_eq!((film.frames, film.rate, film.hold), (24, 12.0, 2.0));
}

#[test]
fn a_scan_of_version_0_1_opens_with_all_it_found() {
    // A copy, as opening a database may bring its tables up to date.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.db");
    std::fs::copy(fixture("scan.db"), &path).expect("a copy");
    let database = Database::open(&path).unwrap_or_else(|error| panic!("{error}"));
    let scans = database.scans().expect("a list");
    let [scan] = &scans[..] else {
        panic!("{scans:?}")
    };
    assert_eq!((&*scan.name, scan.total, scan.done), ("two colours", 4, 4));
    assert!(scan.finished && scan.plan.map);
    assert_eq!(scan.plan.source, Path::new("/pictures/two-colours"));
    let attack = scan.plan.attack.as_ref().expect("it attacked");
    assert_eq!(
        (attack.norm, attack.epsilon, attack.steps),
        (Norm::L2, 0.5, 3)
    );
    let flip = scan.plan.flip.as_ref().expect("it searched flips");
    assert_eq!((flip.most, flip.tolerance), (2.0, 0.02));
    let queries = database.views().expect("a list");
    let query = ("wrong".into(), "a.wrong sort by a.confidence desc".into());
    assert_eq!(queries, [query]);
    let table = database.table(scan.id).expect("a table");
    assert_eq!(table.classes, ["blue", "red"]);
    assert_eq!(table.subjects[0].name, "Tiny");
    assert_eq!(Query::default().select(&table).len(), 4);
    let known = [
        (0, 0.554_798_7, 1, 0.524_340_03, [0.265625, 0.28125]),
        (0, 0.585_597_16, 1, 0.518_592_54, [0.328125, 0.34375]),
        (1, 0.530_065_36, 0, 0.519_559_1, [0.203125, 0.21875]),
        (1, 0.521_744_7, 0, 0.527_680_3, [0.25, 0.265625]),
    ];
    for (record, (class, confidence, attacked_class, attacked, [low, high])) in
        table.records.iter().zip(known)
    {
        let side = record.sides[0].as_ref().expect("a prediction");
        assert_eq!((side.class, side.confidence), (class, confidence));
        assert_eq!((side.right, record.truth), (Some(true), Some(class)));
        let result = side.attacked.as_ref().expect("an attack");
        assert_eq!(
            (result.class, result.confidence),
            (attacked_class, attacked)
        );
        assert!(result.success);
        let flip = side.flip.as_ref().expect("a bracket");
        assert_eq!((flip.low, flip.high), (low, Some(high)));
    }
    let tags: Vec<usize> = table.records.iter().map(|found| found.tags.len()).collect();
    assert_eq!(tags, [1, 0, 1, 0]);
}

#[test]
fn models_of_version_0_1_open_and_compute() {
    let path = fixture("model.safetensors");
    let model = Classifier::open(&path, &Device::flex()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(model.manifest().name, "Tiny");
    assert_eq!(model.manifest().labels, ["blue", "red"]);
    assert_eq!(model.manifest().input, [8, 8]);
    assert!(values(model.logits(grey())).iter().all(|x| x.is_finite()));

    let path = fixture("counterfactual.safetensors");
    let weights = Weights::read(&path).unwrap_or_else(|error| panic!("{error}"));
    for prefix in ["critic.", "generator."] {
        assert!(
            weights.tensors.keys().any(|name| name.starts_with(prefix)),
            "the fixture has tensors under {prefix}"
        );
    }
    let pair = Counterfactual::new(&weights, &path, &Device::flex());
    let pair = pair.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(pair.discriminator.manifest().name, "Tiny pair");
    assert_eq!(pair.classes(), 2);
    let picture = values(pair.generator.translate(grey(), &[1]).picture);
    assert!(picture.iter().all(|value| (0.0..=1.0).contains(value)));
}

#[test]
fn a_checkpoint_of_version_0_1_says_where_its_training_was() {
    let saved = Checkpoint::read(&fixture("checkpoint.safetensors"));
    let saved = saved.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((saved.position.epoch, saved.position.step), (2, 0));
    let config = &saved.config;
    assert_eq!((&*config.name, config.seed), ("Tiny", 7));
    assert_eq!((config.epochs, config.batch), (2, 8));
    assert_eq!(config.input, [8, 8]);
    assert_eq!(
        config.architecture.as_ref().expect("a ResNet").widths,
        [4, 8]
    );
    assert_eq!((config.momentum, config.attack.is_none()), (0.9, true));
}
