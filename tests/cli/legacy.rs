//! What the original tools got wrong, point by point, and the test that shows it does not happen
//! here: [`POINTS`] is the table. Points that no other file covers have their test below.

use crate::support::Workspace;
use crate::walk::agree;

/// What the old tools did, and the test of what happens instead.
const POINTS: &[(&str, &str)] = &[
    ("`latest` was debug: parts of words counted", "legacy::whole_words_of_the_name_classify"),
    ("the description made a production run debug", "legacy::whole_words_of_the_name_classify"),
    ("`_` hid `ultra_micro` from the rule", "legacy::whole_words_of_the_name_classify"),
    (
        "a wrong category stayed",
        "edit::whole_words_of_name_and_tags_classify_and_people_correct_it",
    ),
    ("perplexity and durations were maximised", "legacy::less_is_better_where_it_is"),
    ("data counts were logged as metrics", "legacy::what_is_no_score_is_best_at_nothing"),
    ("a missing metric was 0", "legacy::numbers_that_somebody_typed_are_no_candidate"),
    ("debug runs became candidates", "bad_input::debug_runs_are_not_promoted"),
    ("typed-in numbers became candidates", "legacy::numbers_that_somebody_typed_are_no_candidate"),
    ("candidates ignored the rules", "life::candidates_stand_beside_each_other_rule_by_rule"),
    ("promote checked no threshold", "legacy::a_class_that_is_never_found_is_not_promoted"),
    (
        "a class with F1 0.0 was in production",
        "legacy::a_class_that_is_never_found_is_not_promoted",
    ),
    ("promote asked nobody", "life::people_ask_approve_and_reject"),
    ("promote moved the folder away", "legacy::a_promoted_run_stays_whole_where_it_was"),
    ("a second promotion nested the folder", "legacy::a_promoted_run_stays_whole_where_it_was"),
    ("nothing said who promoted, or why", "legacy::a_promoted_run_stays_whole_where_it_was"),
    ("there was no way back", "production::a_model_is_replaced_demoted_and_brought_back"),
    (
        "the criteria of archiving were unused",
        "cleanup::the_plan_says_what_moves_and_why_and_is_then_carried_out",
    ),
    (
        "archiving was only marked",
        "cleanup::a_training_tidies_up_when_the_policy_or_the_user_says_so",
    ),
    ("the seven days were never looked at", "cleanup::failures_go_after_seven_days_and_not_before"),
    ("cleanup took folders for runs", "legacy::folders_that_are_no_runs_are_left_alone"),
    ("cleanup kept 1 or 2, as one called it", "legacy::folders_that_are_no_runs_are_left_alone"),
    (
        "manual archives counted as automatic",
        "archive::a_run_goes_into_each_archive_and_comes_back_as_it_was",
    ),
    ("names changed what was counted", "legacy::a_name_does_not_change_where_a_run_counts"),
    (
        "a registry without rules broke archiving",
        "legacy::a_registry_that_lost_its_keys_stops_nothing",
    ),
    ("a failure reached neither registry nor log", "legacy::a_failure_reaches_every_file"),
    ("a run was `running` for ever", "legacy::a_failure_reaches_every_file"),
    ("a best value of 0.0 was ignored", "legacy::zero_is_a_value"),
    ("best and final values were mixed", "legacy::the_best_are_compared_by_final_values"),
    ("the most stable model was never found", "again::repeated_runs_differ_by_their_seed_alone"),
    (
        "the critical recall was never read",
        "analysis::the_critical_class_comes_first_and_generated_data_allow_no_conclusion",
    ),
    (
        "the clinical analysis found no metric",
        "analysis::the_critical_class_comes_first_and_generated_data_allow_no_conclusion",
    ),
    (
        "the hash was of settings not yet final",
        "again::a_run_is_reproduced_bit_for_bit_from_its_record",
    ),
    ("a dirty tree did not show", "legacy::a_dirty_tree_shows"),
    (
        "snapshots had no digests, no restore",
        "snapshot::a_snapshot_has_what_git_keeps_or_would_take_and_brings_it_back",
    ),
    (
        "consolidating destroyed the record",
        "consolidate::the_best_stays_one_stands_for_its_series_and_the_others_leave_a_tombstone",
    ),
    ("test rows were training rows", "bad_input::duplicates_across_splits_are_leakage"),
    ("data were made without a seed", "life::the_same_seed_gives_the_same_weights"),
    (
        "an unknown label became class 0",
        "bad_input::data_that_cannot_be_used_is_refused_before_anything_is_recorded",
    ),
];

#[test]
fn every_point_has_its_test() {
    for (point, test) in POINTS {
        let (file, name) = test.split_once("::").unwrap();
        let path = format!("{}/tests/cli/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("#[test]\nfn {name}()")), "{point}: there is no {test}");
    }
}

fn json(ward: &Workspace, args: &[&str]) -> serde_json::Value {
    ward.annals(&[args, &["--format", "json"]].concat()).ok().json()
}

fn file(ward: &Workspace, name: &str) -> serde_json::Value {
    serde_json::from_slice(&ward.read(name)).unwrap()
}

/// A run of another trainer that reports `more` when it finishes.
fn reported(ward: &Workspace, name: &str, more: &[&str]) -> String {
    let run = ward.annals(&["run", "start", "--name", name]).ok().out.trim().to_owned();
    let measured = more.iter().filter(|word| word.contains('='));
    for metric in measured {
        ward.annals(&["run", "log", &run, metric]).ok();
    }
    ward.annals(&[&["run", "finish", &run], more].concat()).ok();
    run
}

#[test]
fn whole_words_of_the_name_classify() {
    let ward = Workspace::new();
    for (name, description, category) in [
        ("latest", "", "baseline"),
        ("contest", "protests", "baseline"),
        ("medium_cpu", "a minimal test of micro debugging", "baseline"),
        ("ultra_micro", "", "debug"),
        ("mock-7", "", "debug"),
        ("a_TEST", "", "debug"),
    ] {
        ward.annals(&["run", "start", "--name", name, "--description", description]).ok();
        assert_eq!(json(&ward, &["show", name])["category"], category, "{name}");
    }
}

#[test]
fn less_is_better_where_it_is() {
    let ward = Workspace::new();
    let run = ward.annals(&["run", "start", "--name", "forest"]).ok().out.trim().to_owned();
    for (loss, perplexity) in [("0.5", "90"), ("0.25", "60"), ("0.75", "75")] {
        let perplexity = format!("valid/perplexity:lower={perplexity}");
        let seconds = "valid/duration:lower=3";
        ward.annals(&["run", "log", &run, &format!("valid/loss={loss}"), &perplexity, seconds])
            .ok();
    }
    ward.annals(&["run", "finish", &run]).ok();
    let id = json(&ward, &["show", &run])["experiment_id"].as_str().unwrap().to_owned();
    let best = file(&ward, "models_registry.json")["models"][&id]["best_metrics"].clone();
    let expected = serde_json::json!(
        {"valid_duration": 3.0, "valid_loss": 0.25, "valid_perplexity": 60.0}
    );
    assert_eq!(best, expected);
}

#[test]
fn what_is_no_score_is_best_at_nothing() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    ward.allow_synthetic();
    for best in json(&ward, &["best"]).as_array().unwrap() {
        let metric = best["metric"].as_str().unwrap();
        assert!(!["rows", "parameters", "seconds", "bytes"].iter().any(|w| metric.contains(w)));
    }
    let run = json(&ward, &["show", "notes"]);
    assert!(run["rows"].is_array() && run["parameter_count"].is_u64(), "facts, not metrics");
}

#[test]
fn numbers_that_somebody_typed_are_no_candidate() {
    let ward = Workspace::new();
    let run = ward.annals(&["run", "start", "--name", "forest"]).ok().out.trim().to_owned();
    ward.annals(&["run", "finish", &run, "test/accuracy=0.6", "test/f1_macro=0.5"]).ok();
    let judged = ward.annals(&["candidates", &run]).ok().out;
    assert!(judged.contains("is not a candidate"), "{judged}");
    assert!(judged.contains("FAIL  evidence") && judged.contains("typed"), "{judged}");
    // No rows, no class by class scores: they do not count as met, nor as 0.
    assert!(judged.contains("FAIL  min_class_f1") && judged.contains("not measured"), "{judged}");
    ward.annals(&["promote", &run]).refused(5, "not measured");
}

#[test]
fn a_class_that_is_never_found_is_not_promoted() {
    let ward = Workspace::new();
    let confusion = r#"{"labels": ["calm", "risk"], "matrix": [[960, 0], [40, 0]]}"#;
    std::fs::write(ward.path("confusion.json"), confusion).unwrap();
    let run = reported(&ward, "forest", &["--confusion", "confusion.json"]);
    let judged = json(&ward, &["candidates", &run])[0].clone();
    let rules = judged["rules"].as_array().unwrap();
    let passed = |name: &str| rules.iter().find(|r| r["rule"] == name).unwrap()["passed"].clone();
    assert_eq!(passed("min_accuracy_threshold"), true);
    assert_eq!(passed("min_class_f1"), false);
    ward.annals(&["promote", &run]).refused(5, "0.0000, 0.0500 short (risk)");
    // The refusal is in the log with its numbers.
    let log = ward.annals(&["log", "--kind", "promotion.refused", "--format", "json"]).ok().out;
    assert!(log.contains("min_class_f1"), "{log}");
}

#[test]
fn a_promoted_run_stays_whole_where_it_was() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    ward.allow_synthetic();
    let home = json(&ward, &["show", "notes"])["folder"].as_str().unwrap().to_owned();
    let files = |folder: &str| {
        let mut names: Vec<_> =
            std::fs::read_dir(ward.path(folder)).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = files(&home);
    ward.annals(&["promote", "notes", "--reason", "the best so far"]).ok();
    ward.annals(&["promote", "notes"]).ok();
    assert_eq!(files(&home), before);
    assert_eq!(files("models/production"), ["notes_v1", "notes_v2"]);
    assert!(ward.path("models/production/notes_v2/model.safetensors").is_file());
    assert!(!ward.path("models/production/notes_v1/notes_v1").exists());
    let log = ward.annals(&["log", "--kind", "promotion.requested", "--format", "json"]).ok().out;
    assert!(log.contains("the best so far"), "{log}");
    let entry = &file(&ward, "models_registry_consolidated.json")["production_models"]["notes_v1"];
    assert_eq!(entry["promoted_by"], "mara (signed)");
    agree(&ward);
}

#[test]
fn folders_that_are_no_runs_are_left_alone() {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    for name in ["one", "two", "three"] {
        ward.train(name, &[]).ok();
        ward.annals(&["classify", name, "--as", "debug"]).ok();
    }
    ward.annals(&["archive", "one", "--type", "archive_debug"]).ok();
    let by_hand = ["experiments/baseline_micro_by_hand", "experiments/archive_debug/debug_notes"];
    for folder in by_hand {
        std::fs::create_dir_all(ward.path(folder)).unwrap();
        std::fs::write(ward.path(folder).join("metadata.json"), "{}").unwrap();
    }
    let plan = |how: &[&str]| {
        let plan = json(&ward, &[&["cleanup", "--dry-run"], how].concat());
        plan["moves"].as_array().unwrap().len()
    };
    assert_eq!((plan(&["--keep", "0"]), plan(&["--keep", "1"])), (2, 1));
    ward.annals(&["cleanup", "--keep", "0"]).ok();
    for folder in by_hand {
        assert!(ward.path(folder).join("metadata.json").is_file(), "{folder}");
    }
    let debug = ward.path("experiments/archive_debug");
    assert!(debug.is_dir() && !debug.join("archive_debug").exists());
    ward.annals(&["replay", "--check"]).ok();
    ward.annals(&["doctor"]).refused(9, "2 findings");
}

#[test]
fn a_name_does_not_change_where_a_run_counts() {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    for name in ["archive_notes", "archived", "debug_archive"] {
        ward.train(name, &[]).ok();
    }
    let counts = |ward: &Workspace| {
        let registry = file(ward, "models_registry_consolidated.json");
        let of = |key: &str| registry[key].as_object().unwrap().len();
        (
            of("active_experiments"),
            of("archived_experiments"),
            json(ward, &["status"])["archived"].clone(),
        )
    };
    assert_eq!(counts(&ward), (3, 0, 0.into()));
    ward.annals(&["archive", "archived", "--type", "archived"]).ok();
    assert_eq!(counts(&ward), (2, 1, 1.into()));
    // Wherever a run lies, it is found.
    for name in ["archive_notes", "archived", "debug_archive"] {
        json(&ward, &["show", name]);
    }
}

#[test]
fn a_registry_that_lost_its_keys_stops_nothing() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    std::fs::write(ward.path("models_registry_consolidated.json"), "{}").unwrap();
    let told = ward.annals(&["archive", "notes"]).ok().err;
    assert!(told.contains("models_registry_consolidated.json"), "{told}");
    let registry = file(&ward, "models_registry_consolidated.json");
    assert_eq!(registry["archived_experiments"].as_object().unwrap().len(), 1);
    assert!(registry["auto_archival_rules"]["production_promotion"].is_object());
    agree(&ward);
}

#[test]
fn a_failure_reaches_every_file() {
    let ward = Workspace::new();
    let run = ward.annals(&["run", "start", "--name", "forest"]).ok().out.trim().to_owned();
    let id = json(&ward, &["show", &run])["experiment_id"].as_str().unwrap().to_owned();
    let said = |ward: &Workspace| {
        let lines = String::from_utf8(ward.read("experiments_log.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        [
            last["status"].clone(),
            file(ward, "models_registry.json")["models"][&id]["status"].clone(),
            file(ward, "models_registry_consolidated.json")["active_experiments"][&id]["status"]
                .clone(),
        ]
    };
    assert_eq!(said(&ward), ["running"; 3]);
    ward.annals(&["run", "fail", &run, "--reason", "no memory"]).ok();
    assert_eq!(said(&ward), ["failed"; 3]);
    let shown = json(&ward, &["show", &run]);
    assert_eq!((&shown["status"], &shown["reason"]), (&"failed".into(), &"no memory".into()));
}

#[test]
fn zero_is_a_value() {
    let ward = Workspace::new();
    reported(&ward, "forest", &["test/accuracy=0", "test/loss=0"]);
    let best = json(&ward, &["best", "--all"]);
    let value = |role: &str| {
        let found = best.as_array().unwrap().iter().find(|best| best["role"] == role);
        found.unwrap_or_else(|| panic!("no {role} in {best}"))["value"].clone()
    };
    assert_eq!((value("highest_accuracy"), value("lowest_loss")), (0.0.into(), 0.0.into()));
}

#[test]
fn the_best_are_compared_by_final_values() {
    let ward = Workspace::new();
    let climbs = ward.annals(&["run", "start", "--name", "climbs"]).ok().out.trim().to_owned();
    // Better on the way than at its end.
    ward.annals(&["run", "log", &climbs, "test/accuracy=0.99"]).ok();
    ward.annals(&["run", "finish", &climbs, "test/accuracy=0.5"]).ok();
    reported(&ward, "steady", &["test/accuracy=0.75"]);
    let best = json(&ward, &["best", "--all"]);
    let name = best[0]["experiment_id"].as_str().unwrap();
    assert!(name.starts_with("steady_"), "{best}");
    assert_eq!((&best[0]["value"], &best[0]["runs"]), (&0.75.into(), &2.into()));
}

#[test]
fn a_dirty_tree_shows() {
    let ward = Workspace::new();
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=mara", "-c", "user.email=mara@ward"];
        let mut command = std::process::Command::new("git");
        let command = command.args(identity).args(args).current_dir(&ward.root);
        assert!(command.output().unwrap().status.success(), "{args:?}");
    };
    std::fs::write(ward.path("trainer.py"), "print(1)").unwrap();
    git(&["init", "--quiet"]);
    git(&["add", "trainer.py"]);
    git(&["commit", "--quiet", "-m", "a trainer"]);
    let dirty = |name: &str| {
        ward.annals(&["run", "start", "--name", name]).ok();
        let log = json(&ward, &["log", "--kind", "run.started"]);
        let of_run = |event: &&serde_json::Value| event["event"]["name"] == name;
        let event = log.as_array().unwrap().iter().find(of_run).unwrap().clone();
        event["event"]["environment"]["git"]["dirty"].clone()
    };
    std::fs::write(ward.path("trainer.py"), "print(2)").unwrap();
    assert_eq!(dirty("forest"), true);
}
