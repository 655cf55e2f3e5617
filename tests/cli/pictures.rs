//! What a person sees, verb by verb: standard output, standard error and exit code, in one picture
//! each, with what differs from run to run (ids, times, digests, sizes) taken out.

use std::collections::BTreeSet;

use crate::support::Workspace;

/// A workspace with the clock and the seed of the test.
fn workspace() -> Workspace {
    let ward = Workspace::repeatable();
    ward.annals(&["init"]).ok();
    ward
}

/// What differs from run to run, and what stands in the pictures for it.
const VOLATILE: &[(&str, &str)] = &[
    // How many batches of metrics there are depends on the speed of the machine.
    (r"\b\d+ events\b", "[n] events"),
    (r"\bevent \d+\b", "event [n]"),
    (r"(?m)^\d+$", "[n]"),
    (r"(?m)^  \d+ ", "  [n] "),
    (r"\b[0-9a-f]{64}\b", "[digest]"),
    (r"\b[0-9a-f]{16}\b", "[digest]"),
    (r"\b[0-9a-f]{12}\b", "[digest]"),
    (r"\b[0-9a-f]{8}\b", "[key]"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z?", "[time]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[time]"),
    (r"\d{8}_\d{6}(_\d+)?", "[stamp]"),
    (r"\d{4}-\d\d-\d\d_", "[day]_"),
    (r"` at \d+ ", "` at [n] "),
    (r"(?m)^Generated: .*$", "Generated: [time]"),
    (r"\b\d+(\.\d+)? s\b", "[seconds]"),
    (r"\b\d+(\.\d+)? (B|kB|MB)\b", "[size]"),
    (r"\d+ threads", "[n] threads"),
    (r"—? ?[A-Za-z0-9+/]{40,}=*", "[base64]"),
    (r"(?m) +$", ""),
    (r" {2,}", "  "),
];

/// The ids that are in the record.
fn known_ids(ward: &Workspace) -> BTreeSet<String> {
    let record = ward.annals(&["log", "--limit", "100000", "--format", "jsonl"]).out;
    let is_id = |word: &&str| word.len() == 32 && word.chars().all(|c| ('k'..='z').contains(&c));
    record.split(|c: char| !c.is_alphanumeric()).filter(is_id).map(str::to_owned).collect()
}

/// The text with a mark in the place of every id, whole or cut short; words of people stay.
fn without_ids(text: &str, known: &BTreeSet<String>) -> String {
    let is_end = |c: char| !c.is_alphanumeric() && c != '_';
    let marked = text.split_inclusive(is_end).map(|piece| {
        let word = piece.trim_end_matches(is_end);
        match word.len() >= 4 && known.iter().any(|id| id.starts_with(word)) {
            true => piece.replace(word, "[id]"),
            false => piece.to_owned(),
        }
    });
    marked.collect()
}

fn picture(ward: &Workspace, args: &[&str]) -> String {
    let answer = ward.annals(args);
    let mut text = format!("$ annals {}\n{}", args.join(" "), answer.out);
    if !answer.err.is_empty() {
        text += &format!("--- stderr\n{}", answer.err);
    }
    text += &format!("--- exit {}\n", answer.code);
    without_ids(&text.replace(ward.root.to_str().unwrap(), "[root]"), &known_ids(ward))
}

macro_rules! assert_pictures {
    ($ward:expr, $($args:expr),+ $(,)?) => {{
        let pictures: Vec<String> =
            [$(&$args as &[&str]),+].iter().map(|args| picture(&$ward, args)).collect();
        insta::with_settings!({ filters => VOLATILE.iter().copied() }, {
            insta::assert_snapshot!(pictures.join("\n"));
        });
    }};
}

#[test]
fn the_main_job() {
    let ward = Workspace::repeatable();
    assert_pictures!(
        ward,
        ["init", "--project", "ward"],
        ["list"],
        ["train", "--config", "toy", "--name", "notes", "--category", "baseline"],
        ["list"],
        ["candidates", "notes"],
        ["promote", "notes"],
        ["policy", "set", "production_promotion.allow_synthetic", "true"],
        ["promote", "notes", "--dry-run"],
        ["promote", "notes"],
        ["status"],
        ["best"],
        ["show", "notes"],
        ["replay", "--check"],
        ["replay"],
        ["verify"],
        ["checkpoint", "show"],
        ["doctor"],
    );
}

#[test]
fn people_and_their_answers() {
    let ward = workspace();
    ward.train("notes", &[]).ok();
    ward.allow_synthetic();
    assert_pictures!(
        ward,
        ["promote", "notes", "--request", "--as", "night"],
        ["reject", "night", "--reason", "too small"],
        ["approve", "night"],
        ["policy", "show"],
        ["log", "--kind", "promotion.rejected"],
    );
}

#[test]
fn mistakes() {
    let ward = workspace();
    assert_pictures!(
        ward,
        ["lits"],
        ["show", "nothing"],
        ["train", "--config", "baseline_smal"],
        ["train", "--config", "toy", "--set", "training.num_epoch=3"],
        ["train", "--config", "tfidf_svm", "--set", "model.n_layer=5"],
        ["train", "--config", "toy", "--data", "missing.csv"],
        ["promote", "nothing"],
        ["policy", "set", "production_promotion.aprovals", "2"],
        ["verify", "--key", "nonsense"],
        ["log", "--kind", "run.finishd"],
    );
}

#[test]
fn a_consolidation() {
    let ward = workspace();
    ward.annals(&["policy", "set", "debug_experiments.enabled", "false"]).ok();
    for name in ["small_v1", "small_v2", "small_v3", "mock_test"] {
        ward.train(name, &[]).ok();
    }
    assert_pictures!(
        ward,
        ["consolidate", "plan"],
        ["consolidate", "plan"],
        ["consolidate", "report"],
        ["consolidate", "apply", "0000"],
    );
}

#[test]
fn a_change_of_the_layout() {
    let ward = workspace();
    ward.train("notes", &[]).ok();
    assert_pictures!(
        ward,
        ["layout", "show"],
        ["layout", "migrate", "training-output", "--dry-run"],
        ["layout", "migrate", "training-output"],
        ["layout", "show"],
        ["layout", "migrate", "training-output"],
    );
}

#[test]
fn snapshots() {
    let ward = workspace();
    std::fs::write(ward.path("trainer.sh"), "echo one\n").unwrap();
    assert_pictures!(
        ward,
        ["snapshot", "create", "--message", "before the paper"],
        ["snapshot", "list"],
        ["snapshot", "verify", "latest"],
        ["snapshot", "restore", "latest", "--to", "out"],
        ["snapshot", "restore", "latest", "--to", "out"],
        ["snapshot", "show", "nothing"],
    );
}

#[test]
fn second_thoughts() {
    let ward = workspace();
    ward.train("notes", &[]).ok();
    ward.annals(&["tag", "notes", "+slow"]).ok();
    assert_pictures!(
        ward,
        ["undo", "--dry-run"],
        ["undo"],
        ["undo"],
        ["note", "notes", "the loss jumps"],
        ["undo"],
    );
}

#[test]
fn what_an_auditor_reads() {
    let ward = workspace();
    std::fs::write(ward.path("model.bin"), "weights").unwrap();
    let confusion = r#"{"labels": ["calm", "risk"], "matrix": [[90, 10], [20, 80]]}"#;
    std::fs::write(ward.path("confusion.json"), confusion).unwrap();
    ward.allow_synthetic();
    let start = ["run", "start", "--name", "notes", "--labels", "calm,risk", "--synthetic"];
    let start = [&start[..], &["--leaked-rows", "0"]].concat();
    let run = ward.annals(&start).ok().out.trim().to_owned();
    ward.annals(&["run", "save", &run, "model.bin"]).ok();
    let scores = ["test/f1_macro=0.85", "test/accuracy=0.85", "valid/f1_macro=0.95"];
    let confusion = ["--confusion", "confusion.json"];
    ward.annals(&[&["run", "finish", &run], &scores[..], &confusion].concat()).ok();
    ward.annals(&["promote", &run, "--as", "night"]).ok();
    assert_pictures!(
        ward,
        ["audit", "--skip", "unknown-code"],
        ["audit", "--list"],
        ["diff", "--from", "9"],
        ["diff", "--from", "9", "--to", "9"],
    );
}
