//! The rules in force.

use super::{Policy, PolicyEvent};
use crate::domain::Fold;

/// The fold of the policy stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyState {
    /// Every rule; the defaults before the first event.
    pub policy: Policy,
    /// How often the rules were changed; the revision of the last change plus one.
    pub changes: u64,
    /// The revision that changed the rules about promotions last.
    pub promotion_revision: u64,
}

impl PolicyState {
    /// The revision of the policy in force.
    pub fn revision(&self) -> u64 {
        self.changes.saturating_sub(1)
    }
}

impl Fold for PolicyState {
    type Event = PolicyEvent;

    fn evolve(&mut self, event: &PolicyEvent) {
        let PolicyEvent::Changed(changed) = event;
        let same = self.policy.production_promotion == changed.policy.production_promotion;
        self.policy = changed.policy.clone();
        self.changes += 1;
        if !same {
            self.promotion_revision = self.revision();
        }
    }
}
