//! The rules that were in force at each position of the log.

use crate::domain::policy::{Policy, PolicyEvent, PolicyState};
use crate::domain::{Decider as _, Header, policy::PolicyStream};

/// Every state of the rules, with the position from which on it was in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    before: PolicyState,
    states: Vec<(u64, PolicyState)>,
}

impl Rules {
    /// The rules that a decision at `position` was made under.
    pub(super) fn at(&self, position: u64) -> &PolicyState {
        let later = self.states.partition_point(|(from, _)| *from < position);
        later.checked_sub(1).map_or(&self.before, |last| &self.states[last].1)
    }

    /// Whether decisions at `position` had to be signed.
    pub(super) fn strict(&self, position: u64) -> bool {
        strict(&self.at(position).policy)
    }

    pub(super) fn take(&mut self, header: &Header, event: &PolicyEvent) {
        let mut state = self.at(header.position).clone();
        PolicyStream::evolve(&mut state, event, header);
        self.states.push((header.position, state));
    }
}

/// Whether decisions have to be signed.
pub(super) fn strict(policy: &Policy) -> bool {
    policy.production_promotion.approvals_signed
}
