//! `train_checkpoints`, `log_checkpoints`, `artifacts`, `moves` and `files`.

use std::collections::BTreeMap;

use super::{
    Batch, Column, EventRow, Fold, POSITION, RECORDED, RUN, Role, Rows, Table, Type, column,
    narrowing, row,
};
use crate::base::{Digest, MoveId, RunId, Sha256Digest, Timestamp};
use crate::domain::Event;
use crate::domain::file_move::{MoveEvent, MoveMode, MovePlanned};
use crate::domain::registry::RegistryEvent;
use crate::domain::run::{RunEvent, TrainCheckpointSaved};

pub(super) const TRAIN_CHECKPOINTS: Table = Table {
    name: "train_checkpoints",
    about: "one row for each training checkpoint that was saved",
    kinds: Some(&[
        RunEvent::CHECKPOINT_SAVED,
        RunEvent::CHECKPOINT_PRUNED,
        RunEvent::ARCHIVED,
        RunEvent::DELETED,
    ]),
    columns: &[
        column("position", Type::Int, "position of the event"),
        column("recorded", Type::Time, "when the log took the event"),
        RUN,
        column("attempt", Type::Int, "which attempt of the run, from 1"),
        column("step", Type::Int, "optimiser updates done"),
        column("epoch", Type::Int, "passes over the training rows"),
        column("path", Type::Text, "its folder, relative to the run's"),
        column("digest", Type::Text, "blake3 of its manifest"),
        column("bytes", Type::Int, "size of its files"),
        column("best", Type::Bool, "whether it was the best so far"),
        column("pruned_position", Type::Int, "position of its removal; null while it is kept"),
    ],
    fold: Fold::Whole(|| Box::new(Checkpoints::default())),
};

#[derive(Default)]
struct Checkpoints(BTreeMap<(RunId, String), (u64, Timestamp, TrainCheckpointSaved)>);

impl Checkpoints {
    fn row(
        run: RunId,
        (position, recorded, saved): (u64, Timestamp, TrainCheckpointSaved),
        pruned: Option<u64>,
        out: &mut Batch,
    ) {
        row![out;
            position,
            recorded,
            run.to_string(),
            saved.attempt,
            saved.step,
            saved.epoch,
            saved.path,
            saved.digest.to_string(),
            saved.bytes,
            saved.best,
            pruned,
        ];
    }

    /// Those of a run that an event removed with other files.
    fn remove(
        &mut self,
        run: RunId,
        position: u64,
        removed: impl Fn(&str) -> bool,
        out: &mut Batch,
    ) {
        let of_run = (run, String::new())..;
        let of_run = self.0.range(of_run).take_while(|((other, _), _)| *other == run);
        let gone = of_run.map(|(key, _)| key).filter(|(_, path)| removed(path));
        for key in gone.cloned().collect::<Vec<_>>() {
            if let Some(saved) = self.0.remove(&key) {
                Self::row(run, saved, Some(position), out);
            }
        }
    }
}

impl Rows for Checkpoints {
    fn take(&mut self, seen: &EventRow<'_>, out: &mut Batch) {
        let Some(run) = seen.header.stream.run() else { return };
        let (position, recorded) = (seen.header.position, seen.header.dated());
        match seen.event() {
            Some(Event::Run(RunEvent::CheckpointSaved(saved))) => {
                let new = (position, recorded, saved.clone());
                // The same file written again by a later attempt: the earlier one is gone.
                if let Some(old) = self.0.insert((run, saved.path.clone()), new) {
                    Self::row(run, old, Some(position), out);
                }
            }
            Some(Event::Run(RunEvent::CheckpointPruned(pruned))) => {
                if let Some(saved) = self.0.remove(&(run, pruned.path.clone())) {
                    Self::row(run, saved, Some(position), out);
                }
            }
            Some(Event::Run(RunEvent::Archived(archived))) => {
                let dropped =
                    |path: &str| archived.dropped.iter().any(|f| f.path.starts_with(path));
                self.remove(run, position, |path| dropped(&format!("{path}/")), out);
            }
            Some(Event::Run(RunEvent::Deleted(_))) => self.remove(run, position, |_| true, out),
            _ => {}
        }
    }

    fn end(&mut self, out: &mut Batch) {
        let kept = std::mem::take(&mut self.0).into_iter();
        kept.for_each(|((run, _), saved)| Self::row(run, saved, None, out));
    }
}

/// Its rows are not made of events: whoever reads them asks the log for its checkpoints.
pub(super) const LOG_CHECKPOINTS: Table = Table {
    name: super::super::source::LOG_CHECKPOINTS,
    about: "one row for each signed log checkpoint",
    kinds: Some(&[]),
    columns: &[
        column("size", Type::Int, "events in the log when it was signed"),
        column("note", Type::Text, "the signed note, as C2SP writes it"),
    ],
    fold: Fold::Each(|_, _| {}),
};

pub(super) const ARTIFACTS: Table = Table {
    name: "artifacts",
    about: "one row for each named file that a run stored",
    kinds: Some(&[RunEvent::ARTIFACT_STORED]),
    columns: &[
        POSITION,
        RECORDED,
        RUN,
        column("name", Type::Text, "what it is, such as weights"),
        column("path", Type::Text, "its file then, relative to the run's folder"),
        column("digest", Type::Text, "blake3 of its bytes"),
        column("bytes", Type::Int, "its size"),
        column("blob", Type::Bool, "whether its bytes are in the blob store"),
        column("sha256", Type::Text, SHA256),
    ],
    fold: Fold::Each(artifacts),
};

fn artifacts(seen: &EventRow<'_>, out: &mut Batch) {
    let Some(Event::Run(RunEvent::ArtifactStored(stored))) = seen.event() else { return };
    let run = seen.header.stream.run().map(|run| run.to_string());
    let (position, recorded) = (seen.header.position, seen.header.dated());
    let (name, path) = (stored.name.clone(), stored.path.clone());
    let (digest, sha256) = (stored.digest.to_string(), stored.sha256.map(|s| s.to_string()));
    row![out; position, recorded, run, name, path, digest, stored.bytes, stored.blob, sha256];
}

pub(super) const MOVES: Table = Table {
    name: "moves",
    about: "one row for each move of files",
    kinds: Some(&[MoveEvent::PLANNED, MoveEvent::COMPLETED, MoveEvent::ROLLED_BACK]),
    columns: &[
        column("position", Type::Int, "position of the plan"),
        column("planned", Type::Time, "when the log took the plan"),
        column("move", Type::Text, "its id"),
        column(
            "purpose",
            Type::Text,
            "promotion, demotion, archive, restore, rollback, removal, migration",
        ),
        column("mode", Type::Text, "copy or move"),
        column("run", Type::Text, "id of the run whose files move"),
        column("model", Type::Text, "the production name whose files move"),
        column("source", Type::Text, "the folder they come from"),
        column("target", Type::Text, "the folder they go to"),
        column("files", Type::Int, "how many"),
        column("bytes", Type::Int, "how much"),
        column("status", Type::Text, "completed, rolled_back or open"),
        column("ended_position", Type::Int, "position of its end"),
        column("ended", Type::Time, "when the log took its end"),
        column("recovered", Type::Bool, "whether a later invocation completed it after a crash"),
        column("reason", Type::Text, "why it was rolled back"),
    ],
    fold: Fold::Whole(|| Box::new(Moves::default())),
};

#[derive(Default)]
struct Moves(BTreeMap<MoveId, (u64, Timestamp, MovePlanned)>);

impl Moves {
    fn row(
        (position, recorded, plan): (u64, Timestamp, MovePlanned),
        end: Option<(&EventRow<'_>, &MoveEvent)>,
        out: &mut Batch,
    ) {
        let (status, recovered, reason) = match end.map(|(_, event)| event) {
            Some(MoveEvent::Completed(e)) => ("completed", Some(e.recovered), None),
            Some(MoveEvent::RolledBack(e)) => ("rolled_back", None, Some(e.reason.clone())),
            _ => ("open", None, None),
        };
        row![out;
            position,
            recorded,
            plan.id.to_string(),
            plan.purpose.word(),
            if plan.mode == MoveMode::Copy { "copy" } else { "move" },
            plan.purpose.run().map(|run| run.to_string()),
            plan.purpose.model().map(str::to_owned),
            plan.from,
            plan.to,
            plan.files.len() as u64,
            plan.files.iter().map(|file| file.bytes).sum::<u64>(),
            status,
            end.map(|(seen, _)| seen.header.position),
            end.map(|(seen, _)| seen.header.dated()),
            recovered,
            reason,
        ];
    }
}

impl Rows for Moves {
    fn take(&mut self, seen: &EventRow<'_>, out: &mut Batch) {
        let Some(Event::Move(event)) = seen.event() else { return };
        let id = MoveId(seen.header.stream.entity);
        if let MoveEvent::Planned(plan) = event {
            self.0.insert(id, (seen.header.position, seen.header.dated(), plan.clone()));
        } else if let Some(plan) = self.0.remove(&id) {
            Self::row(plan, Some((seen, event)), out);
        }
    }

    fn end(&mut self, out: &mut Batch) {
        let open = std::mem::take(&mut self.0).into_values();
        open.for_each(|plan| Self::row(plan, None, out));
    }
}

pub(super) const FILES: Table = Table {
    name: "files",
    about: "one row for each file of data, runs and promotions: what bytes were where, since when",
    kinds: Some(&[
        RunEvent::STARTED,
        RunEvent::ARTIFACT_STORED,
        RunEvent::CHECKPOINT_SAVED,
        RegistryEvent::PROMOTED,
    ]),
    columns: FILE_COLUMNS,
    fold: Fold::Each(files),
};

const FILE_COLUMNS: &[Column] = &[
    POSITION,
    RECORDED,
    narrowing("kind", Type::Text, Role::Kind, "kind of the event that names it"),
    column("role", Type::Text, "data, artifact, train_checkpoint or production"),
    column("run", Type::Text, "id of the run"),
    column("model", Type::Text, "the production name"),
    column("path", Type::Text, "its path: of data as given, else relative to run or model folder"),
    column("digest", Type::Text, "blake3 of its bytes"),
    column("bytes", Type::Int, "its size"),
    column("sha256", Type::Text, SHA256),
];

/// About a column of digests.
const SHA256: &str = "SHA-256 of its bytes; null where it was not recorded";

fn files(seen: &EventRow<'_>, out: &mut Batch) {
    let mut add =
        |role: &'static str, run: Option<RunId>, model: Option<&String>, file: FileRow<'_>| {
            row![out;
                seen.header.position,
                seen.header.dated(),
                seen.header.kind.name(),
                role,
                run.map(|run| run.to_string()),
                model,
                file.path,
                file.digest.to_string(),
                file.bytes,
                file.sha256.map(|sha256| sha256.to_string()),
            ];
        };
    let run = seen.header.stream.run();
    match seen.event() {
        Some(Event::Run(RunEvent::Started(started))) => {
            for file in &started.data.files {
                let (path, digest, sha256) = (Some(&file.path), file.digest, file.sha256);
                add("data", run, None, FileRow { path, digest, sha256, bytes: file.bytes });
            }
        }
        Some(Event::Run(RunEvent::ArtifactStored(stored))) => {
            let (path, digest, sha256) = (stored.path.as_ref(), stored.digest, stored.sha256);
            add("artifact", run, None, FileRow { path, digest, sha256, bytes: stored.bytes });
        }
        Some(Event::Run(RunEvent::CheckpointSaved(saved))) => {
            // A folder: its digest is of the list of its files.
            let (path, digest, bytes) = (Some(&saved.path), saved.digest, saved.bytes);
            add("train_checkpoint", run, None, FileRow { path, digest, sha256: None, bytes });
        }
        Some(Event::Registry(RegistryEvent::Promoted(promoted))) => {
            for file in &promoted.files {
                let (path, digest, sha256) = (Some(&file.path), file.digest, file.sha256);
                let file = FileRow { path, digest, sha256, bytes: file.bytes };
                add("production", Some(promoted.run), Some(&promoted.name), file);
            }
        }
        _ => {}
    }
}

/// What is known of a file.
struct FileRow<'a> {
    path: Option<&'a String>,
    digest: Digest,
    sha256: Option<Sha256Digest>,
    bytes: u64,
}
