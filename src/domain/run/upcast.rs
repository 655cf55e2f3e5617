//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use bincode::{Decode, Encode};

use super::{BestPoint, Category, RunClassified, RunEvent, RunFinished, RunRelocated};
use crate::base::{Digest, MoveId, codec};
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::{DecodeError, Kind};

/// `run.classified` before it named the policy.
#[derive(Encode, Decode)]
struct RunClassifiedV1 {
    category: Category,
    rule: String,
    matched: Vec<String>,
}

/// `run.finished` before runs of scripts, which may have no model.
#[derive(Encode, Decode)]
struct RunFinishedV1 {
    attempt: u32,
    duration_seconds: f64,
    steps: u64,
    epochs: u32,
    best: Option<BestPoint>,
    metrics: Vec<FinalMetric>,
    evaluations: Vec<Evaluation>,
    parameter_count: u64,
    model_bytes: u64,
    weights: Digest,
    rows_per_second: f64,
}

/// `run.relocated` before files inside the folder changed their names.
#[derive(Encode, Decode)]
struct RunRelocatedV1 {
    folder: String,
    home: String,
    file_move: MoveId,
}

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<RunEvent, DecodeError>> {
    let event = match (kind.name().as_str(), version) {
        ("run.classified", 1) => codec::decode::<RunClassifiedV1>(bytes).map(|old| {
            let RunClassifiedV1 { category, rule, matched } = old;
            RunClassified { category, rule, matched, policy_revision: None }.into()
        }),
        ("run.finished", 1) => codec::decode::<RunFinishedV1>(bytes).map(|old| {
            RunFinished {
                attempt: old.attempt,
                duration_seconds: old.duration_seconds,
                steps: old.steps,
                epochs: old.epochs,
                best: old.best,
                metrics: old.metrics,
                evaluations: old.evaluations,
                parameter_count: Some(old.parameter_count),
                model_bytes: old.model_bytes,
                weights: Some(old.weights),
                rows_per_second: Some(old.rows_per_second),
            }
            .into()
        }),
        ("run.relocated", 1) => codec::decode::<RunRelocatedV1>(bytes).map(|old| {
            let RunRelocatedV1 { folder, home, file_move } = old;
            RunRelocated { folder, home, renamed: vec![], file_move }.into()
        }),
        _ => return None,
    };
    Some(event.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
