//! `annals cleanup`, and the housekeeping after a training.

use super::archive::PackArg;
use super::consent::{Consent, DryRun};
use super::context::Context;
use super::ui::{Table, size};
use crate::app::{Cleanup, CleanupRequest, ErrorKind, Result, Workspace, runs};
use crate::base::counted;

/// Archive old debug runs and old failed runs according to the policy
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals cleanup --dry-run
  annals cleanup --keep 2 --compress")]
pub(super) struct Args {
    /// Number of debug runs to keep; default: the number in the policy
    #[arg(long)]
    keep: Option<u32>,
    /// Pack the files of each run into one compressed file, except weights and training checkpoints
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "zst")]
    compress: Option<PackArg>,
    /// Delete weights and training checkpoints; metrics and digests stay in the log
    #[arg(long)]
    drop_weights: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let request = CleanupRequest {
        keep: args.keep,
        pack: args.compress.map(Into::into),
        drop_weights: args.drop_weights,
    };
    if args.drop_weights && !args.mode.dry_run {
        let action = "delete the weights and training checkpoints of the runs that are archived";
        args.consent.ask_or_warn(action, context)?;
    }
    let cleanup = runs::cleanup(&workspace, &request, args.mode.mode())?;
    context.ui.data(&cleanup, |ui| {
        let mut table = Table::new(&["experiment", "archive", "size", "rule", "reason"]);
        for found in &cleanup.moves {
            let place = match &found.stays {
                Some(why) => format!("kept: {why}"),
                None => found.archive.word().to_owned(),
            };
            let bytes = size(found.bytes);
            table.row([found.experiment_id.as_str(), &place, &bytes, found.rule, &found.reason]);
        }
        ui.table(&table)?;
        ui.dim(&totals(&cleanup, args.mode.dry_run));
        Ok(())
    })
}

fn totals(cleanup: &Cleanup, planned: bool) -> String {
    let count = cleanup.moving().count();
    let runs = counted(count, "run");
    let bytes: u64 = cleanup.moving().map(|found| found.bytes).sum();
    let saved: Option<u64> = cleanup.moving().map(|found| found.bytes_saved).sum();
    let saved = saved.map_or("as much as packing gives".to_owned(), size);
    let verb = match (planned, count) {
        (true, _) => "would move",
        (false, 1) => "has moved",
        (false, _) => "have moved",
    };
    format!(
        "{runs} {verb} ({}), {saved} saved; {} debug runs may stay (policy revision {}).",
        size(bytes),
        cleanup.keep,
        cleanup.policy_revision
    )
}

/// Whether a run has ended, well or not. What was refused is no run: it moves nobody's files.
pub(super) fn is_one_more<T>(ended: &Result<T>) -> bool {
    let kinds = [ErrorKind::TrainingFailed, ErrorKind::Interrupted];
    !matches!(ended, Err(error) if !kinds.contains(&error.kind))
}

/// After a run has ended: what the policy says about old runs. The run itself is not in question.
pub(super) fn housekeep(workspace: &Workspace, forced: bool, context: &mut Context) {
    match runs::housekeep(workspace, forced) {
        Ok(Some(cleanup)) => {
            for found in cleanup.moving() {
                let place = found.archive.word();
                let note = format!("{} is in {place} now: {}", found.experiment_id, found.reason);
                context.ui.note(&note);
            }
        }
        Ok(None) => {}
        Err(error) => context.ui.warn(&format!("old runs were not archived: {error}")),
    }
}
