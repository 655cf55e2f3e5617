//! Blobs that nothing needs go, and no other.

use crate::support::Workspace;
use crate::walk::{agree, every_step};

fn blobs(ward: &Workspace) -> usize {
    let gc = ward.annals(&["gc", "--min-age", "0", "--format", "json"]).ok().json();
    usize::try_from(gc["found"]["blobs"].as_u64().unwrap()).unwrap()
}

fn garbage(ward: &Workspace) -> Vec<String> {
    let gc = ward.annals(&["gc", "--min-age", "0", "--format", "json"]).ok().json();
    let found = gc["found"]["garbage"].as_array().unwrap();
    found.iter().map(|garbage| garbage["digest"].as_str().unwrap().to_owned()).collect()
}

fn weights(ward: &Workspace, run: &str) -> String {
    let shown = ward.annals(&["show", run, "--format", "json"]).ok().json();
    shown["weights"].as_str().unwrap().to_owned()
}

#[test]
fn what_a_run_dropped_goes_and_what_anything_needs_stays() {
    let ward = Workspace::new();
    // Two runs with the same weights, one with others, one in production.
    for name in ["twin1", "twin2"] {
        ward.train(name, &["--seed", "7", "--threads", "1"]).ok();
    }
    ward.train("lone", &["--seed", "8", "--threads", "1"]).ok();
    ward.train("model", &["--seed", "9", "--threads", "1"]).ok();
    ward.allow_synthetic();
    ward.annals(&["promote", "model", "--as", "model_v1"]).ok();
    assert_eq!(garbage(&ward), Vec::<String>::new());
    for name in ["twin1", "lone"] {
        ward.annals(&["archive", name, "--drop-weights"]).ok();
    }
    ward.annals(&["demote", "model_v1", "--reason", "worse"]).ok();
    ward.annals(&["archive", "model", "--drop-weights"]).ok();
    // The twin still has its weights, and the demoted model may come back.
    assert_eq!(garbage(&ward), [weights(&ward, "lone")]);
    // Somebody's file among the blobs that no event names.
    let stray = annals::base::Digest::of(b"stray");
    let path = format!(".annals/blobs/{}", stray.short(2));
    std::fs::create_dir_all(ward.path(&path)).unwrap();
    std::fs::write(ward.path(&format!("{path}/{stray}")), b"stray").unwrap();
    assert_eq!(garbage(&ward).len(), 2);

    let before = blobs(&ward);
    let young = ward.annals(&["gc", "--apply"]).ok();
    assert!(young.err.contains("2 more blobs are younger than 60 minutes"), "{}", young.err);
    assert_eq!(blobs(&ward), before);
    ward.annals(&["gc", "--apply", "--min-age", "0"]).ok();
    assert_eq!(blobs(&ward), before - 2);
    let removed = ward.annals(&["log", "--kind", "blobs.removed", "--format", "json"]).ok().json();
    assert_eq!(removed.as_array().unwrap().len(), 1);
    agree(&ward);
    // Twice is once, and what is gone is gone: the rest of the run comes back without it.
    ward.annals(&["gc", "--apply", "--min-age", "0"]).ok();
    ward.annals(&["restore", "lone"]).ok();
    ward.annals(&["predict", "lone", "a calm night"]).refused(5, "were not kept");
    ward.annals(&["restore", "twin1"]).ok();
    ward.annals(&["predict", "twin1", "a calm night"]).ok();
    agree(&ward);
}

#[test]
fn nothing_young_goes_while_somebody_is_at_work() {
    let ward = Workspace::new();
    let slow = ["train", "--config", "toy", "--name", "slow", "--sample-size", "600"];
    let slow = [&slow[..], &["--set", "toy.step_ms=20"]].concat();
    let mut training = ward.spawn(&slow);
    crate::support::wait_for("the run's start", || {
        let runs = ward.annals(&["list", "--format", "json"]).ok().json();
        (runs[0]["status"] == "running").then_some(())
    });
    ward.annals(&["gc", "--apply", "--min-age", "0"]).refused(6, "process is running");
    ward.annals(&["gc", "--apply"]).ok();
    crate::support::kill_9(training.id());
    training.wait().unwrap();
}

#[test]
fn blb_2_a_kill_at_every_step_of_collecting_loses_nothing() {
    let ward = Workspace::new();
    ward.train("lone", &[]).ok();
    ward.annals(&["archive", "lone", "--drop-weights"]).ok();
    every_step(&ward, &["gc", "--apply", "--min-age", "0"]);
}
