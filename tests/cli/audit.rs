//! `annals audit`: each check finds what it is for, and nothing where there is nothing.

use std::collections::BTreeSet;

use annals::app::{Caller, ConfigDirs, Draft, fold_policy};
use annals::base::Env;
use annals::domain::Provenance;
use annals::domain::run::{Ending, RunCommand, RunEdit, RunFacts, RunStream};
use serde_json::Value;

use crate::record_read::{damage_a_block, long_record};
use crate::support::Workspace;

fn audit(ward: &Workspace, more: &[&str]) -> Value {
    let args = ["audit", "--fail-on", "never", "--format", "json"];
    ward.annals(&[&args[..], more].concat()).ok().json()
}

/// Rule and weight of everything found.
fn found(audit: &Value) -> BTreeSet<(&str, &str)> {
    let findings = audit["findings"].as_array().unwrap().iter();
    let word = |value: &'_ Value| -> &'static str { value.as_str().unwrap().to_owned().leak() };
    findings.map(|finding| (word(&finding["rule"]), word(&finding["severity"]))).collect()
}

#[track_caller]
fn finding(audit: &Value, rule: &str) -> Value {
    let mut findings = audit["findings"].as_array().unwrap().iter();
    let found = findings.find(|finding| finding["rule"] == rule);
    found.unwrap_or_else(|| panic!("no {rule} in {audit:#}")).clone()
}

fn set(ward: &Workspace, rule: &str, value: &str) {
    ward.annals(&["policy", "set", &format!("production_promotion.{rule}"), value]).ok();
}

/// One reported run that is not beyond doubt, finished.
fn run(ward: &Workspace, name: &str, more: &[&str]) -> String {
    std::fs::write(ward.path("model.bin"), format!("weights of {name}")).unwrap();
    std::fs::write(ward.path("notes.csv"), "text,label\n").unwrap();
    let confusion = r#"{"labels": ["calm", "risk"], "matrix": [[90, 10], [20, 80]]}"#;
    std::fs::write(ward.path("confusion.json"), confusion).unwrap();
    let start = ["run", "start", "--name", name, "--labels", "calm,risk", "--category", "baseline"];
    let mut rows = vec!["--rows", "train=800", "--rows", "valid=100"];
    for stated in [["--synthetic", "false"], ["--leaked-rows", "0"]] {
        if !more.contains(&stated[0]) {
            rows.extend(stated);
        }
    }
    let out = ward.annals(&[&start[..], &rows, more].concat()).ok().out;
    let run = out.trim().to_owned();
    ward.annals(&["run", "save", &run, "model.bin"]).ok();
    let scores = ["test/f1_macro=0.85", "test/accuracy=0.85", "valid/f1_macro=0.86"];
    let confusion = ["--confusion", "confusion.json"];
    ward.annals(&[&["run", "finish", &run], &scores[..], &confusion].concat()).ok();
    run
}

/// A model that a careful reviewer has little to say about.
fn careful() -> Workspace {
    let ward = Workspace::new();
    std::fs::write(ward.path("notes.csv"), "text,label\n").unwrap();
    for seed in ["1", "2"] {
        run(&ward, &format!("night_v{seed}"), &["--seed", seed, "--data", "notes.csv"]);
    }
    ward.annals_as("noor", &["actor", "add", "noor"]).ok();
    ward.annals(&["actor", "vouch", "noor"]).ok();
    set(&ward, "trainer_may_approve", "false");
    ward.annals(&["promote", "night_v2", "--as", "night", "--request"]).ok();
    ward.annals_as("noor", &["approve", "night"]).ok();
    ward.annals(&["promote", "night_v2"]).ok();
    ward
}

#[test]
fn careful_work_leaves_little_to_say() {
    let ward = careful();
    let audit = audit(&ward, &[]);
    let expected = [("not-reproduced", "note"), ("reported-scores", "note")];
    let mut expected = BTreeSet::from(expected);
    // Whether a git tree is around the temporary folder is not ours to say.
    expected.extend(found(&audit).into_iter().filter(|(rule, _)| *rule == "unknown-code"));
    assert_eq!(found(&audit), expected, "{audit:#}");
    assert_eq!(audit["left_out"], Value::Array(vec![]));
    ward.annals(&["audit"]).ok();
}

#[test]
fn what_went_into_production_is_questioned() {
    let ward = Workspace::new();
    for rule in ["allow_synthetic", "allow_leakage"] {
        set(&ward, rule, "true");
    }
    let more = ["--leaked-rows", "3", "--synthetic"];
    let run = run(&ward, "night", &more);
    ward.annals(&["promote", &run, "--as", "night"]).ok();
    set(&ward, "allow_leakage", "false");
    ward.annals(&["classify", &run, "--as", "debug"]).ok();
    let audit = audit(&ward, &["--margin", "0.005"]);
    let all = found(&audit);
    for wanted in [
        ("no-second-person", "warning"),
        ("refused-today", "warning"),
        ("policy-loosened-for-promotion", "warning"),
        ("leaked-rows", "error"),
        ("synthetic-in-production", "error"),
        ("debug-in-production", "error"),
        ("test-below-validation", "warning"),
        ("one-seed", "warning"),
        ("not-reproduced", "note"),
        ("reported-scores", "note"),
    ] {
        assert!(all.contains(&wanted), "no {wanted:?} in {all:?}");
    }
    let leaked = finding(&audit, "leaked-rows");
    assert_eq!(leaked["values"]["leaked_rows"], "3");
    assert_eq!(leaked["subject"], format!("run {run}"));
    // Each finding names events, and its command shows something.
    for finding in audit["findings"].as_array().unwrap() {
        for position in finding["positions"].as_array().unwrap() {
            ward.annals(&["show", &position.to_string()]).ok();
        }
        let command = finding["command"].as_str().unwrap();
        let words: Vec<&str> = command.strip_prefix("annals ").unwrap().split(' ').collect();
        ward.annals(&words).ok();
    }
    let error = ward.annals(&["audit"]).refused(9, "severity \"error\" or higher");
    assert!(error.out.starts_with("error    leaked-rows: run night_"), "{}", error.out);
    let skipped = ["leaked-rows", "synthetic-in-production", "debug-in-production"];
    let skip: Vec<&str> = skipped.iter().flat_map(|rule| ["--skip", rule]).collect();
    ward.annals(&[&["audit"], &skip[..]].concat()).ok();
    let strict = [&["audit", "--fail-on", "warning"], &skip[..]].concat();
    ward.annals(&strict).refused(9, "severity \"warning\"");
    // What is taken out of production is of the past.
    ward.annals(&["demote", "night", "--reason", "doubts"]).ok();
    let later = self::audit(&ward, &[]);
    assert!(found(&later).contains(&("leaked-rows", "warning")), "{later:#}");
    assert_eq!(later["counts"]["error"], 0, "{later:#}");
}

/// Any rule, of any type, that was weaker at a promotion than before it: set, used and set back,
/// by anybody, with changes of another rule in between.
#[test]
fn every_rule_weakened_for_a_promotion_is_named_with_who_and_when() {
    let ward = Workspace::new();
    ward.annals_as("noor", &["actor", "add", "noor"]).ok();
    ward.annals(&["actor", "vouch", "noor"]).ok();
    set(&ward, "critical_class", "risk");
    for (rule, strict, weak) in [
        ("enabled", "false", "true"),
        ("min_accuracy_threshold", "0.9", "0.5"),
        ("min_class_f1", "0.9", "0.1"),
        ("min_critical_recall", "0.9", "none"),
        ("critical_class", "nobody", "risk"),
        ("min_test_rows", "1000", "10"),
        ("require_manual_approval", "true", "false"),
        ("approvals", "2", "1"),
        ("trainer_may_approve", "false", "true"),
        ("approvals_signed", "true", "false"),
        ("evidence", "engine,supervised", "engine,reported"),
        ("allow_synthetic", "false", "true"),
        ("allow_debug", "false", "true"),
        ("min_reproduced", "1", "0"),
    ] {
        set(&ward, rule, strict);
        let one = run(&ward, &format!("r_{rule}"), &[]);
        // By somebody who has no part in the promotion.
        let key = format!("production_promotion.{rule}");
        ward.annals_as("noor", &["policy", "set", &key, weak]).ok();
        ward.annals(&["policy", "set", "failed_experiments.archive_after_days", "8"]).ok();
        ward.annals(&["promote", &one, "--as", rule]).ok();
        ward.annals(&["policy", "set", "failed_experiments.archive_after_days", "9"]).ok();
        ward.annals_as("noor", &["policy", "set", &key, strict]).ok();
        let audit = audit(&ward, &["--only", "policy-loosened-for-promotion"]);
        let subject = format!("model {rule}@1");
        let findings = audit["findings"].as_array().unwrap();
        let of_it: Vec<&Value> = findings.iter().filter(|f| f["subject"] == *subject).collect();
        assert_eq!((of_it.len(), &of_it[0]["severity"]), (1, &"warning".into()), "{audit:#}");
        let what = of_it[0]["what"].as_str().unwrap();
        let starts = |part: &&str| part.starts_with(&format!("{rule} was "));
        let what = what.split("; ").find(starts).unwrap_or_else(|| panic!("{rule}: {what}"));
        for word in ["weakened from", "strengthened to"] {
            let change = what.split(word).nth(1).unwrap_or_else(|| panic!("{word}: {what}"));
            assert!(change.contains(" by noor on 20") && change.contains("(event "), "{what}");
        }
        let why = ward.annals(&["why", rule]).ok().out;
        let words = ["weakened", &format!("{rule} from "), "by noor"];
        let told = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(why.lines().any(told), "{why}");
        set(&ward, rule, weak);
    }
}

/// Not the rules alone: the run, and who approved it.
#[test]
fn what_would_be_refused_today_is_a_finding() {
    let ward = Workspace::new();
    let one = run(&ward, "night", &[]);
    ward.annals(&["promote", &one, "--as", "night"]).ok();
    let refused = |ward: &Workspace| audit(ward, &["--only", "refused-today"])["findings"].clone();
    assert_eq!(refused(&ward), Value::Array(vec![]));
    for (rule, strict, weak, reason) in [
        ("approvals", "2", "1", "1 of 2 approvals were given"),
        ("trainer_may_approve", "false", "true", "0 of 1 approvals were given"),
        ("evidence", "engine", "reported", "evidence: required metrics from engine"),
        ("enabled", "false", "true", "promotion is enabled"),
        ("min_test_rows", "1000", "100", "min_test_rows"),
    ] {
        set(&ward, rule, strict);
        let found = refused(&ward);
        let what = found[0]["what"].as_str().unwrap_or_default();
        assert!(what.starts_with("today it would be refused: "), "{rule}: {found:#}");
        let values = found[0]["values"].to_string();
        assert!(what.contains(reason) || values.contains(rule), "{rule}: {found:#}");
        set(&ward, rule, weak);
        assert_eq!(refused(&ward), Value::Array(vec![]), "{rule}");
    }
    // No rule changed: the run did.
    ward.annals(&["classify", &one, "--as", "debug"]).ok();
    assert!(refused(&ward)[0]["what"].as_str().unwrap().contains("not a debug run"));
    ward.annals(&["demote", "night", "--reason", "doubts"]).ok();
    assert_eq!(refused(&ward), Value::Array(vec![]));
}

#[test]
fn files_that_were_changed_are_named() {
    let ward = careful();
    let model = ward.annals(&["show", "night", "--format", "json"]).ok().json();
    let folder = model["model"]["path"].as_str().unwrap().to_owned();
    let files = model["model"]["files"].as_array().unwrap();
    let file = format!("{folder}/{}", files[0][0].as_str().unwrap());
    std::fs::write(ward.path(&file), "something else").unwrap();
    std::fs::write(ward.path(&format!("{folder}/extra.bin")), "it was not promoted").unwrap();
    std::fs::write(ward.path("MODEL_VERSION.json"), "{}").unwrap();
    let runs: Vec<_> = std::fs::read_dir(ward.path("experiments")).unwrap().flatten().collect();
    let runs: Vec<_> = runs.iter().filter(|e| e.path().join("config").is_dir()).collect();
    // As long as it was, and another one.
    let config = runs[0].path().join("config/config.json");
    let mut bytes = std::fs::read(&config).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&config, bytes).unwrap();
    std::fs::remove_dir_all(runs[1].path()).unwrap();
    let shallow = audit(&ward, &[]);
    let all = found(&shallow);
    for wanted in [
        ("production-file-changed", "error"),
        ("production-file-unknown", "error"),
        ("registry-file-edited", "warning"),
        ("folder-out-of-place", "warning"),
    ] {
        assert!(all.contains(&wanted), "no {wanted:?} in {all:?}");
    }
    assert_eq!(finding(&shallow, "production-file-changed")["file"], file);
    assert!(!all.contains(&("run-file-changed", "warning")), "its size is the same: {all:?}");
    let deep = audit(&ward, &["--deep"]);
    let changed = finding(&deep, "run-file-changed");
    assert!(changed["file"].as_str().unwrap().ends_with("config/config.json"), "{changed:#}");
    assert_ne!(changed["values"]["expected"], changed["values"]["found"]);
    std::fs::remove_file(&config).unwrap();
    let gone = finding(&audit(&ward, &[]), "run-file-changed");
    assert!(gone["what"].as_str().unwrap().contains("is missing"), "{gone:#}");
    std::fs::remove_file(ward.path(&file)).unwrap();
    let gone = finding(&audit(&ward, &[]), "production-file-changed");
    assert!(gone["what"].as_str().unwrap().contains("is missing"), "{gone:#}");
}

#[test]
fn loose_ends_of_the_record_are_named() {
    let ward = Workspace::bare();
    let at = |time: &str, seed, words: &[&str]| ward.annals_at(time, seed, words).ok();
    at("2027-03-01T10:00:00Z", 1, &["init"]);
    let run = at("2027-03-01T11:00:00Z", 2, &["run", "start", "--name", "night"]).out;
    at("2027-03-20T10:00:00Z", 3, &["note", run.trim(), "nothing since"]);
    at("2027-03-20T09:00:00Z", 4, &["note", run.trim(), "an hour earlier"]);
    let later = ["note", run.trim(), "two weeks later"];
    at("2027-04-05T10:00:00Z", 5, &later);
    ward.annals_as("noor", &["policy", "set", "production_promotion.approvals", "2"]).ok();
    let ended = ward.killed_at(2, &["train", "--config", "toy", "--sample-size", "600"]);
    assert_eq!(ended.code(), None);
    let other = ward.path("../other").display().to_string();
    let other = [("HOME", other.as_str())];
    ward.annals_with(&other, &["trust", "--key", &ward.key()]).ok();
    ward.annals_with(&other, &["note", run.trim(), "without a key"]).ok();
    let audit = audit(&ward, &[]);
    let all = found(&audit);
    for wanted in [
        ("activity-gap", "note"),
        ("clock-went-back", "warning"),
        ("decision-not-signed", "warning"),
        ("unsigned-tail", "warning"),
    ] {
        assert!(all.contains(&wanted), "no {wanted:?} in {audit:#}");
    }
    let clock = finding(&audit, "clock-went-back");
    assert_eq!(clock["values"]["seconds_back"].as_str().unwrap().split('.').next(), Some("3600"));
    assert_eq!(finding(&audit, "decision-not-signed")["subject"], "actor noor");
}

#[test]
fn a_command_that_died_is_named_until_it_is_cleared() {
    let whole = careful();
    let demote = ["demote", "night", "--reason", "too old"];
    // At some step the move is planned and not completed.
    let died = (2..12).find_map(|step| {
        let copy = whole.copy();
        copy.killed_at(step, &demote);
        let audit = audit(&copy, &[]);
        found(&audit).contains(&("move-without-end", "error")).then_some((copy, audit))
    });
    let (ward, audit) = died.unwrap();
    assert!(found(&audit).contains(&("command-without-end", "warning")), "{audit:#}");
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let copy = ["--log", "copy.redb"];
    assert!(found(&self::audit(&ward, &copy)).contains(&("command-without-end", "note")));
    ward.annals(&["note", "night_v1", "seen"]).ok();
    let cleared = self::audit(&ward, &[]);
    let left = found(&cleared).into_iter().filter(|(rule, _)| rule.ends_with("without-end"));
    assert_eq!(left.count(), 0, "{cleared:#}");
}

#[test]
fn a_copied_log_is_audited_alone_without_keys_and_past_damage() {
    let ward = long_record();
    ward.annals(&["log", "copy", "copy.redb"]).ok();
    let alone = Workspace::bare();
    std::fs::copy(ward.path("copy.redb"), alone.path("copy.redb")).unwrap();
    let here = audit(&ward, &[]);
    let there = audit(&alone, &["--log", "copy.redb"]);
    assert_eq!(found(&here), found(&there));
    assert_eq!(there["left_out"].as_array().unwrap().len(), 6, "{there:#}");
    let command = there["findings"][0]["command"].as_str().unwrap();
    assert!(command.ends_with(" --log copy.redb"), "{command}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    alone.annals(&words).ok();
    let files: Vec<_> = std::fs::read_dir(&alone.root).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is written beside a copied log");
    // Damage is a finding, and the rest is still audited.
    let (first, last) = damage_a_block(&alone.path("copy.redb"));
    let args = ["audit", "--log", "copy.redb", "--fail-on", "never", "--format", "json"];
    let answer = alone.annals(&args).refused(10, "the record is damaged");
    let audit = answer.json();
    let lost = finding(&audit, "events-lost");
    assert_eq!(lost["positions"], serde_json::json!([first, last]));
    assert_eq!(finding(&audit, "record-damaged")["severity"], "error");
    assert_eq!(audit["findings"][0]["severity"], "error", "the heaviest come first");
    // The same in a workspace, where every other verb stops.
    std::fs::copy(alone.path("copy.redb"), ward.path(".annals/log.redb")).unwrap();
    let answer = ward.annals(&["audit", "--format", "json"]).refused(10, "the record is damaged");
    let inside = answer.json();
    assert_eq!(finding(&inside, "events-lost")["positions"], lost["positions"]);
    assert_eq!(inside["left_out"].as_array().unwrap().len(), 6, "{inside:#}");
}

#[test]
fn scores_that_were_typed_in_are_named() {
    let ward = Workspace::new();
    let run = ward.annals(&["run", "start", "--name", "night"]).ok().out.trim().to_owned();
    let caller = Caller {
        actor: "mara".into(),
        host: "ward-3".into(),
        cwd: ward.root.clone(),
        argv: vec![],
        variables: Default::default(),
        folders: Default::default(),
    };
    let dirs = ConfigDirs { keys: ward.pin_alone() };
    let app = annals::app::Workspace::open(&ward.root, caller, &dirs, Env::system()).unwrap();
    let id = app.find_run(&app.snapshot().unwrap(), &run).unwrap();
    // The way an importer would, with values that no program printed.
    let metric = annals::domain::metric::FinalMetric {
        key: annals::domain::metric::MetricKey {
            name: "f1_macro".into(),
            split: Some(annals::base::Split::Test),
            direction: annals::base::Direction::Higher,
        },
        value: 0.9,
    };
    let finished = annals::domain::run::RunOutcome {
        duration_seconds: 1.0,
        steps: 0,
        epochs: 0,
        best: None,
        metrics: vec![metric],
        evaluations: vec![],
        parameter_count: None,
        model_bytes: 0,
        weights: None,
        rows_per_second: None,
    };
    app.decide("import", |tx| {
        let policy = fold_policy(tx.log())?;
        let facts = RunFacts::new(&policy, Provenance::Typed);
        let mut record = Draft::<RunStream>::read(tx.log(), id)?;
        record.decide(RunCommand::End(Ending::Finish(Box::new(finished))), &facts)?;
        let note = RunEdit::Note("from the paper".into());
        record.decide(RunCommand::Edit(note), &facts)?;
        tx.append(&mut record)
    })
    .unwrap();
    let audit = audit(&ward, &[]);
    assert!(found(&audit).contains(&("typed-metrics", "warning")), "{audit:#}");
    assert_eq!(finding(&audit, "typed-metrics")["values"]["metrics"], "1");
}

#[test]
fn the_list_names_each_check_once_and_unknown_ones_are_refused() {
    let ward = careful();
    let listed = ward.annals(&["audit", "--list", "--format", "json"]).ok().json();
    let listed = listed.as_array().unwrap();
    let rules: BTreeSet<&str> = listed.iter().map(|c| c["check"].as_str().unwrap()).collect();
    assert_eq!(rules.len(), listed.len());
    let audit = audit(&ward, &[]);
    assert_eq!(audit["checks"].as_array().unwrap().len(), rules.len());
    let one = self::audit(&ward, &["--only", "not-reproduced"]);
    assert_eq!(one["checks"], serde_json::json!(["not-reproduced"]));
    assert_eq!(one["findings"].as_array().unwrap().len(), 1);
    ward.annals(&["audit", "--skip", "leaked-row"]).refused(4, "did you mean `leaked-rows`?");
    ward.annals(&["audit", "--margin=-1"]).refused(2, "must be 0 or greater");
    ward.annals(&["list", "--format", "sarif"]).refused(2, "possible values: human, json, jsonl");
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let ward = Workspace::new();
    set(&ward, "allow_synthetic", "true");
    let run = run(&ward, "night", &["--synthetic"]);
    ward.annals(&["promote", &run, "--as", "night"]).ok();
    let production = ward.path("models/production/night/a file.bin");
    std::fs::write(production, "it was not promoted").unwrap();
    let answer = ward.annals(&["audit", "--format", "sarif"]).refused(9, "findings have severity");
    let log = answer.json();
    // SARIF 2.1.0, 3.13: version and runs; 3.14.6: tool; 3.18.2: driver; 3.19.8: name.
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-2.1.0.json"));
    assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    let one = &log["runs"][0];
    assert_eq!(one["tool"]["driver"]["name"], "annals");
    let rules = one["tool"]["driver"]["rules"].as_array().unwrap();
    for rule in rules {
        // 3.49.3: id; 3.11.3: the text of a message; 3.50.2: level.
        assert!(rule["shortDescription"]["text"].is_string(), "{rule:#}");
        let level = rule["defaultConfiguration"]["level"].as_str().unwrap();
        assert!(["error", "warning", "note"].contains(&level), "{rule:#}");
    }
    let results = one["results"].as_array().unwrap();
    let findings = audit(&ward, &[]);
    assert_eq!(results.len(), findings["findings"].as_array().unwrap().len());
    let mut prints = BTreeSet::new();
    for (result, finding) in results.iter().zip(findings["findings"].as_array().unwrap()) {
        // 3.27.5 to 3.27.12: ruleId, ruleIndex into the rules, level, message, locations.
        assert_eq!(result["ruleId"], finding["rule"]);
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert_eq!(result["level"], finding["severity"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        let uri = place.as_str().unwrap();
        assert!(!uri.contains(' ') && !uri.starts_with('/'), "{uri}");
        prints.insert(result["partialFingerprints"]["annals/v1"].as_str().unwrap().to_owned());
    }
    assert_eq!(prints.len(), results.len(), "fingerprints tell findings apart");
    let unknown = results.iter().find(|r| r["ruleId"] == "production-file-unknown").unwrap();
    let uri = &unknown["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "models/production/night/a%20file.bin");
}

#[test]
fn debug_runs_do_not_hide_what_matters() {
    let ward = Workspace::new();
    for n in 0..6 {
        let mock = run(&ward, &format!("mock_{n}"), &[]);
        ward.annals(&["classify", &mock, "--as", "debug"]).ok();
    }
    run(&ward, "night", &[]);
    let shown = ward.annals(&["audit", "--margin", "0.005", "--fail-on", "never"]).ok().out;
    let lines: Vec<&str> =
        shown.lines().filter(|line| line.contains("test-below-validation: run")).collect();
    assert!(lines[0].starts_with("warning") && lines[0].contains("night_"), "{shown}");
    let notes = lines[1..].iter().filter(|line| line.starts_with("note")).count();
    assert_eq!((lines.len(), notes), (4, 3), "{shown}");
    assert!(shown.contains("and 3 more notes of test-below-validation"), "{shown}");
}
