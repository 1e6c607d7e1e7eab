//! What stands below a figure: every setting behind it, in words.

use super::Shot;
use crate::attack::{Goal, short_number};
use crate::compute::{Channels, PredictionResult, Sign};
use crate::data::mask::{binary_mask, share_inside};
use crate::data::{Corruption, Picture};
use crate::session::{Column, CounterfactualTarget, Figure, State, TaskKind};

/// One paragraph about the figure that shows `shots`, where attacks have these `epsilons`.
pub fn caption(figure: &Figure, shots: &[Shot], epsilons: &str) -> String {
    let Some(first) = shots.first() else {
        return String::new();
    };
    let state = &first.state;
    let columns = figure.columns(state);
    let shows = |requests: &[Column]| columns.iter().any(|column| requests.contains(column));
    let prediction = first.rows.iter().find_map(|row| row.prediction.as_ref());
    let mut parts = vec![pictures(shots), corruption(shots), models(figure, shots)];
    if shows(&[
        Column::Attacked,
        Column::Perturbation,
        Column::AttackedAttribution,
    ]) || figure.curves
    {
        parts.push(attack(shots, epsilons, prediction));
    }
    if columns.iter().any(|column| column.map().is_some()) {
        parts.push(maps(state));
    }
    if shows(&[Column::Synthesis]) {
        parts.push(synthesis(state, prediction));
    }
    if shows(&[Column::Counterfactual, Column::Change, Column::Return]) {
        parts.push(counterfactual(state, prediction));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// What a picture is called.
pub fn picture_name(picture: &Picture) -> String {
    let name = picture.path.file_name();
    let name = name.unwrap_or(picture.path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn pictures(shots: &[Shot]) -> String {
    let mut names: Vec<String> = Vec::new();
    for entry in shots.iter().filter_map(|shot| shot.state.entry()) {
        let name = picture_name(&entry.picture);
        let truth = entry.truth.as_ref();
        let name = truth.map_or(name.clone(), |truth| format!("{name} ({truth})"));
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("Picture: {one}."),
        many => format!("Pictures: {}.", many.join(", ")),
    }
}

fn models(figure: &Figure, shots: &[Shot]) -> String {
    let rows = shots.first().map_or(&[][..], |shot| &shot.rows);
    let shown = shots.first().map(|shot| figure.rows(&shot.state));
    let shown = shown.unwrap_or_default().into_iter();
    let predictions = shown.filter_map(|row| rows.get(row)?.prediction.as_ref());
    let names: Vec<&str> = predictions
        .map(|prediction| prediction.manifest.name.as_str())
        .collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => format!("Model: {one}."),
        many => format!("Models: {}.", many.join(", ")),
    }
}

fn corruption(shots: &[Shot]) -> String {
    let each = shots.iter().map(|shot| shot.state.settings.corruption);
    let severities = each.clone().map(|corruption| corruption.severity);
    let most = severities.clone().fold(0.0, f32::max);
    let least = severities.fold(f32::INFINITY, f32::min);
    let Some(corruption) = each.into_iter().find(Corruption::is_active) else {
        return String::new();
    };
    let (kind, seed) = (corruption.kind.name(), corruption.seed);
    let severity = match most - least > 0.0 {
        true => format!("{} to {}", short_number(least), short_number(most)),
        false => short_number(most),
    };
    format!("Corrupted first: {kind}, severity {severity}, seed {seed}.")
}

/// How much of what the models see attacks may change, where that is not all.
fn mask(shots: &[Shot]) -> String {
    let share = |shot: &Shot| {
        let entry = shot.state.entry()?;
        let input = shot.rows.iter().find_map(|row| row.prediction.as_ref());
        let size = input?.manifest.input;
        let inside = binary_mask(entry.attack_mask.as_ref()?, entry.crop, size);
        Some(100.0 * share_inside(inside.into_iter()))
    };
    let shares: Vec<Option<f32>> = shots.iter().map(share).collect();
    let known = || shares.iter().flatten().copied();
    let (least, most) = (known().fold(100.0, f32::min), known().fold(0.0, f32::max));
    match (known().count(), shares.len()) {
        (0, _) => String::new(),
        (some, all) if some < all => ", inside masks on some of the pictures".into(),
        _ if most - least < 0.05 => {
            format!(", inside a mask of {most:.1} % of what the models see")
        }
        _ => format!(", inside masks of {least:.1} to {most:.1} % of what the models see"),
    }
}

fn attack(shots: &[Shot], epsilons: &str, prediction: Option<&PredictionResult>) -> String {
    let Some(Shot { state, .. }) = shots.first() else {
        return String::new();
    };
    let attack = &state.settings.attack;
    let mask = mask(shots);
    let mut text = format!("{} at ε {epsilons}{mask}", attack.kind());
    if !attack.method.is_pgd() {
        return format!("Attack: {text}, seed {}.", attack.seed);
    }
    match attack.step_size {
        Some(step) => text += &format!(", steps of {}", attack.norm.format(step)),
        None => text += ", steps of 2.5·ε/steps",
    }
    if let Goal::Targeted(class) = attack.goal {
        text += &format!(", toward {}", named(prediction, class));
    }
    if attack.restarts > 1 {
        text += &format!(", {} restarts", attack.restarts);
    }
    let start = if attack.random_start {
        format!("random start, seed {}", attack.seed)
    } else {
        "no random start".into()
    };
    format!("Attack: {text}, {start}.")
}

fn named(prediction: Option<&PredictionResult>, class: usize) -> String {
    prediction.map_or_else(
        || format!("class {class}"),
        |prediction| prediction.name(class).into(),
    )
}

fn maps(state: &State) -> String {
    let style = &state.settings.display.heat;
    let signs = match style.sign {
        Sign::Signed => "both signs",
        Sign::Positive => "positive evidence",
        Sign::Negative => "negative evidence",
        Sign::Absolute => "magnitudes",
    };
    let channels = match style.channels {
        Channels::Sum => "summed",
        Channels::Mean => "averaged",
    };
    let scale = if style.locked {
        "one scale"
    } else {
        "a scale for each map"
    };
    format!(
        "Attribution of the {} by {}; {signs}, {channels} over channels, {scale}, clipped at percentile {}.",
        format!("{:?}", state.settings.explanation.question.score).to_lowercase(),
        state.settings.explanation,
        short_number(style.percentile),
    )
}

fn synthesis(state: &State, prediction: Option<&PredictionResult>) -> String {
    let config = &state.settings.synthesis.config;
    let class = match config.task {
        crate::synthesis::Task::Generate { class, .. } => {
            format!(" ({})", named(prediction, class))
        }
        _ => String::new(),
    };
    let kind = TaskKind::of(&config.task).name();
    format!("{kind}: {config}{class}, seed {}.", config.seed)
}

fn counterfactual(state: &State, prediction: Option<&PredictionResult>) -> String {
    let target = state.settings.counterfactual.target;
    let target = match target {
        None => "the runner-up class".into(),
        Some(CounterfactualTarget::Class(class)) => named(prediction, class),
        Some(CounterfactualTarget::OfRow(_)) => "the class that the other row predicts".into(),
    };
    let of = if state.settings.counterfactual.attacked {
        "attacked picture"
    } else {
        "picture"
    };
    let along = match state.settings.counterfactual.along {
        along if along < 1.0 => format!(", {:.0} % of the way", along * 100.0),
        _ => String::new(),
    };
    let has_mask = state
        .entry()
        .is_some_and(|entry| entry.attack_mask.is_some());
    let inside = match state.settings.counterfactual.inside_mask && has_mask {
        true => ", changed inside the mask alone",
        false => "",
    };
    format!("Counterfactual: the {of} turned into {target}{along}{inside}.")
}
