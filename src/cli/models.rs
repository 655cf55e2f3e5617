//! `annals models`.

use serde_json::json;

use super::context::Context;
use super::lens::Lens;
use super::ui::{Table, share};
use crate::app::{App, Error, ErrorKind, ModelRow, Result};
use crate::base::suggest::nearest;
use crate::base::{Split, Timestamp};

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
    lens: Lens,
}

pub(super) fn run(args: &Args, context: &mut Context) -> Result<()> {
    args.lens.read(context, |app, context| print(args, app, context))
}

fn print(args: &Args, app: &App, context: &mut Context) -> Result<()> {
    let views = app.snapshot()?;
    let current = views.production()?;
    let in_production =
        |m: &ModelRow| current.iter().any(|c| c.name == m.name && c.number == m.number);
    let mut models = views.all_versions()?;
    models.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
    if let Some(name) = &args.name {
        if models.iter().all(|model| model.name != *name) {
            return Err(unknown(name, &models));
        }
        models.retain(|model| model.name == *name);
    } else if !args.all {
        models.retain(in_production);
    }
    let aliases = views.aliases()?;
    let aliases_of = |model: &ModelRow| -> Vec<&str> {
        let of = aliases.iter().filter(|a| a.name == model.name && a.number == model.number);
        of.map(|alias| alias.alias.as_str()).collect()
    };
    let mut table = Table::new(&[
        "model", "version", "state", "aliases", "run", "accuracy", "macro F1", "promoted", "by",
    ]);
    let mut rows = Vec::new();
    for model in &models {
        let state = if in_production(model) { "in production" } else { "earlier" };
        let run = views.run(model.run())?;
        let score = |name| run.as_ref().and_then(|run| run.metric(name, Split::Test));
        let name = run.as_ref().map_or("-", |run| run.experiment_id.as_str());
        let by = app.event(model.position)?;
        let aliases = aliases_of(model);
        rows.push(json!({
            "model": model,
            "state": state,
            "aliases": aliases,
            "run": name,
            "accuracy": score("accuracy"),
            "f1_macro": score("f1_macro"),
            "promoted": Timestamp(model.promoted),
            "promoted_by": by.actor,
            "identity": by.identity,
        }));
        table.row([
            model.name.clone(),
            format!("{} ({})", model.version, model.number),
            state.to_owned(),
            if aliases.is_empty() { "-".to_owned() } else { aliases.join(", ") },
            name.to_owned(),
            share(score("accuracy")).into_owned(),
            share(score("f1_macro")).into_owned(),
            Timestamp(model.promoted).human(),
            format!("{} ({})", by.actor, by.identity),
        ]);
    }
    context.ui.data(&rows, |ui| {
        if models.is_empty() {
            ui.note(
                "No model is in production. `annals candidates` lists the runs that meet the \
                 rules.",
            );
            return Ok(());
        }
        ui.table(&table)?;
        ui.dim(
            "Scores are those of the run on its test split. `annals why MODEL` shows the evidence.",
        );
        Ok(())
    })
}

fn unknown(name: &str, models: &[ModelRow]) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("there is no model \"{name}\""));
    match nearest(name, models.iter().map(|model| model.name.as_str())) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`annals models --all` lists every model that ever was in production"),
    }
}
