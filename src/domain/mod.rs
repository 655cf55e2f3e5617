//! What happened and what is allowed. Pure: no files, no clock, no chance, no database.
//!
//! One folder per stream, each a [`Decider`] with the same files: `event.rs` (facts, past tense),
//! `command.rs` (requests), `decide.rs` (every rule), `state.rs` (the fold, without rules),
//! `upcast.rs` (old shapes), `tests.rs` (given, when, then). DOM-1: `decide` and `evolve` are pure,
//! and `evolve` accepts all that `decide` ever produced.
//!
//! May use: `base`. Must never see: redb, `tlog`, a clock, random numbers, files.
//!
//! To add an event kind: a payload struct and a line in `event.rs`, an arm in `state.rs`, and the
//! rule that makes it in `decide.rs`; a test then writes its schema and golden bytes. To add a
//! stream: a folder, a [`StreamType`] and a line in `streams!` (`kind.rs`). Start reading in
//! `run/`.

#[macro_use]
mod macros;

mod blobs;
mod decider;
mod envelope;
pub mod file_move;
#[cfg(test)]
mod given;
pub mod history;
mod identity;
pub mod invocation;
mod kind;
pub mod metric;
mod name;
pub mod policy;
pub mod registry;
mod rejection;
pub mod run;
mod text;
pub mod workspace;

pub(in crate::domain) use self::kind::Fold;
pub use self::kind::{Class, DecodeError, Event, KindInfo, all_kinds, kind_info, kind_named};
pub use blobs::{BlobUse, BlobUses, HOLDING};
pub use decider::{Decider, fold};
pub(crate) use envelope::Parts;
pub use envelope::{
    AHEAD_NS_MIN, Envelope, EnvelopeRef, Header, Kind, Masked, Payload, PayloadRef, Provenance,
    StreamId, StreamType, leaf_data, signing_message,
};
pub use identity::{Identity, IdentityLevel};
pub use name::{Name, NameError};
pub use rejection::{Rejection, RuleResult};
pub use text::{REDACTED, VisitText, visit_free_text};
