//! The rules about one run: it begins once, takes in facts while it is under way, and ends once.

use super::{
    CandidateAssessed, Ending, MetricsRecorded, RunClassified, RunCommand, RunEvent, RunFailed,
    RunInterrupted, RunPlanned, RunState, RunStatus,
};
use crate::domain::policy::{Policy, assess};
use crate::domain::{Name, Provenance, Rejection};

/// What a decision about a run needs to know beside the run.
#[derive(Clone, Debug)]
pub struct RunFacts<'a> {
    /// The rules in force.
    pub policy: &'a Policy,
    /// Their revision.
    pub policy_revision: u64,
    /// How what is asked comes to the log.
    pub provenance: Provenance,
}

/// Decides on a request about a run.
///
/// # Errors
/// When the run has begun already, is not under way, or a metric is not a finite number.
pub fn decide(
    state: &RunState,
    command: RunCommand,
    facts: &RunFacts<'_>,
) -> Result<Vec<RunEvent>, Rejection> {
    if let RunCommand::Start(started, class) = command {
        if state.status != RunStatus::Unknown {
            return Err(Rejection::Exists { what: "run", name: state.experiment_id.clone() });
        }
        Name::new(&started.name).map_err(|e| Rejection::Invalid {
            what: "the run's name".into(),
            reason: e.to_string(),
        })?;
        let classified = RunClassified {
            category: class.category,
            rule: class.rule.to_owned(),
            matched: class.matched,
            policy_revision: Some(facts.policy_revision),
        };
        return Ok(vec![(*started).into(), classified.into()]);
    }
    if let RunCommand::Resume(mut resumed) = command {
        if !matches!(state.status, RunStatus::Interrupted | RunStatus::Failed) {
            return Err(Rejection::WrongState {
                what: format!("run {}", state.experiment_id),
                state: state.status.word().into(),
                wanted: "only one that was interrupted or failed is resumed".into(),
            });
        }
        if state.deleted {
            return Err(Rejection::WrongState {
                what: format!("run {}", state.experiment_id),
                state: "deleted".into(),
                wanted: "only one whose training checkpoints are there is resumed".into(),
            });
        }
        if let Some(archive) = state.archive {
            return Err(Rejection::WrongState {
                what: format!("run {}", state.experiment_id),
                state: format!("in {}", archive.word()),
                wanted: "`annals restore` brings it back first".into(),
            });
        }
        resumed.attempt = state.attempt + 1;
        return Ok(vec![(*resumed).into()]);
    }
    if let RunCommand::Reproduce(reproduced) = command {
        if state.status != RunStatus::Finished || state.id == Some(reproduced.by) {
            return Err(Rejection::WrongState {
                what: format!("run {}", state.experiment_id),
                state: state.status.word().into(),
                wanted: "only a finished one is reproduced, by another run".into(),
            });
        }
        return Ok(vec![(*reproduced).into()]);
    }
    state.must_run()?;
    match command {
        RunCommand::Start(..) | RunCommand::Resume(_) | RunCommand::Reproduce(_) => Ok(vec![]),
        RunCommand::RecordMetrics(batch) => {
            if let Some(point) = batch.points().find(|p| !p.value.is_finite()) {
                let name = batch.keys.get(usize::from(point.key)).map_or("?", |k| &k.name);
                return Err(not_finite(name, point.value, point.step));
            }
            Ok(vec![MetricsRecorded { attempt: state.attempt, batch }.into()])
        }
        RunCommand::Plan(planned) => {
            Ok(vec![RunPlanned { attempt: state.attempt, ..planned }.into()])
        }
        RunCommand::NoteUnrecorded(unrecorded) if unrecorded.series.is_empty() => Ok(vec![]),
        RunCommand::NoteUnrecorded(mut unrecorded) => {
            unrecorded.attempt = state.attempt;
            Ok(vec![unrecorded.into()])
        }
        RunCommand::SaveCheckpoint(saved) => Ok(vec![saved.into()]),
        RunCommand::PruneCheckpoint(pruned) => Ok(vec![pruned.into()]),
        RunCommand::StoreArtifact(stored) => Ok(vec![stored.into()]),
        RunCommand::End(ending) => end(state, ending, facts),
    }
}

fn end(state: &RunState, ending: Ending, facts: &RunFacts<'_>) -> Result<Vec<RunEvent>, Rejection> {
    let attempt = state.attempt;
    match ending {
        Ending::Finish(finished) => {
            if let Some(metric) = finished.metrics.iter().find(|m| !m.value.is_finite()) {
                return Err(not_finite(&metric.key.name, metric.value, finished.steps));
            }
            let finished: RunEvent = (*finished).into();
            let mut ended = state.clone();
            ended.evolve_from(&finished, facts.provenance);
            let assessment = assess(facts.policy, &ended);
            let assessed = CandidateAssessed {
                policy_revision: facts.policy_revision,
                candidate: assessment.is_candidate(),
                rules: assessment.rules,
            };
            Ok(vec![finished, assessed.into()])
        }
        Ending::Fail { reason, signal, exit_code, stderr_tail } => {
            Ok(vec![RunFailed { attempt, reason, signal, exit_code, stderr_tail }.into()])
        }
        Ending::Interrupt { reason } => {
            let resumable_step = state.checkpoints.keys().next_back().copied();
            Ok(vec![RunInterrupted { attempt, reason, resumable_step }.into()])
        }
    }
}

fn not_finite(name: &str, value: f64, step: u64) -> Rejection {
    Rejection::Invalid {
        what: format!("metric {name} at step {step}"),
        reason: format!("{value} is not a finite number"),
    }
}
