//! What the tour can point to, and where it is on the screen.

use egui::{Context, Id, Rect};

/// Where a step of the tour points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TourTarget {
    /// The panel at the bottom.
    Timeline,
    /// The pictures of all models.
    Rows,
    /// A section of the panel on the right.
    Attribution,
    /// A section of the panel on the right.
    Synthesis,
    /// The choice of columns in the menu bar.
    Counterfactuals,
    /// The menu that opens files.
    Files,
}

/// Remembers where something is that the tour can point to.
pub fn mark(context: &Context, target: TourTarget, area: Rect) {
    context.data_mut(|data| data.insert_temp(id(target), area));
}

/// Where it is, once it was drawn.
pub(super) fn area(context: &Context, target: TourTarget) -> Option<Rect> {
    context.data(|data| data.get_temp(id(target)))
}

fn id(target: TourTarget) -> Id {
    Id::unique(("tour", target))
}
