//! The table of a self-test, as text.

use std::fmt::Write;

use super::{Outcome, Verdict};

/// What was measured and chosen, as lines of text: for a terminal, and to be copied into a report of a fault.
pub fn table(verdict: &Verdict) -> String {
    let Verdict {
        adapter, program, ..
    } = verdict;
    let mut text = format!(
        "{adapter}\ndriver {}\nepsiloscope {program}\n",
        adapter.driver
    );
    for row in &verdict.measured {
        let mark = if row.execution == verdict.choice {
            '*'
        } else {
            ' '
        };
        let name = row.execution.name();
        let _ = writeln!(text, "{mark} {name:<15} {}", outcome(&row.outcome));
    }
    let (choice, reason) = (verdict.choice.name(), verdict.reason());
    let _ = writeln!(text, "models run by: {choice} ({reason})");
    text
}

/// What came of one way to run models, in words.
pub fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Right { seconds, error } => {
            format!("{:>9.1} ms   error {error:.0e}", 1e3 * seconds)
        }
        Outcome::Wrong { error: Some(error) } => format!("wrong: error {error:.0e}"),
        Outcome::Wrong { error: None } => "wrong: not a number".into(),
        Outcome::Failed { reason } => reason.clone(),
    }
}
