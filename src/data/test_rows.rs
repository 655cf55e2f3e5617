//! The identity of the test rows: a digest of their content alone, whatever else the files hold
//! and whatever was learned from the other rows.

use super::read::{Dataset, Row};
use crate::base::{Digest, Split};
use crate::data::prepared::Prepared;

/// The identity of the test rows, in a run's `config` folder.
pub const TEST_ROWS_FILE: &str = "test_rows.txt";
/// The row numbers of the test rows in the order of their content, in a run's `config` folder.
pub const TEST_ROW_ORDER_FILE: &str = "test_row_order.json";

/// The test rows of a prepared dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRowIdentity {
    /// Equal for equal rows, in whatever order and among whatever other rows they are.
    pub text: String,
    /// Record numbers, in the order of their content: the n-th row of one run is the n-th row of
    /// each other run with the same text.
    pub order: Vec<u32>,
}

impl TestRowIdentity {
    /// Reads the rows of the test split: their text or numbers, and the names of their labels.
    pub fn of(dataset: &Dataset, prepared: &Prepared) -> Self {
        let names = dataset.label_names();
        let test = prepared.of_split(Split::Test).into_iter().map(|index| prepared.rows[index]);
        let mut rows: Vec<(Digest, u32)> = test
            .filter_map(|row| Some((content(dataset.rows.get(row as usize)?, &names), row)))
            .collect();
        rows.sort_unstable();
        let all: Vec<u8> = rows.iter().flat_map(|(digest, _)| digest.0).collect();
        let text =
            format!("annals test rows 1\nrows {}\nblake3 {}\n", rows.len(), Digest::of(&all));
        Self { text, order: rows.into_iter().map(|(_, row)| row).collect() }
    }
}

fn content(row: &Row, names: &[String]) -> Digest {
    let mut labels: Vec<&str> = row
        .classes
        .iter()
        .filter_map(|class| names.get(*class as usize))
        .map(String::as_str)
        .collect();
    labels.sort_unstable();
    let mut bytes = Vec::new();
    let mut part = |part: &[u8]| {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part);
    };
    part(row.text.as_bytes());
    part(&row.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    labels.into_iter().for_each(|label| part(label.as_bytes()));
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::super::Label;
    use super::*;
    use crate::data::prepared::Targets;

    /// Rows of a text, a class and a split, in this order in the file.
    fn identity(rows: &[(&str, u32, Split)], labels: [&str; 2]) -> TestRowIdentity {
        let label = |name: &str| Label { value: name.into(), name: name.into() };
        let row = |(text, class, _): &(&str, u32, Split)| Row {
            classes: vec![*class],
            text: (*text).into(),
            ..Row::default()
        };
        let dataset = Dataset {
            files: vec![],
            labels: labels.map(label).to_vec(),
            labels_inferred: false,
            multi: false,
            remarks: vec![],
            rows: rows.iter().map(row).collect(),
        };
        let prepared = Prepared {
            rows: (0..rows.len() as u32).collect(),
            splits: rows.iter().map(|row| row.2).collect(),
            targets: Targets::Single(rows.iter().map(|row| row.1).collect()),
            ..Prepared::default()
        };
        TestRowIdentity::of(&dataset, &prepared)
    }

    #[test]
    fn only_the_content_of_the_test_rows_counts() {
        use Split::{Test, Train, Valid};
        let names = ["calm", "risk"];
        let first = identity(&[("a", 0, Test), ("b", 1, Test), ("c", 0, Train)], names);
        // Other rows around them, another order of rows and of labels.
        let other = [("d", 1, Valid), ("b", 0, Test), ("e", 1, Train), ("a", 1, Test)];
        let moved = identity(&other, ["risk", "calm"]);
        assert_eq!(first.text, moved.text);
        let texts = |order: &[u32], rows: &[(&'static str, u32, Split)]| -> Vec<&'static str> {
            order.iter().map(|row| rows[*row as usize].0).collect()
        };
        let rows = [("a", 0, Test), ("b", 1, Test), ("c", 0, Train)];
        assert_eq!(texts(&first.order, &rows), texts(&moved.order, &other));
        for changed in [
            identity(&[("a", 1, Test), ("b", 1, Test)], names),
            identity(&[("a", 0, Test), ("b ", 1, Test)], names),
            identity(&[("a", 0, Test), ("b", 1, Test), ("b", 1, Test)], names),
            identity(&[("a", 0, Test), ("b", 1, Train)], names),
        ] {
            assert_ne!(first.text, changed.text);
        }
    }
}
