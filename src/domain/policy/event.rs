//! Facts about the rules in force.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Policy;

stream_events! {
    /// What can happen to the rules.
    pub enum PolicyEvent of Policy {
        0x0201 CHANGED "policy.changed" 3 Text Changed(PolicyChanged),
    }
}

/// The rules in force from here on. The stream's revision is the policy's revision.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChanged {
    /// Every rule, also those that stay.
    pub policy: Policy,
    /// What is different from before.
    pub changes: Vec<PolicyChange>,
    /// Why.
    pub reason: Option<String>,
}

/// One changed rule; values as JSON text.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChange {
    /// Such as `production_promotion.approvals`.
    pub key: String,
    /// Before; none when the log began.
    pub old: Option<String>,
    /// From here on.
    pub new: String,
}
