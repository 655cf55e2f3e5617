//! What people say of runs: categories, tags, notes, pins and names.

use crate::support::Workspace;
use crate::walk::{agree, every_step};

fn registry(ward: &Workspace) -> serde_json::Value {
    serde_json::from_slice(&ward.read("models_registry_consolidated.json")).unwrap()
}

/// The old tools matched parts of words, read the description, and could not be corrected.
#[test]
fn whole_words_of_name_and_tags_classify_and_people_correct_it() {
    let ward = Workspace::new();
    let train = |name: &str, more: &[&str]| {
        let args = [
            "train",
            "--config",
            "toy",
            "--name",
            name,
            "--sample-size",
            "600",
            "--set",
            "tags=[]",
        ];
        ward.annals(&[&args[..], more].concat()).ok();
    };
    train("latest", &["--description", "a minimal test"]);
    train("ultra_micro", &[]);
    train("medium_smoke_test", &["--tags", "production"]);
    let listed = ward.annals(&["list", "--format", "json"]).ok().json();
    let category = |at: usize| listed[at]["category"].as_str().unwrap().to_owned();
    assert_eq!([category(2), category(1), category(0)], ["baseline", "debug", "baseline"]);
    let shown = ward.annals(&["show", "ultra_micro"]).ok().out;
    assert!(shown.contains("debug (debug word in the name: micro, ultra-micro)"), "{shown}");

    let told = ward.annals(&["classify", "latest", "--as", "debug"]).ok().out;
    assert!(told.contains("is a debug run (chosen by the user)"), "{told}");
    ward.annals(&["tag", "latest", "+baseline", "+night"]).ok();
    let shown = ward.annals(&["show", "latest", "--format", "json"]).ok().json();
    assert_eq!(shown["category"], "debug");
    assert_eq!(shown["tags"], serde_json::json!(["baseline", "night"]));
    let told = ward.annals(&["classify", "latest"]).ok().out;
    assert!(told.contains("is a baseline run (baseline tag: baseline)"), "{told}");
    let events = ward.annals(&["log", "--kind", "run.classified", "--format", "json"]).ok().json();
    let last = &events.as_array().unwrap()[0];
    assert_eq!(last["event"]["policy_revision"], 0, "{last}");
    ward.annals(&["replay", "--check"]).ok();
    ward.annals(&["doctor"]).ok();
}

#[test]
fn names_notes_and_pins_stay_with_the_run_and_reach_the_registry() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let before = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    ward.annals(&["rename", "night", "night-shift"]).ok();
    ward.annals(&["note", "night-shift", "loss jumps at step 40"]).ok();
    ward.annals(&["pin", "night-shift", "--reason", "the paper names it"]).ok();
    ward.annals(&["tag", "night-shift", "+paper"]).ok();
    ward.annals(&["tag", "night-shift", "-paper", "+print"]).ok();
    let after = ward.annals(&["show", "night-shift", "--format", "json"]).ok().json();
    for same in ["run_id", "experiment_id", "folder", "weights"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!(after["experiment_name"], "night-shift");
    assert_eq!(after["notes"][0]["text"], "loss jumps at step 40");
    assert_eq!(after["pinned"], true);
    assert_eq!(after["tags"], serde_json::json!(["toy", "minimal", "print"]));
    let id = after["experiment_id"].as_str().unwrap();
    assert_eq!(registry(&ward)["active_experiments"][id]["experiment_name"], "night-shift");
    // Both names find it while nothing else has them; the unique name always does.
    ward.annals(&["show", id]).ok();

    let events = |ward: &Workspace| {
        ward.annals(&["status", "--format", "json"]).ok().json()["events"].as_u64().unwrap()
    };
    let size = events(&ward);
    let same = ward.annals(&["pin", "night-shift"]).ok();
    assert!(same.err.contains("has this state already"), "{}", same.err);
    // The use of the verb is recorded, nothing else.
    assert_eq!(events(&ward), size + 2);
    ward.annals(&["unpin", "night-shift"]).ok();
    ward.annals(&["tag", "night-shift", "-paper"]).refused(4, "there is no tag \"paper\"");
    ward.annals(&["tag", "night-shift", "paper"]).refused(2, "neither +TAG nor -TAG");
    ward.annals(&["rename", "night-shift", "../x"]).refused(2, "the new name");
    ward.annals(&["note", "night-shift", ""]).refused(2, "it is empty");
    ward.annals(&["pin", "day"]).refused(4, "there is no run");
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn a_kill_at_every_step_of_saying_something_leaves_it_said_or_not() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    every_step(&ward, &["classify", "night", "--as", "debug"]);
    every_step(&ward, &["tag", "night", "+slow"]);
    every_step(&ward, &["note", "night", "loss jumps at step 40"]);
    every_step(&ward, &["pin", "night"]);
}

#[test]
fn two_at_once_tag_a_run_one_after_the_other() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let both = ["+slow", "+fast"].map(|tag| ward.spawn(&["tag", "night", tag]));
    let done = both.map(|mut child| child.wait().unwrap().success());
    assert_eq!(done, [true, true]);
    let shown = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    assert_eq!(shown["tags"].as_array().unwrap().len(), 4);
    agree(&ward);
}
