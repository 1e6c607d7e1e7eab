//! The window's computations without a window: all requests of a [`State`], to the end.
//!
//! What is asked and who computes it are the window's own ([`session::requests`] and the worker behind
//! [`Runner`]), so a picture written here is the one on the screen.

use crate::compute::{ComputeMessage, Lane, Models, Runner};
use crate::error::{Error, Result};
use crate::session::{self, Column, Row, State};
use crate::tasks::TaskProgress;

/// All requests of a state, computed and waited for.
pub struct Headless {
    runner: Runner,
    rows: Vec<Row>,
}

impl Headless {
    /// Starts a thread that computes with these models; a device alone stands for none yet.
    pub fn new(models: impl Into<Models>) -> Self {
        Self {
            runner: Runner::new(models),
            rows: Vec::new(),
        }
    }

    /// Computes all that `state` wants, pictures being made included: those that run go on to their
    /// end. What is still known from the last time is not computed again. Attacks over the grid of ε
    /// take longest and are left out unless their `curves` are wanted.
    ///
    /// # Errors
    /// [`Error::Cancelled`], and [`Error::Config`] with what went wrong in a lane.
    pub fn settle(
        &mut self,
        state: &mut State,
        curves: bool,
        watch: &mut TaskProgress,
    ) -> Result<Vec<Row>> {
        self.rows
            .resize_with(state.document.models.len(), Row::default);
        // Nothing is drawn meanwhile.
        state.settings.synthesis.speed = None;
        state.progress.counterfactual.paused = false;
        state.progress.synthesis.running &= state.settings.display.draws(Column::Synthesis);
        loop {
            let idle = self.runner.scheduler().is_idle();
            self.hear()?;
            session::advance(state, &self.rows);
            let mut requests = session::requests(state, &self.rows);
            requests.retain(|lane, _| curves || !matches!(lane, Lane::Sweep(_)));
            let changed = self.runner.scheduler().submit(requests);
            for lane in &changed {
                if let Some(row) = self.row_mut(*lane) {
                    row.forget(*lane);
                }
            }
            if let Some(message) = problem(state, &self.rows) {
                return Err(Error::Config(message));
            }
            if idle && changed.is_empty() && self.runner.scheduler().is_idle() {
                state.progress.synthesis.running = false;
                return Ok(self.rows.clone());
            }
            watch.report(share(state, &self.rows))?;
            self.runner.wait();
        }
    }

    fn hear(&mut self) -> Result<()> {
        for (lane, message) in self.runner.scheduler().messages() {
            if let ComputeMessage::DeviceLost(reason) = message {
                return Err(Error::Device(reason));
            }
            if let Some(row) = self.row_mut(lane) {
                row.take(lane, message);
            }
        }
        Ok(())
    }

    fn row_mut(&mut self, lane: Lane) -> Option<&mut Row> {
        self.rows.get_mut(lane.place()?.row)
    }
}

/// What went wrong in a row that is shown, with the name of its model.
fn problem(state: &State, rows: &[Row]) -> Option<String> {
    let mut shown = rows.iter().enumerate();
    shown.find_map(|(index, row)| {
        let lanes = row.errors.values();
        let message = row.error.iter().chain(lanes).next()?;
        let shown = state.settings.display.shows_row(index);
        shown.then(|| format!("{}: {message}", state.document.models[index]))
    })
}

/// A guess at how much is done: what takes long says how far it is.
fn share(state: &State, rows: &[Row]) -> f32 {
    let maps = state.settings.display.maps();
    let all = state.settings.synthesis.config.iterations.max(1) as f32;
    let mut parts = Vec::new();
    let shown = rows.iter().enumerate();
    for (_, row) in shown.filter(|(index, _)| state.settings.display.shows_row(*index)) {
        let attack = row
            .progress
            .unwrap_or(f32::from(u8::from(row.attacked.is_some())));
        parts.push(attack);
        let map = |&which: &_| {
            let map = row.attributions[which as usize].as_ref();
            map.map_or(0.0, |map| map.progress)
        };
        parts.extend(maps.iter().map(map));
        if state.progress.synthesis.running {
            parts.push(
                row.synthesis
                    .as_ref()
                    .map_or(0.0, |made| made.steps as f32 / all),
            );
        }
    }
    parts.iter().sum::<f32>() / parts.len().max(1) as f32
}
