//! The line above: database, scan, tabs, query.

use egui::{ComboBox, TextEdit, Ui};

use super::{TriageState, filters, order};
use crate::app::panels::Action;
use crate::app::theme;
use crate::session::{State, Triage, TriageTab};
use crate::triage::ScanRow;
use crate::triage::reader::Contents;

/// Draws it.
pub(super) fn show(
    ui: &mut Ui,
    state: &mut State,
    memory: &mut TriageState,
    actions: &mut Vec<Action>,
) {
    ui.horizontal(|ui| {
        let triage = &mut state.navigation.triage;
        for tab in TriageTab::ALL {
            ui.selectable_value(&mut triage.tab, tab, tab.name());
        }
        ui.separator();
        if ui
            .button("Open database…")
            .on_hover_text("The file that “epsiloscope scan” writes")
            .clicked()
        {
            actions.push(Action::OpenDatabase);
        }
        scans(ui, triage, memory);
        order::show(ui, state, actions);
        order::progress(ui, state, memory);
    });
    let triage = &mut state.navigation.triage;
    ui.horizontal(|ui| {
        query(ui, triage, memory);
        filters::show(ui, triage, memory);
        views(ui, triage, memory, actions);
        export(ui, memory, actions);
    });
    if let Some(mistake) = &memory.mistake {
        ui.label(theme::error(ui, mistake.to_string()));
    }
}

fn scans(ui: &mut Ui, triage: &mut Triage, memory: &TriageState) {
    let contents = &memory.contents;
    let shown = contents
        .scans
        .iter()
        .find(|row| Some(row.id) == contents.scan);
    let Some(shown) = shown else { return };
    ComboBox::from_id_salt("scan")
        .selected_text(shown.title())
        .show_ui(ui, |ui| {
            for row in &contents.scans {
                if choice(ui, row, row.id == shown.id) {
                    triage.scan = Some(row.id);
                }
            }
        });
    beside(ui, triage, contents, shown.id);
    let state = if shown.finished {
        format!("{} pictures", shown.total)
    } else {
        format!("{} of {} pictures scanned", shown.done, shown.total)
    };
    ui.label(theme::weak(state));
    if !contents.table.broken.is_empty() {
        let count = contents.table.broken.len();
        let list = contents.table.broken.iter().take(20);
        let list: Vec<String> = list.map(|(path, why)| format!("{path}: {why}")).collect();
        ui.label(theme::weak(format!("{count} could not be opened")))
            .on_hover_text(list.join("\n"));
    }
}

/// A scan in a list; whether it is chosen.
fn choice(ui: &mut Ui, row: &ScanRow, shown: bool) -> bool {
    let plan = &row.plan;
    let models: Vec<String> = plan.models.iter().map(ToString::to_string).collect();
    let about = format!("{}\n{}", plan.source.display(), models.join(", "));
    ui.selectable_label(shown, row.title())
        .on_hover_text(about)
        .clicked()
}

/// The scan to compare with, where there is another.
fn beside(ui: &mut Ui, triage: &mut Triage, contents: &Contents, shown: i64) {
    let others: Vec<&ScanRow> = contents
        .scans
        .iter()
        .filter(|row| row.id != shown)
        .collect();
    if others.is_empty() {
        return;
    }
    let other = others.iter().find(|row| Some(row.id) == triage.beside);
    let chosen = ComboBox::from_id_salt("beside")
        .selected_text(other.map_or("compare with…".into(), |row| row.title()))
        .show_ui(ui, |ui| {
            if ui.selectable_label(other.is_none(), "nothing").clicked() {
                triage.beside = None;
            }
            for row in &others {
                if choice(ui, row, Some(row.id) == triage.beside) {
                    triage.beside = Some(row.id);
                }
            }
        });
    chosen.response.on_hover_text(
        "What another scan found of the same pictures: its models get the next letters, in queries, \
         matrices and histograms",
    );
}

fn query(ui: &mut Ui, triage: &mut Triage, memory: &mut TriageState) {
    ui.label("Query");
    let width = (ui.available_width() - 520.0).max(160.0);
    let names: Vec<String> = memory
        .contents
        .table
        .subjects
        .iter()
        .enumerate()
        .map(|(side, subject)| {
            format!(
                "{} is {}",
                crate::triage::Table::model_label(side),
                subject.name
            )
        })
        .collect();
    let field = TextEdit::singleline(&mut triage.query)
        .desired_width(width)
        .hint_text("all pictures; for instance a.wrong and b.right sort by a.confidence desc");
    ui.add(field).on_hover_text(format!(
        "{}\nColumns: true, a.pred, a.attacked.pred, a.right, a.wrong, a.attacked.right, a.success, \
         a.confidence, a.attacked.confidence, a.flip, a.linf, a.l2, fakeness, disagree, \
         confident but wrong, tag\nJoined by and, or, not, parentheses; then sort by … desc",
        names.join("\n")
    ));
    if ui
        .add_enabled(!triage.query.is_empty(), egui::Button::new("Clear"))
        .clicked()
    {
        triage.query.clear();
    }
    if memory.lassoed.is_some()
        && ui
            .button("Clear lasso")
            .on_hover_text("Also select pictures outside of it")
            .clicked()
    {
        memory.lassoed = None;
        memory.stale = true;
    }
    let all = memory.contents.table.records.len();
    ui.label(format!("{} of {all}", memory.selection.len()));
}

fn views(ui: &mut Ui, triage: &mut Triage, memory: &mut TriageState, actions: &mut Vec<Action>) {
    ui.menu_button("Views", |ui| {
        for (name, query) in &memory.contents.views {
            ui.horizontal(|ui| {
                if ui.button(name).on_hover_text(query).clicked() {
                    triage.query.clone_from(query);
                    ui.close();
                }
                if ui.small_button("Remove").clicked() {
                    actions.push(Action::SaveQuery(name.clone(), None));
                }
            });
        }
        ui.horizontal(|ui| {
            let field = TextEdit::singleline(&mut memory.view).hint_text("name");
            ui.add(field.desired_width(120.0));
            let named = !memory.view.trim().is_empty() && memory.mistake.is_none();
            if ui
                .add_enabled(named, egui::Button::new("Save this query"))
                .clicked()
            {
                let name = memory.view.trim().to_owned();
                actions.push(Action::SaveQuery(name, Some(triage.query.clone())));
                memory.view.clear();
                ui.close();
            }
        });
    });
}

fn export(ui: &mut Ui, memory: &TriageState, actions: &mut Vec<Action>) {
    let some = !memory.selection.is_empty();
    ui.add_enabled_ui(some, |ui| {
        ui.menu_button("Export", |ui| {
            for (text, kind) in [
                ("Table as CSV…", crate::app::panels::SelectionExport::Csv),
                (
                    "Pictures to a folder…",
                    crate::app::panels::SelectionExport::Pictures,
                ),
                (
                    "One-page report…",
                    crate::app::panels::SelectionExport::Report,
                ),
            ] {
                if ui.button(text).clicked() {
                    actions.push(Action::TakeAway(kind));
                    ui.close();
                }
            }
        });
    });
}
