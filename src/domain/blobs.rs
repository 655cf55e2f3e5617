//! Which blobs the record needs, and for what: the one definition that `gc`, `verify` and `doctor`
//! share. A blob that is needed must exist (BLB-2); one that is neither needed nor mentioned may
//! be removed.
//!
//! To add a kind that names blobs: an arm in [`BlobUses::apply`] and its name in [`HOLDING`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::registry::RegistryEvent;
use super::run::RunEvent;
use super::workspace::WorkspaceEvent;
use super::{Event, Kind};
use crate::base::{Digest, Sha256Digest};

/// The kinds that [`BlobUses::apply`] looks at; all others change nothing there.
pub const HOLDING: [Kind; 8] = [
    WorkspaceEvent::SNAPSHOT_TAKEN,
    WorkspaceEvent::LOGS_PACKED,
    RunEvent::ARTIFACT_STORED,
    RunEvent::ARCHIVED,
    RunEvent::RESTORED,
    RunEvent::DELETED,
    RunEvent::RELOCATED,
    RegistryEvent::PROMOTED,
];

/// What a blob is kept for: the entity (a run, a promotion) and the file's path in it.
type Holder = ([u8; 16], String);

/// The uses of one blob.
#[derive(Debug)]
pub struct BlobUse {
    /// Position of the event that named it first.
    pub first: u64,
    /// The SHA-256 of its bytes that events recorded, each with the position of the first.
    pub sha256: BTreeMap<Sha256Digest, u64>,
    holders: BTreeSet<Holder>,
}

impl BlobUse {
    /// Whether anything needs the blob still.
    pub fn is_needed(&self) -> bool {
        !self.holders.is_empty()
    }

    /// One file that needs it.
    pub fn path(&self) -> Option<&str> {
        self.holders.first().map(|(_, path)| path.as_str())
    }
}

/// The uses of every blob, folded from events in their order.
#[derive(Debug, Default)]
pub struct BlobUses {
    uses: BTreeMap<Digest, BlobUse>,
    mentioned: BTreeSet<Digest>,
}

impl BlobUses {
    /// Takes in an event of `entity` at `position`.
    pub fn apply(&mut self, position: u64, entity: [u8; 16], event: &Event) {
        match event {
            Event::Run(RunEvent::ArtifactStored(stored)) if stored.blob => {
                let path = stored.path.as_ref().unwrap_or(&stored.name);
                self.hold(position, (stored.digest, stored.sha256), (entity, path.clone()));
            }
            // What was dropped may be gone.
            Event::Run(RunEvent::Archived(archived)) => {
                for file in &archived.dropped {
                    if let Some(found) = self.uses.get_mut(&file.digest) {
                        found.holders.remove(&(entity, file.path.clone()));
                    }
                }
            }
            Event::Run(RunEvent::Restored(restored)) => {
                for file in &restored.recovered {
                    self.hold(position, (file.digest, file.sha256), (entity, file.path.clone()));
                }
            }
            Event::Run(RunEvent::Deleted(deleted)) => {
                for found in self.uses.values_mut() {
                    found.holders.retain(|(holder, _)| *holder != entity);
                }
                // Until the whole plan was applied, it is applied again after a crash.
                self.mentioned.insert(deleted.plan);
            }
            Event::Run(RunEvent::Relocated(relocated)) => {
                for file in &relocated.renamed {
                    let (old, new) = ((entity, file.from.clone()), (entity, file.to.clone()));
                    for found in self.uses.values_mut() {
                        if found.holders.remove(&old) {
                            found.holders.insert(new.clone());
                        }
                    }
                }
            }
            // Any version may come back, so none of its files may go.
            Event::Registry(RegistryEvent::Promoted(promoted)) => {
                for file in &promoted.files {
                    let holder = (promoted.request.0, file.path.clone());
                    self.hold(position, (file.digest, file.sha256), holder);
                }
            }
            Event::Workspace(WorkspaceEvent::SnapshotTaken(taken)) => {
                let holder = (entity, taken.manifest.to_string());
                self.hold(position, (taken.manifest, taken.manifest_sha256), holder);
            }
            Event::Workspace(WorkspaceEvent::LogsPacked(packed)) => {
                self.hold(position, (packed.digest, packed.sha256), (entity, packed.name.clone()));
            }
            _ => {}
        }
    }

    fn hold(
        &mut self,
        position: u64,
        (digest, sha256): (Digest, Option<Sha256Digest>),
        holder: Holder,
    ) {
        let new = || BlobUse { first: position, sha256: BTreeMap::new(), holders: BTreeSet::new() };
        let found = self.uses.entry(digest).or_insert_with(new);
        found.holders.insert(holder);
        if let Some(sha256) = sha256 {
            found.sha256.entry(sha256).or_insert(position);
        }
    }

    /// Keeps every digest that an event of another kind names: it may be one of a blob.
    pub fn mention(&mut self, event: &Event) {
        match event {
            // Whether the files of a run are needed follows from `apply`, and what the others
            // name is in no blob, or was named by an event before.
            Event::Run(
                RunEvent::ArtifactStored(_)
                | RunEvent::Archived(_)
                | RunEvent::Deleted(_)
                | RunEvent::Restored(_)
                | RunEvent::MetricsRecorded(_)
                | RunEvent::MetricsUnrecorded(_)
                | RunEvent::CheckpointSaved(_)
                | RunEvent::CheckpointPruned(_)
                | RunEvent::Planned(_)
                | RunEvent::Finished(_),
            )
            | Event::Move(_)
            | Event::Invocation(_)
            | Event::Workspace(
                WorkspaceEvent::BlobsRemoved(_)
                | WorkspaceEvent::CheckpointAnchored(_)
                | WorkspaceEvent::TextRedacted(_)
                | WorkspaceEvent::SnapshotTaken(_),
            ) => {}
            other => {
                digests(&serde_json::to_value(other).unwrap_or_default(), &mut self.mentioned);
            }
        }
    }

    /// Keeps a blob that something outside the log names.
    pub fn keep(&mut self, digest: Digest) {
        self.mentioned.insert(digest);
    }

    /// The uses of every blob that an event ever named as one, by digest.
    pub fn all(&self) -> impl Iterator<Item = (Digest, &BlobUse)> {
        self.uses.iter().map(|(digest, found)| (*digest, found))
    }

    /// The reason why a blob may be removed; none where something needs or mentions it.
    pub fn unneeded(&self, digest: Digest) -> Option<&'static str> {
        if self.mentioned.contains(&digest) {
            return None;
        }
        match self.uses.get(&digest) {
            None => Some("no event names it"),
            Some(found) if !found.is_needed() => Some("every run that had it dropped it"),
            Some(_) => None,
        }
    }
}

/// Every digest that occurs somewhere in `value`.
fn digests(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::String(text) => found.extend(text.parse::<Digest>()),
        Value::Array(items) => items.iter().for_each(|item| digests(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| digests(field, found)),
        _ => {}
    }
}
