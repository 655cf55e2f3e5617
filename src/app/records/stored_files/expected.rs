//! One run, folded into the files that its folder and its archive must hold.
//!
//! Artifacts, prepared rows and generated data have their digests in events of the run. Whenever a
//! folder is moved (archive, restore, another layout), the plan of the move has the digest of every
//! file in it: that covers what no other event names, as long as the run does not change.

use std::collections::BTreeMap;

use super::recorded::RecordedBytes;
use super::report::FileKind;
use crate::app::runs::run_files::DATASET;
use crate::app::runs::train::ensemble;
use crate::app::{Error, Result};
use crate::base::{MoveId, RunId};
use crate::domain::file_move::{MoveEvent, MovePlan};
use crate::domain::run::{
    DroppedFile, RunEvent, RunStarted, RunState, RunStatus, RunStream, SCRIPT_SPLIT_RULE,
};
use crate::domain::{Decider as _, Event, Header};
use crate::effect;
use crate::store::{Access, View};

/// One file of a run, as recorded.
#[derive(Clone, Debug)]
pub(in crate::app) struct ExpectedFile {
    pub(in crate::app) kind: FileKind,
    pub(in crate::app) recorded: RecordedBytes,
    /// The event that recorded it.
    pub(in crate::app) position: u64,
}

/// The recorded files of a run, by their paths in its folder.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct ExpectedFiles {
    /// Those in its folder.
    pub(in crate::app) folder: BTreeMap<String, ExpectedFile>,
    /// Those packed in its archive.
    pub(in crate::app) packed: BTreeMap<String, ExpectedFile>,
    /// Whether every file of the folder was recorded, so that any other one was added.
    pub(in crate::app) complete: bool,
}

/// Whether a move packs or unpacks the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    Changed,
    /// A packed folder keeps what is packed in it.
    Unchanged,
}

/// What the last move of the folder recorded.
#[derive(Clone, Debug, Default)]
struct MovedFolder {
    position: u64,
    folder: BTreeMap<String, RecordedBytes>,
    packed: BTreeMap<String, RecordedBytes>,
}

/// A run, and what recorded its files.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct RunRecord {
    pub(in crate::app) state: RunState,
    pub(in crate::app) started: Option<RunStarted>,
    /// The event that started it.
    pub(in crate::app) began: u64,
    /// The event of each training checkpoint, by update.
    pub(in crate::app) saved: BTreeMap<u64, u64>,
    /// The event of each artifact, by name.
    stored: BTreeMap<String, u64>,
    moved: MovedFolder,
    /// The event that archived it last.
    archived: u64,
}

impl RunRecord {
    /// A run in a log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(in crate::app) fn read<A: Access>(log: &View<A>, run: RunId) -> Result<Self> {
        let mut record = Self::default();
        for envelope in log.stream(run.into(), 0)? {
            let Ok(Event::Run(event)) = envelope.event() else { continue };
            let plan = |id: MoveId| {
                let events = log.stream(id.into(), 0)?;
                let plan = events.iter().find_map(|e| match e.event() {
                    Ok(Event::Move(MoveEvent::Planned(plan))) => {
                        Some((e.header.position, plan.into()))
                    }
                    _ => None,
                });
                Ok::<_, Error>(plan)
            };
            record.apply(&envelope.header, &event, plan)?;
        }
        Ok(record)
    }

    /// Takes in the next event of the run; `plan` returns the position and the plan of a move.
    ///
    /// # Errors
    /// Those of `plan`.
    pub(super) fn apply<E>(
        &mut self,
        header: &Header,
        event: &RunEvent,
        plan: impl FnOnce(MoveId) -> std::result::Result<Option<(u64, MovePlan)>, E>,
    ) -> std::result::Result<(), E> {
        RunStream::evolve(&mut self.state, event, header);
        let position = header.position;
        match event {
            RunEvent::Started(started) => {
                (self.started, self.began) = (Some(started.clone()), position);
            }
            RunEvent::ArtifactStored(stored) => {
                self.stored.insert(stored.name.clone(), position);
            }
            RunEvent::CheckpointSaved(saved) => {
                self.saved.insert(saved.step, position);
            }
            // What is trained or reported after a move changes files that it recorded.
            RunEvent::Resumed(_)
            | RunEvent::Finished(_)
            | RunEvent::Failed(_)
            | RunEvent::Interrupted(_) => self.moved = MovedFolder::default(),
            RunEvent::Archived(archived) => {
                self.archived = position;
                self.move_folder(plan(archived.file_move)?, Moved::Changed);
            }
            RunEvent::Restored(restored) => {
                self.move_folder(plan(restored.file_move)?, Moved::Changed);
            }
            RunEvent::Relocated(relocated) => {
                self.move_folder(plan(relocated.file_move)?, Moved::Unchanged);
            }
            _ => {}
        }
        Ok(())
    }

    fn move_folder(&mut self, plan: Option<(u64, MovePlan)>, contents: Moved) {
        let Some((position, plan)) = plan else {
            self.moved = MovedFolder::default();
            return;
        };
        let pack = self.state.pack;
        let mut moved = MovedFolder { position, ..MovedFolder::default() };
        if contents == Moved::Unchanged {
            moved.packed = std::mem::take(&mut self.moved.packed);
        }
        for file in &plan.files {
            let recorded = RecordedBytes::of_moved(file);
            let packed = pack.and_then(|pack| {
                file.path.strip_prefix(pack.file()).and_then(|path| path.strip_prefix('/'))
            });
            match packed {
                Some(path) => moved.packed.insert(path.to_owned(), recorded),
                None => moved.folder.insert(file.path.clone(), recorded),
            };
        }
        for DroppedFile { path, digest, sha256, bytes } in plan.purpose.from_blobs() {
            let recorded = RecordedBytes::new(*digest, *sha256, Some(*bytes));
            moved.folder.insert(path.clone(), recorded);
        }
        self.moved = moved;
    }

    /// The unique name, as messages have it.
    pub(in crate::app) fn subject(&self) -> String {
        format!("run {}", self.state.experiment_id)
    }

    /// Whether the training ended in its first attempt: everything that it did is in the log.
    pub(in crate::app) fn ended_at_once(&self) -> bool {
        self.state.status == RunStatus::Finished && self.state.attempt == 1
    }

    /// Every recorded file; those of training checkpoints are only listed where a move recorded
    /// them, since an event has the digest of their manifest alone.
    pub(in crate::app) fn expected(&self) -> ExpectedFiles {
        let state = &self.state;
        let mut files = ExpectedFiles {
            complete: state.archive.is_some() && self.moved.position > 0,
            ..ExpectedFiles::default()
        };
        let position = self.moved.position;
        let of_move = |recorded: &RecordedBytes| {
            let recorded = recorded.clone();
            ExpectedFile { kind: FileKind::RunFile, recorded, position }
        };
        let moved = |files: &BTreeMap<String, RecordedBytes>| {
            files.iter().map(|(path, recorded)| (path.clone(), of_move(recorded))).collect()
        };
        if state.status != RunStatus::Running {
            files.folder = moved(&self.moved.folder);
            files.packed = moved(&self.moved.packed);
        }
        self.expect_data(&mut files);
        for (name, artifact) in &state.artifacts {
            let Some(path) = &artifact.path else { continue };
            let position = self.stored.get(name).copied().unwrap_or(self.began);
            let recorded =
                RecordedBytes::new(artifact.digest, artifact.sha256, Some(artifact.bytes));
            self.expect(&mut files, path, FileKind::Artifact, recorded, position);
        }
        if let (Some(pack), Some(digest)) = (state.pack, state.pack_digest) {
            let recorded = RecordedBytes::new(digest, state.pack_sha256, None);
            let (kind, position) = (FileKind::Archive, self.archived);
            let file = ExpectedFile { kind, recorded, position };
            files.folder.insert(pack.file().to_owned(), file);
        }
        files
    }

    /// The rows as they were prepared, and data that annals generated beside them.
    fn expect_data(&self, files: &mut ExpectedFiles) {
        let Some(started) = &self.started else { return };
        // The rows of a script are its own, and an ensemble has those of its members.
        let is_trained = started.data.split_rule != SCRIPT_SPLIT_RULE
            && !self.state.artifacts.contains_key(ensemble::ARTIFACT);
        if !is_trained {
            return;
        }
        let rows = RecordedBytes::new(started.data.prepared, None, None);
        self.expect(files, DATASET, FileKind::PreparedData, rows, self.began);
        for file in &started.data.files {
            // A reproduction names the file of the run that it reproduces.
            let own = format!("{}/", started.folder);
            let Some((_, inside)) = file.path.rsplit_once(own.as_str()) else { continue };
            let recorded = RecordedBytes::new(file.digest, file.sha256, Some(file.bytes));
            self.expect(files, inside, FileKind::SampleData, recorded, self.began);
        }
    }

    /// Expects a file where the run has it now.
    fn expect(
        &self,
        files: &mut ExpectedFiles,
        path: &str,
        kind: FileKind,
        recorded: RecordedBytes,
        position: u64,
    ) {
        if self.state.dropped.contains(path) {
            return;
        }
        let packed = self.state.pack.is_some() && !effect::is_weight_file(path);
        let (files, kind) = match packed {
            true => (&mut files.packed, FileKind::ArchiveMember),
            false => (&mut files.folder, kind),
        };
        files.insert(path.to_owned(), ExpectedFile { kind, recorded, position });
    }
}
