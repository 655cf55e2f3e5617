//! `annals models`.

use super::context::Context;
use super::read_args::ReadScope;
use super::ui::{Table, share};
use crate::app::{ModelListed, Result, Workspace, models};

/// List the models in production, with their versions and aliases
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals models
  annals models --all --format csv
  annals models hate_v1 --format json")]
pub(super) struct Args {
    /// Only this model, with all its versions
    name: Option<String>,
    /// All versions, also those that are no longer in production
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    scope: ReadScope,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.scope.read(context, |workspace, context| print(args, workspace, context))
}

fn print(args: &Args, workspace: &Workspace, context: &mut Context) -> Result<()> {
    let models = models::list_models(workspace, args.name.as_deref(), args.all)?;
    context.ui.data(&models, |ui| {
        if models.is_empty() {
            ui.note(match args.scope.is_past() {
                true => "No model was in production then.",
                false => {
                    "No model is in production. `annals candidates` lists the runs that meet the \
                     rules."
                }
            });
            return Ok(());
        }
        let mut table = Table::new(&[
            "model", "version", "state", "aliases", "run", "accuracy", "macro F1", "promoted", "by",
        ]);
        for listed in &models {
            let ModelListed { model, aliases, .. } = listed;
            table.row([
                model.name.clone(),
                format!("{} ({})", model.version, model.number),
                listed.state.word().to_owned(),
                if aliases.is_empty() { "-".to_owned() } else { aliases.join(", ") },
                listed.run.clone(),
                share(listed.accuracy).into_owned(),
                share(listed.f1_macro).into_owned(),
                listed.promoted.human(),
                format!("{} ({})", listed.promoted_by, listed.identity),
            ]);
        }
        ui.table(&table)?;
        ui.dim(
            "Scores are those of the run on its test split. `annals why MODEL` shows the evidence.",
        );
        Ok(())
    })
}
