//! A new scan: what of, how, and how far it is.

use egui::{ProgressBar, Ui};

use super::TriageState;
use crate::app::panels::Action;
use crate::app::theme;
use crate::compute::ScanRequest;
use crate::session::State;
use crate::triage::{FlipSearch, Plan};

/// Draws the menu in which a scan is set up.
pub(super) fn show(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    ui.menu_button("New scan", |ui| {
        ui.set_min_width(360.0);
        ui.horizontal(|ui| {
            if ui
                .button("Folder…")
                .on_hover_text("A folder of pictures, or a data set with a test or val split")
                .clicked()
            {
                actions.push(Action::ChooseSource { folder: true });
            }
            if ui
                .button("List…")
                .on_hover_text("A text file of paths, one a line, each with its class after a tab")
                .clicked()
            {
                actions.push(Action::ChooseSource { folder: false });
            }
            match &state.navigation.triage.source {
                Some(source) => ui.label(theme::file_name(source)),
                None => ui.label(theme::weak("choose what to scan")),
            };
        });
        let models = state.document.models.iter();
        let models: Vec<String> = models.map(crate::model::ModelRef::title).collect();
        ui.label(theme::weak(format!(
            "with the explorer's models ({}) and attack ({}), on whole pictures as they are",
            models.join(", "),
            state.settings.attack
        )));
        ui.checkbox(
            &mut state.navigation.triage.flips,
            "Find the flip ε of each picture",
        )
        .on_hover_text(format!(
            "Smallest ε at which the prediction flips: by bisection, up to {} times the ε of the attack, to within {} % of that",
            FlipSearch::REACH,
            100.0 * FlipSearch::SHARE
        ));
        ui.checkbox(
            &mut state.navigation.triage.keeps,
            "Keep the representations, for a map",
        );
        let ready = state.navigation.triage.source.is_some();
        if ui.add_enabled(ready, egui::Button::new("Start")).clicked() {
            actions.push(Action::StartScan);
            ui.close();
        }
    });
}

/// What the settings order, for a database that is known.
pub fn order(state: &State) -> Option<ScanRequest> {
    let attack = state.settings.attack.clone();
    let most = FlipSearch::REACH * attack.epsilon;
    let searches = state.navigation.triage.flips && most > 0.0;
    Some(ScanRequest {
        database: state.navigation.triage.database.clone()?,
        plan: Plan {
            source: state.navigation.triage.source.clone()?,
            models: state.document.models.clone(),
            flip: searches.then(|| FlipSearch::up_to(most)),
            attack: (attack.epsilon > 0.0).then_some(attack),
            map: state.navigation.triage.keeps,
        },
    })
}

/// Draws how far the scan is, with what pauses it.
pub(super) fn progress(ui: &mut Ui, state: &mut State, memory: &TriageState) {
    let Some(order) = state.progress.scan.request.clone() else {
        return;
    };
    let Some(progress) = memory.progress else {
        ui.spinner();
        ui.label(theme::weak("starting the scan…"));
        return;
    };
    let share = progress.done as f32 / progress.total.max(1) as f32;
    let mut text = format!("{} of {}", progress.done, progress.total);
    if let (Some(rate), Some(left)) = (progress.per_second(), progress.left()) {
        let minutes = left.as_secs().div_ceil(60);
        text += &format!(", {rate:.1}/s, {minutes} min left");
    }
    ui.add(ProgressBar::new(share).desired_width(220.0).text(text))
        .on_hover_text(order.plan.source.display().to_string());
    let word = if state.progress.scan.paused {
        "Resume"
    } else {
        "Pause"
    };
    if ui.button(word).clicked() {
        state.progress.scan.paused = !state.progress.scan.paused;
    }
    if ui
        .button("Stop")
        .on_hover_text("Results so far are kept; starting the same scan again resumes it")
        .clicked()
    {
        state.progress.scan.request = None;
    }
}
