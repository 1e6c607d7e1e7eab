//! The attack's settings in the panel on the right, and the fields for norms and lengths that other settings share.

use std::ops::RangeInclusive;

use egui::{ComboBox, DragValue, Slider, Ui};

use crate::app::commands::Command;
use crate::app::theme;
use crate::attack::{Attack, AttackMethod, Goal, Norm, parse_epsilon};
use crate::session::State;

/// Draws the norms, of which one is chosen; returns the one that was clicked.
pub(super) fn clicked_norm(ui: &mut Ui, chosen: Norm) -> Option<Norm> {
    ui.label("Norm");
    let mut clicked = None;
    for (norm, hint) in [
        (Norm::L2, "Euclidean length of the whole change"),
        (Norm::Linf, "Largest change of any channel of any pixel"),
        (
            Norm::L1p5,
            "(Σ|δ|^1.5)^(2/3): sparser changes than L2 (Boreiko et al. 2022)",
        ),
    ] {
        let label = ui.selectable_label(chosen == norm, norm.to_string());
        if label.on_hover_text(hint).clicked() {
            clicked = Some(norm);
        }
    }
    clicked
}

/// A length that is `usual` until a person gives another: a checkbox with a name and a hint, and a field.
pub(super) fn usual_or_given(
    ui: &mut Ui,
    norm: Norm,
    given: &mut Option<f32>,
    usual: f32,
    (name, hint): (&str, &str),
    (range, speed): (RangeInclusive<f32>, f32),
) {
    let mut automatic = given.is_none();
    let checkbox = ui.checkbox(&mut automatic, name).on_hover_text(hint);
    if checkbox.changed() {
        *given = (!automatic).then_some(usual);
    }
    match given {
        Some(length) => {
            ui.add(epsilon_field(norm, length, range, speed));
        }
        None => {
            ui.label(theme::weak(norm.format(usual)));
        }
    }
}

/// Draws the attack's settings; `labels` are the classes.
pub fn show(ui: &mut Ui, state: &mut State, labels: &[String]) {
    ui.horizontal(|ui| {
        if let Some(norm) = clicked_norm(ui, state.settings.attack.norm) {
            state.settings.attack.norm = norm;
            if norm == Norm::L1p5 {
                state.settings.attack.method = AttackMethod::Pgd;
            }
            // The same number means something else in another norm.
            state.settings.attack.epsilon = state.range() / 4.0;
            state.settings.attack.step_size = None;
        }
        ui.separator();
        method(ui, &mut state.settings.attack);
    });
    ui.horizontal(|ui| {
        if ui
            .small_button("FGSM")
            .on_hover_text(
                "One full gradient step from the picture itself (Goodfellow et al. 2015)",
            )
            .clicked()
        {
            let fgsm = Attack::fgsm(state.settings.attack.norm, state.settings.attack.epsilon);
            state.settings.attack = Attack {
                goal: state.settings.attack.goal,
                step_size: None,
                ..fgsm
            };
        }
        if ui
            .small_button("PGD-20")
            .on_hover_text(
                "Twenty steps of projected gradient descent from a random start (Madry et al. 2018)",
            )
            .clicked()
        {
            let pgd = Attack::pgd(
                state.settings.attack.norm,
                state.settings.attack.epsilon,
                20,
            );
            state.settings.attack = Attack {
                goal: state.settings.attack.goal,
                ..pgd
            };
        }
        let untouched = state.settings.attack == Attack::default();
        if ui
            .add_enabled(!untouched, egui::Button::new("Reset").small())
            .clicked()
        {
            state.settings.attack = Attack::default();
        }
    });
    epsilon(ui, state);
    let attack = &mut state.settings.attack;
    if attack.method.is_pgd() {
        pgd(ui, attack, labels);
    } else {
        let hint = "untargeted, without settings; where it fails the picture stays as it is";
        ui.label(theme::weak(hint));
        ui.horizontal(|ui| seed(ui, attack));
    }
    let check = ui.button(Command::CheckRobustness.name());
    let hint = "Runs AutoAttack (Croce and Hein 2020) on it within this norm and ε, for every model: up to 1,900 \
                gradients and 5,000 predictions each";
    if check.on_hover_text(hint).clicked() {
        state.check_robustness();
    }
}

/// The methods, of which one is chosen.
fn method(ui: &mut Ui, attack: &mut Attack) {
    let mut chosen = attack.method;
    ComboBox::from_id_salt("attack method")
        .selected_text(chosen.to_string())
        .width(90.0)
        .show_ui(ui, |ui| {
            for method in AttackMethod::ALL {
                // The others are defined for L∞ and L2.
                let defined = method.is_pgd() || attack.norm != Norm::L1p5;
                let label = egui::Button::selectable(chosen == method, method.to_string());
                let response = ui.add_enabled(defined, label);
                if response.on_hover_text(method.about()).clicked() {
                    chosen = method;
                    ui.close();
                }
            }
        })
        .response
        .on_hover_text(chosen.about());
    if chosen != attack.method {
        *attack = attack.clone().by(chosen);
    }
}

/// Steps, goal and restarts.
fn pgd(ui: &mut Ui, attack: &mut Attack, labels: &[String]) {
    ui.horizontal(|ui| {
        ui.label("Steps");
        ui.add(Slider::new(&mut attack.steps, 0..=200).logarithmic(true))
            .on_hover_text("Gradient steps of each restart; 0 shows the start");
    });
    step_size(ui, attack);
    goal(ui, attack, labels);
    ui.horizontal(|ui| {
        ui.checkbox(&mut attack.random_start, "Random start")
            .on_hover_text("Begin at a random point of the ball");
        ui.label("Restarts");
        ui.add(DragValue::new(&mut attack.restarts).range(1..=20))
            .on_hover_text("Independent runs from random starts, of which the strongest is kept");
        seed(ui, attack);
    });
}

fn seed(ui: &mut Ui, attack: &mut Attack) {
    ui.label("Seed");
    ui.add(DragValue::new(&mut attack.seed))
        .on_hover_text("Seed of all random numbers of the attack");
}

/// A field for ε or a step size, written as usual for the norm and dragged in these steps; numbers and
/// fractions can be typed.
pub(super) fn epsilon_field(
    norm: Norm,
    value: &mut f32,
    range: RangeInclusive<f32>,
    speed: f32,
) -> DragValue<'_> {
    // Dragging stops at round numbers of the unit that is shown.
    let units = f64::from(norm.units());
    let shown = move |epsilon: f32| units * f64::from(epsilon);
    let epsilon = move |shown: f64| (shown / units) as f32;
    DragValue::from_get_set(move |new| {
        if let Some(new) = new {
            *value = epsilon(new);
        }
        shown(*value)
    })
    .range(shown(*range.start())..=shown(*range.end()))
    .speed(shown(speed))
    .custom_formatter(move |value, _| norm.format(epsilon(value)))
    .custom_parser(move |text| parse_epsilon(text).ok().map(shown))
}

fn epsilon(ui: &mut Ui, state: &mut State) {
    let range = state.range();
    ui.horizontal(|ui| {
        ui.label("ε");
        let norm = state.settings.attack.norm;
        let mut epsilon = state.settings.attack.epsilon;
        let value = epsilon_field(norm, &mut epsilon, 0.0..=range, range / 400.0);
        if ui
            .add(value)
            .on_hover_text(Command::Epsilon(1).tooltip(
                ui.ctx(),
                "Largest perturbation, in units of pixels in [0, 1]: a number such as 0.03, or a \
                 fraction such as 8/255",
            ))
            .changed()
        {
            state.set_epsilon(epsilon);
        }
        ui.label("of");
        let mut most = range;
        let limits = match norm {
            Norm::Linf => 1.0 / 255.0..=1.0,
            Norm::L2 => 0.05..=50.0,
            Norm::L1p5 => 0.5..=500.0,
        };
        let value = epsilon_field(norm, &mut most, limits, range / 200.0);
        if ui
            .add(value)
            .on_hover_text("Right end of the ε timeline")
            .changed()
        {
            *state.range_mut() = most;
            state.set_epsilon(state.settings.attack.epsilon);
        }
    });
}

fn step_size(ui: &mut Ui, attack: &mut Attack) {
    ui.horizontal(|ui| {
        ui.label("Step");
        let usual = attack.step_for(attack.epsilon);
        let about = ("2.5·ε/steps", "The usual step size (Madry et al. 2018)");
        let limits = (0.0..=10.0, 0.001);
        usual_or_given(ui, attack.norm, &mut attack.step_size, usual, about, limits);
    });
}

fn goal(ui: &mut Ui, attack: &mut Attack, labels: &[String]) {
    ui.horizontal(|ui| {
        ui.label("Goal");
        let name = |class: usize| {
            labels
                .get(class)
                .cloned()
                .unwrap_or_else(|| format!("class {class}"))
        };
        let text = match attack.goal {
            Goal::Untargeted => "untargeted".into(),
            Goal::Targeted(class) => format!("targeted: {}", name(class)),
        };
        ComboBox::from_id_salt("goal")
            .selected_text(text)
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut attack.goal, Goal::Untargeted, "untargeted");
                for class in 0..labels.len() {
                    ui.selectable_value(
                        &mut attack.goal,
                        Goal::Targeted(class),
                        format!("targeted: {}", name(class)),
                    );
                }
            })
            .response
            .on_hover_text(
                "What the attack is after: to leave the class of the picture, or to reach this one",
            );
    });
}
