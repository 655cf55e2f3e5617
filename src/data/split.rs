//! Which rows are for training, for choosing and for reporting.

use std::collections::BTreeMap;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::read::{Dataset, Row};
use crate::base::Split;
use crate::stats::random::{Stream, mix};

const VALID: u64 = 0x7661_6c69; // "vali"
const STRATA: u64 = 0x7374_7261; // "stra"

/// How rows become splits.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// The rule.
    pub rule: SplitRule,
    /// Share of validation rows, of all rows that are not test rows.
    pub valid_fraction: f64,
    /// Share of test rows, of all rows; the rule `hash` always takes one in five.
    pub test_fraction: f64,
}

/// The rule that assigns rows to splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SplitRule {
    /// By the SHA-256 of the record number: a row keeps its split when rows are appended, and
    /// the test rows do not depend on the seed.
    Hash,
    /// By seed, with each class in the same share everywhere.
    Stratified,
}

/// The split of each row. Rows whose file decides keep its split; the others are shared out over
/// the splits that have no file of their own, whole groups together.
pub fn assign(dataset: &Dataset, config: &SplitConfig, seed: u64) -> Vec<Split> {
    let fixed = dataset.fixed_splits();
    let free: Vec<usize> = (0..fixed.len())
        .filter(|row| fixed[*row].is_none() && !dataset.rows[*row].is_empty())
        .collect();
    let units = units(dataset, &free);
    let rule = Rule {
        valid: if dataset.has_file_of(Split::Valid) { 0.0 } else { config.valid_fraction },
        test: if dataset.has_file_of(Split::Test) { 0.0 } else { config.test_fraction },
        seed,
    };
    let chosen = match config.rule {
        SplitRule::Hash => units.iter().map(|unit| rule.by_hash(&unit.key)).collect(),
        SplitRule::Stratified => rule.stratified(&units),
    };
    let mut splits: Vec<Split> = fixed.iter().map(|split| split.unwrap_or(Split::Train)).collect();
    for (unit, split) in units.iter().zip(chosen) {
        for row in &unit.rows {
            splits[*row] = split;
        }
    }
    splits
}

/// Rows that stay together: one row, or all of one group.
struct Unit {
    /// The record number in decimal digits, or the group.
    key: String,
    stratum: u32,
    rows: Vec<usize>,
}

fn units(dataset: &Dataset, free: &[usize]) -> Vec<Unit> {
    let strata = strata(dataset);
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    let mut units: Vec<Unit> = Vec::new();
    for row in free {
        let next = units.len();
        let at = match &dataset.rows[*row].group {
            Some(group) => *groups.entry(group).or_insert(next),
            None => next,
        };
        if at == next {
            let group = dataset.rows[*row].group.clone();
            let key = group.unwrap_or_else(|| row.to_string());
            units.push(Unit { key, stratum: strata[*row], rows: Vec::new() });
        }
        units[at].rows.push(*row);
    }
    units
}

/// The class of each row; where a row has any number of labels, the rarest of them.
fn strata(dataset: &Dataset) -> Vec<u32> {
    let mut counts = vec![0_u64; dataset.labels.len()];
    for class in dataset.rows.iter().flat_map(|row| &row.classes) {
        counts[*class as usize] += 1;
    }
    let none = u32::try_from(counts.len()).unwrap_or(u32::MAX);
    let rarest = |row: &Row| {
        row.classes.iter().copied().min_by_key(|class| counts[*class as usize]).unwrap_or(none)
    };
    dataset.rows.iter().map(rarest).collect()
}

struct Rule {
    valid: f64,
    test: f64,
    seed: u64,
}

impl Rule {
    /// Test for one unit in five, whatever the seed; validation by seed from the others.
    fn by_hash(&self, key: &str) -> Split {
        let hash = Sha256::digest(key.as_bytes());
        if self.test > 0.0 && is_test(&hash) {
            return Split::Test;
        }
        // A record is known by its number, a group by its digest.
        let id = key.parse().unwrap_or_else(|_| first_word(&hash));
        let unit = (mix(&[VALID, self.seed, id]) >> 11) as f64 / (1_u64 << 53) as f64;
        if unit < self.valid { Split::Valid } else { Split::Train }
    }

    fn stratified(&self, units: &[Unit]) -> Vec<Split> {
        let mut splits = vec![Split::Train; units.len()];
        let count = units.iter().map(|unit| unit.stratum + 1).max().unwrap_or(0);
        for stratum in 0..count {
            let mut members: Vec<usize> =
                (0..units.len()).filter(|unit| units[*unit].stratum == stratum).collect();
            Stream::new(&[STRATA, self.seed, u64::from(stratum)]).shuffle(&mut members);
            let test = share(members.len(), self.test);
            let valid = share(members.len() - test, self.valid);
            for unit in &members[..test] {
                splits[*unit] = Split::Test;
            }
            for unit in &members[test..test + valid] {
                splits[*unit] = Split::Valid;
            }
        }
        splits
    }
}

/// Whether the first 8 bytes of the SHA-256, big endian, are a multiple of 5.
fn is_test(hash: &[u8]) -> bool {
    first_word(hash).is_multiple_of(5)
}

fn first_word(hash: &[u8]) -> u64 {
    hash.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The rounded share; at least one of three and more.
fn share(rows: usize, fraction: f64) -> usize {
    if fraction == 0.0 {
        return 0;
    }
    let share = (rows as f64 * fraction).round() as usize;
    if rows >= 3 { share.max(1) } else { share.min(rows) }
}

#[cfg(test)]
mod tests {
    use super::super::{DataFile, Format, Label};
    use super::*;

    fn config(rule: SplitRule) -> SplitConfig {
        SplitConfig { rule, valid_fraction: 0.1, test_fraction: 0.2 }
    }

    fn dataset(rows: usize, row: impl Fn(usize) -> Row) -> Dataset {
        let label = |name: &str| Label { value: name.into(), name: name.into() };
        let (files, labels) = (vec![file(rows, None)], vec![label("a"), label("b")]);
        let rows = (0..rows).map(row).collect();
        Dataset { files, labels, labels_inferred: true, multi: false, rows, remarks: vec![] }
    }

    fn file(rows: usize, split: Option<Split>) -> DataFile {
        let digests = crate::base::FileDigests::of(b"");
        DataFile { path: "x".into(), digests, bytes: 0, format: Format::Csv, rows, split }
    }

    fn of_class(class: u32) -> Row {
        Row { classes: vec![class], text: "a text".into(), ..Row::default() }
    }

    #[test]
    fn the_hash_rule_is_the_documented_one() {
        // Counted independently with Python's hashlib over the records 0 to 24,782.
        let is_test = |row: &usize| is_test(&Sha256::digest(row.to_string().as_bytes()));
        assert_eq!((0..24_783).filter(is_test).count(), 4_957);
        let rows = dataset(5_000, |_| of_class(0));
        let splits = assign(&rows, &config(SplitRule::Hash), 1);
        let others = assign(&rows, &config(SplitRule::Hash), 2);
        assert_ne!(splits, others, "validation depends on the seed");
        let tests = |splits: &[Split]| -> Vec<usize> {
            (0..splits.len()).filter(|row| splits[*row] == Split::Test).collect()
        };
        assert_eq!(tests(&splits), tests(&others), "test does not");
        let valid = splits.iter().filter(|split| **split == Split::Valid).count();
        assert!((300..500).contains(&valid), "{valid}");
    }

    #[test]
    fn strata_keep_the_share_of_each_class() {
        let class = |row: usize| u32::from(row.is_multiple_of(10));
        let rows = dataset(1_000, |row| of_class(class(row)));
        let splits = assign(&rows, &config(SplitRule::Stratified), 7);
        let count = |wanted, split| {
            (0..1_000).filter(|row| class(*row) == wanted && splits[*row] == split).count()
        };
        assert_eq!([count(1, Split::Test), count(1, Split::Valid)], [20, 8]);
        assert_eq!([count(0, Split::Test), count(0, Split::Valid)], [180, 72]);
        assert_eq!(splits, assign(&rows, &config(SplitRule::Stratified), 7));
    }

    #[test]
    fn groups_stay_together_and_files_decide() {
        for rule in [SplitRule::Hash, SplitRule::Stratified] {
            let patient = |row: usize| format!("patient {}", row % 40);
            let group = |row| Row { group: Some(patient(row)), ..of_class(0) };
            let mut rows = dataset(400, group);
            let splits = assign(&rows, &config(rule), 3);
            assert!((40..400).all(|row| splits[row] == splits[row % 40]), "{rule:?}");
            assert!(Split::ALL.iter().all(|split| splits.contains(split)), "{rule:?}");
            rows.files = vec![file(300, None), file(100, Some(Split::Test))];
            let splits = assign(&rows, &config(rule), 3);
            assert!((0..400).all(|row| (splits[row] == Split::Test) == (row >= 300)), "{rule:?}");
            assert!(splits.contains(&Split::Valid), "{rule:?}");
        }
    }
}
