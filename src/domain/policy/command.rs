//! Requests about the rules in force.

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
}
