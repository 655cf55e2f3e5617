//! `annals checkpoint`.

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::out::OutPath;
use crate::app::{Anchor, Result};

/// Show or anchor the signed log checkpoint: what proves later that nothing was rewritten
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the newest signed log checkpoint
    Show,
    /// Put it out of an attacker's reach: into a file to mail or store, or into a git tag to push
    Anchor {
        /// A new file, or `git-tag`
        to: OutPath,
    },
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    match &args.verb {
        Verb::Show => {
            let note = app.checkpoint()?;
            context.ui.data(&json!({ "note": note, "key": app.public_key()? }), |ui| {
                ui.bytes(note.as_bytes())
            })
        }
        Verb::Anchor { to } => {
            let anchor = match to.is("git-tag") {
                true => Anchor::GitTag,
                false => Anchor::File(to.place(context)?),
            };
            let (size, place) = app.anchor(&anchor)?;
            context.ui.note(&format!("The log checkpoint of size {size} is in {place}."));
            context.ui.note(match anchor {
                Anchor::GitTag => "It protects nothing before the tag is pushed.",
                Anchor::File(_) => "It protects nothing before the file is somewhere else.",
            });
            Ok(())
        }
    }
}
