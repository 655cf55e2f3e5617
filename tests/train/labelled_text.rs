#![expect(clippy::disallowed_methods, reason = "the test reads ANNALS_SHARED")]
//! From a data file to scores, with the toy learner: the sample notes always, public tweets where
//! the shared data is there (`ANNALS_SHARED`, or `../shared` beside the checkout).

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use annals::base::{RunId, Split, durable};
use annals::train::config::{Layer, TrainConfig, builtin, resolve};
use annals::train::data::{LabelSpec, Preparation, Source, prepare, read, sample};
use annals::train::protocol::JobSpec;
use annals::train::toy::ToyLearner;
use annals::train::{Finished, NoRecorder, Outcome, Trainer};

fn toy_config() -> TrainConfig {
    resolve(&[Layer::Text { file: "toy", text: builtin("toy").unwrap() }]).unwrap()
}

fn train(root: &Path, config: TrainConfig, found: &Preparation) -> Finished {
    let dataset = root.join("dataset.bin");
    let job = JobSpec {
        run: RunId([1; 16]),
        config_digest: config.digest(),
        config,
        dataset_digest: found.prepared.write(&dataset).unwrap(),
        dataset,
        run_dir: root.join("run"),
        device: "cpu".into(),
        threads: 1,
        resume_from: None,
    };
    let mut learner = ToyLearner::build(&job, &found.prepared).unwrap();
    let (stop, mut silent) = (AtomicBool::new(false), NoRecorder);
    let mut trainer =
        Trainer::new(&job, &found.prepared, learner.as_mut(), &mut silent, &stop).unwrap();
    match trainer.run().unwrap() {
        Outcome::Finished(finished) => *finished,
        Outcome::Interrupted(at) => panic!("interrupted: {at:?}"),
    }
}

fn test_score(finished: &Finished, name: &str) -> f64 {
    finished.evaluations[1].get(name).unwrap().value
}

#[test]
fn sample_notes_can_be_learned_but_not_by_heart() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("notes.csv");
    durable::write(&path, &sample::to_csv(&sample::generate(2_000, 42))).unwrap();
    let source = Source {
        path,
        text_column: sample::COLUMNS[0].into(),
        label_column: sample::COLUMNS[1].into(),
        labels: LabelSpec::Infer,
    };
    let dataset = read(&source).unwrap();
    assert_eq!(dataset.label_names(), ["anxiety", "depression", "suicide_risk"]);
    let config = toy_config();
    let found = prepare(&dataset, &config).unwrap();
    assert_eq!(found.leakage.rows_left(), 0);
    let finished = train(root.path(), config, &found);
    let f1 = test_score(&finished, "f1_macro");
    println!("sample notes: test macro F1 {f1:.4}");
    assert!((0.75..0.99).contains(&f1), "{f1}");
}

#[test]
fn public_tweets_split_as_documented_and_train() {
    let shared = std::env::var_os("ANNALS_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let path = shared.join("data/text/davidson_hate_offensive/labeled_data.csv.gz");
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return;
    }
    let source = Source {
        path,
        text_column: "tweet".into(),
        label_column: "class".into(),
        labels: LabelSpec::parse("0=hate,1=offensive,2=neither").unwrap(),
    };
    let dataset = read(&source).unwrap();
    assert_eq!(dataset.rows.len(), 24_783);
    let config = toy_config();
    let begin = std::time::Instant::now();
    let found = prepare(&dataset, &config).unwrap();
    println!("prepared in {:.2?}, {} tokens", begin.elapsed(), found.prepared.ids.len());
    println!("{:?}", found.splits);
    let [train_rows, valid, test] = &found.splits[..] else { panic!("three splits") };
    assert_eq!(test.classes, [283, 3_855, 819]);
    let both: Vec<u64> = (0..3).map(|i| train_rows.classes[i] + valid.classes[i]).collect();
    assert_eq!(both, [1_147, 15_335, 3_344]);
    println!("leakage: {} rows", found.leakage.rows_left());
    let root = tempfile::tempdir().unwrap();
    let finished = train(root.path(), config, &found);
    let (accuracy, f1) = (test_score(&finished, "accuracy"), test_score(&finished, "f1_macro"));
    println!("toy: accuracy {accuracy:.4}, macro F1 {f1:.4}, {:.1} s", finished.seconds);
    assert_eq!(finished.evaluations[1].split, Split::Test);
    assert!(accuracy > 0.84 && f1 > 0.60, "accuracy {accuracy}, macro F1 {f1}");
}
