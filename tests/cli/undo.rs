//! The last own command is taken back by its reverse, or it is said why not.

use crate::support::Workspace;
use crate::walk::{agree, every_step};

fn undo(ward: &Workspace) -> serde_json::Value {
    ward.annals(&["undo", "--format", "json"]).ok().json()
}

/// Every field that an edit or a move may change.
fn facts(ward: &Workspace) -> Vec<serde_json::Value> {
    let shown = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    let keys = ["experiment_name", "category", "tags", "pinned", "folder", "weights"];
    keys.iter().map(|key| shown[*key].clone()).collect()
}

#[test]
fn each_command_is_taken_back_and_done_again() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    ward.annals(&["undo"]).refused(5, "cannot be undone");
    let commands: [&[&str]; 8] = [
        &["tag", "night", "+slow", "-toy"],
        &["pin", "night", "--reason", "the paper names it"],
        &["classify", "night", "--as", "debug"],
        &["archive", "night"],
        &["archive", "night", "--compress"],
        &["restore", "night"],
        &["unpin", "night"],
        &["policy", "set", "production_promotion.approvals", "2"],
    ];
    for command in commands {
        if command[0] == "unpin" {
            ward.annals(&["pin", "night"]).ok();
        }
        if command[0] == "restore" {
            ward.annals(&["archive", "night"]).ok();
        }
        let policy = |ward: &Workspace| ward.annals(&["policy", "show"]).ok().out;
        let rules = |text: String| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        let before = (facts(&ward), rules(policy(&ward)));
        ward.annals(command).ok();
        let after = (facts(&ward), rules(policy(&ward)));
        assert_ne!(before, after, "{command:?}");
        let planned = ward.annals(&["undo", "--dry-run", "--format", "json"]).ok().json();
        assert_eq!(planned["redo"], false, "{command:?}");
        assert_eq!((facts(&ward), rules(policy(&ward))), after, "a plan changes nothing");
        assert_eq!(undo(&ward)["by"], planned["by"]);
        assert_eq!((facts(&ward), rules(policy(&ward))), before, "{command:?} undone");
        let again = undo(&ward);
        assert_eq!(again["redo"], true, "{command:?}");
        assert_eq!((facts(&ward), rules(policy(&ward))), after, "{command:?} done again");
        undo(&ward);
        assert_eq!((facts(&ward), rules(policy(&ward))), before, "{command:?} undone twice");
    }
    agree(&ward);
}

#[test]
fn production_goes_back_and_forth() {
    let ward = Workspace::new();
    for name in ["night", "day"] {
        ward.train(name, &[]).ok();
    }
    ward.allow_synthetic();
    let production = |ward: &Workspace| {
        let status = ward.path("models/production");
        let mut found: Vec<_> = std::fs::read_dir(status)
            .map(|entries| entries.flatten().map(|e| e.file_name()).collect())
            .unwrap_or_default();
        found.sort();
        found
    };
    ward.annals(&["promote", "night", "--as", "ward"]).ok();
    undo(&ward);
    assert!(production(&ward).is_empty());
    undo(&ward);
    assert_eq!(production(&ward), ["ward"]);
    ward.annals(&["alias", "set", "champion", "ward"]).ok();
    let set =
        |ward: &Workspace| ward.annals(&["alias", "list"]).ok().out.contains("champion  ward");
    assert!(set(&ward));
    undo(&ward);
    assert!(!set(&ward));
    undo(&ward);
    assert!(set(&ward));
    ward.annals(&["demote", "ward", "--reason", "worse"]).ok();
    undo(&ward);
    assert_eq!(production(&ward), ["ward"]);
    agree(&ward);
}

#[test]
fn what_stands_and_what_came_after_is_said() {
    let ward = Workspace::new();
    ward.annals_as("ines", &["undo"]).refused(4, "ines has changed nothing yet");
    ward.train("night", &[]).ok();
    ward.annals(&["note", "night", "loss jumps"]).ok();
    ward.annals(&["undo"]).refused(5, "a note stays");
    ward.annals(&["tag", "night", "+slow"]).ok();
    ward.annals_as("ines", &["tag", "night", "+paper"]).ok();
    let refused = ward.annals(&["undo"]);
    assert!(refused.err.contains("(`annals tag night +paper`) came after it"), "{}", refused.err);
    refused.refused(5, "run.tagged at");
    // The refusal is in the log, and what somebody else did is theirs to take back.
    let log = ward.annals(&["log", "--kind", "invocation.finished", "--format", "json"]).ok();
    assert!(log.out.contains("came after it"), "{}", log.out);
    ward.annals_as("ines", &["undo"]).ok();
    ward.annals(&["undo"]).refused(5, "came after it");
    ward.annals(&["archive", "night", "--drop-weights"]).ok();
    ward.annals(&["undo"]).refused(5, "weights were not kept");
    agree(&ward);
}

#[test]
fn a_kill_at_every_step_of_undoing_leaves_it_done_or_not() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    ward.annals(&["tag", "night", "+slow"]).ok();
    every_step(&ward, &["undo"]);
    ward.annals(&["archive", "night"]).ok();
    every_step(&ward, &["undo"]);
}

#[test]
fn two_at_once_take_back_a_command_once() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let before = facts(&ward);
    ward.annals(&["tag", "night", "+slow"]).ok();
    let after = facts(&ward);
    let both = [1, 2].map(|_| ward.spawn(&["undo"]));
    let done = both.map(|mut child| child.wait().unwrap().success());
    // Either one is late and refused, or it undoes the other's undo.
    assert!(done.contains(&true));
    let end = facts(&ward);
    assert!(end == before || (end == after && done == [true, true]), "{end:?}");
    agree(&ward);
}

#[test]
fn a_reason_comes_back_with_its_pin_and_tags_in_their_order() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    let reasons = |ward: &Workspace| {
        let log = ward.annals(&["log", "--kind", "run.pinned", "--format", "json"]).ok().json();
        let events = log.as_array().unwrap().clone();
        events.iter().map(|event| event["event"]["reason"].clone()).collect::<Vec<_>>()
    };
    ward.annals(&["pin", "night", "--reason", "the paper names it"]).ok();
    undo(&ward);
    undo(&ward);
    ward.annals(&["unpin", "night"]).ok();
    undo(&ward);
    assert_eq!(reasons(&ward), vec!["the paper names it"; 3]);

    ward.annals(&["tag", "night", "+one", "+two", "+three"]).ok();
    let before = facts(&ward);
    ward.annals(&["tag", "night", "-one", "-three", "+four"]).ok();
    let by = undo(&ward)["by"].as_str().unwrap().to_owned();
    assert!(by.ends_with("one, two, three"), "{by}");
    assert_eq!(facts(&ward), before);
    agree(&ward);
}

#[test]
fn an_undo_waits_for_no_other() {
    let ward = Workspace::new();
    ward.train("night", &[]).ok();
    ward.annals(&["tag", "night", "+slow"]).ok();
    let lock = std::fs::File::create(ward.path(".annals/undo.lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = facts(&ward);
    ward.annals(&["undo"]).refused(6, "another `annals undo` is running");
    assert_eq!(facts(&ward), before);
    // What is only looked at waits for nobody.
    ward.annals(&["undo", "--dry-run"]).ok();
    drop(lock);
    ward.annals(&["undo"]).ok();
    assert_ne!(facts(&ward), before);
}
