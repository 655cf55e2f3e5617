//! Somebody who can write the workspace changes `views.redb`: decisions and answers are the log's,
//! `doctor` names the change, and the next writer names it and rebuilds the views.

use redb::{Database, ReadableTable as _, TableDefinition, TableHandle as _};

use crate::support::Workspace;

const VIEWS: &str = ".annals/views.redb";
const NAMED: &str = "views.redb was changed by something other than annals";

/// Replaces bytes in the rows of some views, as an attacker without any key does: checksums and
/// trees of the file are right afterwards. Returns how many rows had the bytes.
fn replace(ward: &Workspace, views: &[&'static str], from: &[u8], to: &[u8]) -> usize {
    assert_eq!(from.len(), to.len());
    let db = Database::open(ward.path(VIEWS)).unwrap();
    let txn = db.begin_write().unwrap();
    let mut replaced = 0;
    for view in views {
        let mut table = txn.open_table(TableDefinition::<&[u8], &[u8]>::new(view)).unwrap();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = table
            .iter()
            .unwrap()
            .map(|row| row.map(|(key, row)| (key.value().to_vec(), row.value().to_vec())).unwrap())
            .collect();
        for (key, mut row) in rows {
            let mut found = false;
            for at in 0..(row.len() + 1).saturating_sub(from.len()) {
                if row[at..].starts_with(from) {
                    row[at..at + to.len()].copy_from_slice(to);
                    found = true;
                }
            }
            if found {
                replaced += 1;
                table.insert(key.as_slice(), row.as_slice()).unwrap();
            }
        }
    }
    txn.commit().unwrap();
    replaced
}

/// The same for a number, as rows store it.
fn replace_number(ward: &Workspace, views: &[&'static str], from: f64, to: f64) {
    assert!(replace(ward, views, &from.to_le_bytes(), &to.to_le_bytes()) > 0);
}

#[track_caller]
fn named_by_doctor(ward: &Workspace) {
    let doctor = ward.annals(&["doctor"]);
    assert_eq!(doctor.code, 9, "{}{}", doctor.out, doctor.err);
    assert!(doctor.out.contains(NAMED), "{}", doctor.out);
}

/// The next verb that changes something names the change; afterwards all is well.
#[track_caller]
fn named_and_rebuilt_by(ward: &Workspace, args: &[&str]) {
    let changing = ward.annals(args).ok();
    assert!(changing.err.contains(NAMED), "{}", changing.err);
    assert!(changing.err.contains("rebuilt from the log"), "{}", changing.err);
    ward.annals(&["doctor"]).ok();
    ward.annals(&["replay", "--check"]).ok();
    let next = ward.annals(&["note", "forest", "all is well"]);
    assert!(!next.err.contains("views.redb"), "{}", next.err);
}

/// A run under way whose accuracy on the test rows was recorded as 0.40.
fn open_run() -> Workspace {
    let ward = Workspace::new();
    ward.annals(&["run", "start", "--name", "forest", "--synthetic", "false"]).ok();
    ward.annals(&["run", "log", "forest", "test/accuracy=0.40", "--step", "1"]).ok();
    ward.annals(&["replay"]).ok();
    ward
}

fn number(ward: &Workspace, args: &[&str]) -> serde_json::Value {
    let shown = ward.annals(&[args, &["--format", "json"]].concat()).ok().json();
    let metrics = shown["metrics"].as_array().unwrap().clone();
    metrics.into_iter().find(|metric| metric["key"]["name"] == "accuracy").unwrap()["value"].clone()
}

#[test]
fn the_end_of_a_run_is_signed_over_the_recorded_points() {
    let ward = open_run();
    replace_number(&ward, &["metrics"], 0.40, 0.97);
    named_by_doctor(&ward);
    named_and_rebuilt_by(&ward, &["run", "finish", "forest"]);
    assert_eq!(number(&ward, &["show", "forest"]), 0.40);
    let events = ward.annals(&["log", "--run", "forest", "--format", "json"]).ok().out;
    assert!(events.contains("run.finished") && !events.contains("0.97"), "{events}");
    ward.annals(&["verify"]).ok();
}

#[test]
fn the_step_of_a_point_without_one_follows_the_recorded_points() {
    let ward = open_run();
    assert!(replace(&ward, &["metrics"], &1_u64.to_le_bytes(), &900_u64.to_le_bytes()) > 0);
    let logged = ward.annals(&["run", "log", "forest", "test/accuracy=0.5", "--format", "json"]);
    assert_eq!(logged.ok().json()["step"], 2);
}

/// A finished run with 0.40, which no rule lets into production.
fn poor_run() -> Workspace {
    let ward = open_run();
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "0"]).ok();
    ward.annals(&["run", "finish", "forest"]).ok();
    ward
}

#[test]
fn no_verb_shows_a_number_that_was_changed_in_the_views() {
    let ward = poor_run();
    let verbs: [&[&str]; 6] = [
        &["list", "--format", "json"],
        &["show", "forest", "--format", "json"],
        &["best", "--explain", "--format", "json"],
        &["candidates", "--format", "json"],
        &["status", "--format", "json"],
        &["compare", "forest", "forest", "--format", "json"],
    ];
    let answers = || verbs.map(|verb| ward.annals(verb)).map(|a| (a.code, a.out));
    let before = answers();
    replace_number(&ward, &["runs", "run_details"], 0.40, 0.97);
    assert_eq!(answers(), before);
    named_by_doctor(&ward);
    named_and_rebuilt_by(&ward, &["note", "forest", "looked at it"]);
    assert_eq!(answers().map(|(code, _)| code), before.map(|(code, _)| code));
    let registry = String::from_utf8(ward.read("models_registry.json")).unwrap();
    assert!(!registry.contains("0.97"), "{registry}");
}

#[test]
fn a_promotion_is_judged_by_the_log() {
    let ward = poor_run();
    let refused = ward.annals(&["promote", "forest", "--as", "wood", "--reason", "good"]);
    replace_number(&ward, &["runs", "run_details"], 0.40, 0.97);
    let again = ward.annals(&["promote", "forest", "--as", "wood", "--reason", "good"]);
    assert_eq!((refused.code, again.code), (5, 5), "{}", again.err);
    assert!(again.err.contains("0.4") && !again.err.contains("0.97"), "{}", again.err);
    // The refusal is recorded: it is the next writer.
    assert!(again.err.contains(NAMED), "{}", again.err);
    ward.annals(&["doctor"]).ok();
}

/// A model in production that was trained here.
fn in_production() -> Workspace {
    let ward = Workspace::new();
    ward.allow_synthetic();
    let args = ["train", "--config", "tfidf_logreg", "--name", "forest", "--category", "baseline"];
    ward.annals(&[&args[..], &["--sample-size", "400"]].concat()).ok();
    ward.annals(&["policy", "set", "production_promotion.min_test_rows", "10"]).ok();
    ward.annals(&["promote", "forest", "--as", "wood"]).ok();
    ward
}

#[test]
fn a_model_answers_only_with_the_weights_in_the_log() {
    let ward = in_production();
    let shown = ward.annals(&["show", "wood", "--format", "json"]).ok().json();
    let files = shown["model"]["files"].as_array().unwrap();
    let (path, recorded) = files
        .iter()
        .map(|file| (file[0].as_str().unwrap(), file[1].as_str().unwrap()))
        .find(|(path, _)| path.starts_with("model."))
        .unwrap();
    let weights = format!("models/production/wood/{path}");
    let mut bytes = ward.read(&weights);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(ward.path(&weights), &bytes).unwrap();
    let swapped = blake3::hash(&bytes).to_hex().to_string();
    let views = ["registry", "run_details"];
    assert!(replace(&ward, &views, recorded.as_bytes(), swapped.as_bytes()) > 0);
    ward.annals(&["predict", "wood", "x"]).refused(10, "is in the log");
    let doctor = ward.annals(&["doctor"]);
    assert!(doctor.out.contains(NAMED), "{}", doctor.out);
    assert!(doctor.out.contains(&weights) || doctor.out.contains("wood"), "{}", doctor.out);
    ward.annals(&["repair", "wood"]).ok();
    ward.annals(&["predict", "wood", "x"]).ok();
    ward.annals(&["doctor"]).ok();
}

#[test]
fn a_row_that_is_removed_or_put_back_from_before_is_named() {
    let ward = poor_run();
    let old = ward.read(VIEWS);
    ward.annals(&["tag", "forest", "+seen"]).ok();
    // A file of an earlier size is only behind; a row of it in the newest file is a change.
    std::fs::write(ward.path(VIEWS), &old).unwrap();
    ward.annals(&["doctor"]).ok();
    assert!(ward.annals(&["show", "forest"]).ok().out.contains("seen"));
    let db = Database::open(ward.path(VIEWS)).unwrap();
    let txn = db.begin_write().unwrap();
    let names: Vec<String> = txn.list_tables().unwrap().map(|t| t.name().to_owned()).collect();
    assert!(names.iter().any(|name| name == "proof"), "{names:?}");
    txn.open_table(TableDefinition::<&[u8], &[u8]>::new("run_details"))
        .unwrap()
        .retain(|_, _| false)
        .unwrap();
    txn.commit().unwrap();
    drop(db);
    assert!(ward.annals(&["show", "forest"]).ok().out.contains("seen"));
    named_by_doctor(&ward);
    named_and_rebuilt_by(&ward, &["tag", "forest", "+named"]);
}

/// The proof and the seal cannot be made without the user's secret; another user's annals folds
/// the log itself, and blames nobody.
#[test]
fn views_of_another_user_are_neither_believed_nor_blamed() {
    let ward = poor_run();
    let secret = ward.home().join(".config/annals/keys/views.secret");
    assert!(secret.is_file());
    std::fs::remove_file(&secret).unwrap();
    ward.annals(&["doctor"]).ok();
    let shown = ward.annals(&["show", "forest"]).ok();
    assert!(!shown.err.contains("views.redb"), "{}", shown.err);
    let changing = ward.annals(&["tag", "forest", "+theirs"]).ok();
    assert!(!changing.err.contains("views.redb"), "{}", changing.err);
    assert!(secret.is_file());
    // Changed rows are named to a user without a proof as well.
    std::fs::remove_file(&secret).unwrap();
    replace_number(&ward, &["runs", "run_details"], 0.40, 0.97);
    assert_eq!(number(&ward, &["show", "forest"]), 0.40);
    named_by_doctor(&ward);
    named_and_rebuilt_by(&ward, &["tag", "forest", "+ours"]);
}

/// A copy has no seal, and its rows fit the proof.
#[test]
fn a_copied_workspace_is_proven_by_its_rows() {
    let ward = poor_run().copy();
    ward.annals(&["doctor"]).ok();
    let changing = ward.annals(&["tag", "forest", "+copied"]).ok();
    assert!(!changing.err.contains("views.redb"), "{}", changing.err);
    std::fs::write(ward.path(".annals/views.lock"), [7; 32]).unwrap();
    let changing = ward.annals(&["tag", "forest", "+again"]).ok();
    assert!(!changing.err.contains("views.redb"), "{}", changing.err);
}
