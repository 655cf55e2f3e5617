//! Whose facts of a run count: its owner's, and of those it was shared with.

use crate::support::Workspace;

fn begun() -> Workspace {
    let ward = Workspace::new();
    ward.annals(&["run", "start", "--name", "night"]).ok();
    ward
}

fn log(ward: &Workspace, who: &str, step: &str) -> crate::support::Answer {
    ward.annals_as(who, &["run", "log", "night", "loss=0.5", "--step", step])
}

fn sound(ward: &Workspace) {
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn a_run_is_shared_by_whoever_began_it_and_no_longer() {
    let ward = begun();
    let refused = "begun by somebody else, and bob may not record facts of it";
    log(&ward, "bob", "1").refused(5, refused);
    ward.annals_as("bob", &["run", "share", "night", "bob"]).refused(5, "only they can share it");
    let plan = ward.annals(&["run", "share", "night", "bob", "--dry-run"]).ok();
    assert!(plan.out.contains("is shared: bob may record facts of it"), "{}", plan.out);
    log(&ward, "bob", "1").refused(5, refused);
    ward.annals(&["run", "share", "night", "bob"]).ok();
    log(&ward, "bob", "1").ok();
    log(&ward, "carol", "1").refused(5, "carol may not record facts of it");
    ward.annals_as("bob", &["run", "share", "night", "carol"]).refused(5, "only they can share it");
    std::fs::write(ward.path("notes.txt"), "seen").unwrap();
    let save = ["run", "save", "night", "notes.txt", "--as", "notes"];
    ward.annals_as("bob", &save).ok();
    let shown = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    assert_eq!(shown["shared_with"], serde_json::json!(["bob"]));
    assert_eq!(shown["recorded_by"], serde_json::json!(["bob"]));
    let text = ward.annals(&["show", "night"]).ok().out;
    assert!(text.contains("with bob") && text.contains("bob too"), "{text}");
    let same = ward.annals(&["run", "share", "night", "bob"]).ok();
    assert!(same.err.contains("Nothing changed"), "{}", same.err);
    ward.annals(&["run", "share", "night", "bob", "--stop"]).ok();
    log(&ward, "bob", "2").refused(5, refused);
    ward.annals(&["undo"]).ok();
    log(&ward, "bob", "2").ok();
    ward.annals(&["run", "finish", "night", "loss=0.5"]).ok();
    log(&ward, "bob", "3").refused(5, "only a running one");
    sound(&ward);
}

#[test]
fn the_policy_may_let_anybody_record_but_not_where_decisions_are_signed() {
    let ward = begun();
    ward.annals(&["policy", "set", "runs.others_may_record", "true"]).ok();
    log(&ward, "bob", "1").ok();
    let shown = ward.annals(&["log", "--run", "night", "--format", "json"]).ok().out;
    assert!(shown.contains("\"actor\": \"bob\""), "{shown}");
    sound(&ward);
    ward.annals(&["policy", "set", "production_promotion.approvals_signed", "true"]).ok();
    log(&ward, "bob", "2").refused(5, "bob may not record facts of it");
    // With a key that counts, and only with one, it can be shared there.
    ward.annals(&["run", "share", "night", "bob"]).ok();
    sound(&ward);
}

/// Whoever signs a log checkpoint vouches for all before it, and is told of what others appended.
#[test]
fn who_signs_is_told_what_of_others_is_covered() {
    let ward = begun();
    let quiet = ward.annals(&["note", "night", "mine"]).ok();
    assert!(!quiet.err.contains("log checkpoint"), "{}", quiet.err);
    // In an account of his own he has no key, and signs no log checkpoint.
    let home = ward.path("../bob");
    std::fs::create_dir_all(home.join(".config/annals")).unwrap();
    std::fs::rename(ward.pin_alone(), home.join(".config/annals/keys")).unwrap();
    let bob = |text: &str| {
        let account = [("HOME", home.to_str().unwrap()), ("ANNALS_ACTOR", "bob")];
        ward.annals_with(&account, &["note", "night", text]).ok();
    };
    bob("seen");
    let told = ward.annals(&["note", "night", "mine too"]).ok();
    assert!(
        told.err.contains("your log checkpoint also covers 4 events by bob (claimed)"),
        "{}",
        told.err
    );
    let once = ward.annals(&["note", "night", "and this"]).ok();
    assert!(!once.err.contains("log checkpoint"), "{}", once.err);

    ward.annals(&["policy", "set", "log_checkpoints.only_signed_events", "true"]).ok();
    bob("again");
    let tail = || {
        let status = ward.annals(&["status", "--format", "json"]).ok().json();
        status["unsigned_tail"].as_u64().unwrap()
    };
    for _ in 0..2 {
        let unsigned = ward.annals(&["note", "night", "not covered"]).ok();
        assert!(unsigned.err.contains("no log checkpoint is signed"), "{}", unsigned.err);
        assert!(unsigned.err.contains("by bob (claimed)"), "{}", unsigned.err);
    }
    assert!(tail() >= 8, "{}", tail());
    ward.train("dawn", &[]).ok();
    assert!(tail() >= 20, "{}", tail());
    ward.annals(&["policy", "set", "log_checkpoints.only_signed_events", "false"]).ok();
    ward.annals(&["note", "night", "covered"]).ok();
    assert_eq!(tail(), 0);
    sound(&ward);
}

/// The events of a run that are not signed.
fn unsigned(ward: &Workspace, run: &str) -> Vec<String> {
    let listed = ward.annals(&["log", "--run", run, "--format", "json"]).ok().json();
    let events = listed["events"].as_array().unwrap_or_else(|| listed.as_array().unwrap());
    let unsigned = events.iter().filter(|event| event["identity"] != "signed");
    unsigned.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn where_decisions_are_signed_so_is_all_that_a_run_records() {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "production_promotion.approvals_signed", "true"]).ok();
    let script = "for step in 1 2 3; do echo \"step $step loss=0.$step\"; done";
    ward.annals(&["run", "exec", "--name", "script", "--", "sh", "-c", script]).ok();
    ward.train("night", &[]).ok();
    for run in ["script", "night"] {
        assert_eq!(unsigned(&ward, run), Vec::<String>::new(), "{run}");
    }
    sound(&ward);
    // Somebody without a key has nothing to sign with.
    ward.annals(&["run", "start", "--name", "shared"]).ok();
    ward.annals(&["run", "share", "shared", "bob"]).ok();
    let log = |who: &str| ward.annals_as(who, &["run", "log", "shared", "loss=0.5", "--step", "1"]);
    log("bob").refused(5, "bob has no key here to sign what is recorded of it");
    ward.annals(&["actor", "add", "bob"]).ok();
    log("bob").ok();
    ward.annals(&["run", "finish", "shared", "loss=0.5"]).ok();
    assert_eq!(unsigned(&ward, "shared"), Vec::<String>::new());
    sound(&ward);
}

#[test]
fn final_values_include_points_of_whoever_a_run_was_shared_with() {
    let ward = begun();
    ward.annals(&["run", "log", "night", "loss=0.5", "--step", "1"]).ok();
    ward.annals(&["run", "share", "night", "bob"]).ok();
    ward.annals_as("bob", &["run", "log", "night", "loss=0.25", "--step", "2"]).ok();
    ward.annals(&["run", "finish", "night"]).ok();
    let shown = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    assert!(shown["metrics"].to_string().contains("0.25"), "{}", shown["metrics"]);
    sound(&ward);
}
