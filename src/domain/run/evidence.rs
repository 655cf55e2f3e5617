//! What the rules of the policy look at in a run. States and view rows lend it, each with every
//! field, so that a run is judged in the same way wherever it is read from.

use std::collections::BTreeSet;

use super::{Category, RunState, RunStatus, UnrecordedSeries, Unstated};
use crate::base::Split;
use crate::domain::Provenance;
use crate::domain::metric::{Evaluation, FinalMetric};

/// Artifacts that are a model.
const MODELS: [&str; 2] = ["weights", "ensemble"];

/// Whether the artifact with this name is a model: only a run that has one can be promoted.
pub fn is_model(artifact: &str) -> bool {
    MODELS.contains(&artifact)
}

/// What the rules look at. It has no default: whoever lends it has to know every fact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunEvidence<'a> {
    /// How far the run got.
    pub status: RunStatus,
    /// What it is for.
    pub category: Category,
    /// Whether its data was generated.
    pub synthetic: bool,
    /// Valid and test rows whose text is also in the training rows.
    pub leaked_rows: u64,
    /// Whether somebody stated where its data came from.
    pub origin_stated: bool,
    /// Whether somebody stated how many rows leaked.
    pub leakage_stated: bool,
    /// Rows of each split.
    pub rows: &'a [(Split, u64)],
    /// How its final metrics came to the log.
    pub provenance: Option<Provenance>,
    /// Final values.
    pub metrics: &'a [FinalMetric],
    /// Predictions against labels.
    pub evaluations: &'a [Evaluation],
    /// Values that are no points of the run, and the reasons.
    pub unrecorded: &'a [UnrecordedSeries],
    /// How often it was reproduced with the same weights and numbers.
    pub reproduced: u32,
    /// Whether it has a model.
    pub has_model: bool,
}

impl<'a> From<&'a RunState> for RunEvidence<'a> {
    fn from(run: &'a RunState) -> Self {
        let (origin_stated, leakage_stated) = stated(&run.unstated);
        Self {
            status: run.status,
            category: run.category,
            synthetic: run.synthetic,
            leaked_rows: run.leaked_rows,
            origin_stated,
            leakage_stated,
            rows: &run.rows,
            provenance: run.provenance,
            metrics: &run.metrics,
            evaluations: &run.evaluations,
            unrecorded: &run.unrecorded,
            reproduced: run.reproduced,
            has_model: run.artifacts.keys().any(|name| is_model(name)),
        }
    }
}

fn stated(unstated: &BTreeSet<Unstated>) -> (bool, bool) {
    let stated = |fact| !unstated.contains(&fact);
    (stated(Unstated::DataOrigin), stated(Unstated::LeakedRows))
}
