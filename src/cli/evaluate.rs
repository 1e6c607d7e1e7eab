//! `epsiloscope evaluate`: clean and robust accuracy on a data set.

use std::path::PathBuf;

use clap::Args;

use super::console::{answer, picture_bar, require_new, say, stop_on_signals, stopped};
use super::corruption::{CorruptionOptions, table};
use super::model_list::ModelList;
use super::{AttackOptions, default_models, require_classes};
use crate::attack::{Attack, AttackMethod, Goal, Norm, parse_epsilon};
use crate::compute::{Backend, Compute};
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::evaluate::{AccuracyReport, evaluate, evaluate_auto, warning_of_strength};
use crate::files::write_atomically;
use crate::model::Classifier;
use crate::tasks::CancelToken;

/// The files of the results.
const FILES: [&str; 2] = ["evaluate.json", "evaluate.csv"];

/// Prints a table and, with --out, writes evaluate.json and evaluate.csv.
#[derive(Debug, Args)]
pub struct EvaluateArguments {
    /// Models to evaluate: ids of bundled ones or paths of files, with commas between.
    #[arg(long, default_value_t = default_models())]
    models: ModelList,
    /// Folder of the data set; its test (or val) split is used.
    #[arg(long)]
    data: PathBuf,
    /// Evaluate only this many pictures, evenly spaced over the set.
    #[arg(long)]
    limit: Option<usize>,
    /// Compute only the clean accuracy.
    #[arg(long)]
    clean: bool,
    /// More attacks, each PGD as NORM:EPS:STEPS, for instance linf:8/255:20, or as NORM:EPS:NAME, or NAME alone for
    /// --norm and --eps. Names are auto, the standard AutoAttack (Croce and Hein 2020), and apgd-ce, apgd-dlr, apgd-t,
    /// fab-t, square and deepfool.
    #[arg(long = "attack", value_parser = parse_attack)]
    attacks: Vec<AttackArgument>,
    #[command(flatten)]
    options: AttackOptions,
    #[command(flatten)]
    corruption: CorruptionOptions,
    /// Folder for the results.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

/// An attack of --attack.
#[derive(Clone, Debug)]
struct AttackArgument {
    /// Norm and ε, where they are not those of the options.
    within: Option<(Norm, f32)>,
    method: AttackMethod,
    /// Steps of PGD.
    steps: Option<usize>,
}

fn parse_attack(text: &str) -> Result<AttackArgument, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (within, name) = match parts[..] {
        [name] => (None, name),
        [norm, epsilon, name] => {
            let norm = <Norm as clap::ValueEnum>::from_str(norm, true)?;
            (Some((norm, parse_epsilon(epsilon)?)), name)
        }
        _ => return Err("an attack is written NORM:EPS:STEPS, NORM:EPS:NAME or NAME".into()),
    };
    let steps = name.parse().ok();
    let method = match steps {
        Some(_) => AttackMethod::Pgd,
        None => <AttackMethod as clap::ValueEnum>::from_str(name, true)
            .map_err(|_| format!("`{name}` is neither a number of steps nor an attack"))?,
    };
    Ok(AttackArgument {
        within,
        method,
        steps,
    })
}

impl EvaluateArguments {
    /// Evaluates every model under every attack.
    pub fn run(&self) -> Result<()> {
        self.corruption.validate()?;
        let device = Compute::open(&self.backend)?.device;
        // Whatever cannot work is found before the first hour of work.
        let models = self.models.classifiers(&device)?;
        for model in &models {
            for attack in self.attacks().iter().flatten() {
                attack.validate(model.classes())?;
            }
        }
        require_classes(&self.data, &models)?;
        let out = self.out.as_deref();
        require_new(
            out.into_iter()
                .flat_map(|out| FILES.map(|name| out.join(name))),
        )?;
        let stop = stop_on_signals();
        let mut reports = Vec::new();
        for model in &models {
            let data = self.data_set(model)?;
            data.log_skipped();
            let seed = self.options.attack(Goal::Untargeted).seed;
            for corruption in self.corruption.each(seed) {
                let corrupted = corruption.map(|corruption| data.corrupted(corruption));
                let data = corrupted.as_ref().unwrap_or(&data);
                for attack in self.attacks() {
                    let report = measured(model, data, attack.as_ref(), &stop);
                    if report.pictures == 0 {
                        return Err(self.stopped());
                    }
                    let report = AccuracyReport {
                        corruption,
                        ..report
                    };
                    say!("{}", describe(&report));
                    for warning in &report.warnings {
                        say!("  not to be trusted: {warning}");
                    }
                    reports.push(report);
                    self.write(&reports)?;
                    if stop.is_cancelled() {
                        answer(&reports)?;
                        return Err(self.stopped());
                    }
                }
            }
        }
        for line in table(&reports) {
            say!("{line}");
        }
        answer(&reports)
    }

    /// What is kept of an evaluation that was stopped.
    fn stopped(&self) -> Error {
        let kept = self.out.as_ref().map_or_else(
            || "the rows above are of the pictures until then".to_owned(),
            |out| format!("{} has the rows of the pictures until then", out.display()),
        );
        stopped(format!(
            "{kept}; the same command begins anew, `epsiloscope scan` resumes where it was stopped"
        ))
    }

    /// The pictures for a model.
    fn data_set(&self, model: &Classifier) -> Result<Dataset> {
        let mut data = Dataset::open(&self.data, Split::Test, model.manifest().input)?;
        data.subsample(self.limit.unwrap_or(usize::MAX));
        data.relabel(&model.manifest().labels)
            .map_err(|reason| Error::data(&self.data, reason))?;
        Ok(data)
    }

    /// Writes the results so far.
    fn write(&self, reports: &[AccuracyReport]) -> Result<()> {
        self.out
            .as_deref()
            .map_or(Ok(()), |out| write(out, reports))
    }

    /// Clean first, then the attack of the options, then those given by --attack.
    fn attacks(&self) -> Vec<Option<Attack>> {
        let mut attacks = vec![None];
        if !self.clean {
            let base = self.options.attack(Goal::Untargeted);
            if self.corruption.is_none() {
                attacks.push(Some(base.clone()));
            }
            attacks.extend(self.attacks.iter().map(|argument| {
                let (norm, epsilon) = argument.within.unwrap_or((base.norm, base.epsilon));
                let attack = Attack {
                    norm,
                    epsilon,
                    steps: argument.steps.unwrap_or(base.steps),
                    step_size: None,
                    ..base.clone()
                };
                Some(attack.by(argument.method))
            }));
        }
        attacks
    }
}

/// Evaluates one model under one attack, behind a progress bar.
fn measured(
    model: &Classifier,
    data: &Dataset,
    attack: Option<&Attack>,
    stop: &CancelToken,
) -> AccuracyReport {
    let bar = picture_bar(&model.manifest().name, data.len());
    let progress = |done: usize| {
        bar.set_position(done as u64);
        !stop.is_cancelled()
    };
    let mut report = match attack.and_then(Attack::auto) {
        None => evaluate(model, data, attack, progress),
        Some(auto) => evaluate_auto(model, data, &auto, progress),
    };
    if let Some(attack) = attack.filter(|_| !stop.is_cancelled()) {
        bar.set_message("compared with a stronger attack");
        let goes_on = || !stop.is_cancelled();
        let warning = warning_of_strength(model, data, (attack, &report.held), goes_on);
        report.warnings.extend(warning);
    }
    bar.finish_and_clear();
    report
}

fn describe(report: &AccuracyReport) -> String {
    let what = match (&report.corruption, &*report.attack) {
        (Some(corruption), "clean") => corruption.to_string(),
        (Some(corruption), attack) => format!("{corruption}, then {attack}"),
        (None, attack) => attack.to_owned(),
    };
    let accuracy = format!(
        "{:<20} {what:<34} accuracy {:6.2} %",
        report.model,
        report.accuracy * 100.0
    );
    if report.attack == "clean" {
        return format!(
            "{accuracy}, {} pictures, {:.0} a second",
            report.pictures, report.throughput
        );
    }
    let parts = report.parts.iter().filter(|_| report.parts.len() > 1);
    let parts = parts.map(|(part, accuracy)| format!(", after {part} {:.2} %", accuracy * 100.0));
    format!(
        "{accuracy}{}, success {:.2} %, largest L∞ {}, largest L2 {}, {}, {} pictures, {:.1} a second",
        parts.collect::<String>(),
        report.success * 100.0,
        Norm::Linf.format(report.linf[1]),
        Norm::L2.format(report.l2[1]),
        if report.inside_box {
            "inside [0, 1]"
        } else {
            "OUTSIDE [0, 1]"
        },
        report.pictures,
        report.throughput
    )
}

fn write(out: &std::path::Path, reports: &[AccuracyReport]) -> Result<()> {
    let json = serde_json::to_string_pretty(reports).expect("plain data");
    write_atomically(&out.join(FILES[0]), json.as_bytes())?;
    let path = out.join(FILES[1]);
    let writing = |error: &dyn std::fmt::Display| Error::io(&path, "write", error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for report in reports {
        let row = (
            &report.model,
            &report.attack,
            report.pictures,
            report.accuracy,
            report.success,
            report.linf[0],
            report.linf[1],
            report.l2[0],
            report.l2[1],
            report.inside_box,
            report.throughput,
            report
                .corruption
                .map_or("", |corruption| corruption.kind.name()),
            report.corruption.map(|corruption| corruption.severity),
        );
        writer.serialize(row).map_err(|error| writing(&error))?;
    }
    let mut bytes = b"model,attack,pictures,accuracy,success,mean_linf,max_linf,mean_l2,max_l2,inside_box,pictures_per_second,corruption,severity\n".to_vec();
    bytes.extend(writer.into_inner().map_err(|error| writing(&error))?);
    write_atomically(&path, &bytes)
}
