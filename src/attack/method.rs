//! The attacks that can be chosen: one list for window, commands, sessions, captions and databases.

use serde::{Deserialize, Serialize};

use super::auto::AutoPart;

/// How an attack searches for an adversarial example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum AttackMethod {
    /// Projected gradient descent (Madry et al. 2018); with one step FGSM (Goodfellow et al. 2015).
    #[default]
    Pgd,
    /// AutoAttack standard (Croce and Hein 2020): APGD-CE, APGD-T, FAB-T and Square, each on what withstood those
    /// before.
    #[value(name = "auto")]
    #[serde(rename = "auto")]
    AutoAttack,
    /// Auto-PGD on the cross-entropy, 100 steps.
    ApgdCe,
    /// Auto-PGD on the difference of logits ratio, 100 steps.
    ApgdDlr,
    /// Auto-PGD on the targeted ratio, 100 steps toward each of nine classes.
    ApgdT,
    /// Targeted FAB: the smallest perturbation, 100 steps toward each of nine classes.
    FabT,
    /// Square (Andriushchenko et al. 2020): 5000 queries without gradients.
    Square,
    /// DeepFool (Moosavi-Dezfooli et al. 2016): the smallest perturbation, 50 steps.
    #[value(name = "deepfool")]
    #[serde(rename = "deepfool")]
    DeepFool,
}

impl AttackMethod {
    /// All of them, PGD first.
    pub const ALL: [Self; 8] = [
        Self::Pgd,
        Self::AutoAttack,
        Self::ApgdCe,
        Self::ApgdDlr,
        Self::ApgdT,
        Self::FabT,
        Self::Square,
        Self::DeepFool,
    ];

    /// Whether it is PGD, whose steps, restarts and goal can be chosen.
    pub fn is_pgd(&self) -> bool {
        *self == Self::Pgd
    }

    /// The attacks without settings of which it is made; none of PGD.
    pub fn parts(self) -> Vec<AutoPart> {
        match self {
            Self::Pgd => Vec::new(),
            Self::AutoAttack => AutoPart::STANDARD.to_vec(),
            Self::ApgdCe => vec![AutoPart::ApgdCe],
            Self::ApgdDlr => vec![AutoPart::ApgdDlr],
            Self::ApgdT => vec![AutoPart::ApgdT],
            Self::FabT => vec![AutoPart::FabT],
            Self::Square => vec![AutoPart::Square],
            Self::DeepFool => vec![AutoPart::DeepFool],
        }
    }

    /// What it does, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Pgd => {
                "Projected gradient descent (Madry et al. 2018); with one step FGSM (Goodfellow et al. 2015)"
            }
            Self::AutoAttack => {
                "APGD-CE, APGD-T, FAB-T and Square, one after the other (Croce and Hein 2020): up to 1,900 gradients and 5,000 predictions for each ε"
            }
            Self::ApgdCe => AutoPart::ApgdCe.about(),
            Self::ApgdDlr => AutoPart::ApgdDlr.about(),
            Self::ApgdT => AutoPart::ApgdT.about(),
            Self::FabT => AutoPart::FabT.about(),
            Self::Square => AutoPart::Square.about(),
            Self::DeepFool => AutoPart::DeepFool.about(),
        }
    }
}

impl std::fmt::Display for AttackMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pgd => f.write_str("PGD"),
            Self::AutoAttack => f.write_str("AutoAttack"),
            method => write!(f, "{}", method.parts()[0]),
        }
    }
}
