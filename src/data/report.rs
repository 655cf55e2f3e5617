//! What a dataset is like, told before the training and kept with the run.

use serde::Serialize;

use super::leakage::{Leakage, SplitCounts};
use super::near::NearDuplicate;
use crate::base::{Split, are, counted, score};
use crate::data::prepared::{Inputs, Prepared};
use crate::stats::nearest;

/// The name of the report in a run's `config` folder.
pub const REPORT_FILE: &str = "data_report.json";

/// How long rows are, and what repeats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataReport {
    /// The labels, in class order.
    pub labels: Vec<String>,
    /// Rows of each split and class.
    pub splits: Vec<SplitReport>,
    /// How long rows are; none where all have the same length.
    pub lengths: Option<Lengths>,
    /// Rows with an empty text, counted from 1 over all files: they were left out.
    pub dropped_empty: Vec<u32>,
    /// Rows that repeat a text of another split, as the file counts them.
    pub repeated: Repeated,
    /// Rows of validation and test that nearly repeat a training text.
    pub nearly_repeated: Vec<NearlyRepeated>,
}

/// Rows of a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitReport {
    /// `train`, `valid` or `test`.
    pub split: &'static str,
    /// Rows in all.
    pub rows: u64,
    /// Rows of each class, in class order.
    pub rows_by_label: Vec<u64>,
}

/// How long the rows of all splits are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// `tokens` or `bytes`.
    pub unit: &'static str,
    /// The shortest.
    pub min: u32,
    /// Half are no longer.
    pub median: u32,
    /// 95 of 100 are no longer.
    pub p95: u32,
    /// The longest.
    pub max: u32,
    /// Rows that reach the model's limit.
    pub at_the_limit: u64,
    /// Rows that are longer: their ends are cut off.
    pub cut: u64,
}

/// Rows whose text stands in a later split, counted from 1 as files are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repeated {
    /// Training rows whose text stands in validation or test.
    pub train_rows: Vec<u32>,
    /// Validation rows whose text stands in test.
    pub valid_rows: Vec<u32>,
    /// Whether those rows were removed.
    pub removed: bool,
}

/// A row of validation or test like a training row, counted from 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearlyRepeated {
    /// `valid` or `test`.
    pub split: &'static str,
    /// The row.
    pub row: u32,
    /// The training row.
    pub train_row: u32,
    /// Share of common five-letter pieces.
    pub similarity: f64,
}

impl DataReport {
    pub(crate) fn new(
        length_max: u32,
        prepared: &Prepared,
        splits: &[SplitCounts],
        RowFindings { leakage, near, empty_rows, cut }: RowFindings<'_>,
    ) -> Self {
        let from_1 = |rows: &[u32]| rows.iter().map(|row| row + 1).collect();
        Self {
            labels: prepared.labels.clone(),
            splits: splits
                .iter()
                .map(|split| SplitReport {
                    split: split.split.word(),
                    rows: split.rows,
                    rows_by_label: split.classes.clone(),
                })
                .collect(),
            lengths: lengths(&prepared.inputs, length_max, cut.len()),
            dropped_empty: from_1(&empty_rows),
            repeated: Repeated {
                train_rows: from_1(&leakage.train_rows),
                valid_rows: from_1(&leakage.valid_rows),
                removed: leakage.removed,
            },
            nearly_repeated: near
                .iter()
                .map(|near| NearlyRepeated {
                    split: near.split.word(),
                    row: near.row + 1,
                    train_row: near.train_row + 1,
                    similarity: near.similarity,
                })
                .collect(),
        }
    }

    /// A line for each of validation and test that lacks labels, for people; `multi` where a row
    /// may have any number of labels.
    pub fn tell_absent(&self, multi: bool) -> Vec<String> {
        let scored = self.splits.iter().filter(|split| split.split != Split::Train.word());
        let line = |split: &SplitReport| {
            let absent = self.labels.iter().zip(&split.rows_by_label).filter(|(_, n)| **n == 0);
            let absent: Vec<&str> = absent.map(|(label, _)| label.as_str()).collect();
            score::absent_labels(split.split, &absent, multi)
        };
        scored.filter_map(line).collect()
    }

    /// One line on lengths, for people.
    pub fn tell_lengths(&self) -> Option<String> {
        let Lengths { unit, median, p95, max, at_the_limit, .. } = self.lengths.as_ref()?;
        let mut line = format!("Length: median {median} {unit}, 95 % up to {p95}, longest {max}");
        if *at_the_limit > 0 {
            line += &format!(
                "; {} {} the limit",
                counted(*at_the_limit, "row"),
                if *at_the_limit == 1 { "reaches" } else { "reach" }
            );
        }
        Some(line + ".")
    }

    /// One line on texts that are cut, for people.
    pub fn tell_cut(&self, limit: u32) -> Option<String> {
        let rows = self.lengths.as_ref().map(|lengths| lengths.cut).filter(|rows| *rows > 0)?;
        let texts = format!("{} {}", counted(rows, "text"), are(&rows));
        Some(format!(
            "{texts} longer than the {limit} tokens that the model reads; the rest is cut off \
             (model.max_seq_length)"
        ))
    }

    /// One line on rows that were left out, for people.
    pub fn tell_dropped(&self) -> Option<String> {
        let first = self.dropped_empty.first()?;
        Some(format!(
            "Left out rows with an empty text: {} (--drop-empty), the first is row {first}.",
            self.dropped_empty.len()
        ))
    }

    /// One line on rows that nearly repeat others, for people.
    pub fn tell_near(&self) -> Option<String> {
        let first = self.nearly_repeated.first()?;
        Some(format!(
            "{} of valid and test {} a text of train, such as row {} and row {}; \
             config/{REPORT_FILE} lists all",
            counted(self.nearly_repeated.len(), "row"),
            if self.nearly_repeated.len() == 1 { "nearly repeats" } else { "nearly repeat" },
            first.row,
            first.train_row
        ))
    }
}

/// What was found in the rows.
pub(crate) struct RowFindings<'a> {
    pub(crate) leakage: &'a Leakage,
    pub(crate) near: &'a [NearDuplicate],
    pub(crate) empty_rows: Vec<u32>,
    /// The rows whose text is cut.
    pub(crate) cut: Vec<u32>,
}

fn lengths(inputs: &Inputs, limit: u32, cut: usize) -> Option<Lengths> {
    let (unit, limit) = match inputs {
        Inputs::Tokens { .. } => ("tokens", limit),
        Inputs::Texts(_) => ("bytes", u32::MAX),
        Inputs::Series { .. } => return None,
    };
    let mut all = inputs.lengths();
    all.sort_unstable();
    Some(Lengths {
        unit,
        min: *all.first()?,
        median: nearest(&all, 0.5)?,
        p95: nearest(&all, 0.95)?,
        max: *all.last()?,
        at_the_limit: all.iter().filter(|length| **length >= limit).count() as u64,
        cut: cut as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_what_the_model_reads() {
        let mut tokens = Inputs::tokens(10);
        for length in 1..=20 {
            tokens.push_tokens(&vec![1; length]);
        }
        let found = lengths(&tokens, 19, 1).unwrap();
        let (at_the_limit, cut) = (2, 1);
        let expected =
            Lengths { unit: "tokens", min: 1, median: 11, p95: 19, max: 20, at_the_limit, cut };
        assert_eq!(found, expected);
        let texts = Inputs::Texts(vec!["a".into(), "bcd".into()]);
        assert_eq!(lengths(&texts, 2, 0).unwrap().at_the_limit, 0, "texts are not cut");
        assert_eq!(lengths(&Inputs::Series { width: 2, values: vec![0.0; 4] }, 2, 0), None);
    }
}
