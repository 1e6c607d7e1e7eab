//! Adversarial attacks (FGSM, PGD, AutoAttack, DeepFool), and what all optimisation over pixels shares: norms, ε-balls and the
//! loop of projected gradient descent.

pub mod auto;
mod descent;
mod epsilon;
mod mask;
mod method;
pub mod patch;
mod pgd;
mod run;
mod settings;

pub use auto::{AutoAttack, AutoPart};
pub use descent::{Ball, Descent, Norm, Objective, lower_loss, per_picture};
pub use epsilon::{parse_epsilon, parse_number, short_number};
pub use mask::AttackMask;
pub use method::AttackMethod;
pub use pgd::PgdRun;
pub use run::AttackRun;
pub use settings::{Attack, Goal};
