//! `annals cleanup`, and the housekeeping after a training.

use super::archive::PackArg;
use super::context::Context;
use super::promote::tell_edits;
use super::ui::{Table, size};
use crate::app::{App, Cleanup, CleanupRequest, ErrorKind, Result};
use crate::base::counted;

/// Move old debug runs and old failures into their archives, as the policy says
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How many debug runs stay; as many as the policy says by default
    #[arg(long)]
    keep: Option<u32>,
    /// Pack their files, weights and training checkpoints apart, into one compressed file each
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "zst")]
    compress: Option<PackArg>,
    /// Keep no weights and training checkpoints; metrics and digests stay in the log
    #[arg(long)]
    drop_weights: bool,
    /// Only show what would move, why, and how much it is
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let request = CleanupRequest {
        keep: args.keep,
        pack: args.compress.map(Into::into),
        drop_weights: args.drop_weights,
    };
    let cleanup = if args.dry_run { app.plan_cleanup(&request)? } else { app.cleanup(&request)? };
    tell_edits(&cleanup.regenerated, context);
    context.ui.data(&cleanup, |ui| {
        let mut table = Table::new(&["experiment", "goes to", "size", "rule", "why"]);
        for found in &cleanup.moves {
            let place = match &found.stays {
                Some(why) => format!("stays: {why}"),
                None => found.archive.word().to_owned(),
            };
            let bytes = size(found.bytes);
            table.row([found.experiment_id.as_str(), &place, &bytes, found.rule, &found.reason]);
        }
        ui.table(&table)?;
        ui.dim(&totals(&cleanup, args.dry_run));
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
pub(super) fn housekeep(app: &App, forced: bool, context: &mut Context) {
    match app.housekeep(forced) {
        Ok(Some(cleanup)) => {
            tell_edits(&cleanup.regenerated, context);
            for found in cleanup.moving() {
                let place = found.archive.word();
                let note = format!("{} is in {place} now: {}", found.experiment_id, found.reason);
                context.ui.note(&note);
            }
        }
        Ok(None) => {}
        Err(error) => context.ui.warn(&format!("old runs stay where they are: {error}")),
    }
}
