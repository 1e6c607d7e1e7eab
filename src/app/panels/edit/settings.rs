//! The tools in the panel on the right.

use egui::{ComboBox, Slider, Ui};

use crate::app::panels::Action;
use crate::app::theme;
use crate::attack::patch::PatchShape;
use crate::data::Picture;
use crate::session::{Editing, State, Tool};

/// Draws the tools; `input` is height and width of what the first row's model gets.
pub fn settings(ui: &mut Ui, state: &mut State, input: [usize; 2], actions: &mut Vec<Action>) {
    if state.entry().is_none() {
        ui.label(theme::weak("no picture is open"));
        return;
    }
    ui.label("Attacks act only inside a mask:");
    tools(ui, &mut state.transient.editing, &Tool::MASK);
    mask_settings(ui, &mut state.transient.editing);
    mask_commands(ui, state, actions);
    ui.separator();
    patch(ui, state, input);
    ui.separator();
    ui.label("Paint on a copy of the picture:");
    tools(ui, &mut state.transient.editing, &Tool::PAINT);
    paint_settings(ui, &mut state.transient.editing);
    if state.transient.editing.tool.is_some() {
        let hint = "Tools draw on the columns Input and Attacked. With the keyboard: click or Tab to a picture, move by \
                    arrows (Shift: faster), press and release the tool by the space bar";
        let stop = ui.button("No tool").on_hover_text(hint);
        if stop.clicked() {
            state.transient.editing.tool = None;
        }
    }
}

fn tools(ui: &mut Ui, editing: &mut Editing, tools: &[Tool]) {
    ui.horizontal_wrapped(|ui| {
        for &tool in tools {
            let chosen = editing.tool == Some(tool);
            let button = ui.selectable_label(chosen, tool.name());
            if button.on_hover_text(tool.about()).clicked() {
                editing.tool = (!chosen).then_some(tool);
            }
        }
    });
}

fn radius(ui: &mut Ui, editing: &mut Editing) {
    let mut percent = 100.0 * editing.radius;
    ui.label("Size");
    let slider = Slider::new(&mut percent, 0.5..=30.0)
        .logarithmic(true)
        .max_decimals(1)
        .suffix(" %");
    let hint = "Radius of the brush, as a share of the picture's shorter side";
    if ui.add(slider).on_hover_text(hint).changed() {
        editing.radius = percent / 100.0;
    }
}

fn mask_settings(ui: &mut Ui, editing: &mut Editing) {
    ui.horizontal(|ui| {
        ui.selectable_value(&mut editing.removes, false, "Add")
            .on_hover_text("Tools add to the mask");
        ui.selectable_value(&mut editing.removes, true, "Take away")
            .on_hover_text("Tools take away from the mask; without one, from the whole picture");
    });
    match editing.tool {
        Some(Tool::MaskBrush) => {
            ui.horizontal(|ui| radius(ui, editing));
        }
        Some(Tool::MaskFlood) => {
            ui.horizontal(|ui| {
                ui.label("Tolerance");
                ui.add(Slider::new(&mut editing.tolerance, 0.0..=1.0).max_decimals(2))
                    .on_hover_text(
                        "Largest difference of any channel from the pixel clicked, in [0, 1]",
                    );
            });
        }
        _ => {}
    }
}

fn mask_commands(ui: &mut Ui, state: &mut State, actions: &mut Vec<Action>) {
    let (has_mask, has_true_mask) = state.entry().map_or((false, false), |entry| {
        (entry.attack_mask.is_some(), entry.mask.is_some())
    });
    ui.horizontal_wrapped(|ui| {
        let button = |ui: &mut Ui, enabled: bool, name: &str, hint: &str| {
            let button = egui::Button::new(name).small();
            ui.add_enabled(enabled, button)
                .on_hover_text(hint)
                .clicked()
        };
        if button(ui, has_mask, "Invert", "Swap inside and outside") {
            state.invert_attack_mask();
        }
        if button(
            ui,
            has_mask,
            "Clear",
            "Let attacks change the whole picture again",
        ) {
            state.clear_attack_mask();
        }
        let object = button(
            ui,
            has_true_mask,
            "Object",
            "Only what the picture's true mask marks",
        );
        let background = button(
            ui,
            has_true_mask,
            "Background",
            "All but what the true mask marks",
        );
        if (object || background)
            && let Err(error) = state.use_true_mask(background)
        {
            actions.push(Action::Tell(error.to_string()));
        }
        if button(ui, true, "Load…", "A picture, white where attacks may act") {
            actions.push(Action::LoadAttackMask);
        }
        if button(ui, has_mask, "Save…", "Write the mask as PNG") {
            actions.push(Action::SaveAttackMask);
        }
    });
    let text = match mask_share(ui, state) {
        Some(share) => format!("attacks may change {:.1} % of the picture", 100.0 * share),
        None => "no mask: attacks may change the whole picture".into(),
    };
    ui.label(theme::weak(text));
}

/// Share of the picture that attacks may change; counted when the mask changes, not in every frame.
fn mask_share(ui: &Ui, state: &State) -> Option<f32> {
    let mask = state.entry()?.attack_mask.clone()?;
    let id = egui::Id::unique("share of the mask of attacks");
    let known: Option<(Picture, f32)> = ui.data(|data| data.get_temp(id));
    if let Some((_, share)) = known.filter(|(of, _)| *of == mask) {
        return Some(share);
    }
    let share = state.attack_mask_share()?;
    ui.data_mut(|data| data.insert_temp(id, (mask, share)));
    Some(share)
}

fn patch(ui: &mut Ui, state: &mut State, input: [usize; 2]) {
    ui.label("Patch: every value is allowed inside it (Brown et al. 2017)");
    ui.horizontal(|ui| {
        let editing = &mut state.transient.editing;
        let name = |shape| match shape {
            PatchShape::Square => "square",
            PatchShape::Disk => "disk",
        };
        ComboBox::from_id_salt("outline of the patch")
            .selected_text(name(editing.patch))
            .width(70.0)
            .show_ui(ui, |ui| {
                for shape in [PatchShape::Square, PatchShape::Disk] {
                    ui.selectable_value(&mut editing.patch, shape, name(shape));
                }
            })
            .response
            .on_hover_text("Outline of the patch");
        let mut percent = 100.0 * editing.patch_side;
        let slider = Slider::new(&mut percent, 2.0..=100.0)
            .max_decimals(0)
            .suffix(" %");
        let hint = "Side of the patch, as a share of the shorter side of what the models see";
        if ui.add(slider).on_hover_text(hint).changed() {
            editing.patch_side = percent / 100.0;
        }
    });
    ui.horizontal_wrapped(|ui| {
        let hint =
            "Put a patch in the middle and attack inside it, L∞ with ε 1; drag it on a picture";
        if ui.button("Place").on_hover_text(hint).clicked() {
            state.place_patch(input);
        }
        search(ui, state);
    });
}

/// The search for the best place, against one of the models.
fn search(ui: &mut Ui, state: &mut State) {
    if let Some(search) = state.patch_search() {
        let share = search.progress;
        let bar = egui::ProgressBar::new(share)
            .desired_width(90.0)
            .show_percentage();
        ui.add(bar).on_hover_text("Places that were tried");
        if ui.button("Cancel").clicked() {
            state.progress.patch = None;
        }
        return;
    }
    ui.label("Search against");
    let models = state.document.models.iter().enumerate();
    let shown = models.filter(|(row, _)| state.settings.display.shows_row(*row));
    let rows: Vec<(usize, String)> = shown.map(|(row, model)| (row, model.title())).collect();
    for (row, title) in rows {
        let hint = "Try places all over the picture by short attacks, and put the patch where it does most to this model";
        if ui.small_button(title).on_hover_text(hint).clicked() {
            state.search_patch(row);
        }
    }
}

fn paint_settings(ui: &mut Ui, editing: &mut Editing) {
    if !editing.tool.is_some_and(|tool| Tool::PAINT.contains(&tool)) {
        return;
    }
    ui.horizontal(|ui| radius(ui, editing));
    match editing.tool {
        Some(Tool::Paint) => {
            ui.horizontal(|ui| {
                ui.label("Colour");
                ui.color_edit_button_srgb(&mut editing.colour);
            });
        }
        Some(Tool::Clone) if editing.source.is_none() => {
            ui.label(theme::weak(
                "choose where to copy from: right button, or Alt and a click",
            ));
        }
        _ => {}
    }
}
