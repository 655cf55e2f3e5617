//! What scores are made of: one definition of each score that counts decide, for training, for
//! scripts that report a confusion matrix and for comparisons of runs.
//!
//! Equal to scikit-learn 1.9 with its default settings: a precision, recall or F1 whose divisor
//! is 0 is 0 (`zero_division`); where a row has one label, macro averages go over the labels that
//! occur among the true or the predicted ones, and balanced accuracy over those among the true
//! ones; where a row may have any number of labels, macro averages go over all labels.

use super::Direction;

/// The scores of an evaluation besides `precision_`, `recall_`, `f1_` and `support_` of each label;
/// `balanced_accuracy`, `mcc` and `ece` only where a row has one class. `roc_auc` is the mean over
/// the labels that some rows have and some have not, `pr_auc` over those that some rows have; of
/// two classes they are those of the second.
pub const NAMES: &[&str] = &[
    "loss",
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "f1_micro",
    "f1_weighted",
    "precision_macro",
    "precision_weighted",
    "recall_macro",
    "recall_weighted",
    "mcc",
    "roc_auc",
    "pr_auc",
    "ece",
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
        "loss" | "ece" => Direction::Lower,
        _ if ["support_", "threshold_"].iter().any(|prefix| name.starts_with(prefix)) => {
            Direction::Neutral
        }
        _ => Direction::Higher,
    }
}

/// What is counted of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that have the label and were predicted to have it.
    pub hits: u64,
    /// Rows that were predicted to have it.
    pub predicted: u64,
    /// Rows that have it.
    pub support: u64,
}

impl Counts {
    /// The counts of each label of a confusion matrix: rows of label i predicted as label j.
    pub fn of_confusion(confusion: &[Vec<u64>]) -> Vec<Self> {
        let of_label = |label: usize| Self {
            hits: confusion[label][label],
            predicted: confusion.iter().map(|row| row[label]).sum(),
            support: confusion[label].iter().sum(),
        };
        (0..confusion.len()).map(of_label).collect()
    }

    /// Right predictions among all predictions of the label; 0 without any.
    pub fn precision(&self) -> f64 {
        ratio(self.hits as f64, self.predicted as f64)
    }

    /// Right predictions among all rows of the label; 0 without any.
    pub fn recall(&self) -> f64 {
        ratio(self.hits as f64, self.support as f64)
    }

    /// Harmonic mean of both; 0 where both are 0.
    pub fn f1(&self) -> f64 {
        ratio(2.0 * self.hits as f64, (self.support + self.predicted) as f64)
    }

    fn occurs(&self) -> bool {
        self.support + self.predicted > 0
    }
}

/// The mean of the labels' F1.
pub fn f1_macro(counts: &[Counts], multi: bool) -> f64 {
    mean(counts.iter().filter(|counts| multi || counts.occurs()).map(Counts::f1))
}

/// The mean recall over the labels that some row has.
pub fn balanced_accuracy(counts: &[Counts]) -> f64 {
    mean(counts.iter().filter(|counts| counts.support > 0).map(Counts::recall))
}

/// Every score over all labels that their counts decide, by name. `multi` where a row may have any
/// number of labels; `balanced_accuracy` only where it has one.
pub fn averages(counts: &[Counts], multi: bool) -> Vec<(&'static str, f64)> {
    let macro_mean = |part: fn(&Counts) -> f64| {
        mean(counts.iter().filter(|counts| multi || counts.occurs()).map(part))
    };
    let sum = |part: fn(&Counts) -> u64| counts.iter().map(part).sum::<u64>() as f64;
    let (hits, predicted) = (sum(|c| c.hits), sum(|c| c.predicted));
    let support = sum(|c| c.support);
    let weighted = |part: fn(&Counts) -> f64| {
        ratio(counts.iter().map(|c| part(c) * c.support as f64).sum(), support)
    };
    let mut scores = vec![
        ("f1_macro", f1_macro(counts, multi)),
        ("f1_micro", ratio(2.0 * hits, predicted + support)),
        ("f1_weighted", weighted(Counts::f1)),
        ("precision_macro", macro_mean(Counts::precision)),
        ("precision_weighted", weighted(Counts::precision)),
        ("recall_macro", macro_mean(Counts::recall)),
        ("recall_weighted", weighted(Counts::recall)),
    ];
    if !multi {
        scores.push(("balanced_accuracy", balanced_accuracy(counts)));
    }
    scores
}

/// Matthews' correlation for many classes (Gorodkin, "Comparing two K-category assignments by a
/// K-category correlation coefficient", 2004); 0 where all rows have one label, or all
/// predictions are one.
pub fn matthews(confusion: &[Vec<u64>]) -> f64 {
    let counts = Counts::of_confusion(confusion);
    let rows = confusion.iter().flatten().sum::<u64>() as f64;
    let sum = |part: fn(&Counts) -> f64| counts.iter().map(part).sum::<f64>();
    let right = sum(|c| c.hits as f64);
    let both = sum(|c| c.support as f64 * c.predicted as f64);
    let truth = rows * rows - sum(|c| (c.support as f64).powi(2));
    let predicted = rows * rows - sum(|c| (c.predicted as f64).powi(2));
    ratio(right * rows - both, (truth * predicted).sqrt())
}

/// A warning that names the labels that no row of `split` has, and what that means for averages.
pub fn absent_labels(split: &str, labels: &[&str], multi: bool) -> Option<String> {
    let [first, more @ ..] = labels else { return None };
    let named = more.iter().fold(format!("{first:?}"), |all, label| format!("{all}, {label:?}"));
    let word = if more.is_empty() { "label" } else { "labels" };
    let effect = if multi {
        "its F1 is 0, also in macro averages"
    } else {
        "macro averages omit it unless it was predicted, balanced accuracy omits it"
    };
    Some(format!("no {split} row has the {word} {named}: {effect}"))
}

/// `over / under`, and 0 for a divisor of 0.
pub fn ratio(over: f64, under: f64) -> f64 {
    if under == 0.0 { 0.0 } else { over / under }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    ratio(sum, count)
}
