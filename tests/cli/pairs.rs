//! Features in pairs: what redaction, archives, consolidation and collecting garbage leave behind,
//! tried with every verb that reads or needs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use crate::support::{Answer, Workspace};
use crate::walk::agree;

const GC: &[&str] = &["gc", "--apply", "--min-age", "0"];
const ARCHIVE: &[&str] = &["archive", "day"];
const DROP: &[&str] = &["archive", "day", "--drop-weights"];
const RESTORE: &[&str] = &["restore", "day"];
const REASON: [&str; 2] = ["--reason", "asked"];

/// A model `ward` in production with two versions, of the runs `dawn` and `night`, the finished
/// run `day` on the same rows, an alias, and one snapshot.
pub fn lived_in() -> Workspace {
    static LIVED_IN: OnceLock<Workspace> = OnceLock::new();
    let lived_in = LIVED_IN.get_or_init(|| {
        let ward = Workspace::new();
        ward.allow_synthetic();
        for (name, seed) in [("dawn", "1"), ("day", "1"), ("night", "1")] {
            ward.train(name, &["--seed", seed, "--threads", "1"]).ok();
        }
        // Weights of its own: nothing else holds them.
        ward.train("lone", &["--seed", "1", "--threads", "1", "--set", "training.num_epochs=2"])
            .ok();
        ward.annals(&["promote", "dawn", "--as", "ward"]).ok();
        ward.annals(&["promote", "night", "--as", "ward", "--replace"]).ok();
        ward.annals(&["alias", "set", "champion", "ward"]).ok();
        ward.annals(&["snapshot", "create", "--run", "day"]).ok();
        ward
    });
    lived_in.copy()
}

/// A workspace whose run `day` alone has its weights.
fn with_own_weights() -> Workspace {
    static OWN: OnceLock<Workspace> = OnceLock::new();
    let own = OWN.get_or_init(|| {
        let ward = Workspace::new();
        ward.allow_synthetic();
        for (name, seed) in [("day", "1"), ("night", "2")] {
            ward.train(name, &["--seed", seed, "--threads", "1"]).ok();
        }
        ward
    });
    own.copy()
}

/// Every file with its bytes, but for the log, the views, lock files and what a copy notes.
fn files(ward: &Workspace) -> BTreeMap<String, Vec<u8>> {
    fn walk(dir: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                walk(&path, root, found);
            } else if ![".redb", ".lock", "place.json"].iter().any(|end| name.ends_with(end)) {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&ward.root, &ward.root, &mut found);
    found
}

fn size_of_log(ward: &Workspace) -> u64 {
    let status = ward.annals(&["status", "--format", "json"]).ok().json();
    status["events"].as_u64().unwrap()
}

/// The artifacts of a run: name and digest.
fn artifacts(ward: &Workspace, run: &str) -> Vec<(String, String)> {
    let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
    let all = shown["artifacts"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    all.map(|artifact| (text(&artifact[0]), text(&artifact[2]))).collect()
}

fn digest_of(ward: &Workspace, run: &str, name: &str) -> String {
    let all = artifacts(ward, run);
    all.into_iter().find(|(known, _)| known == name).unwrap().1
}

fn redact(ward: &Workspace, args: &[&str]) -> Answer {
    ward.annals(&[&["redact"], args, &REASON].concat())
}

/// `redact --text-from` of one text.
fn redact_text(ward: &Workspace, text: &str, more: &[&str]) -> Answer {
    let path = ward.root.parent().unwrap().join("text");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    redact(ward, &[&["--text-from", &path], more].concat())
}

fn is_candidate(ward: &Workspace, run: &str) -> bool {
    let answer = ward.annals(&["candidates", run, "--format", "json"]);
    assert!([0, 5].contains(&answer.code), "{}", answer.err);
    answer.code == 0 && answer.json()[0]["candidate"] == true
}

/// Removes `day` by a consolidation, which keeps the others; not what somebody archived by hand.
fn remove_day(ward: &Workspace) {
    for run in ["day", "night", "lone", "dawn"] {
        ward.annals(&["classify", run, "--as", "debug"]);
    }
    for run in ["night", "lone", "dawn"] {
        ward.annals(&["pin", run]);
        ward.annals(&["rename", run, "other"]);
    }
    ward.annals(&["rename", "day", "mock_test"]).ok();
    let plan = ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json();
    ward.annals(&["consolidate", "apply", plan["plan_digest"].as_str().unwrap()]).ok();
}

/// What may let blobs go, in every order of two: `gc`, `verify` and `doctor` have one definition of
/// what the record needs.
#[test]
fn blb_2_whatever_lets_a_file_go_gc_verify_and_doctor_agree() {
    type Way = (&'static str, fn(&Workspace));
    let ways: [Way; 8] = [
        ("archive", |ward| drop(ward.annals(ARCHIVE))),
        ("drop", |ward| drop(ward.annals(DROP))),
        ("restore", |ward| drop(ward.annals(RESTORE))),
        ("remove", remove_day),
        ("pack logs", |ward| {
            ward.annals(&["layout", "pack-logs", "--before", "0 s", "--apply"]);
        }),
        ("migrate", |ward| drop(ward.annals(&["layout", "migrate", "training-output", "--apply"]))),
        ("redact", |ward| {
            let digest = digest_of(ward, "night", "test_predictions");
            redact(ward, &["--blob", &digest]).ok();
        }),
        ("demote", |ward| drop(ward.annals(&["demote", "ward", "--reason", "old"]))),
    ];
    let lived_in = with_own_weights();
    lived_in.annals(&["promote", "night", "--as", "ward"]).ok();
    for (first, way) in ways {
        for (second, other) in ways {
            // The name of the run changes when it is removed, and it is removed once.
            if first == "remove" || (first == second && first == "redact") {
                continue;
            }
            let ward = lived_in.copy();
            way(&ward);
            other(&ward);
            ward.annals(GC).ok();
            let told = format!("{first}, {second}, gc");
            let verified = ward.annals(&["verify"]);
            assert_eq!(verified.code, 0, "{told}: {}", verified.out);
            let doctor = ward.annals(&["doctor"]);
            assert_eq!(doctor.code, 0, "{told}: {}", doctor.out);
        }
    }
    // And what is needed is missed by both.
    let weights = digest_of(&lived_in, "day", "weights");
    std::fs::remove_file(lived_in.path(&format!(".annals/blobs/{}/{weights}", &weights[..2])))
        .unwrap();
    assert_eq!(lived_in.annals(&["verify"]).code, 10);
    let doctor = lived_in.annals(&["doctor"]);
    assert!(doctor.code != 0 && doctor.out.contains("is missing"), "{}", doctor.out);
}

/// A text in a file that decides what a model answers is refused, by name and before anything is
/// changed; with `--partly` it goes from everywhere else.
#[test]
fn redaction_leaves_bytes_that_decide_a_result() {
    let ward = lived_in();
    // In the header of weights, in the vocabulary, in the settings, in the labels.
    let run = ward.annals(&["show", "day", "--format", "json"]).ok().json();
    let folder = run["folder"].as_str().unwrap().to_owned();
    let vocabulary = String::from_utf8(ward.read(&format!("{folder}/config/vocab.txt"))).unwrap();
    let mut words = vocabulary.lines().filter(|word| word.len() > 4 && !word.starts_with('['));
    let word = words.next_back().unwrap().to_owned();
    let label = run["labels"][0].as_str().unwrap().to_owned();
    let texts = [
        ("dtype", "weights of run day"),
        (word.as_str(), "voc"),
        ("max_seq_length", "config"),
        (label.as_str(), "labels"),
    ];
    for (text, file) in texts.iter().filter(|(text, _)| text.len() >= 4) {
        ward.annals(&["note", "day", &format!("a person called {text} rang")]).ok();
        for way in [&["--dry-run"][..], &[]] {
            let (before, size) = (files(&ward), size_of_log(&ward));
            let refused = redact_text(&ward, text, way);
            assert_eq!(refused.code, 5, "{text} {way:?}: {}{}", refused.out, refused.err);
            assert!(refused.err.contains("determine"), "{text}: {}", refused.err);
            let named = refused.err.contains(file) || refused.err.contains("run.started");
            assert!(named, "{text} names no {file}: {}", refused.err);
            assert_eq!(files(&ward), before, "{text}");
            let more = if way.is_empty() { 2 } else { 0 };
            assert_eq!(size_of_log(&ward), size + more, "only the refusal is recorded");
        }
        let asked = ["predict", "ward", word.as_str(), "--format", "json"];
        let answer = ward.annals(&asked).ok().out;
        let weights = |ward: &Workspace| -> Vec<Vec<u8>> {
            let all = files(ward).into_iter();
            let kept = |(path, _): &(String, Vec<u8>)| {
                let ends = ["model.safetensors", "vocab.txt", "config.yaml", "labels.json"];
                ends.iter().any(|end| path.ends_with(end))
            };
            all.filter(kept).map(|(_, bytes)| bytes).collect()
        };
        let kept = weights(&ward);
        let partly = redact_text(&ward, text, &["--partly"]);
        assert!([0, 4].contains(&partly.code), "{text}: {}", partly.err);
        assert!(weights(&ward) == kept, "{text}: bytes that decide were changed");
        assert_eq!(ward.annals(&asked).ok().out, answer, "{text}");
        agree(&ward);
    }
    // A word that is nowhere else goes.
    ward.annals(&["note", "day", "Wilhelmina rang"]).ok();
    redact_text(&ward, "Wilhelmina", &[]).ok();
    agree(&ward);
}

/// Each file of a run redacted as a whole: everything that reads it copes, the findings agree, and
/// a run that cannot answer any more is no candidate.
#[test]
fn every_redacted_file_is_read_as_redacted() {
    let lived_in = lived_in();
    let report = |ward: &Workspace| ward.path("../report.html").display().to_string();
    let mut redacted = 0;
    for (name, digest) in artifacts(&lived_in, "day") {
        let ward = lived_in.copy();
        let whole = redact(&ward, &["--blob", &digest]);
        if whole.code != 0 {
            // Weights, and what the model in production shares with this run.
            let why = whole.refused(5, "determines a result");
            assert!(name == "weights" || why.err.contains("production"), "{name}: {}", why.err);
            continue;
        }
        redacted += 1;
        let report = report(&ward);
        let reading: [&[&str]; 16] = [
            &["list"],
            &["show", "day"],
            &["compare", "day", "lone"],
            &["compare", "day", "lone", "dawn"],
            &["report", "--out", &report],
            &["clinical", "day", "--class", "risk"],
            &["status"],
            &["candidates"],
            &["best"],
            &["why", "day"],
            &["query", "SELECT * FROM artifacts"],
            &["export", "jsonl", "../exported"],
            &["snapshot", "verify", "latest"],
            &["snapshot", "restore", "latest", "--to", "../restored"],
            &["log", "--run", "day"],
            &["audit", "--deep", "--fail-on", "never"],
        ];
        for words in reading {
            let read = ward.annals(words);
            assert!([0, 4].contains(&read.code), "{name}: {words:?}: {}{}", read.out, read.err);
        }
        for kind in ["roc", "pr", "calibration", "curves", "confusion"] {
            let drawn = ward.annals(&["plot", kind, "day"]);
            let said = drawn.code == 4 && drawn.err.contains("redacted at event");
            assert!(drawn.code == 0 || said, "{name}: plot {kind}: {}", drawn.err);
        }
        if name == "test_predictions" {
            let compared = ward.annals(&["compare", "day", "lone"]).ok();
            assert!(compared.err.contains("redacted at event"), "{}", compared.err);
        }
        let audit = ward.annals(&["audit", "--deep", "--fail-on", "never"]).ok().out;
        assert!(!audit.contains("file-changed"), "{name}: {audit}");
        agree(&ward);
        // It answers as before, or nobody may use it.
        let able = ward.annals(&["predict", "day", "a calm night"]).code == 0;
        assert_eq!(is_candidate(&ward, "day"), able, "{name}");
        let promoted = ward.annals(&["promote", "day", "--as", "noon"]);
        assert_eq!(promoted.code, if able { 0 } else { 5 }, "{name}: {}", promoted.err);
        for words in [&["reproduce", "day"][..], &["ensemble", "create", "both", "day", "lone"]] {
            let used = ward.annals(words);
            let told = format!("{name}: {words:?}: {}", used.err);
            assert!([0, 5].contains(&used.code), "{told}");
            assert!(used.code == 0 || used.err.contains("redacted at event"), "{told}");
        }
        agree(&ward);
    }
    assert!(redacted > 1, "nothing of the run could be redacted");
}

/// People approved what the files were then.
#[test]
fn approvals_from_before_a_redaction_of_the_files_are_void() {
    let ward = with_own_weights();
    ward.annals(&["policy", "set", "production_promotion.approvals", "2"]).ok();
    ward.annals(&["promote", "day", "--request", "--as", "ward"]).ok();
    ward.annals_as("ines", &["approve", "ward"]).ok();
    redact(&ward, &["--blob", &digest_of(&ward, "day", "test_predictions")]).ok();
    let status = ward.annals(&["status", "--format", "json"]).ok().json();
    assert_eq!(status["open_requests"][0]["approvals"], 0);
    ward.annals_as("otto", &["approve", "ward"]).ok();
    let refused = ward.annals_as("otto", &["promote", "day", "--as", "ward"]);
    assert!(refused.code == 5 && refused.err.contains("1 of 2 approvals"), "{}", refused.err);
    assert!(refused.err.contains("ines") && refused.err.contains("void"), "{}", refused.err);
    ward.annals_as("ines", &["approve", "ward"]).ok();
    ward.annals_as("otto", &["promote", "day", "--as", "ward"]).ok();
    agree(&ward);
}

/// Wherever the files of a run are, every verb that needs them finds them or names the reason, and
/// all that judge whether it may go into production judge alike.
#[test]
fn files_are_found_where_they_are_or_refused_with_the_reason() {
    type Before = &'static [&'static [&'static str]];
    let places: [(&str, Before); 8] = [
        ("active", &[]),
        ("archived", &[ARCHIVE]),
        ("packed", &[&["archive", "day", "--compress=zst"]]),
        ("packed otherwise", &[&["archive", "day", "--compress=gz"]]),
        ("dropped", &[DROP]),
        ("dropped and packed", &[&["archive", "day", "--drop-weights", "--compress"]]),
        ("dropped and collected", &[DROP, GC]),
        ("dropped, collected and restored", &[DROP, GC, RESTORE]),
    ];
    let own = with_own_weights();
    for (place, before) in places {
        let ward = own.copy();
        for words in before {
            ward.annals(words).ok();
        }
        alike(&ward, "day", place);
    }
    let ward = own.copy();
    remove_day(&ward);
    ward.annals(&["predict", "mock_test", "a"]).refused(5, "were removed by consolidation");
    alike(&ward, "mock_test", "removed");
    ward.annals(GC).ok();
    alike(&ward, "mock_test", "removed and collected");
}

fn alike(ward: &Workspace, run: &str, place: &str) {
    let candidate = is_candidate(ward, run);
    let promotions: [&[&str]; 4] =
        [&["--dry-run"], &["--request", "--dry-run"], &["--request"], &[]];
    for way in promotions {
        let copy = ward.copy();
        let promoted = copy.annals(&[&["promote", run, "--as", "model"], way].concat());
        let wanted = if candidate { 0 } else { 5 };
        assert_eq!(promoted.code, wanted, "{place}: promote {way:?}: {}", promoted.err);
        if !candidate {
            let status = copy.annals(&["status", "--format", "json"]).ok().json();
            assert_eq!(status["open_requests"].as_array().unwrap().len(), 0, "{place}");
        }
    }
    let needing: [&[&str]; 6] = [
        &["predict", run, "a calm night"],
        &["reproduce", run],
        &["ensemble", "create", "both", run, "other_or_night"],
        &["compare", run],
        &["restore", run],
        &["train", "--resume", run],
    ];
    for words in needing {
        let copy = ward.copy();
        let night = if run == "day" { "night" } else { "other" };
        let words: Vec<&str> =
            words.iter().map(|w| if *w == "other_or_night" { night } else { w }).collect();
        let used = copy.annals(&words);
        let told = format!("{place}: {words:?}: {}{}", used.out, used.err);
        assert!([0, 5].contains(&used.code), "{told}");
        // The verb that a hint names does its work.
        for helps in ["restore", "reproduce"] {
            if used.err.contains(&format!("`annals {helps} ")) {
                copy.annals(&[helps, run]).ok();
            }
        }
        agree(&copy);
    }
    // An approval is judged likewise.
    if candidate {
        let copy = ward.copy();
        copy.annals(&["promote", run, "--request", "--as", "model"]).ok();
        copy.annals_as("ines", &["approve", "model"]).ok();
    }
}

#[test]
fn an_approval_is_refused_once_the_files_are_gone() {
    let ward = with_own_weights();
    ward.annals(&["promote", "day", "--request", "--as", "ward"]).ok();
    redact(&ward, &["--blob", &digest_of(&ward, "day", "vocabulary")]).ok();
    ward.annals_as("ines", &["approve", "ward"]).refused(5, "was redacted at event");
    assert!(!is_candidate(&ward, "day"));
}

#[test]
fn an_ensemble_is_archived_without_weights_and_restored_with_them() {
    let ward = lived_in();
    ward.annals(&["ensemble", "create", "both", "day", "lone"]).ok();
    let asked = ["predict", "both", "a calm night"];
    let answer = ward.annals(&asked).ok().out;
    for how in [&["--drop-weights"][..], &["--drop-weights", "--compress"], &["--compress"]] {
        ward.annals(&[&["archive", "both"], how].concat()).ok();
        let left = files(&ward)
            .into_keys()
            .filter(|path| path.contains("both") && path.ends_with(".safetensors"));
        assert_eq!(left.count() > 0, !how.contains(&"--drop-weights"), "{how:?}");
        let used = ward.annals(&asked);
        assert!(used.code == 0 || used.err.contains("annals restore"), "{how:?}: {}", used.err);
        ward.annals(&["restore", "both"]).ok();
        assert_eq!(ward.annals(&asked).ok().out, answer, "{how:?}");
        agree(&ward);
    }
}

/// A verb and its dry run end alike, in whatever state the workspace is.
#[test]
fn a_dry_run_ends_as_the_verb_does() {
    type Before = &'static [&'static [&'static str]];
    let befores: [Before; 7] = [
        &[],
        &[ARCHIVE],
        &[DROP, GC],
        &[&["pin", "day"]],
        &[&["promote", "day", "--request", "--as", "dusk"]],
        &[&["policy", "set", "production_promotion.enabled", "false"]],
        &[&["demote", "ward", "--reason", "old"]],
    ];
    let verbs: [&[&str]; 14] = [
        ARCHIVE,
        DROP,
        RESTORE,
        &["promote", "day", "--as", "dusk"],
        &["promote", "day", "--as", "Ward"],
        &["promote", "day", "--as", "taken"],
        &["promote", "day", "--as", "ward"],
        &["promote", "day", "--as", "ward", "--replace"],
        &["promote", "day", "--as", "dusk", "--request"],
        &["demote", "ward", "--reason", "old"],
        &["rollback", "ward", "--reason", "old"],
        &["undo"],
        &["cleanup", "--keep", "0"],
        &["redact", "--run", "day", "--field", "note", "--reason", "asked"],
    ];
    let lived_in = lived_in();
    // Folders of somebody else where some of them would go.
    for taken in ["models/production/Taken", "experiments/archived"] {
        std::fs::create_dir_all(lived_in.path(taken)).unwrap();
    }
    for before in befores {
        let ward = lived_in.copy();
        for words in before {
            ward.annals(words).ok();
        }
        for verb in verbs {
            let (files, size) = (files(&ward), size_of_log(&ward));
            let dry = ward.annals(&[verb, &["--dry-run"]].concat());
            let told = format!("{before:?} {verb:?}: {}", dry.err);
            assert!(self::files(&ward) == files && size_of_log(&ward) == size, "{told}");
            let copy = ward.copy();
            let real = copy.annals(verb);
            assert_eq!(dry.code, real.code, "{told} against {}", real.err);
            agree(&copy);
        }
    }
}

/// A verb that is named by two words, its dry run, and how it is carried out.
type Verb = (&'static [&'static str], &'static [&'static str]);

/// The same for the verbs whose dry run is no option of the same words.
#[test]
fn a_dry_run_of_housekeeping_ends_as_the_verb_does() {
    const OUTPUT: &[&str] = &["layout", "migrate", "training-output", "--apply"];
    let verbs: [Verb; 4] = [
        (&["layout", "migrate", "training-output"], &["--apply"]),
        (&["layout", "migrate", "consolidated"], &["--apply"]),
        (&["layout", "pack-logs", "--before", "0 s"], &["--apply"]),
        (&["layout", "pack-logs", "--before", "2001-01-01"], &["--apply"]),
    ];
    let befores: [&[&[&str]]; 5] =
        [&[], &[OUTPUT], &[ARCHIVE], &[OUTPUT, ARCHIVE], &[&["demote", "ward", "--reason", "old"]]];
    let lived_in = lived_in();
    for before in befores {
        let ward = lived_in.copy();
        for words in before {
            ward.annals(words).ok();
        }
        for (verb, real) in verbs {
            let (files, size) = (files(&ward), size_of_log(&ward));
            let dry = ward.annals(&[verb, &["--dry-run", "--format", "json"]].concat());
            let told = format!("{before:?} {verb:?}: {}", dry.err);
            assert!(self::files(&ward) == files && size_of_log(&ward) == size, "{told}");
            let copy = ward.copy();
            let done = copy.annals(&[verb, real, &["--format", "json"]].concat());
            assert_eq!(dry.code, done.code, "{told} against {}", done.err);
            if dry.code == 0 {
                for field in ["moves", "logs"] {
                    assert_eq!(dry.json()[field], done.json()[field], "{told}");
                }
            }
            agree(&copy);
        }
        // A consolidation does exactly what the plan with its digest shows, and nothing else.
        let size = size_of_log(&ward);
        let plan = ward.annals(&["consolidate", "plan", "--format", "json"]).ok().json();
        assert_eq!(size_of_log(&ward), size, "{before:?}");
        let copy = ward.copy();
        let digest = plan["plan_digest"].as_str().unwrap();
        let done = copy.annals(&["consolidate", "apply", digest, "--format", "json"]).ok().json();
        let named = |rows: &serde_json::Value, all: bool| {
            let mut named: Vec<String> = rows
                .as_array()
                .unwrap()
                .iter()
                .filter(|row| all || row["action"] != "keep")
                .map(|row| format!("{} {}", row["experiment_id"], row["action"]))
                .collect();
            named.sort();
            named
        };
        let stayed = done["stayed"].as_array().map_or(0, Vec::len);
        assert_eq!(stayed, 0, "{before:?}: {done}");
        assert_eq!(named(&plan["plan"]["rows"], false), named(&done["done"], true), "{before:?}");
        agree(&copy);
    }
}

/// A promotion that is refused leaves no request, bars no other name, and the next undo reverts the
/// last command that changed something.
#[test]
fn a_refused_promotion_changes_nothing() {
    type Case = (&'static [&'static str], &'static [&'static str], i32);
    let cases: [Case; 7] = [
        (&["policy", "set", "production_promotion.enabled", "false"], &["--as", "noon"], 5),
        (&["policy", "set", "production_promotion.min_test_rows", "99999"], &["--as", "noon"], 5),
        (&["tag", "day", "+slow"], &["--as", "ward"], 6),
        (&["tag", "day", "+slow"], &["--as", "WARD"], 6),
        (&["tag", "day", "+slow"], &["--as", "Champion"], 6),
        (&["tag", "day", "+slow"], &["--as", "taken"], 6),
        (&["tag", "day", "+slow"], &["--as", "no/name"], 2),
    ];
    let lived_in = lived_in();
    std::fs::create_dir_all(lived_in.path("models/production/Taken")).unwrap();
    for (before, way, code) in cases {
        for request in [&[][..], &["--request"]] {
            let ward = lived_in.copy();
            ward.annals(before).ok();
            let refused = ward.annals(&[&["promote", "day"], way, request].concat());
            assert_eq!(refused.code, code, "{way:?} {request:?}: {}", refused.err);
            let status = ward.annals(&["status", "--format", "json"]).ok().json();
            assert_eq!(status["open_requests"].as_array().unwrap().len(), 0, "{way:?}");
            let undone = ward.annals(&["undo", "--format", "json"]).ok().json();
            assert_eq!(undone["command"].as_str().unwrap(), before.join(" "), "{way:?}");
            // What the hint says works.
            if code == 6 {
                assert!(refused.err.contains("--as"), "{}", refused.err);
                ward.annals(&["promote", "day", "--as", "noon"]).ok();
            }
            agree(&ward);
        }
    }
}

/// Each copy of a file in turn fails, and the rename of the folder: the request that the promotion
/// opened is closed, no file is left, and neither `undo` nor another name is barred.
#[test]
fn a_promotion_that_fails_leaves_no_open_request() {
    let ward = lived_in();
    ward.annals(&["tag", "day", "+slow"]).ok();
    let mut failures = 0;
    for at in 1.. {
        let copy = ward.copy();
        let fails = [("ANNALS_TEST_FAIL_AT", at.to_string())];
        let fails = fails.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = copy.annals_with(&fails, &["promote", "day", "--as", "noon"]);
        if answer.code == 0 {
            break;
        }
        failures += 1;
        assert_eq!(answer.code, 7, "failure {at}: {}", answer.err);
        assert!(answer.err.contains("a failpoint of the tests"), "{}", answer.err);
        let log = copy.annals(&["log", "--kind", "promotion.requested", "--format", "json"]).ok();
        assert_eq!(log.json().as_array().unwrap().len(), 3, "failure {at} opened no request");
        let status = copy.annals(&["status", "--format", "json"]).ok().json();
        assert_eq!(status["open_requests"].as_array().unwrap().len(), 0, "failure {at}");
        assert!(!copy.path("models/production/noon").exists(), "failure {at}");
        let undone = copy.annals(&["undo", "--format", "json"]).ok().json();
        assert_eq!(undone["command"], "tag day +slow", "failure {at}");
        copy.annals(&["promote", "day", "--as", "dusk"]).ok();
        agree(&copy);
    }
    let files = std::fs::read_dir(ward.copy().path("models/production/ward")).unwrap().count();
    assert!(failures > files, "{failures} failures of {files} files and one folder");
}

#[test]
fn an_open_request_is_named_with_what_closes_it() {
    let ward = lived_in();
    ward.annals(&["promote", "day", "--request", "--as", "noon"]).ok();
    let refused = ward.annals(&["promote", "day", "--as", "other"]).refused(6, "noon");
    let hint = refused.err.split("`annals reject ").nth(1).unwrap();
    let id = hint.split(' ').next().unwrap();
    ward.annals(&["reject", id, "--reason", "another name"]).ok();
    ward.annals(&["promote", "day", "--as", "other"]).ok();
}

/// The report names each part that it cannot show, and the reason: redacted, collected, removed.
#[test]
fn a_report_names_what_it_omits() {
    let ward = with_own_weights();
    ward.annals(&["promote", "day", "--as", "ward"]).ok();
    let report = |ward: &Workspace| {
        ward.annals(&["report", "--out", "report.html"]).ok();
        String::from_utf8(ward.read("report.html")).unwrap()
    };
    assert!(!report(&ward).contains("Omitted from this report"));
    for (artifact, omitted) in [
        ("test_predictions", "ROC and calibration pictures of day"),
        ("data_report", "near-duplicate rows"),
    ] {
        let digest = digest_of(&ward, "day", artifact);
        let copy = ward.copy();
        let redacted = redact(&copy, &["--blob", &digest]);
        if redacted.code == 0 {
            let text = report(&copy);
            assert!(text.contains(omitted), "{artifact} redacted");
            assert!(text.contains("were redacted at event"), "{artifact} redacted");
        }
        let copy = ward.copy();
        let blob = copy.path(&format!(".annals/blobs/{}/{digest}", &digest[..2]));
        std::fs::remove_file(blob).unwrap();
        let text = report(&copy);
        assert!(text.contains(omitted) && text.contains("are in no blob"), "{artifact} missing");
    }
}
