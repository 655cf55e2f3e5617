//! `annals candidates` and `annals best`.

use serde_json::json;

use super::context::Context;
use super::ui::Table;
use crate::app::{App, Result};

/// Show which runs meet the policy, rule by rule
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this run
    run: Option<String>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    print(&app, args.run.as_deref(), context)
}

/// Also `annals train --check-production-promotion`.
pub(super) fn print(app: &App, only: Option<&str>, context: &mut Context) -> Result<()> {
    let views = app.snapshot()?;
    let only = only.map(|text| app.find_run(&views, text)).transpose()?;
    let mut candidates = views.candidates()?;
    candidates.retain(|candidate| only.is_none_or(|id| candidate.run.run() == id));
    let value: Vec<_> = candidates
        .iter()
        .map(|c| {
            json!({
                "run_id": c.run.run(),
                "experiment_id": c.run.experiment_id,
                "candidate": c.assessment.is_candidate(),
                "rules": c.assessment.rules,
            })
        })
        .collect();
    context.ui.data(&value, |ui| {
        if candidates.is_empty() {
            ui.note("No finished run yet.");
        }
        for candidate in &candidates {
            let verdict = if candidate.assessment.is_candidate() {
                "is a candidate"
            } else {
                "is not a candidate"
            };
            ui.line(&format!("{} {verdict}", candidate.run.experiment_id))?;
            let mut table = Table::new(&["", "rule", "asks", "found"]);
            for rule in &candidate.assessment.rules {
                table.row(vec![
                    if rule.passed { "ok" } else { "NO" }.into(),
                    rule.rule.clone(),
                    rule.required.clone(),
                    rule.found.clone(),
                ]);
            }
            ui.table(&table)?;
            ui.line("")?;
        }
        Ok(())
    })
}

/// Show the best runs and where they were measured
#[derive(Debug, clap::Args)]
pub(super) struct BestArgs {}

pub(super) fn run_best(_: &BestArgs, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let best = app.snapshot()?.best()?;
    context.ui.data(&best, |ui| {
        if best.is_empty() {
            ui.note(
                "No run qualifies: debug runs, generated data and metrics without evidence do not \
                 count (see `annals policy show`).",
            );
            return Ok(());
        }
        let mut table =
            Table::new(&["role", "experiment", "metric", "split", "value", "of runs", "event"]);
        for entry in &best {
            table.row(vec![
                entry.role.into(),
                entry.experiment_id.clone(),
                entry.metric.clone(),
                entry.split.word().into(),
                format!("{:.4}", entry.value),
                entry.runs.to_string(),
                entry.position.to_string(),
            ]);
        }
        ui.table(&table)
    })
}
