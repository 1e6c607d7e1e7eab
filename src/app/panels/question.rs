//! The question that a map answers: the class and the score that are explained.

use egui::{ComboBox, Ui};

use crate::attribution::{ClassChoice, Question, Score};

pub(super) fn show(ui: &mut Ui, question: &mut Question, labels: &[String]) {
    ui.horizontal(|ui| {
        ui.label("Class");
        class(ui, "class", &mut question.class, labels);
        let mut compares = question.against.is_some();
        if ui
            .checkbox(&mut compares, "minus")
            .on_hover_text("Explain by how much the class leads over another one")
            .changed()
        {
            question.against = compares.then_some(ClassChoice::Second);
        }
        if let Some(other) = &mut question.against {
            class(ui, "against", other, labels);
        }
    });
    ui.horizontal(|ui| {
        ui.label("Score");
        ui.selectable_value(&mut question.score, Score::Probability, "probability")
            .on_hover_text("Softmax probability, as in arXiv 2307.02500");
        ui.selectable_value(&mut question.score, Score::Logit, "logit")
            .on_hover_text(
                "The class's output before softmax, which other classes do not saturate",
            );
    });
}

fn class(ui: &mut Ui, id: &str, choice: &mut ClassChoice, labels: &[String]) {
    let name = |choice: ClassChoice| match choice {
        ClassChoice::Predicted => "predicted".to_owned(),
        ClassChoice::True => "true".to_owned(),
        ClassChoice::Second => "second".to_owned(),
        ClassChoice::Class(class) => labels
            .get(class)
            .cloned()
            .unwrap_or_else(|| format!("class {class}")),
    };
    ComboBox::from_id_salt(id)
        .width(86.0)
        .selected_text(name(*choice))
        .show_ui(ui, |ui| {
            let classes = (0..labels.len()).map(ClassChoice::Class);
            for option in [ClassChoice::Predicted, ClassChoice::Second, ClassChoice::True].into_iter().chain(classes) {
                ui.selectable_value(choice, option, name(option));
            }
        })
        .response
        .on_hover_text("Predicted and second: the likeliest classes, by each model for each picture. True: the class given for the picture, else what the model says before any attack.");
}
