//! From a data file to scores, with the toy learner: the sample notes always, public tweets where
//! the shared data is there (`ANNALS_SHARED`, or `../shared` beside the checkout).

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::files::shared;
use annals::base::{RunId, Split, durable};
use annals::data::{LabelColumns, LabelSpec, Source, read, sample};
use annals::model::config::{Layer, TrainConfig, builtin, resolve};
use annals::model::{Preparation, prepare};
use annals::train::protocol::JobSpec;
use annals::train::toy::ToyLearner;
use annals::train::{NoRecorder, Outcome, Trainer, TrainingResult};

fn toy_config() -> TrainConfig {
    resolve(&[Layer::Text { file: "toy", text: builtin("toy").unwrap() }]).unwrap()
}

fn train(root: &Path, config: TrainConfig, found: &Preparation) -> TrainingResult {
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
        resume_digest: None,
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

fn test_score(finished: &TrainingResult, name: &str) -> f64 {
    finished.evaluations[1].get(name).unwrap().value
}

#[test]
fn sample_notes_can_be_learned_but_not_by_heart() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("notes.csv");
    durable::write(&path, &sample::to_csv(&sample::generate(2_000, 42))).unwrap();
    let source = Source::of(path, sample::COLUMNS[0], sample::COLUMNS[1]);
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
    let Some(path) = shared_text("davidson_hate_offensive/labeled_data.csv.gz") else { return };
    let source = Source {
        labels: LabelSpec::parse("0=hate,1=offensive,2=neither").unwrap(),
        ..Source::of(path, "tweet", "class")
    };
    let dataset = read(&source).unwrap();
    assert_eq!(dataset.rows.len(), 24_783);
    let config = toy_config();
    let begin = std::time::Instant::now();
    let found = prepare(&dataset, &config).unwrap();
    let tokens: u32 = found.prepared.inputs.lengths().iter().sum();
    println!("prepared in {:.2?}, {tokens} tokens", begin.elapsed());
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

/// A file of the shared texts, or `None` with the word "skipped".
fn shared_text(name: &str) -> Option<PathBuf> {
    shared(Path::new("data/text").join(name))
}

#[test]
fn emotions_come_in_three_files_without_header_and_many_labels_a_row() {
    let file = |name: &str| shared_text(&format!("goemotions/{name}"));
    let (Some(train_file), valid, test) =
        (file("train.tsv.gz"), file("dev.tsv.gz"), file("test.tsv.gz"))
    else {
        return;
    };
    let names = file("labels.txt").unwrap();
    let source = Source {
        valid,
        test,
        header: false,
        label_columns: LabelColumns::List("2".into()),
        labels: LabelSpec::from_file(&names).unwrap(),
        ..Source::of(train_file, "1", "2")
    };
    let one = LabelColumns::One("2".into());
    let forgotten = Source { label_columns: one, labels: LabelSpec::Infer, ..source.clone() };
    let error = read(&forgotten).unwrap_err();
    assert!(error.hint().unwrap().contains("--multi-label"), "{error}");
    let dataset = read(&source).unwrap();
    assert_eq!((dataset.labels.len(), dataset.multi), (28, true));
    let found = prepare(&dataset, &toy_config()).unwrap();
    let rows: Vec<u64> = found.splits.iter().map(|split| split.rows).collect();
    assert_eq!(rows, [43_410, 5_426, 5_427]);
    let root = tempfile::tempdir().unwrap();
    let finished = train(root.path(), toy_config(), &found);
    let (macro_f1, micro_f1) =
        (test_score(&finished, "f1_macro"), test_score(&finished, "f1_micro"));
    println!("toy: macro F1 {macro_f1:.4}, micro F1 {micro_f1:.4}, {:.1} s", finished.seconds);
    assert!(micro_f1 > 0.30, "{micro_f1}");
}

#[test]
fn toxicity_has_a_column_for_each_label() {
    let Some(path) = shared_text("jigsaw_sample/train.csv.gz") else { return };
    let names = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"];
    let flags = LabelColumns::Flags(names.map(str::to_owned).to_vec());
    let source = Source { label_columns: flags, ..Source::of(path, "comment_text", "") };
    let dataset = read(&source).unwrap();
    assert_eq!(dataset.label_names(), names);
    assert!(dataset.rows.iter().any(|row| row.classes.len() > 2));
    assert!(dataset.rows.iter().any(|row| row.classes.is_empty()));
}
