//! From logits and labels to an [`Evaluation`].

use super::evaluation::{ClassScore, Evaluation, MetricValue};
use crate::base::{Direction, Split};

/// The scores every evaluation has, besides `precision_`, `recall_`, `f1_` and `support_` of each
/// label.
pub const NAMES: &[&str] = &[
    "loss",
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "f1_weighted",
    "precision_macro",
    "precision_weighted",
    "recall_macro",
    "recall_weighted",
    "mcc",
];

/// Whether a model can be chosen by `name`: a known score, or one of a label.
pub fn can_choose(name: &str) -> bool {
    NAMES.contains(&name)
        || ["f1_", "recall_", "precision_"]
            .iter()
            .any(|prefix| name.len() > prefix.len() && name.starts_with(prefix))
}

/// Which way the score `name` gets better.
pub fn direction_of(name: &str) -> Direction {
    match name {
        "loss" => Direction::Lower,
        _ if name.starts_with("support_") => Direction::Neutral,
        _ => Direction::Higher,
    }
}

/// A score that cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// A logit is NaN or infinite.
    #[error("the score of data row {row} is {value}")]
    NotFinite {
        /// The record number in the data file.
        row: u32,
        /// NaN or an infinity.
        value: f32,
    },
    /// The model answered for another number of rows or classes.
    #[error("{expected} scores expected, found {found}")]
    Shape {
        /// rows * classes.
        expected: usize,
        /// What came.
        found: usize,
    },
}

/// Gathers predictions batch by batch.
#[derive(Clone, Debug)]
pub struct Scorer {
    /// By data row, so that the sum does not depend on the order of batches.
    losses: Vec<(u32, f64)>,
    confusion: Vec<Vec<u64>>,
}

impl Scorer {
    /// Starts with nothing.
    pub fn new(classes: usize) -> Self {
        Self { losses: Vec::new(), confusion: vec![vec![0; classes]; classes] }
    }

    /// Takes in the logits of one batch: `rows.len() * classes` numbers. The prediction is the
    /// class of the largest logit, the first one when several are equal.
    ///
    /// # Errors
    /// For logits that are not finite or not as many as expected.
    pub fn add(&mut self, logits: &[f32], labels: &[u32], rows: &[u32]) -> Result<(), ScoreError> {
        let classes = self.confusion.len();
        let expected = rows.len() * classes;
        if logits.len() != expected {
            return Err(ScoreError::Shape { expected, found: logits.len() });
        }
        for ((scores, label), row) in logits.chunks_exact(classes).zip(labels).zip(rows) {
            if let Some(value) = scores.iter().find(|score| !score.is_finite()) {
                return Err(ScoreError::NotFinite { row: *row, value: *value });
            }
            let label = *label as usize;
            self.losses.push((*row, cross_entropy(scores, label)));
            self.confusion[label][argmax(scores)] += 1;
        }
        Ok(())
    }

    /// All scores.
    pub fn finish(mut self, split: Split, labels: &[String]) -> Evaluation {
        self.losses.sort_by_key(|(row, _)| *row);
        let rows = self.losses.len() as u64;
        let loss = ratio(self.losses.iter().map(|(_, loss)| loss).sum(), rows as f64);
        let classes: Vec<ClassScore> =
            labels.iter().enumerate().map(|(i, l)| class_score(&self.confusion, i, l)).collect();
        let mut metrics = summary(&self.confusion, &classes, rows, loss);
        for class in &classes {
            let parts =
                [("precision", class.precision), ("recall", class.recall), ("f1", class.f1)];
            metrics.extend(
                parts.map(|(name, value)| metric(&format!("{name}_{}", class.label), value)),
            );
            metrics.push(metric(&format!("support_{}", class.label), class.support as f64));
        }
        Evaluation { split, rows, metrics, classes, confusion: self.confusion }
    }
}

fn summary(
    confusion: &[Vec<u64>],
    classes: &[ClassScore],
    rows: u64,
    loss: f64,
) -> Vec<MetricValue> {
    let rows = rows as f64;
    let right: u64 = (0..classes.len()).map(|i| confusion[i][i]).sum();
    let macro_mean =
        |part: fn(&ClassScore) -> f64| ratio(classes.iter().map(part).sum(), classes.len() as f64);
    let weighted = |part: fn(&ClassScore) -> f64| {
        ratio(classes.iter().map(|c| part(c) * c.support as f64).sum(), rows)
    };
    // Over the labels that occur, as scikit-learn does.
    let present: Vec<f64> = classes.iter().filter(|c| c.support > 0).map(|c| c.recall).collect();
    let values = [
        loss,
        ratio(right as f64, rows),
        ratio(present.iter().sum(), present.len() as f64),
        macro_mean(|c| c.f1),
        weighted(|c| c.f1),
        macro_mean(|c| c.precision),
        weighted(|c| c.precision),
        macro_mean(|c| c.recall),
        weighted(|c| c.recall),
        matthews(confusion),
    ];
    NAMES.iter().zip(values).map(|(name, value)| metric(name, value)).collect()
}

fn metric(name: &str, value: f64) -> MetricValue {
    MetricValue { name: name.to_owned(), direction: direction_of(name), value }
}

fn class_score(confusion: &[Vec<u64>], class: usize, label: &str) -> ClassScore {
    let hit = confusion[class][class] as f64;
    let support: u64 = confusion[class].iter().sum();
    let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
    ClassScore {
        label: label.to_owned(),
        precision: ratio(hit, predicted as f64),
        recall: ratio(hit, support as f64),
        f1: ratio(2.0 * hit, (support + predicted) as f64),
        support,
    }
}

/// Matthews' correlation for many classes (Gorodkin, "Comparing two K-category assignments by a
/// K-category correlation coefficient", 2004).
fn matthews(confusion: &[Vec<u64>]) -> f64 {
    let classes = confusion.len();
    let truth: Vec<f64> = confusion.iter().map(|row| row.iter().sum::<u64>() as f64).collect();
    let said: Vec<f64> =
        (0..classes).map(|j| confusion.iter().map(|row| row[j]).sum::<u64>() as f64).collect();
    let rows: f64 = truth.iter().sum();
    let right: f64 = (0..classes).map(|i| confusion[i][i] as f64).sum();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let spread = (rows * rows - dot(&truth, &truth)) * (rows * rows - dot(&said, &said));
    ratio(right * rows - dot(&truth, &said), spread.sqrt())
}

fn ratio(over: f64, under: f64) -> f64 {
    if under == 0.0 { 0.0 } else { over / under }
}

fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}

/// Minus the logarithm of the label's softmax probability.
fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let max = f64::from(scores[argmax(scores)]);
    let sum: f64 = scores.iter().map(|score| (f64::from(*score) - max).exp()).sum();
    sum.ln() + max - f64::from(scores[label])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truth 0,0,0,1,1,2 and predictions 0,0,1,1,2,2.
    fn example() -> Evaluation {
        let mut scorer = Scorer::new(3);
        let said = [0, 0, 1, 1, 2, 2_usize];
        let mut logits = [0.0; 18];
        for (row, class) in said.iter().enumerate() {
            logits[row * 3 + class] = 2.0;
        }
        let rows: Vec<u32> = (0..6).collect();
        scorer.add(&logits[..9], &[0, 0, 0], &rows[..3]).unwrap();
        scorer.add(&logits[9..], &[1, 1, 2], &rows[3..]).unwrap();
        scorer.finish(Split::Test, &["a".into(), "b".into(), "c".into()])
    }

    #[test]
    fn scores_equal_those_computed_by_hand() {
        let evaluation = example();
        assert_eq!(evaluation.confusion, [[2, 1, 0], [0, 1, 1], [0, 0, 1]]);
        // Precision 1, 1/2, 1/2; recall 2/3, 1/2, 1; F1 4/5, 1/2, 2/3; support 3, 2, 1.
        let softmax_hit = (2.0_f64.exp() + 2.0).ln() - 2.0;
        let softmax_miss = (2.0_f64.exp() + 2.0).ln();
        for (name, value) in [
            ("loss", (4.0 * softmax_hit + 2.0 * softmax_miss) / 6.0),
            ("accuracy", 4.0 / 6.0),
            ("balanced_accuracy", (2.0 / 3.0 + 0.5 + 1.0) / 3.0),
            ("f1_macro", (0.8 + 0.5 + 2.0 / 3.0) / 3.0),
            ("f1_weighted", (3.0 * 0.8 + 2.0 * 0.5 + 2.0 / 3.0) / 6.0),
            ("precision_macro", 2.0 / 3.0),
            ("precision_weighted", (3.0 + 1.0 + 0.5) / 6.0),
            ("recall_macro", (2.0 / 3.0 + 0.5 + 1.0) / 3.0),
            ("recall_weighted", 4.0 / 6.0),
            // (4*6 - (3*2+2*2+1*2)) / sqrt((36-14)*(36-12))
            ("mcc", 12.0 / (22.0_f64 * 24.0).sqrt()),
            ("f1_b", 0.5),
            ("support_a", 3.0),
        ] {
            let found = evaluation.get(name).unwrap().value;
            assert!((found - value).abs() < 1e-12, "{name}: {found} instead of {value}");
        }
        assert_eq!(evaluation.get("loss").unwrap().direction, Direction::Lower);
        assert!(NAMES.iter().all(|name| evaluation.get(name).is_some()));
    }

    #[test]
    fn a_class_never_predicted_scores_zero_not_nan() {
        let mut scorer = Scorer::new(2);
        scorer.add(&[1.0, 0.0, 1.0, 0.0], &[0, 1], &[0, 1]).unwrap();
        let evaluation = scorer.finish(Split::Valid, &["a".into(), "b".into()]);
        assert_eq!(evaluation.classes[1].f1, 0.0);
        assert!(evaluation.metrics.iter().all(|metric| metric.value.is_finite()));
    }

    #[test]
    fn nan_is_an_error_that_names_the_row() {
        let error = Scorer::new(2).add(&[f32::NAN, 0.0], &[0], &[17]).unwrap_err();
        assert_eq!(error.to_string(), "the score of data row 17 is NaN");
    }
}
