//! Promotion: asked for, agreed to, refused, carried out. The decision and the plan of the move
//! are in the log before the first file is copied, and the end after the last.

use std::collections::BTreeSet;

use super::actors::vouched;
use super::layout::model_name;
use super::papers::papers;
use super::production::in_production;
use super::repair::FolderDamage;
use super::session::{Tx, signing_key};
use super::train::ensemble;
use super::{App, Error, ErrorKind, Result, Session, fold_policy, fold_registry, fold_run};
use crate::base::{MoveId, RequestId, RunId, Split, Timestamp};
use crate::domain::file_move::{
    self, MoveCommand, MoveMode, MovePlanned, MovePurpose, MoveState, MovedFile,
};
use crate::domain::metric::FinalMetric;
use crate::domain::policy::PolicyState;
use crate::domain::registry::{
    self, PromotionRefused, RegistryCommand, RegistryEvent, RegistryFacts, RegistryState,
};
use crate::domain::run::{RunEvent, RunStarted, RunState};
use crate::domain::workspace::{LayoutKind, WorkspaceEvent};
use crate::domain::{Envelope, Event, Fold as _, Provenance, Rejection, RuleResult, StreamId};
use crate::effect::{self, EffectError};
use crate::projection::files::Regenerated;
use crate::store::{Access, View};

/// The files a model is asked with: what they are as artifacts of a run, and their name elsewhere.
pub(super) const ASKED: [(&str, &str); 10] = [
    (ensemble::ARTIFACT, ensemble::MANIFEST),
    ("weights", "model.safetensors"),
    ("config", "config.yaml"),
    ("vocabulary", "vocab.txt"),
    ("concepts", "concepts.tsv"),
    ("tokenizer", "tokenizer.json"),
    ("vectorizer", "vectorizer.json"),
    ("scaler", "scaler.json"),
    ("labels", "labels.json"),
    ("thresholds", "thresholds.json"),
];

/// What goes into production besides them.
const PROMOTED: [(&str, &str); 5] = [
    ("training_info", "training_info.json"),
    ("model_card", "README.md"),
    ("config.json", "config.json"),
    ("tokenizer_config.json", "tokenizer_config.json"),
    ("special_tokens_map.json", "special_tokens_map.json"),
];

/// How a run shall be promoted.
#[derive(Clone, Debug, Default)]
pub struct PromoteOptions {
    /// The production name; `<experiment name>_v<n>` with the first free number if none is given.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Only ask: others approve.
    pub request_only: bool,
    /// Whether the name may be in production; the run then becomes its next version.
    pub replace: bool,
}

/// What a promotion did, or would do.
#[derive(Clone, Debug)]
pub struct Promoted {
    /// The run's unique name.
    pub experiment_id: String,
    /// The production name.
    pub name: String,
    /// The request.
    pub request: RequestId,
    /// The move, unless it was only asked for.
    pub plan: Option<MovePlanned>,
    /// How the folder that is replaced differs from its record.
    pub damage: FolderDamage,
    /// Registry files that somebody had edited.
    pub regenerated: Regenerated,
}

/// A decided request.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The production name asked for.
    pub name: String,
    /// Who has approved so far, and whether that is signed.
    pub approvals: Vec<(String, bool)>,
    /// How many must.
    pub needed: u32,
    /// What people must do, in one line.
    pub terms: String,
    /// The unique name of the run.
    pub run: String,
}

/// Everything a decision about a promotion looks at, read in one transaction.
pub(super) struct Facts {
    pub(super) run: RunState,
    /// How the run began.
    started: Option<RunStarted>,
    began: Option<Timestamp>,
    policy: PolicyState,
    pub(super) registry: RegistryState,
    trainer: String,
    trainer_signed: bool,
    actor: String,
    key: Option<u64>,
    vouched: BTreeSet<u64>,
}

impl Facts {
    /// `key` is the one that signs the decision.
    pub(super) fn read<A: Access>(
        log: &View<A>,
        run: RunId,
        actor: &str,
        key: Option<u64>,
    ) -> Result<Self> {
        let first = log.stream(run.into(), 0)?.into_iter().next();
        let (trainer, trainer_signed) = trainer_of(log, first.as_ref())?;
        let began = first.as_ref().map(|first| first.header.dated());
        let started = first.and_then(|first| match first.event() {
            Ok(Event::Run(RunEvent::Started(started))) => Some(started),
            _ => None,
        });
        Ok(Self {
            started,
            began,
            run: fold_run(log, run)?,
            policy: fold_policy(log)?,
            registry: fold_registry(log)?,
            trainer,
            trainer_signed,
            actor: actor.to_owned(),
            key,
            vouched: vouched(log)?,
        })
    }

    pub(super) fn decide(
        &mut self,
        command: RegistryCommand,
    ) -> Result<Vec<RegistryEvent>, Rejection> {
        let facts = RegistryFacts {
            policy: &self.policy.policy,
            policy_revision: self.policy.revision(),
            actor: &self.actor,
            run: &self.run,
            trainer: &self.trainer,
            trainer_signed: self.trainer_signed,
            key: self.key,
            vouched: &self.vouched,
        };
        let events = registry::decide(&self.registry, command, &facts)?;
        events.iter().for_each(|event| self.registry.evolve_from(event, self.key));
        Ok(events)
    }

    /// The given name, else the first free `<experiment name>_v<n>`; in the layout
    /// `training-output` `<model type>_v<auc>`, with the date where that is taken.
    fn name(&self, layout: LayoutKind, given: Option<&str>) -> String {
        let taken = |name: &String| {
            self.registry.production.contains_key(name)
                || self.registry.requests.values().any(|r| r.requested.name == *name)
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

/// Who started a run, by name, and whether that is signed.
fn trainer_of<A: Access>(log: &View<A>, first: Option<&Envelope>) -> Result<(String, bool)> {
    let Some(first) = first else { return Ok((String::new(), false)) };
    let name = match log.event(first.header.actor)?.event() {
        Ok(Event::Workspace(WorkspaceEvent::ActorRegistered(actor))) => actor.name,
        _ => format!("actor {}", first.header.actor),
    };
    Ok((name, signing_key(&first.header).is_some()))
}

/// A refused step: what the user reads, and what the log keeps.
struct Refused {
    error: Error,
    failed: Vec<RuleResult>,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        let failed = match &rejection {
            Rejection::Rules { failed, .. } => failed.clone(),
            _ => vec![],
        };
        Self { error: rejection.into(), failed }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, failed: vec![] }
    }
}

impl App {
    /// What [`Self::promote`] would do now.
    ///
    /// # Errors
    /// As [`Self::promote`]; nothing is recorded.
    pub fn plan_promotion(&self, run: RunId, options: &PromoteOptions) -> Result<Promoted> {
        let key = self.signer()?.and_then(|(own, _)| own);
        let mut facts = self.store.read(|log| Facts::read(log, run, &self.caller.actor, key))?;
        let decided = self.decide_promotion(&mut facts, options).map_err(|r| r.error)?;
        Ok(decided.1)
    }

    /// Promotes a run: asks, approves where the rules let the actor, copies the files, records it.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] when a rule refuses, which is then in the log with its numbers.
    pub fn promote(&self, run: RunId, options: &PromoteOptions) -> Result<Promoted> {
        let session = self.begin("promote")?;
        let result = self.promote_in(&session, run, options);
        let (promoted, regenerated) = self.refreshed(session.finish_with(result))?;
        Ok(Promoted { regenerated, ..promoted })
    }

    fn promote_in(
        &self,
        session: &Session<'_>,
        run: RunId,
        options: &PromoteOptions,
    ) -> Result<Promoted> {
        let mut refused = None;
        let decided = session.transact(|tx| {
            let mut facts = Facts::read(tx.log(), run, &self.caller.actor, tx.key())?;
            let name = facts.name(self.layout.kind, options.name.as_deref());
            match self.decide_promotion(&mut facts, options) {
                Ok((events, mut promoted)) => {
                    tx.append(StreamId::REGISTRY, &events, Provenance::Reported)?;
                    if let Some(plan) = &promoted.plan {
                        promoted.damage.lost = self.secure_present(tx.log(), &promoted.name)?;
                        self.append_plan(tx, plan)?;
                    }
                    Ok(Some(promoted))
                }
                Err(refusal) => {
                    let event = PromotionRefused {
                        run,
                        name,
                        policy_revision: facts.policy.revision(),
                        message: refusal.error.to_string(),
                        failed: refusal.failed,
                    };
                    tx.append(StreamId::REGISTRY, &[event.into()], Provenance::Reported)?;
                    refused = Some(refusal.error);
                    Ok(None)
                }
            }
        })?;
        let mut promoted = match (decided, refused) {
            (Some(promoted), _) => promoted,
            (None, Some(error)) => return Err(error),
            (None, None) => {
                return Err(Error::new(ErrorKind::Bug, "BUG: neither decided nor refused"));
            }
        };
        if let Some(plan) = &promoted.plan {
            promoted.damage.kept = self.carry_out(session, plan)?;
        }
        Ok(promoted)
    }

    /// The events of a promotion up to the plan of its move.
    fn decide_promotion(
        &self,
        facts: &mut Facts,
        options: &PromoteOptions,
    ) -> Result<(Vec<Event>, Promoted), Refused> {
        let run =
            facts.run.id.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such run"))?;
        let mut events: Vec<RegistryEvent> = Vec::new();
        let open = facts.registry.open_request_of(run);
        let open = open.map(|(id, request)| (id, request.requested.name.clone()));
        let (request, name) = match open {
            Some((request, name))
                if !options.request_only && options.name.as_ref().is_none_or(|n| *n == name) =>
            {
                (request, name)
            }
            _ => {
                let (request, name) = (
                    RequestId(self.env.random()),
                    facts.name(self.layout.kind, options.name.as_deref()),
                );
                let reason = options.reason.clone();
                let command = RegistryCommand::Request {
                    request,
                    name: name.clone(),
                    reason,
                    replace: options.replace,
                };
                events.extend(facts.decide(command)?);
                (request, name)
            }
        };
        let mut promoted = Promoted {
            experiment_id: facts.run.experiment_id.clone(),
            name: name.clone(),
            request,
            plan: None,
            damage: FolderDamage::default(),
            regenerated: Regenerated::default(),
        };
        if !options.request_only {
            let rules = &facts.policy.policy.production_promotion;
            let approved = facts.registry.requests.get(&request).map(|r| &r.approvals);
            let by_me = approved.is_some_and(|all| all.iter().any(|a| a.approver == facts.actor));
            if rules.require_manual_approval && !by_me {
                let reason = options.reason.clone();
                // Who may not approve may still carry out what others approved.
                if let Ok(approval) = facts.decide(RegistryCommand::Approve { request, reason }) {
                    events.extend(approval);
                }
            }
            facts.decide(RegistryCommand::Grant { request, replace: options.replace })?;
            promoted.plan = Some(self.plan_files(facts, run, request, &name)?);
            promoted.damage = self.damage_of(in_production(&facts.registry, &name));
        }
        Ok((events.into_iter().map(Event::from).collect(), promoted))
    }

    fn plan_files(
        &self,
        facts: &Facts,
        run: RunId,
        request: RequestId,
        name: &str,
    ) -> Result<MovePlanned> {
        let state = &facts.run;
        let mut files: Vec<MovedFile> = Vec::new();
        let of_members = state.artifacts.keys().filter(|name| ensemble::is_of_member(name));
        let of_members = of_members.map(|name| (name.as_str(), name.as_str()));
        for (what, target) in ASKED.into_iter().chain(PROMOTED).chain(of_members) {
            if let Some(artifact) = state.artifacts.get(what)
                && let Some(source) = &artifact.path
                && let target = like(target, source)
                && !files.iter().any(|file| file.path == target)
            {
                files.push(MovedFile {
                    path: target,
                    source: source.clone(),
                    digest: artifact.digest,
                    bytes: artifact.bytes,
                });
            }
        }
        // What is promoted is what was recorded, not what lies there by now.
        for file in &files {
            let path = self.inside_folder(&state.folder, &file.source)?;
            let (digest, blob) = (file.digest, self.blobs.contains(file.digest));
            match effect::has_digest(&path, digest)? {
                Some(true) => {}
                Some(false) => {
                    let message = format!(
                        "{} was changed after it was recorded: {digest} is in the log",
                        path.display()
                    );
                    return Err(Error::new(ErrorKind::Integrity, message).hint(format!(
                        "the recorded bytes are in .annals/blobs/{}/{digest}",
                        digest.short(2)
                    )));
                }
                None if blob => {}
                None => {
                    let message = format!("{} is gone, and no blob has its bytes", path.display());
                    return Err(Error::new(ErrorKind::Integrity, message));
                }
            }
        }
        for (path, bytes) in papers(state, facts.started.as_ref(), name) {
            if !files.iter().any(|file| file.path == path) {
                let digest = self.blobs.put(&bytes)?;
                files.push(effect::from_blobs(path, digest, bytes.len() as u64));
            }
        }
        Ok(MovePlanned {
            id: MoveId(self.env.random()),
            purpose: MovePurpose::Promotion { request, run, name: name.to_owned() },
            mode: MoveMode::Copy,
            from: state.folder.clone(),
            to: self.layout.model(name),
            files,
        })
    }

    /// Approves a request.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] when the actor may not, which is then in the log.
    pub fn approve(
        &self,
        request: RequestId,
        run: RunId,
        reason: Option<String>,
    ) -> Result<Decided> {
        self.decide_request("approve", run, request, RegistryCommand::Approve { request, reason })
    }

    /// Rejects a request, for a reason.
    ///
    /// # Errors
    /// When the request is closed or the reason is empty.
    pub fn reject(&self, request: RequestId, run: RunId, reason: String) -> Result<Decided> {
        self.decide_request("reject", run, request, RegistryCommand::Reject { request, reason })
    }

    fn decide_request(
        &self,
        verb: &'static str,
        run: RunId,
        request: RequestId,
        command: RegistryCommand,
    ) -> Result<Decided> {
        let decided = self.decide(verb, |tx| {
            let mut facts = Facts::read(tx.log(), run, &self.caller.actor, tx.key())?;
            let events = facts.decide(command)?;
            let events: Vec<Event> = events.into_iter().map(Event::from).collect();
            tx.append(StreamId::REGISTRY, &events, Provenance::Reported)?;
            let found = facts.registry.requests.get(&request);
            let rules = &facts.policy.policy.production_promotion;
            let approvals = found.iter().flat_map(|r| &r.approvals);
            Ok(Decided {
                name: found.map(|r| r.requested.name.clone()).unwrap_or_default(),
                approvals: approvals.map(|a| (a.approver.clone(), a.key.is_some())).collect(),
                needed: rules.approvals,
                terms: rules.approval_terms(),
                run: facts.run.experiment_id.clone(),
            })
        });
        match decided {
            Ok(decided) => {
                self.refresh()?;
                Ok(decided)
            }
            Err(error) => {
                if error.kind == ErrorKind::Rejected {
                    self.refuse(verb, &error, &[])?;
                }
                Err(error)
            }
        }
    }
}

/// `target` with the ending of `source`: other trainers keep other formats under the same words.
fn like(target: &str, source: &str) -> String {
    let ending = |path: &str| path.rsplit('/').next()?.rsplit_once('.').map(|(_, e)| e.to_owned());
    let (Some(theirs), Some((stem, _))) = (ending(source), target.rsplit_once('.')) else {
        return target.to_owned();
    };
    format!("{stem}.{theirs}")
}

/// The state of a move that is under way.
pub(super) fn planned_state(plan: &MovePlanned) -> MoveState {
    let mut state = MoveState::default();
    state.evolve(&plan.clone().into());
    state
}

pub(super) fn append_move(
    tx: &mut Tx<'_, '_>,
    state: &MoveState,
    id: MoveId,
    command: MoveCommand,
) -> Result<()> {
    let events = file_move::decide(state, command)?;
    let events: Vec<Event> = events.into_iter().map(Event::from).collect();
    tx.append(id, &events, Provenance::Reported)
}

impl From<EffectError> for Error {
    fn from(error: EffectError) -> Self {
        let message = error.to_string();
        match error {
            EffectError::Io { source, .. } => Self::caused(ErrorKind::Io, message, source),
            EffectError::NotPlain(_) => Self::new(ErrorKind::Data, message),
            EffectError::Path(_) => Self::new(ErrorKind::Integrity, message),
            EffectError::TargetExists(_) => {
                Self::new(ErrorKind::Conflict, message).hint("choose another name with --as")
            }
            EffectError::Changed { .. } => Self::new(ErrorKind::Integrity, message),
        }
    }
}
