//! The search over all commands and settings (Ctrl+K).

use egui::{
    Align2, Area, Context, Frame, Id, Key, Modifiers, Order, ScrollArea, ThemePreference, Ui,
};

use super::Action;
use super::sections::Section;
use crate::app::commands::{self, Command};
use crate::app::theme;
use crate::model::zoo::SETS;
use crate::session::{Bottom, Column, State};

/// What is typed, and which of the hits is chosen.
#[derive(Default)]
pub struct Search {
    open: bool,
    text: String,
    chosen: usize,
}

/// Something that can be found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Command(Command),
    /// The models of a set, by its place.
    Models(usize),
    Tab(Bottom),
    Theme(ThemePreference),
    /// A setting of the panel on the right.
    Setting(Section),
}

/// What can be found, with what is read of it.
struct Entry {
    target: Target,
    /// What it is called.
    name: String,
    /// What it does, or where it is.
    about: String,
    /// Its key, if it has one.
    key: String,
}

/// Settings of the panel on the right: where they are, what they are called there, and other words for them.
#[rustfmt::skip] // One setting a line.
static SETTINGS: &[(Section, &str, &str)] = &[
    (Section::Attack, "Norm", "L2, L∞, L1.5 of the attack"),
    (Section::Attack, "Method", "PGD, AutoAttack, APGD, FAB-T, Square, DeepFool"),
    (Section::Attack, "FGSM, PGD-20", "usual attacks"),
    (Section::Attack, "ε", "epsilon, radius, strength of the attack"),
    (Section::Attack, "Steps", "gradient steps of the attack"),
    (Section::Attack, "Step size", "length of a gradient step"),
    (Section::Attack, "Goal", "untargeted, or the target class of the attack"),
    (Section::Attack, "Random start, restarts, seed", "randomness of the attack"),
    (Section::Attribution, "Method", "gradient, integrated gradients, SHAP, Grad-CAM, occlusion"),
    (Section::Attribution, "Baseline", "what stands in place of a missing pixel"),
    (Section::Attribution, "Class, score", "of what the maps are: class, probability or logit"),
    (Section::Attribution, "Checks", "deletion and insertion curves, randomised weights"),
    (Section::Synthesis, "Inversion, generation, unit", "what the models make"),
    (Section::Synthesis, "Iterations, step, ball", "descent of the synthesis"),
    (Section::Synthesis, "Smoothness, frequency decay, jitter", "regularisation of the synthesis"),
    (Section::Counterfactual, "Target class", "what the picture is turned into"),
    (Section::Counterfactual, "Radius", "how far a counterfactual by descent may go"),
    (Section::Counterfactual, "Generator", "file of a generator of counterfactuals"),
    (Section::Counterfactual, "Mask threshold", "which change belongs to the mask"),
    (Section::MapColours, "Colours, sign, blend", "palette and scale of the maps"),
    (Section::MapColours, "Shared scale", "one scale for all maps, or each its own"),
    (Section::Display, "Gain", "amplification of the perturbation"),
    (Section::Display, "Rows", "which models are shown"),
    (Section::Display, "Zoom, divider", "parts of the pictures"),
    (Section::Picture, "Crop", "the part of the picture that the models see"),
    (Section::Edit, "Mask of attacks", "where attacks may change the picture: brush, rectangle, ellipse, flood"),
    (Section::Edit, "Patch", "an attack in a square or a disk, its place searched"),
    (Section::Edit, "Paint", "brush, eraser, clone and blur on the picture"),
    (Section::Corruption, "Corruption, severity", "noise, blur, weather, compression (ImageNet-C)"),
    (Section::Picture, "True class", "ground truth of the open picture"),
];

impl Search {
    /// Opens the search, or closes it.
    pub fn toggle(&mut self) {
        *self = Self {
            open: !self.open,
            ..Self::default()
        };
    }

    /// Draws the search while it is open; returns the section of a setting that was chosen.
    pub fn show(
        &mut self,
        context: &Context,
        state: &mut State,
        actions: &mut Vec<Action>,
    ) -> Option<Section> {
        if !self.open {
            return None;
        }
        let hits = hits(context, &self.text);
        self.chosen = self.chosen.min(hits.len().saturating_sub(1));
        let pressed = |key| context.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if pressed(Key::Escape) {
            self.open = false;
            return None;
        }
        let moved = i32::from(pressed(Key::ArrowDown)) - i32::from(pressed(Key::ArrowUp));
        if moved != 0 && !hits.is_empty() {
            let last = hits.len() as i32;
            self.chosen = (self.chosen as i32 + moved).rem_euclid(last) as usize;
        }
        let entered = pressed(Key::Enter);
        let mut clicked = None;
        let area = Area::new(Id::unique("search"))
            .order(Order::Foreground)
            .anchor(Align2::CENTER_TOP, [0.0, 60.0])
            .show(context, |ui| {
                Frame::popup(ui.style()).show(ui, |ui| {
                    ui.set_width(460.0);
                    let field = egui::TextEdit::singleline(&mut self.text)
                        .hint_text("Search commands and settings")
                        .desired_width(f32::INFINITY);
                    let response = ui.add(field);
                    response.request_focus();
                    if response.changed() {
                        self.chosen = 0;
                    }
                    ui.separator();
                    clicked = list(ui, &hits, self.chosen, moved != 0);
                });
            });
        let outside = area.response.clicked_elsewhere() && clicked.is_none();
        let run = clicked.or(entered.then_some(self.chosen));
        if outside || run.is_some() {
            self.open = false;
        }
        let entry = hits.get(run?)?;
        perform(context, entry.target, state, actions)
    }
}

/// Draws the hits; returns the one that was clicked.
fn list(ui: &mut Ui, hits: &[Entry], chosen: usize, follow: bool) -> Option<usize> {
    if hits.is_empty() {
        ui.label(theme::weak("Nothing is called that"));
    }
    let mut clicked = None;
    ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
        for (index, entry) in hits.iter().enumerate() {
            let text = egui::RichText::new(&entry.name).strong();
            let button = egui::Button::selectable(index == chosen, text)
                .right_text(theme::weak(&entry.key))
                .min_size(egui::vec2(ui.available_width(), 0.0));
            let response = ui.add(button);
            if index == chosen && follow {
                response.scroll_to_me(None);
            }
            if response.on_hover_text(&entry.about).clicked() {
                clicked = Some(index);
            }
            ui.add(egui::Label::new(theme::weak(&entry.about)).truncate());
        }
    });
    clicked
}

fn perform(
    context: &Context,
    target: Target,
    state: &mut State,
    actions: &mut Vec<Action>,
) -> Option<Section> {
    match target {
        Target::Command(command) => command.run(state, actions),
        Target::Models(set) => actions.push(Action::UseModels(SETS[set].references())),
        Target::Tab(tab) => state.settings.display.bottom = tab,
        Target::Theme(choice) => context.set_theme(choice),
        Target::Setting(section) => {
            state.settings.display.controls = true;
            return Some(section);
        }
    }
    None
}

/// Everything that can be found.
fn entries(context: &Context) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (command, about) in commands::searchable() {
        entries.push(Entry {
            target: Target::Command(command),
            name: command.name(),
            about: about.to_owned(),
            key: command.shortcut(context),
        });
    }
    for (index, column) in Column::ALL.into_iter().enumerate() {
        let command = Command::Column(index);
        entries.push(Entry {
            target: Target::Command(command),
            name: format!("Column {}", column.name()),
            about: "show or hide the column".into(),
            key: command.shortcut(context),
        });
    }
    let mut plain = |target, name: String, about: &str| {
        entries.push(Entry {
            target,
            name,
            about: about.to_owned(),
            key: String::new(),
        });
    };
    for (index, set) in SETS.iter().enumerate() {
        plain(
            Target::Models(index),
            format!("Models: {}", set.name),
            set.about,
        );
    }
    for tab in Bottom::ALL {
        let about = "what the panel at the bottom shows";
        plain(Target::Tab(tab), format!("Tab {}", tab.name()), about);
    }
    for (choice, name) in [
        (ThemePreference::System, "system"),
        (ThemePreference::Light, "light"),
        (ThemePreference::Dark, "dark"),
    ] {
        plain(
            Target::Theme(choice),
            format!("Theme: {name}"),
            "colours of the window",
        );
    }
    for &(section, name, about) in SETTINGS {
        let about = format!("{} · {about}", section.title());
        plain(Target::Setting(section), name.to_owned(), &about);
    }
    entries
}

/// What the words of `text` are found in, names that begin with it first.
fn hits(context: &Context, text: &str) -> Vec<Entry> {
    let text = text.trim().to_lowercase();
    let rank = |entry: &Entry| {
        let name = entry.name.to_lowercase();
        let all = format!("{name} {}", entry.about.to_lowercase());
        let found = text.split_whitespace().all(|word| all.contains(word));
        found.then(|| match (name.starts_with(&text), name.contains(&text)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        })
    };
    let ranked = entries(context).into_iter();
    let mut ranked: Vec<(u8, Entry)> = ranked
        .filter_map(|entry| Some((rank(&entry)?, entry)))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let hits = hits(&Context::default(), text).into_iter();
        hits.map(|entry| entry.name).collect()
    }

    #[test]
    fn commands_settings_models_and_columns_are_found_by_their_words() {
        assert_eq!(names("undo")[0], "Undo");
        assert_eq!(names("gain"), ["Gain"]);
        assert_eq!(names("epsilon strength"), ["ε"]);
        let models = names("models cifar");
        assert!(models[0].starts_with("Models: CIFAR-10"), "{models:?}");
        assert_eq!(names("column per")[0], "Column Perturbation");
        assert_eq!(names("light"), ["Theme: light"]);
        assert!(names("no such thing").is_empty());
        // Without a word everything is there.
        assert!(names("").len() > 80);
    }

    #[test]
    fn no_two_entries_read_alike() {
        let mut names: Vec<String> = entries(&Context::default())
            .into_iter()
            .map(|entry| format!("{} {}", entry.name, entry.about))
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
