//! The rules about promotions: what the policy asks of the run, how many must agree, who may, and
//! that a production name is never given twice.

use std::collections::BTreeSet;

use super::{
    Approval, Evidence, ModelAliasRemoved, ModelAliasSet, ModelDemoted, ModelFoundDamaged,
    ModelPromoted, ModelRelocated, ModelRepaired, ModelRolledBack, ModelVersion,
    ModelVersionBumped, Originals, PAPERS, ProductionModel, PromotedFile, PromotionApproved,
    PromotionRefused, PromotionRejected, PromotionRequested, RegistryCommand, RegistryEvent,
    RegistryState, Request, RequestStatus, next_version,
};
use crate::base::{MoveId, RequestId, RunId};
use crate::domain::policy::{Policy, assess};
use crate::domain::run::{RunState, RunStatus, is_model};
use crate::domain::{Decider, Event, Header, Identity, Name, Rejection, StreamId};

/// What a decision about a promotion needs to know beside the registry.
#[derive(Clone, Debug)]
pub struct RegistryFacts<'a> {
    /// The rules in force.
    pub policy: &'a Policy,
    /// Their revision.
    pub policy_revision: u64,
    /// The revision that changed the rules about promotions last.
    pub promotion_revision: u64,
    /// Digests of the run's files before a redaction renamed them.
    pub originals: &'a Originals,
    /// Who asks, by name.
    pub actor: &'a str,
    /// The run that the request is about.
    pub run: &'a RunState,
    /// Who trained it, by name.
    pub trainer: &'a str,
    /// Whether the start of the run was signed by the trainer.
    pub trainer_signed: bool,
    /// Position of the `key.created` event of the key that signs this decision, if one does.
    pub key: Option<u64>,
    /// The keys that somebody vouched for, by the same position.
    pub vouched: &'a BTreeSet<u64>,
}

impl RegistryFacts<'_> {
    /// What a promotion of the run rests on now.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence::of(self.run, self.promotion_revision, self.originals)
    }

    /// What a request rested on when it was made.
    fn requested(&self, request: &Request) -> Option<Evidence> {
        request.requested.evidence.clone().map(|fixed| fixed.original(self.originals))
    }
}

/// The stream of promotions and production models.
#[derive(Clone, Copy, Debug)]
pub enum RegistryStream {}

impl Decider for RegistryStream {
    type Id = ();
    type State = RegistryState;
    type Command = RegistryCommand;
    type Event = RegistryEvent;
    type Facts<'f> = RegistryFacts<'f>;

    fn stream((): ()) -> StreamId {
        StreamId::REGISTRY
    }

    fn event(event: Event) -> Option<RegistryEvent> {
        if let Event::Registry(event) = event { Some(event) } else { None }
    }

    fn decide(
        state: &RegistryState,
        command: RegistryCommand,
        facts: &RegistryFacts<'_>,
    ) -> Result<Vec<RegistryEvent>, Rejection> {
        decide(state, command, facts)
    }

    fn evolve(state: &mut RegistryState, event: &RegistryEvent, header: &Header) {
        let key = match header.identity {
            Identity::Signed { key, .. } => Some(key),
            Identity::Claimed => None,
        };
        state.evolve_from(event, key);
    }

    fn anticipate(state: &mut RegistryState, event: &RegistryEvent, facts: &RegistryFacts<'_>) {
        state.evolve_from(event, facts.key);
    }
}

/// Refuses when a rule of the policy is not met, a name is taken or not a name, a request is
/// unknown or closed, approvals are missing, or the person may not approve.
pub(super) fn decide(
    state: &RegistryState,
    command: RegistryCommand,
    facts: &RegistryFacts<'_>,
) -> Result<Vec<RegistryEvent>, Rejection> {
    match command {
        RegistryCommand::Request { request, name, reason, intended_use, limits, replace } => {
            if state.requests.contains_key(&request) {
                return Err(Rejection::Exists { what: "request", name: request.to_string() });
            }
            let requested = PromotionRequested {
                request,
                run: may_be_promoted(state, facts, &name, replace)?,
                name,
                trainer: facts.trainer.to_owned(),
                policy_revision: facts.policy_revision,
                reason,
                intended_use: stated("the intended use", intended_use)?,
                limits: stated("the limits", limits)?,
                evidence: Some(facts.evidence()),
            };
            Ok(vec![requested.into()])
        }
        RegistryCommand::Approve { request, reason } => {
            let found = open(state, request)?;
            may_approve(found, facts)?;
            let approver = facts.actor.to_owned();
            let evidence = found.requested.evidence.is_some().then(|| facts.evidence().digest());
            Ok(vec![PromotionApproved { request, approver, reason, evidence }.into()])
        }
        RegistryCommand::Reject { request, reason } => {
            open(state, request)?;
            let reason = given_reason("the rejection", reason)?;
            let approver = facts.actor.to_owned();
            Ok(vec![PromotionRejected { request, approver, reason }.into()])
        }
        RegistryCommand::Grant { request, replace } => {
            may_be_granted(state, request, facts, replace)?;
            Ok(vec![])
        }
        RegistryCommand::Promote { request, path, files, file_move } => {
            must_sign(facts, "a promotion")?;
            // Whether it may replace another was decided before the files moved.
            let granted = may_be_granted(state, request, facts, true)?;
            has_its_model(facts, &files)?;
            let requested = &granted.requested;
            let approvals = approvals_that_count(granted, facts);
            let promoted = ModelPromoted {
                request,
                run: requested.run,
                name: requested.name.clone(),
                path,
                files,
                file_move,
                policy_revision: facts.policy_revision,
                approvers: approvals.into_iter().map(|a| a.approver.clone()).collect(),
            };
            Ok(vec![promoted.into()])
        }
        RegistryCommand::Refuse { run, name, message, failed } => {
            let policy_revision = facts.policy_revision;
            Ok(vec![PromotionRefused { run, name, policy_revision, message, failed }.into()])
        }
        RegistryCommand::Relocate { name, path, file_move } => {
            Ok(vec![ModelRelocated { name, path, file_move }.into()])
        }
        command => change(state, command, facts),
    }
}

/// What may become of a name or an alias that is there already.
fn change(
    state: &RegistryState,
    command: RegistryCommand,
    facts: &RegistryFacts<'_>,
) -> Result<Vec<RegistryEvent>, Rejection> {
    match command {
        RegistryCommand::NoteDamage { name, found, unlisted, kept, file_move } => {
            let number = in_production(state, &name)?.number;
            let path = known_version(state, &name, number)?.path.clone();
            Ok(vec![
                ModelFoundDamaged { name, number, path, found, unlisted, kept, file_move }.into(),
            ])
        }
        RegistryCommand::Demote { name, reason } => {
            must_sign(facts, "what takes a model out of production")?;
            in_production(state, &name)?;
            let reason = given_reason("the demotion", reason)?;
            Ok(vec![ModelDemoted { name, reason }.into()])
        }
        RegistryCommand::RollBack { name, number, file_move, reason } => {
            must_sign(facts, "what brings a version back into production")?;
            let reason = given_reason("the rollback", reason)?;
            roll_back(state, name, number, file_move, reason)
        }
        RegistryCommand::Repair { name, number, file_move, reason } => {
            if in_production(state, &name)?.number != number {
                return Err(Rejection::WrongState {
                    what: format!("version {number} of {name}"),
                    state: "not in production".into(),
                    wanted: "only the version in production can be repaired".into(),
                });
            }
            Ok(vec![ModelRepaired { name, number, file_move, reason }.into()])
        }
        RegistryCommand::BumpVersion { name, bump, reason } => {
            let number = in_production(state, &name)?.number;
            let from = known_version(state, &name, number)?.version();
            let to = next_version(state.versions(&name), bump);
            Ok(vec![ModelVersionBumped { name, number, bump, from, to, reason }.into()])
        }
        RegistryCommand::SetAlias { alias, name, number, reason } => {
            must_sign(facts, "an alias")?;
            check_alias(state, &alias)?;
            known_version(state, &name, number)?;
            let previous = state.aliases.get(&alias).cloned();
            if previous == Some((name.clone(), number)) {
                return Ok(vec![]);
            }
            Ok(vec![ModelAliasSet { alias, name, number, previous, reason }.into()])
        }
        RegistryCommand::RemoveAlias { alias, reason } => {
            must_sign(facts, "the end of an alias")?;
            if !state.aliases.contains_key(&alias) {
                return Err(Rejection::Unknown { what: "alias", name: alias });
            }
            Ok(vec![ModelAliasRemoved { alias, reason }.into()])
        }
        RegistryCommand::Request { .. }
        | RegistryCommand::Approve { .. }
        | RegistryCommand::Reject { .. }
        | RegistryCommand::Grant { .. }
        | RegistryCommand::Promote { .. }
        | RegistryCommand::Refuse { .. }
        | RegistryCommand::Relocate { .. } => Ok(vec![]),
    }
}

fn roll_back(
    state: &RegistryState,
    name: String,
    number: u32,
    file_move: MoveId,
    reason: String,
) -> Result<Vec<RegistryEvent>, Rejection> {
    let from = state.production.get(&name).map(|model| model.number);
    known_version(state, &name, number)?;
    if from == Some(number) {
        return Err(Rejection::WrongState {
            what: format!("version {number} of {name}"),
            state: "in production".into(),
            wanted: "only another one can come back".into(),
        });
    }
    Ok(vec![ModelRolledBack { name, number, from, file_move, reason }.into()])
}

/// Where approvals are signed, so is all that changes what is in production or what is called so.
fn must_sign(facts: &RegistryFacts<'_>, what: &str) -> Result<(), Rejection> {
    let counts = facts.key.is_some_and(|key| facts.vouched.contains(&key));
    if counts || !facts.policy.production_promotion.approvals_signed {
        return Ok(());
    }
    Err(Rejection::NotAllowed(format!(
        "production_promotion.approvals_signed requires that {what} is signed, and {0} has no key \
         here that counts; `annals actor list` shows whose do",
        facts.actor
    )))
}

/// Papers are annals' own; what was trained is the run's.
fn has_its_model(facts: &RegistryFacts<'_>, files: &[PromotedFile]) -> Result<(), Rejection> {
    let models = facts.run.artifacts.iter().filter(|(name, _)| is_model(name));
    let mut missing =
        models.filter(|(_, model)| files.iter().all(|file| file.digest != model.digest));
    if let Some((name, _)) = missing.next() {
        return Err(Rejection::NotAllowed(format!(
            "none of the files for production is the {name} of {}",
            facts.run.experiment_id
        )));
    }
    let of_run =
        |file: &PromotedFile| facts.run.artifacts.values().any(|a| a.digest == file.digest);
    let strange = |file: &&PromotedFile| !PAPERS.contains(&file.path.as_str()) && !of_run(file);
    match files.iter().find(strange) {
        None => Ok(()),
        Some(file) => Err(Rejection::NotAllowed(format!(
            "the file {} for production is none of {}",
            file.path, facts.run.experiment_id
        ))),
    }
}

fn in_production<'s>(
    state: &'s RegistryState,
    name: &str,
) -> Result<&'s ProductionModel, Rejection> {
    let unknown = || Rejection::Unknown { what: "production model", name: name.to_owned() };
    state.production.get(name).ok_or_else(unknown)
}

fn known_version<'s>(
    state: &'s RegistryState,
    name: &str,
    number: u32,
) -> Result<&'s ModelVersion, Rejection> {
    let found = state.versions(name).iter().find(|version| version.number == number);
    let unknown = || Rejection::Unknown { what: "version", name: format!("{number} of {name}") };
    found.ok_or_else(unknown)
}

/// A statement that was made says something.
fn stated(what: &str, text: Option<String>) -> Result<Option<String>, Rejection> {
    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        let reason = "the text is empty".into();
        return Err(Rejection::Invalid { what: what.into(), reason });
    }
    Ok(text)
}

fn given_reason(what: &str, reason: String) -> Result<String, Rejection> {
    if reason.trim().is_empty() {
        let reason = "a reason is needed".into();
        return Err(Rejection::Invalid { what: what.into(), reason });
    }
    Ok(reason)
}

/// An alias never hides a model: what a user types names one thing.
fn check_alias(state: &RegistryState, alias: &str) -> Result<(), Rejection> {
    let invalid = |reason: String| Rejection::Invalid { what: "the alias".into(), reason };
    Name::new(alias).map_err(|e| invalid(e.to_string()))?;
    if alias == "production" {
        return Err(invalid("production is what `annals promote` decides about".into()));
    }
    if let Some(other) = differs_in_case(state, alias) {
        return Err(Rejection::Exists {
            what: "a name that differs from this alias only in case,",
            name: other.to_owned(),
        });
    }
    match state.models.contains_key(alias) {
        true => Err(Rejection::Exists { what: "production name", name: alias.to_owned() }),
        false => Ok(()),
    }
}

fn may_be_promoted(
    state: &RegistryState,
    facts: &RegistryFacts<'_>,
    name: &str,
    replace: bool,
) -> Result<RunId, Rejection> {
    Name::new(name).map_err(|e| Rejection::Invalid {
        what: "the production name".into(),
        reason: e.to_string(),
    })?;
    let what = format!("run {}", facts.run.experiment_id);
    let Some(run) = facts.run.id else {
        return Err(Rejection::Unknown { what: "run", name: facts.run.experiment_id.clone() });
    };
    if facts.run.deleted {
        return Err(Rejection::WrongState {
            what,
            state: "removed".into(),
            wanted: "only a run whose files are kept can be promoted".into(),
        });
    }
    if facts.run.status != RunStatus::Finished {
        return Err(Rejection::WrongState {
            what,
            state: facts.run.status.word().into(),
            wanted: "only a finished run can be promoted".into(),
        });
    }
    let failed = assess(facts.policy, facts.run).failed();
    if !failed.is_empty() {
        let policy_revision = facts.policy_revision;
        return Err(Rejection::Rules { what, policy_revision, failed });
    }
    let taken = |r: &Request| r.requested.name == name && r.status == RequestStatus::Open;
    may_take(state, name, replace)?;
    if state.production.get(name).is_some_and(|model| model.run == run) {
        return Err(Rejection::WrongState {
            what,
            state: format!("in production as {name} already"),
            wanted: "only another run can replace it".into(),
        });
    }
    if state.requests.values().any(taken) {
        return Err(Rejection::Exists {
            what: "open promotion request for",
            name: name.to_owned(),
        });
    }
    if let Some((_, open)) = state.open_request_of(run) {
        return Err(Rejection::Exists {
            what: "open promotion request of this run, as",
            name: open.requested.name.clone(),
        });
    }
    Ok(run)
}

fn may_approve(request: &Request, facts: &RegistryFacts<'_>) -> Result<(), Rejection> {
    let rules = &facts.policy.production_promotion;
    let (fixed, now) = (facts.requested(request), facts.evidence());
    if let Some(what) = fixed.and_then(|fixed| now.change_of_run(&fixed)) {
        return Err(Rejection::NotAllowed(format!(
            "{what} is not as it was when the promotion of {} was requested; reject the request \
             and make another",
            facts.run.experiment_id
        )));
    }
    let covers = covering(request, facts);
    if request.approvals.iter().any(|a| a.approver == facts.actor && covers(a)) {
        return Err(Rejection::NotAllowed(format!("{} has approved this already", facts.actor)));
    }
    if !rules.trainer_may_approve && request.requested.trainer == facts.actor {
        return Err(Rejection::NotAllowed(format!(
            "{} trained this run, and production_promotion.trainer_may_approve is false",
            facts.actor
        )));
    }
    match facts.key {
        _ if !rules.approvals_signed => Ok(()),
        None => Err(Rejection::NotAllowed(format!(
            "production_promotion.approvals_signed requires a signature, and {0} has no key here; \
             `annals actor add {0}` makes one",
            facts.actor
        ))),
        Some(key) if !facts.vouched.contains(&key) => Err(Rejection::NotAllowed(format!(
            "production_promotion.approvals_signed requires a signature, and the key of {0} is not \
             vouched for; another person with a key runs `annals actor vouch {0}`",
            facts.actor
        ))),
        Some(_) => Ok(()),
    }
}

/// The approvals of a request that count by the rules as they are now, for what is there now.
pub fn approvals_that_count<'r>(
    request: &'r Request,
    facts: &RegistryFacts<'_>,
) -> Vec<&'r Approval> {
    let covers = covering(request, facts);
    let trainer = &request.requested.trainer;
    let rules = &facts.policy.production_promotion;
    let counts = |approval: &&Approval| {
        let vouched = approval.key.is_some_and(|key| facts.vouched.contains(&key));
        (rules.trainer_may_approve || approval.approver != *trainer)
            && (!rules.approvals_signed || vouched)
            && covers(approval)
    };
    request.approvals.iter().filter(counts).collect()
}

/// Whether an approval covers what is there now. Requests of old days fixed nothing.
fn covering(request: &Request, facts: &RegistryFacts<'_>) -> impl Fn(&Approval) -> bool {
    let now = request.requested.evidence.is_some().then(|| facts.evidence().digest());
    move |approval| now.is_none() || approval.evidence == now
}

fn open(state: &RegistryState, request: RequestId) -> Result<&Request, Rejection> {
    match state.requests.get(&request) {
        None => Err(Rejection::Unknown { what: "promotion request", name: request.to_string() }),
        Some(found) if found.status != RequestStatus::Open => Err(Rejection::WrongState {
            what: format!("promotion request {}", request.short(8)),
            state: found.status.word().into(),
            wanted: "only an open one can be decided".into(),
        }),
        Some(found) => Ok(found),
    }
}

/// The rules may have changed since the request: they are judged again.
fn may_be_granted<'s>(
    state: &'s RegistryState,
    request: RequestId,
    facts: &RegistryFacts<'_>,
    replace: bool,
) -> Result<&'s Request, Rejection> {
    let found = open(state, request)?;
    meets(found, facts)?;
    may_take(state, &found.requested.name, replace)?;
    Ok(found)
}

/// Refuses a request, open or granted, whose run or approvals do not meet the rules of `facts`.
///
/// # Errors
/// The rules that the run does not meet, or the approvals that are missing.
pub fn meets(found: &Request, facts: &RegistryFacts<'_>) -> Result<(), Rejection> {
    let failed = assess(facts.policy, facts.run).failed();
    if !failed.is_empty() {
        return Err(Rejection::Rules {
            what: format!("run {}", facts.run.experiment_id),
            policy_revision: facts.policy_revision,
            failed,
        });
    }
    let rules = &facts.policy.production_promotion;
    let trainer = &found.requested.trainer;
    let approvals = approvals_that_count(found, facts).len();
    if rules.require_manual_approval && approvals < rules.approvals as usize {
        let others = match found.approvals.len() - approvals {
            0 => String::new(),
            more => format!(", and {more} that do not count{}", void(found, facts)),
        };
        return Err(Rejection::NotAllowed(format!(
            "{approvals} of {} approvals were given{others}; the policy requires {}",
            rules.approvals,
            rules.approval_terms()
        )));
    }
    let apart = rules.require_manual_approval && !rules.trainer_may_approve;
    if apart && rules.approvals_signed && !facts.trainer_signed {
        return Err(Rejection::NotAllowed(format!(
            "the trainer of {} is only claimed ({trainer}), so no approver can be shown to be \
             another person; the start of the run must be signed for that",
            facts.run.experiment_id
        )));
    }
    Ok(())
}

/// Who approved something else than what is there now, in words.
fn void(request: &Request, facts: &RegistryFacts<'_>) -> String {
    let covers = covering(request, facts);
    let void = request.approvals.iter().filter(|approval| !covers(approval));
    let names: Vec<&str> = void.map(|approval| approval.approver.as_str()).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(
            " ({} approved before revision {} changed the rules about promotions, or before the \
             run changed, and has to approve again)",
            names.join(" and "),
            facts.promotion_revision
        ),
    }
}

/// A production name, of a model or of an open request, or an alias that is `name` but for its
/// case: on some file systems both would be one folder, and to people they are one name.
fn differs_in_case<'s>(state: &'s RegistryState, name: &str) -> Option<&'s str> {
    // One that has versions of its own, from before this was a rule, goes on.
    if state.models.contains_key(name) || state.aliases.contains_key(name) {
        return None;
    }
    let folded = name.to_lowercase();
    let open = state.requests.values().filter(|r| r.status == RequestStatus::Open);
    let names = state.models.keys().chain(state.aliases.keys());
    let mut names = names.chain(open.map(|request| &request.requested.name));
    names.find(|other| *other != name && other.to_lowercase() == folded).map(String::as_str)
}

fn may_take(state: &RegistryState, name: &str, replace: bool) -> Result<(), Rejection> {
    if let Some(other) = differs_in_case(state, name) {
        return Err(Rejection::Exists {
            what: "a production name that differs from this one only in case,",
            name: other.to_owned(),
        });
    }
    let name = name.to_owned();
    match state.production.contains_key(&name) && !replace {
        true => Err(Rejection::Exists { what: "production model", name }),
        false if state.aliases.contains_key(&name) => {
            Err(Rejection::Exists { what: "alias", name })
        }
        false => Ok(()),
    }
}
