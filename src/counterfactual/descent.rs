//! Counterfactuals of any classifier, by descent on pixels.

use serde::{Deserialize, Serialize};

use crate::attack::{Attack, AttackMethod, Goal, Norm};
use crate::error::{Error, Result};

/// A counterfactual by descent (Boreiko et al. 2022, “Sparse Visual Counterfactual Explanations in Image
/// Space”, section 3): of all pictures within a ball around the original, the one to which the classifier
/// gives the target class with the largest log-probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DescentSettings {
    /// How the size of the change is measured.
    pub norm: Norm,
    /// Radius of the ball, in units of pixels in [0, 1]; without one, [`DescentSettings::usual_radius`].
    pub radius: Option<f32>,
    /// Gradient steps, of 2.5 · radius / steps.
    pub steps: usize,
}

impl Default for DescentSettings {
    fn default() -> Self {
        Self {
            norm: Norm::L2,
            radius: None,
            steps: 40,
        }
    }
}

/// Values of the 64×64 picture for which radii are stated.
const VALUES: f32 = 3.0 * 64.0 * 64.0;

impl DescentSettings {
    /// The most steps that settings may ask for.
    pub const MOST_STEPS: usize = 1000;

    /// A radius for pictures of `size` (height and width) within which a robust classifier changes shapes:
    /// L2 6, L1.5 16 or L∞ 24/255 at 64×64 pixels, scaled so that each value may change as much at any size.
    pub fn usual_radius(norm: Norm, size: [usize; 2]) -> f32 {
        let share = (3 * size[0] * size[1]) as f32 / VALUES;
        match norm {
            Norm::Linf => 24.0 / 255.0,
            Norm::L2 => 6.0 * share.sqrt(),
            Norm::L1p5 => 16.0 * share.powf(2.0 / 3.0),
        }
    }

    /// The radius in force for pictures of `size`.
    pub fn radius_for(&self, size: [usize; 2]) -> f32 {
        let usual = || Self::usual_radius(self.norm, size);
        self.radius.unwrap_or_else(usual)
    }

    /// The same as a targeted attack from the picture itself; nothing else tells the two apart than the
    /// radius.
    ///
    /// # Errors
    /// [`Error::Config`] for a radius or a number of steps that allows no change.
    pub fn toward(&self, target: usize, size: [usize; 2]) -> Result<Attack> {
        let radius = self.radius_for(size);
        if !(radius.is_finite() && radius > 0.0) {
            let reason = "the radius of a counterfactual must be a number above 0";
            return Err(Error::Config(reason.into()));
        }
        if !(1..=Self::MOST_STEPS).contains(&self.steps) {
            let most = Self::MOST_STEPS;
            let reason = format!("a counterfactual takes between 1 and {most} steps");
            return Err(Error::Config(reason));
        }
        Ok(Attack {
            method: AttackMethod::Pgd,
            norm: self.norm,
            epsilon: radius,
            steps: self.steps,
            step_size: None,
            goal: Goal::Targeted(target),
            random_start: false,
            restarts: 1,
            seed: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radii_allow_each_value_the_same_change_at_any_size() {
        for norm in [Norm::L2, Norm::L1p5, Norm::Linf] {
            let at = |side: usize| DescentSettings::usual_radius(norm, [side, side]);
            let power = match norm {
                Norm::Linf => 0.0,
                Norm::L2 => 1.0,
                Norm::L1p5 => 4.0 / 3.0,
            };
            let ratio = 2.0_f32.powf(power);
            assert!((at(128) / at(64) - ratio).abs() < 1e-3, "{norm}");
        }
    }

    #[test]
    fn what_allows_no_change_is_refused() {
        for (radius, steps) in [(0.0, 10), (-1.0, 10), (f32::NAN, 10), (1.0, 0)] {
            let settings = DescentSettings {
                radius: Some(radius),
                steps,
                ..DescentSettings::default()
            };
            assert!(settings.toward(0, [8, 8]).is_err(), "{radius}, {steps}");
        }
    }
}
