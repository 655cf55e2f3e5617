#![expect(clippy::disallowed_methods, reason = "the test writes plain files")]
#![expect(clippy::print_stdout, reason = "tests say what they skip and what they reach")]
//! TF-IDF, logistic regression and the linear support vector machine against scikit-learn's
//! numbers, where the shared fixtures are there.

use std::path::Path;

use crate::files::shared;
use annals::base::Split;
use annals::data::prepared::{Inputs, Prepared, Targets};
use annals::model::classical::linear::Task;
use annals::model::classical::{Sparse, TextClassifier, VECTORIZER_FILE, Vectorizer, logreg, svm};
use annals::model::config::{Layer, TfidfConfig, TrainConfig, resolve};
use serde_json::Value;

fn fixture(name: &str) -> Option<Value> {
    let path = shared(Path::new("fixtures/sklearn").join(name))?;
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
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
    let fitted = svm::fit(&task, 7, |_| true);
    println!("{name}: {:?} passes", fitted.passes);
    assert!(fitted.converged);
    near(&fitted.model, &unseen, &known["linearsvc_C1_optimum"]["decision"], 1e-4, false);
}

/// Decision values; softmax does not fix their sum, so it is taken out of both.
fn near(
    model: &annals::model::classical::linear::Linear,
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

#[test]
fn words_are_what_python_takes_for_words() {
    let texts = [
        "नमस्ते दुनिया",
        "ⒶⒷ x² ab_c É1",
        "ΟΔΥΣΣΕΥΣ İstanbul ŒUVRE",
        "ⅣⅤ 東京都 a\u{301}b co\u{ad}op 𝟘𝟙 ½¾ ªº",
    ];
    let (vectorizer, _) = Vectorizer::fit(&texts, 100, 1);
    // As scikit-learn 1.9.1 answers.
    let expected = [
        "ab_c",
        "co",
        "op",
        "stanbul",
        "x²",
        "ªº",
        "½¾",
        "é1",
        "œuvre",
        "οδυσσευς",
        "नमस",
        "ⅳⅴ",
        "東京都",
        "𝟘𝟙",
    ];
    assert_eq!(vectorizer.terms, expected);
}

const TEXTS: [&str; 6] =
    ["bad worse worst", "good better best", "bad news", "good news", "best news ever", "so so"];

fn tiny(architecture: &str, targets: Targets) -> (TrainConfig, Prepared) {
    let text = format!("model:\n  architecture: {architecture}\n");
    let config = resolve(&[Layer::Text { file: "tiny.yaml", text: &text }]).unwrap();
    let prepared = Prepared {
        labels: vec!["bad".into(), "good".into(), "news".into()],
        rows: (0..6).collect(),
        splits: vec![Split::Train; 6],
        targets,
        inputs: Inputs::Texts(TEXTS.map(str::to_owned).to_vec()),
        ..Prepared::default()
    };
    (config, prepared)
}

fn several() -> Targets {
    Targets::Multi(vec![vec![0], vec![1], vec![0, 2], vec![1, 2], vec![1, 2], vec![]])
}

#[test]
fn a_row_with_several_labels_scores_above_zero_for_each() {
    for architecture in ["tfidf_logreg", "tfidf_svm"] {
        let (config, data) = tiny(architecture, several());
        let config =
            TrainConfig { tfidf: TfidfConfig { c: 1e3, ..config.tfidf.clone() }, ..config };
        let mut heard = Vec::new();
        let hear = |objective: Option<f64>| {
            heard.extend(objective);
            true
        };
        let (model, fit) = TextClassifier::fit(&config, &data, hear).unwrap();
        assert!(fit.converged);
        assert_eq!(heard.last(), Some(&fit.objective));
        for (row, text) in TEXTS.iter().enumerate() {
            for (label, score) in (0_u32..).zip(model.scores(text)) {
                assert_eq!(score > 0.0, data.targets.of(row).contains(&label), "{text} {label}");
            }
        }
    }
}

#[test]
fn stopping_ends_a_fit_at_once() {
    for architecture in ["tfidf_logreg", "tfidf_svm"] {
        let (config, data) = tiny(architecture, several());
        let (_, fit) = TextClassifier::fit(&config, &data, |_| false).unwrap();
        assert!(!fit.converged);
    }
}

#[test]
fn a_saved_model_loads_to_the_same_scores_and_bytes() {
    let (config, data) = tiny("tfidf_svm", Targets::Single(vec![0, 1, 2, 2, 1, 0]));
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (model, _) = TextClassifier::fit(&config, &data, |_| true).unwrap();
    model.save(first.path()).unwrap();
    let loaded = TextClassifier::load(first.path()).unwrap();
    loaded.save(second.path()).unwrap();
    for text in TEXTS.into_iter().chain(["", "unseen words", "GOOD best Best"]) {
        assert_eq!(model.scores(text), loaded.scores(text));
    }
    for name in ["model.safetensors", VECTORIZER_FILE] {
        let read = |dir: &tempfile::TempDir| std::fs::read(dir.path().join(name)).unwrap();
        assert_eq!(read(&first), read(&second));
    }
}

#[test]
fn damaged_files_are_named() {
    let (config, data) = tiny("tfidf_logreg", several());
    let dir = tempfile::tempdir().unwrap();
    let (model, _) = TextClassifier::fit(&config, &data, |_| true).unwrap();
    model.save(dir.path()).unwrap();
    let (weights, terms) = (dir.path().join("model.safetensors"), dir.path().join(VECTORIZER_FILE));
    let (whole, words) =
        (std::fs::read(&weights).unwrap(), std::fs::read_to_string(&terms).unwrap());
    let refused = |bytes: &[u8], words: &str, why: &str| {
        std::fs::write(&weights, bytes).unwrap();
        std::fs::write(&terms, words).unwrap();
        let error = TextClassifier::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    };
    for kept in [0, 7, 40, whole.len() - 1] {
        refused(&whole[..kept], &words, "model.safetensors");
    }
    let mut infinite = whole.clone();
    let end = infinite.len();
    infinite[end - 8..].copy_from_slice(&f64::INFINITY.to_le_bytes());
    refused(&infinite, &words, "holds inf");
    refused(&whole, &words[..words.len() - 2], VECTORIZER_FILE);
    refused(&whole, &words.replace(r#""bad","#, ""), "expected");
    refused(&whole, &words.replace(r#""bad","#, r#""zzz","#), "not in order");
    refused(&whole, &words.replace("tfidf_logreg", "encoder"), "not a classical model");
    refused(&whole, &words.replace(r#""ngram_max":3"#, r#""ngram_max":2"#), "longer than 2");
    refused(&whole, &words.replace(r#""two_classes":false"#, r#""two_classes":true"#), "1 output");
    refused(&whole, &words.replace("ngram_max", "ngrams"), VECTORIZER_FILE);
}
