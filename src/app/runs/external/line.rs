//! The words of scripts: metrics by name, on the command line and as lines of JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::app::{Error, ErrorKind, Result};
use crate::base::{Direction, Split};
use crate::domain::metric::{Evaluation, FinalMetric, MetricKey};
use crate::train::metric::{can_choose, direction_of};

/// Reads `valid/loss`, `accuracy` or `test/regret:lower`. The direction is declared after the
/// colon; without it the scores that annals itself computes have theirs, and others have none.
/// Another word for a split is refused: two words would make two series one.
fn metric_key(text: &str) -> Result<MetricKey> {
    let (rest, direction) = declared(text);
    let (split, name) = match rest.split_once('/') {
        Some((word, name)) => match Split::ALL.into_iter().find(|split| split.word() == word) {
            Some(split) => (Some(split), name),
            None if split_of(word).is_some() => {
                return Err(bad_key(text, "does not name its split train, valid or test"));
            }
            None => (None, rest),
        },
        None => (None, rest),
    };
    if !is_name(name) {
        return Err(bad_key(text, BAD_NAME));
    }
    Ok(key(name, split, direction))
}

const BAD_NAME: &str = "has no name of 1 to 100 bytes";

fn bad_key(text: &str, why: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("the metric {text:?} {why}"))
        .hint("a metric is NAME, SPLIT/NAME or SPLIT/NAME:lower, split train, valid or test")
}

/// What stands before `:lower`, `:higher` or `:neutral`, and which it is.
pub(super) fn declared(text: &str) -> (&str, Option<Direction>) {
    match text.rsplit_once(':') {
        Some((rest, "lower")) => (rest, Some(Direction::Lower)),
        Some((rest, "higher")) => (rest, Some(Direction::Higher)),
        Some((rest, "neutral")) => (rest, Some(Direction::Neutral)),
        _ => (text, None),
    }
}

/// The split that a word of trainers means.
pub(super) fn split_of(word: &str) -> Option<Split> {
    match word.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "valid" | "val" | "validation" | "dev" | "eval" | "evaluation" => Some(Split::Valid),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// Whether a metric may have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= METRIC_NAME_BYTES_MAX && !name.chars().any(char::is_control)
}

/// A metric whose direction is declared or that of the score of this name.
pub(super) fn key(name: &str, split: Option<Split>, direction: Option<Direction>) -> MetricKey {
    let known = || if is_known(name) { direction_of(name) } else { Direction::Neutral };
    let direction = direction.unwrap_or_else(known);
    MetricKey { name: name.to_owned(), split, direction }
}

/// Longest name of a metric.
pub(super) const METRIC_NAME_BYTES_MAX: usize = 100;

fn is_known(name: &str) -> bool {
    can_choose(name) || ["loss", "ece"].contains(&name)
}

/// The value of a metric, whose key is `NAME`, `SPLIT/NAME` or `SPLIT/NAME:lower`.
///
/// # Errors
/// [`ErrorKind::Usage`] for a bad key, [`ErrorKind::Data`] for a value that is not finite.
pub fn metric(key: &str, value: f64) -> Result<FinalMetric> {
    let key = metric_key(key)?;
    finite(FinalMetric { key, value })
}

/// Reads `KEY=VALUE`.
fn metric_value(text: &str) -> Result<FinalMetric> {
    let number = text.rsplit_once('=').and_then(|(key, value)| Some((key, value.parse().ok()?)));
    let Some((key, value)) = number else {
        let message = format!("{text:?} is not KEY=NUMBER");
        return Err(Error::new(ErrorKind::Usage, message));
    };
    metric(key, value)
}

fn finite(metric: FinalMetric) -> Result<FinalMetric> {
    if metric.value.is_finite() {
        return Ok(metric);
    }
    let message = format!("metric {}: {} is not a finite number", metric.key.name, metric.value);
    Err(Error::new(ErrorKind::Data, message))
}

/// Reads texts of the form `KEY=NUMBER`, each of a series of its own.
///
/// # Errors
/// As [`metric`]; [`ErrorKind::Usage`] for another form, and for a metric that is given twice.
pub fn parse_metrics(texts: &[String]) -> Result<Vec<FinalMetric>> {
    let values: Vec<FinalMetric> =
        texts.iter().map(|text| metric_value(text)).collect::<Result<_>>()?;
    match first_repeated(&values) {
        Some(index) => Err(repeated(&texts[index], &values[index])),
        None => Ok(values),
    }
}

/// Refuses values that no call of a script may record, whoever made them.
pub(super) fn check(values: &[FinalMetric]) -> Result<()> {
    for metric in values {
        if !is_name(&metric.key.name) {
            return Err(bad_key(&metric.key.name, BAD_NAME));
        }
        finite(metric.clone())?;
    }
    match first_repeated(values) {
        Some(index) => Err(repeated(&shown(&values[index].key), &values[index])),
        None => Ok(()),
    }
}

/// The first value of a series that has a value already.
fn first_repeated(values: &[FinalMetric]) -> Option<usize> {
    let mut seen = BTreeSet::new();
    values.iter().position(|FinalMetric { key, .. }| !seen.insert((key.split, &key.name)))
}

fn repeated(text: &str, metric: &FinalMetric) -> Error {
    let message = format!("{text:?} gives a value to {} again", metric.key.name);
    Error::new(ErrorKind::Usage, message).hint("give each metric once")
}

fn shown(key: &MetricKey) -> String {
    key.split.map_or_else(|| key.name.clone(), |split| format!("{}/{}", split.word(), key.name))
}

/// Reads `{"split": "test", "labels": […], "matrix": [[…]]}`; rows of the matrix are the true
/// labels, columns the predicted ones.
///
/// # Errors
/// [`ErrorKind::Data`] for another shape, and for a matrix that does not fit the labels.
pub fn parse_confusion(value: &Value) -> Result<Evaluation> {
    let bad = |why: String| Error::new(ErrorKind::Data, format!("the confusion matrix: {why}"));
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Confusion {
        #[serde(default = "test")]
        split: Split,
        labels: Vec<String>,
        matrix: Vec<Vec<u64>>,
    }
    fn test() -> Split {
        Split::Test
    }
    let read: Confusion = serde_json::from_value(value.clone()).map_err(|e| bad(e.to_string()))?;
    Evaluation::of_confusion(read.split, &read.labels, read.matrix).map_err(bad)
}

/// The scores that follow from an evaluation.
pub(super) fn scores(evaluation: &Evaluation) -> Vec<FinalMetric> {
    let metric = |(name, value): (String, f64)| {
        let (split, direction) = (Some(evaluation.split), direction_of(&name));
        FinalMetric { key: MetricKey { name, split, direction }, value }
    };
    evaluation.scores().into_iter().map(metric).collect()
}

/// Later values over earlier ones, by what was measured where.
pub(super) fn merged(groups: impl IntoIterator<Item = Vec<FinalMetric>>) -> Vec<FinalMetric> {
    let mut all: BTreeMap<(Option<Split>, String), FinalMetric> = BTreeMap::new();
    for metric in groups.into_iter().flatten() {
        all.insert((metric.key.split, metric.key.name.clone()), metric);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_names_splits_and_declared_directions() {
        let key = |text: &str| metric_key(text).unwrap();
        assert_eq!(key("valid/loss").direction, Direction::Lower);
        assert_eq!(key("test/f1_macro").split, Some(Split::Test));
        assert_eq!(key("regret").direction, Direction::Neutral);
        assert_eq!(key("test/regret:lower").direction, Direction::Lower);
        for (text, name) in [("map:50", "map:50"), ("timing(s)/gen", "timing(s)/gen")] {
            assert_eq!((key(text).name.as_str(), key(text).split), (name, None));
        }
        for bad in ["", "dev/loss", "Val/loss", "test/", "a\nb", &"x".repeat(101)] {
            assert!(metric_key(bad).is_err(), "{bad:?}");
        }
        let twice = ["valid/a=1", "a=2", "valid/a=3"].map(str::to_owned);
        assert!(parse_metrics(&twice[..2]).is_ok() && parse_metrics(&twice).is_err());
        assert_eq!(metric_value("a=b=2.5e-1").unwrap().key.name, "a=b");
        for bad in ["loss", "loss=", "loss=x", "loss=nan", "loss=inf"] {
            assert!(metric_value(bad).is_err(), "{bad:?}");
        }
        // Whatever a program makes is held to the rules of the texts, with the same messages.
        let made = |name: &str, value| FinalMetric { key: super::key(name, None, None), value };
        for (values, texts) in [
            (vec![made("loss", f64::NAN)], vec!["loss=NaN"]),
            (vec![made("loss", f64::NEG_INFINITY)], vec!["loss=-inf"]),
            (vec![made("", 1.0)], vec!["=1"]),
            (vec![made("a", 1.0), made("a", 1.0)], vec!["a=1", "a=1"]),
        ] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            let (made, read) = (check(&values).unwrap_err(), parse_metrics(&texts).unwrap_err());
            assert_eq!(made.kind, read.kind);
            assert_eq!(made.to_string(), read.to_string().replace("a=1", "a"));
        }
    }

    #[test]
    fn a_confusion_matrix_gives_the_scores_of_every_label() {
        let json = serde_json::json!({ "labels": ["a", "b"], "matrix": [[8, 2], [1, 9]] });
        let found = parse_confusion(&json).unwrap();
        assert_eq!((found.rows, found.split), (20, Split::Test));
        assert_eq!((found.classes[0].recall, found.classes[0].support), (0.8, 10));
        assert!((found.classes[1].precision - 9.0 / 11.0).abs() < 1e-12);
        let scores = scores(&found);
        assert_eq!(scores[0].value, 0.85);
        let f1 = (2.0 * 8.0 / 19.0 + 2.0 * 9.0 / 21.0) / 2.0;
        let found = scores.iter().find(|score| score.key.name == "f1_macro").unwrap();
        assert!((found.value - f1).abs() < 1e-12);
        for bad in [
            serde_json::json!({ "labels": ["a"], "matrix": [[1, 2]] }),
            serde_json::json!({ "labels": ["a", "a"], "matrix": [[1, 2], [3, 4]] }),
            serde_json::json!({ "labels": [], "matrix": [] }),
            serde_json::json!({ "labels": ["a", "b"], "matrix": [[1, 2], [3, -4]] }),
        ] {
            assert!(parse_confusion(&bad).is_err(), "{bad}");
        }
    }
}
