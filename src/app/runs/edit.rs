//! What people say of runs: category, tags, notes, name, pins.

use crate::app::{App, ErrorKind, Result, fold_policy, fold_run};
use crate::base::RunId;
use crate::domain::run::{LifeCommand, LifeFacts, RunEvent, RunState, decide_life};
use crate::domain::{Event, Fold as _, Provenance};
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
    /// Records what somebody says of a run. What is so already changes nothing.
    ///
    /// # Errors
    /// When a rule refuses it, which is then in the log.
    pub fn edit_run(
        &self,
        verb: &'static str,
        run: RunId,
        command: LifeCommand,
    ) -> Result<EditedRun> {
        let edited = self.decide(verb, |tx| {
            let mut state = fold_run(tx.log(), run)?;
            let policy = fold_policy(tx.log())?;
            let facts = LifeFacts { policy: &policy.policy, policy_revision: policy.revision() };
            let events = decide_life(&state, command, &facts)?;
            events.iter().for_each(|event| state.evolve(event));
            let new: Vec<Event> = events.iter().cloned().map(Event::from).collect();
            tx.append(run, &new, Provenance::Reported)?;
            Ok((state, events))
        });
        let (run, events) = match edited {
            Err(error) if error.kind == ErrorKind::Rejected => {
                self.refuse(verb, &error, &[])?;
                return Err(error);
            }
            edited => edited?,
        };
        Ok(EditedRun { run, events, regenerated: self.refresh()? })
    }
}
