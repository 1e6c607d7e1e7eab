//! Benchmark of the triage page: a synthetic library of many small pictures, scanned by untrained models,
//! and the frame times of scrolling through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use egui::{Context, Event, Key, Modifiers, PointerButton, Pos2, RawInput, Rect, Vec2, pos2, vec2};
use image::RgbImage;
use rand::RngExt;

use crate::app::App;
use crate::attack::{Attack, Norm};
use crate::cli::default_models;
use crate::compute::{Backend, Compute};
use crate::data::random::noise_rng;
use crate::error::{Error, Result};
use crate::model::Fingerprint;
use crate::model::{Block, Examined, Stem};
use crate::session::{self, DataFolder, Page, Session, Snapshot, State, TriageTab};
use crate::train::{Preset, TrainArchitecture, TrainConfig, Training};
use crate::triage::{Database, Plan, Scan, ScanStep};

/// Height and width of a picture, in pixels.
const SIDE: u32 = 32;
const CLASSES: usize = 10;
/// Size of the window, in points.
const WINDOW: Vec2 = vec2(1920.0, 1080.0);
/// A pointer position over the pictures, in points.
const MIDDLE: Pos2 = pos2(700.0, 600.0);
/// Duration of a frame at 60 Hz.
const FRAME: Duration = Duration::from_micros(16_667);
/// Number of frames of each benchmark.
const FRAMES: usize = 600;
/// Time limit for reading the library.
const PATIENCE: Duration = Duration::from_secs(120);

/// Creates the library in `folder`, as far as it does not exist yet, and returns its database.
///
/// # Errors
/// Those of writing and of scanning.
pub(super) fn make(folder: &Path, count: usize) -> Result<PathBuf> {
    let source = folder.join("pictures");
    for class in 0..CLASSES {
        let path = source.join(format!("class {class}"));
        std::fs::create_dir_all(&path).map_err(|error| Error::io(&path, "write", error))?;
    }
    for number in 0..count {
        let class = format!("class {}", number % CLASSES);
        let path = source.join(class).join(format!("{number:06}.png"));
        if !path.is_file() {
            let saved = picture(number).save(&path);
            saved.map_err(|error| Error::io(&path, "write", error))?;
        }
    }
    let plan = Plan {
        source,
        models: vec!["first".into(), "second".into()],
        attack: Some(Attack::pgd(Norm::L2, 0.5, 1)),
        flip: None,
        map: true,
    };
    let path = folder.join("library.db");
    let models = vec![untrained(0)?, untrained(1)?];
    let mut scan = Scan::new(Database::open(&path)?, &plan, models, 256)?;
    while scan.step()? != ScanStep::Finished {}
    Ok(path)
}

/// A picture of noise around a colour.
fn picture(number: usize) -> RgbImage {
    let mut rng = noise_rng(number as u64, 0);
    let colour: [u8; 3] = rng.random();
    RgbImage::from_fn(SIDE, SIDE, |_, _| {
        image::Rgb(colour.map(|value| value.saturating_add(rng.random_range(0..64))))
    })
}

/// A tiny untrained network, for fast predictions.
fn untrained(seed: u64) -> Result<Examined> {
    let usual = TrainConfig::preset(Preset::FastStandard, PathBuf::new());
    let config = TrainConfig {
        architecture: Some(TrainArchitecture {
            stem: Stem::CifarHalf,
            block: Block::Basic,
            widths: vec![4, 8],
            blocks: vec![1, 1],
        }),
        input: [8, 8],
        seed,
        ..usual
    };
    let classes: Vec<String> = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let training = Training::new(&config, &classes, &Device::flex())?;
    Ok(Examined {
        fingerprint: Fingerprint([seed as u8; 32]),
        classifier: Arc::new(training.classifier()),
    })
}

/// The window without a screen, on a tab of the triage page.
pub(super) struct Window {
    context: Context,
    app: App,
    began: Instant,
}

impl Window {
    /// Opens the window and waits until the library is read.
    ///
    /// # Errors
    /// When a session cannot be written to `folder`, or the library is not read in two minutes.
    pub(super) fn open(folder: &Path, database: &Path, tab: TriageTab) -> Result<Self> {
        let mut state = State::new(default_models().to_vec());
        state.navigation.page = Page::Triage;
        state.navigation.triage.database = Some(database.into());
        state.navigation.triage.tab = tab;
        let snapshot = Snapshot {
            hashes: vec![None; state.document.models.len()],
            missing: Vec::new(),
            state,
        };
        let path = folder.join("window").with_extension(session::EXTENSION);
        session::write(&Session::of(&snapshot), &path)?;
        let context = Context::default();
        let compute = Compute::open(&Backend::Cpu)?;
        let app = App::new(&context, compute, default_models().to_vec(), vec![path]);
        let mut window = Self {
            app: app.at_home(&context, DataFolder::at(folder.join("home"))),
            context,
            began: Instant::now(),
        };
        while window.app.selected_pictures() == 0 {
            window.frame(Vec::new());
            if window.began.elapsed() > PATIENCE {
                return Err(Error::data(database, "the window does not show it"));
            }
        }
        for _ in 0..60 {
            window.frame(vec![Event::PointerMoved(MIDDLE)]);
        }
        Ok(window)
    }

    /// Runs one frame and waits for the next; returns the time on the window's thread, in milliseconds, for
    /// messages, panels and tessellation.
    fn frame(&mut self, events: Vec<Event>) -> f64 {
        let begun = Instant::now();
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, WINDOW)),
            time: Some(self.began.elapsed().as_secs_f64()),
            events,
            ..RawInput::default()
        };
        let app = &mut self.app;
        let output = self.context.run_ui(input, |ui| {
            app.logic(&ui.ctx().clone());
            app.ui(ui);
        });
        let triangles = self
            .context
            .tessellate(output.shapes, output.pixels_per_point);
        std::hint::black_box(triangles);
        let taken = begun.elapsed();
        std::thread::sleep(FRAME.saturating_sub(taken));
        taken.as_secs_f64() * 1e3
    }

    /// Frame times in milliseconds while scrolling by the mouse wheel.
    pub(super) fn wheel(&mut self) -> Vec<f64> {
        let turn = || Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: vec2(0.0, -150.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers: Modifiers::NONE,
        };
        (0..FRAMES).map(|_| self.frame(vec![turn()])).collect()
    }

    /// Frame times in milliseconds while scrolling by a page in every frame, by the keyboard.
    pub(super) fn pages(&mut self) -> Vec<f64> {
        let press = |pressed: bool| Event::Key {
            key: Key::PageDown,
            physical_key: None,
            pressed,
            repeat: false,
            modifiers: Modifiers::NONE,
        };
        (0..FRAMES)
            .map(|_| self.frame(vec![press(true), press(false)]))
            .collect()
    }

    /// Frame times in milliseconds while the pointer moves over the page, pressed or not.
    pub(super) fn moves(&mut self, pressed: bool) -> Vec<f64> {
        let button = |pressed: bool| Event::PointerButton {
            pos: MIDDLE,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        if pressed {
            self.frame(vec![button(true)]);
        }
        let way = (0..FRAMES).map(|number| {
            let angle = number as f32 / 20.0;
            MIDDLE + 200.0 * vec2(angle.cos(), angle.sin())
        });
        let taken = way.map(|place| self.frame(vec![Event::PointerMoved(place)]));
        let taken = taken.collect();
        self.frame(vec![button(false)]);
        taken
    }
}
