//! Edits of runs by people: category, tags, notes, name, pins.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{ErrorKind, Result, Workspace, fold_policy};
use crate::base::RunId;
use crate::domain::Provenance;
use crate::domain::run::{Category, RunCommand, RunEdit, RunEvent, RunFacts, RunState, RunStream};

/// What an edit came to.
#[derive(Clone, Debug)]
pub struct EditedRun {
    /// The run as it is now.
    pub run: RunState,
    /// What was new.
    pub events: Vec<RunEvent>,
}

/// A run after somebody edited what is said of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RunEdited {
    /// The run.
    pub run_id: Option<RunId>,
    /// Its unique name.
    pub experiment_id: String,
    /// The name of the experiment.
    pub experiment_name: String,
    /// Its category.
    pub category: Category,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether retention rules leave it alone.
    pub pinned: bool,
    /// Whether anything is different now.
    pub changed: bool,
    /// Whether this is a plan, and nothing was recorded.
    pub dry_run: bool,
}

impl EditedRun {
    /// What programs read of it.
    pub fn answer(&self, dry_run: bool) -> RunEdited {
        RunEdited {
            run_id: self.run.id,
            experiment_id: self.run.experiment_id.clone(),
            experiment_name: self.run.name.clone(),
            category: self.run.category,
            tags: self.run.tags.clone(),
            pinned: self.run.pinned,
            changed: !self.events.is_empty(),
            dry_run,
        }
    }
}

/// Records an edit of a run. An edit to the present value changes nothing.
///
/// # Errors
/// When a rule refuses it, which is then in the log.
pub fn edit_run(
    workspace: &Workspace,
    verb: &'static str,
    run: RunId,
    command: RunEdit,
) -> Result<EditedRun> {
    let edited = workspace.decide(verb, |tx| {
        let policy = fold_policy(tx.log())?;
        let facts = RunFacts::new(&policy, Provenance::Reported).told_by(tx.teller());
        let edited = tx.decide::<RunStream>(run, RunCommand::Edit(command), &facts)?;
        let events = edited.events().to_vec();
        Ok((edited.into_state(), events))
    });
    let (run, events) = match edited {
        Err(error) if error.kind == ErrorKind::Rejected => {
            workspace.refuse(verb, &error)?;
            return Err(error);
        }
        edited => edited?,
    };
    workspace.refresh()?;
    Ok(EditedRun { run, events })
}
