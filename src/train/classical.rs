//! One training of a baseline: fitted once to its optimum, scored like every other model.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::base::{Direction, Split};
use crate::data::prepared::{Inputs, Prepared};
use crate::model::WEIGHTS_FILE;
use crate::model::classical::TextClassifier;
use crate::train::checkpoint::Checkpoints;
use crate::train::learner::LearnError;
use crate::train::metric::{Evaluation, Scorer, Thresholds};
use crate::train::metrics_out::MetricsOut;
use crate::train::protocol::JobSpec;
use crate::train::recorder::{
    CheckpointSaved, Interrupted, Recorder, Started, TrainEvent, TrainingResult,
};
use crate::train::trainer::{Outcome, TrainError};

/// Rows by which the time of a prediction is measured.
const TIMED_ROWS: usize = 1_000;

/// Fits, saves and scores; `stop` ends it after the step at hand, with nothing to resume.
///
/// # Errors
/// [`TrainError`], as any training.
pub fn train(
    job: &JobSpec,
    data: &Prepared,
    recorder: &mut dyn Recorder,
    stop: &AtomicBool,
) -> Result<Outcome, TrainError> {
    if let Some(split) = Split::ALL.into_iter().find(|split| !data.splits.contains(split)) {
        return Err(TrainError::EmptySplit(split));
    }
    let start = Instant::now();
    let mut metrics = MetricsOut::new(start);
    let mut step = 0_u64;
    recorder.record(TrainEvent::Started(started(job, data)));
    let (model, fit) = TextClassifier::fit(&job.config, data, |objective| {
        step += 1;
        if let Some(value) = objective {
            metrics.push("objective", Some(Split::Train), Direction::Lower, step, 1.0, value);
            metrics.flush_if_due(recorder);
        }
        !stop.load(Ordering::SeqCst)
    })
    .map_err(LearnError::from)?;
    let converged = if fit.converged { 1.0 } else { 0.0 };
    metrics.push("converged", Some(Split::Train), Direction::Higher, step, 1.0, converged);
    metrics.flush(recorder);
    if stop.load(Ordering::SeqCst) {
        return Ok(Outcome::Interrupted(Interrupted { step, dir: None }));
    }
    let fitting = start.elapsed().as_secs_f64();
    let checkpoints = Checkpoints::open(&job.run_dir)?;
    let files = checkpoints.save(step, &|dir| Ok(model.save(dir)?), &[])?;
    let training = &job.config.training;
    let score = |split, thresholds| evaluate(&model, data, split, thresholds, training.seed);
    let valid = score(Split::Valid, Thresholds::of(training.threshold, data))?;
    let test = score(Split::Test, Thresholds::Given(valid.thresholds.clone()))?;
    let evaluations = vec![valid, test];
    let metric = training.best_metric.clone();
    let value = evaluations[0].get(&metric).map(|metric| metric.value).ok_or_else(|| {
        let names: Vec<&str> = evaluations[0].metrics.iter().map(|m| m.name.as_str()).collect();
        TrainError::UnknownMetric { name: metric.clone(), known: names.join(", ") }
    })?;
    for evaluation in &evaluations {
        for found in evaluation.series() {
            metrics.push(
                &found.name,
                Some(evaluation.split),
                found.direction,
                step,
                1.0,
                found.value,
            );
        }
    }
    metrics.flush(recorder);
    let best_dir = Checkpoints::dir(step);
    recorder.record(TrainEvent::CheckpointSaved(CheckpointSaved {
        step,
        epoch: 1.0,
        dir: best_dir.clone(),
        files: files.clone(),
        metric: Some((metric.clone(), value)),
        best: true,
    }));
    let weights = files.into_iter().find(|file| file.name == WEIGHTS_FILE);
    let rows = data.of_split(Split::Train).len() as f64;
    Ok(Outcome::Finished(Box::new(TrainingResult {
        epochs: 1,
        steps: step,
        stopped_early: false,
        metric,
        best_value: value,
        best_epoch: 1,
        best_step: step,
        evaluations,
        best_dir,
        weights: weights.expect("BUG: the model saved no weights"),
        parameters: model.parameter_count(),
        seconds: start.elapsed().as_secs_f64(),
        rows_per_s: rows / fitting.max(f64::MIN_POSITIVE),
        inference_ms: inference_ms(&model, data),
    })))
}

/// Milliseconds that one test row takes, one after the other, as the mean over the first rows.
fn inference_ms(model: &TextClassifier, data: &Prepared) -> Option<f64> {
    let Inputs::Texts(texts) = &data.inputs else { return None };
    let rows: Vec<usize> = data.of_split(Split::Test).into_iter().take(TIMED_ROWS).collect();
    let begun = Instant::now();
    for row in &rows {
        std::hint::black_box(model.scores(&texts[*row]));
    }
    (!rows.is_empty()).then(|| begun.elapsed().as_secs_f64() * 1e3 / rows.len() as f64)
}

fn started(job: &JobSpec, data: &Prepared) -> Started {
    let rows = |split| (split, data.of_split(split).len() as u64);
    Started {
        // Known when the terms are.
        parameters: 0,
        epochs: 1,
        steps: 1,
        rows: Split::ALL.map(rows).to_vec(),
        device: "cpu".into(),
        threads: job.threads,
        resumed_at_step: None,
    }
}

/// The scores of a baseline on one split; intervals draw rows by `seed`.
///
/// # Errors
/// When a score is not finite.
pub fn evaluate(
    model: &TextClassifier,
    data: &Prepared,
    split: Split,
    thresholds: Thresholds,
    seed: u64,
) -> Result<Evaluation, TrainError> {
    let Inputs::Texts(texts) = &data.inputs else { return Err(TrainError::EmptySplit(split)) };
    let mut scorer = Scorer::new(data.labels.len(), data.targets.is_multi()).with(thresholds);
    for row in data.of_split(split) {
        let targets = data.targets.select(&[row]);
        scorer
            .add(&model.scores(&texts[row]), &targets, &[data.rows[row]])
            .map_err(|source| TrainError::Score { split, source })?;
    }
    Ok(scorer.finish(split, &data.labels, seed))
}
