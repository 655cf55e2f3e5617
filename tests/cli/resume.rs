//! A training that is cut short goes on, and ends with the same bits (TRN-1).

use std::time::{Duration, Instant};

use crate::support::{Workspace, children, kill_9};

/// 4 epochs of 29 updates, a training checkpoint every 5, some 2 s.
const SETTINGS: [&str; 6] =
    ["--set", "training.save_steps=5", "--set", "toy.step_ms=8", "--set", "training.keep_last=2"];

fn train(name: &str) -> Vec<String> {
    let mut args = vec!["train", "--config", "toy", "--name", name, "--sample-size", "1000"];
    args.extend(["--threads", "1", "--category", "baseline"]);
    args.extend(SETTINGS);
    args.into_iter().map(str::to_owned).collect()
}

fn weights(ward: &Workspace, name: &str) -> Option<String> {
    let answer = ward.annals(&["show", name, "--format", "json"]);
    if answer.code != 0 {
        return None;
    }
    let run = answer.json();
    (run["status"] == "finished").then(|| run["weights"].as_str().unwrap().to_owned())
}

/// Starts `args` and kills annals, its engine or both when `moment`, told the time passed, says so;
/// whether it was too late.
fn cut_short(
    ward: &Workspace,
    args: &[String],
    moment: impl Fn(Duration) -> bool,
    whom: usize,
) -> bool {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut annals = ward.spawn(&args);
    let begun = Instant::now();
    while !moment(begun.elapsed()) {
        if annals.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let engines = children(annals.id());
    if whom != 0 {
        engines.iter().for_each(|engine| kill_9(*engine));
    }
    if whom != 1 {
        kill_9(annals.id());
    }
    annals.wait().unwrap();
    false
}

#[test]
fn trn_1_twenty_kills_change_no_bit() {
    let ward = Workspace::new();
    let whole = train("whole");
    ward.annals(&whole.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    let expected = weights(&ward, "whole").unwrap();
    let (mut kills, mut run, mut equal) = (0_usize, 0, 0);
    while kills < 20 {
        run += 1;
        assert!(run < 60, "only {kills} kills in {run} runs");
        let name = format!("cut{run}");
        let mut args = train(&name);
        for attempt in 0..6 {
            // Somewhere in the run, another place each time.
            let after = Duration::from_millis(150 + (kills as u64 * 197 + attempt * 61) % 700);
            // On a busy machine every run would die before its first training checkpoint.
            let early = kills % 4 == 0;
            let moment = |passed| passed >= after && (early || has_checkpoint(&ward, &name));
            if cut_short(&ward, &args, moment, kills % 3) {
                break;
            }
            kills += 1;
            if has_checkpoint(&ward, &name) {
                args = vec!["train".into(), "--resume".into(), name.clone()];
            } else {
                break;
            }
        }
        if has_checkpoint(&ward, &name) && weights(&ward, &name).is_none() {
            ward.annals(&["train", "--resume", &name]).ok();
        }
        if let Some(found) = weights(&ward, &name) {
            assert_eq!(found, expected, "{name} after {kills} kills");
            equal += 1;
        }
    }
    assert!(equal >= 3, "{equal} runs came to their end");
    // A last kill between commit and writing leaves older files to the next changing verb.
    ward.allow_synthetic();
    ward.annals(&["verify", "--files"]).ok();
    ward.annals(&["replay", "--check"]).ok();
    let resumed = ward.annals(&["log", "--kind", "run.resumed", "--format", "json"]).ok().json();
    assert!(resumed.as_array().unwrap().len() >= 8, "{resumed}");
    every_point_is_recorded(&ward, run);
}

/// The runs of which the audit says that metrics may be missing.
fn gaps(ward: &Workspace) -> Vec<String> {
    let audit = ward.annals(&["audit", "--format", "json"]).json();
    let findings = audit["findings"].as_array().unwrap();
    // An answer that names its rules otherwise would hide every gap.
    assert!(findings.iter().all(|found| found["rule"].is_string()), "{audit}");
    let missing = findings.iter().filter(|found| found["rule"] == "metrics-missing");
    missing.map(|found| found["subject"].as_str().unwrap().to_owned()).collect()
}

/// Whenever they were killed, runs that ended have every point that the uninterrupted one has, with
/// its value, or the audit names the gap.
fn every_point_is_recorded(ward: &Workspace, runs: usize) {
    let points = |name: &str| -> std::collections::BTreeMap<String, f64> {
        let sql = format!(
            "select m.name, m.split, m.step, m.value from metrics m join runs r on r.run = m.run \
             where r.name = '{name}' and m.kind = 'run.metrics_recorded' order by m.position"
        );
        let rows = ward.annals(&["query", &sql, "--format", "json"]).ok().json();
        let row = |row: &serde_json::Value| {
            let key = format!("{}/{} at {}", row["split"], row["name"], row["step"]);
            (key, row["value"].as_f64().unwrap())
        };
        rows.as_array().unwrap().iter().map(row).collect()
    };
    let timed = |key: &String| key.contains("per_second") || key.contains("seconds");
    let of = |name: &str| -> Vec<(String, f64)> {
        points(name).into_iter().filter(|(key, _)| !timed(key)).collect()
    };
    let gaps = gaps(ward);
    let expected = of("whole");
    assert!(expected.len() > 100, "{}", expected.len());
    for number in 1..=runs {
        let name = format!("cut{number}");
        let has_gap = gaps.iter().any(|run| run.contains(&format!(" {name}_")));
        if weights(ward, &name).is_some() && !has_gap {
            let found = of(&name);
            if found != expected {
                let log = ward.annals(&["log", "--run", &name]).ok().out;
                let missing: Vec<_> = expected.iter().filter(|p| !found.contains(p)).collect();
                panic!("{name}: missing {missing:?}\n{log}");
            }
        }
    }
}

#[test]
fn of_two_that_resume_one_goes_on_and_the_other_changes_nothing() {
    let ward = Workspace::new();
    let mut refused = 0;
    for (number, delay) in [0_u64, 0, 10, 30, 60, 150].into_iter().enumerate() {
        let name = format!("two{number}");
        let moment = |_| has_checkpoint(&ward, &name);
        assert!(!cut_short(&ward, &train(&name), moment, 2), "{name} was too quick");
        let args = ["train", "--resume", &name];
        let mut both = [ward.spawn(&args), {
            std::thread::sleep(Duration::from_millis(delay));
            ward.spawn(&args)
        }];
        let codes: Vec<i32> = both.iter_mut().filter_map(|c| c.wait().unwrap().code()).collect();
        let run = ward.annals(&["show", &name, "--format", "json"]).ok().json();
        assert_eq!(run["status"], "finished", "{name}: {codes:?} {}", run["reason"]);
        assert!(codes.contains(&0) && codes.iter().all(|c| [0, 5].contains(c)), "{codes:?}");
        refused += codes.iter().filter(|code| **code == 5).count();
        let failed = ward.annals(&["log", "--run", &name, "--kind", "run.failed"]).ok().out;
        assert!(!failed.contains("run.failed"), "{failed}");
    }
    assert!(refused >= 4, "{refused} were refused");
    ward.annals(&["verify"]).ok();
    ward.annals(&["doctor"]).ok();
}

#[test]
fn a_log_that_is_replaced_under_a_training_takes_no_file_with_it() {
    let ward = Workspace::new();
    let before = std::fs::read(ward.path(".annals/log.redb")).unwrap();
    let args = train("cut");
    let mut training = ward.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
    crate::support::wait_for("a training checkpoint", || {
        has_checkpoint(&ward, "cut").then_some(())
    });
    std::fs::write(ward.path("other.redb"), before).unwrap();
    std::fs::rename(ward.path("other.redb"), ward.path(".annals/log.redb")).unwrap();
    assert_eq!(training.wait().unwrap().code(), Some(6));
    assert!(has_checkpoint(&ward, "cut"), "the folder of the run was removed");
    ward.annals(&["verify"]).ok();
}

#[test]
fn a_training_goes_on_from_what_the_log_has_caught_up_with() {
    let ward = Workspace::new();
    let recorded = |_| {
        let saved = ["log", "--kind", "run.train_checkpoint_saved", "--format", "json"];
        has_checkpoint(&ward, "cut")
            && !ward.annals(&saved).ok().json().as_array().unwrap().is_empty()
    };
    assert!(!cut_short(&ward, &train("cut"), recorded, 0));
    let checkpoints = folder(&ward, "cut").unwrap().join("checkpoints");
    let newest = || {
        let steps = std::fs::read_dir(&checkpoints).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            name.strip_prefix("step-")?.parse::<u64>().ok()
        });
        steps.max().unwrap()
    };
    // One that the log does not know, as if it had been saved just before a crash.
    let (known, unknown) = (newest(), newest() + 5);
    let dir = |step: u64| checkpoints.join(format!("step-{step:08}"));
    std::fs::create_dir(dir(unknown)).unwrap();
    for entry in std::fs::read_dir(dir(known)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir(unknown).join(path.file_name().unwrap())).unwrap();
    }
    let resumed = ward.annals(&["train", "--resume", "cut"]).ok();
    let passed = format!("update {unknown} is passed over: the log ends before it");
    assert!(resumed.err.contains(&passed), "{}", resumed.err);
    assert_eq!(gaps(&ward), [] as [String; 0]);
}

fn folder(ward: &Workspace, name: &str) -> Option<std::path::PathBuf> {
    let mut found = std::fs::read_dir(ward.path("experiments")).ok()?;
    found.find_map(|entry| {
        let path = entry.unwrap().path();
        let own = path.file_name()?.to_str()?.starts_with(&format!("{name}_"));
        own.then_some(path)
    })
}

fn has_checkpoint(ward: &Workspace, name: &str) -> bool {
    let Some(folder) = folder(ward, name) else { return false };
    let Ok(entries) = std::fs::read_dir(folder.join("checkpoints")) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("step-"))
}

#[test]
fn a_run_goes_on_only_as_it_was_recorded() {
    let ward = Workspace::new();
    ward.train("done", &[]).ok();
    ward.annals(&["train", "--resume", "done"]).refused(5, "is finished");
    ward.annals(&["train", "--resume", "nothing"]).refused(4, "there is no run");
    ward.annals(&["train", "--resume", "done", "--seed", "1"]).refused(2, "cannot be used with");
    let args = train("cut");
    assert!(!cut_short(&ward, &args, |_| has_checkpoint(&ward, "cut"), 0));
    let folder = folder(&ward, "cut").unwrap();
    let config = std::fs::read(folder.join("config/config.yaml")).unwrap();
    std::fs::write(folder.join("config/config.yaml"), [&config[..], b"\n"].concat()).unwrap();
    ward.annals(&["train", "--resume", "cut"]).refused(5, "config.yaml has digest");
    std::fs::write(folder.join("config/config.yaml"), &config).unwrap();
    let rows = std::fs::read(folder.join("config/dataset.bin")).unwrap();
    std::fs::write(folder.join("config/dataset.bin"), [&rows[..], b"x"].concat()).unwrap();
    ward.annals(&["train", "--resume", "cut"]).refused(5, "dataset.bin has digest");
    std::fs::write(folder.join("config/dataset.bin"), &rows).unwrap();
    let vocab = std::fs::read(folder.join("config/vocab.txt")).unwrap();
    std::fs::write(folder.join("config/vocab.txt"), [&vocab[..], b"x\n"].concat()).unwrap();
    ward.annals(&["train", "--resume", "cut"]).refused(5, "vocab.txt has digest");
    std::fs::write(folder.join("config/vocab.txt"), &vocab).unwrap();
    // Nothing of that is in the log, and the run can still go on.
    let none = ward.annals(&["log", "--kind", "run.resumed", "--format", "json"]).ok().json();
    assert_eq!(none.as_array().unwrap().len(), 0);
    for entry in std::fs::read_dir(folder.join("checkpoints")).unwrap() {
        let weights = entry.unwrap().path().join("model.safetensors");
        let mut bytes = std::fs::read(&weights).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&weights, &bytes).unwrap();
    }
    ward.annals(&["train", "--resume", "cut"]).refused(4, "no complete training checkpoint");
    ward.annals(&["verify"]).ok();
}
