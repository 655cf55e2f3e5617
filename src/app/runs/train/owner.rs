//! Whose a run is: an invocation ends the attempts that it began, and no others.

use super::RunFolder;
use crate::app::core::admitted::admitted;
use crate::app::{Error, ErrorKind, Result, Session, fold_policy, fold_run};
use crate::base::RunId;
use crate::domain::run::{Ending, RunCommand, RunEvent, RunFacts, RunStatus, RunStream};
use crate::domain::{Envelope, Event, Provenance};
use crate::store::{Access, View};

/// Ends a run that began and could not be ended as it should (SUP-1). An attempt that another
/// invocation began is left alone: whoever was refused does not end what it does not own.
pub(in crate::app) fn end_run(session: &Session<'_>, run: RunId, error: &Error) -> Result<()> {
    session.transact_patiently(|tx| {
        let state = fold_run(tx.log(), run)?;
        let owner = supervisor_of(tx.log(), run)?;
        if state.status != RunStatus::Running || owner != Some(session.invocation) {
            return Ok(());
        }
        let policy = fold_policy(tx.log())?;
        let facts = RunFacts::new(&policy, Provenance::Supervised);
        let reason = error.to_string();
        let stderr_tail = String::new();
        let ending = Ending::Fail { reason, signal: None, exit_code: None, stderr_tail };
        tx.decide::<RunStream>(run, RunCommand::End(ending), &facts)?;
        Ok(())
    })
}

/// Position of the invocation that began the attempt under way, or the last one.
fn supervisor_of<A: Access>(log: &View<A>, run: RunId) -> Result<Option<u64>> {
    let began = |event: &Envelope| {
        let event = event.event();
        matches!(event, Ok(Event::Run(RunEvent::Started(_) | RunEvent::Resumed(_))))
    };
    let events = admitted(log, run)?;
    Ok(events.iter().rev().find(|event| began(event)).and_then(|event| event.header.invocation))
}

/// The run is not in the log any more, while it was under way.
pub(super) fn log_lost(folder: &RunFolder) -> Error {
    let name = &folder.experiment_id;
    let message =
        format!("the log was replaced while {name} was running: it no longer contains that run");
    Error::new(ErrorKind::Conflict, message)
        .hint(format!("its files were left in {}", folder.path.display()))
}
