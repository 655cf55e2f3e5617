//! `annals actor`.

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::ui::Table;
use crate::app::{KeyMade, Result};
use crate::base::Timestamp;

/// Show who acts, and give people keys to sign their decisions with
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show everybody who acted, with their keys
    List,
    /// Make a signing key for somebody; the private half stays in your config folder
    Add {
        /// The person, as `annals log` shows them
        name: String,
    },
    /// Confirm, signed with your key, that a person's key is theirs
    Vouch {
        /// The person
        name: String,
    },
    /// Replace your key by a new one that the old one signs
    Rotate,
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    let app = context.app()?;
    match args.verb {
        Verb::List => {
            let actors = app.actors()?;
            context.ui.data(&actors, |ui| {
                let mut table =
                    Table::new(&["actor", "identity", "key", "since", "vouched for by", "here"]);
                for actor in &actors {
                    let identity = match (&actor.key, &actor.vouched_by) {
                        (None, _) => "claimed",
                        _ if actor.state == Some("replaced") => "replaced",
                        (Some(_), None) => "key, not vouched for",
                        (Some(_), Some(_)) => "signed",
                    };
                    table.row([
                        actor.name.clone(),
                        identity.into(),
                        actor.key.map(|key| format!("{key:.16}")).unwrap_or_default(),
                        actor.since.map(Timestamp::human).unwrap_or_default(),
                        actor.vouched_by.clone().unwrap_or_default(),
                        if actor.here { "yes" } else { "" }.into(),
                    ]);
                }
                ui.table(&table)
            })
        }
        Verb::Add { name } => {
            let made = app.add_actor(&name)?;
            print(&made, context)?;
            if made.owner != app.caller.actor {
                context.ui.warn(&format!(
                    "whoever can read that file can sign as {name}; better, {name} runs this and \
                     somebody with a key runs `annals actor vouch {name}`"
                ));
            }
            Ok(())
        }
        Verb::Vouch { name } => {
            let key = app.vouch(&name)?;
            let value = json!({ "owner": name, "key": key });
            context.ui.data(&value, |ui| {
                ui.line(&format!("{} vouches for the key {key:.16} of {name}", app.caller.actor))
            })
        }
        Verb::Rotate => {
            let made = app.rotate_key()?;
            print(&made, context)
        }
    }
}

fn print(made: &KeyMade, context: &mut Context) -> Result<()> {
    context.ui.data(made, |ui| {
        ui.line(&format!("{} signs with {}", made.owner, made.key))?;
        ui.note(&format!("The private half is {}", made.private_key));
        if !made.vouched {
            ui.note(&format!(
                "Next: somebody with a key runs `annals actor vouch {}`; until then it is a claim.",
                made.owner
            ));
        }
        Ok(())
    })
}
