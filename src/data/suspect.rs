//! What is read without a fault and yet is not meant so: vectors of 0 and 1 taken for lists of
//! labels, several labels taken for one, and missing values that became text.

use std::collections::{BTreeMap, BTreeSet};

use super::label::Label;
use super::read::Row;
use super::value::canonical;

/// What pandas, Python and SQL write for a missing value once it is text.
const MISSING: [&str; 7] = ["nan", "NaN", "None", "NaT", "null", "NULL", "<NA>"];

/// Remarks upon texts, and labels that nobody listed, that seem to have been missing values.
pub(super) fn missing_as_text(rows: &[Row], inferred: Option<&Vec<Label>>) -> Vec<String> {
    let is_missing = |text: &str| MISSING.contains(&text.trim());
    let mut remarks = Vec::new();
    let mut texts = (1..).zip(rows).filter(|(_, row)| is_missing(&row.text));
    if let Some((first, row)) = texts.next() {
        let count = 1 + texts.count();
        remarks.push(format!(
            "rows with the text \"{}\" or alike: {count}, the first is row {first}; was it a \
             missing value that became text?",
            row.text.trim()
        ));
    }
    let labels = inferred.into_iter().flatten().filter(|label| is_missing(&label.value));
    remarks.extend(labels.map(|label| {
        format!("\"{}\" was read as a label; was it a missing value that became text?", label.value)
    }));
    remarks
}

/// Whether lists of labels, one for each row that has any, are vectors: all of one length and
/// nothing but 0 and 1, or numbers of which one is there twice.
pub(super) fn is_vector(lists: &[&[String]]) -> bool {
    let Some(first) = lists.first() else { return false };
    let is_flag = |label: &String| {
        matches!(canonical(label).as_deref(), Some("0" | "1"))
            || ["true", "false"].contains(&label.to_ascii_lowercase().as_str())
    };
    let all = || lists.iter().flat_map(|list| list.iter());
    let repeats = |list: &&&[String]| list.iter().collect::<BTreeSet<_>>().len() < list.len();
    first.len() > 1
        && lists.iter().all(|list| list.len() == first.len())
        && (all().all(is_flag)
            || all().all(|label| canonical(label).is_some()) && lists.iter().any(|l| repeats(&l)))
}

/// Values that seem to be several labels each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Combined {
    /// What stands between the labels.
    pub(super) sign: char,
    /// One of them.
    pub(super) example: String,
    /// How many labels they are made of.
    pub(super) parts: usize,
}

/// Finds values that are made of each other: separated by one of `signs`, all their parts are there
/// in other values too, or all are whole numbers. Blanks separate whole numbers only.
pub(super) fn combined(values: &BTreeSet<&str>, signs: &[char]) -> Option<Combined> {
    signs.iter().find_map(|sign| {
        let parts = |value: &str| -> BTreeSet<String> {
            value
                .split(*sign)
                .map(|part| part.trim().to_owned())
                .filter(|p| !p.is_empty())
                .collect()
        };
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for part in values.iter().flat_map(|value| parts(value)) {
            *counts.entry(part).or_default() += 1;
        }
        let is_joined = |value: &&&str| value.trim().contains(*sign);
        let joined: Vec<&str> = values.iter().filter(is_joined).copied().collect();
        let whole = |part: &String| part.bytes().all(|byte| byte.is_ascii_digit());
        let numbers = joined.iter().all(|value| parts(value).iter().all(whole));
        let is_made = |value: &&&str| parts(value).iter().all(|part| counts[part] > 1);
        let made: Vec<&str> = joined.iter().filter(is_made).copied().collect();
        let is_recombined = *sign != ' '
            && !made.is_empty()
            && (made.len() == joined.len() || counts.len() < values.len());
        let example = if numbers { joined.first() } else { made.first() }?;
        (numbers || is_recombined).then(|| Combined {
            sign: *sign,
            example: (*example).to_owned(),
            parts: counts.len(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_labels_in_one_are_noticed() {
        let all = [',', ';', '|', ' '];
        let find = |values: &[&str]| combined(&values.iter().copied().collect(), &all);
        for (values, sign, parts) in [
            (&["3", "6", "3,6"][..], ',', 2),
            (&["3,6,7", "1"], ',', 4),
            (&["0 1 0", "1 0 0"], ' ', 2),
            (&["toxic", "insult", "toxic;insult"], ';', 2),
            (&["a|b", "a|c", "b|c"], '|', 3),
        ] {
            let found = find(values).unwrap_or_else(|| panic!("{values:?}"));
            assert_eq!((found.sign, found.parts), (sign, parts), "{values:?}");
        }
        for values in [
            &["fine", "other", "toxic;insult"][..],
            &["yes, certainly", "no"],
            &["very good", "very bad", "good"],
            &["a", "b"],
            &["0.5", "1"],
            &[],
        ] {
            assert_eq!(find(values), None, "{values:?}");
        }
    }

    #[test]
    fn missing_values_that_became_text_are_remarked_upon() {
        let row = |text: &str| Row { text: text.into(), ..Row::default() };
        let rows = ["fine", "nan", " None", "nano"].map(row);
        let label = |name: &str| Label { value: name.into(), name: name.into() };
        let labels = ["none", "nan"].map(label).to_vec();
        let found = missing_as_text(&rows, Some(&labels));
        assert!(found[0].starts_with("rows with the text \"nan\" or alike: 2, the first is row 2"));
        assert!(found[1].starts_with("\"nan\" was read as a label"), "{found:?}");
        assert_eq!(found.len(), 2);
        assert_eq!(missing_as_text(&rows[..1], None), [""; 0]);
    }

    #[test]
    fn vectors_are_told_from_lists_of_labels() {
        let is = |lists: &[&[&str]]| {
            let lists: Vec<Vec<String>> =
                lists.iter().map(|list| list.iter().map(|l| (*l).to_owned()).collect()).collect();
            is_vector(&lists.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        assert!(is(&[&["0", "1"], &["1", "0"]]));
        assert!(is(&[&["0.0", "1", "0"]]));
        assert!(is(&[&["false", "true"]]));
        assert!(is(&[&["0.25", "0.25", "0.5"], &["0.1", "0.2", "0.7"]]));
        assert!(!is(&[&["0", "1"], &["1"]]), "labels 0 and 1");
        assert!(!is(&[&["0"], &["1"]]));
        assert!(!is(&[&["3", "7"], &["1", "2"]]));
        assert!(!is(&[&["a", "b"]]));
        assert!(!is(&[]));
    }
}
