//! Settings of the maps: method, question, checks.

use std::ops::RangeInclusive;

use egui::{ComboBox, DragValue, Ui};

use super::{Action, question};
use crate::attribution::{
    AttentionHead, Background, Baseline, ExpectedGradients, Fill, IntegratedGradients, Masker,
    Method, Rule,
};
use crate::session::{LibraryEntry, State};

/// Draws the settings; `labels` are the classes and `side` the model's smaller input side.
pub fn show(
    ui: &mut Ui,
    state: &mut State,
    labels: &[String],
    side: usize,
    actions: &mut Vec<Action>,
) {
    let method = &mut state.settings.explanation.method;
    choose_method(ui, method, side);
    let needs_picture = settings(ui, method, side.max(1), actions);
    if needs_picture {
        reference(ui, &mut state.document.reference, &state.document.library);
    }
    if state.settings.explanation.method.is_of_class() {
        question::show(ui, &mut state.settings.explanation.question, labels);
    } else {
        ui.weak("The same for every class");
    }
    ui.horizontal(|ui| {
        ui.label("Checks");
        ui.toggle_value(&mut state.settings.checks.curves, "Curves")
            .on_hover_text("Deletion and insertion curves under each map (Petsiuk et al. 2018)");
        ui.toggle_value(&mut state.settings.checks.sanity, "Randomise")
            .on_hover_text("Compare each map with those of the model after replacing its weights by noise, from the last layer down (Adebayo et al. 2018)");
    });
}

fn choose_method(ui: &mut Ui, method: &mut Method, side: usize) {
    ui.horizontal(|ui| {
        ui.label("Method");
        ComboBox::from_id_salt("method")
            .selected_text(method.name())
            .width(190.0)
            .height(300.0)
            .show_ui(ui, |ui| {
                for choice in Method::all(side) {
                    let chosen = choice.name() == method.name();
                    let (name, about) = (choice.name(), choice.about());
                    let response = ui.selectable_label(chosen, name).on_hover_text(about);
                    if response.clicked() && !chosen {
                        *method = choice;
                    }
                }
            })
            .response
            .on_hover_text(method.about());
    });
}

/// A labelled number.
pub(super) fn number(
    ui: &mut Ui,
    name: &str,
    value: &mut usize,
    range: RangeInclusive<usize>,
    hint: &str,
) {
    ui.label(name);
    ui.add(DragValue::new(value).range(range))
        .on_hover_text(hint);
}

fn baselines(ui: &mut Ui, count: &mut usize) {
    let hint = "Baselines, whose maps are averaged";
    number(ui, "Count", count, 1..=100, hint);
}

pub(super) fn seed(ui: &mut Ui, value: &mut u64) {
    ui.label("Seed");
    ui.add(DragValue::new(value))
        .on_hover_text("Seed of everything random");
}

/// The chosen method's own settings; whether it compares with another picture.
fn settings(ui: &mut Ui, method: &mut Method, side: usize, actions: &mut Vec<Action>) -> bool {
    match method {
        Method::Gradient
        | Method::GradientTimesInput
        | Method::GradCam
        | Method::AttentionRollout => false,
        Method::Attention(choice) => {
            attention(ui, choice);
            false
        }
        Method::SmoothGrad(config) => {
            ui.horizontal(|ui| {
                number(ui, "Samples", &mut config.samples, 1..=2000, "Noisy copies");
                ui.label("σ");
                ui.add(
                    DragValue::new(&mut config.sigma)
                        .range(0.0..=1.0)
                        .speed(0.005),
                )
                .on_hover_text("Standard deviation of the noise, of pixels in [0, 1]");
                seed(ui, &mut config.seed);
            });
            false
        }
        Method::IntegratedGradients(config) => integrated(ui, config, side),
        Method::ExpectedGradients(config) => {
            expected(ui, config, actions);
            false
        }
        Method::PartitionShap(config) => {
            ui.horizontal(|ui| {
                let hint = "Pictures shown to the model; arXiv 2307.02500 used 1000";
                number(ui, "Evaluations", &mut config.evaluations, 4..=5000, hint);
            });
            masker(ui, &mut config.masker, side);
            false
        }
        Method::Occlusion(config) => {
            ui.horizontal(|ui| {
                let hint = "Side of the covering square, in pixels";
                number(ui, "Window", &mut config.window, 1..=side, hint);
                let hint = "Pixels from one place of the window to the next";
                number(ui, "Stride", &mut config.stride, 1..=side, hint);
            });
            fill(ui, &mut config.fill, side);
            config.fill == Fill::Picture
        }
    }
}

/// Layer and head of attention.
fn attention(ui: &mut Ui, choice: &mut AttentionHead) {
    ui.horizontal(|ui| {
        let hint = "Layer of attention, counted from the last one, which is 0";
        number(ui, "Layer", &mut choice.layer, 0..=99, hint);
        let mut mean = choice.head.is_none();
        ui.checkbox(&mut mean, "all heads")
            .on_hover_text("The mean of the layer's heads");
        match (&mut choice.head, mean) {
            (head, true) => *head = None,
            (Some(head), false) => {
                number(ui, "Head", head, 0..=99, "Head of the layer, from 0 on");
            }
            (head @ None, false) => *head = Some(0),
        }
    });
}

fn integrated(ui: &mut Ui, config: &mut IntegratedGradients, side: usize) -> bool {
    ui.horizontal(|ui| {
        number(
            ui,
            "Steps",
            &mut config.steps,
            1..=500,
            "Gradients on each path",
        );
        for (rule, name, hint) in [
            (
                Rule::Trapezoid,
                "trapezoid",
                "Equal steps, the ends with half the weight, as in arXiv 2307.02500",
            ),
            (
                Rule::GaussLegendre,
                "Gauss–Legendre",
                "The places of Gaussian quadrature: as exact with fewer steps",
            ),
        ] {
            ui.selectable_value(&mut config.rule, rule, name)
                .on_hover_text(hint);
        }
    });
    ui.horizontal(|ui| {
        ui.label("Baseline");
        let kinds = [
            Baseline::Fill(Fill::Black),
            Baseline::Uniform(10),
            Baseline::Gaussian {
                count: 10,
                sigma: 0.4,
            },
        ];
        let name = |baseline: &Baseline| match baseline {
            Baseline::Fill(_) => "one picture",
            Baseline::Uniform(_) => "uniform noise",
            Baseline::Gaussian { .. } => "Gaussian noise",
        };
        ComboBox::from_id_salt("baseline")
            .selected_text(name(&config.baseline))
            .show_ui(ui, |ui| {
                for kind in kinds {
                    let chosen = name(&kind) == name(&config.baseline);
                    if ui.selectable_label(chosen, name(&kind)).clicked() && !chosen {
                        config.baseline = kind;
                    }
                }
            })
            .response
            .on_hover_text("Kind of the baseline from which the path starts");
        if ui
            .small_button("Paper")
            .on_hover_text("10 × 50 trapezoid steps from uniform noise (arXiv 2307.02500)")
            .clicked()
        {
            *config = IntegratedGradients::default();
        }
        if ui
            .small_button("Fast")
            .on_hover_text("16 Gauss–Legendre steps from the blurred picture")
            .clicked()
        {
            *config = IntegratedGradients::fast(side);
        }
    });
    match &mut config.baseline {
        Baseline::Fill(choice) => {
            fill(ui, choice, side);
            *choice == Fill::Picture
        }
        Baseline::Uniform(count) => {
            ui.horizontal(|ui| {
                baselines(ui, count);
                seed(ui, &mut config.seed);
            });
            false
        }
        Baseline::Gaussian { count, sigma } => {
            ui.horizontal(|ui| {
                baselines(ui, count);
                ui.label("σ");
                ui.add(DragValue::new(sigma).range(0.0..=2.0).speed(0.01))
                    .on_hover_text("Standard deviation of the noise, of pixels in [0, 1]");
                seed(ui, &mut config.seed);
            });
            false
        }
    }
}

fn expected(ui: &mut Ui, config: &mut ExpectedGradients, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        number(ui, "Samples", &mut config.samples, 1..=5000, "Gradients");
        seed(ui, &mut config.seed);
    });
    ui.horizontal(|ui| {
        ui.label("Background");
        let bundled = config.background == Background::Bundled;
        if ui
            .selectable_label(bundled, "bundled")
            .on_hover_text("180 crops of the bundled photographs")
            .clicked()
        {
            config.background = Background::Bundled;
        }
        let library = config.background == Background::Library;
        if ui
            .selectable_label(library, "library")
            .on_hover_text("The pictures of the open library, at most 200 of them")
            .clicked()
        {
            config.background = Background::Library;
        }
        let (folder, hint) = match &config.background {
            Background::Folder(path) => (true, path.display().to_string()),
            _ => (
                false,
                "The pictures of a folder, at most 200 of them".into(),
            ),
        };
        if ui
            .selectable_label(folder, "folder…")
            .on_hover_text(hint)
            .clicked()
        {
            actions.push(Action::ChooseBackground);
        }
    });
}

fn masker(ui: &mut Ui, masker: &mut Masker, side: usize) {
    ui.horizontal(|ui| {
        ui.label("Hidden pixels");
        let blurs = matches!(masker, Masker::Blur(_));
        let blurred = ui.selectable_label(blurs, "blurred");
        let blurred = blurred.on_hover_text("A box blur of the picture stands in their place");
        if blurred.clicked() && !blurs {
            *masker = Masker::Blur((side / 2).max(1));
        }
        let inpainted = ui.selectable_label(!blurs, "inpainted");
        let hint = "They are filled in from around, by push–pull (Gortler et al. 1996)";
        if inpainted.on_hover_text(hint).clicked() {
            *masker = Masker::Inpaint;
        }
        if let Masker::Blur(width) = masker {
            number(
                ui,
                "by",
                width,
                1..=side,
                "Side of the blurring box, in pixels",
            );
        }
    });
}

fn fill(ui: &mut Ui, fill: &mut Fill, side: usize) {
    let choices = [
        Fill::Black,
        Fill::White,
        Fill::Grey,
        Fill::DatasetMean,
        Fill::Blurred((side / 4).max(1)),
        Fill::Picture,
    ];
    let same = |a: Fill, b: Fill| std::mem::discriminant(&a) == std::mem::discriminant(&b);
    ui.horizontal(|ui| {
        ui.label("Baseline");
        ComboBox::from_id_salt("fill")
            .selected_text(fill.to_string())
            .show_ui(ui, |ui| {
                for choice in choices {
                    let chosen = same(choice, *fill);
                    let response = ui.selectable_label(chosen, choice.to_string());
                    if response.clicked() && !chosen {
                        *fill = choice;
                    }
                }
            })
            .response
            .on_hover_text("What stands in place of a pixel that is not there");
        if let Fill::Blurred(width) = fill {
            number(
                ui,
                "by",
                width,
                1..=side,
                "Side of the blurring box, in pixels",
            );
        }
    });
}

pub(super) fn reference(
    ui: &mut Ui,
    chosen: &mut Option<crate::data::Picture>,
    library: &[LibraryEntry],
) {
    ui.horizontal(|ui| {
        ui.label("Other picture");
        let name = |picture: &crate::data::Picture| crate::app::theme::file_name(&picture.path);
        let text = chosen.as_ref().map_or_else(|| "choose".into(), name);
        ComboBox::from_id_salt("reference")
            .selected_text(text)
            .show_ui(ui, |ui| {
                for entry in library {
                    let picture = Some(entry.picture.clone());
                    ui.selectable_value(chosen, picture, name(&entry.picture));
                }
            })
            .response
            .on_hover_text("A picture of the library, at the model's size");
    });
}
