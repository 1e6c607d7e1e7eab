//! The window for figures and films: what is in them, how large, and where they go.

use egui::{Context, DragValue, ProgressBar, TextEdit, Ui, Window};

use super::Action;
use super::attack::epsilon_field;
use crate::app::theme;
use crate::attack::{Norm, parse_epsilon};
use crate::data::MAX_SEVERITY;
use crate::export::film::ffmpeg;
use crate::export::job::ExportJob;
use crate::session::{Column, Figure, Motion, Size, Spread, State};

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    /// A figure.
    Figure,
    /// A film.
    Film,
}

/// What the window keeps from frame to frame.
#[derive(Default)]
pub struct ExportSettings {
    /// What it is open for.
    pub open: Option<ExportKind>,
    /// Whether MP4 films can be written.
    mp4: bool,
    /// What came of the last work.
    pub status: String,
    /// ε as they are typed.
    epsilons: String,
}

impl ExportSettings {
    /// Opens the window.
    pub fn open(&mut self, kind: ExportKind) {
        self.open = Some(kind);
        self.status.clear();
        self.mp4 = ffmpeg().is_some();
    }
}

/// The figure, or that of the film's frames.
fn arranged(state: &mut State, kind: ExportKind) -> &mut Figure {
    match kind {
        ExportKind::Figure => &mut state.document.exports.figure,
        ExportKind::Film => &mut state.document.exports.film.figure,
    }
}

/// Draws the window, if it is open; `progress` is that of the work under way.
pub fn show(
    ctx: &Context,
    settings: &mut ExportSettings,
    state: &mut State,
    progress: Option<f32>,
    actions: &mut Vec<Action>,
) {
    let Some(kind) = settings.open else {
        return alone(ctx, progress, actions);
    };
    let title = match kind {
        ExportKind::Figure => "Export figure",
        ExportKind::Film => "Export film",
    };
    let mut open = true;
    Window::new(title)
        .id(egui::Id::unique("export"))
        .open(&mut open)
        .default_pos([340.0, 60.0])
        .default_width(430.0)
        .collapsible(false)
        .show(ctx, |ui| {
            contents(ui, state, kind);
            if kind == ExportKind::Film {
                ui.separator();
                motion(ui, state, settings.mp4);
            } else {
                let norm = state.settings.attack.norm;
                epsilons(ui, settings, &mut state.document.exports.figure, norm);
            }
            ui.separator();
            size(ui, arranged(state, kind));
            parts(ui, arranged(state, kind));
            ui.separator();
            match progress {
                Some(share) => working(ui, share, actions),
                None => buttons(ui, settings, state, kind, actions),
            }
        });
    if !open {
        settings.open = None;
    }
}

/// The progress of a work whose window is closed.
fn alone(ctx: &Context, progress: Option<f32>, actions: &mut Vec<Action>) {
    if let Some(share) = progress {
        Window::new("Exporting")
            .anchor(egui::Align2::LEFT_BOTTOM, [12.0, -12.0])
            .collapsible(false)
            .show(ctx, |ui| working(ui, share, actions));
    }
}

/// Pictures, rows and columns; until they are changed here, those on the screen.
fn contents(ui: &mut Ui, state: &mut State, kind: ExportKind) {
    let models = state.document.models.iter();
    let titles: Vec<String> = models.map(crate::model::ModelRef::title).collect();
    let figure = arranged(state, kind).clone();
    let (mut rows, mut columns) = (figure.rows(state), figure.columns(state));
    let pictures = state.document.library.len();
    let chosen = arranged(state, kind);
    if kind == ExportKind::Figure && pictures > 1 {
        let all = &mut chosen.whole_library;
        ui.checkbox(all, format!("All {pictures} pictures of the library"))
            .on_hover_text("One below the other; otherwise only the open picture");
    }
    ui.horizontal_wrapped(|ui| {
        ui.label("Rows");
        for (row, title) in titles.iter().enumerate() {
            if toggle(ui, &mut rows, row, title) {
                chosen.rows.clone_from(&rows);
            }
        }
    });
    ui.horizontal_wrapped(|ui| {
        ui.label("Columns")
            .on_hover_text("From left to right in the order in which they are ticked");
        for column in Column::ALL {
            if toggle(ui, &mut columns, column, column.name()) {
                chosen.columns.clone_from(&columns);
            }
        }
    });
    let own = !chosen.rows.is_empty() || !chosen.columns.is_empty();
    if ui
        .add_enabled(own, egui::Button::new("As on the screen"))
        .on_hover_text("Use the rows and columns of the window")
        .clicked()
    {
        chosen.rows.clear();
        chosen.columns.clear();
    }
}

/// A checkbox that puts something at the end of a list, or takes it out, but not the last thing; whether
/// it did.
fn toggle<T: PartialEq>(ui: &mut Ui, list: &mut Vec<T>, item: T, name: &str) -> bool {
    let mut chosen = list.contains(&item);
    let able = !chosen || list.len() > 1;
    let changed = ui
        .add_enabled(able, egui::Checkbox::new(&mut chosen, name))
        .changed();
    if changed && chosen {
        list.push(item);
    } else if changed {
        list.retain(|other| *other != item);
    }
    changed
}

fn epsilons(ui: &mut Ui, settings: &mut ExportSettings, figure: &mut Figure, norm: Norm) {
    // Undoing and sessions change them too.
    if parsed(&settings.epsilons).is_ok_and(|written| written != figure.epsilons) {
        let epsilons = figure.epsilons.iter();
        let epsilons = epsilons.map(|&epsilon| norm.format_exactly(epsilon));
        settings.epsilons = epsilons.collect::<Vec<_>>().join(", ");
    }
    ui.horizontal(|ui| {
        ui.label("ε");
        let edit = TextEdit::singleline(&mut settings.epsilons)
            .desired_width(170.0)
            .hint_text("current ε");
        let edited = ui
            .add(edit)
            .on_hover_text("Several, with commas between, such as 0.1, 0.25 or 2/255, 8/255");
        if edited.changed()
            && let Ok(values) = parsed(&settings.epsilons)
        {
            figure.epsilons = values;
        }
        for (spread, name) in [
            (Spread::Across, "side by side"),
            (Spread::Down, "one below the other"),
        ] {
            ui.radio_value(&mut figure.spread, spread, name)
                .on_hover_text("How the pictures of several ε are laid out");
        }
    });
    if let Err(error) = parsed(&settings.epsilons) {
        ui.label(theme::error(ui, error));
    }
}

fn parsed(text: &str) -> Result<Vec<f32>, String> {
    let values = text.split(',').map(str::trim);
    let values = values.filter(|value| !value.is_empty());
    values.map(parse_epsilon).collect()
}

fn motion(ui: &mut Ui, state: &mut State, mp4: bool) {
    let (range, norm) = (state.range(), state.settings.attack.norm);
    let film = &mut state.document.exports.film;
    ui.horizontal(|ui| {
        let from_zero = Motion::Epsilon {
            from: 0.0,
            to: None,
        };
        for (motion, name) in [
            (from_zero, "ε"),
            (Motion::ALL_SEVERITIES, "Severity"),
            (Motion::Synthesis, "Synthesis"),
            (Motion::Counterfactual, "Counterfactual"),
        ] {
            let kind = std::mem::discriminant(&motion);
            let chosen = std::mem::discriminant(&film.motion) == kind;
            if ui.radio(chosen, name).clicked() && !chosen {
                film.motion = motion;
            }
        }
        if let Motion::Severity { from, to } = &mut film.motion {
            ui.label("from");
            ui.add(DragValue::new(from).range(0.0..=*to - 0.01).speed(0.02))
                .on_hover_text("Severity of the first picture");
            ui.label("to");
            ui.add(
                DragValue::new(to)
                    .range(*from + 0.01..=MAX_SEVERITY)
                    .speed(0.02),
            )
            .on_hover_text(
                "Severity of the last picture; kind and seed are those of the section Corruption",
            );
        }
        if let Motion::Epsilon { from, to } = &mut film.motion {
            let speed = range / 200.0;
            ui.label("from");
            let mut end = to.unwrap_or(range);
            ui.add(epsilon_field(norm, from, 0.0..=end, speed));
            ui.label("to");
            let field = epsilon_field(norm, &mut end, *from..=1e3, speed);
            if ui.add(field).changed() {
                *to = Some(end);
            }
        }
    });
    ui.horizontal(|ui| {
        ui.add(DragValue::new(&mut film.frames).range(2..=5000))
            .on_hover_text("Number of pictures of the film");
        ui.label("frames,");
        ui.add(DragValue::new(&mut film.rate).range(1.0..=100.0))
            .on_hover_text("Pictures a second");
        ui.label("a second, the last one for");
        ui.add(DragValue::new(&mut film.hold).range(0.0..=60.0).speed(0.1))
            .on_hover_text("How long the last picture stays");
        ui.label("s");
    });
    if !mp4 {
        ui.label(theme::weak(
            "GIF and folders of pictures; for MP4, ffmpeg must be installed.",
        ));
    }
}

fn size(ui: &mut Ui, figure: &mut Figure) {
    ui.horizontal(|ui| {
        let width = figure.size.width();
        let on_paper = matches!(figure.size, Size::Millimetres { .. });
        if ui.radio(!on_paper, "Pixels").clicked() && on_paper {
            figure.size = Size::Pixels { width, scale: 2.0 };
        }
        if ui.radio(on_paper, "Paper").clicked() && !on_paper {
            figure.size = Size::Millimetres {
                width: 180.0,
                dpi: 300.0,
            };
            figure.text = 9.0;
        }
        match &mut figure.size {
            Size::Pixels { width, scale } => {
                ui.add(DragValue::new(width).range(64.0..=8000.0).prefix("width "))
                    .on_hover_text("Width of the figure, in units of which text is so many high");
                ui.add(
                    DragValue::new(scale)
                        .range(0.25..=8.0)
                        .speed(0.05)
                        .prefix("× "),
                )
                .on_hover_text("Pixels of the file for each unit of the width");
            }
            Size::Millimetres { width, dpi } => {
                ui.add(DragValue::new(width).range(20.0..=1000.0).suffix(" mm"))
                    .on_hover_text("Width on paper");
                ui.add(DragValue::new(dpi).range(36.0..=1200.0).suffix(" dpi"))
                    .on_hover_text("Pixels of each inch of paper");
            }
        }
        ui.add(
            DragValue::new(&mut figure.text)
                .range(4.0..=100.0)
                .prefix("text "),
        )
        .on_hover_text("Height of text, in the unit of the width in pixels");
    });
}

fn parts(ui: &mut Ui, figure: &mut Figure) {
    ui.horizontal_wrapped(|ui| {
        for (part, name) in [
            (&mut figure.heads, "Titles"),
            (&mut figure.names, "Models"),
            (&mut figure.notes, "Predictions"),
            (&mut figure.color_bar, "Colour bar"),
            (&mut figure.caption, "Caption"),
            (&mut figure.zoomed, "Zoomed as on the screen"),
            (&mut figure.curves, "Curves"),
        ] {
            ui.checkbox(part, name)
                .on_hover_text("Whether the figure has this part");
        }
    });
}

fn working(ui: &mut Ui, share: f32, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.add(
            ProgressBar::new(share)
                .desired_width(300.0)
                .show_percentage(),
        );
        if ui.button("Cancel").clicked() {
            actions.push(Action::CancelExport);
        }
    });
}

fn buttons(
    ui: &mut Ui,
    settings: &ExportSettings,
    state: &State,
    kind: ExportKind,
    actions: &mut Vec<Action>,
) {
    let (figure, film) = (&state.document.exports.figure, &state.document.exports.film);
    let validity = match kind {
        ExportKind::Figure => figure.validate(),
        ExportKind::Film => film.validate(),
    };
    let validity = validity.and_then(|()| match kind {
        ExportKind::Figure => figure.require_cells(state),
        ExportKind::Film => Ok(()),
    });
    let able = state.entry().is_some() && validity.is_ok();
    let works = match kind {
        ExportKind::Figure => vec![
            ("Export…", ExportJob::Figure(figure.clone())),
            ("Copy", ExportJob::Copy(figure.clone())),
            ("Numbers…", ExportJob::Numbers(figure.clone())),
        ],
        ExportKind::Film => vec![("Export…", ExportJob::Film(film.clone()))],
    };
    ui.horizontal(|ui| {
        for (name, work) in works {
            if ui.add_enabled(able, egui::Button::new(name)).clicked() {
                actions.push(Action::Export(Box::new(work)));
            }
        }
        match validity {
            Ok(()) if !settings.status.is_empty() => ui.label(theme::weak(&settings.status)),
            Err(error) => ui.label(theme::error(ui, error.to_string())),
            Ok(()) => ui.label(theme::weak(match kind {
                ExportKind::Figure => "PNG or SVG, by the file's ending",
                ExportKind::Film => "GIF, MP4 or a folder, by the ending",
            })),
        };
    });
}
