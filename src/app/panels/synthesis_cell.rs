//! The cell of a picture that a model makes.

use std::sync::Arc;

use egui::{Ui, vec2};

use super::tile::{self, Content, Hover};
use super::top_classes;
use crate::app::renderer::Mode;
use crate::app::theme;
use crate::compute::{GpuImage, PredictionResult, SynthesisResult};
use crate::data::picture::montage;
use crate::session::{Against, Row, State, TaskKind};
use crate::synthesis::{Iterate, SharedHistory, lock};

/// Lines of text under the picture.
const LINES: f32 = 2.0;
/// Height of what is under the picture, in points.
pub const HEIGHT: f32 = top_classes::HEIGHT + LINES * 15.0;

/// Kept iterates that are or were just on the screen, ready to be drawn.
#[derive(Default)]
pub struct IterateCache(Vec<(SharedHistory, usize, GpuImage)>);

/// A few for each of a handful of rows.
const STILLS: usize = 16;

impl IterateCache {
    /// The iterate that is kept for `iteration`, and which one that is.
    fn get(&mut self, synthesis: &SynthesisResult, iteration: usize) -> Option<(usize, GpuImage)> {
        let history = lock(&synthesis.history);
        let kept = history.at(iteration)?;
        let same = |(of, at, _): &&(SharedHistory, usize, GpuImage)| {
            Arc::ptr_eq(of, &synthesis.history) && *at == kept.iteration
        };
        if let Some((_, at, frame)) = self.0.iter().find(same) {
            return Some((*at, frame.clone()));
        }
        let count = synthesis.request.config.count;
        let (planes, size) = montage(&kept.unit_planes(), count, synthesis.size);
        let frame = GpuImage::from_planes(planes, size);
        self.0.truncate(STILLS - 1);
        let entry = (synthesis.history.clone(), kept.iteration, frame.clone());
        self.0.insert(0, entry);
        Some((kept.iteration, frame))
    }
}

/// What the title says besides the kind of picture.
pub fn note(state: &State, prediction: Option<&PredictionResult>, index: usize) -> String {
    let config = state.settings.synthesis.config_of(index);
    let of = match config.task {
        crate::synthesis::Task::Generate { class, .. } => {
            let labels = prediction.map(|prediction| &prediction.manifest.labels);
            labels
                .and_then(|labels| labels.get(class))
                .cloned()
                .unwrap_or_default()
        }
        crate::synthesis::Task::Neuron(unit) => unit.index.to_string(),
        crate::synthesis::Task::Invert { .. } => String::new(),
    };
    format!("{of} from {}", config.start.name())
}

/// Draws the cell; `id` tells its tile apart.
pub fn cell(
    ui: &mut Ui,
    state: &mut State,
    row: &Row,
    (index, id): (usize, u64),
    side: f32,
    hover: Hover,
    iterates: &mut IterateCache,
) -> Hover {
    let Some(synthesis) = &row.synthesis else {
        ui.allocate_space(vec2(side, side));
        match row.synthesis_error() {
            Some(error) => ui.label(theme::error(ui, error)),
            None => ui.label(theme::weak("starting…")),
        };
        return None;
    };
    let prediction = row.prediction.as_ref()?;
    let iterate = state
        .navigation
        .playhead
        .cursor
        .filter(|&at| at < synthesis.steps);
    let iterate = iterate.and_then(|at| iterates.get(synthesis, at));
    let (steps, first) = match iterate {
        Some((steps, frame)) => (steps, frame),
        None => (synthesis.steps, synthesis.picture.clone()),
    };
    let second = match state.settings.synthesis.against {
        // A grid of pictures has nothing to stand beside but another grid.
        Against::Picture if synthesis.request.config.count > 1 => iterates.get(synthesis, 0),
        Against::Picture => None,
        Against::Start => iterates.get(synthesis, 0),
        Against::Iterate(at) => iterates.get(synthesis, at),
    };
    let second = second.map_or_else(|| prediction.input.clone(), |(_, frame)| frame);
    let comparable = second.size() == first.size();
    let split = state.settings.display.divider.filter(|_| comparable);
    let content = Content {
        id,
        first: &first,
        second: if comparable { &second } else { &first },
        mode: Mode::Picture {
            split: split.unwrap_or(0.0),
        },
        divider: comparable,
        draws: false,
    };
    let over = tile::tile(ui, side, &content, &mut state.settings.display, hover);
    ui.spacing_mut().item_spacing.y = 1.0;
    if let Some(error) = row.synthesis_error() {
        // The picture is the last that could be computed.
        ui.label(theme::error(ui, error));
        return None;
    }
    facts(ui, synthesis, steps);
    if steps == synthesis.steps {
        let labels = &prediction.manifest.labels;
        top_classes::top5(
            ui,
            side,
            index,
            labels,
            &synthesis.probabilities,
            prediction.label,
        );
    }
    // Linked tiles have one place under the pointer; a grid's places are others.
    over.filter(|_| synthesis.request.config.count == 1)
}

fn facts(ui: &mut Ui, synthesis: &SynthesisResult, steps: usize) {
    let loss = lock(&synthesis.history)
        .at(steps)
        .map_or(f32::NAN, Iterate::mean_loss);
    let value = TaskKind::of(&synthesis.request.config.task).value(loss);
    let text = format!("step {steps} · {value} · {:.0}/s", synthesis.rate);
    ui.add(egui::Label::new(theme::weak(text)).truncate())
        .on_hover_text(
            "Steps done, the objective that they lower (inversion) or raise, and steps a second",
        );
    let text = match &synthesis.distances {
        Some(far) if steps == synthesis.steps => format!(
            "L2 {:.2} · SSIM {:.2} · perceptual distance {:.3}",
            far.l2, far.ssim, far.perceptual
        ),
        _ => String::new(),
    };
    ui.add(egui::Label::new(theme::weak(text)).truncate())
        .on_hover_text("How far the finished picture is from the open one. L2: of pixels in [0, 1]. SSIM: structural similarity, 1 for equal pictures. Perceptual distance: of unit-length features of all stages of the bundled robust model (LPIPS's form with equal weights)");
}
