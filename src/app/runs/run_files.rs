//! Where the recorded files of a run are now, and whether a verb can have them: the one answer for
//! promoting, predicting, comparing, reproducing and combining runs.
//!
//! A file is in the run's folder (active or archived), in the pack of an archive, or in the blob
//! store. Where it is in none of them, [`locate`] returns the reason and the verb
//! that helps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::app::core::admitted::admitted;
use crate::app::runs::train::ensemble;
use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::Digest;
use crate::domain::run::{Pack, RunDeleted, RunEvent, RunState};
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{Event, StreamId};
use crate::effect;
use crate::model::ModelFile;
use crate::projection::run_summary::RunSummary;
use crate::projection::runs::RunDetails;
use crate::store::{Access, View};

/// The prepared rows of a training, which are no artifact and have no blob.
pub(in crate::app) const DATASET: &str = "config/dataset.bin";

/// Whether the bytes of an artifact decide what a model answers.
pub(in crate::app) fn decides(artifact: &str) -> bool {
    ModelFile::of_artifact(artifact).is_some() || ensemble::is_of_member(artifact)
}

/// Whether the bytes of a file in a folder of a model decide what it answers. Files of other
/// trainers keep their own endings.
pub(in crate::app) fn decides_in_model(path: &str) -> bool {
    let stem = |file: &str| file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned();
    let is_listed = ModelFile::all().any(|file| stem(file.file_name()) == stem(path));
    is_listed || ensemble::is_of_member(path)
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Location {
    /// A file in the folder of the run; its bytes may have been changed since.
    Folder(PathBuf),
    /// In the blob store alone.
    Blob,
    /// In the pack of an archived run alone.
    Pack(Pack),
}

/// A recorded file of a run.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct RecordedFile<'a> {
    /// What it is, such as `weights`.
    pub(in crate::app) name: &'a str,
    /// Its path in the run's folder.
    pub(in crate::app) path: &'a str,
    /// The recorded digest of its bytes.
    pub(in crate::app) digest: Digest,
}

impl RecordedFile<'_> {
    /// That an archive of run `id` has the file no more.
    pub(in crate::app) fn not_kept(&self, id: &str) -> String {
        match self.name {
            "weights" => format!("the weights of {id} were not kept"),
            name => format!("the file {} ({name}) of {id} was not kept", self.path),
        }
    }
}

/// What is recorded about the place of a run's files.
#[derive(Clone, Debug)]
pub(in crate::app) struct RunFiles {
    experiment_id: String,
    folder: String,
    pack: Option<Pack>,
    dropped: Vec<String>,
    /// The first digits of the plan, and the reason.
    removed: Option<(String, String)>,
    /// Events that redacted files, by the digest of the bytes that are there since.
    redacted: Arc<BTreeMap<Digest, u64>>,
}

impl RunFiles {
    /// Of a run in a log.
    pub(in crate::app) fn of_state<A: Access>(log: &View<A>, run: &RunState) -> Result<Self> {
        let removed = match run.id.filter(|_| run.deleted) {
            Some(id) => admitted(log, id)?.iter().rev().find_map(|e| match e.event() {
                Ok(Event::Run(RunEvent::Deleted(RunDeleted { plan, reason, .. }))) => {
                    Some((plan.short(16), reason))
                }
                _ => None,
            }),
            None => None,
        };
        Ok(Self {
            experiment_id: run.experiment_id.clone(),
            folder: run.folder.clone(),
            pack: run.pack,
            dropped: run.dropped.iter().cloned().collect(),
            removed,
            redacted: Arc::new(redacted_in(log)?),
        })
    }

    /// Of a row of the views.
    pub(in crate::app) fn of_details(
        run: &RunDetails,
        redacted: Arc<BTreeMap<Digest, u64>>,
    ) -> Self {
        let packed = run.archive.as_ref().and_then(|archive| archive.packed.as_deref());
        let pack = packed.and_then(Pack::of_file);
        let removed = run.deleted.as_ref().map(|deleted| {
            (deleted.plan.get(..16).unwrap_or_default().to_owned(), deleted.reason.clone())
        });
        Self {
            experiment_id: run.experiment_id.clone(),
            folder: run.folder.clone(),
            pack,
            dropped: run.dropped.clone(),
            removed,
            redacted,
        }
    }

    /// Of a run that is read in place, whose files are there.
    pub(in crate::app) fn of_summary(
        run: &RunSummary<'_>,
        redacted: Arc<BTreeMap<Digest, u64>>,
    ) -> Self {
        Self {
            experiment_id: run.experiment_id.to_owned(),
            folder: run.folder.to_owned(),
            pack: run.pack(),
            dropped: run.dropped(),
            removed: None,
            redacted,
        }
    }

    /// The event that redacted the file with these bytes, if one did.
    pub(in crate::app) fn redacted_at(&self, digest: Digest) -> Option<u64> {
        self.redacted.get(&digest).copied()
    }

    /// Whether a file was not kept when the run was archived, and did not come back since.
    pub(in crate::app) fn was_dropped(&self, path: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped == path)
    }

    /// Refuses a file that was redacted as a whole where it decides a result.
    fn refuse_redacted(&self, file: RecordedFile<'_>) -> Result<()> {
        let RecordedFile { name, path, digest } = file;
        let redacted = self.redacted_at(digest).filter(|_| decides(name) || path == DATASET);
        let Some(at) = redacted else { return Ok(()) };
        let id = &self.experiment_id;
        let message = format!("the file {path} ({name}) of {id} was redacted at event {at}");
        Err(Error::new(ErrorKind::Rejected, message)
            .hint(format!("`annals show {at}` prints by whom and why")))
    }

    /// The refusal of a verb that needs the files of a run that a consolidation removed.
    pub(in crate::app) fn refuse_removed(&self) -> Result<()> {
        let Some((plan, reason)) = &self.removed else { return Ok(()) };
        let name = &self.experiment_id;
        let message = format!("the files of {name} were removed by consolidation {plan}: {reason}");
        Err(Error::new(ErrorKind::Rejected, message)
            .hint(format!("`annals show {name}` prints its record")))
    }
}

/// The events that redacted files: position by the digest of the bytes that are there since.
pub(in crate::app) fn redacted_in<A: Access>(log: &View<A>) -> Result<BTreeMap<Digest, u64>> {
    let mut redacted = BTreeMap::new();
    for envelope in admitted(log, StreamId::WORKSPACE)? {
        if let Ok(Event::Workspace(WorkspaceEvent::TextRedacted(event))) = envelope.event() {
            let position = envelope.header.position;
            redacted.extend(event.files.iter().map(|file| (file.replacement, position)));
        }
    }
    Ok(redacted)
}

/// [`redacted_in`] of this log.
pub(in crate::app) fn redacted_files(workspace: &Workspace) -> Result<Arc<BTreeMap<Digest, u64>>> {
    Ok(Arc::new(workspace.store.read(redacted_in)?))
}

/// Where a file of a run is. Its bytes are not read: whoever reads them compares the digest.
///
/// # Errors
/// [`ErrorKind::Rejected`] for a file that was redacted as a whole where it decides a result,
/// that was dropped, or whose run was removed; [`ErrorKind::Integrity`] for one that is gone
/// though nothing in the log let it go.
pub(in crate::app) fn locate(
    workspace: &Workspace,
    run: &RunFiles,
    file: RecordedFile<'_>,
) -> Result<Location> {
    let RecordedFile { path, digest, .. } = file;
    let id = &run.experiment_id;
    run.refuse_redacted(file)?;
    let (full, exists) = workspace.find_in_folder(&run.folder, path)?;
    if run.removed.is_none() && exists {
        return Ok(Location::Folder(full));
    }
    if workspace.blobs.contains(digest) {
        return Ok(Location::Blob);
    }
    if let Some(pack) = run.pack
        && let Ok(packed) = effect::survey_pack(&workspace.root, &run.folder, pack)
        && packed.get(path).is_some_and(|(found, _)| found.blake3 == digest)
    {
        return Ok(Location::Pack(pack));
    }
    run.refuse_removed()?;
    if run.was_dropped(path) {
        let what = file.not_kept(id);
        let message = format!("{what} when it was archived, and no blob has the bytes");
        let error = Error::new(ErrorKind::Rejected, message);
        let rows = workspace.inside_folder(&run.folder, DATASET).is_ok_and(|rows| rows.exists());
        return Err(match run.pack.is_some() || rows {
            true => error.hint(format!("`annals reproduce {id}` trains it again")),
            false => error,
        });
    }
    let message = format!("{} is gone, and no blob has its bytes", full.display());
    Err(Error::new(ErrorKind::Integrity, message)
        .hint("`annals verify` lists everything that is missing"))
}

/// The recorded bytes of a file of a run, from wherever they are.
///
/// # Errors
/// As [`locate`], and [`ErrorKind::Integrity`] where only other bytes are left.
pub(in crate::app) fn recorded_bytes(
    workspace: &Workspace,
    run: &RunFiles,
    file: RecordedFile<'_>,
) -> Result<Vec<u8>> {
    let digest = file.digest;
    match locate(workspace, run, file)? {
        Location::Folder(path) => {
            let bytes = std::fs::read(&path)
                .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
            if Digest::of(&bytes) == digest {
                return Ok(bytes);
            }
            if workspace.blobs.contains(digest) {
                return Ok(workspace.blobs.get(digest)?);
            }
            let message = format!(
                "{} was changed after it was recorded, and no blob has the bytes with digest \
                 {digest}",
                path.display()
            );
            Err(Error::new(ErrorKind::Integrity, message))
        }
        Location::Blob => Ok(workspace.blobs.get(digest)?),
        Location::Pack(pack) => {
            let found = effect::packed_file(&workspace.root, &run.folder, pack, file.path)?;
            found.filter(|bytes| Digest::of(bytes) == digest).ok_or_else(|| {
                let message = format!("{} is not in {}", file.path, pack.file());
                Error::new(ErrorKind::Integrity, message)
            })
        }
    }
}

/// Refuses a run of which a file that decides its answers cannot be had.
///
/// # Errors
/// As [`locate`].
pub(in crate::app) fn model_available(
    workspace: &Workspace,
    run: &RunFiles,
    artifacts: &[RecordedFile<'_>],
) -> Result<()> {
    run.refuse_removed()?;
    artifacts.iter().filter(|file| decides(file.name)).try_for_each(|file| {
        // A copied log has no files beside it: only what the log itself lets go is known.
        match workspace.is_copied_log() {
            true => run.refuse_redacted(*file),
            false => locate(workspace, run, *file).map(|_| ()),
        }
    })
}

/// The recorded files of a run's state that have a path.
pub(in crate::app) fn files_of_state(run: &RunState) -> Vec<RecordedFile<'_>> {
    let files = run.artifacts.iter().filter_map(|(name, artifact)| {
        let path = artifact.path.as_deref()?;
        Some(RecordedFile { name, path, digest: artifact.digest })
    });
    files.collect()
}

/// The recorded files of a run that is read in place.
pub(in crate::app) fn files_of_summary<'a>(run: &RunSummary<'a>) -> Vec<RecordedFile<'a>> {
    let files = run.files().filter_map(|(name, path, digest)| {
        Some(RecordedFile { name, path, digest: digest.parse().ok()? })
    });
    files.collect()
}

/// The recorded files of a row of the views that have a path.
pub(in crate::app) fn files_of_details(run: &RunDetails) -> Vec<RecordedFile<'_>> {
    let files = run.artifacts.iter().filter_map(|(name, path, digest, _)| {
        Some(RecordedFile { name, path: path.as_deref()?, digest: digest.parse().ok()? })
    });
    files.collect()
}
