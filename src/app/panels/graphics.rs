//! Help: graphics. What runs models on the graphics adapter, and the self-test that decided it.

use egui::{Context, Grid, Window};

use crate::app::theme;
use crate::compute::graphics::{self, Execution, TestedAdapter, Verdict};
use crate::error::Result;
use crate::files::data_folder;
use crate::model::ModelRef;
use crate::tasks::{BackgroundTask, Inbox};

/// The window.
pub struct GraphicsWindow {
    open: bool,
    adapter: Option<TestedAdapter>,
    tests: Inbox<Result<Verdict>>,
    test: Option<BackgroundTask>,
    /// What went wrong last.
    error: Option<String>,
    /// Whether what was chosen holds from the next start on.
    from_next_start: bool,
}

impl GraphicsWindow {
    /// Of an adapter, if there is one; `wake` is called when a test ended.
    pub fn new(adapter: Option<TestedAdapter>, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            open: false,
            adapter,
            tests: Inbox::new(wake),
            test: None,
            error: None,
            from_next_start: false,
        }
    }

    /// Opens the window, or closes it.
    pub fn toggle(&mut self) {
        self.open = !self.open;
    }

    /// Shows the window until it is closed; a test runs these models.
    pub fn show(&mut self, ctx: &Context, models: &[ModelRef]) {
        for tested in self.tests.receive() {
            self.test = None;
            match tested {
                Ok(verdict) => self.decide(verdict),
                Err(error) => self.error = Some(error.to_string()),
            }
        }
        let mut open = self.open;
        Window::new("Graphics")
            .open(&mut open)
            .default_width(420.0)
            .show(ctx, |ui| match self.adapter.clone() {
                None => {
                    ui.label("No graphics adapter is open: models run on the CPU.");
                }
                Some(adapter) => self.contents(ui, &adapter, models),
            });
        self.open = open;
    }

    fn contents(&mut self, ui: &mut egui::Ui, adapter: &TestedAdapter, models: &[ModelRef]) {
        let TestedAdapter {
            adapter, verdict, ..
        } = adapter;
        ui.label(adapter.to_string());
        ui.label(theme::weak(format!("driver {}", adapter.driver)));
        if adapter.is_software {
            ui.label(
                "It is emulated in software: models run on the CPU unless asked for otherwise.",
            );
        }
        ui.separator();
        self.choices(ui, verdict.as_ref());
        if let Some(verdict) = verdict {
            ui.label(theme::weak(format!("Why: {}.", verdict.reason())));
        }
        if self.from_next_start {
            ui.label("Holds from the next start of the program on.");
        }
        if let Some(error) = &self.error {
            ui.label(theme::error(ui, error));
        }
        ui.separator();
        ui.horizontal(|ui| {
            let idle = self.test.is_none();
            let name = match verdict {
                Some(verdict) if !verdict.measured.is_empty() => "Test again",
                _ => "Test",
            };
            if ui.add_enabled(idle, egui::Button::new(name)).clicked() {
                self.begin(models);
            }
            if let Some(verdict) = verdict
                && ui.button("Copy").clicked()
            {
                ui.ctx().copy_text(graphics::table(verdict));
            }
            if !idle {
                ui.spinner();
                ui.label(theme::weak("Computing on the adapter and the CPU…"));
            }
        });
    }

    /// Every way to run models, with what was measured.
    fn choices(&mut self, ui: &mut egui::Ui, verdict: Option<&Verdict>) {
        let mut chosen = verdict.map(|verdict| verdict.choice);
        let before = chosen;
        Grid::new("ways to run models")
            .num_columns(2)
            .show(ui, |ui| {
                for execution in Execution::all() {
                    ui.radio_value(&mut chosen, Some(execution), execution.name());
                    let row = verdict.and_then(|verdict| verdict.row(execution));
                    ui.label(row.map_or_else(|| "not measured".into(), graphics::outcome));
                    ui.end_row();
                }
            });
        if let Some(choice) = chosen.filter(|_| chosen != before)
            && let Some(adapter) = &self.adapter
        {
            self.decide(match verdict {
                Some(verdict) => verdict.clone().chosen(choice),
                None => Verdict::by_person(adapter.adapter.clone(), choice),
            });
            self.keep();
        }
    }

    /// Begins a test of these models.
    fn begin(&mut self, models: &[ModelRef]) {
        let Some(TestedAdapter {
            adapter, device, ..
        }) = self.adapter.clone()
        else {
            return;
        };
        self.error = None;
        let models = models.to_vec();
        let task = self.tests.start("graphics test", Err, move |outbox, _| {
            let folder = data_folder();
            let tested = graphics::test(&adapter, &device, &models, folder.as_deref());
            outbox.send(tested);
        });
        self.test = Some(task);
    }

    /// Has models run as a verdict says: at once where they remain on the adapter.
    fn decide(&mut self, verdict: Verdict) {
        let Some(adapter) = &mut self.adapter else {
            return;
        };
        let is_cpu = |verdict: &Verdict| verdict.choice == Execution::Cpu;
        let was_cpu = adapter
            .verdict
            .as_ref()
            .map_or(adapter.adapter.is_software, is_cpu);
        self.from_next_start |= was_cpu != is_cpu(&verdict);
        if let Execution::Gpu(algorithm) = verdict.choice {
            algorithm.choose();
        }
        adapter.verdict = Some(verdict);
    }

    /// Keeps what a person chose.
    fn keep(&mut self) {
        let verdict = self
            .adapter
            .as_ref()
            .and_then(|adapter| adapter.verdict.as_ref());
        if let Some((verdict, folder)) = verdict.zip(data_folder())
            && let Err(error) = verdict.keep(&folder)
        {
            self.error = Some(error.to_string());
        }
    }
}
