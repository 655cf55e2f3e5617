//! From logits and labels to an [`Evaluation`].

use super::evaluation::{ClassScore, Evaluation, MetricValue};
use super::interval::{Answer, intervals};
use super::predictions::{PROBABILITIES_MAX, Prediction};
use super::ranking::Ranking;
use super::threshold::{self, Thresholds, probability};
use crate::base::Split;
use crate::base::score::{Counts, averages, direction_of, matthews, ratio};
use crate::data::prepared::Targets;

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
    classes: usize,
    /// `confusion[i][j]`: rows of label i predicted as label j; empty where a row has many labels.
    confusion: Vec<Vec<u64>>,
    counts: Vec<Counts>,
    right: u64,
    answers: Vec<Answer>,
    ranking: Ranking,
    thresholds: Thresholds,
    /// The rows whose thresholds are known when all rows are.
    undecided: Vec<Undecided>,
}

/// A row that may have any number of labels.
#[derive(Clone, Debug)]
struct Undecided {
    row: u32,
    probabilities: Box<[f64]>,
    truth: Box<[u32]>,
}

impl Scorer {
    /// Starts with nothing; `multi` where a row may have any number of labels, each from a
    /// probability of one half on.
    pub fn new(classes: usize, multi: bool) -> Self {
        let confusion = if multi { Vec::new() } else { vec![vec![0; classes]; classes] };
        let counts = vec![Counts::default(); classes];
        let (losses, ranking) = (Vec::new(), Ranking::new(classes, multi));
        Self {
            losses,
            classes,
            confusion,
            counts,
            right: 0,
            answers: Vec::new(),
            ranking,
            thresholds: Thresholds::Given(vec![0.5; classes]),
            undecided: Vec::new(),
        }
    }

    /// Decides by `thresholds` where a row may have any number of labels.
    pub fn with(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }

    /// Takes in the logits of one batch: `rows.len() * classes` numbers. The prediction is the
    /// class of the largest logit, the first one when several are equal; where a row has any
    /// number of labels, all labels whose probability reaches their threshold.
    ///
    /// # Errors
    /// For logits that are not finite or not as many as expected.
    pub fn add(
        &mut self,
        logits: &[f32],
        targets: &Targets,
        rows: &[u32],
    ) -> Result<(), ScoreError> {
        let expected = rows.len() * self.classes;
        if logits.len() != expected {
            return Err(ScoreError::Shape { expected, found: logits.len() });
        }
        for (index, scores) in logits.chunks_exact(self.classes).enumerate() {
            let row = rows[index];
            if let Some(value) = scores.iter().find(|score| !score.is_finite()) {
                return Err(ScoreError::NotFinite { row, value: *value });
            }
            let truth = targets.of(index);
            self.ranking.add(row, scores, truth);
            if let Some(classes) = targets.classes() {
                let class = classes[index] as usize;
                self.losses.push((row, cross_entropy(scores, class)));
                let said = argmax(scores);
                self.confusion[class][said] += 1;
                self.ranking.judge(class == said);
                let said = u32::try_from(said).unwrap_or(u32::MAX);
                self.count(row, truth.into(), [said].into(), softmax(scores));
            } else {
                self.losses.push((row, binary_cross_entropy(scores, truth)));
                let probabilities = scores.iter().map(|score| probability(*score)).collect();
                self.undecided.push(Undecided { row, probabilities, truth: truth.into() });
            }
        }
        if let Thresholds::Given(given) = &self.thresholds {
            let given = given.clone();
            self.decide(&given);
        }
        Ok(())
    }

    fn count(&mut self, row: u32, truth: Box<[u32]>, said: Box<[u32]>, probabilities: Box<[f32]>) {
        self.right += u64::from(truth == said);
        for class in &truth {
            self.counts[*class as usize].support += 1;
            self.counts[*class as usize].hits += u64::from(said.contains(class));
        }
        for class in &said {
            self.counts[*class as usize].predicted += 1;
        }
        self.answers.push(Answer { row, truth, said, probabilities });
    }

    /// Says yes or no to each label of the rows that may have any number.
    fn decide(&mut self, thresholds: &[f64]) {
        for Undecided { row, probabilities, truth } in std::mem::take(&mut self.undecided) {
            let reached = (0_u32..).zip(probabilities.iter().zip(thresholds));
            let said = reached.filter(|(_, (p, t))| p >= t).map(|(label, _)| label).collect();
            let probabilities = probabilities.iter().map(|p| *p as f32).collect();
            self.count(row, truth, said, probabilities);
        }
    }

    /// The thresholds by which all rows are decided; empty where a row has one class.
    fn finalize(&mut self) -> Vec<f64> {
        let of_label = |label: u32, undecided: &Undecided| {
            (undecided.probabilities[label as usize], undecided.truth.contains(&label))
        };
        match &self.thresholds {
            _ if !self.confusion.is_empty() => Vec::new(),
            Thresholds::Given(given) => given.clone(),
            Thresholds::Tuned => {
                let rows = |label| self.undecided.iter().map(|row| of_label(label, row)).collect();
                let labels = (0..).take(self.classes);
                let tuned: Vec<f64> = labels.map(|label| threshold::best(rows(label))).collect();
                self.decide(&tuned);
                tuned
            }
        }
    }

    /// All scores; on the test rows with their intervals, for which `seed` draws rows.
    pub fn finish(mut self, split: Split, labels: &[String], seed: u64) -> Evaluation {
        let thresholds = self.finalize();
        let (mut ends, mut predictions) = (Vec::new(), Vec::new());
        if split == Split::Test {
            predictions = self.predictions();
            let (curves, one_class) = (self.ranking.curves(), !self.confusion.is_empty());
            ends = intervals(&self.answers, &curves, self.classes, one_class, seed);
        }
        self.losses.sort_by_key(|(row, _)| *row);
        let rows = self.losses.len() as u64;
        let classes: Vec<ClassScore> =
            labels.iter().zip(&self.counts).map(|(label, c)| class_score(label, *c)).collect();
        let mut metrics = self.summary();
        metrics.extend(self.ranking.finish().into_iter().map(|(name, v)| metric(name, v)));
        for class in &classes {
            let parts =
                [("precision", class.precision), ("recall", class.recall), ("f1", class.f1)];
            metrics.extend(
                parts.map(|(name, value)| metric(&format!("{name}_{}", class.label), value)),
            );
            metrics.push(metric(&format!("support_{}", class.label), class.support as f64));
        }
        if self.thresholds == Thresholds::Tuned {
            let named = labels.iter().zip(&thresholds);
            metrics.extend(named.map(|(label, t)| metric(&format!("threshold_{label}"), *t)));
        }
        metrics.append(&mut ends);
        let confusion = self.confusion;
        Evaluation { split, rows, metrics, classes, confusion, thresholds, predictions }
    }

    /// What was said, in row order; nothing where it would be too much to keep.
    fn predictions(&self) -> Vec<Prediction> {
        if self.answers.len() * self.classes > PROBABILITIES_MAX {
            return Vec::new();
        }
        let one = |answer: &Answer| Prediction {
            row: answer.row,
            truth: answer.truth.to_vec(),
            said: answer.said.to_vec(),
            probabilities: answer.probabilities.to_vec(),
        };
        let mut all: Vec<Prediction> = self.answers.iter().map(one).collect();
        all.sort_by_key(|prediction| prediction.row);
        all
    }

    fn summary(&self) -> Vec<MetricValue> {
        let (rows, multi) = (self.losses.len() as f64, self.confusion.is_empty());
        let loss = ratio(self.losses.iter().map(|(_, loss)| loss).sum(), rows);
        let mut values = vec![("loss", loss), ("accuracy", ratio(self.right as f64, rows))];
        values.extend(averages(&self.counts, multi));
        if !multi {
            values.push(("mcc", matthews(&self.confusion)));
        }
        values.into_iter().map(|(name, value)| metric(name, value)).collect()
    }
}

fn class_score(label: &str, counts: Counts) -> ClassScore {
    ClassScore {
        label: label.to_owned(),
        precision: counts.precision(),
        recall: counts.recall(),
        f1: counts.f1(),
        support: counts.support,
    }
}

fn metric(name: &str, value: f64) -> MetricValue {
    MetricValue { name: name.to_owned(), direction: direction_of(name), value }
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

/// The probabilities that logits stand for where a row has one class.
fn softmax(scores: &[f32]) -> Box<[f32]> {
    let max = f64::from(scores[argmax(scores)]);
    let powers: Vec<f64> = scores.iter().map(|score| (f64::from(*score) - max).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / sum) as f32).collect()
}

/// Minus the logarithm of the label's softmax probability.
fn cross_entropy(scores: &[f32], label: usize) -> f64 {
    let max = f64::from(scores[argmax(scores)]);
    let sum: f64 = scores.iter().map(|score| (f64::from(*score) - max).exp()).sum();
    sum.ln() + max - f64::from(scores[label])
}

/// The loss of one row, given its labels; `multi` where it may have any number of them.
pub fn row_loss(scores: &[f32], truth: &[u32], multi: bool) -> f64 {
    match truth {
        [class] if !multi => cross_entropy(scores, *class as usize),
        _ => binary_cross_entropy(scores, truth),
    }
}

/// Mean over the labels of minus the logarithm of the right answer's sigmoid probability.
fn binary_cross_entropy(scores: &[f32], truth: &[u32]) -> f64 {
    let loss = |(class, score): (u32, &f32)| {
        let (score, wanted) = (f64::from(*score), truth.contains(&class));
        score.max(0.0) - if wanted { score } else { 0.0 } + (-score.abs()).exp().ln_1p()
    };
    ratio((0_u32..).zip(scores).map(loss).sum(), scores.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Direction;
    use crate::base::score::NAMES;

    /// Truth 0,0,0,1,1,2 and predictions 0,0,1,1,2,2.
    fn example() -> Evaluation {
        let mut scorer = Scorer::new(3, false);
        let said = [0, 0, 1, 1, 2, 2_usize];
        let mut logits = [0.0; 18];
        for (row, class) in said.iter().enumerate() {
            logits[row * 3 + class] = 2.0;
        }
        let rows: Vec<u32> = (0..6).collect();
        scorer.add(&logits[..9], &Targets::Single(vec![0, 0, 0]), &rows[..3]).unwrap();
        scorer.add(&logits[9..], &Targets::Single(vec![1, 1, 2]), &rows[3..]).unwrap();
        scorer.finish(Split::Test, &["a".into(), "b".into(), "c".into()], 1)
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
            ("f1_micro", 4.0 / 6.0),
            ("f1_weighted", (3.0 * 0.8 + 2.0 * 0.5 + 2.0 / 3.0) / 6.0),
            ("precision_macro", 2.0 / 3.0),
            ("precision_weighted", (3.0 + 1.0 + 0.5) / 6.0),
            ("recall_macro", (2.0 / 3.0 + 0.5 + 1.0) / 3.0),
            ("recall_weighted", 4.0 / 6.0),
            // (4*6 - (3*2+2*2+1*2)) / sqrt((36-14)*(36-12))
            ("mcc", 12.0 / (22.0_f64 * 24.0).sqrt()),
            ("roc_auc", (7.5 / 9.0 + 5.0 / 8.0 + 4.5 / 5.0) / 3.0),
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
        let mut scorer = Scorer::new(2, false);
        scorer.add(&[1.0, 0.0, 1.0, 0.0], &Targets::Single(vec![0, 1]), &[0, 1]).unwrap();
        let evaluation = scorer.finish(Split::Valid, &["a".into(), "b".into()], 1);
        assert_eq!(evaluation.classes[1].f1, 0.0);
        assert!(evaluation.metrics.iter().all(|metric| metric.value.is_finite()));
    }

    #[test]
    fn rows_of_many_labels_are_scored_label_by_label() {
        let mut scorer = Scorer::new(3, true);
        let logits = [1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0, -1.0];
        let targets = Targets::Multi(vec![vec![0, 2], vec![], vec![1]]);
        scorer.add(&logits, &targets, &[0, 1, 2]).unwrap();
        let evaluation = scorer.finish(Split::Test, &["a".into(), "b".into(), "c".into()], 1);
        let miss = 1.0_f64.exp().ln_1p();
        for (name, value) in [
            ("accuracy", 2.0 / 3.0),
            ("f1_a", 2.0 / 3.0),
            ("f1_macro", (2.0 / 3.0 + 1.0 + 1.0) / 3.0),
            ("f1_micro", 6.0 / 7.0),
            ("loss", (8.0 * (miss - 1.0) + miss) / 9.0),
        ] {
            let found = evaluation.get(name).unwrap().value;
            assert!((found - value).abs() < 1e-12, "{name}: {found} instead of {value}");
        }
        assert!(evaluation.confusion.is_empty() && evaluation.get("mcc").is_none());
    }

    #[test]
    fn thresholds_are_tuned_on_one_split_and_given_to_another() {
        let labels = ["a".to_owned(), "b".to_owned()];
        let logit = |p: f64| (p / (1.0 - p)).ln() as f32;
        let scores: Vec<f32> =
            [0.9, 0.4, 0.8, 0.3, 0.3, 0.2, 0.7, 0.1].into_iter().map(logit).collect();
        // a: 1 of 1, 2 of 3 (F1 0.8) from 0.7 on; b: 2 of 2 (F1 1) from 0.3 on.
        let truth = Targets::Multi(vec![vec![0, 1], vec![1], vec![], vec![0]]);
        let mut scorer = Scorer::new(2, true).with(Thresholds::Tuned);
        scorer.add(&scores, &truth, &[0, 1, 2, 3]).unwrap();
        let valid = scorer.finish(Split::Valid, &labels, 1);
        assert_eq!(valid.thresholds[0], 0.5, "between 0.3 and 0.7");
        assert!((valid.thresholds[1] - 0.25).abs() < 1e-6, "between 0.2 and 0.3");
        assert!((valid.get("f1_macro").unwrap().value - 0.9).abs() < 1e-12);
        assert!((valid.get("threshold_b").unwrap().value - 0.25).abs() < 1e-6);
        let mut scorer = Scorer::new(2, true).with(Thresholds::Given(valid.thresholds));
        let truth = Targets::Multi(vec![vec![1]]);
        scorer.add(&[logit(0.49), logit(0.26)], &truth, &[0]).unwrap();
        let test = scorer.finish(Split::Test, &labels, 1);
        assert_eq!(test.get("accuracy").unwrap().value, 1.0);
        assert!(test.get("threshold_a").is_none(), "nothing was tuned on the test rows");
    }

    #[test]
    fn nan_is_an_error_that_names_the_row() {
        let error = Scorer::new(2, false)
            .add(&[f32::NAN, 0.0], &Targets::Single(vec![0]), &[17])
            .unwrap_err();
        assert_eq!(error.to_string(), "the score of data row 17 is NaN");
    }
}
