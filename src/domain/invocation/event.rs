//! Facts about one use of a verb.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::InvocationId;

stream_events! {
    /// What can happen to one use of a verb.
    pub enum InvocationEvent of Invocation {
        0x0501 STARTED "invocation.started" 1 Text Started(InvocationStarted),
        0x0502 FINISHED "invocation.finished" 1 Text Finished(InvocationFinished),
        0x0503 INTERRUPTED "invocation.interrupted" 1 Text Interrupted(InvocationInterrupted),
    }
}

/// A verb that changes something began. The header tells the actor.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct InvocationStarted {
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
    /// The annals that ran.
    pub tool_version: String,
}

/// The verb ended by itself.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct InvocationFinished {
    /// How.
    pub outcome: Outcome,
}

/// How a verb ended.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what was asked.
    Succeeded,
    /// A rule refused it.
    Refused {
        /// The refusal, as the user read it.
        message: String,
    },
    /// It failed.
    Failed {
        /// The process's exit code.
        exit_code: u8,
        /// The error, as the user read it.
        message: String,
    },
}

/// The verb's process was gone without having said how it ended; a later verb noticed.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct InvocationInterrupted {
    /// What the later verb did about what it left, in one line each.
    pub recovered: Vec<String>,
}
