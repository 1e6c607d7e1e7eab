//! The verdict of a self-test, and the file that keeps it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Adapter, Execution};
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::model::ConvolutionAlgorithm;

/// The file, in the program's own folder.
const FILE: &str = "graphics.json";
/// Most bytes that are read of it.
const MOST_BYTES: u64 = 1 << 16;
/// Most adapters that are remembered.
const MOST_ADAPTERS: usize = 8;

/// What came of one way to run models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The way.
    pub execution: Execution,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of running the test's networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// It computes what the CPU does.
    Right {
        /// Seconds for the logits and gradients of all networks.
        seconds: f64,
        /// Largest distance from the CPU's numbers, relative to their length.
        error: f32,
    },
    /// It computes something else.
    Wrong {
        /// The distance, or nothing where there were numbers that are none.
        error: Option<f32>,
    },
    /// It did not run.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What runs models with an adapter, and what was measured before that was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What was tested.
    pub adapter: Adapter,
    /// Version of the program.
    pub program: String,
    /// What came of every way to run models; nothing where the test did not end.
    pub measured: Vec<Measurement>,
    /// What models run on.
    pub choice: Execution,
    /// Whether a person chose it.
    pub by_person: bool,
}

impl Verdict {
    /// The verdict on measurements: the fastest right one, the CPU where that is as fast.
    pub fn of(adapter: Adapter, measured: Vec<Measurement>) -> Self {
        Self {
            choice: fastest(&measured, |_| true).unwrap_or(Execution::Cpu),
            measured,
            ..Self::unfinished(adapter)
        }
    }

    /// How convolutions are computed on the adapter: as chosen, or where models run on the CPU, by the fastest right one.
    pub(in crate::compute) fn algorithm(&self) -> Option<ConvolutionAlgorithm> {
        let on_gpu = match self.choice {
            Execution::Cpu => fastest(&self.measured, |execution| execution != Execution::Cpu)?,
            chosen => chosen,
        };
        match on_gpu {
            Execution::Gpu(algorithm) => Some(algorithm),
            Execution::Cpu => None,
        }
    }

    /// The verdict while a test runs, which remains where it does not end.
    pub(super) fn unfinished(adapter: Adapter) -> Self {
        Self {
            adapter,
            program: env!("CARGO_PKG_VERSION").into(),
            measured: Vec::new(),
            choice: Execution::Cpu,
            by_person: false,
        }
    }

    /// The same verdict with what a person chose.
    #[must_use]
    pub fn chosen(self, choice: Execution) -> Self {
        Self {
            choice,
            by_person: true,
            ..self
        }
    }

    /// A verdict of which nothing is measured, with what a person chose.
    pub fn by_person(adapter: Adapter, choice: Execution) -> Self {
        Self::unfinished(adapter).chosen(choice)
    }

    /// What came of one way to run models, if it was measured.
    pub fn row(&self, execution: Execution) -> Option<&Outcome> {
        let row = self.measured.iter().find(|row| row.execution == execution);
        row.map(|row| &row.outcome)
    }

    /// Why models run on what they do, in words.
    pub fn reason(&self) -> String {
        let adapter = &self.adapter;
        let is_right = |row: &Measurement| {
            row.execution != Execution::Cpu && matches!(row.outcome, Outcome::Right { .. })
        };
        let is_wrong = |row: &Measurement| matches!(row.outcome, Outcome::Wrong { .. });
        if self.by_person {
            "as chosen".into()
        } else if self.measured.is_empty() {
            format!("the self-test of {adapter} did not end")
        } else if self.choice != Execution::Cpu {
            "the fastest that is right".into()
        } else if self.measured.iter().any(is_right) {
            format!("faster than {adapter}")
        } else if self.measured.iter().any(is_wrong) {
            format!("{adapter} computes wrong numbers")
        } else {
            format!("{adapter} fails or is too slow")
        }
    }

    /// The verdict on this adapter, driver and version of the program that `folder` keeps.
    ///
    /// # Errors
    /// [`Error::Data`] for a damaged file, [`Error::Io`] for one that cannot be read.
    pub fn find(folder: &Path, adapter: &Adapter) -> Result<Option<Self>> {
        let known = read(&path(folder))?;
        let mut known = known.into_iter();
        Ok(known.find(|verdict| {
            verdict.adapter == *adapter && verdict.program == env!("CARGO_PKG_VERSION")
        }))
    }

    /// Keeps it in `folder`, in place of any on this adapter with whatever driver.
    ///
    /// # Errors
    /// [`Error::Io`] when nothing can be written there.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        let path = path(folder);
        // A damaged file is replaced.
        let mut verdicts = read(&path).unwrap_or_default();
        verdicts.retain(|other| {
            let (one, two) = (&other.adapter, &self.adapter);
            (&one.name, &one.backend) != (&two.name, &two.backend)
        });
        verdicts.insert(0, self.clone());
        verdicts.truncate(MOST_ADAPTERS);
        let text = serde_json::to_string_pretty(&verdicts);
        let text = text.map_err(|error| Error::data(&path, error.to_string()))?;
        write_atomically(&path, text.as_bytes())
    }
}

/// The fastest right one of those that are `wanted`.
fn fastest(measured: &[Measurement], wanted: impl Fn(Execution) -> bool) -> Option<Execution> {
    let right = measured.iter().filter_map(|row| match row.outcome {
        Outcome::Right { seconds, .. } if wanted(row.execution) => Some((row.execution, seconds)),
        _ => None,
    });
    // Of equals it takes the first, and the CPU comes first.
    let fastest = right.min_by(|(_, one), (_, two)| one.total_cmp(two));
    fastest.map(|(execution, _)| execution)
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// All verdicts of a file; none where there is no file.
fn read(path: &Path) -> Result<Vec<Verdict>> {
    let reading = |error| Error::io(path, "read", error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(reading(error)),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(reading)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::data(path, "too long for what the self-test writes"));
    }
    let damaged = |reason: String| Error::data(path, format!("damaged: {reason}"));
    let verdicts: Vec<Verdict> =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    let is_sound = |row: &Measurement| match row.outcome {
        Outcome::Right { seconds, error } => seconds >= 0.0 && error >= 0.0,
        _ => true,
    };
    let rows = verdicts.iter().flat_map(|verdict| &verdict.measured);
    if !rows.into_iter().all(is_sound) {
        return Err(damaged("a time or an error is negative".into()));
    }
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter() -> Adapter {
        Adapter {
            name: "A card".into(),
            backend: "Vulkan".into(),
            driver: "driver 1.0".into(),
            is_software: false,
        }
    }

    fn row(execution: Execution, seconds: Option<f64>) -> Measurement {
        let outcome = match seconds {
            Some(seconds) => Outcome::Right {
                seconds,
                error: 1e-6,
            },
            None => Outcome::Wrong { error: None },
        };
        Measurement { execution, outcome }
    }

    fn gpu(algorithm: ConvolutionAlgorithm) -> Execution {
        Execution::Gpu(algorithm)
    }

    #[test]
    fn the_fastest_right_one_is_chosen_and_the_cpu_of_equals() {
        use ConvolutionAlgorithm::{Burn, MatrixProduct, Shaders};
        let verdict = |rows| Verdict::of(adapter(), rows);
        let chosen = verdict(vec![
            row(Execution::Cpu, Some(1.0)),
            row(gpu(Burn), Some(0.5)),
            row(gpu(MatrixProduct), Some(0.2)),
            row(gpu(Shaders), None),
        ]);
        assert_eq!(chosen.choice, gpu(MatrixProduct));
        assert_eq!(chosen.reason(), "the fastest that is right");
        let slow = verdict(vec![
            row(Execution::Cpu, Some(1.0)),
            row(gpu(Burn), Some(1.0)),
        ]);
        assert_eq!(slow.choice, Execution::Cpu);
        assert_eq!(slow.algorithm(), Some(Burn));
        assert_eq!(slow.reason(), "faster than A card (Vulkan)");
        let wrong = verdict(vec![row(Execution::Cpu, Some(1.0)), row(gpu(Burn), None)]);
        assert_eq!(wrong.reason(), "A card (Vulkan) computes wrong numbers");
        let failed = Measurement {
            execution: gpu(Burn),
            outcome: Outcome::Failed {
                reason: "it does not run".into(),
            },
        };
        let slow = verdict(vec![row(Execution::Cpu, Some(1.0)), failed]);
        assert_eq!(slow.reason(), "A card (Vulkan) fails or is too slow");
    }

    #[test]
    fn verdicts_are_kept_renewed_with_the_driver_and_refused_when_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        assert_eq!(Verdict::find(folder, &adapter()).expect("no file"), None);
        let verdict = Verdict::of(adapter(), vec![row(Execution::Cpu, Some(1.0))]);
        verdict.keep(folder).expect("it is written");
        let found = Verdict::find(folder, &adapter()).expect("it is read");
        assert_eq!(found, Some(verdict.clone()));

        let newer = Adapter {
            driver: "driver 2.0".into(),
            ..adapter()
        };
        assert_eq!(Verdict::find(folder, &newer).expect("it is read"), None);
        let renewed = Verdict::by_person(newer.clone(), gpu(ConvolutionAlgorithm::Burn));
        renewed.keep(folder).expect("it is written");
        let found = Verdict::find(folder, &newer).expect("it is read");
        assert_eq!(found, Some(renewed));
        assert_eq!(Verdict::find(folder, &adapter()).expect("it is read"), None);

        for damaged in [
            "{}".to_owned(),
            "[".to_owned(),
            " ".repeat(MOST_BYTES as usize + 1),
        ] {
            std::fs::write(path(folder), damaged).expect("it is written");
            let refused = Verdict::find(folder, &adapter()).expect_err("it is damaged");
            assert!(refused.to_string().contains(FILE), "{refused}");
        }
        verdict.keep(folder).expect("a damaged file is replaced");
        let found = Verdict::find(folder, &adapter()).expect("it is read");
        assert_eq!(found, Some(verdict));
    }
}
