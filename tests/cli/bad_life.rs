//! Bad input in the life of an experiment: refused by name, with nothing lost and nothing half
//! done; afterwards log, files and views agree.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::Workspace;
use crate::walk::agree;

fn folder(ward: &Workspace, run: &str) -> String {
    let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
    shown["folder"].as_str().unwrap().to_owned()
}

fn ward() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    for name in ["day", "night"] {
        ward.train(name, &[]).ok();
    }
    ward
}

fn git(dir: &Path, words: &[&str]) {
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", dir).current_dir(dir);
    git.args(["-c", "user.name=mara", "-c", "user.email=mara@ward", "-c", "init.defaultBranch=m"]);
    assert!(git.args(words).output().unwrap().status.success(), "git {words:?}");
}

/// Every verb that takes a name, with a name that cannot be one.
#[test]
fn names_that_are_none_are_refused_wherever_a_name_is_given() {
    let ward = ward();
    ward.annals(&["promote", "day", "--as", "ward"]).ok();
    let long = "x".repeat(4096);
    let bad: [(&str, &str); 7] = [
        ("", "empty"),
        ("  ", "empty"),
        ("../../out", "allowed are letters, digits"),
        ("/tmp/out", "allowed are letters, digits"),
        ("a\u{1b}[31mb", "allowed are letters, digits"),
        (".hidden", "starts with '.'"),
        (&long, "4096 bytes long"),
    ];
    let before = ward.annals(&["status", "--format", "json"]).ok().json()["runs"].clone();
    for (name, why) in bad {
        let train = ["train", "--config", "toy", "--sample-size", "200", "--name", name];
        ward.annals(&train).refused(2, why);
        ward.annals(&["run", "start", "--name", name]).refused(2, why);
        ward.annals(&["run", "exec", "--name", name, "--", "true"]).refused(2, why);
        ward.annals(&["rename", "day", name]).refused(2, why);
        ward.annals(&["promote", "night", "--as", name]).refused(2, why);
        ward.annals(&["promote", "night", "--request", "--as", name]).refused(2, why);
        ward.annals(&["alias", "set", name, "ward"]).refused(2, why);
        let set = ["policy", "set", "debug_experiments.archive_location", name];
        ward.annals(&set).refused(2, "");
    }
    assert_eq!(ward.annals(&["status", "--format", "json"]).ok().json()["runs"], before);
    assert_eq!(std::fs::read_dir(ward.path("models/production")).unwrap().count(), 1);
    agree(&ward);
}

#[test]
fn names_that_collide_or_differ_in_case_only_are_refused_or_numbered() {
    let ward = ward();
    ward.annals(&["promote", "day", "--as", "ward"]).ok();
    ward.annals(&["promote", "night", "--as", "ward"]).refused(6, "exists");
    ward.annals(&["promote", "night", "--as", "WARD"]).refused(6, "exists");
    ward.annals(&["alias", "set", "ward", "ward"]).refused(6, "exists already");
    // Runs may have one name: their folders and ids are told apart.
    let second = ward.train("day", &["--format", "json"]).ok().json();
    let third = ward.train("Day", &["--format", "json"]).ok().json();
    let places = [&second, &third].map(|run| run["folder"].as_str().unwrap().to_owned());
    assert_ne!(places[0], places[1]);
    assert!(places.iter().all(|place| ward.path(place).is_dir()), "{places:?}");
    ward.annals(&["archive", "day"]).refused(2, "\"day\" fits 2 runs");
    agree(&ward);
}

#[test]
fn a_target_that_exists_is_left_alone() {
    let ward = ward();
    let target = ward.path("models/production/ward");
    std::fs::create_dir_all(&target).unwrap();
    std::fs::write(target.join("mine.txt"), "mine").unwrap();
    ward.annals(&["promote", "day", "--as", "ward"]).refused(6, "exists already");
    assert_eq!(ward.read("models/production/ward/mine.txt"), b"mine");
    // A folder in an archive that has the run's name.
    let home = folder(&ward, "night");
    let name = home.rsplit('/').next().unwrap();
    let taken = ward.path(&format!("experiments/archived/{name}"));
    std::fs::create_dir_all(&taken).unwrap();
    std::fs::write(taken.join("mine.txt"), "mine").unwrap();
    ward.annals(&["archive", "night", "--type", "archived"]);
    assert_eq!(std::fs::read(taken.join("mine.txt")).unwrap(), b"mine");
    ward.annals(&["doctor"]).refused(9, "");
    std::fs::remove_dir_all(&taken).unwrap();
    let snapshot = ward.annals(&["snapshot", "create", "--format", "json"]).ok().json();
    let snapshot = snapshot["snapshot"].as_str().unwrap();
    std::fs::create_dir(ward.path("../out")).unwrap();
    std::fs::write(ward.path("../out/mine.txt"), "mine").unwrap();
    ward.annals(&["snapshot", "restore", snapshot, "--to", "../out"]).refused(6, "out");
    assert_eq!(ward.read("../out/mine.txt"), b"mine");
    std::fs::remove_dir_all(&target).unwrap();
    agree(&ward);
}

/// A device that is full stands in for one that cannot be written: the test may run as root.
#[test]
fn a_target_that_cannot_be_written_leaves_everything_where_it_was() {
    let ward = ward();
    // A file where a folder must be.
    std::fs::create_dir_all(ward.path("models")).unwrap();
    std::fs::write(ward.path("models/production"), "a file").unwrap();
    ward.annals(&["promote", "day", "--as", "ward"]).refused(7, "models/production");
    std::fs::remove_file(ward.path("models/production")).unwrap();
    std::fs::write(ward.path("experiments/archived"), "a file").unwrap();
    let home = folder(&ward, "night");
    ward.annals(&["archive", "night", "--type", "archived"]).refused(7, "experiments/archived");
    std::fs::remove_file(ward.path("experiments/archived")).unwrap();
    assert_eq!(folder(&ward, "night"), home);
    agree(&ward);
    // Read-only folders, where the system heeds their mode.
    let places = ward.path("experiments");
    std::fs::set_permissions(&places, std::fs::Permissions::from_mode(0o555)).unwrap();
    let heeded = std::fs::write(places.join("probe"), "").is_err();
    if heeded {
        ward.annals(&["archive", "night"]).refused(7, "experiments");
        ward.train("later", &[]).refused(7, "experiments");
    } else {
        std::fs::remove_file(places.join("probe")).unwrap();
        println!("skipped: this user writes into read-only folders");
    }
    std::fs::set_permissions(&places, std::fs::Permissions::from_mode(0o755)).unwrap();
    ward.annals(&["archive", "night"]).ok();
    ward.annals(&["promote", "day", "--as", "ward"]).ok();
    agree(&ward);
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let ward = Workspace::new();
    for (key, value, why) in [
        ("production_promotion.min_accuracy_threshold", "1.01", "0 to 1 is allowed"),
        ("production_promotion.min_accuracy_threshold", "-0.1", "0 to 1 is allowed"),
        ("production_promotion.min_f1_macro_threshold", "NaN", "does not fit"),
        ("production_promotion.approvals", "0", "contradicts require_manual_approval"),
        ("production_promotion.approvals", "4294967296", "does not fit"),
        ("production_promotion.min_test_rows", "-1", "does not fit"),
        ("failed_experiments.archive_after_days", "1.5", "does not fit"),
        ("debug_experiments.enabled", "perhaps", "does not fit"),
        ("new_runs.require_clean_tree", "1", "does not fit"),
    ] {
        ward.annals(&["policy", "set", key, value]).refused(2, why);
    }
    let shown = ward.annals(&["policy", "show", "--format", "json"]).ok().json();
    assert_eq!(shown["revision"], 0);
    agree(&ward);
}

#[test]
fn nobody_approves_their_own_run_where_that_is_not_allowed() {
    let ward = ward();
    ward.annals(&["policy", "set", "production_promotion.trainer_may_approve", "false"]).ok();
    ward.annals(&["promote", "day", "--request", "--as", "ward"]).ok();
    ward.annals(&["approve", "ward"]).refused(5, "trained");
    ward.annals(&["promote", "day"]).refused(5, "");
    let refusals = ward.annals(&["log", "--kind", "invocation.finished", "--format", "json"]).ok();
    assert!(refusals.out.contains("refused"), "{}", refusals.out);
    assert!(!ward.path("models/production/ward").exists());
    ward.annals_as("ines", &["approve", "ward"]).ok();
    ward.annals(&["promote", "day"]).ok();
    agree(&ward);
}

#[test]
fn what_was_never_archived_is_not_restored() {
    let ward = ward();
    ward.annals(&["restore", "day"]).refused(5, "day_");
    ward.annals(&["restore", "nobody"]).refused(4, "there is no run \"nobody\"");
    ward.annals(&["demote", "ward", "--reason", "x"]).refused(4, "ward");
    ward.annals(&["rollback", "ward", "--reason", "x"]).refused(4, "ward");
    ward.annals(&["unpin", "day"]);
    agree(&ward);
}

#[test]
fn edits_of_the_rules_in_the_registry_show_the_verb_that_does_the_same() {
    let ward = Workspace::new();
    ward.train("day", &[]).ok();
    let file = "models_registry_consolidated.json";
    let text = String::from_utf8(ward.read(file)).unwrap();
    let mut edited: serde_json::Value = serde_json::from_str(&text).unwrap();
    edited["auto_archival_rules"]["new_runs"]["require_clean_tree"] = true.into();
    edited["auto_archival_rules"]["failed_experiments"]["archive_after_days"] = 30.into();
    edited["auto_archival_rules"]["debug_experiments"]["criteria"] =
        serde_json::json!(["debug", "scratch"]);
    std::fs::write(ward.path(file), edited.to_string()).unwrap();
    // A changing verb sets it aside, names it and says how to do the same.
    let told = ward.annals(&["tag", "day", "+slow"]).ok().err;
    for verb in [
        "annals policy set new_runs.require_clean_tree 'true'",
        "annals policy set failed_experiments.archive_after_days '30'",
        "annals policy set debug_experiments.criteria '[\"debug\",\"scratch\"]'",
    ] {
        assert!(told.contains(verb), "{verb} is not in {told}");
    }
    assert_eq!(ward.read(&format!("{file}.edited-1")), edited.to_string().into_bytes());
    agree(&ward);
}

#[test]
fn links_in_the_folder_of_a_run_are_followed_by_nobody() {
    let ward = ward();
    let outside = ward.path("../outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("mine.txt"), "mine").unwrap();
    let home = folder(&ward, "day");
    for (to, name) in [(outside.as_path(), "folder"), (&outside.join("mine.txt"), "file")] {
        let link = ward.path(&format!("{home}/results/{name}"));
        symlink(to, &link).unwrap();
        ward.annals(&["archive", "day"]).refused(3, "links are not followed");
        ward.annals(&["archive", "day", "--compress"]).refused(3, "links are not followed");
        let migrate = ["layout", "migrate", "training-output", "--apply"];
        ward.annals(&migrate).refused(3, "links are not followed");
        assert!(link.is_symlink());
        std::fs::remove_file(&link).unwrap();
    }
    // A link instead of the weights that were recorded.
    let shown = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    let artifacts = shown["artifacts"].as_array().unwrap();
    let weights = artifacts.iter().find(|artifact| artifact[0] == "weights").unwrap();
    let weights =
        ward.path(&format!("{}/{}", folder(&ward, "night"), weights[1].as_str().unwrap()));
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(outside.join("weights"), &bytes).unwrap();
    std::fs::remove_file(&weights).unwrap();
    symlink(outside.join("weights"), &weights).unwrap();
    ward.annals(&["promote", "night", "--as", "ward"]).refused(3, "links are not followed");
    std::fs::remove_file(&weights).unwrap();
    std::fs::write(&weights, &bytes).unwrap();
    assert_eq!(std::fs::read(outside.join("mine.txt")).unwrap(), b"mine");
    ward.annals(&["promote", "night", "--as", "ward"]).ok();
    ward.annals(&["archive", "day"]).ok();
    agree(&ward);
}

/// A run from code that nobody can bring back proves little: the rule refuses it, and the log
/// keeps the refusal; without the rule the difference from the last commit is kept.
#[test]
fn no_run_begins_from_a_dirty_tree_where_the_rule_says_so() {
    let ward = Workspace::new();
    std::fs::write(ward.path("train.py"), "print(1)\n").unwrap();
    let clean = ["policy", "set", "new_runs.require_clean_tree", "true"];
    ward.annals(&clean).ok();
    let train = ["train", "--config", "toy", "--name", "night", "--sample-size", "600"];
    ward.annals(&train).refused(5, "there is no git tree");
    git(&ward.root, &["init"]);
    git(&ward.root, &["add", "train.py", "annals.toml", ".gitignore"]);
    git(&ward.root, &["commit", "-m", "first"]);
    // What annals made is no code, whether git knows it or not.
    ward.annals(&train).ok();
    ward.annals(&["run", "start", "--name", "script"]).ok();
    ward.annals(&["run", "fail", "script", "--reason", "no"]).ok();
    std::fs::write(ward.path("train.py"), "print(2)\n").unwrap();
    std::fs::write(ward.path("new.py"), "print(3)\n").unwrap();
    let named = "it lacks \"new.py\", \"train.py\"";
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    for words in [
        &train[..],
        &["run", "start", "--name", "script"],
        &["run", "exec", "--name", "script", "--", "touch", "ran"],
        &["reproduce", "night"],
    ] {
        ward.annals(words).refused(5, named);
    }
    assert!(!ward.path("ran").exists());
    assert_eq!(ward.annals(&["list", "--format", "json"]).ok().json(), runs);
    let log =
        ward.annals(&["log", "--kind", "invocation.finished", "--format", "json"]).ok().json();
    let refused = log.as_array().unwrap().iter().filter(|row| row.to_string().contains("new.py"));
    assert_eq!(refused.count(), 4);
    agree(&ward);

    ward.annals(&["policy", "set", "new_runs.require_clean_tree", "false"]).ok();
    ward.train("dusk", &[]).ok();
    let run = ward.annals(&["show", "dusk", "--format", "json"]).ok().json();
    let artifacts = run["artifacts"].as_array().unwrap();
    let diff = artifacts.iter().find(|artifact| artifact[0] == "diff").unwrap();
    let digest = diff[2].as_str().unwrap();
    let kept = ward.read(&format!(".annals/blobs/{}/{digest}", &digest[..2]));
    assert!(String::from_utf8(kept).unwrap().contains("+print(2)"));
    agree(&ward);
}
