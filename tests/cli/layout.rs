//! Layouts: both hold runs, archives and models where their users look for them, and a workspace
//! goes from one to the other whole.

use crate::support::Workspace;
use crate::walk::agree;

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
