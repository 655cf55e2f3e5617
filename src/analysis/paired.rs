//! Two runs on the same rows: is the difference more than chance?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::score::{Counts, f1_macro};
use crate::stats;
use crate::train::metric::PredictedRow;

/// Resamples of the paired bootstrap.
const RESAMPLES: usize = 2_000;
const PURPOSE: u64 = 0x7061_6972; // "pair"
/// Where the resampling starts: the same rows give the same interval.
const SEED: u64 = 42;

/// McNemar's exact test.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct McNemar {
    /// Rows that only the first run got right.
    pub only_first: u64,
    /// Rows that only the second run got right.
    pub only_second: u64,
    /// Two-sided: how often chance alone parts them at least as unevenly.
    pub p: f64,
}

/// The difference of a score, second minus first, with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ScoreDifference {
    /// The score.
    pub metric: &'static str,
    /// Second minus first.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Two runs on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Paired {
    /// Rows both were measured on.
    pub rows: u64,
    /// Which of them is right more often.
    pub mcnemar: McNemar,
    /// Accuracy and macro F1.
    pub differences: Vec<ScoreDifference>,
}

/// Why two runs cannot be compared row by row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpaired {
    /// Other rows.
    #[error(
        "they were measured on different rows: {first} rows and {second} rows, {both} of them the \
         same"
    )]
    Rows {
        /// Of the first run.
        first: usize,
        /// Of the second.
        second: usize,
        /// Common to both.
        both: usize,
    },
    /// The same numbers, other labels.
    #[error("row {row} has another label in each: the data differ")]
    Labels {
        /// The row's number in the data file.
        row: u32,
    },
    /// Nothing to compare.
    #[error("there are no rows")]
    Empty,
}

/// Compares two runs row by row. `labels` are those of the model; `multi` where a row may have any
/// number of them.
///
/// # Errors
/// When they were not measured on the same rows.
pub fn paired(
    first: &[PredictedRow],
    second: &[PredictedRow],
    labels: &[String],
    multi: bool,
) -> Result<Paired, Unpaired> {
    let by_row = |rows: &'_ [PredictedRow]| -> BTreeMap<u32, PredictedRow> {
        rows.iter().map(|row| (row.row, row.clone())).collect()
    };
    let (first, second) = (by_row(first), by_row(second));
    if first.is_empty() {
        return Err(Unpaired::Empty);
    }
    if !first.keys().eq(second.keys()) {
        let both = first.keys().filter(|row| second.contains_key(row)).count();
        return Err(Unpaired::Rows { first: first.len(), second: second.len(), both });
    }
    if let Some((row, _)) = first.iter().find(|(row, found)| second[*row].labels != found.labels) {
        return Err(Unpaired::Labels { row: *row });
    }
    let index = |found: &[String]| -> Vec<usize> {
        found.iter().filter_map(|label| labels.iter().position(|l| l == label)).collect()
    };
    let pairs: Vec<Pair> = first
        .values()
        .zip(second.values())
        .map(|(a, b)| Pair {
            truth: index(&a.labels),
            said: [index(&a.predicted), index(&b.predicted)],
        })
        .collect();
    let right = |pair: &Pair, which: usize| pair.said[which] == pair.truth;
    let count = |which: usize| {
        let only = |pair: &&Pair| right(pair, which) && !right(pair, 1 - which);
        pairs.iter().filter(only).count() as u64
    };
    let (only_first, only_second) = (count(0), count(1));
    let p = stats::mcnemar_p(only_first, only_second);
    Ok(Paired {
        rows: pairs.len() as u64,
        mcnemar: McNemar { only_first, only_second, p },
        differences: bootstrap(&pairs, labels.len(), multi),
    })
}

struct Pair {
    truth: Vec<usize>,
    said: [Vec<usize>; 2],
}

fn bootstrap(pairs: &[Pair], labels: usize, multi: bool) -> Vec<ScoreDifference> {
    let once: Vec<u32> = vec![1; pairs.len()];
    let found = scores(pairs, &once, labels, multi);
    let order: Vec<usize> = (0..pairs.len()).collect();
    let mut drawn: [Vec<f64>; 2] = [Vec::with_capacity(RESAMPLES), Vec::with_capacity(RESAMPLES)];
    stats::resample(&order, RESAMPLES, &[PURPOSE, SEED], |times| {
        for (values, value) in drawn.iter_mut().zip(scores(pairs, times, labels, multi)) {
            values.push(value);
        }
    });
    let named = ["accuracy", "f1_macro"].into_iter().zip(found).zip(drawn);
    named
        .map(|((metric, value), values)| {
            let (low, high) = stats::interval_95(values).unwrap_or((value, value));
            ScoreDifference { metric, value, low, high }
        })
        .collect()
}

/// Accuracy and macro F1 of the second minus those of the first; row `i` counts `times[i]` times.
fn scores(pairs: &[Pair], times: &[u32], labels: usize, multi: bool) -> [f64; 2] {
    let mut rows = 0;
    let mut right = [0_u64; 2];
    let mut counts = [vec![Counts::default(); labels], vec![Counts::default(); labels]];
    for (pair, times) in pairs.iter().zip(times) {
        let times = u64::from(*times);
        rows += times;
        for which in 0..2 {
            let said = &pair.said[which];
            right[which] += if *said == pair.truth { times } else { 0 };
            for label in &pair.truth {
                counts[which][*label].support += times;
                counts[which][*label].hits += if said.contains(label) { times } else { 0 };
            }
            for label in said {
                counts[which][*label].predicted += times;
            }
        }
    }
    let accuracy = |which: usize| right[which] as f64 / rows as f64;
    let f1 = |which: usize| f1_macro(&counts[which], multi);
    [accuracy(1) - accuracy(0), f1(1) - f1(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: u32, truth: &str, said: &str) -> PredictedRow {
        let (labels, predicted) = (vec![truth.into()], vec![said.into()]);
        PredictedRow { row, labels, predicted, probabilities: Vec::new() }
    }

    fn labels() -> [String; 2] {
        ["a".into(), "b".into()]
    }

    #[test]
    fn a_run_that_is_better_on_the_same_rows_is_seen_to_be() {
        let truth = |n: u32| if n.is_multiple_of(2) { "a" } else { "b" };
        let other = |n: u32| if n.is_multiple_of(2) { "b" } else { "a" };
        let said = |n: u32, wrong: u32| if n % 10 < wrong { other(n) } else { truth(n) };
        let run = |wrong| (0..400).map(|n| row(n, truth(n), said(n, wrong))).collect::<Vec<_>>();
        let found = paired(&run(4), &run(1), &labels(), false).unwrap();
        assert_eq!((found.mcnemar.only_first, found.mcnemar.only_second), (0, 120));
        assert!(found.mcnemar.p < 1e-30);
        let accuracy = &found.differences[0];
        assert!((accuracy.value - 0.3).abs() < 1e-12);
        assert!(accuracy.low > 0.25 && accuracy.low < 0.3 && accuracy.high < 0.35);
        assert_eq!(found, paired(&run(4), &run(1), &labels(), false).unwrap());
        let same = paired(&run(4), &run(4), &labels(), false).unwrap();
        assert_eq!((same.mcnemar.p, same.differences[0].value), (1.0, 0.0));
    }

    #[test]
    fn other_rows_are_not_compared() {
        let first = [row(1, "a", "a"), row(2, "b", "a")];
        let error =
            paired(&first, &[row(1, "a", "a"), row(3, "b", "a")], &labels(), false).unwrap_err();
        assert_eq!(error, Unpaired::Rows { first: 2, second: 2, both: 1 });
        let error =
            paired(&first, &[row(1, "b", "a"), row(2, "b", "a")], &labels(), false).unwrap_err();
        assert_eq!(error, Unpaired::Labels { row: 1 });
    }
}
