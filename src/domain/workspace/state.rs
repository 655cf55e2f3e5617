//! What is known about the log itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{KeyAlgorithm, LayoutKind, SnapshotTaken, WorkspaceCreated, WorkspaceEvent};
use crate::base::{Digest, PublicKey, RunId};
use crate::domain::Fold;

/// A signing key the log knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What it signs with.
    pub algorithm: KeyAlgorithm,
    /// The public key.
    pub public_key: PublicKey,
    /// Name of the actor who holds the private key.
    pub owner: String,
    /// Whether a newer key of the owner took its place.
    pub replaced: bool,
}

/// The fold of the workspace stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkspaceState {
    /// How the log began.
    pub created: Option<WorkspaceCreated>,
    /// The signing keys, oldest first.
    pub keys: Vec<Key>,
    /// The layout that everything was moved to last; none for one that it began with.
    pub layout: Option<LayoutKind>,
    /// The names of all actors.
    pub actors: BTreeSet<String>,
    /// The digest of each pack of logs, by its name.
    pub packs: BTreeMap<String, Digest>,
    /// The runs whose logs are in one.
    pub packed: BTreeSet<RunId>,
    /// The snapshots, oldest first.
    pub snapshots: Vec<SnapshotTaken>,
}

impl Fold for WorkspaceState {
    type Event = WorkspaceEvent;

    fn evolve(&mut self, event: &WorkspaceEvent) {
        match event {
            WorkspaceEvent::Created(created) => self.created = Some(created.clone()),
            WorkspaceEvent::ActorRegistered(actor) => {
                self.actors.insert(actor.name.clone());
            }
            WorkspaceEvent::KeyCreated(key) => {
                let (algorithm, public_key) = (key.algorithm, key.public_key);
                let owner = key.owner.clone();
                if key.replaces.is_some() {
                    let of_owner = self.keys.iter_mut().filter(|old| old.owner == owner);
                    of_owner.for_each(|old| old.replaced = true);
                }
                self.keys.push(Key { algorithm, public_key, owner, replaced: false });
            }
            WorkspaceEvent::SnapshotTaken(taken) => self.snapshots.push(taken.clone()),
            WorkspaceEvent::LogsPacked(pack) => {
                self.packs.insert(pack.name.clone(), pack.digest);
                self.packed.extend(&pack.runs);
            }
            WorkspaceEvent::KeyVouched(_)
            | WorkspaceEvent::BlobsRemoved(_)
            | WorkspaceEvent::CheckpointAnchored(_)
            | WorkspaceEvent::ConsolidationApplied(_)
            | WorkspaceEvent::TextRedacted(_) => {}
            WorkspaceEvent::LayoutChanged(changed) => self.layout = Some(changed.to),
        }
    }
}
