//! Promotion: asked for, agreed to, refused, carried out. The decision and the plan of the move
//! are in the log before the first file is copied, and the end after the last.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::app::models::model_files::{MEASURED, Production, Record, papers};
use crate::app::models::production::in_production;
pub(in crate::app) use crate::app::models::promotion_facts::PromotionFacts;
use crate::app::models::repair::FolderDamage;
use crate::app::moves;
use crate::app::runs::run_files::{Location, RecordedFile, files_of_state};
use crate::app::runs::train::ensemble;
use crate::app::{Error, ErrorKind, Mode, Result, Session, Workspace, fold_registry, models, runs};
use crate::base::{Digest, FileDigests, MoveId, RequestId, RunId};
use crate::domain::IdentityLevel;
use crate::domain::file_move::{MoveMode, MovePlan, MovePurpose, MovedFile};
use crate::domain::policy::assess;
use crate::domain::registry::{self, RegistryCommand, RegistryStream};
use crate::domain::run::{NOT_STATED, Unstated};
use crate::domain::{Provenance, Rejection, RuleResult};
use crate::effect::{self, EffectError};
use crate::model::{MODEL_FILES, ModelFile, SIDE_FILES};

/// What goes into production besides them. README.md is written anew, with what a promotion adds.
const PAPERS: [(&str, &str); 2] =
    [("training_info", "training_info.json"), (CARD, "model_card.md")];

/// The model card of the run itself.
const CARD: &str = "model_card";

/// How a run shall be promoted.
#[derive(Clone, Debug, Default)]
pub struct PromoteOptions {
    /// The production name; `<experiment name>_v<n>` with the first free number if none is given.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What the model is meant for.
    pub intended_use: Option<String>,
    /// What it must not be used for or cannot do.
    pub limits: Option<String>,
    /// Only ask: others approve.
    pub request_only: bool,
    /// Whether the name may be in production; the run then becomes its next version.
    pub replace: bool,
}

/// What a promotion did, or would do.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Promoted {
    /// The run's unique name.
    pub experiment_id: String,
    /// The production name.
    pub name: String,
    /// The request.
    pub request: RequestId,
    /// Whether this is a plan, and nothing was changed.
    pub dry_run: bool,
    /// Whether this promotion opens the request.
    #[serde(skip)]
    pub(in crate::app) opened: bool,
    /// The move, unless it was only asked for.
    pub plan: Option<MovePlan>,
    /// How the folder that is replaced differs from its record.
    pub damage: FolderDamage,
    /// Rules about facts that nobody stated; the policy does not refuse such a run.
    pub not_stated: Vec<String>,
}

/// A request that somebody approved.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Decided {
    /// The production name asked for.
    pub name: String,
    /// The approvals so far.
    pub approvals: Vec<ApprovalLine>,
    /// How many must.
    pub needed: u32,
    /// What people must do, in one line.
    pub terms: String,
    /// The unique name of the run.
    pub run: String,
}

/// One approval of a request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ApprovalLine {
    /// Who approved.
    pub approver: String,
    /// `claimed` or `signed`.
    pub identity: IdentityLevel,
}

/// A request that somebody rejected.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Rejected {
    /// The production name asked for.
    pub name: String,
    /// Always true.
    pub rejected: bool,
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

/// What [`promote`] would do now.
///
/// # Errors
/// As [`promote`]; nothing is recorded.
fn plan_promotion(workspace: &Workspace, run: RunId, options: &PromoteOptions) -> Result<Promoted> {
    let key = workspace.signer()?.and_then(|(own, _)| own);
    workspace.store.read(|log| {
        let mut facts = PromotionFacts::read(log, run, &workspace.caller.actor, key)?;
        let planned = decide_promotion(workspace, &mut facts, options).map_err(|r| r.error)?;
        planned.plan.as_ref().map_or(Ok(()), |plan| moves::refuse_other_change(log, plan))?;
        Ok(planned)
    })
}

/// Promotes a run: opens a request, approves it where the rules let the actor, copies the files and
/// records the promotion.
///
/// # Errors
/// [`ErrorKind::Rejected`] when a rule refuses, which is then in the log with its numbers.
pub fn promote(
    workspace: &Workspace,
    run: RunId,
    options: &PromoteOptions,
    mode: Mode,
) -> Result<Promoted> {
    if mode == Mode::DryRun {
        return plan_promotion(workspace, run, options);
    }
    let session = workspace.begin("promote")?;
    let result = promote_in(workspace, &session, run, options);
    let promoted = workspace.refreshed(session.finish_with(result))?;
    Ok(Promoted { dry_run: false, ..promoted })
}

fn promote_in(
    workspace: &Workspace,
    session: &Session<'_>,
    run: RunId,
    options: &PromoteOptions,
) -> Result<Promoted> {
    let mut refused = None;
    let decided = session.transact(|tx| {
        let mut facts = PromotionFacts::read(tx.log(), run, &workspace.caller.actor, tx.key())?;
        let name = facts.name(workspace.layout.kind, options.name.as_deref());
        let decided = decide_promotion(workspace, &mut facts, options).and_then(|decided| {
            let plan = decided.plan.as_ref();
            plan.map_or(Ok(()), |plan| moves::refuse_other_change(tx.log(), plan))?;
            Ok(decided)
        });
        match decided {
            Ok(mut promoted) => {
                tx.append(&mut facts.registry)?;
                if let Some(plan) = &promoted.plan {
                    promoted.damage.lost =
                        models::secure_present(workspace, tx.log(), &promoted.name)?;
                    keep_papers(workspace, &facts, plan)?;
                    moves::append(tx, plan)?;
                }
                Ok(Some(promoted))
            }
            Err(refusal) => {
                let (message, failed) = (refusal.error.to_string(), refusal.failed);
                let command = RegistryCommand::Refuse { run, name, message, failed };
                // What was decided before the refusal is dropped with its draft.
                tx.decide::<RegistryStream>((), command, &facts.of_registry())?;
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
        match moves::execute(workspace, session, plan) {
            Ok(executed) => promoted.damage.kept = executed.kept,
            Err(error) => {
                if promoted.opened {
                    withdraw(workspace, session, run, promoted.request, &error);
                }
                return Err(error);
            }
        }
    }
    Ok(promoted)
}

/// Closes a request that was opened by a promotion that failed: left open, it would bar the
/// run from another name, and the next `undo`.
fn withdraw(
    workspace: &Workspace,
    session: &Session<'_>,
    run: RunId,
    request: RequestId,
    why: &Error,
) {
    let reason = format!("withdrawn, since its promotion failed: {why}");
    let withdrawn = session.transact_patiently(|tx| {
        let mut facts = PromotionFacts::read(tx.log(), run, &workspace.caller.actor, tx.key())?;
        facts.decide(RegistryCommand::Reject { request, reason })?;
        tx.append(&mut facts.registry)
    });
    // Where the log cannot be written, the request stays open; the failure itself is returned.
    drop(withdrawn);
}

/// Decides on a promotion up to the plan of its move. Everything that would refuse the move
/// itself is judged here, before a request is opened.
fn decide_promotion(
    workspace: &Workspace,
    facts: &mut PromotionFacts,
    options: &PromoteOptions,
) -> Result<Promoted, Refused> {
    let run =
        facts.run.id.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such run"))?;
    facts.refuse_violations()?;
    facts.files.refuse_removed()?;
    let open = facts.registry.open_request_of(run);
    let open = open.map(|(id, request)| (id, request.requested.name.clone()));
    let (request, name, opened) = match open {
        Some((request, name))
            if !options.request_only && options.name.as_ref().is_none_or(|n| *n == name) =>
        {
            if options.intended_use.is_some() || options.limits.is_some() {
                return Err(stated_late(request, &name).into());
            }
            (request, name, false)
        }
        _ => {
            let (request, name) = (
                RequestId(workspace.env.random()),
                facts.name(workspace.layout.kind, options.name.as_deref()),
            );
            let command = RegistryCommand::Request {
                request,
                name: name.clone(),
                reason: options.reason.clone(),
                intended_use: options.intended_use.clone(),
                limits: options.limits.clone(),
                replace: options.replace,
            };
            let waiting = facts.waiting(run, &name);
            facts.decide(command).map_err(|rejection| {
                let mut refused = Refused::from(rejection);
                if refused.error.kind == ErrorKind::Conflict {
                    let exists = facts.registry.production.contains_key(&name);
                    let hint = waiting.unwrap_or_else(|| match exists {
                        true => REPLACE_OR_RENAME.to_owned(),
                        false => other_name(),
                    });
                    refused.error.hints.push(hint);
                }
                refused
            })?;
            (request, name, true)
        }
    };
    let mut plan = plan_files(workspace, facts, run, request, &name)?;
    if !facts.registry.production.contains_key(&name)
        && let Some(taken) = effect::taken(&workspace.inside(&plan.to)?).map_err(Error::from)?
    {
        return Err(Error::from(EffectError::TargetExists(taken)).hint(other_name()).into());
    }
    let rules = assess(&facts.policy.policy, &facts.run).rules;
    let not_stated = rules.into_iter().filter(|rule| rule.passed && rule.found == NOT_STATED);
    let mut promoted = Promoted {
        experiment_id: facts.run.experiment_id.clone(),
        name: name.clone(),
        request,
        dry_run: true,
        opened,
        plan: None,
        damage: FolderDamage::default(),
        not_stated: not_stated.map(|rule| rule.rule.into_owned()).collect(),
    };
    if !options.request_only {
        let rules = &facts.policy.policy.production_promotion;
        let by_me = facts.approvals(request).iter().any(|a| a.approver == facts.actor);
        if rules.require_manual_approval && !by_me {
            let reason = options.reason.clone();
            // Who may not approve may still carry out what others approved.
            let _ = facts.decide(RegistryCommand::Approve { request, reason });
        }
        let granted = facts.decide(RegistryCommand::Grant { request, replace: options.replace });
        granted.map_err(|rejection| {
            let Refused { error, failed } = rejection.into();
            Refused { error: facts.with_void(error), failed }
        })?;
        // They name who approved.
        add_papers(workspace, facts, &mut plan);
        promoted.plan = Some(plan);
        promoted.damage = models::damage_of(workspace, in_production(&facts.registry, &name));
    }
    Ok(promoted)
}

fn plan_files(
    workspace: &Workspace,
    facts: &PromotionFacts,
    run: RunId,
    request: RequestId,
    name: &str,
) -> Result<MovePlan> {
    let state = &facts.run;
    let mut files: Vec<MovedFile> = Vec::new();
    let of_members = state.artifacts.keys().filter(|name| ensemble::is_of_member(name));
    let of_members = of_members.map(|name| (name.as_str(), name.as_str()));
    let of_model = |file: ModelFile| (file.artifact(), file.file_name());
    let model = MODEL_FILES.into_iter().map(of_model).chain(PAPERS);
    for (what, target) in model.chain(SIDE_FILES.into_iter().map(of_model)).chain(of_members) {
        // The card that training wrote is in README.md whole; a script's is the script's own.
        if what == CARD && state.provenance == Some(Provenance::Engine) {
            continue;
        }
        if let Some(artifact) = state.artifacts.get(what)
            && let Some(source) = &artifact.path
            && let target = like(target, source)
            && !files.iter().any(|file| file.path == target)
        {
            files.push(MovedFile {
                path: target,
                source: source.clone(),
                digest: artifact.digest,
                sha256: artifact.sha256,
                bytes: artifact.bytes,
            });
        }
    }
    runs::model_available(workspace, &facts.files, &files_of_state(state))?;
    // What is promoted is what was recorded, not what is in the folder by now.
    for file in &mut files {
        let recorded = RecordedFile { name: &file.path, path: &file.source, digest: file.digest };
        match runs::locate(workspace, &facts.files, recorded)? {
            // Of runs of old days it was not recorded.
            Location::Blob if file.sha256.is_none() => {
                file.sha256 = Some(workspace.blobs.sha256(file.digest)?.0);
            }
            Location::Blob => {}
            Location::Pack(pack) => {
                let id = &state.experiment_id;
                let message = format!("{} of {id} is in {} alone", file.source, pack.file());
                return Err(Error::new(ErrorKind::Rejected, message)
                    .hint(format!("`annals restore {id}` unpacks it")));
            }
            Location::Folder(path) => {
                let digest = file.digest;
                let found = effect::digests(&path)?;
                if found.is_some_and(|found| !found.are(digest, file.sha256)) {
                    let message = format!(
                        "{} was changed after it was recorded: {digest} is in the log",
                        path.display()
                    );
                    return Err(Error::new(ErrorKind::Integrity, message).hint(format!(
                        "the recorded bytes are in .annals/blobs/{}/{digest}",
                        digest.short(2)
                    )));
                }
                file.sha256 = file.sha256.or(found.map(|found| found.sha256));
            }
        }
    }
    Ok(MovePlan {
        id: MoveId(workspace.env.random()),
        purpose: MovePurpose::Promotion { request, run, name: name.to_owned() },
        mode: MoveMode::Copy,
        from: state.folder.clone(),
        to: workspace.layout.model(name),
        files,
    })
}

/// Adds the papers that annals writes itself to the plan of a move.
fn add_papers(workspace: &Workspace, facts: &PromotionFacts, plan: &mut MovePlan) {
    for (path, bytes) in papers_of(workspace, facts, &plan.purpose) {
        if !plan.files.iter().any(|file| file.path == path) {
            let FileDigests { blake3, sha256 } = FileDigests::of(&bytes);
            let size = bytes.len() as u64;
            plan.files.push(effect::from_blobs(path, blake3, Some(sha256), size));
        }
    }
}

/// Puts the papers that annals writes itself into the blob store, from where a move takes them.
fn keep_papers(workspace: &Workspace, facts: &PromotionFacts, plan: &MovePlan) -> Result<()> {
    for (path, bytes) in papers_of(workspace, facts, &plan.purpose) {
        let digest = Digest::of(&bytes);
        if plan.files.iter().any(|file| file.path == path && file.digest == digest) {
            workspace.blobs.put(&bytes)?;
        }
    }
    Ok(())
}

/// The papers that the record makes, by file name.
fn papers_of(
    workspace: &Workspace,
    facts: &PromotionFacts,
    purpose: &MovePurpose,
) -> Vec<(&'static str, Vec<u8>)> {
    let MovePurpose::Promotion { request, name, .. } = purpose else { return vec![] };
    let Some(started) = &facts.started else { return vec![] };
    let run = &facts.run;
    // A file that is gone leaves out what only it knew.
    let json = |artifact: &str| {
        let bytes = run.artifacts.get(artifact).map(|file| workspace.blobs.get(file.digest));
        let bytes = bytes.and_then(std::result::Result::ok).unwrap_or_default();
        serde_json::from_slice::<Value>(&bytes).unwrap_or_default()
    };
    let mut measured = Map::new();
    if let Value::Object(info) = json("training_info") {
        measured.extend(info.into_iter().filter(|(key, _)| MEASURED.contains(&key.as_str())));
    }
    let record = Record {
        started,
        finished: facts.finished.as_ref(),
        provenance: run.provenance,
        trainer: format!("{} ({})", facts.trainer, IdentityLevel::signed(facts.trainer_signed)),
        began: facts.began,
        seed: run.stated(Unstated::Seed).then_some(started.seed),
        leaked_rows: run.stated(Unstated::LeakedRows).then_some(run.leaked_rows),
        synthetic: run.origin_known().then_some(run.synthetic),
        report: json("data_report"),
        measured,
        artifacts: run.artifacts.keys().cloned().collect(),
    };
    let versions = facts.registry.versions(name);
    let open = facts.registry.requests.get(request);
    let requested = open.map(|request| &request.requested);
    let approvals = facts.approvals(*request).into_iter();
    let approvals =
        approvals.map(|a| format!("{} ({})", a.approver, IdentityLevel::signed(a.key.is_some())));
    let production = Production {
        name: name.to_owned(),
        number: u32::try_from(versions.len()).map_or(u32::MAX, |n| n.saturating_add(1)),
        version: registry::next_version(versions, registry::Bump::Minor),
        promoter: format!("{} ({})", facts.actor, IdentityLevel::signed(facts.key.is_some())),
        approvals: approvals.collect(),
        reason: requested.and_then(|requested| requested.reason.clone()),
        intended_use: requested.and_then(|requested| requested.intended_use.clone()),
        limits: requested.and_then(|requested| requested.limits.clone()),
        policy_revision: facts.policy.revision(),
        rules: assess(&facts.policy.policy, run).rules,
    };
    papers(&record, run, &production)
}

/// Approves a request.
///
/// # Errors
/// [`ErrorKind::Rejected`] when the actor may not, or files of the run cannot be had, which is
/// then in the log.
pub fn approve(
    workspace: &Workspace,
    request: RequestId,
    run: RunId,
    reason: Option<String>,
) -> Result<Decided> {
    decide_request(workspace, "approve", run, request, RegistryCommand::Approve { request, reason })
}

/// Rejects a request, for a reason.
///
/// # Errors
/// When the request is closed or the reason is empty.
pub fn reject(
    workspace: &Workspace,
    request: RequestId,
    run: RunId,
    reason: String,
) -> Result<Rejected> {
    let command = RegistryCommand::Reject { request, reason };
    let decided = decide_request(workspace, "reject", run, request, command)?;
    Ok(Rejected { name: decided.name, rejected: true })
}

fn decide_request(
    workspace: &Workspace,
    verb: &'static str,
    run: RunId,
    request: RequestId,
    command: RegistryCommand,
) -> Result<Decided> {
    let decided = workspace.decide(verb, |tx| {
        // The run of the request, as the log has it.
        let requested = fold_registry(tx.log())?;
        let requested = requested.requests.get(&request).map(|found| found.requested.run);
        let run = requested.unwrap_or(run);
        let mut facts = PromotionFacts::read(tx.log(), run, &workspace.caller.actor, tx.key())?;
        if matches!(command, RegistryCommand::Approve { .. }) {
            facts.files.refuse_removed()?;
            runs::model_available(workspace, &facts.files, &files_of_state(&facts.run))?;
        }
        facts.decide(command)?;
        tx.append(&mut facts.registry)?;
        let found = facts.registry.requests.get(&request);
        let rules = &facts.policy.policy.production_promotion;
        let approvals = facts.approvals(request).into_iter();
        Ok(Decided {
            name: found.map(|r| r.requested.name.clone()).unwrap_or_default(),
            approvals: approvals
                .map(|a| ApprovalLine {
                    approver: a.approver.clone(),
                    identity: IdentityLevel::signed(a.key.is_some()),
                })
                .collect(),
            needed: rules.approvals,
            terms: rules.approval_terms(),
            run: facts.run.experiment_id.clone(),
        })
    });
    match decided {
        Ok(decided) => {
            workspace.refresh()?;
            Ok(decided)
        }
        Err(error) => {
            if error.kind == ErrorKind::Rejected {
                workspace.refuse(verb, &error)?;
            }
            Err(error)
        }
    }
}

/// Refuses statements about a model that come after the request for it was made.
fn stated_late(request: RequestId, name: &str) -> Error {
    let message = format!(
        "request {request} for {name} was made already; intended use and limits are stated in the \
         request, before anybody approves it"
    );
    Error::new(ErrorKind::Rejected, message)
        .hint(format!("`annals reject {request} --reason WHY`, then request it again with them"))
}

/// The ways on where a name is taken by a model in production.
const REPLACE_OR_RENAME: &str = "--replace makes this run the next version of it; --as chooses \
                                 another name";

fn other_name() -> String {
    "choose another name with --as".into()
}

/// `target` with the ending of `source`: other trainers keep other formats under the same words.
fn like(target: &str, source: &str) -> String {
    let ending = |path: &str| path.rsplit('/').next()?.rsplit_once('.').map(|(_, e)| e.to_owned());
    let (Some(theirs), Some((stem, _))) = (ending(source), target.rsplit_once('.')) else {
        return target.to_owned();
    };
    format!("{stem}.{theirs}")
}

impl From<EffectError> for Error {
    fn from(error: EffectError) -> Self {
        let message = error.to_string();
        match error {
            EffectError::Io { source, .. } => Self::caused(ErrorKind::Io, message, source),
            EffectError::NotPlain(_) => Self::new(ErrorKind::Data, message),
            EffectError::TargetExists(_) => Self::new(ErrorKind::Conflict, message),
            EffectError::Path(_) | EffectError::Changed { .. } => {
                Self::new(ErrorKind::Integrity, message)
            }
        }
    }
}
