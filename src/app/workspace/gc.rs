//! Blobs that nothing needs any more are removed; which they are follows from the log alone.
//!
//! A blob is needed while a run that did not drop it names it as its file, while an event of any
//! other stream names it (a model that was ever in production may come back), and where any event
//! names it that is not known to let it go: [`BlobUses`]. One that is young is kept: whoever stored
//! it may be about to name it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::session::Tx;
use crate::app::{Error, ErrorKind, Mode, Result, Workspace, workspace};
use crate::base::{Digest, Timestamp, failpoint};
use crate::domain::workspace::{WorkspaceCommand, WorkspaceEvent, WorkspaceStream};
use crate::domain::{BlobUse, BlobUses, Event, HOLDING};
use crate::store::{Access, Filter, StoredBlob, View};

/// Most blobs that one event names: payloads are small.
const BLOBS_PER_EVENT: usize = 1_000;
const MINUTE_SECONDS: f64 = 60.0;

/// A blob that nothing needs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Garbage {
    /// Its digest.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// Why nothing needs it.
    pub why: &'static str,
}

/// What collecting garbage removed, or would.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Collected {
    /// Blobs in the store before.
    pub blobs: usize,
    /// Those that nothing needs.
    pub garbage: Vec<Garbage>,
    /// How many more nothing needs that are too young.
    pub young: usize,
}

/// Garbage that was removed, or would be.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GarbageCollection {
    /// Whether it was removed; false for a dry run.
    pub removed: bool,
    /// Its size.
    pub bytes: u64,
    /// What was found.
    pub found: Collected,
}

impl Collected {
    /// The answer, of garbage that was removed or not.
    pub fn answer(self, removed: bool) -> GarbageCollection {
        let bytes = self.garbage.iter().map(|garbage| garbage.bytes).sum();
        GarbageCollection { removed, bytes, found: self }
    }
}

/// The uses of every blob, by the log alone; the lists of snapshots name more.
fn blob_uses<A: Access>(log: &View<A>) -> Result<(BlobUses, BTreeSet<Digest>)> {
    let (mut uses, mut manifests) = (BlobUses::default(), BTreeSet::new());
    log.scan(0..log.size(), &Filter::default(), |envelope| {
        let event = envelope.event().map_err(|e| {
            let position = envelope.header.position;
            let message =
                format!("event {position} cannot be read ({e}): what it needs is unknown");
            Error::new(ErrorKind::Conflict, message)
                .hint("a newer annals may read it; nothing was removed")
        })?;
        uses.apply(envelope.header.position, envelope.header.stream.entity, &event);
        uses.mention(&event);
        if let Event::Workspace(WorkspaceEvent::SnapshotTaken(taken)) = event {
            manifests.insert(taken.manifest);
        }
        Ok::<_, Error>(())
    })?;
    Ok((uses, manifests))
}

/// What [`collect_garbage`] would remove now of blobs older than `age_minutes`.
///
/// # Errors
/// When log or blobs cannot be read, or an event is of a later version.
fn plan_garbage(workspace: &Workspace, age_minutes: u32) -> Result<Collected> {
    may_collect(workspace, age_minutes)?;
    let needs = workspace.store.read(|log| needs(workspace, log))?;
    garbage(workspace, &needs, age_minutes)
}

/// Young blobs may be about to be named by another process.
fn may_collect(workspace: &Workspace, age_minutes: u32) -> Result<()> {
    if age_minutes > 0 || !workspace.live.any_alive() {
        return Ok(());
    }
    let message = "another annals process is running and may be about to record what it stored";
    Err(Error::new(ErrorKind::Conflict, message)
        .hint("leave --min-age out, or try again when it has ended"))
}

fn needs<A: Access>(workspace: &Workspace, log: &View<A>) -> Result<BlobUses> {
    let (mut needs, manifests) = blob_uses(log)?;
    for manifest in manifests {
        let kept = workspace::manifest(workspace, manifest)
            .map_err(|e| e.hint("what that snapshot needs is unknown; nothing was removed"))?;
        kept.files().for_each(|file| needs.keep(file.digest));
    }
    Ok(needs)
}

/// Blobs that the record needs and that are not in the store: digest, position of the event
/// that named it first, and the file that it is. Their bytes are not read.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn missing_blobs(workspace: &Workspace) -> Result<Vec<(Digest, u64, String)>> {
    let mut uses = BlobUses::default();
    let holding = Filter::kinds(HOLDING);
    workspace.store.read(|log| {
        log.scan(0..log.size(), &holding, |envelope| {
            // An event of a later version says nothing that this annals could check.
            if let Ok(event) = envelope.event() {
                uses.apply(envelope.header.position, envelope.header.stream.entity, &event);
            }
            Ok::<_, Error>(())
        })
    })?;
    let needed = uses.all().filter(|(_, found)| found.is_needed());
    let missing = needed.filter(|(digest, _)| !workspace.blobs.contains(*digest));
    let line = |(digest, found): (Digest, &BlobUse)| {
        (digest, found.first, found.path().unwrap_or_default().to_owned())
    };
    Ok(missing.map(line).collect())
}

fn garbage(workspace: &Workspace, needs: &BlobUses, age_minutes: u32) -> Result<Collected> {
    let before = before(workspace, age_minutes);
    let all = workspace.blobs.all()?;
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
fn before(workspace: &Workspace, age_minutes: u32) -> Timestamp {
    let nanos = f64::from(age_minutes) * MINUTE_SECONDS * 1e9;
    workspace.env.now().plus_nanos(-(nanos as i64))
}

/// Removes blobs that nothing needs and that are older than `age_minutes`. The event that
/// names them comes first: after a crash the rest of them is garbage for the next time.
///
/// # Errors
/// When log or blobs cannot be read, or an event is of a later version;
/// [`ErrorKind::Conflict`] when young ones shall go as well while another annals is at work.
pub fn collect_garbage(workspace: &Workspace, age_minutes: u32, mode: Mode) -> Result<Collected> {
    if mode == Mode::DryRun {
        return plan_garbage(workspace, age_minutes);
    }
    may_collect(workspace, age_minutes)?;
    let session = workspace.begin("gc")?;
    let result =
        session.transact(|tx| record_garbage(workspace, tx, age_minutes)).and_then(|found| {
            let before = before(workspace, age_minutes);
            for garbage in &found.garbage {
                failpoint::hit();
                workspace.blobs.remove(garbage.digest, before)?;
            }
            Ok(found)
        });
    session.finish_with(result)
}

fn record_garbage(
    workspace: &Workspace,
    tx: &mut Tx<'_, '_>,
    age_minutes: u32,
) -> Result<Collected> {
    let found = garbage(workspace, &needs(workspace, tx.log())?, age_minutes)?;
    for part in found.garbage.chunks(BLOBS_PER_EVENT) {
        let command = WorkspaceCommand::RemoveBlobs {
            digests: part.iter().map(|garbage| garbage.digest).collect(),
            bytes: part.iter().map(|garbage| garbage.bytes).sum(),
        };
        tx.decide::<WorkspaceStream>((), command, &())?;
    }
    Ok(found)
}
