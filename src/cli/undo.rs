//! `annals undo`.

use super::consent::DryRun;
use super::context::Context;
use crate::app::{Result, workspace};

/// Undo your last change by appending its inverse, if that can be done safely
///
/// Nothing in the log is rewritten. Can be undone: tag, pin, unpin, rename, classify, archive,
/// restore, promote, demote, rollback, alias and policy changes; other effects of a command remain.
/// It is refused if a later change depends on the command. Undoing an undo repeats the command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals undo --dry-run
  annals undo")]
pub(super) struct Args {
    #[command(flatten)]
    mode: DryRun,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let workspace = context.trusted_workspace()?;
    let undone = workspace::undo(&workspace, args.mode.mode())?;
    context.ui.data(&undone, |ui| {
        let verb = if args.mode.dry_run { "would be undone" } else { "is undone" };
        let command = super::ui::escape(&undone.command);
        ui.line(&format!("`annals {command}` at {} {verb}: {}", undone.position, undone.by))?;
        if undone.redo {
            ui.note("That command was an undo, so this repeats the change that it undid.");
        }
        Ok(())
    })
}
