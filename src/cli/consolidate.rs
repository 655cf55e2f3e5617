//! `annals consolidate plan | apply | report`.

use clap::Subcommand;
use serde_json::json;

use super::consolidation::markdown;
use super::context::Context;
use super::out::{self, OutPath};
use super::promote::tell_edits;
use super::ui::{Table, size};
use crate::app::{PlanRow, Planned, Result};
use crate::domain::policy::Action;

/// Keep the best run of each series, archive one that stands for the others, remove these
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what would become of each run, why, and how much that saves; nothing moves
    Plan {
        /// Also show the runs that stay
        #[arg(long)]
        all: bool,
    },
    /// Do exactly what a plan showed; refused when it would be another one by now
    Apply {
        /// The plan's digest, or its first digits
        #[arg(value_name = "PLAN_DIGEST")]
        plan: String,
    },
    /// Write the consolidation report: inventory, best models, phases and what changed
    Report {
        /// Write to this file
        #[arg(long, value_name = "FILE")]
        out: Option<OutPath>,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    match &args.what {
        What::Plan { all } => plan(*all, context),
        What::Apply { plan } => apply(plan, context),
        What::Report { out } => report(out.as_ref(), context),
    }
}

fn plan(all: bool, context: &mut Context) -> Result<()> {
    let planned = context.app()?.plan_consolidation()?;
    context.ui.data(&planned, |ui| {
        let mut table = Table::new(&["experiment", "series", "becomes", "size", "saves", "why"]);
        for row in planned.plan.rows.iter().filter(|row| all || row.action != Action::Keep) {
            table.row([
                row.experiment_id.as_str(),
                &row.series,
                row.action.word(),
                &size(row.bytes),
                &size(row.bytes_saved),
                &row.reason,
            ]);
        }
        ui.table(&table)?;
        ui.line(&totals(&planned))
    })
}

fn totals(planned: &Planned) -> String {
    let count = |action| planned.plan.count(action);
    let (keep, archive, remove) =
        (count(Action::Keep), count(Action::Archive), count(Action::Remove));
    let saved = size(planned.plan.bytes_saved());
    let head = format!(
        "{keep} stay, {archive} to archive, {remove} to remove, at least {saved} saved (policy \
         revision {})",
        planned.plan.policy_revision
    );
    if archive + remove == 0 {
        return format!("{head}; nothing to do");
    }
    format!("{head}\n`annals consolidate apply {}` does it", planned.plan_digest.short(16))
}

fn apply(plan: &str, context: &mut Context) -> Result<()> {
    let applied = context.app()?.apply_consolidation(plan)?;
    tell_edits(&applied.regenerated, context);
    for (run, why) in &applied.stayed {
        context.ui.warn(&format!("{run} stays: {why}"));
    }
    context.ui.data(&applied, |ui| {
        if applied.already {
            return ui.line(&format!(
                "plan {} was applied before; nothing is left of it",
                applied.plan_digest.short(16)
            ));
        }
        let mut table = Table::new(&["experiment", "was", "why"]);
        for PlanRow { experiment_id, action, reason, .. } in &applied.done {
            let was = if *action == Action::Archive { "archived" } else { "removed" };
            table.row([experiment_id.as_str(), was, reason]);
        }
        ui.table(&table)?;
        ui.line(&format!(
            "{} before, {} after; weights stay in the blob store until `annals gc`",
            size(applied.bytes_before),
            size(applied.bytes_after)
        ))
    })
}

fn report(out: Option<&OutPath>, context: &mut Context) -> Result<()> {
    // First: the report itself is in the log.
    let out = out.map(|out| out.place(context)).transpose()?;
    let report = context.app()?.consolidation_report()?;
    let Some(out) = out else {
        let text = markdown(&report);
        return context.ui.data(&report, |ui| ui.line(text.trim_end()));
    };
    out::write(&out, markdown(&report).as_bytes())?;
    context.ui.data(&json!({ "written": out }), |ui| ui.line(&format!("{}", out.display())))
}
