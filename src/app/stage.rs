//! Presentations: every view computed ahead, so that nobody waits.

use std::collections::BTreeMap;

use egui::ViewportCommand;

use super::App;
use crate::compute::{Lane, MOST_ROWS, Request};
use crate::session::{Presenting, Row, State, requests};

/// What a presentation needs besides the window.
pub(super) struct Stage {
    /// The views as they were prepared, and what is known of each.
    ahead: Vec<(State, Vec<Row>)>,
    /// What was on the screen before, and how large.
    pub(super) before: State,
    zoom: f32,
    /// When it began, in seconds.
    pub(super) since: f64,
}

impl Stage {
    /// What is to be computed ahead, in lanes of its own: pictures being made as far as they were when the
    /// view was prepared.
    fn requests(&self) -> impl Iterator<Item = (Lane, Request)> {
        let views = self.ahead.iter().enumerate();
        views.flat_map(|(index, (state, rows))| {
            let requests = requests(state, rows).into_iter();
            let requests = requests.filter(|(lane, _)| *lane != Lane::Scan);
            requests.map(move |(lane, request)| (in_view(lane, index), request))
        })
    }
}

/// The lane of a view that is computed ahead.
fn in_view(lane: Lane, view: usize) -> Lane {
    lane.with_row(lane.row() + slot(view))
}

/// What the rows of a view that is computed ahead begin at.
fn slot(view: usize) -> usize {
    MOST_ROWS * (view + 1)
}

impl App {
    /// Everything that the engine should compute: what is on the screen, then what comes later.
    pub(super) fn all_requests(&self) -> BTreeMap<Lane, Request> {
        let mut requests = requests(&self.state, &self.rows);
        requests.extend(self.stage.iter().flat_map(Stage::requests));
        requests
    }

    /// The row that a lane tells of, and the lane as that row knows it.
    pub(super) fn row_of(&mut self, lane: Lane) -> Option<(&mut Row, Lane)> {
        if lane == Lane::Scan {
            return None;
        }
        let own = lane.with_row(lane.row() % MOST_ROWS);
        let rows = match (lane.row() / MOST_ROWS).checked_sub(1) {
            None => &mut self.rows,
            Some(view) => &mut self.stage.as_mut()?.ahead.get_mut(view)?.1,
        };
        Some((rows.get_mut(own.row())?, own))
    }

    /// Begins a presentation with the first view, or with what is on the screen.
    pub(super) fn present(&mut self, context: &egui::Context) {
        if self.stage.is_some() {
            return;
        }
        let prepared = |index: usize| {
            let mut state = self.state.clone();
            state.show_bookmark(index);
            state.progress.synthesis.slot = slot(index);
            let rows = vec![Row::default(); state.document.models.len()];
            (state, rows)
        };
        self.stage = Some(Stage {
            ahead: (0..self.state.document.bookmarks.len())
                .map(prepared)
                .collect(),
            before: self.state.clone(),
            zoom: context.zoom_factor(),
            since: context.input(|input| input.time),
        });
        self.help = false;
        self.views = false;
        context.send_viewport_cmd(ViewportCommand::Fullscreen(true));
        self.state.transient.presenting = Some(Presenting::default());
        self.show_view(0);
    }

    /// Ends it; the screen is as it was.
    pub(super) fn leave_stage(&mut self, context: &egui::Context) {
        let Some(stage) = self.stage.take() else {
            return;
        };
        context.send_viewport_cmd(ViewportCommand::Fullscreen(false));
        context.set_zoom_factor(stage.zoom);
        let models = std::mem::replace(&mut self.state, stage.before)
            .document
            .models;
        self.forget_rows(&models);
    }

    /// Goes to the next or previous view, and stays at the ends.
    pub(super) fn step_view(&mut self, step: isize) {
        let (Some(presenting), Some(last)) = (
            self.state.transient.presenting,
            self.state.document.bookmarks.len().checked_sub(1),
        ) else {
            return;
        };
        let next = presenting.view.saturating_add_signed(step).min(last);
        if next != presenting.view {
            self.show_view(next);
        }
    }

    /// Puts a view on the screen, with all that was computed ahead.
    pub(super) fn show_view(&mut self, index: usize) {
        let models = self.state.document.models.clone();
        if let Some(presenting) = &mut self.state.transient.presenting {
            presenting.view = index;
            presenting.black = false;
        }
        self.state.show_bookmark(index);
        self.forget_rows(&models);
        let ahead = self.stage.as_ref().and_then(|stage| stage.ahead.get(index));
        if let Some((ahead, _)) = ahead {
            // What was made ahead goes on.
            let attempt = ahead.progress.synthesis.attempt;
            self.state.progress.synthesis.slot = slot(index);
            self.state.progress.synthesis.attempt = attempt;
        }
        let Some(rows) = self.ready(index) else {
            return;
        };
        self.rows = rows;
        let requests = self.all_requests();
        let known = requests.keys().filter(|lane| {
            lane.row() < MOST_ROWS && self.engine.has_finished(&in_view(**lane, index))
        });
        let known = known.copied().collect();
        self.engine.submit_except(requests, &known);
    }

    /// What was computed ahead for a view, if all of it is there, but for pictures being made, which go on:
    /// half of it would never be completed, as the engine has done with what is on the screen.
    fn ready(&self, index: usize) -> Option<Vec<Row>> {
        let (state, rows) = self.stage.as_ref()?.ahead.get(index)?;
        let mut lanes = requests(state, rows).into_keys();
        let done = |lane: Lane| {
            matches!(lane, Lane::Synthesis(_) | Lane::Scan)
                || self.engine.has_finished(&in_view(lane, index))
        };
        lanes.all(done).then(|| rows.clone())
    }
}
