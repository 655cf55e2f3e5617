//! One use of a verb that changes something: who, where, with which words, and how it ended.

mod command;
mod decide;
mod event;
mod state;
mod upcast;

#[cfg(test)]
mod tests;

pub use command::{InvocationCommand, StartedVerb};
pub use decide::InvocationStream;
pub use event::{
    InvocationEvent, InvocationFinished, InvocationInterrupted, InvocationStarted, Outcome,
};
pub use state::{InvocationState, Phase};
