//! The files that old readers know: every key they look for is there, with the type they expect.

use serde_json::Value;

use crate::support::Workspace;

/// Keys as the old tools write and read them, `*` for any name, and what each may be.
const MODELS_REGISTRY: &[(&str, &str)] = &[
    ("project_name", "string"),
    ("created_at", "string"),
    ("models/*/experiment_name", "string"),
    ("models/*/final_metrics/accuracy", "number"),
    ("models/*/final_metrics/f1_macro", "number"),
    ("models/*/best_metrics", "object"),
    ("models/*/completed_at", "string"),
    ("models/*/config_hash", "string"),
    ("models/*/status", "string"),
    ("best_models/highest_accuracy", "object"),
    ("best_models/best_f1_macro", "object"),
    ("best_models/best_critical_recall", "object"),
    ("best_models/most_stable", "object"),
];

const CONSOLIDATED: &[(&str, &str)] = &[
    ("project_name", "string"),
    ("created_at", "string"),
    ("last_updated", "string"),
    ("consolidation_date", "string"),
    ("consolidation_version", "string"),
    ("production_models/*/path", "string"),
    ("production_models/*/original_experiment", "string"),
    ("production_models/*/architecture/name", "string"),
    ("production_models/*/architecture/num_classes", "number"),
    ("production_models/*/performance/accuracy", "number"),
    ("production_models/*/performance/f1_macro", "number"),
    ("production_models/*/performance/f1_depression", "number"),
    ("production_models/*/performance/f1_anxiety", "number"),
    ("production_models/*/status", "string"),
    ("production_models/*/recommendation", "string"),
    ("production_models/*/training_completed", "string"),
    ("production_models/*/promoted_at", "string"),
    ("archived_models/*", "object"),
    ("debug_models/*", "object"),
    ("model_recommendations/production_deployment", "string"),
    ("consolidation_summary/total_experiments", "number"),
    ("next_steps/*", "string"),
    ("active_experiments/*/experiment_name", "string"),
    ("active_experiments/*/created_at", "string"),
    ("active_experiments/*/experiment_category", "string"),
    ("active_experiments/*/status", "string"),
    ("active_experiments/*/completed_at", "string"),
    ("active_experiments/*/final_metrics", "object"),
    ("active_experiments/*/promotion_candidate", "boolean"),
    ("active_experiments/*/archival_pending", "boolean"),
    ("archived_experiments/*/experiment_name", "string"),
    ("archived_experiments/*/archived_at", "string"),
    ("archived_experiments/*/archive_location", "string"),
    ("auto_archival_rules/debug_experiments/enabled", "boolean"),
    ("auto_archival_rules/debug_experiments/criteria/*", "string"),
    ("auto_archival_rules/debug_experiments/min_experiments_before_archive", "number"),
    ("auto_archival_rules/debug_experiments/archive_location", "string"),
    ("auto_archival_rules/production_promotion/enabled", "boolean"),
    ("auto_archival_rules/production_promotion/min_accuracy_threshold", "number"),
    ("auto_archival_rules/production_promotion/min_f1_macro_threshold", "number"),
    ("auto_archival_rules/production_promotion/require_manual_approval", "boolean"),
    ("tracking_metadata/tracking_version", "string"),
    ("tracking_metadata/total_experiments_tracked", "number"),
    ("tracking_metadata/experiments_promoted_to_production", "number"),
    ("tracking_metadata/experiments_auto_archived", "number"),
];

const CONSOLIDATION_LOG: &[(&str, &str)] = &[
    ("consolidation_metadata/last_archive_date", "string"),
    ("consolidation_actions/pending_archive_moves/to_archive_debug", "array"),
    ("consolidation_actions/pending_archive_moves/to_archive_baseline", "array"),
    ("consolidation_actions/completed_archive_moves/*/from", "string"),
    ("consolidation_actions/completed_archive_moves/*/to", "string"),
    ("consolidation_actions/completed_archive_moves/*/category", "string"),
    ("consolidation_actions/completed_archive_moves/*/timestamp", "string"),
    ("consolidation_actions/archive_errors", "array"),
];

const EXPERIMENTS_LOG: &[(&str, &str)] = &[
    ("experiment_id", "string"),
    ("timestamp", "string"),
    ("experiment_name", "string"),
    ("description", "string"),
    ("config_hash", "string"),
    ("tags", "array"),
    ("status", "string"),
    ("experiment_category", "string"),
    ("tracking_version", "string"),
];

/// Everything that `path` reaches, which is at least one thing.
fn reached<'a>(from: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('/').fold(vec![from], |at, part| match part {
        "*" => {
            let members = |value: &'a Value| -> Vec<&'a Value> {
                let listed = value.as_array().into_iter().flatten();
                listed.chain(value.as_object().into_iter().flat_map(|o| o.values())).collect()
            };
            at.into_iter().flat_map(members).collect()
        }
        key => at.into_iter().map(|value| &value[key]).collect(),
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check(name: &str, file: &Value, keys: &[(&str, &str)]) {
    for (path, expected) in keys {
        let found = reached(file, path);
        assert!(!found.is_empty(), "{name}: nothing at {path}");
        for value in found {
            assert_eq!(kind(value), *expected, "{name}: {path} is {value}");
        }
    }
}

#[test]
fn every_key_that_the_old_readers_look_for_is_there() {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    ward.annals(&["policy", "set", "production_promotion.critical_class", "suicide_risk"]).ok();
    ward.allow_synthetic();
    for seed in ["1", "2", "3"] {
        ward.train("night", &["--seed", seed]).ok();
    }
    ward.train("try_debug", &[]).ok();
    ward.annals(&["classify", "try_debug", "--as", "debug"]).ok();
    ward.train("other", &[]).ok();
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let second = runs[3]["experiment_id"].as_str().unwrap();
    ward.annals(&["promote", second, "--as", "ward"]).ok();
    ward.annals(&["archive", "try_debug", "--type", "archive_debug"]).ok();
    ward.annals(&["archive", "other", "--type", "archive_baseline"]).ok();
    let file = |name: &str| serde_json::from_slice::<Value>(&ward.read(name)).unwrap();
    check("models_registry.json", &file("models_registry.json"), MODELS_REGISTRY);
    let consolidated = "models_registry_consolidated.json";
    check(consolidated, &file(consolidated), CONSOLIDATED);
    let log = "experiment_consolidation_log.json";
    check(log, &file(log), CONSOLIDATION_LOG);
    let lines = String::from_utf8(ward.read("experiments_log.jsonl")).unwrap();
    // One when it begins, one when it ends.
    assert_eq!(lines.lines().count(), 10);
    for line in lines.lines() {
        check("experiments_log.jsonl", &serde_json::from_str(line).unwrap(), EXPERIMENTS_LOG);
    }
    for (name, schema) in annals::projection::files::schemas() {
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&file(name)).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    // What is in production and would not get there any more is named.
    let model = |key: &str| file(consolidated)["production_models"]["ward"][key].clone();
    assert_eq!(model("status"), "production_ready");
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "1000000"]).ok();
    assert_eq!(model("status"), "needs_tuning");
    assert!(model("recommendation").as_str().unwrap().starts_with("min_test_rows asks"));
}
