//! The rules in force: shown, changed, edited as a whole, and compared with those of other times.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::admitted::admitted;
use crate::app::core::draft::Draft;
use crate::app::workspace::actors::vouched;
use crate::app::{Error, ErrorKind, Result, Workspace, records};
use crate::base::Timestamp;
use crate::domain::IdentityLevel;
use crate::domain::policy::{
    self, Policy, PolicyChange, PolicyCommand, PolicyEvent, PolicyFacts, PolicyState, PolicyStream,
};
use crate::domain::{Envelope, Event, StreamId};
use crate::store::{Access, View};

/// The policy of one time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PolicyShown {
    /// Its revision; 0 is the one the log began with.
    pub revision: u64,
    /// Every rule.
    pub policy: Policy,
}

impl PolicyShown {
    /// The rules as text to edit: the JSON that the registry has under `auto_archival_rules`.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.policy).unwrap_or_default() + "\n"
    }
}

/// One change of the policy.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PolicyRevision {
    /// The revision that it made.
    pub revision: u64,
    /// When.
    pub recorded: Timestamp,
    /// Who, as far as the log knows.
    pub actor: String,
    /// `claimed` or `signed`.
    pub identity: IdentityLevel,
    /// Why.
    pub reason: Option<String>,
    /// What changed.
    pub changes: Vec<PolicyChange>,
    /// Position of the event.
    pub position: u64,
}

/// What differs between two revisions of the policy.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PolicyDiff {
    /// The older revision.
    pub from: u64,
    /// The newer revision.
    pub to: u64,
    /// The rules that differ.
    pub changes: Vec<PolicyChange>,
}

/// The rules in force, or those of a revision.
///
/// # Errors
/// [`ErrorKind::NotFound`] for a revision that there is not; when the log cannot be read.
pub fn policy(workspace: &Workspace, revision: Option<u64>) -> Result<PolicyShown> {
    workspace.store.read(|log| {
        let mut all = changes(log, workspace.scope.size)?;
        if all.is_empty() {
            return Err(none_yet(changes(log, None)?.first().map(|(position, _)| *position)));
        }
        let last = (all.len() as u64).saturating_sub(1);
        let revision = revision.unwrap_or(last);
        if revision >= all.len() as u64 {
            let message = format!("there is no policy revision {revision}");
            return Err(Error::new(ErrorKind::NotFound, message)
                .hint(format!("the last is {last}; `annals policy history` shows all")));
        }
        let changed = all.swap_remove(usize::try_from(revision).unwrap_or(usize::MAX));
        Ok(PolicyShown { revision, policy: changed.1.policy })
    })
}

/// Every change of the rules, oldest first.
///
/// # Errors
/// When the log cannot be read.
pub fn policy_history(workspace: &Workspace) -> Result<Vec<PolicyRevision>> {
    let all = workspace.store.read(|log| changes(log, workspace.scope.size))?;
    let revisions = all.into_iter().map(|(position, changed)| {
        let line = records::event(workspace, position)?;
        Ok(PolicyRevision {
            revision: 0,
            recorded: line.recorded,
            actor: line.actor,
            identity: line.identity,
            reason: changed.reason,
            changes: changed.changes,
            position,
        })
    });
    let mut revisions: Vec<PolicyRevision> = revisions.collect::<Result<_>>()?;
    (0..).zip(&mut revisions).for_each(|(number, revision)| revision.revision = number);
    Ok(revisions)
}

/// What differs between two revisions, and between the one in force and the one before it
/// where none is given.
///
/// # Errors
/// As `policy`.
pub fn policy_diff(
    workspace: &Workspace,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<PolicyDiff> {
    let to = policy(workspace, to)?;
    let from = policy(workspace, Some(from.unwrap_or(to.revision.saturating_sub(1))))?;
    let changes = policy::changes(&from.policy, &to.policy);
    Ok(PolicyDiff { from: from.revision, to: to.revision, changes })
}

/// Changes one rule and tells what changed; nothing when it has the value already.
///
/// # Errors
/// For an unknown rule, or a value that does not fit it.
pub fn set_policy(
    workspace: &Workspace,
    key: &str,
    value: &str,
    reason: Option<String>,
) -> Result<Vec<PolicyChange>> {
    let (key, value) = (key.to_owned(), value.to_owned());
    change_policy(workspace, "policy set", |_| Ok(PolicyCommand::Set { key, value, reason }))
}

/// Puts the rules of `text` in the place of those of revision `based_on`.
///
/// # Errors
/// [`ErrorKind::Data`] for text that is not a policy; [`ErrorKind::Conflict`] when the rules
/// were changed since; for rules that make no sense.
pub fn replace_policy(
    workspace: &Workspace,
    text: &str,
    based_on: u64,
    reason: Option<String>,
) -> Result<Vec<PolicyChange>> {
    let policy: Policy = serde_json::from_str(text).map_err(|e| {
        Error::new(ErrorKind::Data, format!("this is not a policy: {e}"))
            .hint("`annals policy schema` prints the allowed values")
    })?;
    change_policy(workspace, "policy edit", |state| {
        if state.revision() != based_on {
            let message = format!(
                "the policy is at revision {} by now, the edit began at {based_on}",
                state.revision()
            );
            return Err(Error::new(ErrorKind::Conflict, message)
                .hint("`annals policy diff` shows the other change"));
        }
        Ok(PolicyCommand::Replace { policy: Box::new(policy), reason })
    })
}

fn change_policy(
    workspace: &Workspace,
    verb: &'static str,
    command: impl FnOnce(&PolicyState) -> Result<PolicyCommand>,
) -> Result<Vec<PolicyChange>> {
    let changes = workspace.decide(verb, |tx| {
        let mut rules = Draft::<PolicyStream>::read(tx.log(), ())?;
        let vouched = vouched(tx.log())?;
        let signed = tx.key().is_some_and(|key| vouched.contains(&key));
        rules.decide(command(&rules)?, &PolicyFacts { signed })?;
        tx.append(&mut rules)?;
        let changes = rules.events().iter().flat_map(|event| {
            let PolicyEvent::Changed(changed) = event;
            changed.changes.clone()
        });
        Ok(changes.collect())
    })?;
    workspace.refresh()?;
    Ok(changes)
}

/// Every change of the rules with its position, in a log of at most `size` events; the index is the
/// revision.
fn changes<A: Access>(
    log: &View<A>,
    size: Option<u64>,
) -> Result<Vec<(u64, policy::PolicyChanged)>> {
    let events = admitted(log, StreamId::POLICY)?;
    let then = |e: &&Envelope| size.is_none_or(|size| e.header.position < size);
    let changed = events.iter().filter(then).filter_map(|envelope| match envelope.event() {
        Ok(Event::Policy(PolicyEvent::Changed(changed))) => {
            Some((envelope.header.position, changed))
        }
        _ => None,
    });
    Ok(changed.collect())
}

/// For a time before the log had rules.
fn none_yet(first: Option<u64>) -> Error {
    let error = Error::new(ErrorKind::NotFound, "no policy was in force then");
    match first {
        Some(first) => error.hint(format!("the first came with event {first}")),
        None => error.hint("the log has none"),
    }
}
