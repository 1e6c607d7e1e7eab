//! The panels of the window, and what floats over them.

use egui::{CentralPanel, Color32, Context, Panel};

use super::{App, panels};
use crate::app::panels::Action;
use crate::app::panels::sections::{Reveal, Section};
use crate::app::panels::tour_targets::{self, TourTarget};
use crate::session::{Bottom, DataFolder, Page};

impl App {
    pub(super) fn panels(&mut self, ui: &mut egui::Ui) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(prediction) = self.rows.iter().find_map(|row| row.prediction.as_ref()) {
            self.manifest = Some(prediction.manifest.clone());
        }
        // Without a prediction yet, what the last model said: settings must not be clamped to nothing.
        let (labels, input, stages) = match &self.manifest {
            Some(manifest) => {
                let stages = manifest.architecture.stages();
                (manifest.labels.clone(), manifest.input, stages)
            }
            None => (Vec::new(), [32, 32], 0),
        };
        let predictions = self.rows.iter().filter_map(|row| row.prediction.as_ref());
        let labels_differ = predictions
            .into_iter()
            .any(|prediction| prediction.manifest.labels != labels);
        // The window is cleared to the panels' colour, so they need not paint it once more.
        let style = ui.style().clone();
        let edge = egui::Frame::side_top_panel(&style).fill(Color32::TRANSPARENT);
        let middle = egui::Frame::central_panel(&style).fill(Color32::TRANSPARENT);
        let presenting = self.state.transient.presenting;
        if let Some(presenting) = presenting {
            panels::presentation::magnify(ui.ctx());
            Panel::top("view").frame(edge).show(ui, |ui| {
                panels::presentation::title(ui, &self.state, presenting);
            });
        } else {
            Panel::top("menu").frame(edge).show(ui, |ui| {
                let status = panels::menu::Status {
                    device: &self.device,
                    busy: self.engine.busy(),
                    can_undo: self.sessions.history.can_undo(),
                    can_redo: self.sessions.history.can_redo(),
                    recent: &self.sessions.recent,
                    last: self.sessions.home.as_ref().map(DataFolder::last),
                };
                panels::menu::show(ui, &mut self.state, &status, &mut actions);
            });
        }
        if self.state.navigation.page == Page::Triage && presenting.is_none() {
            panels::triage::show(ui, &mut self.state, &mut self.triage, &mut actions);
            self.windows(ui.ctx(), &mut actions);
            return actions;
        }
        if presenting.is_none() || self.state.settings.display.timeline {
            self.bottom(ui, edge, &mut actions);
        }
        let sides = presenting.is_none() && self.state.settings.display.filled.is_none();
        if sides && self.state.settings.display.library {
            Panel::left("library")
                .frame(edge)
                .default_size(190.0)
                .size_range(120.0..=400.0)
                .show(ui, |ui| {
                    panels::library::show(ui, &mut self.state, &mut self.thumbnails, &mut actions);
                });
        }
        if sides && self.state.settings.display.controls {
            Panel::right("controls")
                .frame(edge)
                .default_size(300.0)
                .size_range(260.0..=500.0)
                .show(ui, |ui| {
                    egui::ScrollArea::vertical()
                        .auto_shrink(false)
                        .show(ui, |ui| {
                            panels::controls::show(
                                ui,
                                &mut self.state,
                                &self.rows,
                                (&labels, input, stages),
                                labels_differ,
                                (&mut self.original, &mut self.reveal),
                                &mut actions,
                            );
                        });
                });
        }
        CentralPanel::default().frame(middle).show(ui, |ui| {
            tour_targets::mark(ui.ctx(), TourTarget::Rows, ui.max_rect());
            panels::grid::show(
                ui,
                &mut self.state,
                &self.rows,
                &mut self.grid,
                &mut self.hover,
                &mut actions,
            );
        });
        self.windows(ui.ctx(), &mut actions);
        actions
    }

    /// The panel at the bottom.
    fn bottom(&mut self, ui: &mut egui::Ui, frame: egui::Frame, actions: &mut Vec<Action>) {
        Panel::bottom("timeline")
            .frame(frame)
            .resizable(true)
            .default_size(if self.presentation.is_some() {
                110.0
            } else {
                150.0
            })
            .min_size(90.0)
            .show(ui, |ui| {
                tour_targets::mark(ui.ctx(), TourTarget::Timeline, ui.max_rect());
                let (state, rows) = (&mut self.state, &self.rows);
                match state.settings.display.bottom {
                    Bottom::Epsilon => panels::timeline::show(ui, state, rows),
                    Bottom::Corruption => panels::severity::show(ui, state, rows),
                    Bottom::Synthesis => panels::progress::show(ui, state, rows, actions),
                    Bottom::Units => panels::units::show(ui, state, rows, &mut self.thumbnails),
                    Bottom::Counterfactual => {
                        panels::counterfactual::show(ui, state, rows, actions);
                    }
                }
            });
    }

    /// Points out a section of the controls, if one is given.
    fn point_out(&mut self, context: &Context, section: Option<Section>) {
        if let Some(section) = section {
            let now = context.input(|input| input.time);
            self.reveal = Some(Reveal::new(section, now));
        }
    }

    /// The tour, if it is under way.
    fn show_tour(&mut self, context: &Context, actions: &mut Vec<Action>) {
        let Some(tour) = &mut self.tour else { return };
        let (goes_on, section) = tour.show(context, &mut self.state, actions);
        self.point_out(context, section);
        if !goes_on {
            self.tour = None;
            // A folder that cannot be written costs nothing but the tour once more.
            let home = self.sessions.home.as_ref();
            if let Some(Err(error)) = home.map(DataFolder::remember_start) {
                tracing::warn!("{error}");
            }
        }
    }

    /// Windows over the panels.
    fn windows(&mut self, context: &Context, actions: &mut Vec<Action>) {
        if let (Some(presenting), Some(presentation)) =
            (self.state.transient.presenting, &self.presentation)
        {
            let now = context.input(|input| input.time);
            panels::presentation::overlay(context, presenting);
            panels::presentation::hint(context, now - presentation.since);
            // What floats over the window is not for the room.
            return;
        }
        panels::model::show(context, &mut self.state, &self.rows, actions);
        if let Some(path) = self.arriving.front() {
            panels::model::choose_row(context, path, &self.state.document.models, actions);
        }
        panels::sessions::show(
            context,
            &self.state,
            &self.sessions.rescues,
            &self.sessions.missing,
            actions,
        );
        panels::views::show(context, &mut self.views, &mut self.state, actions);
        panels::export::show(
            context,
            &mut self.export,
            &mut self.state,
            self.exporter.progress(),
            actions,
        );
        panels::twins::show(
            context,
            &mut self.twin_form,
            &self.state,
            &self.rows,
            &self.twins,
            actions,
        );
        let section = self.search.show(context, &mut self.state, actions);
        self.point_out(context, section);
        self.show_tour(context, actions);
        panels::robustness::show(context, &mut self.state, &self.rows);
        panels::help::show(context, &mut self.help);
        panels::log::show(context, &mut self.log);
        self.graphics.show(context, &self.state.document.models);
        panels::help::messages(context, &mut self.messages);
    }
}
