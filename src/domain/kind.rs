//! Kinds of events: their classes, and how stored bytes become events.

use std::sync::LazyLock;

use super::Kind;
use super::StreamType;
use super::{file_move, invocation, policy, registry, run, workspace};
use crate::base::codec::CodecError;

streams! {
    /// The log itself: its creation, keys and actors.
    Workspace(workspace::WorkspaceEvent),
    /// The rules in force.
    Policy(policy::PolicyEvent),
    /// Promotion requests, decisions and production models.
    Registry(registry::RegistryEvent),
    /// One run.
    Run(run::RunEvent),
    /// One use of a verb that changes something.
    Invocation(invocation::InvocationEvent),
    /// One move of files.
    Move(file_move::MoveEvent),
}

/// How the store treats events of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody decided: found by stream without a scan; the commit signs a log checkpoint.
    Decision,
    /// A decision with free text that may have to be redacted: its payload is salted as well.
    Text,
    /// Something was observed: found by stream without a scan.
    Fact,
    /// Many per run: found by scanning blocks whose header lists the kind.
    Bulk,
}

impl Class {
    /// Whether a commit with such an event signs a log checkpoint at once.
    pub fn signs(self) -> bool {
        matches!(self, Self::Decision | Self::Text)
    }

    /// Whether the payload carries a salt, so that it can be redacted without being guessable.
    pub fn salted(self) -> bool {
        self == Self::Text
    }

    /// Whether the event is found by stream and revision without a scan.
    pub fn indexed(self) -> bool {
        self != Self::Bulk
    }
}

/// What is known about a kind of event.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// The stored number.
    pub kind: Kind,
    /// The name, such as `run.finished`.
    pub name: &'static str,
    /// The version written today.
    pub version: u16,
    /// How the store treats it.
    pub class: Class,
    /// The stream it belongs to.
    pub stream: StreamType,
    /// The JSON schema of its payload.
    pub schema: fn() -> schemars::Schema,
}

/// Every kind of event, by stream and code.
pub fn all_kinds() -> impl Iterator<Item = &'static KindInfo> {
    ALL_KINDS.iter().copied().flatten()
}

/// What is known about `kind`; `None` for kinds of a later version.
pub fn kind_info(kind: Kind) -> Option<&'static KindInfo> {
    // Asked of every event of a log, several times: codes are small numbers.
    static BY_CODE: LazyLock<Vec<Option<&KindInfo>>> = LazyLock::new(|| {
        let last = all_kinds().map(|info| info.kind.0).max().unwrap_or(0);
        let mut all = vec![None; usize::from(last) + 1];
        all_kinds().for_each(|info| all[usize::from(info.kind.0)] = Some(info));
        all
    });
    BY_CODE.get(usize::from(kind.0)).copied().flatten()
}

/// The kind named `name`.
pub fn kind_named(name: &str) -> Option<Kind> {
    all_kinds().find(|info| info.name == name).map(|info| info.kind)
}

/// A payload that cannot be read as an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The kind was added by a later annals; it is carried, counted and shown, not dropped.
    #[error("{} was added by a later version of annals", .0.name())]
    UnknownKind(Kind),
    /// The kind's shape was changed by a later annals.
    #[error("version {version} of {} was made by a later version of annals", .kind.name())]
    UnknownVersion {
        /// The kind.
        kind: Kind,
        /// The version found.
        version: u16,
    },
    /// The bytes are not the kind's shape.
    #[error("malformed {} v{version}", .kind.name())]
    Malformed {
        /// The kind.
        kind: Kind,
        /// The version found.
        version: u16,
        /// What the codec said.
        source: CodecError,
    },
}

/// The fold of a stream: total, without rules.
pub(in crate::domain) trait Fold: Default + Clone {
    /// The stream's events.
    type Event;

    /// Takes in one more event.
    fn evolve(&mut self, event: &Self::Event);
}
