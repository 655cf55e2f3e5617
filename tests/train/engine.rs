//! The engine as a process: what it trains, resumes, refuses, and how it ends.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use annals::base::{Digest, RunId, Split};
use annals::data::batch::Collator;
use annals::data::prepared::{Inputs, Prepared, Targets};
use annals::model::config::{Layer, TrainConfig, resolve};
use annals::stats::random::Stream;
use annals::supervise::{Engine, EngineMessage};
use annals::train::checkpoint::Checkpoints;
use annals::train::protocol::{self, Ended, JobSpec, ScoreSpec};
use annals::train::{FailureKind, TrainEvent, TrainingResult};

const ENGINE: &str = env!("CARGO_BIN_EXE_annals-engine");
pub(crate) const VOCAB: u32 = 50;
pub(crate) const WAIT: Duration = Duration::from_secs(120);

/// A network that trains in milliseconds, with every kind of dropout on.
pub(crate) const SMALL: &[(&str, &str)] = &[
    ("model.n_embd", "32"),
    ("model.num_heads", "2"),
    ("model.n_layer", "2"),
    ("model.max_seq_length", "16"),
    ("model.dropout", "0.1"),
    ("model.attention_dropout", "0.1"),
    ("training.batch_size", "8"),
    ("training.num_epochs", "3"),
    ("training.class_weights", "sqrt_balanced"),
];

pub(crate) fn config(settings: &[(&str, &str)]) -> TrainConfig {
    let layers: Vec<Layer<'_>> =
        SMALL.iter().chain(settings).map(|(key, value)| Layer::Set { key, value }).collect();
    resolve(&layers).unwrap()
}

/// Rows of random tokens; a row is of class 1 when one of them is below 12.
pub(crate) fn dataset(train: u32) -> Prepared {
    let mut data = Prepared {
        labels: vec!["without".into(), "with".into()],
        inputs: Inputs::tokens(VOCAB),
        ..Prepared::default()
    };
    let mut classes = Vec::new();
    let mut random = Stream::new(&[7]);
    let splits = [(Split::Train, train), (Split::Valid, 24), (Split::Test, 24)];
    for (split, rows) in splits {
        for _ in 0..rows {
            let length = 2 + random.below(9);
            let mut ids = vec![2];
            ids.extend((0..length).map(|_| 8 + random.below(42) as u32));
            let class = u32::from(ids[1..].iter().any(|id| *id < 12));
            let row = data.rows.len() as u32;
            data.rows.push(row);
            data.splits.push(split);
            data.inputs.push_tokens(&ids);
            classes.push(class);
        }
    }
    data.targets = Targets::Single(classes);
    data
}

pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
    dataset: PathBuf,
    digest: Digest,
}

impl Place {
    pub(crate) fn new(data: &Prepared) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dataset = root.path().join("dataset.bin");
        let digest = data.write(&dataset).unwrap();
        Self { root, dataset, digest }
    }

    pub(crate) fn job(&self, run: &str, config: &TrainConfig) -> JobSpec {
        JobSpec {
            run: RunId([1; 16]),
            config_digest: config.digest(),
            config: config.clone(),
            dataset: self.dataset.clone(),
            dataset_digest: self.digest,
            run_dir: self.root.path().join(run),
            device: "cpu".into(),
            threads: 2,
            resume_from: None,
            resume_digest: None,
        }
    }

    pub(crate) fn start(&self) -> Engine {
        Engine::start(Path::new(ENGINE), &[], &self.root.path().join("engine.log")).unwrap()
    }

    /// Trains to whatever end; `react` sees every event and may act on the engine.
    pub(crate) fn run(
        &self,
        job: JobSpec,
        mut react: impl FnMut(&mut Engine, &TrainEvent),
    ) -> EngineMessage {
        let mut engine = self.start();
        engine.train(job).unwrap();
        let begin = Instant::now();
        loop {
            match engine.recv(Duration::from_millis(200)) {
                EngineMessage::Event(event) => react(&mut engine, &event),
                EngineMessage::Silence => assert!(begin.elapsed() < WAIT, "the engine hangs"),
                end => return end,
            }
        }
    }
}

pub(crate) fn finished(heard: EngineMessage) -> TrainingResult {
    match heard {
        EngineMessage::Ended(Ended::Finished(finished)) => *finished,
        other => panic!("not finished: {other:?}"),
    }
}

/// Every number that was recorded, in order; what was measured by a clock is left out.
pub(crate) fn numbers(events: &[TrainEvent]) -> Vec<(String, u64, u64)> {
    let mut numbers = Vec::new();
    for event in events {
        if let TrainEvent::Metrics(batch) = event {
            for point in &batch.points {
                let key = &batch.keys[usize::from(point.key)];
                let name = format!("{:?}/{}", key.split, key.name);
                numbers.push((name, point.step, point.value.to_bits()));
            }
        }
    }
    numbers
}

pub(crate) fn train(place: &Place, job: JobSpec) -> (TrainingResult, Vec<TrainEvent>) {
    let mut events = Vec::new();
    let end = place.run(job, |_, event| events.push(event.clone()));
    (finished(end), events)
}

#[test]
fn it_says_what_it_is() {
    let place = Place::new(&dataset(8));
    let engine = place.start();
    let hello = engine.hello();
    assert_eq!(hello.libtorch.as_deref(), Some("2.11.0"));
    assert_eq!(hello.architectures, ["encoder", "distilbert", "pat"]);
    assert_eq!(hello.devices[0], "cpu");
}

#[test]
fn one_batch_is_learned_by_heart() {
    let place = Place::new(&dataset(8));
    let still = [
        ("model.dropout", "0.0"),
        ("model.attention_dropout", "0.0"),
        ("training.num_epochs", "60"),
        ("training.learning_rate", "3.0e-3"),
        ("training.schedule", "constant"),
    ];
    let (_, events) = train(&place, place.job("run", &config(&still)));
    let losses = losses(&events);
    assert_eq!(losses.len(), 60);
    assert!(losses[0] > 0.3, "nothing to learn: {}", losses[0]);
    assert!(losses[59] < 0.01, "{losses:?}");
}

/// Same inputs, same bits; another seed, other bits (else the first half would show nothing).
#[test]
fn the_same_seed_gives_the_same_weights() {
    let place = Place::new(&dataset(80));
    let (first, first_events) = train(&place, place.job("a", &config(&[])));
    let (second, second_events) = train(&place, place.job("b", &config(&[])));
    assert_eq!(first.weights, second.weights);
    assert_eq!(numbers(&first_events), numbers(&second_events));
    let (other, _) = train(&place, place.job("c", &config(&[("training.seed", "43")])));
    assert_ne!(first.weights.digest, other.weights.digest);
}

/// TRN-1 with torch: stopped by request in the middle of the second pass, then gone on with.
#[test]
fn trn_1_a_stopped_run_goes_on_bit_for_bit() {
    let place = Place::new(&dataset(80));
    let config = config(&[("training.num_epochs", "20")]);
    let (whole, whole_events) = train(&place, place.job("whole", &config));
    let mut events = Vec::new();
    let end = place.run(place.job("parts", &config), |engine, event| {
        if matches!(event, TrainEvent::EpochEnded(ended) if ended.epoch == 1) {
            engine.stop();
        }
        events.push(event.clone());
    });
    let stopped = match end {
        EngineMessage::Ended(Ended::Interrupted(stopped)) => stopped,
        other => panic!("not interrupted: {other:?}"),
    };
    assert!((10..200).contains(&stopped.step), "{stopped:?}");
    let job = JobSpec { resume_from: stopped.dir, ..place.job("parts", &config) };
    let (resumed, rest) = train(&place, job);
    events.extend(rest);
    assert_eq!(whole.weights, resumed.weights);
    assert_eq!(whole.evaluations, resumed.evaluations);
    assert_eq!(numbers(&whole_events), numbers(&events));
}

/// TRN-1 and SUP-1 with torch: killed at once, then gone on with from the newest whole checkpoint.
#[test]
fn trn_1_a_killed_run_goes_on_bit_for_bit() {
    let place = Place::new(&dataset(80));
    let config = config(&[("training.save_steps", "3"), ("training.num_epochs", "20")]);
    let (whole, _) = train(&place, place.job("whole", &config));
    let end = place.run(place.job("parts", &config), |engine, event| {
        if matches!(event, TrainEvent::CheckpointSaved(saved) if saved.step >= 13) {
            engine.kill();
        }
    });
    match end {
        EngineMessage::Gone(gone) => assert_eq!(gone.signal, Some(9), "{gone:?}"),
        other => panic!("not killed: {other:?}"),
    }
    let mut job = place.job("parts", &config);
    job.resume_from = Checkpoints::at(&job.run_dir).all().unwrap().into_iter().next().map(|c| c.1);
    assert!(job.resume_from.is_some());
    let (resumed, events) = train(&place, job);
    let first = numbers(&events)[0].1;
    assert!((14..=200).contains(&first), "resumed before step {first}");
    assert_eq!(whole.weights, resumed.weights);
    assert_eq!(whole.evaluations, resumed.evaluations);
}

#[test]
fn what_cannot_be_trained_is_refused_with_the_reason() {
    let place = Place::new(&dataset(8));
    let mut job = place.job("run", &config(&[]));
    job.device = "cuda:99".into();
    match place.run(job, |_, _| {}) {
        EngineMessage::Ended(Ended::Failed(failure)) => {
            assert_eq!(failure.kind, FailureKind::Device);
            assert!(failure.message.contains("device cuda:99"), "{failure:?}");
        }
        other => panic!("not refused: {other:?}"),
    }
    let mut job = place.job("run", &config(&[]));
    job.dataset_digest = Digest::of(b"another file");
    match place.run(job, |_, _| {}) {
        EngineMessage::Ended(Ended::Failed(failure)) => assert_eq!(failure.kind, FailureKind::Data),
        other => panic!("not refused: {other:?}"),
    }
}

/// A network larger than the memory it may have: the tensor library panics, and the reason is told.
#[test]
fn exhausted_memory_is_named() {
    let place = Place::new(&dataset(8));
    let limited = ["-c", "ulimit -v 3000000 && exec \"$0\"", ENGINE];
    let log = place.root.path().join("engine.log");
    let mut engine = Engine::start(Path::new("/bin/sh"), &limited, &log).unwrap();
    engine.train(place.job("run", &config(&[("model.n_embd", "16384")]))).unwrap();
    match engine.recv(WAIT) {
        EngineMessage::Ended(Ended::Failed(failure)) => {
            assert_eq!(failure.kind, FailureKind::Memory, "{failure:?}");
        }
        other => panic!("not refused: {other:?}"),
    }
}

/// Its parent gone, the engine ends by itself, in the middle of the work.
#[test]
fn an_orphan_ends_at_once() {
    let place = Place::new(&dataset(80));
    let (mut parent, theirs) = UnixStream::pair().unwrap();
    let mut child = Command::new(ENGINE)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    protocol::greet_engine(&mut parent, "test").unwrap();
    let job = place.job("run", &config(&[("training.num_epochs", "1000")]));
    protocol::send(&mut parent, &protocol::ToEngine::Train(Box::new(job))).unwrap();
    let first: Option<protocol::FromEngine> = protocol::receive(&mut parent).unwrap();
    assert!(matches!(first, Some(protocol::FromEngine::Event(_))), "{first:?}");
    drop(parent);
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("the engine outlives its parent");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.success(), "{said}");
}

/// The loader itself lists what each program needs; the engine shows that the list can hold
/// libtorch.
#[test]
#[cfg(target_os = "linux")]
fn only_the_engine_needs_libtorch() {
    let needed = |program: &str| {
        let output = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(needed(ENGINE).contains("libtorch_cpu.so"));
    let annals = needed(env!("CARGO_BIN_EXE_annals"));
    assert!(annals.contains("libc.so") && !annals.contains("torch"), "{annals}");
}

pub(crate) fn loaded(
    place: &Place,
    config: &TrainConfig,
    dir: PathBuf,
    labels: &[&str],
) -> (Engine, EngineMessage) {
    let mut engine = place.start();
    let spec = ScoreSpec {
        config: config.clone(),
        dir,
        concepts: 0,
        vocab_size: VOCAB,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        multi_label: false,
        device: "cpu".into(),
        threads: 2,
    };
    engine.score(spec).unwrap();
    let heard = engine.recv(WAIT);
    (engine, heard)
}

#[test]
fn a_trained_model_scores_rows_as_it_did_in_training() {
    let data = dataset(64);
    let place = Place::new(&data);
    let config = config(&[]);
    let (finished, _) = train(&place, place.job("scored", &config));
    let dir = place.root.path().join("scored").join(&finished.best_dir);
    let (mut engine, heard) = loaded(&place, &config, dir.clone(), &["without", "with"]);
    assert!(matches!(heard, EngineMessage::Ready), "{heard:?}");
    let rows = data.of_split(Split::Test);
    let mut right = 0;
    for row in &rows {
        engine.rows(Collator::new(&data).batch(&[*row])).unwrap();
        let EngineMessage::Scores(scores) = engine.recv(WAIT) else { panic!("no scores") };
        assert_eq!(scores.len(), 2);
        right += usize::from(u32::from(scores[1] > scores[0]) == data.targets.of(*row)[0]);
    }
    let recorded = finished.evaluations[1].get("accuracy").unwrap().value;
    assert!((right as f64 / rows.len() as f64 - recorded).abs() < 1e-9, "{right}, {recorded}");

    let (_engine, heard) = loaded(&place, &config, dir.clone(), &["a", "b", "c"]);
    let EngineMessage::Ended(Ended::Failed(failure)) = heard else { panic!("{heard:?}") };
    assert!(failure.message.contains("has shape [2], [3] expected"), "{}", failure.message);
    let weights = dir.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    annals::base::durable::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let (_engine, heard) = loaded(&place, &config, dir, &["without", "with"]);
    let EngineMessage::Ended(Ended::Failed(failure)) = heard else { panic!("{heard:?}") };
    assert!(failure.message.contains("model.safetensors"), "{}", failure.message);
}

fn losses(events: &[TrainEvent]) -> Vec<f64> {
    let of_train = |name: &String| name == "Some(Train)/loss";
    let numbers = numbers(events).into_iter().filter(|(name, ..)| of_train(name));
    numbers.map(|(_, _, bits)| f64::from_bits(bits)).collect()
}

#[test]
fn small_batches_add_up_to_a_large_one() {
    let place = Place::new(&dataset(80));
    let losses = |run, batch, steps| {
        let split = [
            ("model.dropout", "0.0"),
            ("model.attention_dropout", "0.0"),
            ("training.batch_size", batch),
            ("training.accumulation_steps", steps),
        ];
        losses(&train(&place, place.job(run, &config(&split))).1)
    };
    let whole = losses("whole", "12", "1");
    let parts = losses("parts", "4", "3");
    assert_eq!((whole.len(), parts.len()), (21, 21));
    for (whole, part) in whole.iter().zip(&parts) {
        assert!((whole - part).abs() < 1e-4, "{whole} {part}");
    }
    let other = losses("other", "8", "1");
    assert!((other[1] - whole[1]).abs() > 1e-4, "any batch would have passed");
}

/// One update that changes nothing: its loss is that of the scores the saved model gives.
#[test]
fn the_focal_loss_is_its_formula() {
    let mut data = dataset(16);
    let classes = data.targets.classes().unwrap().to_vec();
    for multi in [false, true] {
        if multi {
            let sets = classes.iter().enumerate().map(|(row, class)| match row % 3 {
                0 => Vec::new(),
                1 => vec![*class],
                _ => vec![0, 1],
            });
            data.targets = Targets::Multi(sets.collect());
        }
        let place = Place::new(&data);
        let config = config(&[
            ("model.dropout", "0.0"),
            ("model.attention_dropout", "0.0"),
            ("training.num_epochs", "1"),
            ("training.accumulation_steps", "2"),
            ("training.learning_rate", "1.0e-12"),
            ("training.class_weights", "none"),
            ("training.focal_gamma", "1.5"),
        ]);
        let (finished, events) = train(&place, place.job("run", &config));
        let dir = place.root.path().join("run").join(&finished.best_dir);
        let (mut engine, _) = loaded(&place, &config, dir, &["without", "with"]);
        let (mut sum, mut terms) = (0.0, 0.0);
        for row in data.of_split(Split::Train) {
            engine.rows(Collator::new(&data).batch(&[row])).unwrap();
            let EngineMessage::Scores(scores) = engine.recv(WAIT) else { panic!("no scores") };
            let (a, b) = (f64::from(scores[0]), f64::from(scores[1]));
            let truth = data.targets.of(row);
            let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
            let right = if multi {
                let of = |class: u32, p: f64| if truth.contains(&class) { p } else { 1.0 - p };
                vec![of(0, sigmoid(a)), of(1, sigmoid(b))]
            } else {
                vec![if truth[0] == 0 { sigmoid(a - b) } else { sigmoid(b - a) }]
            };
            terms += right.len() as f64;
            sum += right.iter().map(|p| -(1.0 - p).powf(1.5) * p.ln()).sum::<f64>();
        }
        let losses = losses(&events);
        assert_eq!(losses.len(), 1);
        assert!((losses[0] - sum / terms).abs() < 1e-6, "{losses:?} {}", sum / terms);
    }
}

/// The tensors of a file of a training checkpoint, by name: shape and values.
fn tensors(path: &Path) -> BTreeMap<String, (usize, Vec<f64>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let float = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
    let tensors = file.tensors().into_iter();
    let tensors = tensors.filter(|(_, view)| view.dtype() == safetensors::Dtype::F32);
    tensors
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4).map(float).collect();
            (name, (view.shape().len(), values))
        })
        .collect()
}

/// From weights and moments after the first and the second update: clipping, moments, bias
/// correction, and decay of matrices alone.
#[test]
fn an_update_is_adamw_by_its_formula() {
    let place = Place::new(&dataset(8));
    let (lr, decay, clip) = (0.01, 0.3, 0.1);
    let config = config(&[
        ("training.num_epochs", "2"),
        ("training.learning_rate", "0.01"),
        ("training.weight_decay", "0.3"),
        ("training.gradient_clip_norm", "0.1"),
        ("training.schedule", "constant"),
        ("training.warmup_fraction", "0"),
        ("training.keep_last", "2"),
    ]);
    let job = place.job("run", &config);
    let dir = job.run_dir.clone();
    let (_, events) = train(&place, job);
    let read = |step, file| tensors(&dir.join(Checkpoints::dir(step)).join(file));
    let [before, after] = [1, 2].map(|step| read(step, "model.safetensors"));
    let [old, new] = [1, 2].map(|step| read(step, "optimizer.safetensors"));
    let mut squares = 0.0;
    for (name, (dims, weights)) in &after {
        for (i, weight) in weights.iter().enumerate() {
            let moment = |state: &BTreeMap<String, (usize, Vec<f64>)>, which| {
                state[&format!("{name}.{which}")].1[i]
            };
            let (first, second) = (moment(&new, "first"), moment(&new, "second"));
            let grad = (first - 0.9 * moment(&old, "first")) / 0.1;
            squares += grad * grad;
            let expected = 0.999 * moment(&old, "second") + 0.001 * grad * grad;
            assert!((second - expected).abs() < 1e-6 * expected + 1e-12, "{name} {second}");
            let kept = if *dims > 1 { 1.0 - lr * decay } else { 1.0 };
            let step = (first / (1.0 - 0.9_f64.powi(2)))
                / ((second / (1.0 - 0.999_f64.powi(2))).sqrt() + 1e-8);
            let expected = before[name].1[i] * kept - lr * step;
            assert!((weight - expected).abs() < 1e-5, "{name} {weight} {expected}");
        }
    }
    let norms = numbers(&events).into_iter().filter(|(name, ..)| name.ends_with("grad_norm"));
    let norms: Vec<f64> = norms.map(|(_, _, bits)| f64::from_bits(bits)).collect();
    assert!(norms[1] > clip, "nothing was clipped: {norms:?}");
    assert!((squares.sqrt() - clip).abs() < 1e-3 * clip, "{}", squares.sqrt());
}

#[test]
fn bf16_is_near_32_bits_where_the_device_has_it_and_refused_elsewhere() {
    let place = Place::new(&dataset(80));
    let job = |run, precision| {
        let still = ("model.dropout", "0.0");
        place.job(run, &config(&[still, ("training.precision", precision)]))
    };
    let whole = losses(&train(&place, job("fp32", "fp32")).1);
    let auto = losses(&train(&place, job("auto", "auto")).1);
    let heard = place.run(job("bf16", "bf16"), |_, _| {});
    #[cfg(target_arch = "x86_64")]
    let has = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    match heard {
        EngineMessage::Ended(Ended::Finished(_)) => {
            assert!(has);
            let far = |(a, b): (&f64, &f64)| (a - b).abs() > 0.05;
            assert!(!whole.iter().zip(&auto).any(far), "{whole:?} {auto:?}");
            assert_ne!(whole, auto, "nothing was computed in 16 bits");
            assert_eq!(auto, losses(&train(&place, job("again", "auto")).1));
        }
        EngineMessage::Ended(Ended::Failed(failure)) => {
            assert!(!has);
            assert_eq!(failure.kind, FailureKind::Device);
            assert!(failure.message.contains("device cpu: this processor"), "{failure:?}");
            assert_eq!(whole, auto);
        }
        other => panic!("{other:?}"),
    }
}
