//! `annals policy`.

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::promote::tell_edits;
use super::ui::Table;
use crate::app::Result;

/// Show or change the rules
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show every rule in force
    Show,
    /// Change one rule; the change is an event like any other
    Set {
        /// The rule, such as production_promotion.approvals
        key: String,
        /// Its new value
        value: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    match args.verb {
        Verb::Show => {
            let shown = app.policy()?;
            context.ui.data(&shown, |ui| {
                let mut table = Table::new(&["rule", "value"]);
                for (key, value) in shown.policy.entries() {
                    table.row(vec![key, value]);
                }
                ui.table(&table)?;
                ui.dim(&format!("Revision {}.", shown.revision));
                Ok(())
            })
        }
        Verb::Set { key, value, reason } => {
            let changes = app.set_policy(&key, &value, reason)?;
            let regenerated = app.refresh()?;
            tell_edits(&regenerated, context);
            context.ui.data(&json!(changes), |ui| {
                if changes.is_empty() {
                    ui.note("Nothing changes: the rule has that value.");
                }
                for change in &changes {
                    let old = change.old.as_deref().unwrap_or("-");
                    ui.line(&format!("{}: {old} -> {}", change.key, change.new))?;
                }
                Ok(())
            })
        }
    }
}
