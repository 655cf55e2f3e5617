//! Snapshots (I-2): code, settings, environment and models as they are, kept by content in the
//! blob store, so that they can be checked, compared and restored later.
//!
//! A snapshot is a list in the blob store (`manifest.rs`) that `snapshot.taken` names; its digest
//! is what it is called by, and the same content is the same snapshot. Every file is in the blob
//! store before the event is in the log: a crash leaves blobs that nothing names. `code.rs` finds
//! the files, `restore.rs` checks, writes and compares them.
//!
//! May use: what `app` may. Must never see: what `app` must not. To keep more: an entry in
//! [`crate::app::workspace::take_snapshot`]. Start reading there.

pub(super) mod code;
pub(super) mod manifest;
pub(super) mod python;
pub(super) mod restore;
mod take;

pub use self::take::{
    SnapshotCreated, SnapshotLine, SnapshotRequest, SnapshotRestored, SnapshotShown,
    SnapshotVerified, Taken, find_snapshot, manifest, snapshots, take_snapshot,
};
pub use manifest::{Content, Entry, SnapshotManifest};
pub(in crate::app) use python::PYTHON_VARIABLES;
pub use python::PythonEnvironment;
pub use restore::{Change, SnapshotDifference, Verified};

use self::take::{put_file_or_digest, put_or_digest};
