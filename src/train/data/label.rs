//! Which labels there are, and which class each is. Never guessed row by row: either the user
//! lists them, or all values of the column in sorted order are taken and that is said.

use std::collections::BTreeSet;

use super::error::DataError;

/// How the values of the label column become classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LabelSpec {
    /// Every value that occurs, numbers by size and texts by bytes.
    #[default]
    Infer,
    /// These, in class order.
    Listed(Vec<Label>),
}

/// One class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// As it stands in the file.
    pub value: String,
    /// As it is shown.
    pub name: String,
}

impl LabelSpec {
    /// Reads `0=hate,1=offensive` (value=name) or `hate,offensive` (value is name).
    ///
    /// # Errors
    /// [`DataError::LabelSpec`] for empty or double entries and for fewer than two.
    pub fn parse(spec: &str) -> Result<Self, DataError> {
        let bad = |problem: String| DataError::LabelSpec { spec: spec.to_owned(), problem };
        let mut labels: Vec<Label> = Vec::new();
        for part in spec.split(',') {
            let (value, name) = part.split_once('=').unwrap_or((part, part));
            let (value, name) = (value.trim().to_owned(), name.trim().to_owned());
            if value.is_empty() || name.is_empty() {
                return Err(bad(format!("\"{part}\" lacks a value or a name")));
            }
            if labels.iter().any(|label| label.value == value || label.name == name) {
                return Err(bad(format!("\"{part}\" stands twice")));
            }
            labels.push(Label { value, name });
        }
        if labels.len() < 2 {
            return Err(bad("at least 2 labels are needed".into()));
        }
        Ok(Self::Listed(labels))
    }

    /// The labels in class order, given all values that occur.
    pub(super) fn labels(&self, values: &BTreeSet<&str>) -> Vec<Label> {
        match self {
            Self::Listed(labels) => labels.clone(),
            Self::Infer => {
                let mut values: Vec<&str> = values.iter().copied().collect();
                if values.iter().all(|value| value.parse::<i64>().is_ok()) {
                    values.sort_by_key(|value| value.parse::<i64>().unwrap_or(i64::MAX));
                }
                let label = |value: &str| Label { value: value.to_owned(), name: value.to_owned() };
                values.into_iter().map(label).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_listed_or_sorted() {
        let LabelSpec::Listed(labels) = LabelSpec::parse("0=hate, 1=other").unwrap() else {
            panic!("not listed")
        };
        assert_eq!((labels[1].value.as_str(), labels[1].name.as_str()), ("1", "other"));
        for bad in ["", "a", "a,a", "a,=b", "1=x,2=x"] {
            assert!(LabelSpec::parse(bad).is_err(), "{bad}");
        }
        let names = |values: &[&str]| -> Vec<String> {
            let labels = LabelSpec::Infer.labels(&values.iter().copied().collect());
            labels.into_iter().map(|label| label.name).collect()
        };
        assert_eq!(names(&["10", "9"]), ["9", "10"]);
        assert_eq!(names(&["b", "10", "9"]), ["10", "9", "b"]);
    }
}
