//! The results so far, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::attack::Attack;
use crate::attribution::{spearman, ssim};
use crate::compute::{
    AttackResult, AttributionRequest, AttributionResult, ComputeMessage, CounterfactualResult,
    DescriptionPreview, Lane, PictureSource, PredictionResult, RobustnessResult,
    SeverityPrediction, SynthesisResult, UnitActivations, flip_interval, flips,
};

/// The results of one model row that still hold.
#[derive(Clone, Default)]
pub struct Row {
    /// The prediction.
    pub prediction: Option<PredictionResult>,
    /// The newest attack at a chosen ε.
    pub attacked: Option<AttackResult>,
    /// Attacks over the grid of ε, by rising ε.
    pub sweep: Vec<AttackResult>,
    /// Predictions over a grid of severities of the corruption, by rising severity.
    pub severity_sweep: Vec<SeverityPrediction>,
    /// Share of the running attack that is done.
    pub progress: Option<f32>,
    /// The error of the prediction, attack or sweep.
    pub error: Option<String>,
    /// The newest map of each picture, by [`PictureSource`]; it stays until a newer one replaces it.
    pub attributions: [Option<Arc<AttributionResult>>; 2],
    /// The synthesis, as far as it is.
    pub synthesis: Option<Box<SynthesisResult>>,
    /// The newest counterfactual; it stays until a newer one replaces it.
    pub counterfactual: Option<Arc<CounterfactualResult>>,
    /// Activations of the model's units.
    pub unit_activations: Option<Arc<UnitActivations>>,
    /// The check by AutoAttack, as far as it is.
    pub robustness: Option<Arc<RobustnessResult>>,
    /// Predictions after every usual normaliser.
    pub preview: Option<Vec<DescriptionPreview>>,
    /// Errors of the other lanes.
    pub errors: BTreeMap<Lane, String>,
}

/// An attack on the screen.
pub struct Shown<'a> {
    /// The attack.
    pub attacked: &'a AttackResult,
    /// Whether it is at the very ε asked for, or at the nearest that is finished.
    pub exact: bool,
}

impl Row {
    /// Drops the results that a changed request makes stale.
    pub fn forget(&mut self, lane: Lane) {
        match lane {
            Lane::Prediction(_) => {
                // These may not depend on the picture, or not on its corruption.
                *self = Self {
                    synthesis: self.synthesis.take(),
                    unit_activations: self.unit_activations.take(),
                    severity_sweep: std::mem::take(&mut self.severity_sweep),
                    ..Self::default()
                }
            }
            Lane::Attack(_) => self.progress = Some(0.0),
            Lane::Sweep(_) => {
                self.sweep.clear();
                self.attacked = None;
                self.attributions[PictureSource::Attacked as usize] = None;
                // That of the picture itself still holds.
                self.counterfactual = self
                    .counterfactual
                    .take()
                    .filter(|of| of.request.epsilon == 0.0);
            }
            Lane::SeveritySweep(_) => {
                self.severity_sweep.clear();
                self.errors.remove(&lane);
                return;
            }
            Lane::Robustness(_) => {
                self.robustness = None;
                self.errors.remove(&lane);
                return;
            }
            Lane::Attribution(..)
            | Lane::Curves(..)
            | Lane::Sanity(..)
            | Lane::Counterfactual(_)
            | Lane::UnitActivations(_)
            | Lane::DescriptionPreview(_)
            | Lane::PatchSearch(_)
            | Lane::Scan => {
                self.errors.remove(&lane);
                return;
            }
            // Its request changes with every frame; its error goes when something works.
            Lane::Synthesis(_) => return,
        }
        self.error = None;
    }

    /// Takes in a message from a lane.
    pub fn take(&mut self, lane: Lane, message: ComputeMessage) {
        match message {
            ComputeMessage::Explained(map) => {
                if let Lane::Attribution(which, _) = lane {
                    self.attributions[which as usize] = Some(map);
                }
            }
            // The window handles these.
            ComputeMessage::Checked
            | ComputeMessage::PatchSearched(_)
            | ComputeMessage::Scanned(_)
            | ComputeMessage::OutOfMemory
            | ComputeMessage::DeviceLost(_) => {}
            ComputeMessage::Synthesized(synthesis) => {
                self.errors.remove(&lane);
                self.synthesis = Some(synthesis);
            }
            ComputeMessage::Counterfactual(counterfactual) => {
                self.errors.remove(&lane);
                self.counterfactual = Some(counterfactual);
            }
            ComputeMessage::UnitActivations(unit_activations) => {
                self.unit_activations = Some(unit_activations);
            }
            ComputeMessage::RobustnessChecked(result) => self.robustness = Some(result),
            ComputeMessage::DescriptionsPreviewed(guesses) => self.preview = Some(guesses),
            ComputeMessage::Failed(message)
                if !matches!(lane, Lane::Prediction(_) | Lane::Attack(_) | Lane::Sweep(_)) =>
            {
                self.errors.insert(lane, message);
            }
            ComputeMessage::Predicted(prediction) => self.prediction = Some(prediction),
            ComputeMessage::Progress(share) => self.progress = Some(share),
            ComputeMessage::Attacked(attacked) => {
                self.attacked = Some(attacked);
                self.progress = None;
            }
            ComputeMessage::Swept(attacked) => {
                self.sweep.extend(attacked);
                self.sweep.sort_by(|a, b| a.epsilon.total_cmp(&b.epsilon));
            }
            ComputeMessage::SeveritySwept(prediction) => {
                self.severity_sweep.push(prediction);
                self.severity_sweep
                    .sort_by(|a, b| a.severity.total_cmp(&b.severity));
            }
            ComputeMessage::Failed(message) => {
                self.error = Some(message);
                self.progress = None;
            }
        }
    }

    /// The finished attack whose ε is nearest to `epsilon`.
    pub fn nearest(&self, epsilon: f32) -> Option<Shown<'_>> {
        let distance = |attacked: &AttackResult| (attacked.epsilon - epsilon).abs();
        // The attack that was asked for comes first, so that it wins over an equal one of the sweep.
        let finished = self.attacked.iter().chain(&self.sweep);
        let attacked = finished.min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        Some(Shown {
            attacked,
            exact: distance(attacked) < 1e-6,
        })
    }

    /// Whether there is a map, finished or not, of the attack at this very ε.
    pub fn maps_attack_at(&self, epsilon: f32) -> bool {
        let map = self.attributions[PictureSource::Attacked as usize].as_ref();
        map.is_some_and(|map| (map.request.epsilon - epsilon).abs() < 1e-6)
    }

    /// The finished attribution of this request, if it is there.
    pub fn finished_map(
        &self,
        which: PictureSource,
        request: &AttributionRequest,
    ) -> Option<&Arc<AttributionResult>> {
        let map = self.attributions[which as usize].as_ref();
        map.filter(|map| map.finished() && map.request == *request)
    }

    /// What went wrong with the map of a picture or with its checks.
    pub fn map_error(&self, which: PictureSource) -> Option<&String> {
        self.error_of(|lane| match *lane {
            Lane::Attribution(of, _) | Lane::Curves(of, _) | Lane::Sanity(of, _) => of == which,
            _ => false,
        })
    }

    /// What went wrong with the counterfactual.
    pub fn counterfactual_error(&self) -> Option<&String> {
        self.error_of(|lane| matches!(lane, Lane::Counterfactual(_)))
    }

    /// What went wrong with the synthesis.
    pub fn synthesis_error(&self) -> Option<&String> {
        self.error_of(|lane| matches!(lane, Lane::Synthesis(_)))
    }

    /// What went wrong with the check by AutoAttack.
    pub fn robustness_error(&self) -> Option<&String> {
        self.error_of(|lane| matches!(lane, Lane::Robustness(_)))
    }

    fn error_of(&self, about: impl Fn(&Lane) -> bool) -> Option<&String> {
        let mut errors = self.errors.iter();
        errors.find(|(lane, _)| about(lane)).map(|(_, text)| text)
    }

    /// The smallest ε at which `attack` is known to succeed, and whether the very first does.
    pub fn flip(&self, attack: &Attack) -> Option<f32> {
        let label = self.prediction.as_ref()?.label;
        let found = self.sweep.iter().map(|attacked| {
            (
                attacked.epsilon,
                flips(attack, label, &attacked.probabilities),
            )
        });
        let found: Vec<(f32, bool)> = found.collect();
        match found.first() {
            Some((epsilon, true)) => Some(*epsilon),
            _ => flip_interval(&found).map(|(_, high)| high),
        }
    }

    /// Severity of the corruption and confidence in the picture's class, by rising severity.
    pub fn severity_curve(&self) -> Vec<[f64; 2]> {
        let point = |at: &SeverityPrediction| {
            let confidence = at.probabilities.get(at.label).copied().unwrap_or(0.0);
            [f64::from(at.severity), f64::from(confidence)]
        };
        self.severity_sweep.iter().map(point).collect()
    }

    /// The smallest severity at which the prediction is known to be another class.
    pub fn flip_severity(&self) -> Option<f32> {
        let flipped = self.severity_sweep.iter().find(|at| at.is_flipped());
        flipped.map(|at| at.severity)
    }

    /// ε and the probability of “fake” by rising ε, for a model that knows that label.
    pub fn fakeness(&self) -> Vec<[f64; 2]> {
        if !self
            .prediction
            .as_ref()
            .is_some_and(|prediction| prediction.knows_fake())
        {
            return Vec::new();
        }
        self.along(|probabilities| probabilities.last())
    }

    /// ε and confidence in the class that the attack leaves (or aims for), by rising ε.
    pub fn curve(&self, attack: &Attack) -> Vec<[f64; 2]> {
        let Some(prediction) = &self.prediction else {
            return Vec::new();
        };
        let class = match attack.goal {
            crate::attack::Goal::Untargeted => prediction.label,
            crate::attack::Goal::Targeted(class) => class,
        };
        self.along(|probabilities| probabilities.get(class))
    }

    /// ε and one of the probabilities, by rising ε.
    fn along(&self, which: impl Fn(&[f32]) -> Option<&f32>) -> Vec<[f64; 2]> {
        let point = |attacked: &AttackResult| {
            let value = which(&attacked.probabilities).copied().unwrap_or(0.0);
            [f64::from(attacked.epsilon), f64::from(value)]
        };
        self.sweep.iter().map(point).collect()
    }
}

/// How alike two maps are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Rank correlation of their pixels ([`spearman`]).
    pub spearman: f32,
    /// Structural similarity ([`ssim`]).
    pub ssim: f32,
}

/// Likenesses computed lately, so that no frame computes one twice.
#[derive(Default)]
pub struct Likenesses(Vec<(Arc<AttributionResult>, Arc<AttributionResult>, Likeness)>);

/// Pairs remembered: two of each map of a dozen models.
const PAIRS: usize = 48;

impl Likenesses {
    /// How alike two finished maps of the same size and by the same method are.
    pub fn of(
        &mut self,
        a: &Arc<AttributionResult>,
        b: &Arc<AttributionResult>,
    ) -> Option<Likeness> {
        let same_method = a.request.explanation == b.request.explanation;
        let same_size = a.attribution.size == b.attribution.size;
        if !(a.finished() && b.finished() && same_method && same_size) {
            return None;
        }
        let is_pair = |x, y| (x == a && y == b) || (x == b && y == a);
        let known = self.0.iter().find(|(x, y, _)| is_pair(x, y));
        if let Some((.., likeness)) = known {
            return Some(*likeness);
        }
        let (x, y) = (a.heat.values(), b.heat.values());
        let likeness = Likeness {
            spearman: spearman(x, y),
            ssim: ssim(x, y, a.attribution.size),
        };
        self.0.truncate(PAIRS - 1);
        self.0.insert(0, (a.clone(), b.clone(), likeness));
        Some(likeness)
    }
}
