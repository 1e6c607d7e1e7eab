//! Settings that come from a file may be anything; those that the window shows must be in range.

use super::{Display, Navigation, Playhead, Session, Settings};
use crate::attack::Attack;
use crate::compute::MOST_ROWS;
use crate::counterfactual::DescentSettings;
use crate::data::MAX_SEVERITY;

/// Ends of the ε timelines, in units of pixels in [0, 1].
const RANGE: [f32; 2] = [1e-4, 1e3];
/// Steps that a synthesis is taken to again, at the most.
const MOST_STEPS: usize = 100_000;

/// `value` between `low` and `high`; `usual` if it is no number.
fn within(value: &mut f32, low: f32, high: f32, usual: f32) {
    *value = if value.is_nan() {
        usual
    } else {
        value.clamp(low, high)
    };
}

impl Session {
    /// Puts every setting that the window itself uses into its range. What computations use they check
    /// themselves.
    pub(super) fn sanitize(&mut self) {
        self.settings.sanitize();
        self.navigation.sanitize();
        for record in &mut self.bookmarks {
            record.bookmark.settings.sanitize();
            record.bookmark.playhead.sanitize();
        }
        self.exports.sanitize();
    }
}

impl Settings {
    fn sanitize(&mut self) {
        if self.attack.validate(usize::MAX).is_err() {
            self.attack = Attack::default();
        }
        let usual = Self::default();
        within(&mut self.corruption.severity, 0.0, MAX_SEVERITY, 0.0);
        for (end, usual) in self.range.iter_mut().zip(usual.range) {
            within(end, RANGE[0], RANGE[1], usual);
        }
        within(&mut self.counterfactual.along, 0.0, 1.0, 1.0);
        let descent = &mut self.counterfactual.descent;
        if descent.toward(0, [1, 1]).is_err() {
            *descent = DescentSettings::default();
        }
        if let Some(threshold) = &mut self.counterfactual.threshold {
            within(threshold, 0.0, 1.0, 0.5);
        }
        self.synthesis.units.truncate(MOST_ROWS);
        self.display.sanitize();
    }
}

impl Navigation {
    fn sanitize(&mut self) {
        within(
            &mut self.triage.side,
            32.0,
            256.0,
            Self::default().triage.side,
        );
        self.playhead.sanitize();
    }
}

impl Playhead {
    fn sanitize(&mut self) {
        self.until = self.until.min(MOST_STEPS);
    }
}

impl Display {
    fn sanitize(&mut self) {
        let usual = Self::default();
        for (at, usual) in self.centre.iter_mut().zip(usual.centre) {
            within(at, 0.0, 1.0, usual);
        }
        within(&mut self.zoom, 1.0, Self::MOST_ZOOM, usual.zoom);
        within(&mut self.gain, 1.0, 100.0, usual.gain);
        if let Some(divider) = &mut self.divider {
            within(divider, 0.0, 1.0, 0.5);
        }
        self.hidden.truncate(MOST_ROWS);
        let heat = &mut self.heat;
        within(&mut heat.percentile, 1.0, 100.0, usual.heat.percentile);
        within(&mut heat.threshold, 0.0, 1.0, usual.heat.threshold);
        within(&mut heat.opacity, 0.0, 1.0, usual.heat.opacity);
        within(&mut heat.contour, 0.0, 100.0, usual.heat.contour);
    }
}
