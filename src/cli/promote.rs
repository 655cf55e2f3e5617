//! `annals promote`, `approve` and `reject`.

use super::consent::DryRun;
use super::context::Context;
use super::repair::print_damage;
use super::ui::{Table, digest_cells, size};
use crate::app::{ApprovalLine, PromoteOptions, Promoted, Result, models};
use crate::base::counted;

/// Put a run's model into production, if it meets the policy and is approved
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals promote hate --reason 'best macro F1 on the test split' --dry-run
  annals promote hate --as hate_v1 --reason 'best macro F1 on the test split'
  annals promote hate --as hate_v1 --request")]
pub(super) struct Args {
    /// The run: id, prefix or name
    run: String,
    /// The production name; default: <name>_v<n>
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// The reason, which is recorded
    #[arg(long)]
    reason: Option<String>,
    /// Intended use, for the model card
    #[arg(long, value_name = "TEXT")]
    intended_use: Option<String>,
    /// Limitations and excluded uses, for the model card
    #[arg(long, value_name = "TEXT")]
    limits: Option<String>,
    /// Only request the promotion; others approve it
    #[arg(long)]
    request: bool,
    /// Replace the model that has this name; `annals rollback` restores it
    #[arg(long, requires = "name")]
    replace: bool,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let run = {
        let views = workspace.snapshot()?;
        workspace.find_run(&views, &args.run)?
    };
    let options = PromoteOptions {
        name: args.name,
        reason: args.reason,
        intended_use: args.intended_use,
        limits: args.limits,
        request_only: args.request,
        replace: args.replace,
    };
    let promoted = models::promote(&workspace, run, &options, args.mode.mode())?;
    print(&promoted, context)
}

fn print(promoted: &Promoted, context: &mut Context) -> Result<()> {
    if !promoted.not_stated.is_empty() {
        context.ui.warn(&format!(
            "nobody stated the facts that these rules of the policy are about: {}",
            promoted.not_stated.join(", ")
        ));
        context.ui.note(
            "  scripts state them when a run starts: annals run start --leaked-rows 0 \
             --synthetic false",
        );
    }
    context.ui.data(promoted, |ui| {
        let Some(plan) = &promoted.plan else {
            ui.line(&format!(
                "{} is requested for production as {} (request {})",
                promoted.experiment_id,
                promoted.name,
                promoted.request.short(8)
            ))?;
            ui.note(&format!("Next: annals approve {}", promoted.request.short(8)));
            return Ok(());
        };
        let verb = if promoted.dry_run { "would be copied to" } else { "is in production as" };
        ui.line(&format!("{} {verb} {}", promoted.experiment_id, plan.to))?;
        let mut table = Table::new(&["file", "size", "blake3", "sha256"]);
        for file in &plan.files {
            let [blake3, sha256] = digest_cells(file.digest, file.sha256);
            table.row([file.path.clone(), size(file.bytes), blake3, sha256]);
        }
        ui.table(&table)?;
        if !promoted.damage.found.is_empty() {
            ui.line("The folder in production differed from the record:")?;
            print_damage(ui, &promoted.damage, promoted.dry_run)?;
        }
        Ok(())
    })
}

/// Approve a promotion request
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals approve hate_v1 --reason 'reviewed the errors'
  annals approve hate_v1 --dry-run")]
pub(super) struct ApproveArgs {
    /// The request's id, the production name, or the run
    request: String,
    /// The reason, which is recorded
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run_approve(args: ApproveArgs, context: &mut Context) -> Result<()> {
    let workspace = context.changing(args.mode.dry_run)?;
    let row = {
        let views = workspace.snapshot()?;
        workspace.find_request(&views, &args.request)?
    };
    let decided = models::approve(&workspace, row.request(), row.run(), args.reason)?;
    context.ui.data(&decided, |ui| {
        let shown =
            |approval: &ApprovalLine| format!("{} ({})", approval.approver, approval.identity);
        let names: Vec<String> = decided.approvals.iter().map(shown).collect();
        ui.line(&format!(
            "{} has {} of {}: {}",
            decided.name,
            names.len(),
            counted(decided.needed, "approval"),
            names.join(", ")
        ))?;
        ui.dim(&format!("The policy requires {}.", decided.terms));
        if names.len() >= decided.needed as usize {
            ui.note(&format!("Next: annals promote {} --as {}", decided.run, decided.name));
        }
        Ok(())
    })
}

/// Reject a promotion request
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals reject hate_v1 --reason 'too few test rows'
  annals reject hate_v1 --reason 'too few test rows' --dry-run")]
pub(super) struct RejectArgs {
    /// The request's id, the production name, or the run
    request: String,
    /// The reason, which is recorded
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run_reject(args: RejectArgs, context: &mut Context) -> Result<()> {
    let workspace = context.changing(args.mode.dry_run)?;
    let row = {
        let views = workspace.snapshot()?;
        workspace.find_request(&views, &args.request)?
    };
    let rejected = models::reject(&workspace, row.request(), row.run(), args.reason)?;
    context
        .ui
        .data(&rejected, |ui| ui.line(&format!("the request for {} is rejected", rejected.name)))
}
