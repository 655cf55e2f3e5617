//! Which rows are for training, for choosing and for reporting.

use sha2::{Digest as _, Sha256};

use crate::base::Split;
use crate::train::config::{SplitConfig, SplitRule};
use crate::train::random::{Stream, mix};

const VALID: u64 = 0x7661_6c69; // "vali"
const STRATA: u64 = 0x7374_7261; // "stra"

/// The split of each row, given the class of each.
pub fn assign(classes: &[u32], config: &SplitConfig, seed: u64) -> Vec<Split> {
    match config.rule {
        SplitRule::Hash => {
            (0..classes.len()).map(|row| by_hash(row, config.valid_fraction, seed)).collect()
        }
        SplitRule::Stratified => stratified(classes, config, seed),
    }
}

/// Test for one record in five, whatever the seed; validation by seed from the others.
fn by_hash(row: usize, valid_fraction: f64, seed: u64) -> Split {
    if is_test(row) {
        return Split::Test;
    }
    let unit = (mix(&[VALID, seed, row as u64]) >> 11) as f64 / (1_u64 << 53) as f64;
    if unit < valid_fraction { Split::Valid } else { Split::Train }
}

/// Whether the first 8 bytes, big endian, of the SHA-256 of the record number in decimal digits
/// are a multiple of 5.
fn is_test(row: usize) -> bool {
    let hash = Sha256::digest(row.to_string().as_bytes());
    // Big endian bytes as digits of base 256, reduced as they come.
    hash.iter().take(8).fold(0_u32, |rest, byte| (rest * 256 + u32::from(*byte)) % 5) == 0
}

fn stratified(classes: &[u32], config: &SplitConfig, seed: u64) -> Vec<Split> {
    let mut splits = vec![Split::Train; classes.len()];
    let count = classes.iter().max().map_or(0, |max| max + 1);
    for class in 0..count {
        let mut rows: Vec<usize> = (0..classes.len()).filter(|r| classes[*r] == class).collect();
        Stream::new(&[STRATA, seed, u64::from(class)]).shuffle(&mut rows);
        let test = share(rows.len(), config.test_fraction);
        let valid = share(rows.len() - test, config.valid_fraction);
        for row in &rows[..test] {
            splits[*row] = Split::Test;
        }
        for row in &rows[test..test + valid] {
            splits[*row] = Split::Valid;
        }
    }
    splits
}

/// The rounded share; at least one of three and more rows.
fn share(rows: usize, fraction: f64) -> usize {
    let share = (rows as f64 * fraction).round() as usize;
    if rows >= 3 { share.max(1) } else { share.min(rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rule: SplitRule) -> SplitConfig {
        SplitConfig { rule, valid_fraction: 0.1, test_fraction: 0.2 }
    }

    #[test]
    fn the_hash_rule_is_the_documented_one() {
        // Counted independently with Python's hashlib over the records 0 to 24,782.
        assert_eq!((0..24_783).filter(|row| is_test(*row)).count(), 4_957);
        let classes = vec![0; 5_000];
        let splits = assign(&classes, &config(SplitRule::Hash), 1);
        let others = assign(&classes, &config(SplitRule::Hash), 2);
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
        let classes: Vec<u32> = (0..1_000).map(|row| u32::from(row % 10 == 0)).collect();
        let splits = assign(&classes, &config(SplitRule::Stratified), 7);
        let count = |class, split| {
            (0..1_000).filter(|row| classes[*row] == class && splits[*row] == split).count()
        };
        assert_eq!([count(1, Split::Test), count(1, Split::Valid)], [20, 8]);
        assert_eq!([count(0, Split::Test), count(0, Split::Valid)], [180, 72]);
        assert_eq!(splits, assign(&classes, &config(SplitRule::Stratified), 7));
    }
}
