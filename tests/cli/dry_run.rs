//! `--dry-run`, `--yes`, `--format` and the old spellings: conventions that hold for every verb.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::Workspace;

/// Every file below a folder with its bytes.
fn files(folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
}

/// Every file, and of the log what is in it: opening it for a transaction that is not committed
/// moves pages of the file.
fn picture(ward: &Workspace) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(&ward.root, &mut found);
    let events = ward.annals(&["verify", "--format", "json"]).ok().json();
    let content = format!("{} {}", events["size"], events["root"]);
    found.insert(ward.root.join(".annals/log.redb").display().to_string(), content.into_bytes());
    found
}

#[test]
fn a_dry_run_prints_something_and_changes_nothing() {
    let ward = Workspace::new();
    ward.allow_synthetic();
    ward.train("day", &[]).ok();
    ward.train("night", &["--seed", "2"]).ok();
    ward.annals(&["promote", "day", "--as", "day_v1", "--reason", "better"]).ok();
    ward.train("late", &["--seed", "3"]).ok();
    ward.annals(&["promote", "late", "--as", "late_v1", "--request"]).ok();
    ward.annals(&["alias", "set", "champion", "day_v1"]).ok();
    ward.train("spare", &["--seed", "4"]).ok();
    ward.annals(&["note", "spare", "a private remark"]).ok();
    ward.annals(&["run", "start", "--name", "script"]).ok();
    fs::write(ward.root.join("file.txt"), "text").unwrap();
    ward.annals(&["snapshot", "create"]).ok();
    ward.annals(&["archive", "night", "--drop-weights"]).ok();
    let plan = ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json();
    let plan = plan["plan_digest"].as_str().unwrap().to_owned();
    ward.annals(&["tag", "day", "+seen"]).ok();
    for words in [
        &["train", "--config", "toy", "--name", "new", "--sample-size", "600"][..],
        &["train", "--data", "rows.csv", "--config", "tfidf_logreg", "--name", "new"],
        &["reproduce", "day"],
        &["run", "start", "--name", "new"],
        &["run", "log", "script", "loss=1"],
        &["run", "save", "script", "file.txt", "--as", "notes"],
        &["run", "finish", "script", "test/accuracy=0.5"],
        &["run", "fail", "script", "--reason", "x"],
        &["ensemble", "create", "both", "day", "night"],
        &["promote", "day", "--as", "again_v1", "--reason", "x"],
        &["approve", "late_v1"],
        &["reject", "late_v1", "--reason", "x"],
        &["demote", "day_v1", "--reason", "x"],
        &["repair", "day_v1"],
        &["alias", "set", "challenger", "day_v1"],
        &["alias", "remove", "champion"],
        &["version", "bump", "minor", "day_v1"],
        &["actor", "add", "ines"],
        &["actor", "rotate"],
        &["policy", "set", "production_promotion.approvals", "2"],
        &["classify", "day", "--as", "debug"],
        &["note", "day", "text"],
        &["pin", "day"],
        &["rename", "day", "evening"],
        &["run", "share", "script", "bob"],
        &["archive", "spare"],
        &["restore", "night"],
        &["cleanup"],
        &["consolidate", "apply", &plan],
        &["layout", "migrate", "training-output"],
        &["gc", "--min-age", "0"],
        &["redact", "--run", "spare", "--field", "note", "--reason", "x"],
        &["snapshot", "create", "-m", "x"],
        &["snapshot", "restore", "latest", "--to", "elsewhere"],
        &["checkpoint", "anchor", "checkpoint.txt"],
        &["undo"],
        &["replay"],
    ] {
        if words.contains(&"rows.csv") {
            let rows: String = (0..40).map(|n| format!("word{} text,{}\n", n, n % 2)).collect();
            fs::write(ward.root.join("rows.csv"), format!("text,label\n{rows}")).unwrap();
        }
        if words[0] == "layout" {
            // Nothing moves while a run is open.
            ward.annals(&["run", "fail", "script", "--reason", "done"]).ok();
            ward.annals(&["tag", "day", "+moved"]).ok();
        }
        let before = picture(&ward);
        let done = ward.annals(&[words, &["--dry-run"]].concat());
        // A member without weights is refused as it is without the flag.
        let allowed = words[0] == "ensemble" && done.code == 5;
        assert!(done.code == 0 || allowed, "{words:?}: {}\n{}", done.out, done.err);
        assert!(!done.out.is_empty() || !done.err.is_empty(), "{words:?} printed nothing");
        let after = picture(&ward);
        let changed: Vec<&String> = before
            .keys()
            .chain(after.keys())
            .filter(|file| before.get(*file) != after.get(*file))
            .collect();
        assert!(changed.is_empty(), "{words:?} changed {changed:?}");
    }
    ward.annals(&["init", "other", "--dry-run"]).ok();
    assert!(!ward.root.join("other").exists());
    ward.annals(&["tag", "--dry-run", "day", "+late"]).ok();
    assert!(!ward.annals(&["show", "day"]).ok().out.contains("late"));
}

#[test]
fn what_deletes_bytes_warns_where_nobody_can_be_asked() {
    let ward = Workspace::new();
    ward.train("day", &[]).ok();
    let unconfirmed = ward.annals(&["archive", "day", "--drop-weights"]).ok();
    assert!(unconfirmed.err.contains("next release will require --yes"), "{}", unconfirmed.err);
    let shown = ward.annals(&["gc", "--min-age", "0"]).ok();
    assert!(shown.err.contains("nothing was deleted"), "{}", shown.err);
    let old = ward.annals(&["gc", "--min-age", "0", "--apply"]).ok();
    assert!(old.err.contains("--apply is the old spelling of --yes"), "{}", old.err);
    ward.annals(&["note", "day", "a secret"]).ok();
    let redact = ["redact", "--run", "day", "--field", "note", "--reason", "x"];
    let confirmed = ward.annals(&[&redact[..], &["--yes"]].concat()).ok();
    assert!(!confirmed.err.contains("next release"), "{}", confirmed.err);
}

#[test]
fn a_format_is_one_word_everywhere() {
    let ward = Workspace::new();
    ward.train("day", &[]).ok();
    let csv = ward.annals(&["list", "--format", "csv"]).ok().out;
    assert!(csv.starts_with("run_id,experiment_id,experiment_name,"), "{csv}");
    assert_eq!(csv.lines().count(), 2);
    let sql = "SELECT name, status FROM runs";
    let csv = ward.annals(&["query", sql, "--format", "csv"]).ok();
    assert_eq!(csv.out, "name,status\nday,finished\n");
    let old = ward.annals(&["query", sql, "--output", "csv"]).ok();
    assert_eq!((old.out, csv.err), (csv.out, String::new()));
    assert!(old.err.contains("--output csv is the old spelling of --format csv"), "{}", old.err);
    let markdown = ward.annals(&["query", sql, "--format", "markdown"]).ok().out;
    assert_eq!(markdown, "| name | status |\n| --- | --- |\n| day | finished |\n");
    ward.annals(&["query", sql, "--out", "rows.md"]).ok();
    assert_eq!(ward.read("rows.md"), markdown.as_bytes());
    ward.annals(&["--format", "parquet", "status"]).refused(2, "cannot print parquet");
    ward.annals(&["status", "--format", "csv"]).refused(2, "possible values: human, json, jsonl");
    let table = ward.annals(&["compare", "--format", "csv"]).ok().out;
    assert!(table.starts_with("experiment_id,config,accuracy"), "{table}");
    let report = ward.annals(&["report", "--format", "markdown"]).ok().out;
    assert!(report.starts_with("# "), "{report}");
    assert!(!ward.root.join("report.html").exists());
}

#[test]
fn quiet_leaves_out_notes_and_keeps_warnings() {
    let ward = Workspace::new();
    ward.train("day", &[]).ok();
    assert!(!ward.annals(&["list"]).ok().err.is_empty());
    assert_eq!(ward.annals(&["list", "--quiet"]).ok().err, "");
    let warned = ward.annals(&["gc", "--min-age", "0", "--apply", "-q"]).ok();
    assert!(warned.err.starts_with("warning: "), "{}", warned.err);
}

#[test]
fn ages_and_times_are_written_alike_everywhere() {
    let ward = Workspace::new();
    ward.train("day", &[]).ok();
    for age in ["0", "60", "30d", "2 weeks", "1h"] {
        ward.annals(&["gc", "--dry-run", "--min-age", age]).ok();
    }
    ward.annals(&["gc", "--dry-run", "--min-age", "soon"]).refused(2, "--min-age soon");
    for time in ["2026-11-01", "2026-11-01T10:00:00Z", "30d", "2 weeks", "yesterday"] {
        ward.annals(&["log", "--since", time]).ok();
        ward.annals(&["diff", "--from", time]).ok();
        ward.annals(&["list", "--as-of", time]).ok();
    }
    ward.annals(&["list", "--as-of", "3"]).ok();
}
