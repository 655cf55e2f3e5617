//! `annals consolidate plan | apply | report`.

use clap::Subcommand;

use super::consent::{Consent, DryRun};
use super::consolidation::markdown;
use super::context::Context;
use super::format::Format;
use super::out::{self, OutPath};
use super::ui::{Table, Ui, size};
use crate::app::{FileWritten, PlanRow, Planned, Result, runs};
use crate::domain::policy::Action;

/// Keep the best run of each series, archive a representative, delete the rest
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals consolidate plan
  annals consolidate apply 0123456789ab --yes
  annals consolidate report --out consolidation.md")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the planned action for each run, the reason and the space saved; nothing is moved
    #[command(after_help = "\
Examples:
  annals consolidate plan
  annals consolidate plan --format json")]
    Plan {
        /// Accepted for older scripts: the runs that are kept are shown without it
        #[arg(long, hide = true)]
        all: bool,
    },
    /// Carry out exactly the plan with this digest; refused if the plan would differ by now
    #[command(after_help = "\
Examples:
  annals consolidate apply 0123456789ab --dry-run
  annals consolidate apply 0123456789ab --yes")]
    Apply {
        /// The plan's digest, or its first digits
        #[arg(value_name = "PLAN_DIGEST")]
        plan: String,
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Print the consolidation report: inventory, best models, phases and changes
    #[command(after_help = "\
Examples:
  annals consolidate report
  annals consolidate report --out consolidation.md")]
    Report {
        /// Write the report to this file: .md or .json
        #[arg(long, value_name = "FILE")]
        out: Option<OutPath>,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    match &args.what {
        What::Plan { .. } => plan(context),
        What::Apply { plan, consent, mode } => apply(plan, *consent, *mode, context),
        What::Report { out } => report(out.as_ref(), context),
    }
}

fn plan(context: &mut Context) -> Result<()> {
    let planned = runs::plan_consolidation(&context.workspace()?)?;
    context.ui.data(&planned, |ui| {
        show_plan(ui, &planned)?;
        ui.line(&totals(&planned))
    })
}

fn show_plan(ui: &mut Ui, planned: &Planned) -> Result<()> {
    let mut table = Table::new(&["experiment", "series", "becomes", "size", "saves", "reason"]);
    for row in &planned.plan.rows {
        table.row([
            row.experiment_id.as_str(),
            &row.series,
            row.action.word(),
            &size(row.bytes),
            &size(row.bytes_saved),
            &row.reason,
        ]);
    }
    ui.table(&table)
}

fn totals(planned: &Planned) -> String {
    let count = |action| planned.plan.count(action);
    let (keep, archive, remove) =
        (count(Action::Keep), count(Action::Archive), count(Action::Remove));
    let saved = size(planned.plan.bytes_saved());
    let head = format!(
        "{keep} to keep, {archive} to archive, {remove} to delete, at least {saved} saved (policy \
         revision {})",
        planned.plan.policy_revision
    );
    if archive + remove == 0 {
        return format!("{head}; nothing to do");
    }
    format!("{head}\n`annals consolidate apply {}` carries it out", planned.plan_digest.short(16))
}

fn apply(plan: &str, consent: Consent, mode: DryRun, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    if mode.dry_run {
        let planned = runs::check_consolidation(&workspace, plan)?;
        return context.ui.data(&planned, |ui| show_plan(ui, &planned));
    }
    let action = format!("archive and delete runs as plan {plan} says");
    consent.ask_or_warn(&action, context)?;
    let applied = runs::apply_consolidation(&workspace, plan)?;
    for (run, why) in &applied.stayed {
        context.ui.warn(&format!("{run} was not moved: {why}"));
    }
    context.ui.data(&applied, |ui| {
        if applied.already {
            return ui.line(&format!(
                "plan {} was applied before; nothing is left to do",
                applied.plan_digest.short(16)
            ));
        }
        let mut table = Table::new(&["experiment", "action", "reason"]);
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
    let report = runs::consolidation_report(&context.workspace()?)?;
    let Some(out) = out else {
        let text = markdown(&report);
        return match context.ui.format() {
            Format::Markdown => context.ui.bytes(text.as_bytes()),
            _ => context.ui.data(&report, |ui| ui.line(text.trim_end())),
        };
    };
    let text = match out.extension().and_then(|suffix| suffix.to_str()) {
        Some("json") => serde_json::to_string_pretty(&report).unwrap_or_default() + "\n",
        _ => markdown(&report),
    };
    out::write(&out, text.as_bytes())?;
    let file = FileWritten { written: out };
    context.ui.data(&file, |ui| ui.line(&format!("{}", file.written.display())))
}
