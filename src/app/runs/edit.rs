//! Edits of runs by people: category, tags, notes, name, pins.

use crate::app::{App, ErrorKind, Result, fold_policy};
use crate::base::RunId;
use crate::domain::Provenance;
use crate::domain::run::{RunCommand, RunEdit, RunEvent, RunFacts, RunState, RunStream};
use crate::projection::files::Regenerated;

/// What an edit came to.
#[derive(Clone, Debug)]
pub struct EditedRun {
    /// The run as it is now.
    pub run: RunState,
    /// What was new.
    pub events: Vec<RunEvent>,
    /// Registry files that somebody had edited.
    pub regenerated: Regenerated,
}

impl App {
    /// Records an edit of a run. An edit to the present value changes nothing.
    ///
    /// # Errors
    /// When a rule refuses it, which is then in the log.
    pub fn edit_run(&self, verb: &'static str, run: RunId, command: RunEdit) -> Result<EditedRun> {
        let edited = self.decide(verb, |tx| {
            let policy = fold_policy(tx.log())?;
            let facts = RunFacts::new(&policy, Provenance::Reported);
            let edited = tx.decide::<RunStream>(run, RunCommand::Edit(command), &facts)?;
            let events = edited.events().to_vec();
            Ok((edited.into_state(), events))
        });
        let (run, events) = match edited {
            Err(error) if error.kind == ErrorKind::Rejected => {
                self.refuse(verb, &error)?;
                return Err(error);
            }
            edited => edited?,
        };
        Ok(EditedRun { run, events, regenerated: self.refresh()? })
    }
}
