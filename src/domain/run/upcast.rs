//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use std::collections::{BTreeMap, BTreeSet};

use bincode::{Decode, Encode};

use super::{
    Archive, ArtifactStored, BestPoint, Category, DataFile, DataRecord, DroppedFile, Environment,
    Pack, PackedFiles, RunArchived, RunClassified, RunDeleted, RunEvent, RunFinished, RunRelocated,
    RunRestored, RunStarted, SCRIPT_SPLIT_RULE, SplitRows, Synthetic, Unstated,
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
    data: DataRecordV1,
    environment: Environment,
    trainer: String,
}

/// `run.started` before data files had a SHA-256.
#[derive(Encode, Decode)]
struct RunStartedV2 {
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
    data: DataRecordV1,
    environment: Environment,
    trainer: String,
    unstated: BTreeSet<Unstated>,
}

/// `run.started` before it told whether its points are signed.
#[derive(Encode, Decode)]
struct RunStartedV3 {
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
    unstated: BTreeSet<Unstated>,
}

/// The data of a run before its files had a SHA-256.
#[derive(Encode, Decode)]
struct DataRecordV1 {
    files: Vec<DataFileV1>,
    synthetic: Option<Synthetic>,
    labels: Vec<String>,
    split_rule: String,
    splits: Vec<SplitRows>,
    leaked_rows: u64,
    prepared: Digest,
}

#[derive(Encode, Decode)]
struct DataFileV1 {
    path: String,
    digest: Digest,
    bytes: u64,
    rows: u64,
}

impl From<DataRecordV1> for DataRecord {
    fn from(old: DataRecordV1) -> Self {
        let file = |DataFileV1 { path, digest, bytes, rows }| DataFile {
            path,
            digest,
            sha256: None,
            bytes,
            rows,
        };
        Self {
            files: old.files.into_iter().map(file).collect(),
            synthetic: old.synthetic,
            labels: old.labels,
            split_rule: old.split_rule,
            splits: old.splits,
            leaked_rows: old.leaked_rows,
            prepared: old.prepared,
        }
    }
}

impl From<RunStartedV1> for RunStartedV2 {
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

impl From<RunStartedV2> for RunStartedV3 {
    fn from(old: RunStartedV2) -> Self {
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
            data: old.data.into(),
            environment: old.environment,
            trainer: old.trainer,
            unstated: old.unstated,
        }
    }
}

impl From<RunStartedV3> for RunStarted {
    fn from(old: RunStartedV3) -> Self {
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
            unstated: old.unstated,
            points_signed: false,
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

/// `run.artifact_stored` before it had a SHA-256.
#[derive(Encode, Decode)]
struct ArtifactStoredV1 {
    name: String,
    path: Option<String>,
    digest: Digest,
    bytes: u64,
    blob: bool,
}

/// `run.archived` before its files had a SHA-256.
#[derive(Encode, Decode)]
struct RunArchivedV1 {
    archive: Archive,
    folder: String,
    rule: Option<String>,
    reason: String,
    policy_revision: u64,
    packed: Option<PackedFilesV1>,
    dropped: Vec<DroppedFileV1>,
    bytes_before: u64,
    bytes_after: u64,
    file_move: MoveId,
}

#[derive(Encode, Decode)]
struct PackedFilesV1 {
    pack: Pack,
    digest: Digest,
    bytes: u64,
}

/// A file that was not kept, before it had a SHA-256.
#[derive(Encode, Decode)]
pub(in crate::domain) struct DroppedFileV1 {
    path: String,
    digest: Digest,
    bytes: u64,
}

impl From<DroppedFileV1> for DroppedFile {
    fn from(old: DroppedFileV1) -> Self {
        let DroppedFileV1 { path, digest, bytes } = old;
        Self { path, digest, sha256: None, bytes }
    }
}

/// `run.restored` before its files had a SHA-256.
#[derive(Encode, Decode)]
struct RunRestoredV1 {
    folder: String,
    reason: Option<String>,
    recovered: Vec<DroppedFileV1>,
    file_move: MoveId,
}

/// `run.deleted` before its files had a SHA-256.
#[derive(Encode, Decode)]
struct RunDeletedV1 {
    plan: Digest,
    reason: String,
    policy_revision: u64,
    files: Vec<DroppedFileV1>,
    bytes: u64,
    file_move: MoveId,
}

impl From<ArtifactStoredV1> for ArtifactStored {
    fn from(old: ArtifactStoredV1) -> Self {
        let ArtifactStoredV1 { name, path, digest, bytes, blob } = old;
        Self { name, path, digest, sha256: None, bytes, blob }
    }
}

impl From<RunArchivedV1> for RunArchived {
    fn from(old: RunArchivedV1) -> Self {
        let packed = |PackedFilesV1 { pack, digest, bytes }| PackedFiles {
            pack,
            digest,
            sha256: None,
            bytes,
        };
        Self {
            archive: old.archive,
            folder: old.folder,
            rule: old.rule,
            reason: old.reason,
            policy_revision: old.policy_revision,
            packed: old.packed.map(packed),
            dropped: old.dropped.into_iter().map(DroppedFile::from).collect(),
            bytes_before: old.bytes_before,
            bytes_after: old.bytes_after,
            file_move: old.file_move,
        }
    }
}

impl From<RunRestoredV1> for RunRestored {
    fn from(old: RunRestoredV1) -> Self {
        let RunRestoredV1 { folder, reason, recovered, file_move } = old;
        let recovered = recovered.into_iter().map(DroppedFile::from).collect();
        Self { folder, reason, recovered, file_move }
    }
}

impl From<RunDeletedV1> for RunDeleted {
    fn from(old: RunDeletedV1) -> Self {
        Self {
            plan: old.plan,
            reason: old.reason,
            policy_revision: old.policy_revision,
            files: old.files.into_iter().map(DroppedFile::from).collect(),
            bytes: old.bytes,
            file_move: old.file_move,
        }
    }
}

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<RunEvent, DecodeError>> {
    let event = match (kind.name().as_str(), version) {
        ("run.started", 1) => codec::decode::<RunStartedV1>(bytes)
            .map(|old| RunStarted::from(RunStartedV3::from(RunStartedV2::from(old))).into()),
        ("run.started", 2) => codec::decode::<RunStartedV2>(bytes)
            .map(|old| RunStarted::from(RunStartedV3::from(old)).into()),
        ("run.started", 3) => {
            codec::decode::<RunStartedV3>(bytes).map(|old| RunStarted::from(old).into())
        }
        ("run.artifact_stored", 1) => {
            codec::decode::<ArtifactStoredV1>(bytes).map(|old| ArtifactStored::from(old).into())
        }
        ("run.archived", 1) => {
            codec::decode::<RunArchivedV1>(bytes).map(|old| RunArchived::from(old).into())
        }
        ("run.restored", 1) => {
            codec::decode::<RunRestoredV1>(bytes).map(|old| RunRestored::from(old).into())
        }
        ("run.deleted", 1) => {
            codec::decode::<RunDeletedV1>(bytes).map(|old| RunDeleted::from(old).into())
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
