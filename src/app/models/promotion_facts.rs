//! What a decision about a promotion looks at: the run and its files, the rules, requests and
//! approvals, read in one transaction.

use std::collections::BTreeSet;

use crate::app::core::admitted::{admitted, people, violations};
use crate::app::core::draft::Draft;
use crate::app::runs::run_files::RunFiles;
use crate::app::workspace::actors::vouched;
use crate::app::workspace::layout::model_name;
use crate::app::{Error, ErrorKind, Result, fold_policy, fold_registry, fold_run};
use crate::base::{RequestId, RunId, Split, Timestamp, counted};
use crate::domain::history::{Violation, is_proven};
use crate::domain::metric::FinalMetric;
use crate::domain::policy::PolicyState;
use crate::domain::registry::{
    Approval, Originals, RegistryCommand, RegistryEvent, RegistryFacts, RegistryState,
    RegistryStream, RequestStatus, approvals_that_count,
};
use crate::domain::run::{RunEvent, RunFinished, RunStarted, RunState};
use crate::domain::workspace::{LayoutKind, WorkspaceEvent};
use crate::domain::{Decider as _, Envelope, Event, Rejection, StreamId};
use crate::store::{Access, View};

/// Everything a decision about a promotion looks at, read in one transaction.
pub(in crate::app) struct PromotionFacts {
    pub(in crate::app) run: RunState,
    /// How the run began.
    pub(in crate::app) started: Option<RunStarted>,
    /// How it ended, if it finished.
    pub(in crate::app) finished: Option<RunFinished>,
    pub(in crate::app) began: Option<Timestamp>,
    pub(in crate::app) policy: PolicyState,
    pub(in crate::app) registry: Draft<RegistryStream>,
    pub(in crate::app) trainer: String,
    pub(in crate::app) trainer_signed: bool,
    pub(in crate::app) actor: String,
    pub(in crate::app) key: Option<u64>,
    vouched: BTreeSet<u64>,
    originals: Originals,
    /// Where the run's files are.
    pub(in crate::app) files: RunFiles,
    /// Events of the run that were not allowed.
    violations: Vec<Violation>,
    /// Approvals from before a redaction of the run's files; they do not count.
    void: Option<VoidApprovals>,
}

/// Approvals that do not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct VoidApprovals {
    /// The event that redacted a file of the run last.
    pub(in crate::app) redaction: u64,
    /// Who approved before.
    pub(in crate::app) approvers: BTreeSet<String>,
}

impl PromotionFacts {
    /// `key` is the one that signs the decision.
    pub(in crate::app) fn read<A: Access>(
        log: &View<A>,
        run: impl Into<Option<RunId>>,
        actor: &str,
        key: Option<u64>,
    ) -> Result<Self> {
        let run: Option<RunId> = run.into();
        let events = run.map_or(Ok(vec![]), |run| admitted(log, run))?;
        let finished = events.iter().rev().find_map(|envelope| match envelope.event() {
            Ok(Event::Run(RunEvent::Finished(finished))) => Some(finished),
            _ => None,
        });
        let first = events.into_iter().next();
        let (trainer, trainer_signed) = trainer_of(log, first.as_ref())?;
        let began = first.as_ref().map(|first| first.header.dated());
        let started = first.and_then(|first| match first.event() {
            Ok(Event::Run(RunEvent::Started(started))) => Some(started),
            _ => None,
        });
        let run = run.map_or(Ok(RunState::default()), |run| fold_run(log, run))?;
        let files = RunFiles::of_state(log, &run)?;
        let violations = run.id.map_or(Ok(vec![]), |run| violations(log, run))?;
        let (registry, void) = registry_for(log, &run, &files)?;
        let registry = Draft::of_state(log, (), registry)?;
        Ok(Self {
            started,
            finished,
            began,
            run,
            policy: fold_policy(log)?,
            registry,
            files,
            violations,
            void,
            trainer,
            trainer_signed,
            actor: actor.to_owned(),
            key,
            vouched: vouched(log)?,
            originals: people(log)?.originals(),
        })
    }

    pub(in crate::app) fn decide(&mut self, command: RegistryCommand) -> Result<(), Rejection> {
        // A refused decision leaves the draft as it was.
        let mut registry = self.registry.clone();
        registry.decide(command, &self.of_registry())?;
        self.registry = registry;
        Ok(())
    }

    /// Refuses a run whose record somebody wrote into past the rules.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] with the first such event.
    pub(in crate::app) fn refuse_violations(&self) -> Result<()> {
        let Some(first) = self.violations.first() else { return Ok(()) };
        let (id, count) = (&self.run.experiment_id, self.violations.len());
        let message = format!(
            "{id} has {} that {} not allowed; the first is event {}, {} by {}: {}",
            counted(count, "event"),
            if count == 1 { "was" } else { "were" },
            first.position,
            first.kind.name(),
            first.actor,
            first.reason
        );
        Err(Error::new(ErrorKind::Integrity, message)
            .hint("its record cannot be relied on: train it again, or look into who wrote that"))
    }

    /// The approvals of a request that count as things are now.
    pub(in crate::app) fn approvals(&self, request: RequestId) -> Vec<&Approval> {
        let found = self.registry.requests.get(&request);
        found.map_or(vec![], |found| approvals_that_count(found, &self.of_registry()))
    }

    /// What the decider of the registry looks at.
    pub(in crate::app) fn of_registry(&self) -> RegistryFacts<'_> {
        RegistryFacts {
            policy: &self.policy.policy,
            policy_revision: self.policy.revision(),
            promotion_revision: self.policy.promotion_revision,
            originals: &self.originals,
            actor: &self.actor,
            run: &self.run,
            trainer: &self.trainer,
            trainer_signed: self.trainer_signed,
            key: self.key,
            vouched: &self.vouched,
        }
    }

    /// The given name, else the first free `<experiment name>_v<n>`; in the layout
    /// `training-output` `<model type>_v<auc>`, with the date where that is taken.
    pub(in crate::app) fn name(&self, layout: LayoutKind, given: Option<&str>) -> String {
        let taken = |name: &String| {
            let same = |other: &String| other.to_lowercase() == name.to_lowercase();
            self.registry.production.keys().any(same)
                || self.registry.requests.values().any(|r| same(&r.requested.name))
        };
        let numbered = |n: u32| format!("{}_v{n}", self.run.name);
        let by_auc = self.started.as_ref().zip(self.auc());
        let by_auc =
            by_auc.filter(|_| layout == LayoutKind::TrainingOutput).map(|(started, auc)| {
                let name = model_name(&started.config_name, auc, None);
                let dated = model_name(&started.config_name, auc, self.began);
                [name, dated]
            });
        let free = by_auc.into_iter().flatten().chain((1..).map(numbered));
        given.map_or_else(
            || free.into_iter().find(|name| !taken(name)).unwrap_or_default(),
            str::to_owned,
        )
    }

    /// The open request that bars a request for `run` as `name`, and what to do about it.
    pub(in crate::app) fn waiting(&self, run: RunId, name: &str) -> Option<String> {
        let open = self.registry.requests.iter().find(|(_, r)| {
            r.status == RequestStatus::Open && (r.requested.run == run || r.requested.name == name)
        });
        open.map(|(id, r)| {
            let id = id.short(8);
            format!(
                "`annals reject {id} --reason WHY` closes the request for {}, `annals approve \
                 {id}` agrees to it",
                r.requested.name
            )
        })
    }

    /// A refusal for want of approvals, with those that were given before a redaction.
    pub(in crate::app) fn with_void(&self, mut error: Error) -> Error {
        if let Some(void) = &self.void {
            let approvers: Vec<&str> = void.approvers.iter().map(String::as_str).collect();
            error.hints.push(format!(
                "files of {} were redacted at event {}: the approvals of {} from before are void",
                self.run.experiment_id,
                void.redaction,
                approvers.join(", ")
            ));
        }
        error
    }

    /// The area under the ROC curve on the test rows, else on the valid ones.
    fn auc(&self) -> Option<f64> {
        [Split::Test, Split::Valid].into_iter().find_map(|split| {
            let of = |m: &&FinalMetric| {
                (m.key.name == "roc_auc" || m.key.name == "auc") && m.key.split == Some(split)
            };
            self.run.metrics.iter().find(of).map(|metric| metric.value)
        })
    }
}

/// The registry without the approvals of requests for `run` that were given before files of it were
/// redacted: people approved what it was then.
fn registry_for<A: Access>(
    log: &View<A>,
    run: &RunState,
    files: &RunFiles,
) -> Result<(RegistryState, Option<VoidApprovals>)> {
    let redactions = run.artifacts.values().filter_map(|file| files.redacted_at(file.digest));
    let (Some(redaction), Some(id)) = (redactions.max(), run.id) else {
        return Ok((fold_registry(log)?, None));
    };
    let (mut state, mut approvers) = (RegistryState::default(), BTreeSet::new());
    for envelope in admitted(log, StreamId::REGISTRY)? {
        let Ok(Event::Registry(event)) = envelope.event() else { continue };
        if let RegistryEvent::Approved(approved) = &event
            && envelope.header.position < redaction
            && state
                .requests
                .get(&approved.request)
                .is_some_and(|r| r.requested.run == id && r.status == RequestStatus::Open)
        {
            approvers.insert(approved.approver.clone());
            continue;
        }
        RegistryStream::evolve(&mut state, &event, &envelope.header);
    }
    let void = (!approvers.is_empty()).then_some(VoidApprovals { redaction, approvers });
    Ok((state, void))
}

/// Who started a run, by name, and whether a key that counted then signed that.
fn trainer_of<A: Access>(log: &View<A>, first: Option<&Envelope>) -> Result<(String, bool)> {
    let Some(first) = first else { return Ok((String::new(), false)) };
    let name = match log.event(first.header.actor)?.event() {
        Ok(Event::Workspace(WorkspaceEvent::ActorRegistered(actor))) => actor.name,
        _ => format!("actor {}", first.header.actor),
    };
    let proven = is_proven(&people(log)?, log, &first.header, &|| first.payload.digest());
    Ok((name, proven))
}
