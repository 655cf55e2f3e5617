//! What is known about one run; bulk metrics are left to the views.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Archive, CHOSEN, Category, Pack, RunArchived, RunEvent, RunShared, RunStarted, RunStream,
    UnrecordedSeries, Unstated,
};
use crate::base::{Digest, RunId, Sha256Digest, Split};
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::{Decider as _, Fold, Header, Provenance, Rejection};

/// How far a run got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Nothing is known.
    #[default]
    Unknown,
    /// Under way, if its supervisor is alive.
    Running,
    /// Ended by itself, with a model.
    Finished,
    /// Ended without a model.
    Failed,
    /// Stopped, or its supervisor is gone.
    Interrupted,
}

impl RunStatus {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A file of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its path, relative to the run's folder.
    pub path: Option<String>,
    /// Digest of its bytes.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
}

/// A training checkpoint that was not removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedTrainCheckpoint {
    /// Its folder, relative to the run's.
    pub path: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Whether it was the best when it was saved.
    pub best: bool,
}

/// The fold of one run's stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    /// The run's id.
    pub id: Option<RunId>,
    /// Position of the actor who began it; none before that is in the log.
    pub owner: Option<u64>,
    /// Who else may record facts of it, by name.
    pub shared: BTreeSet<String>,
    /// The experiment's name.
    pub name: String,
    /// The unique name.
    pub experiment_id: String,
    /// The run's folder, relative to the workspace.
    pub folder: String,
    /// Its folder while it is active.
    pub home: String,
    /// The archive it lies in; none while it is active.
    pub archive: Option<Archive>,
    /// Whether its files are gone for good.
    pub deleted: bool,
    /// How most of its files are packed in the archive.
    pub pack: Option<Pack>,
    /// Digest of the file that they are packed into.
    pub pack_digest: Option<Digest>,
    /// SHA-256 of that file; none where it was not recorded.
    pub pack_sha256: Option<Sha256Digest>,
    /// Paths of its files that were not kept.
    pub dropped: BTreeSet<String>,
    /// How far it got.
    pub status: RunStatus,
    /// The attempt under way, or the last.
    pub attempt: u32,
    /// What it is for.
    pub category: Category,
    /// Whether somebody chose the category; words of name and tags do not change it then.
    pub category_chosen: bool,
    /// Words for finding it, in the order they came.
    pub tags: Vec<String>,
    /// Whether the rules about old runs leave it alone.
    pub pinned: bool,
    /// Whether its data was generated.
    pub synthetic: bool,
    /// Valid and test rows whose text also stands in the training rows.
    pub leaked_rows: u64,
    /// Facts that nobody stated.
    pub unstated: BTreeSet<Unstated>,
    /// Whether all that is recorded while it runs is signed.
    pub points_signed: bool,
    /// Rows of each split.
    pub rows: Vec<(Split, u64)>,
    /// Digest of its prepared rows.
    pub data: Option<Digest>,
    /// The labels, in the order of the model's outputs.
    pub labels: Vec<String>,
    /// How its final metrics came to the log.
    pub provenance: Option<Provenance>,
    /// Final values.
    pub metrics: Vec<FinalMetric>,
    /// Predictions against labels.
    pub evaluations: Vec<Evaluation>,
    /// Its files, by what they are.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Its training checkpoints, by step.
    pub checkpoints: BTreeMap<u64, SavedTrainCheckpoint>,
    /// Values that are no points of the run, and why.
    pub unrecorded: Vec<UnrecordedSeries>,
    /// How often it was reproduced with the same weights and numbers.
    pub reproduced: u32,
}

impl RunState {
    /// Predictions against labels on `split`.
    pub fn evaluation(&self, split: Split) -> Option<&Evaluation> {
        self.evaluations.iter().find(|e| e.split == split)
    }

    /// Whether somebody stated the fact.
    pub fn stated(&self, fact: Unstated) -> bool {
        !self.unstated.contains(&fact)
    }

    /// Whether it is known if its data was generated.
    pub fn origin_known(&self) -> bool {
        self.synthetic || self.stated(Unstated::DataOrigin)
    }

    /// Refuses a run that is not under way.
    ///
    /// # Errors
    /// When it takes in no facts any more, or never began.
    pub fn must_run(&self) -> Result<(), Rejection> {
        if self.status == RunStatus::Running {
            return Ok(());
        }
        Err(Rejection::WrongState {
            what: format!("run {}", self.experiment_id),
            state: self.status.word().into(),
            wanted: "only a running one takes in facts".into(),
        })
    }

    /// Refuses facts of the run by somebody who may not record them. `others` is whether the
    /// policy lets anybody do so.
    ///
    /// # Errors
    /// When the run was neither begun by nor shared with them.
    pub fn may_record(&self, actor: u64, name: &str, others: bool) -> Result<(), Rejection> {
        let owner = self.owner.is_none_or(|owner| owner == actor);
        if owner || others || self.shared.contains(name) {
            return Ok(());
        }
        Err(Rejection::NotAllowed(format!(
            "the run {0} was begun by somebody else, and {name} may not record facts of it; they \
             can share it (`annals run share {0} {name}`)",
            self.experiment_id
        )))
    }

    /// Takes in how the event that ended the run came to the log; the header knows it.
    pub(in crate::domain) fn evolve_from(&mut self, event: &RunEvent, provenance: Provenance) {
        self.evolve(event);
        if matches!(event, RunEvent::Finished(_)) {
            self.provenance = Some(provenance);
        }
    }

    /// Takes in what decides which later events of the run are allowed: not its results and files.
    pub(in crate::domain) fn outline(&mut self, event: &RunEvent, header: &Header) {
        match event {
            RunEvent::Finished(_) => self.status = RunStatus::Finished,
            RunEvent::ArtifactStored(_) | RunEvent::MetricsUnrecorded(_) => {}
            _ => RunStream::evolve(self, event, header),
        }
    }

    fn start(&mut self, started: &RunStarted) {
        self.id = Some(started.run);
        self.name.clone_from(&started.name);
        self.experiment_id.clone_from(&started.experiment_id);
        self.folder.clone_from(&started.folder);
        self.home.clone_from(&started.folder);
        self.status = RunStatus::Running;
        self.attempt = started.attempt;
        self.tags.clone_from(&started.tags);
        self.synthetic = started.data.synthetic.is_some();
        self.leaked_rows = started.data.leaked_rows;
        self.unstated.clone_from(&started.unstated);
        self.points_signed = started.points_signed;
        self.rows = started.data.splits.iter().map(|s| (s.split, s.rows)).collect();
        self.labels.clone_from(&started.data.labels);
        self.data = Some(started.data.prepared);
    }

    fn archived(&mut self, archived: &RunArchived) {
        self.folder.clone_from(&archived.folder);
        self.archive = Some(archived.archive);
        self.pack = archived.packed.as_ref().map(|packed| packed.pack);
        self.pack_digest = archived.packed.as_ref().map(|packed| packed.digest);
        self.pack_sha256 = archived.packed.as_ref().and_then(|packed| packed.sha256);
        self.dropped.extend(archived.dropped.iter().map(|file| file.path.clone()));
        let gone = |folder: &str| {
            let inside =
                |file: &String| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            self.dropped.iter().any(inside)
        };
        self.checkpoints.retain(|_, saved| !gone(&saved.path));
    }

    /// Its files are not in an archive any more.
    fn unpacked(&mut self) {
        (self.archive, self.pack) = (None, None);
        (self.pack_digest, self.pack_sha256) = (None, None);
    }
}

impl Fold for RunState {
    type Event = RunEvent;

    fn evolve(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started(started) => self.start(started),
            RunEvent::Classified(classified) => {
                self.category = classified.category;
                self.category_chosen = classified.rule == CHOSEN;
            }
            RunEvent::Tagged(tagged) => {
                self.tags.retain(|tag| !tagged.removed.contains(tag));
                self.tags.extend(tagged.added.iter().cloned());
            }
            RunEvent::Shared(RunShared { person, allowed }) => {
                self.shared.remove(person);
                self.shared.extend(allowed.then(|| person.clone()));
            }
            RunEvent::Pinned(_) => self.pinned = true,
            RunEvent::Unpinned(_) => self.pinned = false,
            RunEvent::Renamed(renamed) => self.name.clone_from(&renamed.new),
            RunEvent::Archived(archived) => self.archived(archived),
            RunEvent::Restored(restored) => {
                self.folder.clone_from(&restored.folder);
                self.unpacked();
                for file in &restored.recovered {
                    self.dropped.remove(&file.path);
                }
            }
            RunEvent::Relocated(relocated) => {
                self.folder.clone_from(&relocated.folder);
                self.home.clone_from(&relocated.home);
                for artifact in self.artifacts.values_mut() {
                    let renamed = relocated.renamed.iter();
                    let mut renamed =
                        renamed.filter(|file| artifact.path == Some(file.from.clone()));
                    if let Some(file) = renamed.next() {
                        artifact.path = Some(file.to.clone());
                    }
                }
            }
            RunEvent::Deleted(_) => {
                self.deleted = true;
                self.unpacked();
                self.checkpoints.clear();
            }
            RunEvent::MetricsRecorded(_)
            | RunEvent::Assessed(_)
            | RunEvent::Noted(_)
            | RunEvent::Planned(_) => {}
            RunEvent::MetricsUnrecorded(noted) => {
                self.unrecorded.extend(noted.series.iter().cloned());
            }
            RunEvent::CheckpointSaved(saved) => {
                let (path, digest, best) = (saved.path.clone(), saved.digest, saved.best);
                self.checkpoints.insert(saved.step, SavedTrainCheckpoint { path, digest, best });
            }
            RunEvent::CheckpointPruned(pruned) => {
                self.checkpoints.remove(&pruned.step);
            }
            RunEvent::ArtifactStored(stored) => {
                let artifact = Artifact {
                    path: stored.path.clone(),
                    digest: stored.digest,
                    sha256: stored.sha256,
                    bytes: stored.bytes,
                };
                self.artifacts.insert(stored.name.clone(), artifact);
            }
            RunEvent::Finished(finished) => {
                self.status = RunStatus::Finished;
                self.metrics.clone_from(&finished.metrics);
                self.evaluations.clone_from(&finished.evaluations);
                add_rows(&mut self.rows, &finished.evaluations);
            }
            RunEvent::Failed(_) => self.status = RunStatus::Failed,
            RunEvent::Interrupted(_) => self.status = RunStatus::Interrupted,
            RunEvent::Reproduced(reproduced) => self.reproduced += u32::from(reproduced.equal),
            RunEvent::Resumed(resumed) => {
                self.status = RunStatus::Running;
                self.attempt = resumed.attempt;
            }
        }
    }
}

/// Takes in the rows of splits that were evaluated and not named when the run began.
pub fn add_rows(rows: &mut Vec<(Split, u64)>, evaluations: &[Evaluation]) {
    for evaluation in evaluations {
        if !rows.iter().any(|(split, _)| *split == evaluation.split) {
            rows.push((evaluation.split, evaluation.rows));
        }
    }
}
