//! Which events may be in the stream of promotions: what `decide` would make now of the request
//! that each of them answers.

use super::decide::decide;
use super::{PromotionRequested, RegistryCommand, RegistryEvent, RegistryFacts, RegistryState};
use crate::base::RunId;
use crate::domain::Rejection;
use crate::domain::history::Author;

/// The run that an event is about, whose state decides whether it was allowed.
pub(in crate::domain) fn run_of(state: &RegistryState, event: &RegistryEvent) -> Option<RunId> {
    let of = |request| state.requests.get(request).map(|request| request.requested.run);
    match event {
        RegistryEvent::Requested(requested) => Some(requested.run),
        RegistryEvent::Approved(approved) => of(&approved.request),
        RegistryEvent::Rejected(rejected) => of(&rejected.request),
        RegistryEvent::Promoted(promoted) => of(&promoted.request).or(Some(promoted.run)),
        RegistryEvent::Refused(_)
        | RegistryEvent::Demoted(_)
        | RegistryEvent::RolledBack(_)
        | RegistryEvent::VersionBumped(_)
        | RegistryEvent::AliasSet(_)
        | RegistryEvent::AliasRemoved(_)
        | RegistryEvent::Relocated(_)
        | RegistryEvent::FoundDamaged(_)
        | RegistryEvent::Repaired(_) => None,
    }
}

/// Refuses an event that could not have been decided here by its author.
///
/// # Errors
/// The rule that is not met.
pub(in crate::domain) fn admits(
    state: &RegistryState,
    event: &RegistryEvent,
    facts: &RegistryFacts<'_>,
    author: &Author<'_>,
) -> Result<(), Rejection> {
    let strict = facts.policy.production_promotion.approvals_signed;
    match event {
        RegistryEvent::Approved(_) if strict => author.must_be_proven("an approval")?,
        RegistryEvent::Promoted(_) if strict => author.must_be_proven("a promotion")?,
        RegistryEvent::Demoted(_) | RegistryEvent::RolledBack(_) if strict => {
            author.must_be_proven("what takes a model into or out of production")?;
        }
        RegistryEvent::AliasSet(_) | RegistryEvent::AliasRemoved(_) if strict => {
            author.must_be_proven("an alias")?;
        }
        _ => {}
    }
    let fixes = |requested: &PromotionRequested| requested.evidence.is_some();
    if let RegistryEvent::Requested(requested) = event
        && !fixes(requested)
        && state.requests.values().any(|before| fixes(&before.requested))
    {
        return Err(Rejection::NotAllowed("it fixes no evidence, and earlier requests did".into()));
    }
    if let RegistryEvent::Promoted(promoted) = event {
        let request = state.requests.get(&promoted.request);
        let gave = |name: &&String| {
            request.is_some_and(|found| found.approvals.iter().any(|a| a.approver == **name))
        };
        if let Some(name) = promoted.approvers.iter().find(|name| !gave(name)) {
            return Err(Rejection::NotAllowed(format!(
                "{name}, whom it names, did not approve it"
            )));
        }
    }
    let made = decide(state, answered(event), facts)?;
    // A grant makes no event; what one says of others is in its own.
    match made.iter().all(|made| made == event || !differ(made, event, facts)) {
        true => Ok(()),
        false => Err(Rejection::NotAllowed(
            "it names other people, evidence, rules, or another run, name or number than it should"
                .into(),
        )),
    }
}

/// Whether two events of one kind differ in who, which run, name or evidence they are about.
fn differ(made: &RegistryEvent, event: &RegistryEvent, facts: &RegistryFacts<'_>) -> bool {
    match (made, event) {
        (RegistryEvent::Requested(made), RegistryEvent::Requested(event)) => {
            let fixed = event.evidence.clone().map(|fixed| fixed.original(facts.originals));
            made.run != event.run
                || made.trainer != event.trainer
                || made.policy_revision != event.policy_revision
                || fixed.is_some() && made.evidence != fixed
        }
        (RegistryEvent::Approved(made), RegistryEvent::Approved(event)) => {
            made.approver != event.approver || made.evidence != event.evidence
        }
        (RegistryEvent::Rejected(made), RegistryEvent::Rejected(event)) => {
            made.approver != event.approver
        }
        (RegistryEvent::RolledBack(made), RegistryEvent::RolledBack(event)) => {
            made.from != event.from
        }
        (RegistryEvent::FoundDamaged(made), RegistryEvent::FoundDamaged(event)) => {
            made.number != event.number || made.path != event.path
        }
        (RegistryEvent::Promoted(made), RegistryEvent::Promoted(event)) => {
            made.run != event.run
                || made.name != event.name
                || made.policy_revision != event.policy_revision
        }
        (RegistryEvent::VersionBumped(made), RegistryEvent::VersionBumped(event)) => {
            (made.number, made.from, made.to) != (event.number, event.from, event.to)
        }
        (RegistryEvent::AliasSet(made), RegistryEvent::AliasSet(event)) => {
            made.previous != event.previous
        }
        _ => false,
    }
}

/// The request that an event answers.
fn answered(event: &RegistryEvent) -> RegistryCommand {
    match event.clone() {
        RegistryEvent::Requested(e) => RegistryCommand::Request {
            request: e.request,
            name: e.name,
            reason: e.reason,
            intended_use: e.intended_use,
            limits: e.limits,
            // Whether it said that it replaces another is not recorded.
            replace: true,
        },
        RegistryEvent::Approved(e) => {
            RegistryCommand::Approve { request: e.request, reason: e.reason }
        }
        RegistryEvent::Rejected(e) => {
            RegistryCommand::Reject { request: e.request, reason: e.reason }
        }
        RegistryEvent::Refused(e) => RegistryCommand::Refuse {
            run: e.run,
            name: e.name,
            message: e.message,
            failed: e.failed,
        },
        RegistryEvent::Promoted(e) => RegistryCommand::Promote {
            request: e.request,
            path: e.path,
            files: e.files,
            file_move: e.file_move,
        },
        RegistryEvent::Demoted(e) => RegistryCommand::Demote { name: e.name, reason: e.reason },
        RegistryEvent::RolledBack(e) => RegistryCommand::RollBack {
            name: e.name,
            number: e.number,
            file_move: e.file_move,
            reason: e.reason,
        },
        RegistryEvent::VersionBumped(e) => {
            RegistryCommand::BumpVersion { name: e.name, bump: e.bump, reason: e.reason }
        }
        RegistryEvent::AliasSet(e) => RegistryCommand::SetAlias {
            alias: e.alias,
            name: e.name,
            number: e.number,
            reason: e.reason,
        },
        RegistryEvent::AliasRemoved(e) => {
            RegistryCommand::RemoveAlias { alias: e.alias, reason: e.reason }
        }
        RegistryEvent::Relocated(e) => {
            RegistryCommand::Relocate { name: e.name, path: e.path, file_move: e.file_move }
        }
        RegistryEvent::FoundDamaged(e) => RegistryCommand::NoteDamage {
            name: e.name,
            found: e.found,
            unlisted: e.unlisted,
            kept: e.kept,
            file_move: e.file_move,
        },
        RegistryEvent::Repaired(e) => RegistryCommand::Repair {
            name: e.name,
            number: e.number,
            file_move: e.file_move,
            reason: e.reason,
        },
    }
}
