//! Scores and baselines against scikit-learn's answers for random settings, which
//! `fixtures/references.py` writes.

use annals::base::Split;
use annals::data::prepared::{Inputs, Prepared, Targets};
use annals::domain::metric::Evaluation;
use annals::model::classical::TextClassifier;
use annals::model::config::{Layer, resolve};
use annals::train::metric::Scorer;
use serde_json::Value;

fn references() -> Value {
    serde_json::from_str(include_str!("fixtures/references.json")).unwrap()
}

fn numbers<T>(value: &Value, number: fn(&Value) -> Option<T>) -> Vec<T> {
    value.as_array().unwrap().iter().map(|v| number(v).unwrap()).collect()
}

fn class(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|class| u32::try_from(class).ok())
}

fn labels(count: usize) -> Vec<String> {
    (0..count).map(|label| label.to_string()).collect()
}

fn near(what: &str, case: usize, name: &str, found: Option<f64>, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    let found = found.unwrap_or_else(|| panic!("{what} {case} has no {name}"));
    assert!((found - expected).abs() < 1e-6, "{what} {case}: {name} {found}, not {expected}");
}

/// Each score of training, and of a reported confusion matrix, is scikit-learn's with its
/// defaults; among the cases are classes without rows and classes that were never predicted.
#[test]
fn every_score_is_that_of_scikit_learn() {
    let known = references();
    for kind in ["single", "multi"] {
        for (case, one) in known[kind].as_array().unwrap().iter().enumerate() {
            let logits: Vec<Vec<f64>> = one["logits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| numbers(row, Value::as_f64))
                .collect();
            let classes = logits[0].len();
            let flat: Vec<f32> = logits.iter().flatten().map(|logit| *logit as f32).collect();
            let rows: Vec<u32> = (0..).take(logits.len()).collect();
            let targets = match kind {
                "single" => Targets::Single(numbers(&one["truth"], class)),
                _ => Targets::Multi(
                    one["truth"].as_array().unwrap().iter().map(|r| numbers(r, class)).collect(),
                ),
            };
            let mut scorer = Scorer::new(classes, kind == "multi");
            scorer.add(&flat, &targets, &rows).unwrap();
            let scored = scorer.finish(Split::Test, &labels(classes), 1);
            let expected = one["expected"].as_object().unwrap();
            for (name, expected) in expected {
                let found = scored.get(name).map(|metric| metric.value);
                near(kind, case, name, found, expected);
            }
            for name in ["roc_auc", "pr_auc"] {
                let both = (scored.get(name).is_some(), expected.contains_key(name));
                assert_eq!(both.0, both.1, "{kind} {case}: {name}");
            }
            if kind == "multi" {
                continue;
            }
            let (names, matrix) = (labels(classes), scored.confusion.clone());
            let reported = Evaluation::of_confusion(Split::Test, &names, matrix).unwrap();
            let reported = reported.scores();
            let by_confusion = expected
                .iter()
                .filter(|(name, _)| !["loss", "roc_auc", "pr_auc"].contains(&name.as_str()));
            for (name, expected) in by_confusion {
                let found = reported.iter().find(|(known, _)| known == name).map(|(_, v)| *v);
                near("confusion", case, name, found, expected);
            }
        }
    }
}

/// Decision values of both baselines, for every option they have: one or many labels, two or more
/// classes, `c`, class weights, lengths of terms and their number.
#[test]
fn every_baseline_decides_as_scikit_learn() {
    for (case, one) in references()["baselines"].as_array().unwrap().iter().enumerate() {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let texts: Vec<String> = numbers(&one["texts"], text);
        let truth: Vec<Vec<u32>> =
            one["truth"].as_array().unwrap().iter().map(|row| numbers(row, class)).collect();
        let is_multi = one["multi"].as_bool().unwrap();
        let data = Prepared {
            labels: labels(one["classes"].as_u64().unwrap() as usize),
            rows: (0..).take(texts.len()).collect(),
            splits: vec![Split::Train; texts.len()],
            targets: match is_multi {
                true => Targets::Multi(truth),
                false => Targets::Single(truth.concat()),
            },
            inputs: Inputs::Texts(texts),
            ..Prepared::default()
        };
        let settings = [
            ("model.architecture", one["architecture"].as_str().unwrap().to_owned()),
            ("training.class_weights", one["class_weights"].as_str().unwrap().to_owned()),
            ("tfidf.c", one["c"].to_string()),
            ("tfidf.ngram_max", one["ngram_max"].to_string()),
            ("tfidf.max_features", one["max_features"].to_string()),
        ];
        let layers: Vec<Layer<'_>> =
            settings.iter().map(|(key, value)| Layer::Set { key, value }).collect();
        let (model, fit) =
            TextClassifier::fit(&resolve(&layers).unwrap(), &data, |_| true).unwrap();
        assert!(fit.converged, "{case}: {settings:?}");
        let expected = one["decision"].as_array().unwrap();
        for (text, expected) in numbers(&one["unseen"], text).iter().zip(expected) {
            let found = model.scores(text);
            let expected = numbers(expected, Value::as_f64);
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(&expected).map(|(f, e)| (f64::from(*f) - e).abs());
            let worst = worst.fold(0.0, f64::max);
            assert!(worst < 1e-4, "{case}: {settings:?} {found:?} {expected:?}");
        }
    }
}
