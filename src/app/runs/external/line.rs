//! The words of scripts: metrics by name, on the command line and as lines of JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::app::{Error, ErrorKind, Result};
use crate::base::{Direction, Split};
use crate::domain::metric::{Evaluation, FinalMetric, MetricKey};
use crate::train::metric::{can_choose, direction_of};

/// Reads `valid/loss`, `accuracy` or `test/regret:lower`. The direction is declared after the
/// colon; without it the scores that annals itself computes have theirs, and others have none.
/// Another word for a split is refused: two words would make two series one.
pub(super) fn metric_key(text: &str) -> Result<MetricKey> {
    let bad = |why: &str| {
        Error::new(ErrorKind::Usage, format!("the metric {text:?} {why}"))
            .hint("a metric is NAME, SPLIT/NAME or SPLIT/NAME:lower, split train, valid or test")
    };
    let (rest, direction) = declared(text);
    let (split, name) = match rest.split_once('/') {
        Some((word, name)) => match Split::ALL.into_iter().find(|split| split.word() == word) {
            Some(split) => (Some(split), name),
            None if split_of(word).is_some() => {
                return Err(bad("does not name its split train, valid or test"));
            }
            None => (None, rest),
        },
        None => (None, rest),
    };
    if !is_name(name) {
        return Err(bad("has no name of 1 to 100 bytes"));
    }
    Ok(key(name, split, direction))
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

/// Reads `KEY=VALUE`.
pub(super) fn metric_value(text: &str) -> Result<FinalMetric> {
    let number = text.rsplit_once('=').and_then(|(key, value)| Some((key, value.parse().ok()?)));
    let Some((key, value)) = number else {
        let message = format!("{text:?} is not KEY=NUMBER");
        return Err(Error::new(ErrorKind::Usage, message));
    };
    let key = metric_key(key)?;
    finite(FinalMetric { key, value })
}

pub(super) fn finite(metric: FinalMetric) -> Result<FinalMetric> {
    if metric.value.is_finite() {
        return Ok(metric);
    }
    let message = format!("metric {}: {} is not a finite number", metric.key.name, metric.value);
    Err(Error::new(ErrorKind::Data, message))
}

/// Reads several, each of a series of its own.
pub(super) fn metric_values(texts: &[String]) -> Result<Vec<FinalMetric>> {
    let values: Vec<FinalMetric> =
        texts.iter().map(|text| metric_value(text)).collect::<Result<_>>()?;
    let same =
        |a: &FinalMetric, b: &FinalMetric| (a.key.split, &a.key.name) == (b.key.split, &b.key.name);
    for (index, metric) in values.iter().enumerate() {
        if values[..index].iter().any(|other| same(other, metric)) {
            let message = format!("{:?} gives a value to {} again", texts[index], metric.key.name);
            return Err(Error::new(ErrorKind::Usage, message).hint("give each metric once"));
        }
    }
    Ok(values)
}

/// Reads `{"split": "test", "labels": […], "matrix": [[…]]}`; rows of the matrix are the true
/// labels, columns the predicted ones.
pub(super) fn evaluation(value: &Value) -> Result<Evaluation> {
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
        assert!(metric_values(&twice[..2]).is_ok() && metric_values(&twice).is_err());
        assert_eq!(metric_value("a=b=2.5e-1").unwrap().key.name, "a=b");
        for bad in ["loss", "loss=", "loss=x", "loss=nan", "loss=inf"] {
            assert!(metric_value(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_confusion_matrix_gives_the_scores_of_every_label() {
        let json = serde_json::json!({ "labels": ["a", "b"], "matrix": [[8, 2], [1, 9]] });
        let found = evaluation(&json).unwrap();
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
            assert!(evaluation(&bad).is_err(), "{bad}");
        }
    }
}
