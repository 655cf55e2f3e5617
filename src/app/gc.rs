//! Blobs that nothing needs any more are removed; which they are follows from the log alone.
//!
//! A blob is needed while a run that did not drop it names it as its file, while an event of any
//! other stream names it (a model that was ever in production may come back), and where any event
//! names it that is not known to let it go. One that is young is kept: whoever stored it may be
//! about to name it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::session::Tx;
use super::{App, Error, ErrorKind, Result};
use crate::base::{Digest, Timestamp, fuse};
use crate::domain::run::RunEvent;
use crate::domain::workspace::{BlobsRemoved, WorkspaceEvent};
use crate::domain::{EnvelopeRef, Event, Provenance, StreamId};
use crate::store::{Access, Filter, StoredBlob, View};

/// Most blobs that one event names: payloads are small.
const BLOBS_PER_EVENT: usize = 1_000;
const MINUTE_SECONDS: f64 = 60.0;

/// A blob that nothing needs.
#[derive(Clone, Debug, Serialize)]
pub struct Garbage {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Why nothing needs it.
    pub why: &'static str,
}

/// What collecting garbage removed, or would.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Collected {
    /// Blobs in the store before.
    pub blobs: usize,
    /// Those that nothing needs.
    pub garbage: Vec<Garbage>,
    /// How many more nothing needs that are too young.
    pub young: usize,
}

/// What events say about blobs.
#[derive(Default)]
struct Needs {
    /// Files of runs: who still has a use for a blob.
    holders: BTreeMap<Digest, BTreeSet<([u8; 16], String)>>,
    /// Named by anything else that keeps it.
    named: BTreeSet<Digest>,
    /// Lists of snapshots, which name more.
    snapshots: BTreeSet<Digest>,
}

impl Needs {
    fn of<A: Access>(log: &View<A>) -> Result<Self> {
        let mut needs = Self::default();
        log.scan(0..log.size(), &Filter::default(), |envelope| {
            let event = envelope.event().map_err(|e| {
                let position = envelope.header.position;
                let message =
                    format!("event {position} cannot be read ({e}): what it needs is unknown");
                Error::new(ErrorKind::Conflict, message)
                    .hint("a newer annals may read it; nothing was removed")
            })?;
            needs.take_in(envelope, event);
            Ok::<_, Error>(())
        })?;
        Ok(needs)
    }

    fn take_in(&mut self, envelope: &EnvelopeRef<'_>, event: Event) {
        let entity = envelope.header.stream.entity;
        match event {
            Event::Run(RunEvent::ArtifactStored(stored)) => {
                if stored.blob {
                    let path = stored.path.unwrap_or(stored.name);
                    self.holders.entry(stored.digest).or_default().insert((entity, path));
                }
            }
            Event::Run(RunEvent::Archived(archived)) => {
                for file in archived.dropped {
                    if let Some(holders) = self.holders.get_mut(&file.digest) {
                        holders.remove(&(entity, file.path));
                    }
                }
            }
            Event::Run(RunEvent::Deleted(_)) => {
                for holders in self.holders.values_mut() {
                    holders.retain(|(holder, _)| *holder != entity);
                }
            }
            Event::Run(RunEvent::Restored(restored)) => {
                for file in restored.recovered {
                    self.holders.entry(file.digest).or_default().insert((entity, file.path));
                }
            }
            Event::Workspace(WorkspaceEvent::SnapshotTaken(taken)) => {
                self.snapshots.insert(taken.manifest);
            }
            // Of these the digests tell what was, and the files above whether it is needed.
            Event::Run(
                RunEvent::MetricsRecorded(_)
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
                | WorkspaceEvent::TextRedacted(_),
            ) => {}
            other => names(&serde_json::to_value(&other).unwrap_or_default(), &mut self.named),
        }
    }

    /// Why nothing needs a blob; none where something does.
    fn unneeded(&self, digest: Digest) -> Option<&'static str> {
        if self.named.contains(&digest) {
            return None;
        }
        match self.holders.get(&digest) {
            None => Some("no event names it"),
            Some(holders) if holders.is_empty() => Some("every run that had it dropped it"),
            Some(_) => None,
        }
    }
}

/// Every digest that stands somewhere in `value`.
fn names(value: &Value, found: &mut BTreeSet<Digest>) {
    match value {
        Value::String(text) => found.extend(text.parse::<Digest>()),
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| names(field, found)),
        _ => {}
    }
}

impl App {
    /// What [`Self::collect_garbage`] would remove now of blobs older than `age_minutes`.
    ///
    /// # Errors
    /// When log or blobs cannot be read, or an event is of a later version.
    pub fn plan_garbage(&self, age_minutes: u32) -> Result<Collected> {
        let needs = self.store.read(|log| self.needs(log))?;
        self.garbage(&needs, age_minutes)
    }

    fn needs<A: Access>(&self, log: &View<A>) -> Result<Needs> {
        let mut needs = Needs::of(log)?;
        for manifest in std::mem::take(&mut needs.snapshots) {
            let kept = self
                .manifest(manifest)
                .map_err(|e| e.hint("what that snapshot needs is unknown; nothing was removed"))?;
            needs.named.extend(kept.files().map(|(_, digest, _)| digest));
            needs.named.insert(manifest);
        }
        Ok(needs)
    }

    fn garbage(&self, needs: &Needs, age_minutes: u32) -> Result<Collected> {
        let before = self.before(age_minutes);
        let all = self.blobs.all()?;
        let mut collected = Collected { blobs: all.len(), ..Collected::default() };
        for StoredBlob { digest, bytes, changed } in all {
            let Some(why) = needs.unneeded(digest) else { continue };
            if changed > before {
                collected.young += 1;
            } else {
                collected.garbage.push(Garbage { digest, bytes, why });
            }
        }
        Ok(collected)
    }

    /// Blobs that were stored, or stored again, later than this are young.
    fn before(&self, age_minutes: u32) -> Timestamp {
        let nanos = f64::from(age_minutes) * MINUTE_SECONDS * 1e9;
        self.env.now().plus_nanos(-(nanos as i64))
    }

    /// Removes blobs that nothing needs and that are older than `age_minutes`. The event that
    /// names them comes first: after a crash the rest of them is garbage for the next time.
    ///
    /// # Errors
    /// As [`Self::plan_garbage`]; [`ErrorKind::Conflict`] when young ones shall go as well while
    /// another annals is at work.
    pub fn collect_garbage(&self, age_minutes: u32) -> Result<Collected> {
        if age_minutes == 0 && self.live.any_alive() {
            let message = "another annals is at work and may be about to name what it has stored";
            return Err(Error::new(ErrorKind::Conflict, message)
                .hint("leave --min-age out, or try again when it has ended"));
        }
        let session = self.begin("gc")?;
        let result =
            session.transact(|tx| self.record_garbage(tx, age_minutes)).and_then(|found| {
                let before = self.before(age_minutes);
                for garbage in &found.garbage {
                    fuse::step();
                    self.blobs.remove(garbage.digest, before)?;
                }
                Ok(found)
            });
        session.finish_with(result)
    }

    fn record_garbage(&self, tx: &mut Tx<'_, '_>, age_minutes: u32) -> Result<Collected> {
        let found = self.garbage(&self.needs(tx.log())?, age_minutes)?;
        for part in found.garbage.chunks(BLOBS_PER_EVENT) {
            let removed = BlobsRemoved {
                digests: part.iter().map(|garbage| garbage.digest).collect(),
                bytes: part.iter().map(|garbage| garbage.bytes).sum(),
            };
            tx.append(StreamId::WORKSPACE, &[removed.into()], Provenance::Reported)?;
        }
        Ok(found)
    }
}
