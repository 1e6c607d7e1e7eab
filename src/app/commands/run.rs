//! What each command does.

use super::Command;
use crate::app::panels::Action;
use crate::app::panels::export::ExportKind;
use crate::session::{Column, Page, State};

/// Share of the timeline that one press moves ε, or of a picture that it moves the divider.
const NUDGE: f32 = 1.0 / 64.0;
/// What one press zooms.
const ZOOM: f32 = 1.25;
/// Share of the visible part that one press moves it.
const PAN: f32 = 0.1;

impl Command {
    /// Changes the state, or asks the application.
    pub fn run(self, state: &mut State, actions: &mut Vec<Action>) {
        let display = &mut state.settings.display;
        match self {
            Self::Picture(step) => state.select_by(step),
            Self::Selection(step) => actions.push(Action::Walk(step)),
            Self::Epsilon(step) => {
                let by = step as f32 * NUDGE * state.range();
                state.set_epsilon(state.settings.attack.epsilon + by);
            }
            Self::PlayEpsilon => state.transient.playing = !state.transient.playing,
            Self::Column(index) => {
                if let Some(shown) = display.shown.get_mut(index) {
                    *shown = !*shown;
                }
            }
            Self::PlaySynthesis => state.toggle_synthesis(),
            Self::StepSynthesis => state.step_synthesis(),
            Self::RestartSynthesis => state.restart_synthesis(),
            Self::Fill => {
                display.filled = match display.filled {
                    Some(_) => None,
                    None => Some(Column::Attacked),
                };
            }
            Self::Divider => {
                display.divider = match display.divider {
                    Some(_) => None,
                    None => Some(0.5),
                };
            }
            Self::MoveDivider(step) => {
                if let Some(divider) = &mut display.divider {
                    *divider = (*divider + step as f32 * NUDGE).clamp(0.0, 1.0);
                }
            }
            Self::Zoom(step) => display.zoom_at(display.centre, ZOOM.powi(step as i32)),
            Self::Fit => display.fit(),
            Self::Pan(across, down) => display.pan([across as f32 * PAN, down as f32 * PAN]),
            Self::SaveAttacked => actions.push(Action::Save(0)),
            Self::CopyFigure => actions.push(Action::CopyFigure),
            Self::Present => actions.push(Action::Present),
            Self::PresentedView(step) => actions.push(Action::StepView(step)),
            Self::Black => {
                if let Some(presenting) = &mut state.transient.presenting {
                    presenting.black = !presenting.black;
                }
            }
            Self::Spotlight => {
                if let Some(presenting) = &mut state.transient.presenting {
                    presenting.spotlight = !presenting.spotlight;
                }
            }
            Self::PresentedTimeline => display.timeline = !display.timeline,
            Self::EndPresentation => actions.push(Action::EndPresentation),
            Self::Bookmarks => actions.push(Action::Views),
            Self::SwitchPage => {
                state.navigation.page = match state.navigation.page {
                    Page::Explorer => Page::Triage,
                    Page::Triage => Page::Explorer,
                };
            }
            Self::Undo => actions.push(Action::Undo),
            Self::Redo => actions.push(Action::Redo),
            Self::SaveSession => actions.push(Action::SaveSession { elsewhere: false }),
            Self::SaveSessionAs => actions.push(Action::SaveSession { elsewhere: true }),
            Self::OpenSession => actions.push(Action::OpenSession),
            Self::ExportFigure => actions.push(Action::OpenExport(ExportKind::Figure)),
            Self::ExportFilm => actions.push(Action::OpenExport(ExportKind::Film)),
            Self::OpenPictures => actions.push(Action::OpenFiles),
            Self::OpenFolder => actions.push(Action::OpenFolder),
            Self::Paste => actions.push(Action::Paste),
            Self::AddSyntheticCracks => actions.push(Action::AddSyntheticCracks),
            Self::Remove => actions.push(Action::Remove),
            Self::CheckRobustness => state.check_robustness(),
            Self::Search => actions.push(Action::Search),
            Self::Tour => actions.push(Action::Tour),
            Self::Keys => actions.push(Action::Help),
            Self::Graphics => actions.push(Action::Graphics),
            Self::Quit => actions.push(Action::Quit),
        }
    }
}
