//! The rules in force: shown and changed.

use serde::Serialize;

use super::{App, Result, fold_policy};
use crate::domain::policy::{self, Policy, PolicyChange, PolicyCommand, PolicyEvent};
use crate::domain::{Event, Provenance, StreamId};

/// The policy in force.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyShown {
    /// Its revision; 0 is the one the log began with.
    pub revision: u64,
    /// Every rule.
    pub policy: Policy,
}

impl App {
    /// The rules in force.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn policy(&self) -> Result<PolicyShown> {
        self.store.read(|log| {
            let state = fold_policy(log)?;
            Ok(PolicyShown { revision: state.revision(), policy: state.policy })
        })
    }

    /// Changes one rule and tells what changed; nothing when it has the value already.
    ///
    /// # Errors
    /// For an unknown rule, or a value that does not fit it.
    pub fn set_policy(
        &self,
        key: &str,
        value: &str,
        reason: Option<String>,
    ) -> Result<Vec<PolicyChange>> {
        self.decide("policy set", |tx| {
            let state = fold_policy(tx.log())?;
            let (key, value) = (key.to_owned(), value.to_owned());
            let events = policy::decide(&state, PolicyCommand::Set { key, value, reason })?;
            let changes = events.iter().flat_map(|event| {
                let PolicyEvent::Changed(changed) = event;
                changed.changes.clone()
            });
            let changes = changes.collect();
            let events: Vec<Event> = events.into_iter().map(Event::from).collect();
            tx.append(StreamId::POLICY, &events, Provenance::Reported)?;
            Ok(changes)
        })
    }
}
