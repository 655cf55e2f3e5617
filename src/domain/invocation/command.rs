//! Requests about one use of a verb.

use super::Outcome;
use crate::base::InvocationId;

/// What can be asked of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum InvocationCommand {
    /// Begin.
    Start(StartedVerb),
    /// End by itself.
    Finish(Outcome),
    /// Note that its process is gone.
    Interrupt {
        /// What was done about what it left.
        recovered: Vec<String>,
    },
}

/// A verb that begins.
#[derive(Clone, Debug, PartialEq)]
pub struct StartedVerb {
    /// The invocation's id.
    pub invocation: InvocationId,
    /// The verb, such as `promote`.
    pub verb: String,
    /// The words of the command line after the program's name; secrets masked.
    pub argv: Vec<String>,
    /// Name of the machine.
    pub host: String,
    /// Process id on that machine.
    pub pid: u32,
    /// The current folder, relative to the workspace.
    pub cwd: String,
    /// The annals that runs.
    pub tool_version: String,
}
