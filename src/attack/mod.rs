//! Adversarial attacks (FGSM, PGD, AutoAttack), and what all optimisation over pixels shares: norms, ε-balls and the
//! loop of projected gradient descent.

pub mod auto;
mod descent;
mod epsilon;
mod pgd;

pub use auto::{AutoAttack, AutoPart};
pub use descent::{Ball, Descent, Norm, Objective, lower_loss, per_picture};
pub use epsilon::{parse_epsilon, parse_number, short_number};
pub use pgd::{Attack, AttackRun, Goal};
