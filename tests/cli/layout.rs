//! Layouts: both hold runs, archives and models where their users look for them, and a workspace
//! goes from one to the other whole.

use crate::support::Workspace;
use crate::walk::{agree, every_step};

fn folder(ward: &Workspace, run: &str) -> String {
    let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
    shown["folder"].as_str().unwrap().to_owned()
}

fn guide() -> Workspace {
    let ward = Workspace::bare();
    ward.annals(&["init", "--layout", "training-output"]).ok();
    ward
}

#[test]
fn training_output_has_the_folders_of_the_guide() {
    let ward = guide();
    ward.train("simplified", &[]).ok();
    let today = ward.annals(&["show", "simplified"]).ok().out;
    let home = folder(&ward, "simplified");
    let (parent, name) = home.rsplit_once('/').unwrap();
    assert_eq!(parent, "training/experiments/active", "{today}");
    let date: String = name.chars().take(10).collect();
    assert_eq!(name, format!("{date}_toy_simplified"));
    assert_eq!(date.chars().filter(|c| *c == '-').count(), 2);
    // The same name on the same day takes a number, and so does its id.
    ward.train("simplified", &[]).ok();
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let second = runs[0]["experiment_id"].as_str().unwrap().to_owned();
    assert_eq!(folder(&ward, &second), format!("{home}_2"));
    assert!(!ward.path("experiments").exists() && !ward.path("models").exists());

    ward.annals(&["archive", &second, "--type", "archive_debug"]).ok();
    assert_eq!(folder(&ward, &second), format!("training/experiments/archived/{name}_2"));
    agree(&ward);
    ward.annals(&["restore", &second]).ok();
    assert_eq!(folder(&ward, &second), format!("{home}_2"));
    // The metric is the version.
    ward.allow_synthetic();
    let first = runs[1]["experiment_id"].as_str().unwrap();
    ward.annals(&["promote", first]).ok();
    let shown = ward.annals(&["show", first, "--format", "json"]).ok().json();
    let auc = shown["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .find(|metric| metric["key"]["name"] == "roc_auc" && metric["key"]["split"] == "test");
    let model = format!("toy_v{:.4}", auc.unwrap()["value"].as_f64().unwrap());
    assert!(ward.path(&format!("model_weights/production/{model}/labels.json")).is_file());
    ward.annals(&["predict", &model, "a calm night"]).ok();
    // One of the same value is called by its day as well.
    ward.annals(&["promote", &second]).ok();
    let dated = format!("{model}_{}", date.replace('-', ""));
    assert!(ward.path(&format!("model_weights/production/{dated}")).is_dir());
    agree(&ward);
}

#[test]
fn the_variables_move_folders_inside_the_workspace_only() {
    let ward = guide();
    let train = ["train", "--config", "toy", "--name", "night", "--sample-size", "600"];
    let moved = [("TRAINING_DIR", "./out"), ("MODEL_WEIGHTS_DIR", "./weights/live/")];
    ward.annals_with(&moved, &train).ok();
    assert!(folder(&ward, "night").starts_with("out/experiments/active/"));
    let elsewhere = [("EXPERIMENT_DIR", "try-outs")];
    let day = ["train", "--config", "toy", "--name", "day", "--sample-size", "600"];
    ward.annals_with(&elsewhere, &day).ok();
    assert!(folder(&ward, "day").starts_with("try-outs/"));
    agree(&ward);
    for outside in ["/tmp", "../elsewhere", "."] {
        let answer = ward.annals_with(&[("TRAINING_DIR", outside)], &["list"]);
        answer.refused(2, &format!("TRAINING_DIR={outside} leaves the workspace"));
    }
    // The other layout has no such variables.
    let plain = Workspace::new();
    plain.annals_with(&[("EXPERIMENT_DIR", "try-outs")], &train).ok();
    assert!(folder(&plain, "night").starts_with("experiments/night_"));
}

#[test]
fn models_of_lower_auc_are_found() {
    let ward = guide();
    for name in ["night_v1", "night_v2", "night_v3"] {
        ward.train(name, &[]).ok();
    }
    let plan = ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json();
    let rows = plan["plan"]["rows"].as_array().unwrap();
    let mut actions: Vec<&str> = rows.iter().map(|r| r["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["archive", "keep", "remove"]);
    assert!(
        rows.iter().all(|row| row["reason"].as_str().unwrap().contains("roc_auc 0.")),
        "{plan}"
    );
    ward.annals(&["consolidate", "apply", plan["plan_digest"].as_str().unwrap()]).ok();
    agree(&ward);
}

/// Runs in every place, one of them packed, and a model that is its second version.
fn lived_in() -> Workspace {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    ward.allow_synthetic();
    for name in ["one", "two", "three", "one"] {
        ward.train(name, &[]).ok();
    }
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let second = runs[0]["experiment_id"].as_str().unwrap();
    ward.annals(&["promote", second, "--as", "night"]).ok();
    ward.annals(&["promote", "three", "--as", "night", "--replace"]).ok();
    ward.annals(&["archive", "two", "--compress", "--drop-weights"]).ok();
    ward
}

fn places(ward: &Workspace) -> Vec<(String, String)> {
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let id = |run: &serde_json::Value| run["experiment_id"].as_str().unwrap().to_owned();
    runs.as_array().unwrap().iter().map(|run| (id(run), folder(ward, &id(run)))).collect()
}

#[test]
fn a_workspace_goes_to_the_other_layout_and_comes_back_as_it_was() {
    let ward = lived_in();
    let before = places(&ward);
    let planned = ward.annals(&["layout", "migrate", "training-output", "--dry-run"]).ok();
    assert!(planned.out.contains("training/experiments/active/"), "{}", planned.out);
    assert!(planned.err.contains("5 folders would move"), "{}", planned.err);
    assert_eq!(places(&ward), before);

    ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    agree(&ward);
    assert!(!ward.path("experiments").exists() && !ward.path("models").exists());
    assert!(ward.path("model_weights/production/night/labels.json").is_file());
    let there = places(&ward);
    for ((id, folder), (same, _)) in there.iter().zip(&before) {
        assert_eq!(id, same);
        let parent = if id.starts_with("two") { "archived" } else { "active" };
        assert!(folder.starts_with(&format!("training/experiments/{parent}/")), "{folder}");
        assert!(ward.path(folder).is_dir());
    }
    let shown = ward.annals(&["layout", "show"]).ok().out;
    assert!(shown.contains("training-output") && !shown.contains("elsewhere"), "{shown}");
    // Life goes on there.
    ward.annals(&["predict", "night", "a calm night"]).ok();
    ward.annals(&["restore", "two"]).ok();
    ward.annals(&["archive", "two"]).ok();
    ward.annals(&["rollback", "night", "--reason", "the old one was better"]).ok();
    ward.train("four", &[]).ok();
    assert!(folder(&ward, "four").starts_with("training/experiments/active/"));
    agree(&ward);
    let again = ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    assert!(again.err.contains("everything is where"), "{}", again.err);

    ward.annals(&["layout", "migrate", "consolidated", "--apply"]).ok();
    agree(&ward);
    assert!(!ward.path("training").exists() && !ward.path("model_weights").exists());
    let back = places(&ward);
    assert_eq!(back[1..], before[..]);
    assert_eq!(back[0].1, format!("experiments/{}", back[0].0));
    let kinds = ward.annals(&["log", "--kind", "layout.changed", "--format", "json"]).ok().out;
    assert!(kinds.contains("training-output") && kinds.contains("consolidated"), "{kinds}");
}

#[test]
fn a_migration_is_refused_where_a_place_is_taken_or_a_run_is_under_way() {
    let ward = lived_in();
    std::fs::create_dir_all(ward.path("model_weights/production/night")).unwrap();
    let answer = ward.annals(&["layout", "migrate", "training-output", "--apply"]);
    answer.refused(6, "exists already");
    agree(&ward);
    std::fs::remove_dir(ward.path("model_weights/production/night")).unwrap();
    ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    agree(&ward);
    ward.annals(&["run", "start", "--name", "script"]).ok();
    let answer = ward.annals(&["layout", "migrate", "consolidated", "--apply"]);
    answer.refused(6, "is running in training/experiments/active/");
}

#[test]
fn a_migration_is_killed_at_every_step() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("one", &[]).ok();
    ward.annals(&["promote", "one", "--as", "night"]).ok();
    every_step(&ward, &["layout", "migrate", "training-output", "--apply"]);
}

#[test]
fn two_processes_migrate() {
    let ward = lived_in();
    let migrate = ["layout", "migrate", "training-output", "--apply"];
    let both = [0, 1].map(|_| ward.spawn(&migrate));
    let codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
    assert!(codes.iter().all(|code| [0, 6, 7].contains(code)), "{codes:?}");
    agree(&ward);
    ward.annals(&migrate).ok();
    agree(&ward);
    assert!(ward.path("model_weights/production/night/labels.json").is_file());
}

#[test]
fn a_layout_is_not_left_with_folders_of_its_own() {
    let ward = Workspace::bare();
    ward.annals(&["init", "--project", "ward"]).ok();
    let settings = ward.path("annals.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}\n[paths]\nexperiments = \"tries\"\n")).unwrap();
    ward.train("night", &[]).ok();
    assert!(folder(&ward, "night").starts_with("tries/"));
    for how in [
        &["layout", "migrate", "training-output"][..],
        &["layout", "migrate", "training-output", "--apply"],
    ] {
        ward.annals(how).refused(6, "experiments = \"tries\" under [paths]");
    }
    assert!(std::fs::read_to_string(&settings).unwrap().contains("tries"));
    // As the hint says: without it everything moves from where it is.
    std::fs::write(&settings, text).unwrap();
    ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    assert!(folder(&ward, "night").starts_with("training/experiments/active/"));
    assert!(!ward.path("tries").exists());
    agree(&ward);
}

#[test]
fn a_model_demoted_before_a_migration_comes_back_in_the_new_layout() {
    let ward = lived_in();
    ward.annals(&["demote", "night", "--reason", "it erred"]).ok();
    ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    ward.annals(&["rollback", "night", "--to", "1", "--reason", "no other"]).ok();
    assert!(ward.path("model_weights/production/night/model.safetensors").is_file());
    assert!(!ward.path("models").exists());
    agree(&ward);
    ward.annals(&["rollback", "night", "--to", "2", "--reason", "better after all"]).ok();
    assert!(ward.path("model_weights/production/night/model.safetensors").is_file());
    ward.annals(&["predict", "night", "a calm night"]).ok();
    agree(&ward);
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn a_kill_at_every_step_of_that_return_leaves_it_done_or_not() {
    let ward = lived_in();
    ward.annals(&["demote", "night", "--reason", "it erred"]).ok();
    ward.annals(&["layout", "migrate", "training-output", "--apply"]).ok();
    every_step(&ward, &["rollback", "night", "--to", "1", "--reason", "no other"]);
}
