//! Which events may be in the stream of a run: the rules of `decide.rs` once more, and whose facts
//! count. A run's facts come from the actor who began it, or with whom they shared it. Others may
//! say things about it, move its files and note that its supervisor is gone.

use super::{RunEvent, RunState, RunStatus};
use crate::domain::history::Author;
use crate::domain::{Header, Provenance, Rejection};

/// How facts of a run are recorded under the rules in force.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain) struct Recording {
    /// Whether they are signed, as the beginning of the run was.
    pub(in crate::domain) signed: bool,
    /// Whether anybody may record them.
    pub(in crate::domain) others: bool,
}

impl Recording {
    fn unless(self, unsigned: bool) -> Self {
        Self { signed: self.signed && !unsigned, ..self }
    }
}

/// Refuses an event that could not have been decided here by its author. `event` is none for
/// points, which are many: they are judged by their header. What a trainer says while it runs is
/// signed if the run began so.
///
/// # Errors
/// The rule that is not met.
pub(in crate::domain) fn admits(
    state: &RunState,
    event: Option<&RunEvent>,
    header: &Header,
    author: &Author<'_>,
    recording: Recording,
) -> Result<(), Rejection> {
    let Recording { signed, .. } = recording;
    let Some(event) = event else {
        state.must_run()?;
        return recorded(state, author, recording.unless(while_it_runs(state, author)));
    };
    match event {
        RunEvent::Started(started) => match state.status {
            RunStatus::Unknown if header.stream == started.run.into() && started.attempt == 1 => {
                Ok(())
            }
            RunStatus::Unknown => Err(wrong(state, "begun as another run", "it begins as itself")),
            _ => Err(Rejection::Exists { what: "run", name: state.experiment_id.clone() }),
        },
        RunEvent::MetricsRecorded(_)
        | RunEvent::MetricsUnrecorded(_)
        | RunEvent::Planned(_)
        | RunEvent::CheckpointSaved(_)
        | RunEvent::CheckpointPruned(_) => {
            state.must_run()?;
            recorded(state, author, recording.unless(while_it_runs(state, author)))
        }
        RunEvent::ArtifactStored(_) | RunEvent::Finished(_) | RunEvent::Failed(_) => {
            state.must_run()?;
            recorded(state, author, recording)
        }
        // Whoever comes next notes that a supervisor is gone.
        RunEvent::Interrupted(_) => state.must_run(),
        RunEvent::Resumed(resumed) => {
            let resumable = matches!(state.status, RunStatus::Interrupted | RunStatus::Failed);
            if !resumable || state.deleted || state.archive.is_some() {
                let wanted = "only one that was interrupted or failed is resumed";
                return Err(wrong(state, state.status.word(), wanted));
            }
            if resumed.attempt != state.attempt + 1 {
                let said = format!("resumed as attempt {}", resumed.attempt);
                return Err(wrong(state, &said, "attempts are counted"));
            }
            recorded(state, author, recording)
        }
        RunEvent::Shared(_) if state.owner != Some(author.actor) => {
            Err(Rejection::NotAllowed(format!(
                "the run {} was begun by somebody else, and only they can share it",
                state.experiment_id
            )))
        }
        RunEvent::Shared(_) if signed => author.must_be_proven("sharing a run that was signed"),
        RunEvent::Shared(_) => Ok(()),
        RunEvent::Reproduced(again) => match state.status {
            RunStatus::Finished if state.id != Some(again.by) => Ok(()),
            status => Err(wrong(
                state,
                status.word(),
                "only a finished one is reproduced, by another run",
            )),
        },
        RunEvent::Assessed(_) if state.status != RunStatus::Finished => {
            Err(wrong(state, state.status.word(), "only a finished one is judged"))
        }
        RunEvent::Archived(_) | RunEvent::Deleted(_) if state.status == RunStatus::Running => {
            Err(wrong(state, "running", "only one that ended is moved away"))
        }
        RunEvent::Restored(_) if state.archive.is_none() => {
            Err(wrong(state, "in no archive", "only an archived one is restored"))
        }
        RunEvent::Classified(_)
        | RunEvent::Assessed(_)
        | RunEvent::Noted(_)
        | RunEvent::Tagged(_)
        | RunEvent::Pinned(_)
        | RunEvent::Unpinned(_)
        | RunEvent::Renamed(_)
        | RunEvent::Archived(_)
        | RunEvent::Restored(_)
        | RunEvent::Relocated(_)
        | RunEvent::Deleted(_) => match state.status {
            RunStatus::Unknown => Err(wrong(state, "unknown", "it has to begin first")),
            _ => Ok(()),
        },
    }
}

/// Whether a trainer says it while it runs, and its run does not sign that: runs that began before
/// `run.started` told so.
fn while_it_runs(state: &RunState, author: &Author<'_>) -> bool {
    let trainer = matches!(author.provenance, Provenance::Engine | Provenance::Supervised);
    trainer && !state.points_signed
}

fn recorded(state: &RunState, author: &Author<'_>, recording: Recording) -> Result<(), Rejection> {
    // Points of a run that never began were refused before.
    state.may_record(author.actor, author.name, recording.others)?;
    match recording.signed {
        true => author.must_be_proven("a fact of a run that was begun with a signature"),
        false => Ok(()),
    }
}

fn wrong(state: &RunState, found: &str, wanted: &str) -> Rejection {
    let what = format!("run {}", state.experiment_id);
    Rejection::WrongState { what, state: found.into(), wanted: wanted.into() }
}
