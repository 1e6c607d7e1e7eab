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
pub struct Stills(Vec<(SharedHistory, usize, GpuImage)>);

/// A few for each of a handful of rows.
const STILLS: usize = 16;

impl Stills {
    /// The iterate that is kept for `iteration`, and which one that is.
    fn get(&mut self, made: &SynthesisResult, iteration: usize) -> Option<(usize, GpuImage)> {
        let history = lock(&made.history);
        let kept = history.at(iteration)?;
        let same = |(of, at, _): &&(SharedHistory, usize, GpuImage)| {
            Arc::ptr_eq(of, &made.history) && *at == kept.iteration
        };
        if let Some((_, at, frame)) = self.0.iter().find(same) {
            return Some((*at, frame.clone()));
        }
        let count = made.brief.config.count;
        let (planes, size) = montage(&kept.unit_planes(), count, made.size);
        let frame = GpuImage::from_planes(planes, size);
        self.0.truncate(STILLS - 1);
        let entry = (made.history.clone(), kept.iteration, frame.clone());
        self.0.insert(0, entry);
        Some((kept.iteration, frame))
    }
}

/// What the title says besides the kind of picture.
pub fn note(state: &State, look: Option<&PredictionResult>, index: usize) -> String {
    let config = state.synthesis.config_of(index);
    let of = match config.task {
        crate::synthesis::Task::Generate { class, .. } => {
            let labels = look.map(|look| &look.manifest.labels);
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
    stills: &mut Stills,
) -> Hover {
    let Some(made) = &row.made else {
        ui.allocate_space(vec2(side, side));
        match row.synthesis_error() {
            Some(error) => ui.label(theme::error(ui, error)),
            None => ui.label(theme::weak("beginning…")),
        };
        return None;
    };
    let look = row.look.as_ref()?;
    let still = state.synthesis.cursor.filter(|&at| at < made.steps);
    let still = still.and_then(|at| stills.get(made, at));
    let (steps, first) = match still {
        Some((steps, frame)) => (steps, frame),
        None => (made.steps, made.picture.clone()),
    };
    let second = match state.synthesis.against {
        // A grid of pictures has nothing to stand beside but another grid.
        Against::Picture if made.brief.config.count > 1 => stills.get(made, 0),
        Against::Picture => None,
        Against::Start => stills.get(made, 0),
        Against::Iterate(at) => stills.get(made, at),
    };
    let second = second.map_or_else(|| look.input.clone(), |(_, frame)| frame);
    let comparable = second.size() == first.size();
    let split = state.display.divider.filter(|_| comparable);
    let content = Content {
        id,
        first: &first,
        second: if comparable { &second } else { &first },
        mode: Mode::Picture {
            split: split.unwrap_or(0.0),
        },
        divider: comparable,
    };
    let over = tile::tile(ui, side, &content, &mut state.display, hover);
    ui.spacing_mut().item_spacing.y = 1.0;
    if let Some(error) = row.synthesis_error() {
        // The picture is the last that could be made.
        ui.label(theme::error(ui, error));
        return None;
    }
    facts(ui, made, steps);
    if steps == made.steps {
        let labels = &look.manifest.labels;
        top_classes::top5(ui, side, index, labels, &made.probabilities, look.label);
    }
    // Linked tiles have one place under the pointer; a grid's places are others.
    over.filter(|_| made.brief.config.count == 1)
}

fn facts(ui: &mut Ui, made: &SynthesisResult, steps: usize) {
    let loss = lock(&made.history)
        .at(steps)
        .map_or(f32::NAN, Iterate::mean_loss);
    let value = TaskKind::of(&made.brief.config.task).value(loss);
    let text = format!("step {steps} · {value} · {:.0}/s", made.rate);
    ui.add(egui::Label::new(theme::weak(text)).truncate())
        .on_hover_text("Steps done, what they bring down (inversion) or up, and steps a second");
    let text = match &made.distances {
        Some(far) if steps == made.steps => format!(
            "L2 {:.2} · SSIM {:.2} · looks {:.3}",
            far.l2, far.ssim, far.perceptual
        ),
        _ => String::new(),
    };
    ui.add(egui::Label::new(theme::weak(text)).truncate())
        .on_hover_text("How far the finished picture is from the open one. L2: of pixels in [0, 1]. SSIM: structural similarity, 1 for equal pictures. Looks: distance of unit-length features of all stages of the bundled robust model (LPIPS's form with equal weights)");
}
