//! The actigraphy transformer: its sizes, that it learns, resumes and answers as it was trained.

use std::path::Path;

use crate::files::fixture;
use annals::base::{Digest, Split};
use annals::data::batch::Collator;
use annals::data::prepared::{Inputs, Prepared, Targets};
use annals::model::WEIGHTS_FILE;
use annals::model::config::{Layer, TrainConfig, builtin, resolve};
use annals::model::pat;
use annals::stats::random::Stream;
use annals::supervise::EngineMessage;
use annals::train::TrainEvent;
use annals::train::protocol::{Ended, ScoreSpec};

use super::engine::{Place, WAIT, finished, numbers, train};

fn config(name: &str, settings: &[(&str, &str)]) -> TrainConfig {
    let mut layers = vec![Layer::Text { file: name, text: builtin(name).unwrap() }];
    layers.extend(settings.iter().map(|(key, value)| Layer::Set { key, value }));
    resolve(&layers).unwrap()
}

/// Noise of `width` numbers; rows of class 1 are higher in the second half.
fn dataset(width: u32, train: u32, multi: bool) -> Prepared {
    let mut data = Prepared { labels: vec!["flat".into(), "rising".into()], ..Prepared::default() };
    let (mut values, mut classes) = (Vec::new(), Vec::new());
    let mut random = Stream::new(&[11]);
    for (split, rows) in [(Split::Train, train), (Split::Valid, 12), (Split::Test, 12)] {
        for index in 0..rows {
            let class = index % 2;
            data.rows.push(data.rows.len() as u32);
            data.splits.push(split);
            for at in 0..width {
                let step = if class == 1 && at >= width / 2 { 0.8 } else { 0.0 };
                values.push((random.unit() * 2.0 - 1.0 + step) as f32);
            }
            classes.push(class);
        }
    }
    data.targets = if multi {
        Targets::Multi(classes.into_iter().map(|class| vec![class]).collect())
    } else {
        Targets::Single(classes)
    };
    data.inputs = Inputs::Series { width, values };
    data
}

fn parameters(config: &TrainConfig, data: &Prepared) -> u64 {
    let place = Place::new(data);
    let mut parameters = 0;
    let _ = place.run(place.job("sizes", config), |engine, event| {
        if let TrainEvent::Started(started) = event {
            parameters = started.parameters;
            engine.stop();
        }
    });
    parameters
}

#[test]
fn sizes_are_the_published_ones() {
    let data = dataset(10_080, 2, false);
    // patch + blocks + Linear(96, 1); that of L is published.
    let block = |heads: u64| {
        3 * (96 * heads * 96 + heads * 96)
            + (heads * 96 * 96 + 96)
            + (96 * 256 + 256)
            + (256 * 96 + 96)
            + 4 * 96
    };
    assert_eq!(block(12), 495_808);
    let small = 18 * 96 + 96 + block(6) + 97;
    let medium = 18 * 96 + 96 + 2 * block(12) + 97;
    for (name, settings, expected) in [
        ("pat_s", &[][..], small),
        ("pat_m", &[], medium),
        ("pat_l", &[], 1_984_289),
        ("pat_conv_l", &[], 1_984_289),
        ("pat_conv_l", &[("pat.patch_embedding", "conv_pooled")], 1_984_289 - 960 + 384),
        ("pat_s", &[("pat.head_hidden", "128")], small - 97 + 96 * 128 + 128 + 129),
    ] {
        assert_eq!(parameters(&config(name, settings), &data), expected, "{name} {settings:?}");
    }
}

const TINY: &[(&str, &str)] = &[
    ("pat.length", "144"),
    ("training.batch_size", "8"),
    ("training.num_epochs", "6"),
    ("training.early_stopping.patience", "0"),
];

#[test]
fn it_learns_and_repeats() {
    let data = dataset(144, 48, false);
    let config = config("pat_s", TINY);
    let place = Place::new(&data);
    let (first, events) = train(&place, place.job("first", &config));
    let test = first.evaluations.iter().find(|e| e.split == Split::Test).unwrap();
    let auc = test.get("roc_auc").unwrap().value;
    assert!(auc > 0.95, "{auc}");
    assert_eq!(first.metric, "roc_auc");
    let (second, again) = train(&place, place.job("second", &config));
    assert_eq!(first.weights.digest, second.weights.digest);
    assert_eq!(numbers(&events), numbers(&again));
}

#[test]
fn convolutions_learn_too() {
    let data = dataset(144, 48, false);
    for embedding in ["conv", "conv_pooled"] {
        let settings = [TINY, &[("pat.patch_embedding", embedding)]].concat();
        let place = Place::new(&data);
        let (done, _) = train(&place, place.job("run", &config("pat_s", &settings)));
        let test = done.evaluations.iter().find(|e| e.split == Split::Test).unwrap();
        assert!(test.get("roc_auc").unwrap().value > 0.9, "{embedding}");
    }
}

#[test]
fn it_goes_on_to_the_same_weights() {
    let data = dataset(144, 32, false);
    let config = config("pat_s", TINY);
    let place = Place::new(&data);
    let (whole, _) = train(&place, place.job("whole", &config));
    let end = place.run(place.job("parts", &config), |engine, event| {
        if matches!(event, TrainEvent::Progress(progress) if progress.step >= 9) {
            engine.stop();
        }
    });
    let EngineMessage::Ended(Ended::Interrupted(interrupted)) = end else { panic!("{end:?}") };
    let mut job = place.job("parts", &config);
    job.resume_from = interrupted.dir.clone();
    let resumed = finished(place.run(job, |_, _| ()));
    assert_eq!(whole.weights.digest, resumed.weights.digest);
}

/// The scores of all rows by the weights in the folder of `run`'s best training checkpoint.
fn scores(place: &Place, data: &Prepared, config: &TrainConfig, run: &str, dir: &str) -> Vec<f32> {
    let mut engine = place.start();
    let dir = place.job(run, config).run_dir.join(dir);
    assert!(dir.join(WEIGHTS_FILE).exists());
    let spec = ScoreSpec {
        config: config.clone(),
        dir,
        concepts: 0,
        vocab_size: 0,
        labels: data.labels.clone(),
        multi_label: data.targets.is_multi(),
        device: "cpu".into(),
        threads: 2,
    };
    engine.score(spec).unwrap();
    assert!(matches!(engine.recv(WAIT), EngineMessage::Ready));
    let all: Vec<usize> = (0..data.rows.len()).collect();
    engine.rows(Collator::new(data).batch(&all)).unwrap();
    let EngineMessage::Scores(scores) = engine.recv(WAIT) else { panic!("no scores") };
    scores
}

#[test]
fn two_classes_have_one_output_and_many_labels_have_one_each() {
    for multi in [false, true] {
        let data = dataset(144, 16, multi);
        let settings = [TINY, &[("training.num_epochs", "1")]].concat();
        let config = config("pat_s", &settings);
        let place = Place::new(&data);
        let (done, _) = train(&place, place.job("run", &config));
        let dir = done.best_dir.to_string_lossy().into_owned();
        let scores = scores(&place, &data, &config, "run", &dir);
        assert_eq!(scores.len(), data.rows.len() * 2);
        let firsts_are_zero = scores.chunks(2).all(|pair| pair[0] == 0.0);
        assert_eq!(firsts_are_zero, !multi);
        assert_eq!(done.weights.digest, {
            let path = place.job("run", &config).run_dir.join(dir).join(WEIGHTS_FILE);
            Digest::of(&std::fs::read(path).unwrap())
        });
    }
}

/// The settings of the fixtures, and the numbers that a plain reading of the layers gives.
fn reference() -> (Vec<(&'static str, String)>, serde_json::Value) {
    let text = std::fs::read_to_string(fixture("pat.json")).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let size = |name: &str| value["sizes"][name].to_string();
    let settings = [
        ("pat.length", "length"),
        ("pat.patch_size", "patch"),
        ("pat.feed_forward", "hidden"),
        ("model.n_embd", "width"),
        ("model.num_heads", "heads"),
        ("model.n_layer", "layers"),
    ];
    (settings.map(|(key, name)| (key, size(name))).to_vec(), value)
}

#[test]
fn scores_are_those_of_a_plain_reading_of_the_layers() {
    let (settings, value) = reference();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let config = config("pat_s", &settings);
    let weeks: Vec<Vec<f32>> = serde_json::from_value(value["weeks"].clone()).unwrap();
    let expected: Vec<f32> = serde_json::from_value(value["scores"].clone()).unwrap();
    let mut data = dataset(36, 2, false);
    data.inputs = Inputs::Series { width: 36, values: weeks.concat() };
    data.rows.truncate(2);
    data.splits.truncate(2);
    data.targets = Targets::Single(vec![0, 1]);
    let place = Place::new(&data);
    let dir = place.job("run", &config).run_dir;
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(fixture("pat.safetensors"), dir.join(WEIGHTS_FILE)).unwrap();
    let found = scores(&place, &data, &config, "run", "");
    for (row, expected) in expected.iter().enumerate() {
        let found = found[2 * row + 1];
        assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }
}

#[test]
fn an_encoder_of_keras_is_begun_from() {
    let (settings, _) = reference();
    let path = fixture("pat_model.h5").display().to_string();
    let digest = Digest::of(&std::fs::read(&path).unwrap()).to_string();
    let mut all: Vec<(&str, &str)> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    // A rate that changes nothing: what is saved is what was begun from.
    all.extend([("training.num_epochs", "1"), ("training.learning_rate", "1e-30")]);
    all.extend([("pat.init_from", path.as_str()), ("pat.init_digest", digest.as_str())]);
    let given = config("pat_s", &all);
    let data = dataset(36, 8, false);
    let place = Place::new(&data);
    let (done, _) = train(&place, place.job("run", &given));
    let saved = place.job("run", &given).run_dir.join(&done.best_dir).join(WEIGHTS_FILE);
    let encoder = |path: &Path| pat::encoder(&std::fs::read(path).unwrap(), &given).unwrap();
    assert_eq!(encoder(&saved), encoder(Path::new(&path)));
    all.pop();
    all.push(("pat.init_digest", "another"));
    let altered = config("pat_s", &all);
    let end = place.run(place.job("altered", &altered), |_, _| ());
    let EngineMessage::Ended(Ended::Failed(failure)) = end else { panic!("{end:?}") };
    assert!(failure.message.contains("another expected"), "{}", failure.message);
}

#[test]
fn an_encoder_is_learned_without_labels_and_begun_from() {
    let mut data = dataset(144, 48, true);
    data.labels.clear();
    data.targets = Targets::Multi(vec![Vec::new(); data.rows.len()]);
    let own =
        [("pat.pretrain", "true"), ("training.best_metric", "loss"), ("pat.mask_ratio", "0.5")];
    let pretraining = config("pat_s", &[TINY, &own].concat());
    let place = Place::new(&data);
    let mut losses = Vec::new();
    let end = place.run(place.job("pretraining", &pretraining), |_, event| {
        if let TrainEvent::EpochEnded(ended) = event {
            losses.push(ended.value);
        }
    });
    let done = finished(end);
    assert!(losses.last().unwrap() < &(losses[0] * 0.99), "{losses:?}");
    let (again, _) = train(&place, place.job("again", &pretraining));
    assert_eq!(done.weights.digest, again.weights.digest);
    let test = done.evaluations.iter().find(|e| e.split == Split::Test).unwrap();
    assert_eq!(test.metrics.len(), 1, "nothing but the loss can be told without labels");
    let dir = place.job("pretraining", &pretraining).run_dir.join(&done.best_dir);
    let path = dir.join(WEIGHTS_FILE).display().to_string();
    let digest = done.weights.digest.to_string();
    let from = [("pat.init_from", path.as_str()), ("pat.init_digest", digest.as_str())];
    let config = config("pat_s", &[TINY, &from].concat());
    let place = Place::new(&dataset(144, 48, false));
    let (done, _) = train(&place, place.job("run", &config));
    let test = done.evaluations.iter().find(|e| e.split == Split::Test).unwrap();
    assert!(test.get("roc_auc").unwrap().value > 0.95);
}
