//! `annals actor`.

use clap::Subcommand;

use super::consent::DryRun;
use super::context::Context;
use super::ui::Table;
use crate::app::{KeyMade, Result, workspace};
use crate::base::Timestamp;

/// List people and manage the keys that sign their decisions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals actor list
  annals actor add ines
  annals actor vouch ines")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List everybody who recorded an event, with their keys
    #[command(after_help = "\
Examples:
  annals actor list
  annals actor list --format json")]
    List,
    /// Create a signing key for a person; the private key stays in your configuration folder
    #[command(after_help = "\
Examples:
  annals actor add ines
  annals actor add ines --dry-run")]
    Add {
        /// The person, as `annals log` shows them
        name: String,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Confirm, signed with your key, that a person's key is theirs
    #[command(after_help = "\
Examples:
  annals actor vouch ines
  annals actor vouch ines --dry-run")]
    Vouch {
        /// The person
        name: String,
        #[command(flatten)]
        mode: DryRun,
    },
    /// Replace your key with a new one that the old one signs
    #[command(after_help = "\
Examples:
  annals actor rotate --dry-run
  annals actor rotate")]
    Rotate(DryRun),
}

pub(super) fn run(args: Args, context: &mut Context) -> Result<()> {
    match args.verb {
        Verb::List => {
            let workspace = context.workspace()?;
            let actors = workspace::actors(&workspace)?;
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
        Verb::Add { name, mode } => {
            let workspace = context.changing(mode.dry_run)?;
            let made = workspace::add_actor(&workspace, &name)?;
            print(&made, context)?;
            if made.owner != workspace.actor() {
                context.ui.warn(&format!(
                    "anyone who can read that file can sign as {name}; it is safer if {name} runs \
                     `annals trust` and this command from their own account, and a person with a \
                     key then runs `annals actor vouch {name}`"
                ));
            }
            Ok(())
        }
        Verb::Vouch { name, mode } => {
            let workspace = context.changing(mode.dry_run)?;
            let vouched = workspace::vouch(&workspace, &name)?;
            context.ui.data(&vouched, |ui| {
                let key = vouched.key;
                ui.line(&format!("{} vouches for the key {key:.16} of {name}", workspace.actor()))
            })
        }
        Verb::Rotate(mode) => {
            let workspace = context.changing(mode.dry_run)?;
            let made = workspace::rotate_key(&workspace)?;
            print(&made, context)
        }
    }
}

fn print(made: &KeyMade, context: &mut Context) -> Result<()> {
    context.ui.data(made, |ui| {
        ui.line(&format!("{} signs with {}", made.owner, made.key))?;
        ui.note(&format!("The private key is stored in {}", made.private_key));
        if !made.vouched {
            ui.note(&format!(
                "Next: a person with a key runs `annals actor vouch {}`; until then the name is \
                 only claimed.",
                made.owner
            ));
        }
        Ok(())
    })
}
