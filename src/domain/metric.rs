//! Metrics as events carry them: points in columns, and final values with their split.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::score::{self, Counts};
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
            return Err(format!("the label {:?} occurs twice", labels[twice]));
        }
        let of_label = |(label, counts): (&String, Counts)| ClassScore {
            label: label.clone(),
            precision: counts.precision(),
            recall: counts.recall(),
            f1: counts.f1(),
            support: counts.support,
        };
        let classes = labels.iter().zip(Counts::of_confusion(&confusion)).map(of_label).collect();
        let rows = confusion.iter().flatten().sum();
        Ok(Self { split, rows, classes, confusion })
    }

    /// The scores that follow from the confusion matrix, as training computes them; none without
    /// a matrix.
    pub fn scores(&self) -> Vec<(String, f64)> {
        if self.confusion.is_empty() {
            return Vec::new();
        }
        let right: u64 = self.confusion.iter().enumerate().map(|(i, row)| row[i]).sum();
        let counts = Counts::of_confusion(&self.confusion);
        let accuracy = ("accuracy", score::ratio(right as f64, self.rows as f64));
        let mcc = ("mcc", score::matthews(&self.confusion));
        let all = [accuracy].into_iter().chain(score::averages(&counts, false)).chain([mcc]);
        let mut scores: Vec<_> = all.map(|(name, value)| (name.to_owned(), value)).collect();
        for class in &self.classes {
            let parts =
                [("precision", class.precision), ("recall", class.recall), ("f1", class.f1)];
            scores.extend(parts.map(|(name, v)| (format!("{name}_{}", class.label), v)));
        }
        scores
    }

    /// A warning that names the labels that no row has.
    pub fn absent_labels(&self) -> Option<String> {
        let absent = self.classes.iter().filter(|class| class.support == 0);
        let absent: Vec<&str> = absent.map(|class| class.label.as_str()).collect();
        score::absent_labels(self.split.word(), &absent, self.confusion.is_empty())
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
