//! What is known of the chosen picture, and the words put on it.

use egui::{TextEdit, Ui, vec2};

use super::{TriageState, grid};
use crate::app::panels::Action;
use crate::app::theme;
use crate::session::Triage;

/// Draws the panel.
pub(super) fn show(
    ui: &mut Ui,
    triage: &mut Triage,
    memory: &mut TriageState,
    actions: &mut Vec<Action>,
) {
    ui.horizontal(|ui| {
        ui.label("Size");
        ui.add(egui::Slider::new(&mut triage.side, 32.0..=256.0).show_value(false))
            .on_hover_text("Side of the thumbnails");
    });
    ui.separator();
    let table = memory.contents.table.clone();
    let chosen = triage.chosen.filter(|&index| index < table.records.len());
    let Some(index) = chosen else {
        ui.label(theme::weak("Select a picture by a click or the arrow keys. Enter or a double click opens it in the explorer."));
        return;
    };
    let record = &table.records[index];
    if let Some((Some(texture), _)) = memory.textures.get(&record.path) {
        let side = ui.available_width().min(200.0);
        ui.image((texture.id(), vec2(side, side)));
    }
    for line in grid::description(&table, record) {
        ui.add(egui::Label::new(line).wrap());
    }
    if ui
        .button("Open in the explorer")
        .on_hover_text("With the models and the attack of the scan (Enter)")
        .clicked()
    {
        actions.push(Action::Explore(index));
    }
    ui.separator();
    ui.strong("Tags");
    ui.horizontal_wrapped(|ui| {
        for tag in &record.tags {
            let button = ui.small_button(format!("{tag} ×"));
            if button.on_hover_text("Take this tag off").clicked() {
                actions.push(Action::Tag(vec![record.picture], tag.clone(), false));
            }
        }
    });
    ui.horizontal(|ui| {
        let field = TextEdit::singleline(&mut memory.tag).hint_text("new tag");
        let entered = ui.add(field.desired_width(100.0)).lost_focus()
            && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let tag = memory.tag.trim().to_owned();
        let add = ui.add_enabled(!tag.is_empty(), egui::Button::new("Add"));
        if !tag.is_empty() && (entered || add.clicked()) {
            actions.push(Action::Tag(vec![record.picture], tag.clone(), true));
            memory.tag.clear();
        }
        let all = ui.add_enabled(!tag.is_empty(), egui::Button::new("Add to all selected"));
        if all
            .on_hover_text("To every picture that the query selects")
            .clicked()
        {
            let selected = memory.selection.iter();
            let pictures = selected.map(|&index| table.records[index].picture);
            actions.push(Action::Tag(pictures.collect(), tag, true));
            memory.tag.clear();
        }
    });
}
