//! Runs as the rules see them. They are read in place and several at a time, because most of a row,
//! such as its parameters, is not judged, and a value of each row costs more than judging it.

use super::row::{open, value};
use super::runs::{ArchivedRunDetails, DETAILS, Status};
use super::{Snapshot, ViewError};
use crate::base::{Digest, RunId, Split, Timestamp};
use crate::domain::Provenance;
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::run::{
    Category, Pack, RunEvidence, RunStatus, TestRows, UnrecordedSeries, Unstated, is_model,
};

/// A run, without what no rule requires.
pub struct RunSummary<'a> {
    /// The unique name.
    pub experiment_id: &'a str,
    /// The experiment's name.
    pub name: &'a str,
    /// The folder, relative to the workspace.
    pub folder: &'a str,
    /// How far it got.
    pub status: RunStatus,
    /// What it is for.
    pub category: Category,
    /// Whether the rules about old runs leave it alone.
    pub pinned: bool,
    /// Whether its data was generated.
    pub synthetic: bool,
    /// Valid and test rows whose text is also in the training rows.
    pub leaked_rows: u64,
    /// How its final metrics came to the log.
    pub provenance: Option<Provenance>,
    /// Final values.
    pub metrics: Vec<FinalMetric>,
    /// When it ended; none while it runs.
    pub ended: Option<Timestamp>,
    /// The reason why somebody archived it by hand.
    pub archived_by_hand: Option<&'a str>,
    /// Whether it is in an archive.
    pub archived: bool,
    /// Whether its files are gone.
    pub deleted: bool,
    /// Everything random follows from it.
    pub seed: u64,
    /// Position of its start.
    pub started_position: u64,
    /// Position of its end, else of its start.
    pub position: u64,
    unstated: Vec<Unstated>,
    rows: Vec<(Split, u64)>,
    evaluations: Vec<Evaluation>,
    unrecorded: Vec<UnrecordedSeries>,
    reproduced: u32,
    has_model: bool,
    row: &'a ArchivedRunDetails,
}

impl<'s> From<&'s RunSummary<'_>> for RunEvidence<'s> {
    fn from(run: &'s RunSummary<'_>) -> Self {
        Self {
            status: run.status,
            category: run.category,
            synthetic: run.synthetic,
            leaked_rows: run.leaked_rows,
            origin_stated: run.stated(Unstated::DataOrigin),
            leakage_stated: run.stated(Unstated::LeakedRows),
            rows: &run.rows,
            provenance: run.provenance,
            metrics: &run.metrics,
            evaluations: &run.evaluations,
            unrecorded: &run.unrecorded,
            reproduced: run.reproduced,
            has_model: run.has_model,
        }
    }
}

impl<'a> RunSummary<'a> {
    /// Reads a row in place.
    pub(super) fn of(row: &'a [u8]) -> Result<Self, ViewError> {
        let row: &ArchivedRunDetails = open(&DETAILS, row)?;
        let equal = row.reproductions.iter().filter(|reproduction| reproduction.1).count();
        let status: Status = value(&DETAILS, &row.status)?;
        let archive = row.archive.as_ref();
        let started_position = row.started_position.to_native();
        Ok(Self {
            experiment_id: &row.experiment_id,
            name: &row.experiment_name,
            folder: &row.folder,
            status: status.into(),
            category: value(&DETAILS, &row.category)?,
            pinned: row.pinned,
            synthetic: row.synthetic,
            leaked_rows: row.leaked_rows.to_native(),
            provenance: value(&DETAILS, &row.provenance)?,
            metrics: value(&DETAILS, &row.metrics)?,
            ended: row.ended.as_ref().map(|at| Timestamp(at.to_native())),
            archived_by_hand: archive.filter(|a| a.rule.is_none()).map(|a| a.reason.as_str()),
            archived: archive.is_some(),
            deleted: row.deleted.is_some(),
            seed: row.seed.to_native(),
            started_position,
            position: row.ended_position.as_ref().map_or(started_position, |at| at.to_native()),
            unstated: value(&DETAILS, &row.unstated)?,
            rows: value(&DETAILS, &row.rows)?,
            evaluations: value(&DETAILS, &row.evaluations)?,
            unrecorded: value(&DETAILS, &row.unrecorded)?,
            reproduced: u32::try_from(equal).unwrap_or(u32::MAX),
            has_model: row.artifacts.iter().any(|artifact| is_model(artifact.0.as_str())),
            row,
        })
    }

    /// Whether somebody stated the fact.
    pub fn stated(&self, fact: Unstated) -> bool {
        !self.unstated.contains(&fact)
    }

    /// The run's id.
    pub fn run(&self) -> RunId {
        RunId(self.row.id)
    }

    /// Words for finding it.
    pub fn tags(&self) -> Vec<String> {
        self.row.tags.iter().map(|tag| tag.as_str().to_owned()).collect()
    }

    /// Its recorded files that have a path: name, path and BLAKE3 digest.
    pub fn files(&self) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> + use<'a> {
        self.row.artifacts.iter().filter_map(|artifact| {
            let path = artifact.1.as_ref()?.as_str();
            Some((artifact.0.as_str(), path, artifact.2.as_str()))
        })
    }

    /// Paths of its files that its archive does not keep.
    pub fn dropped(&self) -> Vec<String> {
        self.row.dropped.iter().map(|path| path.as_str().to_owned()).collect()
    }

    /// The pack that its files are in, where it is archived in one.
    pub fn pack(&self) -> Option<Pack> {
        let packed = self.row.archive.as_ref()?.packed.as_ref()?;
        Pack::of_file(packed.as_str())
    }

    /// Which rows it was tested on.
    pub fn test_rows(&self) -> Result<TestRows, ViewError> {
        value(&DETAILS, &self.row.test_rows)
    }

    /// A final value.
    pub fn metric(&self, name: &str, split: Split) -> Option<f64> {
        let found = |m: &&FinalMetric| m.key.split == Some(split) && m.key.name == name;
        self.metrics.iter().find(found).map(|m| m.value)
    }

    /// Digest over its configuration without the seed, and its labels.
    pub fn config_fingerprint(&self) -> Digest {
        Digest(self.row.question)
    }

    /// Digest over its question and the data it learnt from; none where no parameter is known.
    pub fn configuration(&self) -> Option<Digest> {
        let both = || [self.row.data, self.row.question].concat();
        (!self.row.parameters.is_empty()).then(|| Digest::of(&both()))
    }
}

impl Snapshot {
    /// What `each` makes of every run, in the order they began.
    ///
    /// # Errors
    /// When the views cannot be read.
    pub fn map_runs<T: Send>(
        &self,
        each: impl Fn(&RunSummary<'_>) -> Option<T> + Sync,
    ) -> Result<Vec<T>, ViewError> {
        let mut found = self.gather(&DETAILS, |row| {
            let run = RunSummary::of(row)?;
            Ok(each(&run).map(|made| (run.started_position, made)))
        })?;
        found.sort_unstable_by_key(|(position, _)| *position);
        Ok(found.into_iter().map(|(_, made)| made).collect())
    }
}
