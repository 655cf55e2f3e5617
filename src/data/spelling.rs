//! One name for each value of a column, however its cells spell it; used for labels, auxiliary
//! heads and groups alike.
//!
//! pandas writes the label 1 as `1.0` where a column has a gap, and a truth value as `True`: in a
//! column of numbers or of truth values those are the label `1` and the label `true`, as in Parquet
//! and JSON. Any other two spellings of one number are refused: only the user knows whether `01`
//! and `1` are one label.

use std::collections::{BTreeMap, BTreeSet};

use super::value::canonical;

/// Two spellings of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TwoSpellings(pub(super) String, pub(super) String);

/// How the values of a column are spelled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelling {
    numbers: bool,
    truths: bool,
}

impl Spelling {
    /// That of a column with these values.
    ///
    /// # Errors
    /// When two of them are one number.
    pub(super) fn of(values: &BTreeSet<&str>) -> Result<Self, TwoSpellings> {
        let is_truth =
            |value: &&str| ["true", "false"].iter().any(|truth| truth.eq_ignore_ascii_case(value));
        let numbers = values.iter().all(|value| canonical(value).is_some());
        let spelling = Self { numbers, truths: values.iter().all(is_truth) };
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for value in values {
            let Some(number) = canonical(value) else { continue };
            let name = spelling.name(value);
            if let Some(other) = known.get(&number).filter(|other| **other != name) {
                return Err(TwoSpellings(other.clone(), (*value).to_owned()));
            }
            known.insert(number, name);
        }
        Ok(spelling)
    }

    /// The name of a value of the column.
    pub(super) fn name(self, value: &str) -> String {
        if self.truths {
            return value.to_ascii_lowercase();
        }
        match value.split_once('.') {
            Some((whole, fraction)) if self.numbers && is_zeros(fraction) && is_whole(whole) => {
                whole.strip_prefix("-").filter(|digits| *digits == "0").unwrap_or(whole).to_owned()
            }
            _ => value.to_owned(),
        }
    }
}

fn is_zeros(fraction: &str) -> bool {
    !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0')
}

fn is_whole(digits: &str) -> bool {
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    digits == "0" || !digits.starts_with('0') && !digits.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(values: &[&str]) -> Result<Vec<String>, TwoSpellings> {
        let spelling = Spelling::of(&values.iter().copied().collect())?;
        Ok(values.iter().map(|value| spelling.name(value)).collect())
    }

    #[test]
    fn a_value_has_one_name() {
        for (values, right) in [
            (&["1.0", "2.00", "-0.0", "3"][..], &["1", "2", "0", "3"][..]),
            (&["1", "1.0"], &["1", "1"]),
            (&["True", "false"], &["true", "false"]),
            (&["True", "Fake"], &["True", "Fake"]),
            (&["1.0", "beta"], &["1.0", "beta"]),
            (&["01", "02"], &["01", "02"]),
            (&["1.10", "1.2"], &["1.10", "1.2"]),
        ] {
            assert_eq!(names(values).unwrap(), right, "{values:?}");
        }
        for two in
            [["01", "1"], ["1.1", "1.10"], ["1", "1e0"], ["+1", "1"], ["1.0", "01"], ["-0", "0"]]
        {
            assert!(names(&two).is_err(), "{two:?}");
            assert!(names(&[two[0], two[1], "other"]).is_err(), "{two:?}");
        }
        assert!(names(&["1", "1.0", "other"]).is_err(), "no column of numbers");
    }
}
