//! The main job: train, list, judge, promote, replay, verify.

use crate::support::Workspace;

const FILES: [&str; 5] = [
    "models_registry.json",
    "models_registry_consolidated.json",
    "experiment_consolidation_log.json",
    "experiments_log.jsonl",
    "MODEL_VERSION.json",
];

#[test]
fn a_run_goes_into_production_and_everything_comes_back_from_the_log() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    let listed = ward.annals(&["list", "--format", "json"]).ok().json();
    assert_eq!(listed[0]["status"], "finished");
    assert!(listed[0]["f1_macro"].as_f64().unwrap() > 0.5);

    ward.annals(&["promote", "notes"]).refused(5, "synthetic_data: required no generated data");
    let refused = ward.annals(&["log", "--kind", "promotion.refused", "--format", "json"]).ok();
    assert_eq!(refused.json()[0]["event"]["failed"][0]["rule"], "synthetic_data");

    ward.allow_synthetic();
    let planned = ward.annals(&["promote", "notes", "--dry-run"]).ok();
    assert!(planned.out.contains("would be copied to models/production/notes_v1"));
    assert!(!ward.path("models").exists());
    ward.annals(&["promote", "notes", "--as", "notes_v1"]).ok();
    assert!(ward.path("models/production/notes_v1/model.safetensors").is_file());
    ward.annals(&["promote", "notes", "--as", "notes_v1"]).refused(6, "exists already");

    ward.annals(&["replay", "--check"]).ok();
    ward.annals(&["verify"]).ok();
    for (file, schema) in annals::projection::files::schemas() {
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&ward.read(file)).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
    let before = FILES.map(|file| ward.read(file));
    FILES.iter().for_each(|file| std::fs::remove_file(ward.path(file)).unwrap());
    std::fs::remove_file(ward.path(".annals/views.redb")).unwrap();
    ward.annals(&["replay", "--check"]).refused(9, "differ from the log");
    ward.annals(&["replay"]).ok();
    assert_eq!(FILES.map(|file| ward.read(file)), before);
    ward.annals(&["replay", "--out", "copy"]).ok();
    assert_eq!(FILES.map(|file| ward.read(&format!("copy/{file}"))), before);
    ward.annals(&["doctor"]).ok();
}

#[test]
fn candidates_stand_beside_each_other_rule_by_rule() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    ward.train("twin", &["--seed", "7"]).ok();
    ward.annals(&["policy", "set", "production_promotion.min_accuracy_threshold", "1.0"]).ok();
    ward.annals(&["policy", "set", "production_promotion.trainer_may_approve", "false"]).ok();
    let shown = ward.annals(&["candidates"]).ok();
    let head = shown.out.lines().next().unwrap();
    assert!(head.contains("synthetic_data") && head.contains("accuracy"), "{head}");
    assert!(!head.contains("leakage"), "a rule that all meet has a column: {head}");
    let rows: Vec<&str> = shown.out.lines().skip(1).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.contains("FAIL: generated data") && row.contains(" short")));
    assert!(shown.err.contains("Every run meets: enabled, finished, category, leakage"));
    assert!(
        shown.err.contains("1 approval by others than the trainer; who that is rests on claims")
    );
}

#[test]
fn people_ask_approve_and_reject() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    ward.allow_synthetic();
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    ward.annals(&["policy", "set", "production_promotion.trainer_may_approve", "false"]).ok();
    ward.annals(&["promote", "notes", "--request", "--as", "night"]).ok();
    ward.annals(&["approve", "night"]).refused(5, "mara trained this run");
    ward.annals_as("ines", &["approve", "night"]).ok();
    ward.annals_as("ines", &["approve", "night"]).refused(5, "ines has approved this already");
    ward.annals(&["promote", "notes"]).refused(5, "1 of 2 approvals");
    ward.annals_as("otto", &["approve", "night"]).ok();
    ward.annals(&["promote", "notes"]).ok();
    let shown = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    assert_eq!(shown["model"]["approvers"], serde_json::json!(["ines", "otto"]));

    // The key of this machine is mara's: it signs her events and nobody else's.
    let approvals = ward.annals(&["log", "--kind", "promotion.approved", "--format", "json"]).ok();
    assert_eq!(approvals.json()[0]["identity"], "claimed");
    let requests = ward.annals(&["log", "--kind", "promotion.requested", "--format", "json"]).ok();
    assert_eq!(requests.json()[0]["identity"], "signed");

    ward.annals(&["promote", "notes", "--request", "--as", "day"]).ok();
    ward.annals_as("ines", &["reject", "day", "--reason", "one is enough"]).ok();
    ward.annals(&["approve", "day"]).refused(4, "no open promotion request");
}

#[test]
fn time_travel_and_proofs() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    let size = ward.annals(&["status", "--format", "json"]).ok().json()["events"].as_u64().unwrap();
    let before = FILES.map(|file| ward.read(file));
    ward.annals(&["checkpoint", "anchor", "anchor.note"]).ok();
    ward.allow_synthetic();
    ward.annals(&["promote", "notes"]).ok();
    let then = (size - 1).to_string();
    ward.annals(&["replay", "--as-of", &then, "--out", "then"]).ok();
    assert_eq!(FILES.map(|file| ward.read(&format!("then/{file}"))), before);
    ward.annals(&["verify", "--against", "anchor.note"]).ok();

    let proof = ward.annals(&["prove", "notes"]).ok().out;
    std::fs::write(ward.path("proof.json"), &proof).unwrap();
    let key = ward.annals(&["checkpoint", "show", "--format", "json"]).ok().json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    ward.annals(&["prove", "--check", "proof.json", "--key", &key]).ok();
    let other = Workspace::new();
    let foreign = other.annals(&["checkpoint", "show", "--format", "json"]).ok().json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    ward.annals(&["prove", "--check", "proof.json", "--key", &foreign])
        .refused(10, "does not hold");
    let mut broken: serde_json::Value = serde_json::from_str(&proof).unwrap();
    broken["inclusion"].as_array_mut().unwrap().pop();
    std::fs::write(ward.path("proof.json"), broken.to_string()).unwrap();
    ward.annals(&["prove", "--check", "proof.json", "--key", &key]).refused(10, "does not hold");

    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let alone = Workspace::bare();
    std::fs::copy(ward.path("copy.redb"), alone.path("copy.redb")).unwrap();
    alone.annals(&["verify", "--log", "copy.redb", "--key", &key]).ok();
    alone.annals(&["verify", "--log", "copy.redb", "--key", &foreign]).refused(10, "findings");
    ward.annals(&["log", "copy", "copy.redb"]).refused(2, "is not written over");
}

#[test]
fn edits_of_registry_files_are_kept_and_explained() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    let file = "models_registry_consolidated.json";
    let text = String::from_utf8(ward.read(file)).unwrap();
    let edited =
        text.replace("\"min_accuracy_threshold\": 0.55", "\"min_accuracy_threshold\": 0.6");
    assert_ne!(edited, text);
    std::fs::write(ward.path(file), &edited).unwrap();
    assert!(ward.annals(&["status"]).ok().err.contains("was edited by hand"));
    ward.annals(&["replay", "--check"]).refused(9, "differ");
    let told = ward.annals(&["replay"]).ok().err;
    assert!(told.contains("annals policy set production_promotion.min_accuracy_threshold '0.6'"));
    assert_eq!(ward.read(file), text.into_bytes());
    assert_eq!(ward.read(&format!("{file}.edited-1")), edited.into_bytes());
}

#[test]
fn a_file_changed_after_it_was_recorded_is_not_promoted() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    ward.allow_synthetic();
    let run = ward.annals(&["show", "notes", "--format", "json"]).ok().json();
    let folder = run["folder"].as_str().unwrap().to_owned();
    std::fs::write(ward.path(&format!("{folder}/config/labels.json")), "{}").unwrap();
    ward.annals(&["promote", "notes"]).refused(10, "was changed after it was recorded");
    assert!(!ward.path("models/production").exists());
    ward.annals(&["verify"]).ok();
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let ward = Workspace::new();
    for _ in 0..2 {
        ward.train("twin", &["--seed", "7", "--threads", "2"]).ok();
    }
    let registry: serde_json::Value =
        serde_json::from_slice(&ward.read("models_registry.json")).unwrap();
    let runs: Vec<&String> = registry["models"].as_object().unwrap().keys().collect();
    assert_eq!(runs.len(), 2);
    let weights = runs
        .iter()
        .map(|run| ward.annals(&["show", run, "--format", "json"]).ok().json()["weights"].clone());
    let weights: Vec<_> = weights.collect();
    assert_eq!(weights[0], weights[1]);
}
