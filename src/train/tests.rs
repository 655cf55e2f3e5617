//! The loop with the toy learner: resume, early stopping, failure, and the protocol around it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::checkpoint::Checkpoints;
use super::learner::FailureKind;
use super::protocol::{self, Ended, FromEngine, JobSpec, ToEngine};
use super::recorder::{NoRecorder, TrainEvent, TrainingResult};
use super::toy::ToyLearner;
use super::trainer::{Outcome, TrainError, Trainer};
use crate::base::{Digest, RunId, Split};
use crate::data::prepared::{Inputs, Prepared, Targets};
use crate::model::config::{Layer, TrainConfig, builtin, resolve};
use crate::stats::random::Stream;

fn config(settings: &[(&str, &str)]) -> TrainConfig {
    let mut layers = vec![Layer::Text { file: "toy", text: builtin("toy").unwrap() }];
    let fast = [("training.batch_size", "8"), ("training.learning_rate", "0.05")];
    layers.extend(fast.iter().map(|(key, value)| Layer::Set { key, value }));
    layers.extend(settings.iter().map(|(key, value)| Layer::Set { key, value }));
    resolve(&layers).unwrap()
}

/// Rows whose first token tells the class, mostly.
fn dataset() -> Prepared {
    let mut data = Prepared {
        labels: vec!["a".into(), "b".into(), "c".into()],
        inputs: Inputs::tokens(40),
        ..Prepared::default()
    };
    let mut classes = Vec::new();
    let mut stream = Stream::new(&[1]);
    for row in 0..300_u32 {
        let class = u32::try_from(stream.below(3)).unwrap();
        let told = if stream.unit() < 0.9 { class } else { (class + 1) % 3 };
        let noise = (0..=stream.below(6)).map(|_| u32::try_from(5 + stream.below(35)).unwrap());
        let ids: Vec<u32> = std::iter::once(2 + told).chain(noise).collect();
        let split = [Split::Train, Split::Train, Split::Train, Split::Valid, Split::Test];
        data.rows.push(row);
        data.splits.push(split[row as usize % 5]);
        data.inputs.push_tokens(&ids);
        classes.push(class);
    }
    data.targets = Targets::Single(classes);
    data
}

struct Bench {
    root: tempfile::TempDir,
    job: JobSpec,
    data: Prepared,
}

impl Bench {
    fn new(settings: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (config, data) = (config(settings), dataset());
        let dataset = root.path().join("data.bin");
        let job = JobSpec {
            run: RunId([7; 16]),
            config_digest: config.digest(),
            config,
            dataset_digest: data.write(&dataset).unwrap(),
            dataset,
            run_dir: root.path().join("run"),
            device: "cpu".into(),
            threads: 1,
            resume_from: None,
            resume_digest: None,
        };
        Self { root, job, data }
    }

    fn run(
        &self,
        stop: &AtomicBool,
        record: &mut dyn FnMut(TrainEvent),
    ) -> Result<Outcome, TrainError> {
        let mut learner = ToyLearner::build(&self.job, &self.data).unwrap();
        let mut record = |event| record(event);
        Trainer::new(&self.job, &self.data, learner.as_mut(), &mut record, stop)?.run()
    }

    fn finished(&self) -> TrainingResult {
        match self.run(&AtomicBool::new(false), &mut |_| {}).unwrap() {
            Outcome::Finished(finished) => *finished,
            Outcome::Interrupted(at) => panic!("interrupted: {at:?}"),
        }
    }

    /// Stops at the first training checkpoint from `steps` updates on, or at the first update for
    /// 0; none when the run ended before.
    fn stop_after(&self, steps: u64) -> Option<PathBuf> {
        let stop = AtomicBool::new(false);
        let outcome = self.run(&stop, &mut |event| {
            if let TrainEvent::Metrics(points) = &event {
                assert!(points.points.iter().all(|point| point.value.is_finite()));
            }
            let due = match event {
                TrainEvent::Progress(_) => steps == 0,
                TrainEvent::CheckpointSaved(saved) => saved.step >= steps,
                _ => false,
            };
            if due {
                stop.store(true, Ordering::SeqCst);
            }
        });
        match outcome.unwrap() {
            Outcome::Interrupted(at) => at.dir,
            Outcome::Finished(_) => None,
        }
    }
}

/// What must be equal; time may differ.
fn numbers(finished: &TrainingResult) -> (Digest, u64, String) {
    let scores = format!("{:?} {}", finished.evaluations, finished.best_value);
    (finished.weights.digest, finished.best_step, scores)
}

#[test]
fn trn_1_resume_gives_the_same_bits() {
    let settings = [
        ("training.save_steps", "5"),
        ("training.keep_last", "2"),
        ("training.batch_size", "4"),
        ("training.accumulation_steps", "2"),
    ];
    let whole = Bench::new(&settings).finished();
    assert!(whole.evaluations[1].get("accuracy").unwrap().value > 0.7);
    assert_eq!(numbers(&Bench::new(&settings).finished()), numbers(&whole));
    for steps in [0, 5, 20, 23, 25, whole.steps - 2] {
        let mut bench = Bench::new(&settings);
        bench.job.resume_from = bench.stop_after(steps);
        assert!(bench.job.resume_from.is_some(), "stopped after {steps}");
        assert_eq!(numbers(&bench.finished()), numbers(&whole), "resumed after {steps}");
    }
}

/// The toy adds rows up one by one: for it not even the order of sums differs.
#[test]
fn small_batches_add_up_to_a_large_one() {
    let weights = ("training.class_weights", "balanced");
    let whole = Bench::new(&[weights, ("training.batch_size", "14")]).finished();
    let parts = [weights, ("training.batch_size", "5"), ("training.accumulation_steps", "3")];
    assert_ne!(numbers(&Bench::new(&parts).finished()), numbers(&whole), "15 rows, not 14");
    let parts = [weights, ("training.batch_size", "7"), ("training.accumulation_steps", "2")];
    let parts = Bench::new(&parts).finished();
    assert_eq!((parts.steps, numbers(&parts)), (whole.steps, numbers(&whole)));
}

#[test]
fn trn_2_recording_never_changes_the_numbers() {
    let bench = Bench::new(&[]);
    let recorded = numbers(&bench.finished());
    let mut learner = ToyLearner::build(&bench.job, &bench.data).unwrap();
    let stop = AtomicBool::new(false);
    let outcome = Trainer::new(&bench.job, &bench.data, learner.as_mut(), &mut NoRecorder, &stop)
        .unwrap()
        .run();
    let Ok(Outcome::Finished(finished)) = outcome else { panic!("not finished") };
    assert_eq!(numbers(&finished), recorded);
}

#[test]
fn early_stopping_ends_after_patience_without_improvement() {
    let patience = ("training.early_stopping.patience", "2");
    let threshold = ("training.early_stopping.threshold", "1.0");
    let bench = Bench::new(&[("training.num_epochs", "9"), patience, threshold]);
    let finished = bench.finished();
    // The first evaluation always counts; no later one can improve by more than 1.
    assert_eq!((finished.epochs, finished.stopped_early), (3, true));
}

#[test]
fn the_best_and_the_last_training_checkpoints_stay() {
    let bench = Bench::new(&[]);
    let finished = bench.finished();
    let kept: Vec<_> = std::fs::read_dir(bench.job.run_dir.join("checkpoints"))
        .unwrap()
        .map(|entry| Path::new("checkpoints").join(entry.unwrap().file_name()))
        .collect();
    assert!(kept.contains(&finished.best_dir));
    let last = Checkpoints::dir(finished.steps);
    assert!(kept.contains(&last) && kept.len() <= 2, "{kept:?}");
}

#[test]
fn a_damaged_or_foreign_training_checkpoint_is_refused() {
    let mut bench = Bench::new(&[("training.save_steps", "1")]);
    let dir = bench.stop_after(3).unwrap();
    bench.job.resume_from = Some(dir.clone());
    bench.job.threads = 2;
    let error = bench.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(format!("{error:?}").contains("thread count"), "{error:?}");
    bench.job.threads = 1;
    bench.job.resume_digest = Some(Digest::of(b"another manifest"));
    let error = bench.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(format!("{error:?}").contains("manifest.json"), "{error:?}");
    bench.job.resume_digest = None;
    let newest = || {
        let all = Checkpoints::at(&bench.job.run_dir).all().unwrap();
        all.into_iter().find(|(_, _, whole)| *whole).map(|(_, dir, _)| dir)
    };
    assert_eq!(newest(), Some(dir.clone()));
    let weights = bench.job.run_dir.join(&dir).join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    crate::base::durable::write(&weights, &bytes).unwrap();
    let error = bench.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Checkpoint, "{error:?}");
    assert_ne!(newest(), Some(dir), "a damaged one is not offered");
}

#[test]
fn nan_and_failures_end_with_their_kind_over_the_protocol() {
    for (key, kind) in
        [("toy.nan_at_step", FailureKind::NotFinite), ("toy.fail_at_step", FailureKind::Bug)]
    {
        let bench = Bench::new(&[(key, "4")]);
        let Ended::Failed(failure) = over_the_protocol(&bench).1 else { panic!("not failed") };
        assert_eq!((failure.kind, failure.step), (kind, Some(3)), "{}", failure.message);
        assert!(failure.message.contains(": "), "{}", failure.message);
    }
}

#[test]
fn the_protocol_tells_all_that_happens() {
    let bench = Bench::new(&[]);
    let (events, ended) = over_the_protocol(&bench);
    let Ended::Finished(finished) = ended else { panic!("{ended:?}") };
    assert!(matches!(events[0], TrainEvent::Started(_)));
    let count =
        |is: fn(&TrainEvent) -> bool| events.iter().filter(|event| is(event)).count() as u64;
    assert_eq!(count(|event| matches!(event, TrainEvent::EpochEnded(_))), finished.epochs);
    assert_eq!(count(|event| matches!(event, TrainEvent::CheckpointSaved(_))), finished.epochs);
    let losses: usize = events
        .iter()
        .filter_map(|event| match event {
            TrainEvent::Metrics(points) => Some(points),
            _ => None,
        })
        .flat_map(|points| points.points.iter().map(|p| &points.keys[usize::from(p.key)]))
        .filter(|key| key.name == "loss" && key.split == Some(Split::Train))
        .count();
    assert_eq!(losses as u64, finished.steps);
}

fn over_the_protocol(bench: &Bench) -> (Vec<TrainEvent>, Ended) {
    let (mut parent, engine) = std::os::unix::net::UnixStream::pair().unwrap();
    let child = std::thread::spawn(move || {
        super::serve(engine, super::toy_hello("toy 1"), ToyLearner::build, || {}).unwrap();
    });
    protocol::greet_engine(&mut parent, "annals 1").unwrap();
    protocol::send(&mut parent, &ToEngine::Train(Box::new(bench.job.clone()))).unwrap();
    let mut events = Vec::new();
    let ended = loop {
        match protocol::receive::<FromEngine>(&mut parent).unwrap().unwrap() {
            FromEngine::Event(event) => events.push(event),
            FromEngine::Ended(ended) => break ended,
            other => panic!("{} while training", other.word()),
        }
    };
    child.join().unwrap();
    assert!(bench.root.path().exists());
    (events, ended)
}

#[test]
fn the_learner_comes_back_from_its_files() {
    let bench = Bench::new(&[]);
    let mut learner = ToyLearner::build(&bench.job, &bench.data).unwrap();
    let batch = crate::data::batch::Collator::new(&bench.data).batch(&[0, 1, 2, 3]);
    let batches = std::slice::from_ref(&batch);
    let key = super::StepKey { seed: 1, epoch: 0, step: 0 };
    learner.step(batches, 0.01, key).unwrap();
    let dir = tempfile::tempdir().unwrap();
    learner.save(dir.path()).unwrap();
    let mut other = ToyLearner::build(&bench.job, &bench.data).unwrap();
    assert_ne!(other.evaluate(&batch).unwrap(), learner.evaluate(&batch).unwrap());
    other.load(dir.path()).unwrap();
    let next = super::StepKey { step: 1, ..key };
    assert_eq!(
        other.step(batches, 0.01, next).unwrap(),
        learner.step(batches, 0.01, next).unwrap()
    );
    assert_eq!(other.evaluate(&batch).unwrap(), learner.evaluate(&batch).unwrap());
}

/// Three stages by length; the dataset's difficulties are what `prepare` would give.
fn staged(settings: &[(&str, &str)]) -> Bench {
    let stages = "[{share: 0.25, epochs: 2, learning_rate: 0.05}, \
                  {share: 0.5, epochs: 1, learning_rate: 0.02}, \
                  {share: 1.0, epochs: 3, learning_rate: 0.01}]";
    let base = [
        ("training.schedule", "constant"),
        ("training.num_epochs", "6"),
        ("curriculum.stages", stages),
    ];
    let mut bench = Bench::new(&[&base[..], settings].concat());
    bench.data.difficulty =
        crate::data::difficulty::difficulty(bench.job.config.curriculum.difficulty, &bench.data);
    bench.job.dataset_digest = bench.data.write(&bench.job.dataset).unwrap();
    bench
}

#[test]
fn stages_take_the_easiest_rows_first_and_show_themselves() {
    let bench = staged(&[("training.warmup_fraction", "0.0")]);
    let (mut ended, mut rates, mut stages) = (Vec::new(), Vec::new(), Vec::new());
    let outcome = bench.run(&AtomicBool::new(false), &mut |event| match event {
        TrainEvent::EpochEnded(epoch) => ended.push((epoch.step, epoch.stage)),
        TrainEvent::Metrics(batch) => {
            for point in batch.points {
                match batch.keys[usize::from(point.key)].name.as_str() {
                    "learning_rate" => rates.push((point.step, point.value)),
                    "stage" => stages.push(point.value),
                    _ => {}
                }
            }
        }
        _ => {}
    });
    assert!(matches!(outcome, Ok(Outcome::Finished(_))), "{outcome:?}");
    // 180 training rows, 8 an update: 45, 90 and 180 rows a pass.
    let stage = |number| Some((number, 3));
    let expected = [(6, 1), (12, 1), (24, 2), (47, 3), (70, 3), (93, 3)];
    assert_eq!(ended, expected.map(|(step, number)| (step, stage(number))));
    assert_eq!(stages, [1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(rates.len(), 93);
    for (step, rate) in rates {
        let expected = if step <= 12 {
            0.05
        } else if step <= 24 {
            0.02
        } else {
            0.01
        };
        assert_eq!(rate, expected, "{step}");
    }
}

/// TRN-1 across stages; a stage that no longer learns does not end the training before the last.
#[test]
fn trn_1_stages_go_on_where_they_stopped() {
    let settings = [("training.save_steps", "5")];
    let whole = staged(&settings).finished();
    for steps in [5, 12, 21, 50] {
        let mut bench = staged(&settings);
        bench.job.resume_from = bench.stop_after(steps);
        assert!(bench.job.resume_from.is_some());
        assert_eq!(numbers(&bench.finished()), numbers(&whole), "stopped after {steps}");
    }
    let impatient =
        [("training.early_stopping.patience", "1"), ("training.early_stopping.threshold", "0.9")];
    let early = staged(&impatient).finished();
    assert_eq!((early.epochs, early.stopped_early), (4, true), "in the last stage");
}
