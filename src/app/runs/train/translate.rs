//! What training says, in the words of the log.

use crate::base::{Digest, Split, Timestamp};
use crate::domain::metric::{
    ClassScore, Evaluation, FinalMetric, MetricBatch, MetricKey, MetricPoint,
};
use crate::domain::run::{BestPoint, RunCommand, RunOutcome};
use crate::train::{self, TrainEvent, TrainingResult};

/// The fact to record, if the event is one; progress is for the screen only.
pub(super) fn fact(event: &TrainEvent, started: Timestamp) -> Option<RunCommand> {
    match event {
        TrainEvent::Metrics(points) => Some(RunCommand::RecordMetrics(batch(points, started))),
        TrainEvent::CheckpointSaved(saved) => {
            let files = saved.files.iter().map(|f| format!("{} {}\n", f.digest, f.name));
            let manifest: String = files.collect();
            Some(RunCommand::SaveCheckpoint {
                step: saved.step,
                epoch: saved.epoch as u32,
                path: saved.dir.to_string_lossy().into_owned(),
                digest: Digest::of(manifest.as_bytes()),
                bytes: saved.files.iter().map(|file| file.bytes).sum(),
                best: saved.best,
            })
        }
        TrainEvent::CheckpointPruned { step, dir } => {
            let path = dir.to_string_lossy().into_owned();
            Some(RunCommand::PruneCheckpoint { step: *step, path })
        }
        // A model that is fitted in one go has no steps to plan.
        TrainEvent::Started(planned) => (planned.steps > 1).then(|| RunCommand::Plan {
            steps: planned.steps,
            epochs: u32::try_from(planned.epochs).unwrap_or(u32::MAX),
            resumed_at_step: planned.resumed_at_step,
        }),
        TrainEvent::Progress(_) | TrainEvent::EpochEnded(_) => None,
    }
}

fn batch(points: &train::MetricPoints, started: Timestamp) -> MetricBatch {
    let keys = points.keys.iter().map(|key| MetricKey {
        name: key.name.clone(),
        split: key.split,
        direction: key.direction,
    });
    let moved: Vec<MetricPoint> = points
        .points
        .iter()
        .map(|point| MetricPoint {
            key: point.key,
            step: point.step,
            epoch: point.epoch,
            value: point.value,
            at: started.plus_nanos(i64::try_from(point.elapsed_us).unwrap_or(0) * 1_000),
        })
        .collect();
    MetricBatch::new(keys.collect(), &moved)
}

/// The end of a run.
pub(super) fn result(finished: &TrainingResult) -> RunOutcome {
    let (metrics, evaluations) = scores(&finished.evaluations);
    RunOutcome {
        duration_seconds: finished.seconds,
        steps: finished.steps,
        epochs: u32::try_from(finished.epochs).unwrap_or(u32::MAX),
        best: Some(BestPoint {
            step: finished.best_step,
            epoch: u32::try_from(finished.best_epoch).unwrap_or(u32::MAX),
            metric: finished.metric.clone(),
            value: finished.best_value,
        }),
        metrics,
        evaluations,
        parameter_count: Some(finished.parameters),
        model_bytes: finished.weights.bytes,
        weights: Some(finished.weights.digest),
        rows_per_second: Some(finished.rows_per_s),
    }
}

/// Final values, and predictions against labels.
pub(super) fn scores(
    evaluations: &[train::metric::Evaluation],
) -> (Vec<FinalMetric>, Vec<Evaluation>) {
    let metrics = evaluations.iter().flat_map(|evaluation| {
        evaluation.metrics.iter().map(|metric| FinalMetric {
            key: MetricKey {
                name: metric.name.clone(),
                split: Some(evaluation.split),
                direction: metric.direction,
            },
            value: metric.value,
        })
    });
    (metrics.collect(), evaluations.iter().map(evaluation).collect())
}

fn evaluation(from: &train::metric::Evaluation) -> Evaluation {
    let split: Split = from.split;
    Evaluation {
        split,
        rows: from.rows,
        classes: from
            .classes
            .iter()
            .map(|class| ClassScore {
                label: class.label.clone(),
                precision: class.precision,
                recall: class.recall,
                f1: class.f1,
                support: class.support,
            })
            .collect(),
        confusion: from.confusion.clone(),
    }
}
