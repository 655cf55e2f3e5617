//! Every verb with `--format json`: what it prints is one value that fits the schema of its answer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::{Answer, Workspace};
use crate::verbs::{CHANGING, begun, lived_in, verbs};

/// The answer of each verb that changes something.
const CHANGED: &[(&str, &str)] = &[
    ("actor add", "key_made"),
    ("actor rotate", "key_made"),
    ("actor vouch", "key_vouched"),
    ("alias remove", "alias_removed"),
    ("alias set", "alias_set"),
    ("approve", "promotion_approved"),
    ("archive", "run_moved"),
    ("checkpoint anchor", "log_checkpoint_anchored"),
    ("classify", "run_edited"),
    ("cleanup", "cleanup"),
    ("demote", "model_placed"),
    ("ensemble create", "run"),
    ("gc", "garbage"),
    ("layout migrate", "migration"),
    ("layout pack-logs", "log_pack"),
    ("note", "run_edited"),
    ("pin", "run_edited"),
    ("policy edit", "policy_changed"),
    ("policy set", "policy_changed"),
    ("promote", "promotion"),
    ("redact", "redaction"),
    ("reject", "promotion_rejected"),
    ("rename", "run_edited"),
    ("repair", "repairs"),
    ("replay", "replay"),
    ("reproduce", "reproduction"),
    ("restore", "run_moved"),
    ("rollback", "model_placed"),
    ("run exec", "executed"),
    ("run fail", "run_ended"),
    ("run finish", "run_ended"),
    ("run log", "metrics_recorded"),
    ("run save", "file_saved"),
    ("run share", "run_edited"),
    ("run start", "run_started"),
    ("snapshot create", "snapshot_taken"),
    ("snapshot restore", "snapshot_restored"),
    ("tag", "run_edited"),
    ("train", "run"),
    ("undo", "undo"),
    ("unpin", "run_edited"),
    ("version bump", "version_bumped"),
];

/// The answer of each use of a verb that changes nothing; the words of the verb come first.
pub const READ: &[(&str, &str, &[&str])] = &[
    ("actor list", "actors", &[]),
    ("alias list", "aliases", &[]),
    ("audit", "audit", &[]),
    ("audit", "audit_checks", &["--list"]),
    ("best", "best", &[]),
    ("best", "best_explained", &["--explain"]),
    ("candidates", "candidates", &[]),
    ("candidates", "candidates", &["day"]),
    ("checkpoint show", "log_checkpoint", &[]),
    ("clinical", "clinical", &["--class", "anxiety"]),
    ("compare", "comparison", &[]),
    ("compare", "rows", &["--columns", "experiment_id,f1_macro"]),
    ("compare", "file_written", &["--out", "../runs.csv"]),
    ("consolidate plan", "consolidation_plan", &[]),
    ("consolidate report", "consolidation_report", &[]),
    ("consolidate report", "file_written", &["--out", "../report.md"]),
    ("demote", "model_placed", &["ward", "--reason", "no", "--dry-run"]),
    ("diff", "log_difference", &["--from", "0"]),
    ("doctor", "doctor", &[]),
    ("export", "exported_tables", &["csv", "../tables"]),
    ("export", "exported_tiles", &["tiles", "../tiles"]),
    ("layout show", "layout", &[]),
    ("list", "runs", &[]),
    ("list", "runs", &["--place", "production", "-n", "1"]),
    ("list", "rows", &["--columns", "experiment_id,f1_macro"]),
    ("log", "log", &[]),
    ("log copy", "file_written", &["../log.redb"]),
    ("models", "models", &["--all"]),
    ("plot", "picture", &["confusion", "day"]),
    ("plot", "file_written", &["confusion", "day", "--out", "../confusion.svg"]),
    ("policy diff", "policy_diff", &[]),
    ("policy history", "policy_history", &[]),
    ("policy show", "policy", &[]),
    ("predict", "prediction", &["ward", "some words"]),
    ("prove", "proof", &["day"]),
    ("query", "rows", &["SELECT position, kind FROM events"]),
    ("query", "saved_queries", &["--list"]),
    ("query", "tables", &["--tables"]),
    ("replay", "replay_check", &["--check"]),
    ("replay", "replay_files", &["--out", "../files"]),
    ("report", "report", &["--out", "../report.html"]),
    ("show", "run", &["day"]),
    ("show", "model", &["ward"]),
    ("show", "event", &["1"]),
    ("snapshot diff", "snapshot_difference", &["latest", "latest"]),
    ("snapshot list", "snapshots", &[]),
    ("snapshot show", "snapshot", &["latest"]),
    ("snapshot verify", "snapshot_verified", &["latest"]),
    ("status", "status", &[]),
    ("train", "configs", &["--list-configs"]),
    ("train", "settings", &["--list-settings"]),
    ("train", "config", &["--config", "toy", "--show-config"]),
    ("trust", "trust", &["--dry-run"]),
    ("trust", "trusted_logs", &["--list"]),
    ("verify", "verification", &[]),
    ("verify", "files_verified", &["--files"]),
    ("version list", "model_versions", &["ward"]),
    ("why", "why", &["ward"]),
];

/// Answers that need more than one use of a verb: `others`.
const APART: &[&str] = &[
    "bundle",
    "bundle_checked",
    "consolidation_applied",
    "failure",
    "invocation",
    "proof_checked",
    "run_planned",
    "trained_repeatedly",
    "workspace_created",
    "workspace_planned",
];

/// Verbs that print no value: a script for shells, a schema.
const WITHOUT: &[&str] = &["completions", "policy schema"];

fn check(answer: &str, printed: &str, words: &[&str]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = path.join(format!("schemas/answers/{answer}.v1.json"));
    let schema = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{answer}: {e}"));
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let value: serde_json::Value = serde_json::from_str(printed)
        .unwrap_or_else(|e| panic!("{words:?} prints no JSON value ({e}):\n{printed}"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&value).map(|e| format!("{} at {}", e, e.instance_path())).collect();
    assert!(errors.is_empty(), "{words:?} does not fit {answer}: {errors:#?}\n{printed}");
}

/// Runs a verb and checks its answer; findings have exit codes of their own.
fn run(ward: &Workspace, answer: &str, words: &[&str]) -> Answer {
    let words = [&["--format", "json"], words].concat();
    let ran = ward.annals(&words);
    assert!([0, 9, 10].contains(&ran.code), "{words:?}: {}", ran.err);
    check(answer, &ran.out, &words);
    ran
}

#[test]
fn every_verb_and_every_schema_is_in_a_table() {
    let apart = ["consolidate apply", "init", "verify-bundle"];
    let listed = READ.iter().map(|row| row.0).chain(CHANGED.iter().map(|row| row.0));
    let listed = listed.chain(WITHOUT.iter().copied()).chain(apart);
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    let mut found = verbs();
    found.insert("log".into());
    assert_eq!(listed, found);
    let tried = READ.iter().map(|row| row.1).chain(CHANGED.iter().map(|row| row.1));
    let tried: BTreeSet<&str> = tried.chain(APART.iter().copied()).collect();
    let known: BTreeSet<&str> = annals::app::ANSWERS.iter().map(|answer| answer.name).collect();
    assert_eq!(tried, known);
}

#[test]
fn what_a_reading_verb_prints_fits_its_schema() {
    let ward = lived_in();
    ward.annals(&["snapshot", "create"]).ok();
    let failed: Vec<String> = READ
        .iter()
        .filter_map(|(verb, answer, more)| {
            let words: Vec<&str> = verb.split(' ').chain(more.iter().copied()).collect();
            let tried = std::panic::catch_unwind(|| run(&ward, answer, &words));
            tried.err().map(|_| words.join(" "))
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_a_changing_verb_prints_fits_its_schema() {
    let mut tried = BTreeSet::new();
    for case in CHANGING {
        if tried.insert(case.0) {
            let answer = CHANGED.iter().find(|row| row.0 == case.0).unwrap().1;
            run(&begun(case), answer, case.2);
        }
    }
}

#[test]
fn others() {
    let ward = Workspace::bare();
    run(&ward, "workspace_planned", &["init", "--dry-run"]);
    run(&ward, "workspace_created", &["init"]);
    let refused = ward.annals(&["--format", "json", "show", "nothing"]);
    check("failure", &refused.err, &["show", "nothing"]);
    let train = ["train", "--config", "toy", "--name", "twice", "--sample-size", "200"];
    run(&ward, "run_planned", &[&train[..], &["--dry-run"]].concat());
    let trained = run(&ward, "trained_repeatedly", &[&train[..], &["--repeat", "2"]].concat());
    let trained = trained.json()["runs"][0]["run_id"].as_str().unwrap().to_owned();
    let plan = run(&ward, "consolidation_plan", &["consolidate", "plan"]).json();
    let plan = plan["plan_digest"].as_str().unwrap().to_owned();
    run(&ward, "consolidation_applied", &["consolidate", "apply", &plan]);
    let first = ward.annals(&["--format", "json", "log", "-n", "1"]).ok().json();
    let invocation = first[0]["stream"].as_str().unwrap().to_owned();
    assert!(invocation.starts_with("invocation/"), "{invocation}");
    run(&ward, "invocation", &["show", &invocation]);
    let proof = run(&ward, "proof", &["prove", "1"]).out;
    std::fs::write(ward.path("proof.json"), proof).unwrap();
    run(&ward, "proof_checked", &["prove", "--check", "proof.json"]);
    run(&ward, "why", &["why", &trained, "--proofs", "bundle.json"]);
    let bundle = String::from_utf8(ward.read("bundle.json")).unwrap();
    check("bundle", &bundle, &["why", "--proofs"]);
    run(&ward, "bundle_checked", &["verify-bundle", "bundle.json"]);
}

/// Lists are one item a line with `--format jsonl`, and everything else is one line.
#[test]
fn lines_are_the_items_of_a_list() {
    let ward = lived_in();
    let list = ward.annals(&["--format", "json", "list"]).ok().json();
    let lines = ward.annals(&["--format", "jsonl", "list"]).ok().out;
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, *list.as_array().unwrap());
    assert_eq!(ward.annals(&["--format", "jsonl", "status"]).ok().out.lines().count(), 1);
}
