//! `annals checkpoint`.

use clap::Subcommand;

use super::consent::DryRun;
use super::context::Context;
use super::out::OutPath;
use crate::app::{Anchor, LogCheckpointShown, Result, records};

/// Show or anchor the signed log checkpoint, against which rewriting is detected later
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals checkpoint show
  annals checkpoint anchor checkpoint.txt
  annals checkpoint anchor git-tag")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the newest signed log checkpoint
    #[command(after_help = "\
Examples:
  annals checkpoint show
  annals checkpoint show --format json")]
    Show,
    /// Write it to a file or a git tag, to be stored out of an attacker's reach
    #[command(after_help = "\
Examples:
  annals checkpoint anchor checkpoint.txt
  annals checkpoint anchor git-tag")]
    Anchor {
        /// A new file, or `git-tag`
        to: OutPath,
        #[command(flatten)]
        mode: DryRun,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    match &args.verb {
        Verb::Show => {
            let workspace = context.workspace()?;
            let shown = LogCheckpointShown {
                note: records::checkpoint(&workspace)?,
                key: records::public_key(&workspace)?,
            };
            context.ui.data(&shown, |ui| ui.bytes(shown.note.as_bytes()))
        }
        Verb::Anchor { to, mode } => {
            let workspace = context.changing(mode.dry_run)?;
            let anchor = match to.is("git-tag") {
                true => Anchor::GitTag,
                false => Anchor::File(to.place(context)?),
            };
            let anchored = records::anchor(&workspace, &anchor)?;
            let verb = if mode.dry_run { "would be written to" } else { "was written to" };
            context.ui.data(&anchored, |ui| {
                let (size, place) = (anchored.size, &anchored.location);
                ui.note(&format!("The log checkpoint of size {size} {verb} {place}."));
                Ok(())
            })?;
            context.ui.note(match anchor {
                Anchor::GitTag => "It protects nothing until the tag is pushed.",
                Anchor::File(_) => "It protects nothing until the file is stored somewhere else.",
            });
            Ok(())
        }
    }
}
