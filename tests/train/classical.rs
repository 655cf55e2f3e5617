#![expect(clippy::disallowed_methods, reason = "the test reads ANNALS_SHARED")]
#![expect(clippy::print_stdout, reason = "tests say what they skip and what they reach")]
//! TF-IDF, logistic regression and the linear support vector machine against scikit-learn's
//! numbers, where the shared fixtures are there.

use std::path::{Path, PathBuf};

use annals::train::classical::linear::Task;
use annals::train::classical::{Sparse, Vectorizer, logreg, svm};
use serde_json::Value;

fn fixture(name: &str) -> Option<Value> {
    let shared = std::env::var_os("ANNALS_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let path = shared.join("fixtures/sklearn").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            println!("skipped: {} is not here", path.display());
            None
        }
    }
}

fn labelled(rows: &Value) -> (Vec<&str>, Vec<u32>) {
    rows.as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].as_str().unwrap(), u32::try_from(row[1].as_u64().unwrap()).unwrap()))
        .unzip()
}

fn balanced(classes: &[u32]) -> Vec<f64> {
    let count = |class: u32| classes.iter().filter(|c| **c == class).count() as f64;
    let weight: Vec<f64> = (0..3).map(|c| classes.len() as f64 / (3.0 * count(c))).collect();
    classes.iter().map(|class| weight[*class as usize]).collect()
}

fn compare(name: &str) {
    let Some(known) = fixture(name) else { return };
    let (texts, classes) = labelled(&known["train"]);
    let (test, _) = labelled(&known["test"]);
    let features = known["max_features"].as_u64().unwrap() as usize;
    let (vectorizer, rows) = Vectorizer::fit(&texts, features, 3);
    assert_eq!(vectorizer.terms.len() as u64, known["vocabulary_size"].as_u64().unwrap());
    for (term, place) in known["vocabulary_sample"].as_object().unwrap() {
        let column = place[0].as_u64().unwrap() as usize;
        assert_eq!(&vectorizer.terms[column], term);
        assert!((vectorizer.idf[column] - place[1].as_f64().unwrap()).abs() < 1e-12);
    }
    for (index, row) in known["test_rows"].as_object().unwrap() {
        let found = vectorizer.row(test[index.parse::<usize>().unwrap()]);
        let row = row.as_array().unwrap();
        assert_eq!(found.len(), row.len());
        for ((column, value), expected) in found.iter().zip(row) {
            assert_eq!(u64::from(*column), expected[0].as_u64().unwrap());
            assert!((value - expected[1].as_f64().unwrap()).abs() < 1e-12);
        }
    }
    let mut unseen = Sparse::new(rows.width);
    test.iter().for_each(|text| unseen.push(vectorizer.row(text)));
    let weights = balanced(&classes);
    let task = Task { rows: &rows, classes: &classes, weights: &weights, outputs: 3, c: 1.0 };
    let fitted = logreg::fit(&task, |_| true);
    let optimum = known["logreg_balanced_C1_optimum"]["objective"].as_f64().unwrap();
    let reached = *fitted.objectives.last().unwrap();
    println!("{name}: objective {reached} against {optimum}, {} steps", fitted.objectives.len());
    assert!(fitted.converged && reached <= optimum * 1.000_001, "{reached} {optimum}");
    near(&fitted.model, &unseen, &known["logreg_balanced_C1_optimum"]["decision"], 1e-4, true);
    let ones = vec![1.0; classes.len()];
    let task = Task { weights: &ones, ..task };
    let fitted = svm::fit(&task, 7, || true);
    println!("{name}: {:?} passes", fitted.passes);
    assert!(fitted.converged);
    near(&fitted.model, &unseen, &known["linearsvc_C1_optimum"]["decision"], 1e-4, false);
}

/// Decision values; softmax does not fix their sum, so it is taken out of both.
fn near(
    model: &annals::train::classical::linear::Linear,
    rows: &Sparse,
    expected: &Value,
    by: f64,
    centred: bool,
) {
    let centre = |mut scores: Vec<f64>| {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        if centred {
            scores.iter_mut().for_each(|score| *score -= mean);
        }
        scores
    };
    let mut worst = 0.0_f64;
    for (index, expected) in expected.as_array().unwrap().iter().enumerate() {
        let expected = expected.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let found = centre(model.scores(&rows.row(index)));
        for (found, expected) in found.iter().zip(centre(expected)) {
            worst = worst.max((found - expected).abs());
        }
    }
    println!("decision values differ by {worst:.1e} at most");
    assert!(worst <= by, "{worst}");
}

#[test]
fn every_term_kept_as_scikit_learn_computes_it() {
    compare("tfidf_a.json");
}

#[test]
fn most_frequent_terms_kept_as_scikit_learn_computes_it() {
    compare("tfidf_b.json");
}

#[test]
fn one_output_is_the_same_as_two_classes_seen_from_one_side() {
    let texts = ["bad worse worst", "good better best", "bad news", "good news", "best news ever"];
    let classes = [0, 1, 0, 1, 1];
    let (_, rows) = Vectorizer::fit(&texts, 100, 2);
    let weights = [1.0; 5];
    let task = Task { rows: &rows, classes: &classes, weights: &weights, outputs: 1, c: 1.0 };
    let one = logreg::fit(&task, |_| true);
    assert!(one.converged);
    // The gradient is zero: weights are the penalised sum of the errors of their rows.
    for column in 0..rows.width {
        let mut sum = 0.0;
        for (row, class) in classes.iter().enumerate() {
            let score = one.model.scores(&rows.row(row))[0];
            let error = 1.0 / (1.0 + (-score).exp()) - f64::from(*class);
            sum += rows.row(row).filter(|(c, _)| *c == column).map(|(_, v)| v * error).sum::<f64>();
        }
        assert!((one.model.weights[column] + sum).abs() < 1e-3);
    }
}
