//! Metrics as events carry them: points in columns, and final values with their split.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Direction, Split, Timestamp};

/// What is measured: a name on a split, with its declared direction.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct MetricKey {
    /// Such as `f1_macro`, `recall_suicide_risk`, `loss`.
    pub name: String,
    /// Where it was measured; none for what has no split (learning rate, memory).
    pub split: Option<Split>,
    /// Which way it gets better.
    pub direction: Direction,
}

/// One point of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricPoint {
    /// Index into [`MetricBatch::keys`].
    pub key: u16,
    /// Optimiser updates done.
    pub step: u64,
    /// Passes over the training rows, with fraction.
    pub epoch: f64,
    /// The value; finite.
    pub value: f64,
    /// When it was measured.
    pub at: Timestamp,
}

/// Points in columns, at most [`METRIC_BATCH_POINTS_MAX`](crate::base::limits): steps and times
/// are stored as differences, so that they compress.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct MetricBatch {
    /// The series that occur in this batch.
    pub keys: Vec<MetricKey>,
    key: Vec<u16>,
    step_delta: Vec<i64>,
    epoch: Vec<f32>,
    value: Vec<f64>,
    start: Timestamp,
    at_delta_us: Vec<i64>,
}

impl MetricBatch {
    /// Puts points into columns. Times keep microseconds.
    pub fn new(keys: Vec<MetricKey>, points: &[MetricPoint]) -> Self {
        let start = points.first().map_or(Timestamp(0), |p| p.at);
        let mut batch = Self {
            keys,
            key: Vec::with_capacity(points.len()),
            step_delta: Vec::with_capacity(points.len()),
            epoch: Vec::with_capacity(points.len()),
            value: Vec::with_capacity(points.len()),
            start,
            at_delta_us: Vec::with_capacity(points.len()),
        };
        let (mut step, mut at_us) = (0_i64, 0_i64);
        for point in points {
            let point_step = i64::try_from(point.step).unwrap_or(i64::MAX);
            let point_us = (point.at.0 - start.0) / 1_000;
            batch.key.push(point.key);
            batch.step_delta.push(point_step - step);
            batch.epoch.push(point.epoch as f32);
            batch.value.push(point.value);
            batch.at_delta_us.push(point_us - at_us);
            (step, at_us) = (point_step, point_us);
        }
        batch
    }

    /// How many points.
    pub fn len(&self) -> usize {
        self.value.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The points, in the order they were recorded. Columns of unequal length end at the shortest
    /// and keys that are not listed are left out, so that a malformed batch cannot panic.
    pub fn points(&self) -> impl Iterator<Item = MetricPoint> + '_ {
        let (mut step, mut at_us) = (0_i64, 0_i64);
        let columns = self.key.iter().zip(&self.step_delta).zip(&self.epoch).zip(&self.value);
        columns.zip(&self.at_delta_us).filter_map(
            move |((((key, step_delta), epoch), value), at_delta)| {
                step = step.wrapping_add(*step_delta);
                at_us = at_us.wrapping_add(*at_delta);
                (usize::from(*key) < self.keys.len()).then(|| MetricPoint {
                    key: *key,
                    step: u64::try_from(step).unwrap_or(0),
                    epoch: f64::from(*epoch),
                    value: *value,
                    at: self.start.plus_nanos(at_us.saturating_mul(1_000)),
                })
            },
        )
    }
}

/// One value at the end of a run.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Debug,
    PartialEq,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct FinalMetric {
    /// What was measured, where.
    pub key: MetricKey,
    /// The value; finite.
    pub value: f64,
}

/// Predictions against labels on one split.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Debug,
    PartialEq,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct Evaluation {
    /// Where.
    pub split: Split,
    /// Rows evaluated.
    pub rows: u64,
    /// Scores of each label, in label order.
    pub classes: Vec<ClassScore>,
    /// `confusion[i][j]`: rows of label i predicted as label j.
    pub confusion: Vec<Vec<u64>>,
}

impl Evaluation {
    /// The evaluation that a confusion matrix is: rows of label i predicted as label j.
    ///
    /// # Errors
    /// Says what is wrong with a matrix that is not square, or labels that are not its own.
    pub fn of_confusion(
        split: Split,
        labels: &[String],
        confusion: Vec<Vec<u64>>,
    ) -> Result<Self, String> {
        let size = labels.len();
        if size == 0 || confusion.len() != size || confusion.iter().any(|row| row.len() != size) {
            return Err(format!("{size} labels need {size} rows of {size} numbers"));
        }
        if let Some(twice) = (1..size).find(|i| labels[..*i].contains(&labels[*i])) {
            return Err(format!("the label {:?} stands there twice", labels[twice]));
        }
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let classes = labels.iter().enumerate().map(|(i, label)| {
            let right = confusion[i][i];
            let support: u64 = confusion[i].iter().sum();
            let predicted: u64 = confusion.iter().map(|row| row[i]).sum();
            ClassScore {
                label: label.clone(),
                precision: share(right, predicted),
                recall: share(right, support),
                f1: share(2 * right, support + predicted),
                support,
            }
        });
        let classes = classes.collect();
        let rows = confusion.iter().flatten().sum();
        Ok(Self { split, rows, classes, confusion })
    }
}

/// Precision, recall and F1 of one label.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Debug,
    PartialEq,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct ClassScore {
    /// The label.
    pub label: String,
    /// Right predictions among all predictions of the label; 0 without any.
    pub precision: f64,
    /// Right predictions among all rows of the label; 0 without any.
    pub recall: f64,
    /// Harmonic mean of both; 0 where both are 0.
    pub f1: f64,
    /// Rows of the label.
    pub support: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_give_back_the_points() {
        let key = |name: &str| MetricKey {
            name: name.into(),
            split: Some(Split::Train),
            direction: Direction::Lower,
        };
        let at = Timestamp(1_767_225_600_000_000_000);
        let points: Vec<MetricPoint> = (0..40)
            .map(|i| MetricPoint {
                key: i % 2,
                step: if i < 20 { u64::from(i) } else { u64::from(i - 10) },
                epoch: f64::from(i) / 4.0,
                value: f64::from(i) / 3.0,
                at: at.plus_nanos(i64::from(i) * 1_500_000),
            })
            .collect();
        let batch = MetricBatch::new(vec![key("loss"), key("other")], &points);
        assert_eq!(batch.points().collect::<Vec<_>>(), points);
    }
}
