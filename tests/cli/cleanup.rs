//! Housekeeping: on demand, after a run, and when failures are old enough.

use crate::support::Workspace;
use crate::walk::{agree, every_step};

/// Four try-outs, the third of them pinned, without housekeeping in between.
fn try_outs() -> Workspace {
    let ward = Workspace::new();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    for name in ["one", "two", "three", "four"] {
        train(&ward, name, &[]);
    }
    ward.annals(&["pin", "two"]).ok();
    ward
}

fn train(ward: &Workspace, name: &str, more: &[&str]) -> String {
    let args = ["train", "--config", "toy", "--name", name, "--sample-size", "600"];
    ward.annals(&[&args[..], more].concat()).ok().err
}

fn place(ward: &Workspace, name: &str) -> String {
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    let runs = runs.as_array().unwrap();
    let run = runs.iter().find(|run| run["experiment_name"] == name).unwrap();
    run["place"].as_str().unwrap().to_owned()
}

fn registry(ward: &Workspace) -> serde_json::Value {
    serde_json::from_slice(&ward.read("models_registry_consolidated.json")).unwrap()
}

/// The old rule counted folders by the beginning of their names, took the folder of the archive
/// for a run, and only marked what it should have moved.
#[test]
fn the_plan_says_what_moves_and_why_and_is_then_carried_out() {
    let ward = try_outs();
    let planned = ward.annals(&["cleanup", "--keep", "1", "--dry-run", "--format", "json"]).ok();
    let planned = planned.json();
    let moves = planned["moves"].as_array().unwrap();
    let names: Vec<_> = moves
        .iter()
        .map(|m| (m["experiment_id"].as_str().unwrap().split('_').next().unwrap(), &m["stays"]))
        .collect();
    let stays = serde_json::json!("pinned");
    let goes = serde_json::Value::Null;
    assert_eq!(names, [("three", &goes), ("two", &stays), ("one", &goes)]);
    assert!(moves[0]["bytes"].as_u64().unwrap() > 1_000);
    assert_eq!(moves[0]["reason"], "a debug run, and not among the 1 newest");
    assert_eq!(place(&ward, "one"), "active");

    let done = ward.annals(&["cleanup", "--keep", "1", "--compress", "--drop-weights"]).ok();
    assert!(done.err.contains("2 runs have moved"), "{}", done.err);
    let places = ["one", "two", "three", "four"].map(|name| place(&ward, name));
    assert_eq!(places, ["archive_debug", "active", "archive_debug", "active"]);
    let archived = &registry(&ward)["archived_experiments"];
    let entries = archived.as_object().unwrap();
    assert!(entries.values().all(|e| e["automatic"] == true && e["policy_revision"] == 1));
    assert!(entries.values().all(|e| e["bytes_saved"].as_u64().unwrap() > 0));
    assert_eq!(registry(&ward)["tracking_metadata"]["experiments_auto_archived"], 2);
    agree(&ward);
    // Once more: nothing is left to do, and the archive itself is not taken for a run.
    let again = ward.annals(&["cleanup", "--keep", "1", "--format", "json"]).ok().json();
    assert_eq!(again["moves"].as_array().unwrap().len(), 1);
    agree(&ward);
}

#[test]
fn a_training_tidies_up_when_the_policy_or_the_user_says_so() {
    let ward = try_outs();
    assert_eq!(place(&ward, "one"), "active");
    let told = train(&ward, "five", &["--auto-archive-debug"]);
    assert!(told.contains("is in archive_debug now"), "{told}");
    let places = ["one", "two", "three"].map(|name| place(&ward, name));
    assert_eq!(places, ["archive_debug", "active", "active"]);
    ward.annals(&["policy", "set", "debug_experiments.enabled", "true"]).ok();
    // What would move with the next run is marked, what is held is not.
    ward.annals(&["policy", "set", "debug_experiments.min_experiments_before_archive", "2"]).ok();
    let registry = registry(&ward);
    let pending = registry["active_experiments"].as_object().unwrap().values();
    let pending: Vec<_> = pending
        .filter(|run| run["archival_pending"] == true)
        .map(|run| run["experiment_name"].as_str().unwrap())
        .collect();
    assert_eq!(pending, ["three"]);
    train(&ward, "six", &["--category", "baseline"]);
    let places = ["one", "two", "three", "four"].map(|name| place(&ward, name));
    assert_eq!(places, ["archive_debug", "active", "archive_debug", "active"]);
    agree(&ward);
}

/// The old tools knew the seven days and never counted them.
#[test]
fn failures_go_after_seven_days_and_not_before() {
    let ward = Workspace::new();
    ward.train("bad", &["--set", "toy.fail_at_step=5"]).refused(8, "asked to fail");
    let after = |days: i64| {
        let now = annals::base::Env::system().now();
        now.plus_nanos(days * 86_400 * 1_000_000_000).to_string()
    };
    ward.annals_at(&after(6), 1, &["cleanup"]).ok();
    assert_eq!(place(&ward, "bad"), "active");
    ward.annals_at(&after(8), 2, &["cleanup"]).ok();
    assert_eq!(place(&ward, "bad"), "archive_baseline");
    let shown = ward.annals(&["show", "bad"]).ok().out;
    assert!(shown.contains("by failed_experiments (policy revision 0): it failed 8.0 days ago"));
    agree(&ward);
}

#[test]
fn mov_1_a_kill_at_every_step_of_tidying_up_loses_nothing() {
    every_step(&try_outs(), &["cleanup", "--keep", "1"]);
}

#[test]
fn two_at_once_tidy_up_once() {
    let ward = try_outs();
    let both = [0, 1].map(|_| ward.spawn(&["cleanup", "--keep", "1"]));
    let codes = both.map(|mut child| child.wait().unwrap().code().unwrap());
    assert!(codes.contains(&0), "{codes:?}");
    assert!(codes.iter().all(|code| [0, 7].contains(code)), "{codes:?}");
    assert_eq!(registry(&ward)["archived_experiments"].as_object().unwrap().len(), 2);
    agree(&ward);
}
