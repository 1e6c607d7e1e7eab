//! Made-up results of models, for what draws them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use epsiloscope::compute::{
    AttackResult, ComputeMessage, GpuImage, Lane, Place, PredictionResult, SynthesisRequest,
    SynthesisResult,
};
use epsiloscope::data::Picture;
use epsiloscope::export::figure::Shot;
use epsiloscope::model::BatchSize;
use epsiloscope::session::{Column, Figure, Row, State};
use epsiloscope::synthesis::{Iterate, IterateHistory};

use crate::support::tiny_manifest;

pub(crate) const SIZE: [usize; 2] = [8, 8];

fn frame(value: f32) -> GpuImage {
    GpuImage::from_planes(vec![value; 3 * 64], SIZE)
}

/// A state of these models with an open picture.
pub(crate) fn state(models: usize) -> State {
    let mut state = State::new(
        (0..models)
            .map(|model| format!("model {model}").as_str().into())
            .collect(),
    );
    let picture = image::RgbImage::new(8, 8).into();
    state.add(Picture::from_image(PathBuf::from("picture"), picture), None);
    state
}

pub(crate) fn attacked(epsilon: f32) -> AttackResult {
    AttackResult {
        epsilon,
        picture: frame(0.5 + 0.1 * epsilon),
        probabilities: vec![1.0 - epsilon, epsilon],
        linf: epsilon,
        l2: epsilon,
        inside_box: true,
    }
}

/// A row that has looked, and attacked at this ε; its model and classes have these names.
pub(crate) fn row(name: &str, labels: [&str; 2], epsilon: f32) -> Row {
    let mut row = Row::default();
    let mut manifest = tiny_manifest(2);
    manifest.name = name.into();
    manifest.labels = labels.map(str::to_owned).to_vec();
    let prediction = PredictionResult {
        manifest: Arc::new(manifest),
        input: frame(0.5),
        probabilities: vec![0.9, 0.1],
        representation: vec![0.5; 8],
        label: 0,
        has_generator: false,
        hash: None,
        budget: BatchSize::new(SIZE, true),
    };
    row.take(
        Lane::Prediction(Place::on_screen(0)),
        ComputeMessage::Predicted(prediction),
    );
    row.take(
        Lane::Attack(Place::on_screen(0)),
        ComputeMessage::Attacked(attacked(epsilon)),
    );
    row
}

/// What two models found at these ε.
pub(crate) fn shots(figure: &Figure, epsilons: &[f32]) -> Vec<Shot> {
    let mut state = figure.requests(&state(2));
    let shot = |&epsilon: &f32| {
        state.settings.attack.epsilon = epsilon;
        let rows = ["Standard", "Robust"].map(|name| row(name, ["bird", "cat"], epsilon));
        Shot {
            state: state.clone(),
            rows: rows.to_vec(),
        }
    };
    epsilons.iter().map(shot).collect()
}

/// What two models made in 20 steps.
pub(crate) fn made(figure: &Figure) -> Vec<Shot> {
    let mut shots = shots(figure, &[0.5]);
    let Shot { state, rows } = &mut shots[0];
    state.settings.display.shown[Column::Synthesis as usize] = true;
    for (index, row) in rows.iter_mut().enumerate() {
        let mut history = IterateHistory::default();
        for iteration in 0..=20 {
            history.push(Iterate {
                iteration,
                losses: [1.0 / (1.0 + iteration as f32)].into(),
                pixels: vec![10 * iteration as u8; 3 * 64].into(),
            });
        }
        row.synthesis = Some(Box::new(SynthesisResult {
            request: SynthesisRequest {
                place: Place::on_screen(index),
                model: state.document.models[index].clone(),
                config: state.settings.synthesis.config.clone(),
                subject: None,
                other: None,
                library: None,
                attempt: 0,
            },
            steps: 20,
            picture: frame(0.8),
            size: SIZE,
            probabilities: vec![0.3, 0.7],
            rate: 1.0,
            history: Arc::new(Mutex::new(history)),
            distances: None,
        }));
    }
    shots
}
