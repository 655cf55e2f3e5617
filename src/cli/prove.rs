//! `annals prove`.

use std::path::PathBuf;

use super::context::Context;
use super::ui::escape;
use crate::app::{Error, Proof, Result, records};

/// Print a proof that an event is in the log, or check one with the public key alone
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals prove hate_v1 > proof.json
  annals prove --check proof.json --key 'annals/hate/1+ed25519+AAAA'")]
pub(super) struct Args {
    /// A position, a run, or a production model (NAME, NAME@VERSION or alias): then the last
    /// promotion, rollback, repair or alias that placed it
    #[arg(required_unless_present = "check")]
    what: Option<String>,
    /// Check a proof file instead
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    check: Option<PathBuf>,
    /// The public key that must have signed; the key inside the proof proves nothing
    #[arg(long, requires = "check")]
    key: Option<String>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    if let Some(path) = &args.check {
        let path = context.cwd.join(path);
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
        let checked = Proof::check(&text, args.key.as_deref())?;
        return context.ui.data(&checked, |ui| {
            ui.line(&format!(
                "Event {} ({}) is in the log {} of size {}, signed by {}.",
                checked.position, checked.kind, checked.origin, checked.size, checked.key
            ))?;
            ui.line(&escape(&checked.event.summary))?;
            let event = serde_json::to_string_pretty(&checked.event.event).unwrap_or_default();
            ui.line(&event)?;
            if !checked.key_pinned {
                ui.warn("the key came with the proof; --key pins the one you trust");
            }
            Ok(())
        });
    }
    let workspace = context.workspace()?;
    let what = args.what.as_deref().unwrap_or_default();
    let position = records::position_of(&workspace, what)?;
    let proof = records::prove(&workspace, position)?;
    context.ui.data(&proof, |ui| {
        let text = serde_json::to_string_pretty(&proof).unwrap_or_default();
        ui.line(&text)
    })
}
