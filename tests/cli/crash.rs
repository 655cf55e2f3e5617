//! `kill -9` of the program, of its engine, of both; and verbs beside a training.

use crate::support::{Workspace, children, kill_9, wait_for};

/// A training slow enough to be killed in the middle.
const SLOW: [&str; 13] = [
    "train",
    "--config",
    "toy",
    "--name",
    "slow",
    "--sample-size",
    "600",
    "--category",
    "baseline",
    "--set",
    "toy.step_ms=20",
    "--set",
    "training.num_epochs=40",
];

fn status(ward: &Workspace) -> String {
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    runs[0]["status"].as_str().unwrap_or("none").to_owned()
}

fn running(ward: &Workspace) {
    wait_for("the run's start", || (status(ward) == "running").then_some(()));
}

#[test]
fn sup_1_killed_programs_leave_an_interrupted_run_and_a_whole_log() {
    let ward = Workspace::new();
    let mut annals = ward.spawn(&SLOW);
    running(&ward);
    let engines = children(annals.id());
    assert_eq!(engines.len(), 1);
    kill_9(annals.id());
    annals.wait().unwrap();
    // Reading verbs show it, and write nothing.
    let events =
        |ward: &Workspace| ward.annals(&["status", "--format", "json"]).json()["events"].clone();
    let before = events(&ward);
    assert_eq!(status(&ward), "interrupted");
    assert_eq!(events(&ward), before);
    wait_for("the engine's end", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", engines[0])).ok();
        stat.is_none_or(|stat| stat.contains(") Z ")).then_some(())
    });
    ward.annals(&["verify"]).ok();
    // The next changing verb writes it down.
    ward.allow_synthetic();
    let ended = ward.annals(&["log", "--kind", "run.interrupted", "--format", "json"]).ok().json();
    assert!(ended[0]["event"]["reason"].as_str().unwrap().contains("is gone"));
    let cut = ward.annals(&["log", "--kind", "invocation.interrupted", "--format", "json"]).ok();
    assert_eq!(cut.json().as_array().unwrap().len(), 1);
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
    ward.annals(&["promote", "slow"]).refused(5, "is interrupted");
}

#[test]
fn sup_1_a_killed_engine_fails_the_run_with_the_reason() {
    let ward = Workspace::new();
    let mut annals = ward.spawn(&SLOW);
    running(&ward);
    kill_9(children(annals.id())[0]);
    assert_eq!(annals.wait().unwrap().code(), Some(8));
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    assert_eq!(runs[0]["status"], "failed");
    let shown = ward.annals(&["show", "slow"]).ok().out;
    assert!(shown.contains("was killed by signal 9 (SIGKILL"), "{shown}");
    ward.annals(&["verify"]).ok();
    ward.annals(&["promote", "slow"]).refused(5, "is failed");
}

#[test]
fn both_killed_at_once() {
    let ward = Workspace::new();
    let mut annals = ward.spawn(&SLOW);
    running(&ward);
    let engine = children(annals.id())[0];
    kill_9(annals.id());
    kill_9(engine);
    annals.wait().unwrap();
    assert_eq!(status(&ward), "interrupted");
    ward.allow_synthetic();
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn ctrl_c_ends_the_run_as_interrupted_with_a_training_checkpoint() {
    let ward = Workspace::new();
    let mut annals = ward.spawn(&SLOW);
    running(&ward);
    let pid = i32::try_from(annals.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(annals.wait().unwrap().code(), Some(130));
    assert_eq!(status(&ward), "interrupted");
    let ended = ward.annals(&["log", "--kind", "run.interrupted", "--format", "json"]).ok().json();
    assert!(ended[0]["event"]["resumable_step"].as_u64().is_some(), "{ended}");
    ward.annals(&["verify"]).ok();
}

#[test]
fn a_training_keeps_nobody_waiting() {
    let ward = Workspace::new();
    ward.train("first", &[]).ok();
    ward.allow_synthetic();
    let mut annals = ward.spawn(&SLOW);
    wait_for("the second run's start", || (status(&ward) == "running").then_some(()));
    ward.annals(&["promote", "first"]).ok();
    ward.train("third", &[]).ok();
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
    assert!(annals.try_wait().unwrap().is_none(), "the training ended meanwhile");
    kill_9(annals.id());
    annals.wait().unwrap();
}

#[test]
fn an_engine_that_fails_or_measures_nan_fails_the_run() {
    let ward = Workspace::new();
    ward.train("bad", &["--set", "toy.fail_at_step=5"]).refused(8, "asked to fail at step 5");
    ward.train("nan", &["--set", "toy.nan_at_step=5"]).refused(8, "NaN");
    ward.train("abort", &["--set", "toy.abort_at_step=5"]).refused(8, "SIGABRT");
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    assert!(runs.as_array().unwrap().iter().all(|run| run["status"] == "failed"), "{runs}");
    ward.annals(&["doctor"]).ok();
    ward.annals(&["verify"]).ok();
}
