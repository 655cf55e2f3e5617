//! Facts about one move of files.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Digest, MoveId, RequestId, RunId, Sha256Digest};
use crate::domain::run::{Archive, DroppedFile, Pack};
use crate::domain::workspace::LayoutKind;

stream_events! {
    /// What can happen to one move of files.
    pub enum MoveEvent of Move {
        0x0601 PLANNED "move.planned" 3 Text Planned(MovePlanned),
        0x0602 COMPLETED "move.completed" 1 Decision Completed(MoveCompleted),
        0x0603 ROLLED_BACK "move.rolled_back" 1 Text RolledBack(MoveRolledBack),
    }
}

/// Files are about to move.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MovePlanned {
    /// The move's id.
    pub id: MoveId,
    /// What for.
    pub purpose: MovePurpose,
    /// Whether the source stays.
    pub mode: MoveMode,
    /// Folder the files come from, relative to the workspace, `/` between components.
    pub from: String,
    /// Folder that will hold them. It does not exist yet, or holds the version that is replaced.
    pub to: String,
    /// The files, by path inside the folder.
    pub files: Vec<MovedFile>,
}

/// What a move is for; recovery finishes the purpose together with the move.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MovePurpose {
    /// Files of a run become a production model.
    Promotion {
        /// The request that was granted.
        request: RequestId,
        /// The run.
        run: RunId,
        /// The production name.
        name: String,
    },
    /// A production model is taken out of production.
    Demotion {
        /// The production name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A run goes into an archive.
    Archive(ArchiveOrder),
    /// A run comes back from an archive.
    Restore(RestoreOrder),
    /// An earlier version comes back into production.
    Rollback {
        /// The production name.
        name: String,
        /// Number of the version.
        number: u32,
        /// Why.
        reason: String,
    },
    /// The files of a run are taken away for good.
    Removal(RemovalOrder),
    /// Files go where another layout has them.
    Migration(MigrationOrder),
    /// The recorded files of a production model come back from the blob store.
    Repair {
        /// The production name.
        name: String,
        /// Number of the version.
        number: u32,
        /// Why.
        reason: Option<String>,
    },
}

/// Something that goes where another layout has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MigrationOrder {
    /// The layout.
    pub layout: LayoutKind,
    /// What.
    pub what: Migrated,
}

/// What has a place in a layout.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Migrated {
    /// A run.
    Run {
        /// The run.
        run: RunId,
        /// Its folder while it is active.
        home: String,
    },
    /// A model in production.
    Model {
        /// The production name.
        name: String,
    },
}

/// A run whose files are taken away for good.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RemovalOrder {
    /// The run.
    pub run: RunId,
    /// Digest of the consolidation plan that asked for it.
    pub plan: Digest,
    /// Why, in words.
    pub reason: String,
    /// Revision of the policy in force.
    pub policy_revision: u64,
}

/// A run that goes into an archive.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveOrder {
    /// The run.
    pub run: RunId,
    /// Which.
    pub archive: Archive,
    /// The rule that asked for it; none where a person did.
    pub rule: Option<String>,
    /// Why, in words.
    pub reason: String,
    /// Revision of the policy in force.
    pub policy_revision: u64,
    /// How files are packed; those whose target path begins with the name of the pack.
    pub pack: Option<Pack>,
    /// Files that are not kept.
    pub dropped: Vec<DroppedFile>,
}

/// A run that comes back from an archive.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RestoreOrder {
    /// The run.
    pub run: RunId,
    /// Why.
    pub reason: Option<String>,
    /// How files are packed; those whose source path begins with the name of the pack.
    pub pack: Option<Pack>,
    /// Dropped files that come from the blob store.
    pub from_blobs: Vec<DroppedFile>,
}

impl MovePurpose {
    /// The word for it in tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Promotion { .. } => "promotion",
            Self::Demotion { .. } => "demotion",
            Self::Archive(_) => "archive",
            Self::Restore(_) => "restore",
            Self::Rollback { .. } => "rollback",
            Self::Removal(_) => "removal",
            Self::Migration(_) => "migration",
            Self::Repair { .. } => "repair",
        }
    }

    /// The run whose files move, where they are a run's.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Promotion { run, .. }
            | Self::Migration(MigrationOrder { what: Migrated::Run { run, .. }, .. }) => Some(*run),
            Self::Archive(order) => Some(order.run),
            Self::Restore(order) => Some(order.run),
            Self::Removal(order) => Some(order.run),
            Self::Demotion { .. }
            | Self::Rollback { .. }
            | Self::Repair { .. }
            | Self::Migration(_) => None,
        }
    }

    /// The production name, where a production model's files move.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Promotion { name, .. }
            | Self::Demotion { name, .. }
            | Self::Rollback { name, .. }
            | Self::Repair { name, .. }
            | Self::Migration(MigrationOrder { what: Migrated::Model { name }, .. }) => Some(name),
            Self::Archive(_) | Self::Restore(_) | Self::Removal(_) | Self::Migration(_) => None,
        }
    }

    /// Files that are not kept.
    pub fn dropped(&self) -> &[DroppedFile] {
        match self {
            Self::Archive(order) => &order.dropped,
            _ => &[],
        }
    }

    /// Files that come from the blob store.
    pub fn from_blobs(&self) -> &[DroppedFile] {
        match self {
            Self::Restore(order) => &order.from_blobs,
            _ => &[],
        }
    }
}

/// Whether the source stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveMode {
    /// The source stays.
    Copy,
    /// The source goes.
    Move,
}

/// One file of a move.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MovedFile {
    /// Path inside the target folder, `/` between components.
    pub path: String,
    /// Path inside the source folder.
    pub source: String,
    /// Digest of its bytes; checked at the target.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
}

/// The files are at their target, whole, with the planned digests.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MoveCompleted {
    /// Whether a later verb finished it after a crash.
    pub recovered: bool,
}

/// The files are at their source, whole; the target is gone.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MoveRolledBack {
    /// Why.
    pub reason: String,
}
