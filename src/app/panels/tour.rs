//! The tour: six steps on the real window, each with a card beside what it is about.

use egui::{Area, Context, Frame, Id, Key, Modifiers, Order, Pos2, Rect, Vec2, vec2};

use super::Action;
use super::sections::Section;
use super::tour_targets::{self, TourTarget};
use crate::app::commands::Command;
use crate::app::theme;
use crate::session::{Bottom, Column, Page, State};

/// A step: where it points, its title and what it says.
struct Step {
    target: TourTarget,
    title: &'static str,
    text: &'static str,
    /// What its button does for a person, if it has one.
    offer: Option<&'static str>,
}

static STEPS: [Step; 6] = [
    Step {
        target: TourTarget::Timeline,
        title: "Drag ε",
        text: "ε is how far an attack may change the picture. Drag along the timeline, or play it with Space: \
               the attacked pictures follow, and a dotted line marks where each prediction flips.",
        offer: Some("Play ε"),
    },
    Step {
        target: TourTarget::Rows,
        title: "Compare the rows",
        text: "Both models see one picture and are attacked alike. Look at the perturbations: noise for the \
               standard model, shapes for the robust one (arXiv 2307.02500). The wheel zooms into all pictures at once.",
        offer: None,
    },
    Step {
        target: TourTarget::Attribution,
        title: "Ask why",
        text: "The maps show which pixels speak for the class (red) or against it (blue). Here the method is chosen: \
               integrated gradients, SHAP, Grad-CAM and others. Curves and Randomise test whether a map can be trusted.",
        offer: Some("Show the settings"),
    },
    Step {
        target: TourTarget::Synthesis,
        title: "Invert",
        text: "What does each model take for the same picture? Press P and watch it descend to a picture that it \
               represents alike. The same descent makes pictures of a class, or of what excites a single unit.",
        offer: Some("Invert the picture"),
    },
    Step {
        target: TourTarget::Counterfactuals,
        title: "Turn it into another class",
        text: "What would each model have to see instead? Counterfactuals shows the picture as another class, how far \
               away that is, and what changed.",
        offer: Some("Show counterfactuals"),
    },
    Step {
        target: TourTarget::Files,
        title: "Open your own",
        text: "Pictures, folders, models and sessions open by the menu, by Ctrl+O, by dropping them here, or as program \
               arguments. Help has this tour, all keys, and the search (Ctrl+K).",
        offer: Some("Open pictures…"),
    },
];

/// Width of a card, and its height as long as it is not known, in points.
const CARD: Vec2 = vec2(340.0, 150.0);
/// Between a card and what it is about.
const GAP: f32 = 14.0;

/// A tour under way.
#[derive(Clone, Debug, Default)]
pub struct Tour {
    step: usize,
    /// Size of the card in the last frame.
    size: Option<Vec2>,
}

impl Tour {
    /// Draws the card of the step; `false` once the tour has ended. Returns the section of the panel on the right
    /// that is to be pointed out.
    pub fn show(
        &mut self,
        context: &Context,
        state: &mut State,
        actions: &mut Vec<Action>,
    ) -> (bool, Option<Section>) {
        state.navigation.page = Page::Explorer;
        if context.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
            return (false, None);
        }
        let step = &STEPS[self.step];
        let screen = context.content_rect();
        let target = tour_targets::area(context, step.target);
        let target = target.unwrap_or(screen).intersect(screen);
        outline(context, target);
        let at = place(target, screen, self.size.unwrap_or(CARD));
        let (mut goes_on, mut revealed) = (true, None);
        let area = Area::new(Id::unique("tour"))
            .order(Order::Foreground)
            .fixed_pos(at)
            .show(context, |ui| {
                Frame::popup(ui.style()).show(ui, |ui| {
                    ui.set_width(CARD.x);
                    ui.horizontal(|ui| {
                        ui.strong(step.title);
                        let count = format!("{} of {}", self.step + 1, STEPS.len());
                        ui.label(theme::weak(count));
                    });
                    ui.label(step.text);
                    ui.horizontal(|ui| {
                        if let Some(offer) = step.offer
                            && ui.button(offer).clicked()
                        {
                            revealed = perform(step.target, state, actions);
                        }
                        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                            let is_last = self.step + 1 == STEPS.len();
                            let next = if is_last { "Finish" } else { "Next" };
                            if ui.button(egui::RichText::new(next).strong()).clicked() {
                                self.step += 1;
                                goes_on = !is_last;
                            }
                            let back = egui::Button::new("Back");
                            if ui.add_enabled(self.step > 0, back).clicked() {
                                self.step = self.step.saturating_sub(1);
                            }
                            if ui.button("Skip").on_hover_text("Esc").clicked() {
                                goes_on = false;
                            }
                        });
                    });
                });
            });
        let size = area.response.rect.size();
        if self.size != Some(size) {
            self.size = Some(size);
            context.request_repaint();
        }
        (goes_on, revealed)
    }
}

/// Does what a step is about, for a person.
fn perform(target: TourTarget, state: &mut State, actions: &mut Vec<Action>) -> Option<Section> {
    match target {
        TourTarget::Timeline => {
            state.settings.display.bottom = Bottom::Epsilon;
            state.transient.playing = true;
        }
        TourTarget::Rows => {}
        TourTarget::Attribution => {
            state.settings.display.controls = true;
            return Some(Section::Attribution);
        }
        TourTarget::Synthesis => {
            state.settings.display.shown[Column::Synthesis as usize] = true;
            if !state.progress.synthesis.running {
                Command::PlaySynthesis.run(state, actions);
            }
            return Some(Section::Synthesis);
        }
        TourTarget::Counterfactuals => state.show_counterfactuals(),
        TourTarget::Files => Command::OpenPictures.run(state, actions),
    }
    None
}

/// Outlines what a step is about.
fn outline(context: &Context, target: Rect) {
    let painter = context.layer_painter(egui::LayerId::new(
        Order::Foreground,
        Id::unique("tour outline"),
    ));
    let color = context.global_style().visuals.selection.bg_fill;
    painter.rect_stroke(
        target.shrink(1.5),
        4.0,
        egui::Stroke::new(3.0, color),
        egui::StrokeKind::Inside,
    );
}

/// Where a card of this size covers least of what it is about.
fn place(target: Rect, screen: Rect, size: Vec2) -> Pos2 {
    let screen = screen.shrink(GAP);
    let middle = target.center() - size / 2.0;
    let beside = [
        Pos2::new(middle.x, target.top() - GAP - size.y),
        Pos2::new(middle.x, target.bottom() + GAP),
        Pos2::new(target.left() - GAP - size.x, middle.y),
        Pos2::new(target.right() + GAP, middle.y),
    ];
    let inside = beside.map(|at| {
        let most = (screen.max - size).max(screen.min);
        at.clamp(screen.min, most)
    });
    let covered = |at: &Pos2| {
        let common = Rect::from_min_size(*at, size).intersect(target);
        common.width().max(0.0) * common.height().max(0.0)
    };
    let least = inside
        .into_iter()
        .min_by(|a, b| covered(a).total_cmp(&covered(b)));
    least.unwrap_or(screen.min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_on_the_screen_and_beside_its_target_where_there_is_room() {
        let screen = Rect::from_min_size(Pos2::ZERO, vec2(1280.0, 720.0));
        let targets = [
            Rect::from_min_max(Pos2::new(0.0, 560.0), Pos2::new(1280.0, 720.0)),
            Rect::from_min_max(Pos2::new(980.0, 24.0), Pos2::new(1280.0, 560.0)),
            Rect::from_min_max(Pos2::new(4.0, 2.0), Pos2::new(40.0, 20.0)),
            Rect::from_min_max(Pos2::new(190.0, 24.0), Pos2::new(980.0, 530.0)),
        ];
        for target in targets {
            let card = Rect::from_min_size(place(target, screen, CARD), CARD);
            assert!(screen.contains_rect(card), "{card:?}");
            assert!(!card.intersect(target).is_positive(), "{target:?}");
        }
        // All of the screen: somewhere on it.
        let card = Rect::from_min_size(place(screen, screen, CARD), CARD);
        assert!(screen.contains_rect(card));
    }
}
