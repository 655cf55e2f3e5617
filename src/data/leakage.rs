//! Texts that are in more than one split: they make a score look better than it is.

use std::collections::BTreeMap;

use super::read::Row;
use crate::base::{Digest, Split};

/// Rows of one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitCounts {
    /// The split.
    pub split: Split,
    /// Rows in all.
    pub rows: u64,
    /// Rows of each class, in class order.
    pub classes: Vec<u64>,
}

/// Texts that stand in more than one split, compared without case and spacing. Rows count from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leakage {
    /// Training rows whose text stands in validation or test.
    pub train_rows: Vec<u32>,
    /// Validation rows whose text stands in test.
    pub valid_rows: Vec<u32>,
    /// Whether those rows were removed.
    pub removed: bool,
}

impl Leakage {
    /// Rows that make a score look better than it is: found and not removed.
    pub fn rows_left(&self) -> usize {
        if self.removed { 0 } else { self.train_rows.len() + self.valid_rows.len() }
    }
}

/// The rows of `keys` that repeat a row of a later split.
pub(crate) fn find_leakage(keys: &[Digest], splits: &[Split], is_empty: &[bool]) -> Leakage {
    let mut last: BTreeMap<Digest, Split> = BTreeMap::new();
    for ((key, split), _) in keys.iter().zip(splits).zip(is_empty).filter(|(_, empty)| !**empty) {
        // `Split` is ordered by use, so the largest is the one that must stay clean.
        last.entry(*key).and_modify(|known| *known = (*known).max(*split)).or_insert(*split);
    }
    let leaking = |wanted: Split| {
        let rows = (0_u32..).zip(keys).zip(splits);
        rows.filter(|((_, key), split)| {
            **split == wanted && last.get(*key).is_some_and(|last| *last > wanted)
        })
        .map(|((row, _), _)| row)
        .collect()
    };
    Leakage { train_rows: leaking(Split::Train), valid_rows: leaking(Split::Valid), removed: false }
}

/// The digest of what a row is, without case and spacing.
pub(crate) fn row_key(row: &Row) -> Digest {
    if !row.values.is_empty() {
        let bytes: Vec<u8> = row.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        return Digest::of(&bytes);
    }
    let words: Vec<&str> = row.text.split_whitespace().collect();
    Digest::of(words.join(" ").to_lowercase().as_bytes())
}
