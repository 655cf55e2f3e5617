//! Which rows a run was tested on: the one definition that decides whether scores of two runs are
//! of the same rows, wherever runs are compared, grouped, ranked or averaged.

use std::collections::BTreeMap;

use super::DataRecord;
use crate::base::{Digest, Split};

/// The artifact whose digest identifies the test rows of a run. annals writes it for its own
/// trainings; a script may save any file that is equal for equal test rows under this name.
pub const TEST_ROWS: &str = "test_rows";
/// The artifact with the row numbers of the test rows, in the order of their content.
pub const TEST_ROW_ORDER: &str = "test_row_order";
/// How the split rule of a run ends whose training rows were deduplicated; test rows are not.
const DEDUPLICATED: &str = ", deduplicated";

/// What identifies the test rows of a run.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
)]
pub struct TestRows {
    /// Digest of the artifact [`TEST_ROWS`].
    pub digest: Option<[u8; 32]>,
    /// Digest of the data files, the split rule and the size of the test split: what decides the
    /// test rows of a run that has no such artifact because an older annals recorded it.
    pub rule: Option<[u8; 32]>,
}

/// Whether two runs were tested on the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// The same rows.
    Same,
    /// Other rows.
    Different,
    /// The record does not decide it.
    Unknown,
}

impl TestRows {
    /// What the start of a run decides.
    pub fn of_start(data: &DataRecord) -> Self {
        let test = data.splits.iter().find(|rows| rows.split == Split::Test);
        let decided = test.filter(|test| !data.files.is_empty() && !test.per_label.is_empty());
        let rule = decided.map(|test| {
            let files: Vec<Digest> = data.files.iter().map(|file| file.digest).collect();
            let split = data.split_rule.trim_end_matches(DEDUPLICATED);
            let text = format!("{:?}", (files, split, &data.labels, test.rows, &test.per_label));
            Digest::of(text.as_bytes()).0
        });
        Self { digest: None, rule }
    }

    /// Compares what identifies the rows.
    pub fn sameness(&self, other: &Self) -> Sameness {
        match ((self.digest, other.digest), (self.rule, other.rule)) {
            ((Some(a), Some(b)), _) if a == b => Sameness::Same,
            ((Some(_), Some(_)), _) => Sameness::Different,
            (_, (Some(a), Some(b))) if a == b => Sameness::Same,
            _ => Sameness::Unknown,
        }
    }

    /// Numbers the sets of test rows that `runs` were tested on, in the order in which they occur;
    /// none where it is not known on which rows a run was tested.
    pub fn groups(runs: &[Self]) -> Vec<Option<usize>> {
        // A rule belongs to the rows that a run of that rule is known to have.
        let mut known: BTreeMap<[u8; 32], [u8; 32]> = BTreeMap::new();
        for run in runs {
            if let (Some(rule), Some(digest)) = (run.rule, run.digest) {
                known.entry(rule).or_insert(digest);
            }
        }
        let key = |run: &Self| {
            let by_rule = || run.rule.map(|rule| known.get(&rule).copied().unwrap_or(rule));
            run.digest.or_else(by_rule)
        };
        let mut numbers: BTreeMap<[u8; 32], usize> = BTreeMap::new();
        let number = |run| {
            let next = numbers.len();
            key(run).map(|key| *numbers.entry(key).or_insert(next))
        };
        runs.iter().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity() -> impl Strategy<Value = TestRows> {
        let byte = || proptest::option::of((0_u8..3).prop_map(|byte| [byte; 32]));
        (byte(), byte()).prop_map(|(digest, rule)| TestRows { digest, rule })
    }

    proptest! {
        #[test]
        fn equal_digests_are_the_same_rows_and_others_are_not(
            a in identity(), b in identity(), more in proptest::collection::vec(identity(), 0..6),
        ) {
            prop_assert_eq!(a.sameness(&b), b.sameness(&a));
            if let (Some(x), Some(y)) = (a.digest, b.digest) {
                let expected = if x == y { Sameness::Same } else { Sameness::Different };
                prop_assert_eq!(a.sameness(&b), expected);
                let all: Vec<TestRows> = [a, b].into_iter().chain(more).collect();
                let groups = TestRows::groups(&all);
                prop_assert_eq!(groups[0] == groups[1], x == y);
            }
        }
    }

    #[test]
    fn a_run_of_an_older_annals_joins_the_rows_of_its_rule() {
        let old = TestRows { digest: None, rule: Some([1; 32]) };
        let new = TestRows { digest: Some([2; 32]), rule: Some([1; 32]) };
        let unknown = TestRows::default();
        assert_eq!(old.sameness(&new), Sameness::Same);
        assert_eq!(unknown.sameness(&unknown), Sameness::Unknown);
        assert_eq!(TestRows::groups(&[old, new, unknown]), [Some(0), Some(0), None]);
    }
}
