//! Asking a model: a run, a model in production, a folder; and models that are not what they were.

use std::io::Write as _;

use crate::support::Workspace;

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every test row of the run, asked again, gives the accuracy that was recorded.
fn agrees_with_the_record(config: &str) {
    let ward = Workspace::new();
    ward.allow_synthetic();
    let args = ["train", "--config", config, "--name", "notes", "--category", "baseline"];
    ward.annals(&[&args[..], &["--sample-size", "400"]].concat()).ok();
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "10"]).ok();
    ward.annals(&["promote", "notes", "--as", "triage"]).ok();
    let shown = ward.annals(&["show", "notes", "--format", "json"]).ok().json();
    let folder = shown["folder"].as_str().unwrap().to_owned();
    let notes = ward.read(&format!("{folder}/config/sample_data.csv"));
    let mut rows = csv::Reader::from_reader(notes.as_slice());
    let rows: Vec<(String, String)> = rows.deserialize().map(Result::unwrap).collect();
    let mut file = std::fs::File::create(ward.path("texts.txt")).unwrap();
    rows.iter().for_each(|(text, _)| writeln!(file, "{text}").unwrap());
    let asked = ["predict", "triage", "--file", "texts.txt", "--logits", "--format", "json"];
    let answers = lines(&ward.annals(&asked).ok().out);
    assert_eq!(answers.len(), rows.len());
    let by_run = ward.annals(&["predict", "notes", &rows[0].0, "--format", "json"]).ok();
    assert_eq!(lines(&by_run.out)[0]["probabilities"], answers[0]["probabilities"]);
    let by_folder = ward.annals(&["predict", "models/production/triage", &rows[0].0]).ok();
    assert!(by_folder.err.contains("not checked against a log"), "{}", by_folder.err);
    let sum: f64 = answers[0]["probabilities"]
        .as_object()
        .unwrap()
        .values()
        .map(|p| p.as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    let right = answers.iter().zip(&rows).filter(|(answer, row)| answer["labels"][0] == row.1);
    let share = right.count() as f64 / rows.len() as f64;
    let recorded = shown["metrics"].as_array().unwrap();
    let test =
        recorded.iter().find(|m| m["key"]["name"] == "accuracy" && m["key"]["split"] == "test");
    let test = test.unwrap()["value"].as_f64().unwrap();
    // Most rows were trained on, so that the whole is no worse than the test rows alone.
    assert!(share > test - 0.02, "{share} on all rows, {test} on the test rows");

    ward.annals(&["predict", "notes"]).refused(2, "no text was given");
    ward.annals(&["predict", "nothing", "x"]).refused(4, "there is no run");
    ward.annals(&["predict", "notes", "--file", "missing"]).refused(3, "missing");
    let weights = "models/production/triage/model.safetensors";
    let mut bytes = ward.read(weights);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(ward.path(weights), &bytes).unwrap();
    ward.annals(&["predict", "triage", "x"]).refused(10, "is in the log");
    std::fs::write(ward.path(weights), &bytes[..100]).unwrap();
    let code = ward.annals(&["predict", "models/production/triage", "x"]).code;
    assert!(code == 3 || code == 8, "{code}");
}

#[test]
fn token_models_answer_as_recorded() {
    agrees_with_the_record("toy");
}

#[test]
fn classical_models_answer_as_recorded() {
    agrees_with_the_record("tfidf_logreg");
    agrees_with_the_record("tfidf_svm");
}

/// 300 notes, of which a fifth is about sleep and a tenth of all about fear.
fn notes_of_two_labels() -> String {
    let mut table = "text,sleep,fear\n".to_owned();
    for row in 0..300 {
        let (sleep, fear) = (row % 5 == 0, row % 10 == 3);
        let about = if sleep {
            "awake"
        } else if fear {
            "afraid"
        } else {
            "fine"
        };
        // Some rows have the label and say nothing of it.
        let about = if row % 15 == 0 || row % 30 == 3 { "fine" } else { about };
        table += &format!("note {row} i am {about},{},{}\n", u8::from(sleep), u8::from(fear));
    }
    table
}

#[test]
fn thresholds_are_tuned_recorded_and_used() {
    let ward = Workspace::new();
    std::fs::write(ward.path("notes.csv"), notes_of_two_labels()).unwrap();
    let args = ["train", "--data", "notes.csv", "--config", "tfidf_logreg", "--name", "two"];
    let columns = ["--label-columns", "sleep,fear"];
    let tuned = ["--set", "training.threshold=tuned", "--category", "baseline"];
    ward.annals(&[&args[..], &columns, &tuned].concat()).ok();
    let shown = ward.annals(&["show", "two", "--format", "json"]).ok().json();
    let recorded = |label: &str| {
        let name = format!("threshold_{label}");
        let metrics = shown["metrics"].as_array().unwrap();
        let found = metrics.iter().find(|m| m["key"]["name"] == name.as_str()).unwrap();
        assert_eq!(found["key"]["split"], "valid");
        found["value"].as_f64().unwrap()
    };
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "10"]).ok();
    ward.annals(&["promote", "two", "--as", "ward"]).ok();
    for model in ["two", "ward", "models/production/ward"] {
        let asked = ["predict", model, "i am awake", "i am fine", "--format", "json"];
        for answer in lines(&ward.annals(&asked).ok().out) {
            let mut said = Vec::new();
            for label in ["sleep", "fear"] {
                let threshold = answer["threshold"][label].as_f64().unwrap();
                assert_eq!(threshold, recorded(label), "{model}: {label}");
                if answer["probabilities"][label].as_f64().unwrap() >= threshold {
                    said.push(label);
                }
            }
            assert_eq!(answer["labels"], serde_json::json!(said), "{answer}");
        }
    }
    assert_ne!(recorded("fear"), 0.5, "rare labels are said too rarely from one half on");
    let one = ["--sample-size", "60", "--set", "training.threshold=0.4"];
    let one = [&["train", "--config", "tfidf_logreg"], &one[..]].concat();
    ward.annals(&one).refused(3, "`training.threshold` has no effect");
    let wide = [&args[..], &columns, &["--set", "training.threshold=1.5"]].concat();
    ward.annals(&wide).refused(3, "a number above 0 and below 1, or tuned");
}
