//! What the window can ask of the engine, and how each request is computed.

mod batch;
mod explorer;
mod sweep;

use std::sync::Arc;

use crate::attack::{Attack, Goal};
use crate::model::Manifest;
use crate::picture::{Crop, Picture};
use crate::view::Frame;

pub use explorer::{Explorer, attack_once};
pub use sweep::flip_interval;

/// Where results go: one lane a model row and kind of work. Earlier kinds are more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// What a model says of the picture itself.
    Look(usize),
    /// The attack at the chosen ε.
    Attack(usize),
    /// Attacks over a grid of ε.
    Sweep(usize),
}

/// A picture before a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Id of a bundled model or path of a file.
    pub model: String,
    /// What it looks at.
    pub picture: Picture,
    /// Which part of it.
    pub crop: Crop,
    /// The true class, by name, where it is known.
    pub truth: Option<String>,
}

/// What is wanted in a lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Look at the picture.
    Look(Subject),
    /// Attack it.
    Attack(Subject, Attack),
    /// Attack it at a grid of ε up to this one; the attack's own ε does not count.
    Sweep(Subject, Attack, f32),
}

/// What the window is told.
pub enum News {
    /// A model has looked at the picture.
    Looked(Look),
    /// A share of the attack is done, in [0, 1].
    Progress(f32),
    /// The attack at the chosen ε is done.
    Attacked(Attacked),
    /// Some attacks of the sweep are done.
    Swept(Vec<Attacked>),
    /// It did not work; the message is for people.
    Failed(String),
}

/// What a model says of a picture.
#[derive(Clone)]
pub struct Look {
    /// The model that looked.
    pub manifest: Arc<Manifest>,
    /// The picture as the model sees it.
    pub input: Frame,
    /// Softmax over the classes.
    pub probabilities: Vec<f32>,
    /// The class an untargeted attack leaves: the true one, else the predicted one.
    pub label: usize,
}

/// What an attack did to a picture, judged by a fresh look.
#[derive(Clone)]
pub struct Attacked {
    /// The ε it was allowed.
    pub epsilon: f32,
    /// The adversarial picture.
    pub picture: Frame,
    /// Softmax over the classes.
    pub probabilities: Vec<f32>,
    /// L∞ norm of the perturbation.
    pub linf: f32,
    /// L2 norm of the perturbation.
    pub l2: f32,
    /// Whether every value is in [0, 1].
    pub inside_box: bool,
}

/// The class with the highest probability.
pub fn top(probabilities: &[f32]) -> usize {
    let best = probabilities
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(class, _)| class)
}

/// Whether the attack had nothing to do: the picture was never seen as the class to leave, or is
/// seen as the target already.
pub fn flipped_before(attack: &Attack, look: &Look) -> bool {
    flips(attack, look.label, &look.probabilities)
}

/// Whether these probabilities are what an attack wants.
pub fn flips(attack: &Attack, label: usize, probabilities: &[f32]) -> bool {
    match attack.goal {
        Goal::Untargeted => top(probabilities) != label,
        Goal::Targeted(class) => top(probabilities) == class,
    }
}
