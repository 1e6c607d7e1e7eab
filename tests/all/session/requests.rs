//! What the window asks of the engine, as a function of what is on the screen.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use epsiloscope::attribution::{
    Attribution, Background, ExpectedGradients, Explanation, Fill, IntegratedGradients, Method,
};
use epsiloscope::compute::{
    AttackResult, AttributionResult, ComputeMessage, GpuImage, HeatMap, Lane, Palette,
    PictureSource, Place, PredictionResult, Request, Sign, SynthesisResult,
};
use epsiloscope::data::Picture;
use epsiloscope::model::BatchSize;
use epsiloscope::session::{
    Column, Row, State, TaskKind, advance, attribution_request, complete, requests,
};
use epsiloscope::synthesis::{SharedHistory, Task, Unit};

use crate::support::tiny_manifest;

const SIZE: [usize; 2] = [8, 8];

fn frame(value: f32) -> GpuImage {
    GpuImage::from_planes(vec![value; 3 * 64], SIZE)
}

pub(crate) fn state() -> State {
    let mut state = State::new(vec!["one".into()]);
    let picture = image::RgbImage::new(8, 8).into();
    state.add(Picture::from_image(PathBuf::from("picture"), picture), None);
    state
}

fn attacked(epsilon: f32) -> AttackResult {
    AttackResult {
        epsilon,
        picture: frame(epsilon),
        probabilities: vec![0.2, 0.8],
        linf: epsilon,
        l2: epsilon,
        inside_box: true,
    }
}

/// A row that has looked, and attacked at ε 0.25 and 1.
pub(crate) fn row() -> Row {
    let mut row = Row::default();
    let prediction = PredictionResult {
        manifest: Arc::new(tiny_manifest(2)),
        input: frame(0.5),
        probabilities: vec![0.9, 0.1],
        representation: vec![0.5; 8],
        label: 0,
        has_generator: false,
        budget: BatchSize::new([8, 8], true),
        hash: None,
    };
    row.take(
        Lane::Prediction(Place::on_screen(0)),
        ComputeMessage::Predicted(prediction),
    );
    let swept = vec![attacked(0.25), attacked(1.0)];
    row.take(
        Lane::Sweep(Place::on_screen(0)),
        ComputeMessage::Swept(swept),
    );
    row
}

fn finished(state: &State, row: &Row, which: PictureSource) -> Arc<AttributionResult> {
    let values = vec![0.1; 64];
    Arc::new(AttributionResult {
        request: attribution_request(state, 0, row, which).expect("something to explain"),
        heat: HeatMap::new(values.clone(), SIZE),
        attribution: Attribution {
            values,
            channels: 1,
            size: SIZE,
            gap: None,
            standard_errors: None,
            evaluations: 1,
        },
        progress: 1.0,
        curves: OnceLock::new(),
        sanity: OnceLock::new(),
    })
}

fn maps(state: &State, row: &Row) -> Vec<Lane> {
    let lanes = requests(state, std::slice::from_ref(row)).into_keys();
    let maps =
        |lane: &Lane| !matches!(lane, Lane::Prediction(_) | Lane::Attack(_) | Lane::Sweep(_));
    lanes.filter(maps).collect()
}

#[test]
fn display_settings_compute_nothing() {
    let (mut state, row) = (state(), row());
    let before = requests(&state, std::slice::from_ref(&row));
    let heat = &mut state.settings.display.heat;
    heat.sign = Sign::Absolute;
    heat.palette = Palette::Magma;
    (heat.percentile, heat.threshold, heat.opacity) = (90.0, 0.3, 0.1);
    (heat.contour, heat.locked) = (10.0, false);
    state.settings.display.gain = 3.0;
    state.settings.display.zoom = 4.0;
    state.settings.display.divider = Some(0.2);
    assert!(requests(&state, std::slice::from_ref(&row)) == before);
}

#[test]
fn hidden_maps_cost_nothing() {
    let (mut state, row) = (state(), row());
    let both = [
        Lane::Attribution(PictureSource::Attacked, Place::on_screen(0)),
        Lane::Attribution(PictureSource::Input, Place::on_screen(0)),
    ];
    assert_eq!(maps(&state, &row), both);
    state.settings.display.shown[Column::Attribution as usize] = false;
    assert_eq!(maps(&state, &row), both[..1]);
    state.settings.display.filled = Some(Column::Input);
    assert!(maps(&state, &row).is_empty());
}

#[test]
fn the_map_follows_the_attack_on_the_screen() {
    let (mut state, row) = (state(), row());
    for (epsilon, nearest) in [(0.3, 0.25), (0.6, 0.25), (0.7, 1.0)] {
        state.set_epsilon(epsilon);
        let request = attribution_request(&state, 0, &row, PictureSource::Attacked)
            .expect("an attack is there");
        assert_eq!(request.epsilon, nearest);
        assert_eq!(request.target().class, 1, "the class seen after the attack");
    }
}

#[test]
fn an_attack_that_was_asked_for_wins_over_an_equal_one_of_the_sweep() {
    let mut row = row();
    let own = attacked(0.25);
    let picture = own.picture.clone();
    row.take(
        Lane::Attack(Place::on_screen(0)),
        ComputeMessage::Attacked(own),
    );
    let shown = row.nearest(0.25).expect("attacks are there");
    assert_eq!(shown.attacked.picture, picture);
}

#[test]
fn checks_are_made_of_finished_maps_when_asked_for_and_once() {
    let (mut state, mut row) = (state(), row());
    state.settings.display.shown[Column::AttackedAttribution as usize] = false;
    let map = finished(&state, &row, PictureSource::Input);
    row.take(
        Lane::Attribution(PictureSource::Input, Place::on_screen(0)),
        ComputeMessage::Explained(map.clone()),
    );
    let explain = Lane::Attribution(PictureSource::Input, Place::on_screen(0));
    assert_eq!(maps(&state, &row), [explain]);
    state.settings.checks.sanity = true;
    assert_eq!(
        maps(&state, &row),
        [
            explain,
            Lane::Sanity(PictureSource::Input, Place::on_screen(0))
        ]
    );
    map.sanity.set(vec![0.0]).expect("not set before");
    assert_eq!(maps(&state, &row), [explain]);
    // A map of another method is not what is wanted, so it is not checked.
    state.settings.checks.curves = true;
    assert_eq!(
        maps(&state, &row),
        [
            explain,
            Lane::Curves(PictureSource::Input, Place::on_screen(0))
        ]
    );
    state.settings.explanation.method = Method::Gradient;
    assert_eq!(maps(&state, &row), [explain]);
}

#[test]
fn a_window_is_complete_when_every_attack_and_map_is_there() {
    let (mut state, mut row) = (state(), row());
    state.settings.display.shown[Column::AttackedAttribution as usize] = false;
    let rows = |row: &Row| vec![row.clone()];
    assert!(!complete(&state, &rows(&row)));
    row.take(
        Lane::Attack(Place::on_screen(0)),
        ComputeMessage::Attacked(attacked(0.5)),
    );
    assert!(!complete(&state, &rows(&row)));
    let map = finished(&state, &row, PictureSource::Input);
    row.take(
        Lane::Attribution(PictureSource::Input, Place::on_screen(0)),
        ComputeMessage::Explained(map),
    );
    assert!(complete(&state, &rows(&row)));
}

#[test]
fn only_methods_that_compare_with_the_library_carry_it_along() {
    let (mut state, row) = (state(), row());
    let background = |state: &State| {
        let requests = requests(state, std::slice::from_ref(&row));
        match &requests[&Lane::Attribution(PictureSource::Input, Place::on_screen(0))] {
            Request::Explain(request) => request.background.len(),
            _ => unreachable!("it is the lane of maps"),
        }
    };
    assert_eq!(background(&state), 0);
    state.settings.explanation.method = Method::ExpectedGradients(ExpectedGradients {
        background: Background::Library,
        ..ExpectedGradients::default()
    });
    assert_eq!(background(&state), 1);
}

#[test]
fn settings_survive_being_written_down() {
    for method in Method::all(32) {
        let explanation = Explanation {
            method,
            ..Explanation::default()
        };
        let text = serde_json::to_string(&explanation).expect("plain data");
        let read: Explanation = serde_json::from_str(&text).expect("its own words");
        assert_eq!(read, explanation);
    }
    let fill = epsiloscope::attribution::Baseline::Fill(Fill::Blurred(3));
    let fast = IntegratedGradients {
        baseline: fill,
        ..IntegratedGradients::fast(8)
    };
    let text = serde_json::to_string(&fast).expect("plain data");
    assert_eq!(
        serde_json::from_str::<IntegratedGradients>(&text).ok(),
        Some(fast)
    );
}

fn made(state: &State, row: &Row, steps: usize) -> ComputeMessage {
    let requests = requests(state, std::slice::from_ref(row));
    let Some(Request::Synthesize { request, .. }) =
        requests.get(&Lane::Synthesis(Place::on_screen(0)))
    else {
        panic!("the column is drawn");
    };
    ComputeMessage::Synthesized(Box::new(SynthesisResult {
        request: request.clone(),
        steps,
        picture: frame(0.1),
        size: SIZE,
        probabilities: vec![0.5; 2],
        rate: 1.0,
        history: SharedHistory::default(),
        distances: None,
    }))
}

/// How many steps are allowed, if the picture is wanted at all.
fn allowed(state: &State, row: &Row) -> Option<usize> {
    let requests = requests(state, std::slice::from_ref(row));
    match requests.get(&Lane::Synthesis(Place::on_screen(0)))? {
        Request::Synthesize { until, .. } => Some(*until),
        _ => unreachable!("it is the lane of pictures"),
    }
}

#[test]
fn a_picture_is_made_only_where_it_shows_and_only_as_far_as_it_is_let() {
    let (mut state, mut row) = (state(), row());
    assert_eq!(allowed(&state, &row), None, "its column is hidden at first");
    state.settings.synthesis.speed = None;
    state.toggle_synthesis();
    let tell = |state: &mut State, row: &mut Row, steps: usize| {
        let message = made(state, row, steps);
        row.take(Lane::Synthesis(Place::on_screen(0)), message);
        advance(state, std::slice::from_ref(row));
    };
    tell(&mut state, &mut row, 3);
    assert_eq!(allowed(&state, &row), Some(400));
    state.toggle_synthesis();
    assert_eq!(allowed(&state, &row), Some(3), "a pause holds where it is");
    state.step_synthesis();
    assert_eq!(allowed(&state, &row), Some(4));
    tell(&mut state, &mut row, 4);
    state.settings.synthesis.speed = Some(5);
    state.toggle_synthesis();
    tell(&mut state, &mut row, 4);
    assert_eq!(allowed(&state, &row), Some(9));
    tell(&mut state, &mut row, 7);
    assert_eq!(
        allowed(&state, &row),
        Some(9),
        "the slowest row sets the pace"
    );
    tell(&mut state, &mut row, 400);
    assert!(!state.progress.synthesis.running, "it stops at the end");
    state.toggle_synthesis();
    assert_eq!(allowed(&state, &row), Some(0), "and then begins anew");
    state.settings.display.hidden.push(0);
    assert!(
        requests(&state, &[row]).is_empty(),
        "a hidden row costs nothing"
    );
}

#[test]
fn only_what_a_picture_is_made_of_starts_it_anew() {
    let (mut state, mut row) = (state(), row());
    state.show_synthesis();
    let synthesis_request = |state: &State, row: &Row| {
        let requests = requests(state, std::slice::from_ref(row));
        match requests.get(&Lane::Synthesis(Place::on_screen(0))) {
            Some(Request::Synthesize { request, .. }) => request.clone(),
            _ => panic!("the column is drawn"),
        }
    };
    let inversion = synthesis_request(&state, &row);
    state.settings.display.zoom = 3.0;
    state.settings.attack.epsilon = 0.9;
    assert_eq!(
        synthesis_request(&state, &row),
        inversion,
        "the input is inverted"
    );
    state.settings.synthesis.which = PictureSource::Attacked;
    let attacked = synthesis_request(&state, &row);
    assert_ne!(attacked, inversion);
    state.settings.attack.epsilon = 0.2;
    assert_ne!(
        synthesis_request(&state, &row),
        attacked,
        "another attack is another target"
    );
    state.choose_synthesis(TaskKind::Generation);
    let generation = synthesis_request(&state, &row);
    let prediction = row.prediction.clone().map(|prediction| PredictionResult {
        input: frame(0.9),
        ..prediction
    });
    row.take(
        Lane::Prediction(Place::on_screen(0)),
        ComputeMessage::Predicted(prediction.expect("it looked")),
    );
    assert_eq!(
        synthesis_request(&state, &row),
        generation,
        "it begins at no picture"
    );
    state.restart_synthesis();
    assert_ne!(synthesis_request(&state, &row), generation);
    state.choose_unit(0, 5);
    assert_eq!(
        synthesis_request(&state, &row).config.task,
        Task::Neuron(Unit {
            stage: None,
            index: 5
        })
    );
}

#[test]
fn lanes_of_prepared_views_are_their_own_and_come_later() {
    let screen = Lane::Attribution(PictureSource::Input, Place::on_screen(3));
    let ahead = screen.in_view(Some(1));
    assert_eq!(
        ahead.place(),
        Some(Place {
            view: Some(1),
            row: 3
        })
    );
    assert!(screen.is_on_screen() && !ahead.is_on_screen() && screen < ahead);
    assert_eq!(ahead.in_view(None), screen);
    assert!(Lane::Scan.place().is_none() && !Lane::Scan.is_on_screen());
}
