//! Menus that add to the query and order it: what they do stands in its text.

use std::collections::BTreeSet;

use egui::{ScrollArea, Ui};

use super::TriageState;
use crate::app::theme;
use crate::session::Triage;
use crate::triage::query::{ClassColumn, ClassValue, Filter, Flag, Sort, SortBy};
use crate::triage::{Query, Table};

/// Height of a list of classes or tags, in points.
const LIST: f32 = 360.0;

/// Draws both menus.
pub(super) fn show(ui: &mut Ui, triage: &mut Triage, memory: &TriageState) {
    if memory.mistake.is_some() {
        // A half-written query is not taken away from the one who writes it.
        return;
    }
    let filter = ui.menu_button("Filter", |ui| filters(ui, &memory.contents.table));
    if let Some(filter) = filter.inner.flatten() {
        triage.query = memory.query(triage).and(filter).to_string();
    }
    let sort = ui.menu_button("Sort", |ui| sorts(ui, memory, memory.query(triage).sort));
    if let Some(sort) = sort.inner.flatten() {
        let query = memory.query(triage);
        triage.query = Query { sort, ..query }.to_string();
    }
}

/// The filter that is chosen, if one is.
fn filters(ui: &mut Ui, table: &Table) -> Option<Filter> {
    let mut chosen = None;
    let models = table.subjects.len();
    let mut of = None;
    for flag in Flag::all(models) {
        if flag.side() != of {
            of = flag.side();
            let name = of.map_or("All models", |side| &table.subjects[side].name);
            ui.label(theme::weak(name));
        }
        if ui.button(flag.to_string()).clicked() {
            chosen = Some(Filter::Flag(flag));
        }
    }
    ui.separator();
    for column in ClassColumn::all(models) {
        ui.menu_button(format!("{column} ="), |ui| {
            ScrollArea::vertical().max_height(LIST).show(ui, |ui| {
                for class in &table.classes {
                    if ui.button(class).clicked() {
                        let value = ClassValue::Named(class.clone());
                        chosen = Some(Filter::Class(column, true, value));
                    }
                }
            });
        });
    }
    ui.menu_button("tag =", |ui| {
        let tags = table.records.iter().flat_map(|record| &record.tags);
        let tags: BTreeSet<&String> = tags.collect();
        if tags.is_empty() {
            ui.label(theme::weak("no picture has a tag yet"));
        }
        ScrollArea::vertical().max_height(LIST).show(ui, |ui| {
            for tag in tags {
                if ui.button(tag).clicked() {
                    chosen = Some(Filter::Tag(tag.clone()));
                }
            }
        });
    });
    if chosen.is_some() {
        ui.close();
    }
    chosen
}

/// The order that is chosen, if one is; what is chosen once more turns round.
fn sorts(ui: &mut Ui, memory: &TriageState, now: Option<Sort>) -> Option<Option<Sort>> {
    let mut chosen = None;
    if ui.radio(now.is_none(), "as in the source").clicked() {
        chosen = Some(None);
    }
    let models = memory.contents.table.subjects.len();
    let numbers = memory.columns.iter();
    let numbers = numbers.map(|&column| (column.to_string(), SortBy::Number(column), true));
    let classes = ClassColumn::all(models).into_iter();
    let classes = classes.map(|column| (column.to_string(), SortBy::Class(column), false));
    let path = ("path".to_owned(), SortBy::Path, false);
    for (name, by, descending) in numbers.chain(classes).chain([path]) {
        let current = now.filter(|sort| sort.by == by);
        let arrow = current.map_or("", |sort| {
            if sort.descending {
                " (falling)"
            } else {
                " (rising)"
            }
        });
        if ui
            .radio(current.is_some(), format!("{name}{arrow}"))
            .on_hover_text("Click again to reverse the order")
            .clicked()
        {
            chosen = Some(Some(Sort {
                by,
                descending: current.map_or(descending, |sort| !sort.descending),
            }));
        }
    }
    if chosen.is_some() {
        ui.close();
    }
    chosen
}
