//! Settings of counterfactuals: which question is asked, and how it is answered.

use egui::{ComboBox, Slider, Ui};

use crate::app::panels::Action;
use crate::app::panels::attack::{clicked_norm, usual_or_given};
use crate::counterfactual::{DescentSettings, GeneratorEntry, real_classes};
use crate::session::{CounterfactualTarget, MethodChoice, OtherRow, Row, State, generators_of};

/// Draws the settings; `labels` are the classes and `input` the size of the first row's model.
pub fn settings(
    ui: &mut Ui,
    state: &mut State,
    rows: &[Row],
    (labels, input): (&[String], [usize; 2]),
    actions: &mut Vec<Action>,
) {
    question(ui, state, labels);
    method(ui, state, actions);
    generators(ui, state, rows);
    let has_mask = state
        .entry()
        .is_some_and(|entry| entry.attack_mask.is_some());
    let inside = egui::Checkbox::new(
        &mut state.settings.counterfactual.inside_mask,
        "Only inside the mask",
    );
    ui.add_enabled(has_mask, inside)
        .on_hover_text(
            "Counterfactuals change only what is inside the mask that Mask and paint draws",
        )
        .on_disabled_hover_text("Draw a mask under Mask and paint first");
    ball(ui, &mut state.settings.counterfactual.descent, input);
    ui.horizontal(|ui| {
        let progress = &mut state.progress.counterfactual;
        let name = if progress.paused { "Go on" } else { "Pause" };
        if ui
            .small_button(name)
            .on_hover_text("Descents stop where they are, and go on from there")
            .clicked()
        {
            progress.paused = !progress.paused;
        }
        if ui
            .small_button("Restart")
            .on_hover_text("Begin all descents again, from the picture")
            .clicked()
        {
            progress.attempt = progress.attempt.wrapping_add(1);
            progress.paused = false;
        }
    });
    ui.horizontal(|ui| {
        ui.label("Way");
        let along = &mut state.settings.counterfactual.along;
        ui.add(Slider::new(along, 0.0..=1.0).max_decimals(2))
            .on_hover_text("How far all rows are on the straight way from the picture (0) to its counterfactual (1)");
    });
}

fn question(ui: &mut Ui, state: &mut State, labels: &[String]) {
    let counterfactual = &mut state.settings.counterfactual;
    ui.horizontal(|ui| {
        ui.label("Of");
        ui.selectable_value(&mut counterfactual.attacked, false, "input");
        ui.selectable_value(&mut counterfactual.attacked, true, "attacked")
            .on_hover_text("Of the attacked picture: change and fakeness then follow ε");
    });
    ui.horizontal(|ui| {
        ui.label("Into");
        let as_other = CounterfactualTarget::OfRow(OtherRow::Other);
        let name = |target: Option<CounterfactualTarget>| match target {
            None => "runner-up",
            Some(CounterfactualTarget::OfRow(_)) => "as the other row predicts",
            Some(CounterfactualTarget::Class(class)) => labels.get(class).map_or("?", String::as_str),
        };
        let target = &mut counterfactual.target;
        ComboBox::from_id_salt("counterfactual class")
            .selected_text(name(*target))
            .show_ui(ui, |ui| {
                ui.selectable_value(target, None, name(None));
                ui.selectable_value(target, Some(as_other), name(Some(as_other)));
                for class in (0..real_classes(labels)).map(CounterfactualTarget::Class) {
                    ui.selectable_value(target, Some(class), name(Some(class)));
                }
            })
            .response
            .on_hover_text("Target class. The runner-up is the likeliest class that the row's model does not predict");
    });
}

fn method(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.label("By");
        let method = &mut state.settings.counterfactual.method;
        let generator = MethodChoice::GeneratorWherePossible;
        ui.selectable_value(method, generator, "automatic")
            .on_hover_text("By the generator that was trained for a model or with it (arXiv 2310.00761); by descent where a model has none");
        ui.selectable_value(method, MethodChoice::Descent, "descent")
            .on_hover_text("Every model: steps on the pixels up the probability of the target class, within a ball around the picture (Boreiko et al. 2022)");
        if ui
            .small_button("Generator…")
            .on_hover_text("Open a generator's file, as “epsiloscope train counterfactual --classifier MODEL” writes it; it is used for the model that it was made for, wherever that is open")
            .clicked()
        {
            actions.push(Action::OpenGenerator);
        }
    });
}

/// For each row whose model has several generators the choice among them.
fn generators(ui: &mut Ui, state: &mut State, rows: &[Row]) {
    let mut chosen = None;
    for (index, row) in rows.iter().enumerate() {
        let Some(prediction) = &row.prediction else {
            continue;
        };
        let entries: Vec<&GeneratorEntry> = generators_of(state, prediction).collect();
        let [first, _, ..] = entries[..] else {
            continue;
        };
        ui.horizontal(|ui| {
            ui.label(format!("Row {}", index + 1));
            ComboBox::from_id_salt(("generator", index))
                .selected_text(&first.name)
                .truncate()
                .show_ui(ui, |ui| {
                    for &entry in &entries {
                        let clicked = ui.selectable_label(entry == first, &entry.name).clicked();
                        if clicked && entry != first {
                            chosen = Some(entry.clone());
                        }
                    }
                })
                .response
                .on_hover_text(format!(
                    "The generator for {}: {}",
                    prediction.manifest.name,
                    first.path.display()
                ));
        });
    }
    if let Some(entry) = chosen {
        state.prefer_generator(entry);
    }
}

/// The ball within which descents change the picture.
fn ball(ui: &mut Ui, descent: &mut DescentSettings, input: [usize; 2]) {
    ui.horizontal(|ui| {
        if let Some(norm) = clicked_norm(ui, descent.norm) {
            descent.norm = norm;
            // The same number means something else in another norm.
            descent.radius = None;
        }
    });
    ui.horizontal(|ui| {
        ui.label("Radius");
        let usual = DescentSettings::usual_radius(descent.norm, input);
        let about = (
            "usual",
            "How far from the picture its counterfactual may be: L2 6, L1.5 16 or L∞ 24/255 at 64×64 pixels, and as much for each value at other sizes",
        );
        let limits = (usual / 100.0..=20.0 * usual, usual / 100.0);
        usual_or_given(ui, descent.norm, &mut descent.radius, usual, about, limits);
    });
    ui.horizontal(|ui| {
        ui.label("Steps");
        let steps = Slider::new(&mut descent.steps, 1..=400).logarithmic(true);
        ui.add(steps)
            .on_hover_text("Gradient steps, of 2.5 · radius / steps each");
    });
}
