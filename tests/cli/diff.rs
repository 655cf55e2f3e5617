//! `annals diff`: what changed between two moments, and the command that did it. That it says all
//! and nothing else is tried on random lives (`fold.rs`).

use serde_json::Value;

use crate::record_read::{audited, damage_a_block, long_record};
use crate::support::Workspace;

fn last(ward: &Workspace) -> String {
    let line = ward.annals(&["log", "-n", "1", "--format", "json"]).ok().json();
    line[0]["position"].to_string()
}

fn changes(ward: &Workspace, words: &[&str]) -> Vec<Value> {
    let found = ward.annals(&[&["diff", "--format", "json"], words].concat()).ok().json();
    found["changes"].as_array().unwrap().clone()
}

#[test]
fn each_change_names_the_command_that_did_it() {
    let ward = audited();
    let then = last(&ward);
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    ward.annals(&["alias", "set", "champion", "night"]).ok();
    ward.annals(&["note", "one", "seen"]).ok();
    ward.annals(&["note", "one", "again"]).ok();
    ward.annals(&["pin", "one"]).ok();
    ward.annals(&["demote", "night", "--reason", "too old"]).ok();
    let found = changes(&ward, &["--from", &then]);
    let one = |section: &str, field: &str| {
        let fits = |c: &&Value| c["section"] == section && c["field"] == field;
        let fitting: Vec<&Value> = found.iter().filter(fits).collect();
        assert!(!fitting.is_empty(), "no {field} of a {section} in {found:#?}");
        fitting[0].clone()
    };
    for (section, field, before, after, words) in [
        ("policy", "value", Some("1"), Some("2"), "policy set production_promotion.approvals 2"),
        ("alias", "points at", None, Some("night@1"), "alias set champion night"),
        ("run", "pinned", None, Some("yes"), "pin one"),
        ("run", "notes", None, Some("2"), "note one again"),
        ("model", "number", Some("1"), None, "demote night --reason too old"),
    ] {
        let change = one(section, field);
        assert_eq!(change["before"].as_str(), before, "{change:#}");
        assert_eq!(change["after"].as_str(), after, "{change:#}");
        let command = change["command"].as_str().unwrap();
        assert!(command.ends_with(&format!("annals {words}")), "{change:#}");
        let position = change["position"].to_string();
        let event = ward.annals(&["show", &position, "--format", "json"]).ok().json();
        for field in ["kind", "recorded", "occurred", "actor", "identity", "invocation"] {
            assert_eq!(change[field], event[field], "{field} of {change:#}");
        }
    }
    assert_eq!(one("run", "notes")["earlier"].as_array().unwrap().len(), 1);
    let gone = found.iter().filter(|c| c["section"] == "file" && c["after"].is_null());
    assert!(gone.count() >= 2, "the files that were in production: {found:#?}");
    let only = changes(&ward, &["--from", &then, "--only", "alias", "--only", "policy"]);
    assert_eq!(only.len(), 2, "{only:#?}");
    // There and back is no change.
    let before = last(&ward);
    ward.annals(&["tag", "one", "+night"]).ok();
    ward.annals(&["tag", "one", "-night"]).ok();
    assert_eq!(changes(&ward, &["--from", &before]), Vec::<Value>::new());
    let out = ward.annals(&["diff", "--from", &then]).ok().out;
    assert!(out.contains("alias champion points at: - -> night@1"), "{out}");
    assert_eq!(out.matches("annals demote night").count(), 1, "one heading a command:\n{out}");
}

#[test]
fn moments_are_times_and_positions_and_in_order() {
    let ward = audited();
    let event = ward.annals(&["show", "20", "--format", "json"]).ok().json();
    let time = event["recorded"].as_str().unwrap();
    assert_eq!(changes(&ward, &["--from", time]), changes(&ward, &["--from", "20"]));
    assert_eq!(changes(&ward, &["--from", "20", "--to", time]), Vec::<Value>::new());
    let all = changes(&ward, &["--from", "2000-01-01"]);
    assert!(all.iter().all(|change| change["before"].is_null()), "{all:#?}");
    let out = ward.annals(&["diff", "--from", "2000-01-01", "--to", "5"]).ok().out;
    assert!(out.starts_with("From the beginning to position 5 "), "{out}");
    ward.annals(&["diff", "--from", "30", "--to", "20"]).refused(2, "it is earlier");
    ward.annals(&["diff", "--from", "100000"]).refused(4, "no position 100000");
    ward.annals(&["diff", "--from", "someday"]).refused(2, "not a time");
    ward.annals(&["diff"]).refused(2, "--from");
}

#[test]
fn recorded_and_occurred_are_kept_apart() {
    let ward = Workspace::bare();
    let at = |time: &str, seed, words: &[&str]| ward.annals_at(time, seed, words).ok();
    at("2027-03-01T10:00:00Z", 1, &["init"]);
    let then = last(&ward);
    // The clock of this machine is a day behind what the log has seen already.
    let words = ["policy", "set", "production_promotion.approvals", "2"];
    at("2027-02-28T10:00:00Z", 2, &words);
    let found = changes(&ward, &["--from", &then, "--only", "policy"]);
    // People see what the machine's own clock showed; the order is that of the positions.
    assert!(found[0]["recorded"].as_str().unwrap().starts_with("2027-02-28T10:00:00"));
    assert!(found[0]["occurred"].as_str().unwrap().starts_with("2027-02-28T10:00:00"));
    let out = ward.annals(&["diff", "--from", &then]).ok().out;
    assert!(out.contains("2027-02-28 10:00:00") && !out.contains("(occurred"), "{out}");
}

#[test]
fn a_copied_log_tells_the_same_and_a_damaged_one_what_is_left() {
    let ward = long_record();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let alone = Workspace::bare();
    std::fs::copy(ward.path("copy.redb"), alone.path("copy.redb")).unwrap();
    let here = ward.annals(&["diff", "--from", "20"]).ok().out;
    assert_eq!(alone.annals(&["diff", "--from", "20", "--log", "copy.redb"]).ok().out, here);
    let (first, last) = damage_a_block(&alone.path("copy.redb"));
    let args = ["diff", "--from", "0", "--log", "copy.redb", "--format", "json"];
    let answer =
        alone.annals(&args).refused(10, &format!("positions {first} to {last} are damaged"));
    let found = answer.json();
    let notes = found["changes"].as_array().unwrap().iter().find(|c| c["field"] == "notes");
    assert!(notes.is_some(), "{found:#}");
}
