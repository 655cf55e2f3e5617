//! Scores one split with the model as it is: the labels, and every auxiliary head.

use std::time::{Duration, Instant};

use super::learner::Learner;
use super::metric::{Evaluation, MetricValue, NAMES, ScoreError, Scorer, Thresholds, direction_of};
use super::order::eval_batches;
use super::trainer::TrainError;
use crate::base::Split;
use crate::data::batch::Batch;
use crate::data::batch::Collator;
use crate::data::prepared::{Prepared, Targets};
use crate::model::config::TrainConfig;

/// Scores the rows of `split`, where they may have any number of labels by `thresholds`; `change`
/// may alter a batch before it is scored. The scores of a head are called after it:
/// `severity.f1_macro`. The time that the model itself took is added to `spent`.
pub(super) fn evaluate(
    learner: &mut dyn Learner,
    data: &Prepared,
    config: &TrainConfig,
    split: Split,
    thresholds: Thresholds,
    change: &dyn Fn(&mut Batch),
    spent: &mut Duration,
) -> Result<Evaluation, TrainError> {
    let seed = config.training.seed;
    let rows = data.of_split(split);
    let lengths = data.inputs.lengths();
    let lengths: Vec<u32> = rows.iter().map(|row| lengths[*row]).collect();
    let collator = Collator::new(data);
    if !config.learns_labels() {
        return reconstruction(learner, data, config, split, spent);
    }
    let mut scorer = Scorer::new(data.labels.len(), data.targets.is_multi()).with(thresholds);
    let mut heads: Vec<Scorer> =
        data.heads.iter().map(|head| Scorer::new(head.labels.len(), false)).collect();
    for indices in eval_batches(&lengths, config.eval_batch_rows()) {
        let rows: Vec<usize> = indices.iter().map(|index| rows[*index]).collect();
        let mut batch = collator.batch(&rows);
        change(&mut batch);
        let begun = Instant::now();
        let output = learner.evaluate(&batch)?;
        *spent += begun.elapsed();
        let failed = |source| TrainError::Score { split, source };
        scorer.add(&output.logits, &batch.targets, &batch.rows).map_err(failed)?;
        for (head, (scorer, scores)) in heads.iter_mut().zip(&output.heads).enumerate() {
            let (scores, targets, rows) = labelled(scores, &batch.heads[head], &batch.rows);
            scorer.add(&scores, &targets, &rows).map_err(failed)?;
        }
    }
    let mut evaluation = scorer.finish(split, &data.labels, seed);
    for (scorer, head) in heads.into_iter().zip(&data.heads) {
        let scores = scorer.finish(split, &head.labels, seed);
        if scores.rows > 0 {
            evaluation.metrics.extend(prefixed(&head.name, scores.metrics));
        }
    }
    Ok(evaluation)
}

/// The mean of the rows' own losses, where nothing is labelled.
fn reconstruction(
    learner: &mut dyn Learner,
    data: &Prepared,
    config: &TrainConfig,
    split: Split,
    spent: &mut Duration,
) -> Result<Evaluation, TrainError> {
    let rows = data.of_split(split);
    let collator = Collator::new(data);
    let mut sum = 0.0;
    for indices in rows.chunks(config.eval_batch_rows()) {
        let batch = collator.batch(indices);
        let begun = Instant::now();
        let losses = learner.evaluate(&batch)?.logits;
        *spent += begun.elapsed();
        for (index, loss) in indices.iter().zip(losses) {
            if !loss.is_finite() {
                let source = ScoreError::NotFinite { row: data.rows[*index], value: loss };
                return Err(TrainError::Score { split, source });
            }
            sum += f64::from(loss);
        }
    }
    let name = "loss".to_owned();
    let loss = MetricValue { direction: direction_of(&name), name, value: sum / rows.len() as f64 };
    let (rows, metrics) = (rows.len() as u64, vec![loss]);
    Ok(Evaluation {
        split,
        rows,
        metrics,
        classes: Vec::new(),
        confusion: Vec::new(),
        thresholds: Vec::new(),
        predictions: Vec::new(),
    })
}

/// The scores of the rows that have a label.
fn labelled(
    scores: &[f32],
    targets: &[Option<u32>],
    rows: &[u32],
) -> (Vec<f32>, Targets, Vec<u32>) {
    let width = scores.len() / rows.len().max(1);
    let (mut kept, mut classes, mut kept_rows) = (Vec::new(), Vec::new(), Vec::new());
    for (index, class) in targets.iter().enumerate() {
        if let Some(class) = class {
            kept.extend_from_slice(&scores[index * width..(index + 1) * width]);
            classes.push(*class);
            kept_rows.push(rows[index]);
        }
    }
    (kept, Targets::Single(classes), kept_rows)
}

/// Scores over all labels under another name; those of single labels would be too many.
pub(super) fn prefixed(
    prefix: &str,
    metrics: Vec<MetricValue>,
) -> impl Iterator<Item = MetricValue> {
    let summary = metrics.into_iter().filter(|m| NAMES.contains(&m.name.as_str()));
    summary.map(move |m| MetricValue { name: format!("{prefix}.{}", m.name), ..m })
}
