//! Bad input: a clear error, an exit code of the table, nothing half-written.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::Workspace;

fn events(ward: &Workspace) -> u64 {
    ward.annals(&["status", "--format", "json"]).ok().json()["events"].as_u64().unwrap()
}

/// The error, and that neither the log nor the folders changed.
#[track_caller]
fn refused(ward: &Workspace, args: &[&str], code: i32, text: &str) {
    let before = events(ward);
    ward.annals(args).refused(code, text);
    assert_eq!(events(ward), before, "something was recorded");
    assert!(!ward.path("experiments").exists(), "a folder was left behind");
}

fn data(ward: &Workspace, name: &str, bytes: &[u8]) {
    std::fs::write(ward.path(name), bytes).unwrap();
}

fn rows(labels: &[&str]) -> String {
    let mut text = "text,label\n".to_owned();
    for i in 0..60 {
        text += &format!("note number {i} of the ward,{}\n", labels[i % labels.len()]);
    }
    text
}

#[test]
fn data_that_cannot_be_used_is_refused_before_anything_is_recorded() {
    let ward = Workspace::new();
    let train = |file: &'static str, more: &[&'static str]| {
        [&["train", "--config", "toy", "--data", file][..], more].concat()
    };
    refused(&ward, &train("none.csv", &[]), 3, "none.csv");
    data(&ward, "a.csv", b"text,label\nfine,x\n\xff\xfe,y\n");
    refused(&ward, &train("a.csv", &[]), 3, "row 2");
    data(&ward, "b.csv", rows(&["x", "y"]).as_bytes());
    refused(&ward, &train("b.csv", &["--text-column", "txet"]), 3, "text");
    refused(&ward, &train("b.csv", &["--labels", "x,z"]), 3, "\"y\"");
    let heads = ["train", "--config", "multitask_model", "--data", "b.csv"];
    refused(&ward, &heads, 3, "no column \"course\"");
    refused(&ward, &[&heads[..], &["--heads", "label=0"]].concat(), 3, "weighed above 0");
    refused(&ward, &[&heads[..], &["--heads", "label=half"]].concat(), 2, "COLUMN=WEIGHT");
    refused(&ward, &train("b.csv", &["--heads", "label"]), 3, "for the architecture toy");
    data(&ward, "c.csv", rows(&["x"]).as_bytes());
    refused(&ward, &train("c.csv", &[]), 3, "c.csv");
    data(&ward, "d.csv", b"text,label\n,x\nb,y\n");
    refused(&ward, &train("d.csv", &[]), 3, "row 1");
    data(&ward, "e.xlsx", b"PK");
    refused(&ward, &train("e.xlsx", &[]), 3, "unknown format");
}

#[test]
fn settings_that_cannot_be_used_name_their_place() {
    let ward = Workspace::new();
    data(&ward, "bad.yaml", b"training:\n  num_epochs: [1\n");
    refused(&ward, &["train", "--config", "bad.yaml"], 3, "bad.yaml:");
    data(&ward, "typo.yaml", b"training:\n  num_epoch: 3\n");
    refused(&ward, &["train", "--config", "typo.yaml"], 3, "num_epochs");
    refused(&ward, &["train", "--config", "baselin_small"], 4, "baseline_small");
    let name = ["train", "--config", "toy", "--name", "../../x"];
    refused(&ward, &name, 2, "'/'");
    refused(&ward, &["train", "--config", "toy", "--name", ""], 2, "empty");
    refused(&ward, &["train", "--config", "toy", "--set", "training.num_epochs"], 2, "KEY=VALUE");
}

#[test]
fn duplicates_across_splits_are_leakage() {
    let ward = Workspace::new();
    let mut text = "text,label\n".to_owned();
    for i in 0..400 {
        let label = if i % 2 == 0 { "x" } else { "y" };
        text += &format!("note {} about {label},{label}\n", i / 4);
    }
    data(&ward, "twice.csv", text.as_bytes());
    let args = ["train", "--config", "toy", "--name", "twice", "--category", "baseline", "--data"];
    let told = ward.annals(&[&args[..], &["twice.csv"]].concat()).ok().err;
    assert!(told.contains("(leakage)"), "{told}");
    ward.annals(&["promote", "twice"]).refused(5, "leakage");
}

#[test]
fn things_that_are_not_there() {
    let ward = Workspace::bare();
    ward.annals(&["list"]).refused(4, "is not in a workspace");
    ward.annals(&["init"]).ok();
    ward.annals(&["init"]).refused(6, "is a workspace already");
    ward.annals(&["promote", "nobody"]).refused(4, "there is no run \"nobody\"");
    ward.annals(&["show", "99999"]).refused(4, "there is no event 99999");
    ward.annals(&["log", "--kind", "nonsense"]).refused(4, "no kind of event");
    ward.annals(&["policy", "set", "production_promotion.aprovals", "2"])
        .refused(2, "did you mean production_promotion.approvals");
    ward.annals(&["policy", "set", "production_promotion.approvals", "many"])
        .refused(2, "does not fit");
    ward.annals(&["policy", "set", "production_promotion.min_class_f1", "7"])
        .refused(2, "out of range");
    ward.annals(&["frobnicate"]).refused(2, "frobnicate");
    ward.annals(&["replay", "--as-of", "someday", "--check"]).refused(2, "is not a time");
}

#[test]
fn debug_runs_are_not_promoted() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.annals(&["train", "--config", "toy", "--name", "try", "--sample-size", "600"]).ok();
    ward.annals(&["promote", "try"]).refused(5, "category: required not a debug run");
}

#[test]
fn a_newer_log_is_read_only_as_far_as_it_may_be() {
    let ward = Workspace::new();
    let file = ward.path(".annals/log.redb");
    let set = |major: u8, minor: u8| {
        let table = redb::TableDefinition::<&str, &[u8]>::new("meta");
        let db = redb::Database::open(&file).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(table).unwrap().insert("format", [major, minor].as_slice()).unwrap();
        txn.commit().unwrap();
    };
    set(1, 9);
    ward.annals(&["status"]).ok();
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).refused(7, "format 1.9");
    set(9, 0);
    ward.annals(&["status"]).refused(7, "format 9.0");
}

#[test]
fn a_folder_that_cannot_be_written_can_still_be_read() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    let annals = ward.path(".annals");
    let mode = |mode: u32| {
        let lock = |p: &std::path::Path| {
            std::fs::set_permissions(p, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        lock(&annals);
    };
    mode(0o555);
    ward.annals(&["list"]).ok();
    ward.annals(&["verify"]).ok();
    mode(0o755);
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    let events = || ward.annals(&["status", "--format", "json"]).ok().json()["events"].clone();
    let full = ward.read(".annals/log.redb").len() / 1024;
    let mut acknowledged = events().as_u64().unwrap();
    let mut refusals = 0;
    for n in 0..400_u32 {
        let rows = (n % 90 + 1).to_string();
        let set = ["policy", "set", "production_promotion.min_test_rows", rows.as_str()];
        let answer = ward.annals_on_a_full_disk(u32::try_from(full).unwrap(), &set);
        if answer.code == 0 {
            acknowledged = events().as_u64().unwrap();
            continue;
        }
        answer.refused(7, "free disk space");
        refusals += 1;
        if refusals == 3 {
            break;
        }
    }
    assert_eq!(refusals, 3, "the log never filled up");
    assert!(events().as_u64().unwrap() >= acknowledged);
    ward.annals(&["verify"]).ok();
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "99"]).ok();
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn a_copied_workspace_is_not_an_edited_one() {
    let ward = Workspace::new();
    ward.train("notes", &[]).ok();
    let name = "models_registry.json";
    let bytes = ward.read(name);
    std::fs::remove_file(ward.path(name)).unwrap();
    std::fs::write(ward.path(name), &bytes).unwrap();
    let quiet = ward.annals(&["status"]).ok();
    assert!(!quiet.err.contains(name), "{}", quiet.err);
    std::fs::write(ward.path(name), [&bytes[..], b" "].concat()).unwrap();
    assert!(ward.annals(&["status"]).ok().err.contains(name));
}

#[test]
fn an_engine_is_asked_only_for_what_it_offers() {
    let ward = Workspace::new();
    // Engines are looked for beside the program first.
    let beside = ward.path("../programs");
    std::fs::create_dir(&beside).unwrap();
    let annals = beside.join("annals");
    std::fs::copy(env!("CARGO_BIN_EXE_annals"), &annals).unwrap();
    let engine = beside.join("annals-engine");
    std::fs::write(&engine, format!("#!/bin/sh\nexec {} engine\n", annals.display())).unwrap();
    std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut train = std::process::Command::new(&annals);
    train.args(["train", "--config", "baseline_small", "--sample-size", "200", "--name", "one"]);
    train.current_dir(&ward.root).env_clear().env("HOME", ward.home()).env("ANNALS_ACTOR", "mara");
    let output = train.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(8), "{error}");
    let offered = "annals-engine has no architecture encoder (it has tfidf_logreg, tfidf_svm, toy)";
    assert!(error.contains(offered), "{error}");
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    assert!(runs.as_array().unwrap().is_empty(), "{runs}");
}

/// Data with more labels than the result of a run has room for is refused before it begins; with
/// nearly as many a run is recorded.
#[test]
fn too_many_labels_are_refused_before_training() {
    let ward = Workspace::new();
    let labels = |count: usize| -> String {
        let rows =
            (0..count * 8).map(|i| format!("word{i} common text {},c{}\n", i % 7, i % count));
        rows.fold("text,label\n".to_owned(), |text, row| text + &row)
    };
    data(&ward, "many.csv", labels(250).as_bytes());
    let train = ["train", "--config", "tfidf_logreg", "--data"];
    let words = [&train[..], &["many.csv"]].concat();
    refused(&ward, &words, 3, "the data has 250 labels, and the scores of a run are recorded for");
    let told = ward.annals(&words).err;
    let most = told.split("at most ").nth(1).unwrap().split(' ').next().unwrap();
    let most: usize = most.parse().unwrap();
    assert!((100..250).contains(&most), "{told}");
    data(&ward, "most.csv", labels(most).as_bytes());
    ward.annals(&[&train[..], &["most.csv", "--name", "most"]].concat()).ok();
    let shown = ward.annals(&["show", "most"]).ok().out;
    assert!(
        shown.contains("the confusion matrix of the validation rows is not recorded"),
        "{shown}"
    );
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}
