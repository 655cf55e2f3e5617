//! Model versions, one or all of them, with their runs, aliases and promotions.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{Error, ErrorKind, ModelRow, Result, Workspace, records};
use crate::base::suggest::nearest;
use crate::base::{Split, Timestamp};
use crate::domain::IdentityLevel;
use crate::projection::registry::AliasRow;

/// Whether a version is the one in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum ModelState {
    /// It is.
    #[serde(rename = "in production")]
    InProduction,
    /// It was before another version.
    #[serde(rename = "earlier")]
    Earlier,
    /// It is not, and was perhaps never replaced.
    #[serde(rename = "not in production")]
    NotInProduction,
}

impl ModelState {
    /// The words used in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProduction => "in production",
            Self::Earlier => "earlier",
            Self::NotInProduction => "not in production",
        }
    }
}

/// One version of a list of models.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelListed {
    /// The version.
    pub model: ModelRow,
    /// Whether it is in production.
    pub state: ModelState,
    /// The aliases that point at it.
    pub aliases: Vec<String>,
    /// The unique name of its run.
    pub run: String,
    /// Accuracy of the run on its test split.
    pub accuracy: Option<f64>,
    /// Macro F1 of the run on its test split.
    pub f1_macro: Option<f64>,
    /// When it was promoted.
    pub promoted: Timestamp,
    /// Who promoted it.
    pub promoted_by: String,
    /// `claimed` or `signed`.
    pub identity: IdentityLevel,
}

/// One version.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelShown {
    /// The version.
    pub model: ModelRow,
    /// Whether it is in production.
    pub state: ModelState,
    /// The unique name of its run.
    pub run: String,
    /// The aliases that point at it.
    pub aliases: Vec<String>,
    /// Who promoted it, and whether that is claimed or signed.
    pub promoted_by: String,
    /// When it was promoted.
    pub promoted: Timestamp,
    /// Who put it into production last, and whether that is claimed or signed.
    pub placed_by: String,
    /// When it was put into production last.
    pub placed: Timestamp,
}

fn aliases_of(aliases: &[AliasRow], model: &ModelRow) -> Vec<String> {
    let of = aliases.iter().filter(|a| a.name == model.name && a.number == model.number);
    of.map(|alias| alias.alias.clone()).collect()
}

/// The models in production, or all versions, or those of one name, by name and number.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a name that never was in production.
pub fn list_models(
    workspace: &Workspace,
    name: Option<&str>,
    all: bool,
) -> Result<Vec<ModelListed>> {
    let views = workspace.snapshot()?;
    let current = views.production()?;
    let in_production =
        |m: &ModelRow| current.iter().any(|c| c.name == m.name && c.number == m.number);
    let mut models = views.all_versions()?;
    models.sort_by(|a, b| (&a.name, a.number).cmp(&(&b.name, b.number)));
    if let Some(name) = name {
        if models.iter().all(|model| model.name != *name) {
            return Err(unknown(name, &models));
        }
        models.retain(|model| model.name == *name);
    } else if !all {
        models.retain(in_production);
    }
    let aliases = views.aliases()?;
    let listed = |model: ModelRow| {
        let run = views.run(model.run())?;
        let score = |name| run.as_ref().and_then(|run| run.metric(name, Split::Test));
        let by = records::event(workspace, model.position)?;
        let state = match in_production(&model) {
            true => ModelState::InProduction,
            false => ModelState::Earlier,
        };
        Ok(ModelListed {
            state,
            aliases: aliases_of(&aliases, &model),
            run: run.as_ref().map_or("-", |run| run.experiment_id.as_str()).to_owned(),
            accuracy: score("accuracy"),
            f1_macro: score("f1_macro"),
            promoted: Timestamp(model.promoted),
            promoted_by: by.actor,
            identity: by.identity,
            model,
        })
    };
    models.into_iter().map(listed).collect()
}

/// One version with its run, aliases and promotion.
///
/// # Errors
/// When log or views cannot be read.
pub fn model_shown(workspace: &Workspace, model: ModelRow) -> Result<ModelShown> {
    let views = workspace.snapshot()?;
    let current = views.production()?;
    let current = current.iter().any(|c| c.name == model.name && c.number == model.number);
    let by = |position: u64| -> Result<String> {
        let event = records::event(workspace, position)?;
        Ok(format!("{} ({})", event.actor, event.identity))
    };
    Ok(ModelShown {
        state: if current { ModelState::InProduction } else { ModelState::NotInProduction },
        run: views.run(model.run())?.map(|run| run.experiment_id).unwrap_or_default(),
        aliases: aliases_of(&views.aliases()?, &model),
        promoted_by: by(model.position)?,
        promoted: Timestamp(model.promoted),
        placed_by: by(model.placed.position)?,
        placed: Timestamp(model.placed.at),
        model,
    })
}

fn unknown(name: &str, models: &[ModelRow]) -> Error {
    let error = Error::new(ErrorKind::NotFound, format!("there is no model \"{name}\""));
    match nearest(name, models.iter().map(|model| model.name.as_str())) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`annals models --all` lists every model that ever was in production"),
    }
}
