//! `annals prove`.

use std::path::PathBuf;

use super::context::Context;
use crate::app::{Error, Named, Proof, Result, records};

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
            if !checked.key_pinned {
                ui.warn("the key came with the proof; --key pins the one you trust");
            }
            Ok(())
        });
    }
    let workspace = context.workspace()?;
    let what = args.what.as_deref().unwrap_or_default();
    let position = match what.parse::<u64>() {
        Ok(position) => position,
        Err(_) => {
            let views = workspace.snapshot()?;
            match workspace.find_named(&views, what)? {
                // The last event that decided which version the name means.
                Named::Version(model) => {
                    let alias = views.aliases()?.into_iter().find(|alias| alias.alias == what);
                    model.placed.position.max(alias.map_or(0, |alias| alias.position))
                }
                Named::Run(run) => {
                    let details = views.run(run)?;
                    details.map_or(0, |run| run.ended_position.unwrap_or(run.started_position))
                }
            }
        }
    };
    let proof = records::prove(&workspace, position)?;
    context.ui.data(&proof, |ui| {
        let text = serde_json::to_string_pretty(&proof).unwrap_or_default();
        ui.line(&text)
    })
}
