//! The words of scripts: metrics by name, on the command line and as lines of JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::app::{Error, ErrorKind, Result};
use crate::base::{Direction, Split};
use crate::domain::metric::{Evaluation, FinalMetric, MetricKey};
use crate::train::metric::{can_choose, direction_of};

/// Something that a supervised command printed for the record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// Points of one step.
    Points {
        /// Updates done; none where the line does not say.
        step: Option<u64>,
        /// Passes done.
        epoch: Option<f64>,
        /// What was measured.
        values: Vec<FinalMetric>,
    },
    /// Final values.
    Final(Vec<FinalMetric>),
    /// A confusion matrix.
    Evaluation(Evaluation),
    /// A file to keep, and what it is.
    Save(PathBuf, String),
}

/// Reads `valid/loss`, `accuracy` or `test/regret:lower`. The direction is declared after the
/// colon; without it the scores that annals itself computes have theirs, and others have none.
pub(super) fn metric_key(text: &str) -> Result<MetricKey> {
    let bad = |why: &str| {
        Error::new(ErrorKind::Usage, format!("the metric {text:?} {why}"))
            .hint("a metric is NAME, SPLIT/NAME or SPLIT/NAME:lower, split train, valid or test")
    };
    let (rest, direction) = match text.rsplit_once(':') {
        Some((rest, "lower")) => (rest, Some(Direction::Lower)),
        Some((rest, "higher")) => (rest, Some(Direction::Higher)),
        Some((rest, "neutral")) => (rest, Some(Direction::Neutral)),
        Some(_) => return Err(bad("does not say lower, higher or neutral after the colon")),
        None => (text, None),
    };
    let (split, name) = match rest.split_once('/') {
        Some((word, name)) => {
            let split = Split::ALL.into_iter().find(|split| split.word() == word);
            (Some(split.ok_or_else(|| bad("names no split before the slash"))?), name)
        }
        None => (None, rest),
    };
    if name.is_empty() || name.len() > METRIC_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(bad("has no name of 1 to 100 bytes"));
    }
    let known = || if is_known(name) { direction_of(name) } else { Direction::Neutral };
    let direction = direction.unwrap_or_else(known);
    Ok(MetricKey { name: name.to_owned(), split, direction })
}

/// Longest name of a metric.
const METRIC_NAME_BYTES_MAX: usize = 100;

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

/// Reads a line that a supervised command printed; none for one that is not for the record.
pub(super) fn said(line: &str) -> Option<Said> {
    let line = line.trim();
    if !line.starts_with('{') {
        return None;
    }
    let object: Map<String, Value> = serde_json::from_str(line).ok()?;
    if let Some(path) = object.get("save").and_then(Value::as_str) {
        let what = object.get("as").and_then(Value::as_str).unwrap_or("weights");
        return Some(Said::Save(PathBuf::from(path), what.to_owned()));
    }
    if let Some(confusion) = object.get("confusion") {
        return Some(Said::Evaluation(evaluation(confusion).ok()?));
    }
    let split = object.get("split").and_then(Value::as_str);
    if let Some(Value::Object(values)) = object.get("final") {
        return Some(Said::Final(numbers(values, split)));
    }
    let values = numbers(&object, split);
    let step = object.get("step").and_then(Value::as_u64);
    let epoch = object.get("epoch").and_then(Value::as_f64);
    (!values.is_empty()).then_some(Said::Points { step, epoch, values })
}

/// The numbers of an object, as metrics of `split` where their names tell none.
fn numbers(values: &Map<String, Value>, split: Option<&str>) -> Vec<FinalMetric> {
    let split = Split::ALL.into_iter().find(|known| Some(known.word()) == split);
    let metrics = values.iter().filter(|(key, _)| !["step", "epoch"].contains(&key.as_str()));
    let metrics = metrics.filter_map(|(key, value)| {
        let value = value.as_f64()?;
        let mut key = metric_key(key).ok()?;
        key.split = key.split.or(split);
        Some(FinalMetric { key, value })
    });
    metrics.collect()
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
        for bad in ["", "dev/loss", "loss:down", "test/", "a\nb", &"x".repeat(101)] {
            assert!(metric_key(bad).is_err(), "{bad:?}");
        }
        assert_eq!(metric_value("a=b=2.5e-1").unwrap().key.name, "a=b");
        for bad in ["loss", "loss=", "loss=x", "loss=nan", "loss=inf"] {
            assert!(metric_value(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lines_of_json_are_for_the_record_and_others_are_not() {
        let Some(Said::Points { step, epoch, values }) =
            said(r#"{"step": 3, "epoch": 0.5, "split": "valid", "loss": 0.25, "note": "x"}"#)
        else {
            panic!("no points")
        };
        assert_eq!((step, epoch, values.len()), (Some(3), Some(0.5), 1));
        assert_eq!(values[0].key.split, Some(Split::Valid));
        let last = said(r#"{"final": {"test/accuracy": 1}}"#);
        assert!(matches!(last, Some(Said::Final(values)) if values.len() == 1));
        assert_eq!(said(r#"{"save": "m.pt"}"#), Some(Said::Save("m.pt".into(), "weights".into())));
        for plain in ["loss 0.3", "{", "{\"a\": NaN}", "{\"a\": \"b\"}", "[1]", ""] {
            assert_eq!(said(plain), None, "{plain}");
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
