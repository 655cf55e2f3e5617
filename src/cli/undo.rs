//! `annals undo`.

use serde_json::json;

use super::context::Context;
use super::promote::tell_edits;
use crate::app::Result;

/// Take back your last command that changed something, where its reverse is honest
///
/// The reverse is appended; nothing in the log is rewritten. Undone are tag, pin, unpin, rename,
/// classify, archive, restore, promote, demote, rollback, alias and the policy; what else a command
/// did stands. It is refused when something later builds on the command. Undoing an undo does the
/// command again.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show what would happen and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    let undone = if args.dry_run { app.plan_undo()? } else { app.undo()? };
    tell_edits(&undone.regenerated, context);
    let value = json!({
        "position": undone.position,
        "command": undone.command,
        "by": undone.by,
        "redo": undone.redo,
        "done": !args.dry_run,
    });
    context.ui.data(&value, |ui| {
        let verb = if args.dry_run { "would be undone" } else { "is undone" };
        let command = super::ui::escape(&undone.command);
        ui.line(&format!("`annals {command}` at {} {verb}: {}", undone.position, undone.by))?;
        if undone.redo {
            ui.note("It was an undo itself, so this does again what it took back.");
        }
        Ok(())
    })
}
