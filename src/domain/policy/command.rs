//! Requests about the rules in force.

use super::Policy;

/// What can be asked of the policy.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyCommand {
    /// Begin with the defaults.
    Adopt,
    /// Change one rule.
    Set {
        /// Such as `production_promotion.approvals`.
        key: String,
        /// A JSON value, or plain text where the rule takes text or a list of words.
        value: String,
        /// Why.
        reason: Option<String>,
    },
    /// Change any number of rules.
    Replace {
        /// Every rule, also those that stay.
        policy: Box<Policy>,
        /// Why.
        reason: Option<String>,
    },
}
