//! A training step that is recorded against the same step that nobody records.
//!
//! Expected: a step of `baseline_small` takes some 100 ms of all cores; recording one costs the
//! engine a message of 200 bytes and `annals` a commit of 3 ms for hundreds of points, together
//! below 0.1 %. Target: at most 1.01 x. The weights must be the same bit for bit (TRN-2).
//!
//! `cargo bench --bench recording -- [PAIRS]`: pairs of trainings, 5 unless told.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use annals::base::{Digest, RunId};
use annals::model::config::{Layer, resolve};
use annals::supervise::{Engine, EngineMessage};
use annals::train::TrainingResult;
use annals::train::protocol::{Ended, JobSpec};

const THREADS: u32 = 4;
const WAIT: Duration = Duration::from_secs(600);

/// Trains through `annals`: seconds, the run's folder and the digest of the weights.
fn recorded(root: &Path, name: &str) -> (f64, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(["train", "--name", name, "--sample-size", "1000", "--format", "json"])
        .args(["--set", "training.num_epochs=2", "--threads", &THREADS.to_string()])
        .current_dir(root)
        .env("HOME", root)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |key: &str| run[key].as_str().unwrap().to_owned();
    (run["duration_seconds"].as_f64().unwrap(), text("folder"), text("weights"))
}

/// The same training with everything the engine says thrown away.
fn silent(run_folder: &Path, root: &Path) -> TrainingResult {
    let text = std::fs::read_to_string(run_folder.join("config/config.yaml")).unwrap();
    let config = resolve(&[Layer::Text { file: "config.yaml", text: &text }]).unwrap();
    let dataset = run_folder.join("config/dataset.bin");
    let mut engine = Engine::start(
        Path::new(env!("CARGO_BIN_EXE_annals-engine")),
        &[],
        &root.join("engine.log"),
    )
    .unwrap();
    let job = JobSpec {
        run: RunId([1; 16]),
        config_digest: config.digest(),
        config,
        dataset_digest: Digest::of(&std::fs::read(&dataset).unwrap()),
        dataset,
        run_dir: root.join("silent"),
        device: "cpu".into(),
        threads: THREADS,
        resume_from: None,
        resume_digest: None,
    };
    engine.train(job).unwrap();
    loop {
        match engine.recv(WAIT) {
            EngineMessage::Event(_) => {}
            EngineMessage::Ended(Ended::Finished(finished)) => return *finished,
            other => panic!("{other:?}"),
        }
    }
}

fn main() {
    let pairs = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(5);
    let root = tempfile::tempdir().unwrap();
    let init = Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(["init", "--project", "bench"])
        .current_dir(root.path())
        .env("HOME", root.path())
        .output();
    assert!(init.unwrap().status.success());
    // Not counted: it warms the machine up and makes the data that all others train on.
    let (_, folder, weights) = recorded(root.path(), "first");
    let folder = root.path().join(folder);
    let on = |pair: usize| {
        let (seconds, _, found) = recorded(root.path(), &format!("pair{pair}"));
        assert_eq!(found, weights, "TRN-2");
        seconds
    };
    let off = || {
        let work = tempfile::tempdir().unwrap();
        let finished = silent(&folder, work.path());
        assert_eq!(finished.weights.digest.to_string(), weights, "TRN-2");
        finished.seconds
    };
    let mut ratios = Vec::new();
    for pair in 0..pairs {
        // Turn about, so that a machine that gets slower slows both.
        let (on, off) = match pair % 2 {
            0 => (on(pair), off()),
            _ => {
                let off = off();
                (on(pair), off)
            }
        };
        println!("recorded {on:>7.3} s, silent {off:>7.3} s: {:.4}", on / off);
        ratios.push(on / off);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median {:.4} (at most 1.01)", ratios[ratios.len() / 2]);
}
