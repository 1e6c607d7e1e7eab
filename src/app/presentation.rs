//! Presentations: every prepared view is computed in advance.

use std::collections::BTreeMap;

use egui::ViewportCommand;

use super::App;
use crate::compute::{Lane, Request};
use crate::session::{PresentationState, Row, State, requests};

/// What a presentation needs besides the window.
pub(super) struct Presentation {
    /// The views as they were prepared, and what is known of each.
    prepared: Vec<(State, Vec<Row>)>,
    /// What was on the screen before, and how large.
    pub(super) before: State,
    zoom: f32,
    /// When it began, in seconds.
    pub(super) since: f64,
}

impl Presentation {
    /// What is to be computed in advance, in lanes of its own: syntheses as far as they were when the
    /// view was prepared.
    fn requests(&self) -> impl Iterator<Item = (Lane, Request)> {
        let views = self.prepared.iter().enumerate();
        views.flat_map(|(index, (state, rows))| {
            let requests = requests(state, rows).into_iter();
            let requests = requests.filter(|(lane, _)| *lane != Lane::Scan);
            requests.map(move |(lane, request)| (lane.in_view(Some(index)), request))
        })
    }
}

impl App {
    /// Everything that the engine should compute: what is on the screen, then what comes later.
    pub(super) fn all_requests(&self) -> BTreeMap<Lane, Request> {
        let mut requests = requests(&self.state, &self.rows);
        requests.extend(self.presentation.iter().flat_map(Presentation::requests));
        requests
    }

    /// The row that a lane tells of, and the lane as that row knows it.
    pub(super) fn row_of(&mut self, lane: Lane) -> Option<(&mut Row, Lane)> {
        let place = lane.place()?;
        let rows = match place.view {
            None => &mut self.rows,
            Some(view) => &mut self.presentation.as_mut()?.prepared.get_mut(view)?.1,
        };
        Some((rows.get_mut(place.row)?, lane.in_view(None)))
    }

    /// Begins a presentation with the first view, or with what is on the screen.
    pub(super) fn present(&mut self, context: &egui::Context) {
        if self.presentation.is_some() {
            return;
        }
        let prepare = |index: usize| {
            let mut state = self.state.clone();
            state.show_bookmark(index);
            state.progress.synthesis.view = Some(index);
            (state.progress.patch, state.progress.robustness) = (None, None);
            let rows = vec![Row::default(); state.document.models.len()];
            (state, rows)
        };
        self.presentation = Some(Presentation {
            prepared: (0..self.state.document.bookmarks.len())
                .map(prepare)
                .collect(),
            before: self.state.clone(),
            zoom: context.zoom_factor(),
            since: context.input(|input| input.time),
        });
        self.help = false;
        self.views = false;
        context.send_viewport_cmd(ViewportCommand::Fullscreen(true));
        self.state.transient.presenting = Some(PresentationState::default());
        self.show_view(0);
    }

    /// Ends it; the screen is as it was.
    pub(super) fn end_presentation(&mut self, context: &egui::Context) {
        let Some(presentation) = self.presentation.take() else {
            return;
        };
        context.send_viewport_cmd(ViewportCommand::Fullscreen(false));
        context.set_zoom_factor(presentation.zoom);
        let models = std::mem::replace(&mut self.state, presentation.before)
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

    /// Puts a view on the screen, with all that was computed in advance.
    pub(super) fn show_view(&mut self, index: usize) {
        let models = self.state.document.models.clone();
        if let Some(presenting) = &mut self.state.transient.presenting {
            presenting.view = index;
            presenting.black = false;
        }
        self.state.show_bookmark(index);
        self.forget_rows(&models);
        let prepared = self
            .presentation
            .as_ref()
            .and_then(|presentation| presentation.prepared.get(index));
        if let Some((prepared, _)) = prepared {
            // A synthesis computed in advance goes on.
            let attempt = prepared.progress.synthesis.attempt;
            self.state.progress.synthesis.view = Some(index);
            self.state.progress.synthesis.attempt = attempt;
        }
        let Some(rows) = self.ready(index) else {
            return;
        };
        self.rows = rows;
        let requests = self.all_requests();
        let known = requests.keys().filter(|lane| {
            lane.is_on_screen() && self.engine.has_finished(&lane.in_view(Some(index)))
        });
        let known = known.copied().collect();
        self.engine.submit_except(requests, &known);
    }

    /// What was computed in advance for a view, if all of it is there, but for syntheses, which go on:
    /// half of it would never be completed, as the engine has done with what is on the screen.
    fn ready(&self, index: usize) -> Option<Vec<Row>> {
        let (state, rows) = self.presentation.as_ref()?.prepared.get(index)?;
        let mut lanes = requests(state, rows).into_keys();
        let done = |lane: Lane| {
            matches!(lane, Lane::Synthesis(_) | Lane::Scan)
                || self.engine.has_finished(&lane.in_view(Some(index)))
        };
        lanes.all(done).then(|| rows.clone())
    }
}
