//! One event of each kind, with every field filled.

use std::collections::BTreeMap;

use annals::base::{
    Digest, Direction, InvocationId, LogId, MoveId, PublicKey, RequestId, RunId, Sha256Digest,
    Split, Timestamp,
};
use annals::domain::file_move::*;
use annals::domain::invocation::*;
use annals::domain::metric::*;
use annals::domain::policy::*;
use annals::domain::registry::*;
use annals::domain::run::*;
use annals::domain::workspace::*;
use annals::domain::workspace::{RedactedEvent, RedactedFile, TextRedacted};
use annals::domain::{Event, RuleResult};

const RUN: RunId = RunId([1; 16]);
const REQUEST: RequestId = RequestId([2; 16]);
const MOVE: MoveId = MoveId([3; 16]);

fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn sha256(byte: u8) -> Option<Sha256Digest> {
    Some(Sha256Digest([byte; 32]))
}

fn rule() -> RuleResult {
    RuleResult {
        rule: "min_accuracy_threshold".into(),
        passed: false,
        required: ">= 0.55 on test".into(),
        found: "0.5000".into(),
    }
}

fn key() -> MetricKey {
    MetricKey { name: "loss".into(), split: Some(Split::Train), direction: Direction::Lower }
}

fn started() -> RunStarted {
    RunStarted {
        run: RUN,
        name: "hate".into(),
        experiment_id: "hate_20260301_120000".into(),
        folder: "experiments/hate_20260301_120000".into(),
        description: "a question".into(),
        tags: vec!["baseline".into()],
        attempt: 1,
        config_name: "baseline_small".into(),
        config: digest(4),
        parameters: BTreeMap::from([("model.n_embd".into(), "256".into())]),
        seed: 42,
        data: DataRecord {
            files: vec![DataFile {
                path: "tweets.csv.gz".into(),
                digest: digest(5),
                sha256: sha256(0xa5),
                bytes: 1_000,
                rows: 60,
            }],
            synthetic: Some(Synthetic { generator: "notes".into(), rows: 60, seed: 42 }),
            labels: vec!["x".into(), "y".into()],
            split_rule: "hash".into(),
            splits: vec![SplitRows { split: Split::Test, rows: 12, per_label: vec![6, 6] }],
            leaked_rows: 1,
            prepared: digest(6),
        },
        environment: Environment {
            tool_version: "0.1.0".into(),
            libtorch: Some("2.11.0".into()),
            os: "Linux".into(),
            host: "ward-3".into(),
            cpu: "a processor".into(),
            cpus: 4,
            threads: 2,
            memory_bytes: 1 << 34,
            device: "cpu".into(),
            accelerators: vec!["cuda:0".into()],
            variables: BTreeMap::from([("OMP_NUM_THREADS".into(), "2".into())]),
            git: Some(Git {
                commit: "c0ffee".into(),
                branch: Some("main".into()),
                dirty: true,
                diff: Some(digest(7)),
            }),
            cargo_lock: Some(digest(8)),
        },
        trainer: "annals-engine 0.1.0".into(),
        unstated: std::collections::BTreeSet::new(),
        points_signed: true,
    }
}

fn finished() -> RunFinished {
    RunFinished {
        attempt: 1,
        duration_seconds: 12.5,
        steps: 100,
        epochs: 2,
        best: Some(BestPoint { step: 50, epoch: 1, metric: "f1_macro".into(), value: 0.75 }),
        metrics: vec![FinalMetric { key: key(), value: 0.25 }],
        evaluations: vec![Evaluation {
            split: Split::Test,
            rows: 12,
            classes: vec![ClassScore {
                label: "x".into(),
                precision: 0.5,
                recall: 0.75,
                f1: 0.6,
                support: 6,
            }],
            confusion: vec![vec![5, 1], vec![2, 4]],
        }],
        parameter_count: Some(5_000_000),
        model_bytes: 20_000_000,
        weights: Some(digest(9)),
        rows_per_second: Some(250.5),
    }
}

fn points() -> MetricBatch {
    let point = |step: u64| MetricPoint {
        key: 0,
        step,
        epoch: 0.5,
        value: 0.25,
        at: Timestamp(1_767_225_600_000_000_000 + step as i64 * 1_000_000),
    };
    MetricBatch::new(vec![key()], &[point(1), point(2)])
}

fn moved() -> MovedFile {
    MovedFile {
        path: "model.safetensors".into(),
        source: "checkpoints/step-1/model.safetensors".into(),
        digest: digest(9),
        sha256: sha256(0xa9),
        bytes: 20,
    }
}

fn dropped() -> DroppedFile {
    let path = "checkpoints/step-50/model.safetensors".into();
    DroppedFile { path, digest: digest(9), sha256: sha256(0xa9), bytes: 20 }
}

fn of_runs() -> Vec<Event> {
    vec![
        started().into(),
        RunClassified {
            category: Category::Debug,
            rule: "debug tag".into(),
            matched: vec!["micro".into()],
            policy_revision: Some(3),
        }
        .into(),
        MetricsRecorded { attempt: 1, batch: points() }.into(),
        RunPlanned { attempt: 2, steps: 1_175, epochs: 5, resumed_at_step: Some(235) }.into(),
        MetricsUnrecorded {
            attempt: 1,
            series: vec![UnrecordedSeries {
                name: "loss".into(),
                split: Some(Split::Train),
                reason: UnrecordedReason::NotFinite,
                values: 2,
                first_step: Some(3),
                last_step: Some(4),
                ends_so: true,
            }],
            others: 0,
        }
        .into(),
        TrainCheckpointSaved {
            attempt: 1,
            step: 50,
            epoch: 1,
            path: "checkpoints/step-50".into(),
            digest: digest(10),
            bytes: 60,
            best: true,
        }
        .into(),
        TrainCheckpointPruned { step: 25, path: "checkpoints/step-25".into() }.into(),
        ArtifactStored {
            name: "weights".into(),
            path: Some("checkpoints/step-50/model.safetensors".into()),
            digest: digest(9),
            sha256: sha256(0xa9),
            bytes: 20,
            blob: true,
        }
        .into(),
        finished().into(),
        RunFailed {
            attempt: 1,
            reason: "killed".into(),
            signal: Some(9),
            exit_code: None,
            stderr_tail: "last words".into(),
        }
        .into(),
        RunInterrupted { attempt: 1, reason: "Ctrl-C".into(), resumable_step: Some(50) }.into(),
        RunResumed {
            attempt: 2,
            step: 50,
            checkpoint: "checkpoints/step-00000050".into(),
            environment: started().environment,
            trainer: "annals-engine 0.1.0".into(),
        }
        .into(),
        CandidateAssessed { policy_revision: 1, candidate: false, rules: vec![rule()] }.into(),
        RunReproduced {
            by: RunId([9; 16]),
            equal: false,
            weights: digest(9),
            difference: Some(NumberDifference {
                metric: "loss".into(),
                split: Some(Split::Train),
                step: 7,
                recorded: Some(0.5),
                found: Some(0.25),
            }),
            environment: vec![EnvironmentDifference {
                what: "threads".into(),
                recorded: "4".into(),
                found: "2".into(),
            }],
        }
        .into(),
        RunTagged { added: vec!["night".into()], removed: vec!["day".into()] }.into(),
        RunNoted { text: "loss jumps at step 40".into() }.into(),
        RunPinned { reason: Some("the paper names it".into()) }.into(),
        RunUnpinned { reason: None }.into(),
        RunShared { person: "ines".into(), allowed: true }.into(),
        RunRenamed { old: "hate".into(), new: "hate_small".into() }.into(),
        RunArchived {
            archive: Archive::Debug,
            folder: "experiments/archive_debug/hate_20260301_120000".into(),
            rule: Some("debug_experiments".into()),
            reason: "3 newer debug runs stay".into(),
            policy_revision: 2,
            packed: Some(PackedFiles {
                pack: Pack::Zst,
                digest: digest(30),
                sha256: sha256(0xb0),
                bytes: 9,
            }),
            dropped: vec![dropped()],
            bytes_before: 100,
            bytes_after: 9,
            file_move: MOVE,
        }
        .into(),
        RunRestored {
            folder: "experiments/hate_20260301_120000".into(),
            reason: Some("the paper needs it".into()),
            recovered: vec![dropped()],
            file_move: MOVE,
        }
        .into(),
        RunRelocated {
            folder: "training/experiments/active/2026-03-01_toy_hate".into(),
            home: "training/experiments/active/2026-03-01_toy_hate".into(),
            renamed: vec![RenamedFile {
                from: "config/config.yaml".into(),
                to: "config.yaml".into(),
            }],
            file_move: MOVE,
        }
        .into(),
        RunDeleted {
            plan: digest(31),
            reason: "a debug run; hate_20260302_120000 stands for its series".into(),
            policy_revision: 2,
            files: vec![dropped()],
            bytes: 9,
            file_move: MOVE,
        }
        .into(),
    ]
}

fn of_the_registry() -> Vec<Event> {
    vec![
        PromotionRequested {
            request: REQUEST,
            run: RUN,
            name: "hate_v1".into(),
            trainer: "mara".into(),
            policy_revision: 1,
            reason: Some("it is better".into()),
            intended_use: Some("triage, read by a nurse".into()),
            limits: Some("no minors".into()),
            evidence: Some(Evidence {
                files: BTreeMap::from([("weights".into(), digest(9))]),
                evaluation: digest(20),
                data: Some(digest(6)),
                policy_revision: 1,
            }),
        }
        .into(),
        PromotionApproved {
            request: REQUEST,
            approver: "ines".into(),
            reason: None,
            evidence: Some(digest(21)),
        }
        .into(),
        PromotionRejected { request: REQUEST, approver: "otto".into(), reason: "no".into() }.into(),
        PromotionRefused {
            run: RUN,
            name: "hate_v1".into(),
            policy_revision: 1,
            message: "refused".into(),
            failed: vec![rule()],
        }
        .into(),
        ModelRolledBack {
            name: "hate_v1".into(),
            number: 1,
            from: Some(2),
            file_move: MOVE,
            reason: "it erred".into(),
        }
        .into(),
        ModelVersionBumped {
            name: "hate_v1".into(),
            number: 2,
            bump: Bump::Minor,
            from: Semver::FIRST,
            to: Semver::FIRST.bumped(Bump::Minor),
            reason: Some("new labels".into()),
        }
        .into(),
        ModelAliasSet {
            alias: "champion".into(),
            name: "hate_v1".into(),
            number: 2,
            previous: Some(("hate_v0".into(), 1)),
            reason: None,
        }
        .into(),
        ModelRelocated {
            name: "hate_v1".into(),
            path: "model_weights/production/hate_v1".into(),
            file_move: MOVE,
        }
        .into(),
        ModelFoundDamaged {
            name: "hate_v1".into(),
            number: 2,
            path: "models/production/hate_v1".into(),
            found: vec![
                DamagedFile { path: "labels.json".into(), damage: Damage::Missing },
                DamagedFile {
                    path: "model.safetensors".into(),
                    damage: Damage::Altered { found: digest(7), sha256: sha256(0xa7) },
                },
                DamagedFile { path: "mine.txt".into(), damage: Damage::Added },
            ],
            unlisted: 0,
            kept: Some(".annals/damaged/hate_v1.0102".into()),
            file_move: MOVE,
        }
        .into(),
        ModelRepaired {
            name: "hate_v1".into(),
            number: 2,
            file_move: MOVE,
            reason: Some("a disk failed".into()),
        }
        .into(),
        ModelAliasRemoved { alias: "champion".into(), reason: Some("no".into()) }.into(),
        ModelPromoted {
            request: REQUEST,
            run: RUN,
            name: "hate_v1".into(),
            path: "models/production/hate_v1".into(),
            files: vec![PromotedFile {
                path: "model.safetensors".into(),
                digest: digest(9),
                sha256: sha256(0xa9),
                bytes: 20,
            }],
            file_move: MOVE,
            policy_revision: 1,
            approvers: vec!["ines".into()],
        }
        .into(),
        ModelDemoted { name: "hate_v1".into(), reason: "worse".into() }.into(),
    ]
}

fn of_the_rest() -> Vec<Event> {
    let change = PolicyChange {
        key: "production_promotion.approvals".into(),
        old: Some("1".into()),
        new: "2".into(),
    };
    vec![
        WorkspaceCreated {
            log: LogId([11; 16]),
            origin: "annals/ward/zz".into(),
            project: "ward".into(),
            tool_version: "0.1.0".into(),
        }
        .into(),
        ActorRegistered { name: "mara".into() }.into(),
        ConsolidationApplied {
            plan: digest(31),
            plan_sha256: sha256(0xb1),
            policy_revision: 2,
            runs_before: 23,
            archived: 2,
            deleted: 18,
            stayed: 1,
            bytes_before: 100,
            bytes_after: 9,
        }
        .into(),
        LayoutChanged {
            from: LayoutKind::Consolidated,
            to: LayoutKind::TrainingOutput,
            runs: 23,
            models: 2,
        }
        .into(),
        BlobsRemoved { digests: vec![digest(9)], bytes: 20 }.into(),
        CheckpointAnchored {
            size: 12,
            note: digest(15),
            location: "the git tag annals-checkpoint-12".into(),
            commit: Some("c0ffee".into()),
        }
        .into(),
        LogsPacked {
            name: "logs_before_20250725.tar.gz".into(),
            digest: digest(9),
            sha256: sha256(0xa9),
            bytes: 20,
            runs: vec![RunId([7; 16])],
        }
        .into(),
        SnapshotTaken {
            manifest: digest(10),
            manifest_sha256: sha256(0xaa),
            message: Some("as the paper has it".into()),
            files: 40,
            bytes: 120_000,
            commit: Some("7be1".into()),
            dirty: true,
            models: vec!["ward_v1".into()],
            runs: vec![RunId([15; 16])],
        }
        .into(),
        TextRedacted {
            reason: "she asked us to".into(),
            events: vec![RedactedEvent {
                position: 12,
                payload: digest(11),
                replacement: digest(12),
                fields: vec!["note".into()],
            }],
            files: vec![RedactedFile { digest: digest(13), replacement: digest(14) }],
        }
        .into(),
        KeyVouched {
            key: 9,
            algorithm: KeyAlgorithm::Ed25519,
            public_key: PublicKey([6; 32]),
            owner: "ines".into(),
        }
        .into(),
        KeyCreated {
            algorithm: KeyAlgorithm::Ed25519,
            public_key: PublicKey([12; 32]),
            owner: "mara".into(),
            replaces: Some(2),
            endorsement: Some([13; 64]),
        }
        .into(),
        PolicyChanged {
            policy: Policy::default(),
            changes: vec![change],
            reason: Some("stricter".into()),
        }
        .into(),
        InvocationStarted {
            invocation: InvocationId([14; 16]),
            verb: "promote".into(),
            argv: vec!["promote".into(), "hate".into()],
            host: "ward-3".into(),
            pid: 7,
            cwd: ".".into(),
            tool_version: "0.1.0".into(),
        }
        .into(),
        InvocationFinished { outcome: Outcome::Failed { exit_code: 7, message: "full".into() } }
            .into(),
        InvocationInterrupted { recovered: vec!["run x was interrupted".into()] }.into(),
        MovePlanned {
            id: MOVE,
            purpose: MovePurpose::Promotion { request: REQUEST, run: RUN, name: "hate_v1".into() },
            mode: MoveMode::Copy,
            from: "experiments/hate".into(),
            to: "models/production/hate_v1".into(),
            files: vec![moved()],
        }
        .into(),
        MoveCompleted { recovered: true }.into(),
        MoveRolledBack { reason: "its process was gone".into() }.into(),
    ]
}

/// One event of each kind.
pub(crate) fn all() -> Vec<Event> {
    [of_runs(), of_the_registry(), of_the_rest()].concat()
}
