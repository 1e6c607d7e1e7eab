//! The sections of the panel on the right: which come first, which are folded, and the one that is being pointed out.

use egui::{CollapsingHeader, RichText, Ui};

use super::tour_targets::{self, TourTarget};
use crate::session::{Column, Display};

/// A section of the panel on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Norm, ε, steps and goal of the attack.
    Attack,
    /// Kind and severity of the corruption before it.
    Corruption,
    /// Where attacks may act, patches, and painting on the picture.
    Edit,
    /// Method and question of the maps.
    Attribution,
    /// Palette and scale of the maps.
    MapColours,
    /// What the models make, and how.
    Synthesis,
    /// How counterfactuals are made, and into which class.
    Counterfactual,
    /// Columns, rows, gain.
    Display,
    /// Crop and true class of the open picture.
    Picture,
}

/// Seconds for which a section that was searched is outlined.
const OUTLINED: f64 = 2.0;

/// A section that was searched, and the time from which on it is pointed out, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Reveal {
    section: Section,
    since: f64,
    /// Whether it was opened and scrolled to.
    reached: bool,
}

impl Reveal {
    /// Points out a section from now on.
    pub fn new(section: Section, now: f64) -> Self {
        Self {
            section,
            since: now,
            reached: false,
        }
    }
}

impl Section {
    /// All of them; what chooses the columns is first, so that choosing one moves nothing under the pointer.
    const ALL: [Self; 9] = [
        Self::Display,
        Self::Attack,
        Self::Attribution,
        Self::MapColours,
        Self::Synthesis,
        Self::Counterfactual,
        Self::Picture,
        Self::Edit,
        Self::Corruption,
    ];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Attack => "Attack",
            Self::Attribution => "Attribution",
            Self::MapColours => "Map colours",
            Self::Synthesis => "Synthesis",
            Self::Counterfactual => "Counterfactual",
            Self::Display => "Display",
            Self::Picture => "Picture",
            Self::Edit => "Mask and paint",
            Self::Corruption => "Corruption",
        }
    }

    /// Whether it is about one of the columns on the screen.
    fn is_of_visible(self, visible: &[Column]) -> bool {
        let draws = |columns: &[Column]| columns.iter().any(|column| visible.contains(column));
        match self {
            Self::Attack => draws(&[
                Column::Attacked,
                Column::Perturbation,
                Column::AttackedAttribution,
            ]),
            Self::Attribution | Self::MapColours => {
                draws(&[Column::Attribution, Column::AttackedAttribution])
            }
            Self::Synthesis => draws(&[Column::Synthesis]),
            Self::Counterfactual => {
                draws(&[Column::Counterfactual, Column::Change, Column::Return])
            }
            Self::Display | Self::Picture | Self::Edit | Self::Corruption => true,
        }
    }

    /// All sections, those about what is on the screen first, each with whether it is.
    pub fn ordered(display: &Display) -> Vec<(Self, bool)> {
        let visible = display.columns();
        let each = Self::ALL.map(|section| (section, section.is_of_visible(&visible)));
        let (visible, hidden): (Vec<_>, Vec<_>) = each.into_iter().partition(|(_, shown)| *shown);
        visible.into_iter().chain(hidden).collect()
    }

    /// Draws the section with what `add` draws; one that is not about anything on the screen is folded until a person
    /// opens it.
    pub fn show(
        self,
        ui: &mut Ui,
        is_of_visible: bool,
        reveal: &mut Option<Reveal>,
        add: impl FnOnce(&mut Ui),
    ) {
        let revealed = reveal.as_mut().filter(|reveal| reveal.section == self);
        let opens = revealed.as_ref().is_some_and(|reveal| !reveal.reached);
        // What a person folded or opened is remembered for either case.
        let response = CollapsingHeader::new(RichText::new(self.title()).strong())
            .id_salt((self.title(), is_of_visible))
            .default_open(is_of_visible)
            .open(opens.then_some(true))
            .show_unindented(ui, add);
        let target = match self {
            Self::Attribution => Some(TourTarget::Attribution),
            Self::Synthesis => Some(TourTarget::Synthesis),
            _ => None,
        };
        let area = match &response.body_response {
            Some(body) => response.header_response.rect.union(body.rect),
            None => response.header_response.rect,
        };
        if let Some(target) = target {
            tour_targets::mark(ui.ctx(), target, area.intersect(ui.clip_rect()));
        }
        let Some(revealed) = revealed else { return };
        if opens {
            response
                .header_response
                .scroll_to_me(Some(egui::Align::Min));
            revealed.reached = true;
        }
        let now = ui.input(|input| input.time);
        if now - revealed.since > OUTLINED {
            *reveal = None;
            return;
        }
        let stroke = egui::Stroke::new(2.0, ui.visuals().selection.bg_fill);
        ui.painter()
            .rect_stroke(area.expand(2.0), 3.0, stroke, egui::StrokeKind::Outside);
        ui.request_repaint();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_visible_columns_come_first() {
        let mut display = Display::default();
        let first = |display: &Display| -> Vec<Section> {
            let ordered = Section::ordered(display).into_iter();
            ordered
                .filter(|(_, shown)| *shown)
                .map(|(it, _)| it)
                .collect()
        };
        use Section as S;
        let usual = [
            S::Display,
            S::Attack,
            S::Attribution,
            S::MapColours,
            S::Picture,
            S::Edit,
            S::Corruption,
        ];
        assert_eq!(first(&display), usual);
        display.shown = [false; 9];
        display.shown[Column::Synthesis as usize] = true;
        let own = [S::Display, S::Synthesis, S::Picture, S::Edit, S::Corruption];
        assert_eq!(first(&display), own);
        assert_eq!(Section::ordered(&display).len(), Section::ALL.len());
    }
}
