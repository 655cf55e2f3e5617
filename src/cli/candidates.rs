//! `annals candidates` and `annals best`.

use std::collections::BTreeSet;

use super::context::Context;
use super::read_args::ReadScope;
use super::ui::{Table, Ui};
use crate::app::{Admission, Best, BestRuns, Ranking, Result, Workspace, models, workspace};
use crate::base::counted;
use crate::domain::RuleResult;
use crate::domain::run::NOT_STATED;

/// Show which runs meet the policy, rule by rule
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals candidates
  annals candidates hate")]
pub(super) struct Args {
    /// Only this run
    run: Option<String>,
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| print(workspace, args.run.as_deref(), context))
}

/// Also `annals train --check-production-promotion`.
pub(super) fn print(
    workspace: &Workspace,
    only: Option<&str>,
    context: &mut Context,
) -> Result<()> {
    let candidates = models::candidate_lines(workspace, only)?;
    let terms = workspace::policy(workspace, None)?.policy.production_promotion.approval_terms();
    context.ui.data(&candidates, |ui| {
        match candidates.as_slice() {
            [] => ui.note("No finished run yet."),
            [one] => rule_by_rule(ui, &one.experiment_id, &one.rules)?,
            several => {
                let rows = several.iter().map(|c| (&c.experiment_id, &c.rules));
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
    let mut table = Table::new(&["", "rule", "required", "actual"]);
    for rule in rules {
        let verdict = match rule.passed {
            // Nobody stated it, and the policy does not require it.
            true if rule.found == NOT_STATED => "??",
            true => "ok",
            false => "FAIL",
        };
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
        let ok = if rules.iter().all(|r| r.passed) { "ok" } else { "FAIL" };
        let mut row = vec![ok.to_owned(), (*run).clone()];
        row.extend(shown.iter().map(|(name, _)| {
            let rule = rules.iter().find(|rule| rule.rule == *name);
            rule.map_or_else(String::new, |rule| match rule.passed {
                true => rule.found.to_string(),
                false => format!("FAIL: {}", rule.found),
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
///
/// Scores that were typed in, reported by a script or imported, and scores on test rows that are
/// also training rows, do not count unless --all is given; they are marked then. Runs that were
/// measured on different test rows are ranked separately by --explain.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals best
  annals best --explain
  annals best --all --format csv")]
pub(super) struct BestArgs {
    /// Show the order of the runs, and which runs do not count and why
    #[arg(long)]
    explain: bool,
    /// Count typed, reported, imported and leaked results too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run_best(args: &BestArgs, context: &mut Context) -> Result<()> {
    let admission = if args.all { Admission::Unproven } else { Admission::Measured };
    args.scope.read(context, |workspace, context| match args.explain {
        true => explain_best(workspace, admission, context),
        false => print_best(workspace, admission, context),
    })
}

/// Runs of a ranking that are shown.
const RANKED_SHOWN_MAX: usize = 5;

fn explain_best(workspace: &Workspace, admission: Admission, context: &mut Context) -> Result<()> {
    let found = workspace.snapshot()?.best_explained(admission)?;
    context.ui.data(&found, |ui| {
        for ranking in &found.rankings {
            let Ranking { role, metric, .. } = ranking;
            let rows = match &ranking.test_rows {
                Some(rows) => format!("test rows {rows}"),
                None => "unrecorded test rows, so the order may be meaningless".to_owned(),
            };
            ui.line(&format!("{}: {metric} on {rows}", role.word()))?;
            let mut table = Table::new(&["", "experiment", "value", "event", "marks"]);
            let shown = ranking.runs.iter().take(RANKED_SHOWN_MAX).enumerate();
            for (rank, (run, value, position)) in shown {
                let marks = found.marks.get(run).map_or(String::new(), |marks| marks.join(", "));
                let rank = (rank + 1).to_string();
                let (value, position) = (format!("{value:.4}"), position.to_string());
                table.row([rank, run.clone(), value, position, marks]);
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

fn print_best(workspace: &Workspace, admission: Admission, context: &mut Context) -> Result<()> {
    let views = workspace.snapshot()?;
    let BestRuns { best, unproven, barred } = views.best(admission)?;
    context.ui.data(&best, |ui| {
        if best.is_empty() {
            ui.note("No run qualifies.");
        } else {
            table_of_best(ui, &best)?;
        }
        if unproven > 0 {
            ui.note(&format!(
                "{} not counted: typed, reported, imported or leaked scores. `annals best --all` \
                 counts and marks them.",
                counted(unproven, "run")
            ));
        }
        if barred > 0 {
            ui.dim(&format!(
                "{} not counted by the policy; `annals best --explain` gives the reasons.",
                counted(barred, "run")
            ));
        }
        Ok(())
    })
}

fn table_of_best(ui: &mut Ui, best: &[Best]) -> Result<()> {
    let heading = ["role", "experiment", "metric", "split", "value", "of runs", "event", "marks"];
    let mut table = Table::new(&heading);
    for entry in best {
        let value = match entry.spread {
            Some(spread) => format!("mean {:.4}, spread {spread:.4}", entry.value),
            None => format!("{:.4}", entry.value),
        };
        table.row([
            entry.role.word().to_owned(),
            entry.experiment_id.clone(),
            entry.metric.clone(),
            entry.split.word().to_owned(),
            value,
            entry.runs.to_string(),
            entry.position.to_string(),
            entry.marks.join(", "),
        ]);
    }
    ui.table(&table)?;
    let other: Vec<String> = best
        .iter()
        .filter(|entry| entry.on_other_rows > 0)
        .map(|entry| format!("{} ({} of {})", entry.role.word(), entry.on_other_rows, entry.runs))
        .collect();
    if !other.is_empty() {
        ui.warn(&format!(
            "runs on other test rows, or on rows that are not recorded, were compared for {}: \
             their values cannot be compared with the best one; `annals best --explain` ranks \
             each set of test rows",
            other.join(", ")
        ));
    }
    if let Some(stable) = best.iter().find(|entry| entry.spread.is_some()) {
        ui.dim(&format!(
            "{}: the mean of {}, and the highest minus the lowest value.",
            stable.role.word(),
            counted(stable.runs, "seed")
        ));
    }
    Ok(())
}
