//! A business refusal: what was asked is understood and not allowed. Not a failure.

use std::borrow::Cow;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One rule, applied: what it asks, what was found.
// Its words are mostly the program's own: of 10,000 runs, judged at once, they are not copied.
#[derive(Clone, Debug, PartialEq, Encode, Serialize, Deserialize, JsonSchema)]
pub struct RuleResult {
    /// The rule's name, such as `min_accuracy`.
    pub rule: Cow<'static, str>,
    /// Whether it is met.
    pub passed: bool,
    /// What it asks, such as `>= 0.55 on test`.
    pub required: Cow<'static, str>,
    /// What was found, such as `0.512`.
    pub found: Cow<'static, str>,
}

// The derive also asks to borrow from what it decodes, which `'static` cannot.
impl<C> Decode<C> for RuleResult {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            rule: Cow::Owned(Decode::decode(decoder)?),
            passed: Decode::decode(decoder)?,
            required: Cow::Owned(Decode::decode(decoder)?),
            found: Cow::Owned(Decode::decode(decoder)?),
        })
    }
}

bincode::impl_borrow_decode!(RuleResult);

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// The thing is not in a state that allows it.
    #[error("{what} is {state}, and {wanted}")]
    WrongState {
        /// The object, such as `run hate_20260301_120000`.
        what: String,
        /// Its state.
        state: String,
        /// What would be needed.
        wanted: String,
    },
    /// The name is taken.
    #[error("{what} \"{name}\" exists already")]
    Exists {
        /// The sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is no such thing.
    #[error("there is no {what} \"{name}\"")]
    Unknown {
        /// The sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Rules of the policy are not met.
    #[error("{what} does not meet {} of the policy: {}", plural(.failed.len()), list(.failed))]
    Rules {
        /// The object.
        what: String,
        /// Revision of the policy that judged.
        policy_revision: u64,
        /// The rules that failed.
        failed: Vec<RuleResult>,
    },
    /// A value is out of its range or of the wrong type.
    #[error("{what}: {reason}")]
    Invalid {
        /// The object.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Someone else must do it, or must do it first.
    #[error("{0}")]
    NotAllowed(String),
}

fn plural(count: usize) -> String {
    if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") }
}

fn list(failed: &[RuleResult]) -> String {
    let rules: Vec<String> = failed
        .iter()
        .map(|r| format!("{}: required {}, actual {}", r.rule, r.required, r.found))
        .collect();
    rules.join("; ")
}
