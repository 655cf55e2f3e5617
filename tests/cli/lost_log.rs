//! A workspace that was used and lost its log, its settings or both is damaged: every verb ends
//! with exit code 10 and the way back, and `init` makes no other history in its place.

use std::path::Path;

use crate::support::Workspace;
use crate::walk::agree;

/// What is lost, and what the message names.
type Loss = (&'static str, &'static str, fn(&Path));

fn remove(path: &Path) {
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}

fn empty_log(root: &Path) {
    std::fs::write(root.join(".annals/log.redb"), "").unwrap();
}

const LOSSES: [Loss; 9] = [
    ("the log is empty", "is empty", empty_log),
    ("the log is absent", "is missing", |root| remove(&root.join(".annals/log.redb"))),
    ("the log is all zero", "log.redb", |root| {
        let size = std::fs::metadata(root.join(".annals/log.redb")).unwrap().len();
        std::fs::write(root.join(".annals/log.redb"), vec![0; size as usize]).unwrap();
    }),
    ("a folder is in its place", "is missing", |root| {
        remove(&root.join(".annals/log.redb"));
        std::fs::create_dir(root.join(".annals/log.redb")).unwrap();
    }),
    ("only views are left", "is missing", |root| {
        let views = std::fs::read(root.join(".annals/views.redb")).unwrap();
        remove(&root.join(".annals"));
        std::fs::create_dir(root.join(".annals")).unwrap();
        std::fs::write(root.join(".annals/views.redb"), views).unwrap();
    }),
    ("only blobs are left", "is missing", |root| {
        remove(&root.join("annals.toml"));
        for entry in std::fs::read_dir(root.join(".annals")).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("blobs") {
                remove(&path);
            }
        }
    }),
    ("all of .annals is gone", "is missing", |root| remove(&root.join(".annals"))),
    ("the settings are gone", "annals.toml", |root| remove(&root.join("annals.toml"))),
    ("settings and log are gone", "is missing", |root| {
        remove(&root.join("annals.toml"));
        remove(&root.join(".annals/log.redb"));
    }),
];

/// Verbs of every kind: that read, that change, that look for damage.
const VERBS: [&[&str]; 26] = [
    &["list"],
    &["status"],
    &["show", "night"],
    &["best"],
    &["candidates"],
    &["log"],
    &["why", "ward"],
    &["query", "SELECT 1"],
    &["verify"],
    &["doctor"],
    &["audit"],
    &["replay"],
    &["replay", "--check"],
    &["predict", "ward", "a text"],
    &["note", "night", "x"],
    &["tag", "night", "+x"],
    &["train", "--config", "toy", "--name", "day", "--sample-size", "200"],
    &["run", "start", "--name", "day"],
    &["promote", "night", "--as", "dawn"],
    &["demote", "ward", "--reason", "x"],
    &["repair", "--all"],
    &["gc"],
    &["cleanup"],
    &["snapshot", "create"],
    &["undo"],
    &["policy", "show"],
];

fn used() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("night", &[]).ok();
    ward.annals(&["promote", "night", "--as", "ward"]).ok();
    ward
}

#[test]
fn a_lost_log_is_damage_whatever_is_asked() {
    let used = used();
    let (log, settings) = (used.read(".annals/log.redb"), used.read("annals.toml"));
    for (what, named, lose) in LOSSES {
        let ward = used.copy();
        lose(&ward.root);
        for verb in VERBS {
            let answer = ward.annals(verb);
            assert_eq!(answer.code, 10, "{what}, {verb:?}: {}{}", answer.out, answer.err);
            let told = format!("{}{}", answer.out, answer.err);
            assert!(told.contains(named), "{what}, {verb:?}: {told}");
            assert!(!told.contains("annals init"), "{what}, {verb:?}: {told}");
        }
        // Of what is all gone but for the settings, too, nobody makes another one.
        let before = std::fs::read_dir(&ward.root).unwrap().count();
        for init in [&["init"][..], &["init", "--project", "new", "--layout", "training-output"]] {
            let refused = ward.annals(init);
            let expected = if what == "the log is all zero" { [6, 10] } else { [10, 10] };
            assert!(expected.contains(&refused.code), "{what}: {}", refused.err);
        }
        assert_eq!(std::fs::read_dir(&ward.root).unwrap().count(), before, "{what}");
        // The way back that is named works.
        remove(&ward.path(".annals/log.redb"));
        std::fs::create_dir_all(ward.path(".annals")).unwrap();
        std::fs::write(ward.path(".annals/log.redb"), &log).unwrap();
        std::fs::write(ward.path("annals.toml"), &settings).unwrap();
        ward.annals(&["replay"]).ok();
        assert_eq!(ward.annals(&["list", "--format", "json"]).ok().json()[0]["status"], "finished");
        // Where the blobs are lost too, `verify` names each.
        let code = if ward.path(".annals/blobs").exists() { 0 } else { 10 };
        assert_eq!(ward.annals(&["verify"]).code, code, "{what}");
        if code == 0 {
            agree(&ward);
        }
    }
}

#[test]
fn a_folder_inside_a_used_workspace_and_a_fresh_one_are_told_apart() {
    let ward = used();
    std::fs::create_dir_all(ward.path("notes/deep")).unwrap();
    ward.annals(&["-C", "notes/deep", "list"]).ok();
    std::fs::remove_file(ward.path(".annals/log.redb")).unwrap();
    ward.annals(&["-C", "notes/deep", "list"]).refused(10, "is missing");
    // A folder of that name which is somebody else's, and one that a crash of `init` left.
    for file in ["somebody.txt", "lock", "log.redb.new"] {
        let fresh = Workspace::bare();
        std::fs::create_dir(fresh.path(".annals")).unwrap();
        std::fs::write(fresh.path(".annals").join(file), "x").unwrap();
        fresh.annals(&["list"]).refused(4, "not in a workspace");
        fresh.annals(&["init"]).ok();
        fresh.annals(&["list"]).ok();
    }
}
