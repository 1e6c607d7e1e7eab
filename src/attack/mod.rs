//! Adversarial attacks, and what all work on pictures shares: norms, balls and the one loop of projected
//! descent.

mod descent;
mod epsilon;
mod pgd;

pub use descent::{Ball, Descent, Norm, Objective, better, per_picture};
pub use epsilon::{parse_epsilon, parse_number, short_number};
pub use pgd::{Attack, AttackRun, Goal};
