//! What recording does to training (nothing), and runs that go wrong on this side of the engine.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use annals::base::{Digest, RunId};
use annals::data::prepared::Prepared;
use annals::model::config::{Layer, resolve};
use annals::train::protocol::JobSpec;
use annals::train::toy::ToyLearner;
use annals::train::{NoRecorder, Outcome, Trainer};
use rustix::fs::{FlockOperation, flock};

use crate::support::{Workspace, interrupt, wait_for};

fn train(name: &str, settings: &[&'static str]) -> Vec<String> {
    let mut args: Vec<String> =
        ["train", "--config", "toy", "--sample-size", "600", "--name", name]
            .map(str::to_owned)
            .to_vec();
    args.extend(settings.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    args
}

fn spawn(ward: &Workspace, name: &str, settings: &[&'static str]) -> std::process::Child {
    let args = train(name, settings);
    ward.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn status(ward: &Workspace) -> String {
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    runs[0]["status"].as_str().unwrap_or("none").to_owned()
}

fn run_folder(ward: &Workspace) -> PathBuf {
    std::fs::read_dir(ward.path("experiments")).unwrap().next().unwrap().unwrap().path()
}

fn training_checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.join("checkpoints")).unwrap();
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// TRN-2: the same job with nobody listening gives the same bytes of weights.
#[test]
fn trn_2_a_recorded_run_has_the_weights_of_an_unrecorded_one() {
    let ward = Workspace::new();
    ward.train("notes", &["--threads", "1"]).ok();
    let recorded = ward.annals(&["show", "notes", "--format", "json"]).ok().json();
    let folder = ward.path(recorded["folder"].as_str().unwrap());
    let yaml = std::fs::read_to_string(folder.join("config/config.yaml")).unwrap();
    let config = resolve(&[Layer::Text { file: "config.yaml", text: &yaml }]).unwrap();
    let dataset = folder.join("config/dataset.bin");
    let dataset_digest = Digest::of(&std::fs::read(&dataset).unwrap());
    let data = Prepared::read(&dataset, dataset_digest).unwrap();
    let job = JobSpec {
        run: RunId([1; 16]),
        config_digest: config.digest(),
        config,
        dataset,
        dataset_digest,
        run_dir: ward.path("unrecorded"),
        device: "cpu".into(),
        threads: 1,
        resume_from: None,
        resume_digest: None,
    };
    let mut learner = ToyLearner::build(&job, &data).unwrap();
    let (stop, mut nobody) = (AtomicBool::new(false), NoRecorder);
    let mut trainer = Trainer::new(&job, &data, learner.as_mut(), &mut nobody, &stop).unwrap();
    let Outcome::Finished(finished) = trainer.run().unwrap() else { panic!("not finished") };
    assert_eq!(recorded["weights"], finished.weights.digest.to_string());
}

/// While somebody keeps the log's lock the engine trains on, and what it said meanwhile is
/// recorded afterwards.
#[test]
fn a_log_that_is_kept_locked_does_not_stop_the_training() {
    let ward = Workspace::new();
    let mut annals = spawn(&ward, "slow", &["toy.step_ms=10", "training.num_epochs=12"]);
    wait_for("the run's start", || (status(&ward) == "running").then_some(()));
    let lock = std::fs::File::open(ward.path(".annals/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let folder = run_folder(&ward);
    for _ in 0..3 {
        let before = training_checkpoints(&folder);
        wait_for("the next training checkpoint", || {
            (training_checkpoints(&folder) != before).then_some(())
        });
    }
    drop(lock);
    assert_eq!(annals.wait().unwrap().code(), Some(0));
    assert_eq!(status(&ward), "finished");
    let saved = ward
        .annals(&["log", "--kind", "run.train_checkpoint_saved", "--format", "json"])
        .ok()
        .json();
    assert_eq!(saved.as_array().unwrap().len(), 12, "{saved}");
    ward.annals(&["verify"]).ok();
}

#[test]
fn sup_1_a_run_whose_results_cannot_be_written_fails_with_the_reason() {
    let ward = Workspace::new();
    let mut annals = spawn(&ward, "slow", &["toy.step_ms=10", "training.num_epochs=4"]);
    wait_for("the run's start", || (status(&ward) == "running").then_some(()));
    let results = run_folder(&ward).join("results");
    std::fs::remove_dir(&results).unwrap();
    std::fs::File::create(&results).unwrap();
    assert_eq!(annals.wait().unwrap().code(), Some(7));
    assert_eq!(status(&ward), "failed");
    let shown = ward.annals(&["show", "slow"]).ok().out;
    assert!(shown.contains("cannot write ") && shown.contains("/results/"), "{shown}");
    ward.annals(&["verify"]).ok();
    ward.annals(&["replay", "--check"]).ok();
}

#[test]
fn a_run_that_never_began_leaves_no_folder() {
    let ward = Workspace::new();
    let gone = |ward: &Workspace| {
        std::fs::read_dir(ward.path("experiments")).map_or(0, Iterator::count) == 0
    };
    ward.train("far", &["--device", "cuda:99"]).refused(2, "cuda:99");
    assert!(gone(&ward));
    let few = ["train", "--config", "toy", "--name", "few", "--sample-size", "2"];
    ward.annals(&few).refused(3, "rows");
    assert!(gone(&ward));
    let runs = ward.annals(&["list", "--format", "json"]).ok().json();
    assert_eq!(runs.as_array().unwrap().len(), 0);
    ward.annals(&["verify"]).ok();
}

#[test]
fn a_second_ctrl_c_ends_a_step_that_lasts() {
    let ward = Workspace::new();
    let mut annals = spawn(&ward, "stuck", &["toy.step_ms=3600000"]);
    wait_for("the run's start", || (status(&ward) == "running").then_some(()));
    interrupt(annals.id());
    // Within a second it would count as the same request.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert!(annals.try_wait().unwrap().is_none(), "one Ctrl-C waits for the step");
    interrupt(annals.id());
    let ended = wait_for("the end", || annals.try_wait().unwrap());
    assert_eq!(ended.code(), Some(130));
    assert_eq!(status(&ward), "interrupted");
    let ended = ward.annals(&["log", "--kind", "run.interrupted", "--format", "json"]).ok().json();
    assert!(ended[0]["event"]["reason"].as_str().unwrap().contains("twice"), "{ended}");
}

/// The files follow a run's start and end; what is measured in between is not in them.
#[test]
fn registry_files_are_what_the_log_says_all_through_a_training() {
    let ward = Workspace::new();
    let mut annals = spawn(&ward, "slow", &["toy.step_ms=5", "training.num_epochs=8"]);
    wait_for("the run's start", || (status(&ward) == "running").then_some(()));
    let mut checks = 0;
    while annals.try_wait().unwrap().is_none() {
        ward.annals(&["replay", "--check"]).ok();
        checks += 1;
    }
    assert!(checks > 3, "only {checks} checks while it trained");
    assert_eq!(annals.wait().unwrap().code(), Some(0));
    ward.annals(&["replay", "--check"]).ok();
}
