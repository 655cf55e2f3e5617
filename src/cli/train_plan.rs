//! What `--dry-run` prints of a run that would begin.

use super::context::Context;
use crate::app::{PlannedRun, Result};

/// Prints the run that would begin.
pub(super) fn print_plan(plan: &PlannedRun, context: &mut Context) -> Result<()> {
    context.ui.data(plan, |ui| facts(plan).iter().try_for_each(|line| ui.line(line)))
}

fn facts(plan: &PlannedRun) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{name:<13} {value}")));
    };
    fact("name", Some(plan.name.clone()));
    fact("configuration", Some(plan.config.clone()));
    fact("architecture", plan.architecture.clone());
    fact("members", (!plan.members.is_empty()).then(|| plan.members.join(", ")));
    fact("continues", plan.after_step.map(|step| format!("after update {step}")));
    fact("epochs", plan.epochs.map(|epochs| epochs.to_string()));
    fact("seed", plan.seed.map(|seed| seed.to_string()));
    fact("device", plan.device.clone());
    fact("threads", plan.threads.map(|threads| threads.to_string()));
    fact("labels", (!plan.labels.is_empty()).then(|| plan.labels.join(", ")));
    let rows = plan.rows.iter().map(|(split, rows)| format!("{} {rows}", split.word()));
    let rows: Vec<String> = rows.collect();
    fact("rows", (!rows.is_empty()).then(|| rows.join(", ")));
    fact("rows", plan.generated_rows.map(|rows| format!("{rows}, generated (synthetic)")));
    lines
}
