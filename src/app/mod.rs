//! The window. Each frame receives messages, draws the panels and submits requests.

mod actions;
pub mod commands;
pub mod diagnostics;
mod dialogs;
pub mod frame_metrics;
mod layout;
mod loader;
mod messages;
mod opening;
pub mod panels;
mod presentation;
pub mod renderer;
mod sessions;
mod theme;
mod triage;
pub mod twins;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use egui::ViewportCommand;

use crate::compute::scheduler::Scheduler;
use crate::compute::{Compute, ComputeWorker, Lane, Models, Request};
use crate::data::MAX_SEVERITY;
use crate::data::thumbnails::Thumbnailer;
use crate::error::{Error, Result};
use crate::export::job::Exporter;
use crate::model::zoo::{SETS, Set};
use crate::model::{Manifest, ModelRef};
use crate::session::{Bottom, DataFolder, Row, State, advance, complete};
use crate::triage::reader::DatabaseReader;
use dialogs::Dialogs;
use frame_metrics::FrameMetrics;
use loader::Loader;
use panels::tour::Tour;
use presentation::Presentation;
use sessions::SessionManager;

/// Seconds that ε or a severity takes from one end of the timeline to the other.
const PLAY_SECONDS: f32 = 8.0;

/// The running program.
pub struct App {
    state: State,
    rows: Vec<Row>,
    engine: Scheduler<ComputeWorker>,
    device: String,
    loader: Loader,
    dialogs: Dialogs,
    messages: Vec<String>,
    help: bool,
    search: panels::search::Search,
    /// A section of the controls that is being pointed out.
    reveal: Option<panels::sections::Reveal>,
    tour: Option<Tour>,
    /// Whether the log is open.
    log: bool,
    graphics: panels::graphics::GraphicsWindow,
    exporter: Exporter,
    export: panels::export::ExportSettings,
    /// Whether the list of views is open.
    views: bool,
    presentation: Option<Presentation>,
    /// The database that is open.
    database: Option<DatabaseReader>,
    /// Model files that wait until a person chooses their rows, the first of them first. Not part of the
    /// state, which a session that is opened meanwhile replaces.
    arriving: VecDeque<PathBuf>,
    triage: panels::triage::TriageState,
    /// Of the first model that has looked at anything.
    manifest: Option<Arc<Manifest>>,
    hover: panels::tile::Hover,
    grid: panels::grid::GridState,
    thumbnails: panels::library::Thumbnails,
    original: panels::crop::Original,
    metrics: FrameMetrics,
    sessions: SessionManager,
    twins: twins::Twins,
    twin_form: panels::twins::TwinForm,
    /// Where to write a picture of the window once all is done, before closing it.
    screenshot: Option<PathBuf>,
}

/// Opens the window on `models`, one a row, and pictures. With `screenshot`, writes a picture of the
/// window there once everything is computed, and closes it.
///
/// # Errors
/// [`Error::Window`] when there is no display.
pub fn open_window(
    compute: Compute,
    models: Vec<ModelRef>,
    paths: Vec<PathBuf>,
    screenshot: Option<PathBuf>,
) -> Result<()> {
    let options = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("Epsiloscope")
            .with_app_id("epsiloscope")
            .with_icon(icon())
            .with_inner_size([1280.0, 720.0])
            .with_min_inner_size([800.0, 500.0]),
        wgpu_options: renderer::graphics(&compute),
        // Nothing here fades from colour to colour.
        dithering: false,
        ..Default::default()
    };
    let build: eframe::AppCreator<'_> = Box::new(move |context| {
        let state = context
            .wgpu_render_state
            .as_ref()
            .ok_or("no graphics device")?;
        renderer::install(state);
        let mut app = App::new(&context.egui_ctx, compute, models, paths);
        // A picture of the window for a document is no work to keep.
        if let Some(home) = DataFolder::usual().filter(|_| screenshot.is_none()) {
            diagnostics::keep_in(home.path());
            app = app.at_home(&context.egui_ctx, home);
        }
        close_on_signals(&context.egui_ctx);
        Ok(Box::new(App { screenshot, ..app }))
    });
    eframe::run_native("Epsiloscope", options, build)
        .map_err(|error| Error::Window(error.to_string()))
}

/// The window's icon.
fn icon() -> egui::IconData {
    let png = include_bytes!("../../assets/desktop/epsiloscope.png");
    eframe::icon_data::from_png_bytes(png).expect("the icon is a PNG file")
}

/// Closes the window on Ctrl-C and on termination signals as a person would, so that its session is kept and its end
/// is a regular one.
fn close_on_signals(context: &egui::Context) {
    let context = context.clone();
    let handler = move || {
        context.send_viewport_cmd(egui::ViewportCommand::Close);
        context.request_repaint();
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::warn!("termination signals end the program at once: {error}");
    }
}

/// Starts the thread that computes on `device`.
fn start_engine(context: &egui::Context, models: Models) -> Scheduler<ComputeWorker> {
    Scheduler::spawn(move || ComputeWorker::new(models), waker(context))
}

/// Wakes the window, from any thread, so that it receives what is new.
fn waker(context: &egui::Context) -> impl Fn() + Send + Sync + 'static {
    let context = context.clone();
    move || context.request_repaint()
}

impl App {
    /// The bundled pictures, or `paths` if there are any.
    pub fn new(
        context: &egui::Context,
        compute: Compute,
        models: Vec<ModelRef>,
        paths: Vec<PathBuf>,
    ) -> Self {
        let models: Vec<ModelRef> = models.into_iter().map(ModelRef::absolute).collect();
        let rows = vec![Row::default(); models.len()];
        let engine_models = Models::from(compute.device.clone());
        let state = State::new(models);
        let mut app = Self {
            sessions: SessionManager::new(&state),
            state,
            rows,
            engine: start_engine(context, engine_models.clone()),
            device: compute.label,
            loader: Loader::new(waker(context)),
            dialogs: Dialogs::new(waker(context)),
            messages: Vec::new(),
            help: false,
            search: panels::search::Search::default(),
            reveal: None,
            tour: None,
            log: false,
            graphics: panels::graphics::GraphicsWindow::new(compute.adapter, waker(context)),
            exporter: Exporter::new(engine_models, waker(context)),
            export: panels::export::ExportSettings::default(),
            views: false,
            presentation: None,
            database: None,
            arriving: VecDeque::new(),
            triage: panels::triage::TriageState::new(Thumbnailer::new(None, waker(context))),
            manifest: None,
            hover: None,
            grid: panels::grid::GridState::default(),
            thumbnails: panels::library::Thumbnails::default(),
            original: panels::crop::Original::default(),
            metrics: FrameMetrics::default(),
            twins: twins::Twins::new(None),
            twin_form: panels::twins::TwinForm::default(),
            screenshot: None,
        };
        match Set::of(&app.state.document.models) {
            Some(set) => {
                app.state.begin_with(set);
                app.add_samples(set.pictures);
            }
            None => app.add_samples(SETS[0].pictures),
        }
        app.open_all(paths);
        app.sessions = SessionManager::new(&app.state);
        app
    }

    /// Keeps what is on the screen in `home`, so that no end of the program loses it.
    pub fn at_home(mut self, context: &egui::Context, home: DataFolder) -> Self {
        let thumbnailer = Thumbnailer::new(Some(home.thumbnails()), waker(context));
        self.triage = panels::triage::TriageState::new(thumbnailer);
        self.twins = twins::Twins::new(Some(home.path().join("twins")));
        self.tour = home.is_new().then(Tour::default);
        self.sessions.use_folder(home);
        self
    }

    /// Whether there is a change that can be undone.
    pub fn can_undo(&self) -> bool {
        self.sessions.history.can_undo()
    }

    /// How many pictures the triage page shows.
    pub fn selected_pictures(&self) -> usize {
        self.triage.selection.len()
    }

    /// Receives what happened since the last frame.
    pub fn logic(&mut self, context: &egui::Context) {
        self.receive(context);
        self.receive_database(context);
        self.receive_twins(context);
        self.play(context);
        advance(&mut self.state, &self.rows);
        self.take_screenshot(context);
    }

    /// Draws a frame and states what is wanted from now on.
    pub fn ui(&mut self, ui: &mut egui::Ui) {
        let mut actions = self.panels(ui);
        renderer::release_hidden(ui);
        let context = ui.ctx().clone();
        commands::read_keys(&context, &mut self.state, &mut actions);
        for action in actions {
            self.act(&context, action);
        }
        self.record_changes(&context);
        self.submit_requests();
    }

    /// Once all is computed, writes the picture of the window that was asked for and closes it.
    fn take_screenshot(&mut self, context: &egui::Context) {
        // What is complete costs a comparison of every request: only where somebody waits for it.
        if self.screenshot.is_none() || self.engine.busy() > 0 || !complete(&self.state, &self.rows)
        {
            return;
        }
        let Some(path) = self.screenshot.take() else {
            return;
        };
        let window = context.clone();
        context.request_screenshot(move |image| {
            let size = image.size.map(|side| side as u32);
            let pixels = image.as_raw();
            let saved =
                image::save_buffer(&path, pixels, size[0], size[1], image::ColorType::Rgba8);
            if let Err(error) = saved {
                tracing::error!("{}", Error::io(&path, "write", error));
            }
            window.send_viewport_cmd(ViewportCommand::Close);
        });
    }

    fn play(&mut self, context: &egui::Context) {
        if !self.state.transient.playing {
            return;
        }
        let share = context.input(|input| input.stable_dt).min(0.1) / PLAY_SECONDS;
        let further = |value: f32, range: f32| {
            let next = value + share * range;
            if next > range { 0.0 } else { next }
        };
        let range = self.state.range();
        let settings = &mut self.state.settings;
        match settings.display.bottom {
            Bottom::Corruption => {
                let severity = &mut settings.corruption.severity;
                *severity = further(*severity, MAX_SEVERITY);
            }
            _ => settings.attack.epsilon = further(settings.attack.epsilon, range),
        }
        context.request_repaint();
    }

    fn submit_requests(&mut self) {
        self.submit(self.all_requests());
        if self.state.entry().is_none() {
            self.rows.fill(Row::default());
        }
    }

    /// Submits requests; results of lanes that now ask for something else are forgotten.
    fn submit(&mut self, requests: BTreeMap<Lane, Request>) {
        for lane in self.engine.submit(requests) {
            match lane {
                Lane::Attack(place) if place.is_on_screen() => self.metrics.attack_changed(),
                Lane::Prediction(place) if place.is_on_screen() => self.metrics.input_changed(),
                _ => {}
            }
            if let Some((row, own)) = self.row_of(lane) {
                row.forget(own);
            }
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, context: &egui::Context, _: &mut eframe::Frame) {
        self.logic(context);
    }

    fn on_exit(&mut self) {
        self.leave();
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        let busy = self.engine.busy() > 0;
        self.metrics
            .frame(frame.info().cpu_usage, busy, self.state.navigation.page);
        self.ui(ui);
    }
}
