//! Several runs asked together.

use serde_json::Value;

use crate::support::Workspace;

const TEXT: &str = "i cannot sleep and i am scared of everything";

fn probabilities(ward: &Workspace, model: &str) -> Vec<f64> {
    let answer = ward.annals(&["predict", model, TEXT, "--format", "json"]).ok().json();
    let all = answer["probabilities"].as_object().unwrap();
    all.values().map(|p| p.as_f64().unwrap()).collect()
}

/// Two networks and a classical baseline, trained on the same rows.
fn members(ward: &Workspace) {
    ward.train("one", &[]).ok();
    ward.train("two", &["--set", "training.learning_rate=0.003"]).ok();
    let words = ["train", "--config", "tfidf_logreg", "--name", "words", "--sample-size", "600"];
    ward.annals(&words).ok();
}

#[test]
fn an_ensemble_says_the_mean_of_what_its_members_say() {
    let ward = Workspace::new();
    members(&ward);
    let create = ["ensemble", "create", "all", "one", "two", "words", "--format", "json"];
    let made: Value = ward.annals(&create).ok().json();
    assert_eq!(
        (made["status"].as_str(), made["provenance"].as_str()),
        (Some("finished"), Some("engine"))
    );
    let metrics = made["metrics"].as_array().unwrap();
    let accuracy = metrics.iter().find(|m| m["key"]["name"] == "accuracy").unwrap();
    assert!(accuracy["value"].as_f64().unwrap() > 0.6, "{accuracy}");
    assert!(metrics.iter().any(|m| m["key"]["name"] == "f1_macro.ci_low"));

    let parts = ["one", "two", "words"].map(|name| probabilities(&ward, name));
    let whole = probabilities(&ward, "all");
    assert_eq!(whole.len(), 3);
    for (label, p) in whole.iter().enumerate() {
        let mean = parts.iter().map(|part| part[label]).sum::<f64>() / 3.0;
        assert!((p - mean).abs() < 1e-6, "{p} instead of {mean}");
    }

    ward.allow_synthetic();
    let rules = "production_promotion.min_accuracy_threshold";
    ward.annals(&["policy", "set", rules, "0.1"]).ok();
    ward.annals(&["promote", "all", "--as", "together"]).ok();
    assert_eq!(probabilities(&ward, "together"), whole);
    assert_eq!(probabilities(&ward, "models/production/together"), whole);

    // Nobody can swap a member.
    let model = ward.path("models/production/together/members/2/model.safetensors");
    let mut bytes = std::fs::read(&model).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&model, bytes).unwrap();
    ward.annals(&["predict", "together", TEXT]).refused(10, "is in the log");
    ward.annals(&["reproduce", "all"]).refused(5, "is an ensemble");
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn runs_that_were_not_tested_alike_make_no_ensemble() {
    let ward = Workspace::new();
    ward.train("one", &[]).ok();
    ward.train("seeded", &["--seed", "7"]).ok();
    ward.annals(&["ensemble", "create", "x", "one", "seeded"])
        .refused(5, "has other data files than");
    ward.annals(&["ensemble", "create", "x", "one", "one"]).refused(2, "is named twice");
    ward.annals(&["ensemble", "create", "x", "one", "none"]).refused(4, "there is no run");
    let stratified = ["--set", "data.split.rule=stratified"];
    ward.train("split", &stratified).ok();
    ward.annals(&["ensemble", "create", "x", "one", "split"])
        .refused(5, "has other test rows than");
    ward.train("broken", &["--set", "toy.fail_at_step=3"]).refused(8, "asked to fail");
    ward.annals(&["ensemble", "create", "x", "one", "broken"]).refused(5, "is failed");
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    assert_eq!(runs.as_array().unwrap().len(), 4, "a refusal begins no run");
}
