//! The rules about one run: it begins once, takes in facts while it is under way, and ends once.

use super::{
    CandidateAssessed, Category, Ending, MetricsRecorded, MetricsUnrecorded, RunClassified,
    RunCommand, RunEvent, RunFailed, RunInterrupted, RunPlanned, RunReproduced, RunResumed,
    RunStart, RunState, RunStatus, TrainCheckpointPruned, TrainCheckpointSaved, UnrecordedValues,
    archive, classify, edit,
};
use crate::base::RunId;
use crate::domain::policy::{Policy, PolicyState, assess};
use crate::domain::{Decider, Event, Header, Name, Provenance, Rejection, StreamId};

/// What a decision about a run needs to know beside the run.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// The rules in force.
    pub policy: &'a Policy,
    /// Their revision.
    pub policy_revision: u64,
    /// How what is asked comes to the log.
    pub provenance: Provenance,
    /// The actor who tells facts of a run that may be somebody else's.
    pub teller: Option<Teller<'a>>,
}

/// Who tells facts of a run.
#[derive(Clone, Copy, Debug)]
pub struct Teller<'a> {
    /// Position of the event that registered them.
    pub actor: u64,
    /// Their name.
    pub name: &'a str,
    /// Whether what they tell is signed.
    pub signs: bool,
}

impl<'a> RunFacts<'a> {
    /// Under the rules in force.
    pub fn new(policy: &'a PolicyState, provenance: Provenance) -> Self {
        let (policy, policy_revision) = (&policy.policy, policy.revision());
        Self { policy, policy_revision, provenance, teller: None }
    }

    /// The same, told by an actor: facts of a run are its owner's to tell.
    #[must_use]
    pub fn told_by(mut self, teller: Teller<'a>) -> Self {
        self.teller = Some(teller);
        self
    }
}

/// The stream of one run.
#[derive(Clone, Copy, Debug)]
pub enum RunStream {}

impl Decider for RunStream {
    type Id = RunId;
    type State = RunState;
    type Command = RunCommand;
    type Event = RunEvent;
    type Facts<'f> = RunFacts<'f>;

    fn stream(id: RunId) -> StreamId {
        id.into()
    }

    fn event(event: Event) -> Option<RunEvent> {
        if let Event::Run(event) = event { Some(event) } else { None }
    }

    fn decide(
        state: &RunState,
        command: RunCommand,
        facts: &RunFacts<'_>,
    ) -> Result<Vec<RunEvent>, Rejection> {
        decide(state, command, facts)
    }

    fn evolve(state: &mut RunState, event: &RunEvent, header: &Header) {
        if matches!(event, RunEvent::Started(_)) {
            state.owner = Some(header.actor);
        }
        state.evolve_from(event, header.provenance);
    }

    fn anticipate(state: &mut RunState, event: &RunEvent, facts: &RunFacts<'_>) {
        if matches!(event, RunEvent::Started(_)) {
            state.owner = facts.teller.map(|teller| teller.actor);
        }
        state.evolve_from(event, facts.provenance);
    }

    fn provenance(facts: &RunFacts<'_>) -> Provenance {
        facts.provenance
    }
}

/// Refuses a second start of a run, facts about a run that is not under way, and metrics that are
/// not finite numbers.
pub(super) fn decide(
    state: &RunState,
    command: RunCommand,
    facts: &RunFacts<'_>,
) -> Result<Vec<RunEvent>, Rejection> {
    match command {
        RunCommand::Start(begin, chosen) => start(state, *begin, chosen, facts),
        RunCommand::Edit(edit) => edit::decide_edit(state, edit, facts),
        RunCommand::AllowArchive(facts) => archive::may_archive(state, &facts).map(|()| vec![]),
        RunCommand::AllowRemoval(facts) => archive::may_delete(state, &facts).map(|()| vec![]),
        RunCommand::AllowRestore => archive::may_restore(state).map(|()| vec![]),
        RunCommand::NoteMoved(plan, packed) => Ok(archive::moved(&plan, packed)),
        command => under_way(state, command, facts),
    }
}

fn start(
    state: &RunState,
    start: RunStart,
    chosen: Option<Category>,
    facts: &RunFacts<'_>,
) -> Result<Vec<RunEvent>, Rejection> {
    if state.status != RunStatus::Unknown {
        return Err(Rejection::Exists { what: "run", name: state.experiment_id.clone() });
    }
    Name::new(&start.name)
        .map_err(|e| Rejection::Invalid { what: "the run's name".into(), reason: e.to_string() })?;
    let criteria = &facts.policy.debug_experiments.criteria;
    let class = classify(&start.name, &start.tags, criteria, chosen);
    let classified = RunClassified {
        category: class.category,
        rule: class.rule.to_owned(),
        matched: class.matched,
        policy_revision: Some(facts.policy_revision),
    };
    // What is recorded of it while it runs is signed where decisions have to be.
    let strict = facts.policy.production_promotion.approvals_signed;
    let signs = strict && facts.teller.is_some_and(|teller| teller.signs);
    Ok(vec![start.started(signs).into(), classified.into()])
}

fn under_way(
    state: &RunState,
    command: RunCommand,
    facts: &RunFacts<'_>,
) -> Result<Vec<RunEvent>, Rejection> {
    if let Some(Teller { actor, name, signs }) = facts.teller {
        state.may_record(actor, name, facts.policy.others_may_record())?;
        if state.points_signed && !signs && facts.policy.production_promotion.approvals_signed {
            return Err(Rejection::NotAllowed(format!(
                "the run {} was begun with a signature, and {name} has no key here to sign what is \
                 recorded of it; `annals actor list` shows whose keys count",
                state.experiment_id
            )));
        }
    }
    if let RunCommand::Resume { step, checkpoint, environment, trainer } = command {
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
        let (attempt, environment) = (state.attempt + 1, *environment);
        return Ok(vec![RunResumed { attempt, step, checkpoint, environment, trainer }.into()]);
    }
    if let RunCommand::Reproduce(reproduced) = command {
        if state.status != RunStatus::Finished || state.id == Some(reproduced.by) {
            return Err(Rejection::WrongState {
                what: format!("run {}", state.experiment_id),
                state: state.status.word().into(),
                wanted: "only a finished one is reproduced, by another run".into(),
            });
        }
        return Ok(vec![RunReproduced::from(*reproduced).into()]);
    }
    state.must_run()?;
    let attempt = state.attempt;
    match command {
        RunCommand::RecordMetrics(batch) => {
            if let Some(point) = batch.points().find(|p| !p.value.is_finite()) {
                let name = batch.keys.get(usize::from(point.key)).map_or("?", |k| &k.name);
                return Err(not_finite(name, point.value, point.step));
            }
            Ok(vec![MetricsRecorded { attempt, batch }.into()])
        }
        RunCommand::Plan { steps, epochs, resumed_at_step } => {
            Ok(vec![RunPlanned { attempt, steps, epochs, resumed_at_step }.into()])
        }
        RunCommand::NoteUnrecorded(UnrecordedValues { series, .. }) if series.is_empty() => {
            Ok(vec![])
        }
        RunCommand::NoteUnrecorded(UnrecordedValues { series, others }) => {
            Ok(vec![MetricsUnrecorded { attempt, series, others }.into()])
        }
        RunCommand::SaveCheckpoint { step, epoch, path, digest, bytes, best } => {
            let saved = TrainCheckpointSaved { attempt, step, epoch, path, digest, bytes, best };
            Ok(vec![saved.into()])
        }
        RunCommand::PruneCheckpoint { step, path } => {
            Ok(vec![TrainCheckpointPruned { step, path }.into()])
        }
        RunCommand::StoreArtifact(file) => Ok(vec![file.stored().into()]),
        RunCommand::End(ending) => end(state, ending, facts),
        RunCommand::Start(..)
        | RunCommand::Resume { .. }
        | RunCommand::Reproduce(_)
        | RunCommand::Edit(_)
        | RunCommand::AllowArchive(_)
        | RunCommand::AllowRemoval(_)
        | RunCommand::AllowRestore
        | RunCommand::NoteMoved(..) => Ok(vec![]),
    }
}

fn end(state: &RunState, ending: Ending, facts: &RunFacts<'_>) -> Result<Vec<RunEvent>, Rejection> {
    let attempt = state.attempt;
    match ending {
        Ending::Finish(finished) => {
            if let Some(metric) = finished.metrics.iter().find(|m| !m.value.is_finite()) {
                return Err(not_finite(&metric.key.name, metric.value, finished.steps));
            }
            let finished: RunEvent = finished.finished(attempt).into();
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
