//! Requests about one use of a verb.

use super::{InvocationStarted, Outcome};

/// What can be asked of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum InvocationCommand {
    /// Begin.
    Start(InvocationStarted),
    /// End by itself.
    Finish(Outcome),
    /// Note that its process is gone.
    Interrupt {
        /// What was done about what it left.
        recovered: Vec<String>,
    },
}
