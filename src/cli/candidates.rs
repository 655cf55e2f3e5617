//! `annals candidates` and `annals best`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::context::Context;
use super::lens::Lens;
use super::ui::{Table, Ui};
use crate::app::{App, Result};
use crate::base::RunId;
use crate::domain::RuleResult;

/// Show which runs meet the policy, rule by rule
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this run
    run: Option<String>,
    #[command(flatten)]
    lens: Lens,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.lens.read(context, |app, context| print(app, args.run.as_deref(), context))
}

/// A run as programs read it.
#[derive(Serialize)]
struct Line<'a> {
    run_id: RunId,
    experiment_id: &'a str,
    candidate: bool,
    rules: &'a [RuleResult],
}

/// Also `annals train --check-production-promotion`.
pub(super) fn print(app: &App, only: Option<&str>, context: &mut Context) -> Result<()> {
    let views = app.snapshot()?;
    let candidates = match only {
        Some(text) => views.candidate(app.find_run(&views, text)?)?.into_iter().collect(),
        None => views.candidates()?,
    };
    let value: Vec<_> = candidates
        .iter()
        .map(|c| Line {
            run_id: c.run,
            experiment_id: &c.experiment_id,
            candidate: c.assessment.is_candidate(),
            rules: &c.assessment.rules,
        })
        .collect();
    let terms = app.policy(None)?.policy.production_promotion.approval_terms();
    context.ui.data(&value, |ui| {
        match candidates.as_slice() {
            [] => ui.note("No finished run yet."),
            [one] => rule_by_rule(ui, &one.experiment_id, &one.assessment.rules)?,
            several => {
                let rows = several.iter().map(|c| (&c.experiment_id, &c.assessment.rules));
                run_by_run(ui, &rows.collect::<Vec<_>>())?;
            }
        }
        ui.dim(&format!("A candidate goes into production with: {terms}."));
        Ok(())
    })
}

fn rule_by_rule(ui: &mut Ui, run: &str, rules: &[RuleResult]) -> Result<()> {
    let verdict = if rules.iter().all(|r| r.passed) { "is" } else { "is not" };
    ui.line(&format!("{run} {verdict} a candidate"))?;
    let mut table = Table::new(&["", "rule", "asks", "found"]);
    for rule in rules {
        let verdict = if rule.passed { "ok" } else { "NO" };
        table.row([verdict, &rule.rule, &rule.required, &rule.found]);
    }
    ui.table(&table)
}

/// One line a run, one column a rule; rules that every run meets have no column.
fn run_by_run(ui: &mut Ui, runs: &[(&String, &Vec<RuleResult>)]) -> Result<()> {
    let mut columns: Vec<(&str, &str)> = Vec::new();
    let mut missed = BTreeSet::new();
    for rule in runs.iter().flat_map(|(_, rules)| *rules) {
        if !columns.iter().any(|(name, _)| *name == rule.rule) {
            columns.push((&rule.rule, &rule.required));
        }
        if !rule.passed {
            missed.insert(&*rule.rule);
        }
    }
    let (shown, met): (Vec<_>, Vec<_>) =
        columns.into_iter().partition(|(name, _)| missed.contains(name));
    let mut head = vec!["", "experiment"];
    head.extend(shown.iter().map(|(name, _)| short(name)));
    let mut table = Table::new(&head);
    for (run, rules) in runs {
        let ok = if rules.iter().all(|r| r.passed) { "ok" } else { "NO" };
        let mut row = vec![ok.to_owned(), (*run).clone()];
        row.extend(shown.iter().map(|(name, _)| {
            let rule = rules.iter().find(|rule| rule.rule == *name);
            rule.map_or_else(String::new, |rule| match rule.passed {
                true => rule.found.to_string(),
                false => format!("NO: {}", rule.found),
            })
        }));
        table.row(row);
    }
    ui.table(&table)?;
    for (name, required) in &shown {
        ui.dim(&format!("{}: {required}", short(name)));
    }
    let met: Vec<&str> = met.iter().map(|(name, _)| short(name)).collect();
    if !met.is_empty() {
        ui.dim(&format!("Every run meets: {}.", met.join(", ")));
    }
    Ok(())
}

fn short(rule: &str) -> &str {
    rule.trim_start_matches("min_").trim_end_matches("_threshold")
}

/// Show the best runs and where they were measured
#[derive(Debug, clap::Args)]
pub(super) struct BestArgs {
    /// Show who came after the best, and which runs do not count and why
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    lens: Lens,
}

pub(super) fn run_best(args: &BestArgs, context: &mut Context) -> Result<()> {
    args.lens.read(context, if args.explain { explain_best } else { print_best })
}

/// Runs of a ranking that are shown.
const RANKED_SHOWN_MAX: usize = 5;

fn explain_best(app: &App, context: &mut Context) -> Result<()> {
    let found = app.snapshot()?.best_explained()?;
    context.ui.data(&found, |ui| {
        for ranking in &found.rankings {
            ui.line(&format!("{}: {} on the test split", ranking.role, ranking.metric))?;
            let mut table = Table::new(&["", "experiment", "value", "event"]);
            let shown = ranking.runs.iter().take(RANKED_SHOWN_MAX).enumerate();
            for (place, (run, value, position)) in shown {
                let place = (place + 1).to_string();
                table.row([place, run.clone(), format!("{value:.4}"), position.to_string()]);
            }
            ui.table(&table)?;
            let more = ranking.runs.len().saturating_sub(RANKED_SHOWN_MAX);
            if more > 0 {
                ui.dim(&format!("and {more} more"));
            }
            ui.line("")?;
        }
        let shown = found.left_out.iter().take(RANKED_SHOWN_MAX);
        for left in shown {
            ui.line(&format!("does not count: {}: {}", left.experiment_id, left.why.join(", ")))?;
        }
        let more = found.left_out.len().saturating_sub(RANKED_SHOWN_MAX);
        if more > 0 {
            ui.dim(&format!("and {more} more that do not count"));
        }
        if found.rankings.is_empty() && found.left_out.is_empty() {
            ui.note("No run has finished yet.");
        }
        Ok(())
    })
}

fn print_best(app: &App, context: &mut Context) -> Result<()> {
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
