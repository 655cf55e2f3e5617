//! A score has one definition, whoever computed it: training, or annals from the confusion matrix
//! that a script reported.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::Workspace;

/// Notes of which the calm and the worried ones differ; the last class is rare.
fn notes(ward: &Workspace, name: &str, count: usize, with_rare: bool) {
    let mut text = "text,label\n".to_owned();
    for number in 0..count {
        let (label, word) = match number % 5 {
            4 if with_rare => ("rare", "odd strange"),
            0 | 3 => ("calm", "quiet gentle"),
            _ => ("worried", "restless tense"),
        };
        // One in seven is written as another one would be.
        let word = if number % 7 == 0 { "quiet tense" } else { word };
        text += &format!("note {number} {word},{label}\n");
    }
    std::fs::write(ward.path(name), text).unwrap();
}

fn test_scores(run: &Value) -> BTreeMap<String, f64> {
    let metrics = run["metrics"].as_array().unwrap().iter();
    let of_test = metrics.filter(|metric| metric["key"]["split"] == "test");
    of_test
        .map(|metric| {
            let name = metric["key"]["name"].as_str().unwrap().to_owned();
            (name, metric["value"].as_f64().unwrap())
        })
        .collect()
}

/// Trained and reported with the same matrix, with and without a class that has no test row: every
/// score that both have is the same number, and the class is named.
#[test]
fn training_and_a_reported_matrix_give_the_same_scores() {
    for with_rare in [true, false] {
        let ward = Workspace::new();
        notes(&ward, "train.csv", 200, true);
        notes(&ward, "valid.csv", 40, true);
        notes(&ward, "test.csv", 60, with_rare);
        let how = ["--data", "train.csv", "--valid", "valid.csv", "--test", "test.csv"];
        let train = ["train", "--config", "tfidf_svm", "--name", "trained"];
        let said = ward.annals(&[&train[..], &how].concat()).ok();
        let run = ward.annals(&["show", "trained", "--format", "json"]).ok().json();
        let evaluation = run["evaluations"].as_array().unwrap().iter();
        let test = evaluation.clone().find(|e| e["split"] == "test").unwrap();
        let matrix = json!({ "labels": ["calm", "rare", "worried"], "matrix": test["confusion"] });
        std::fs::write(ward.path("matrix.json"), matrix.to_string()).unwrap();
        ward.annals(&["run", "start", "--name", "reported"]).ok();
        let reported = ward.annals(&["run", "finish", "reported", "--confusion", "matrix.json"]);
        let reported = reported.ok();
        let again = ward.annals(&["show", "reported", "--format", "json"]).ok().json();
        let (trained, again) = (test_scores(&run), test_scores(&again));
        assert!(again.len() >= 10 + 9, "{again:?}");
        for (name, value) in &again {
            assert!((trained[name] - value).abs() < 1e-12, "{name}: {} {value}", trained[name]);
        }
        for output in [&said, &reported] {
            let warned = output.err.contains("no test row has the label \"rare\"");
            assert_eq!(warned, !with_rare, "{}", output.err);
        }
        // As scikit-learn has it: the mean over the labels that are right or predicted somewhere.
        let count = |from: usize, to: usize| test["confusion"][from][to].as_u64().unwrap();
        let occurs = |at: usize| (0..3).any(|other| count(at, other) + count(other, at) > 0);
        let labels = ["calm", "rare", "worried"].into_iter().enumerate();
        let f1: Vec<f64> = labels
            .filter(|(at, _)| occurs(*at))
            .map(|(_, label)| again[&format!("f1_{label}")])
            .collect();
        assert!((again["f1_macro"] - f1.iter().sum::<f64>() / f1.len() as f64).abs() < 1e-12);
    }
}
