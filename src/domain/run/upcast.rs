//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};

use super::{
    BestPoint, Category, DataRecord, Environment, RunClassified, RunEvent, RunFinished,
    RunRelocated, RunStarted, SCRIPT_SPLIT_RULE, Unstated,
};
use crate::base::{Digest, MoveId, RunId, codec};
use crate::domain::metric::{Evaluation, FinalMetric};
use crate::domain::{DecodeError, Kind};

/// `run.started` before it told which facts nobody had stated.
#[derive(Encode, Decode)]
struct RunStartedV1 {
    run: RunId,
    name: String,
    experiment_id: String,
    folder: String,
    description: String,
    tags: Vec<String>,
    attempt: u32,
    config_name: String,
    config: Digest,
    parameters: BTreeMap<String, String>,
    seed: u64,
    data: DataRecord,
    environment: Environment,
    trainer: String,
}

impl From<RunStartedV1> for RunStarted {
    fn from(old: RunStartedV1) -> Self {
        // Of runs of other trainers a zero stood for what was not stated as well; the words that
        // tell them apart were always these.
        let reported = old.data.split_rule == SCRIPT_SPLIT_RULE;
        let zeros = [
            (Unstated::Seed, old.seed == 0),
            (Unstated::DataOrigin, old.data.synthetic.is_none()),
            (Unstated::LeakedRows, old.data.leaked_rows == 0),
        ];
        let unstated = zeros.into_iter().filter(|(_, zero)| reported && *zero);
        Self {
            run: old.run,
            name: old.name,
            experiment_id: old.experiment_id,
            folder: old.folder,
            description: old.description,
            tags: old.tags,
            attempt: old.attempt,
            config_name: old.config_name,
            config: old.config,
            parameters: old.parameters,
            seed: old.seed,
            data: old.data,
            environment: old.environment,
            trainer: old.trainer,
            unstated: unstated.map(|(fact, _)| fact).collect(),
        }
    }
}

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
        ("run.started", 1) => {
            codec::decode::<RunStartedV1>(bytes).map(|old| RunStarted::from(old).into())
        }
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
