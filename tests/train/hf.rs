#![expect(clippy::disallowed_methods, reason = "the test reads ANNALS_SHARED and makes folders")]
#![expect(clippy::print_stdout, reason = "tests say what they skip and what they reach")]
//! Folders in the layout of Hugging Face: tokens, logits and refusals. What `transformers` itself
//! makes of them is compared in `tests/compare`.

use std::fs;
use std::path::{Path, PathBuf};

use annals::train::config::{Layer, TrainConfig, builtin, resolve};
use annals::train::hf::{ModelFile, Pretrained, Tokenizer, side_files};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

const FIXTURES: [&str; 2] = ["distil_binary", "distil_multi6"];

fn fixture(name: &str) -> Option<(PathBuf, Value)> {
    let shared = std::env::var_os("ANNALS_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("fixtures/hf").join(name);
    match fs::read_to_string(folder.join("expected.json")) {
        Ok(text) => Some((folder, serde_json::from_str(&text).unwrap())),
        Err(_) => {
            println!("skipped: {} is not here", folder.display());
            None
        }
    }
}

fn config(settings: &[(&str, &str)]) -> TrainConfig {
    let mut layers = vec![Layer::Text { file: "", text: builtin("distilbert").unwrap() }];
    layers.extend(settings.iter().map(|(key, value)| Layer::Set { key, value }));
    resolve(&layers).unwrap()
}

fn small() -> TrainConfig {
    config(&[
        ("model.vocab_size", "60"),
        ("model.n_embd", "8"),
        ("model.num_heads", "2"),
        ("model.n_layer", "1"),
        ("model.max_seq_length", "16"),
        ("distilbert.hidden_dim", "16"),
        ("distilbert.max_position_embeddings", "16"),
        ("data.min_count", "1"),
    ])
}

const TEXTS: [&str; 4] =
    ["The patient sleeps well.", "Slept badly, worries a lot.", "sleeping pills?", "No worries!"];

/// A folder with a token table of `rows` and a classifier of two labels, all zero.
fn folder(tokenizer: &Tokenizer, rows: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let labels = ["calm".to_owned(), "worried".to_owned()];
    for (name, bytes) in side_files(&small(), &labels, false, tokenizer) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let zeros = vec![0_u8; rows * 8 * 4];
    let tensor = |shape: [usize; 2]| {
        TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..shape[0] * shape[1] * 4]).unwrap()
    };
    let tensors = [
        ("classifier.weight", tensor([2, 8])),
        ("distilbert.embeddings.word_embeddings.weight", tensor([rows, 8])),
    ];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    folder
}

#[test]
fn tokens_equal_those_of_transformers() {
    for name in FIXTURES {
        let Some((from, expected)) = fixture(name) else { return };
        let plain = tempfile::tempdir().unwrap();
        for file in ["vocab.txt", "tokenizer_config.json"] {
            fs::copy(from.join(file), plain.path().join(file)).unwrap();
        }
        let max = expected["max_length"].as_u64().unwrap() as u32;
        for folder in [from.as_path(), plain.path()] {
            let tokenizer = Tokenizer::read(folder).unwrap().limited(max).unwrap();
            for item in expected["items"].as_array().unwrap() {
                let ids = tokenizer.encode(item["text"].as_str().unwrap()).unwrap();
                assert_eq!(serde_json::json!(ids), item["input_ids"], "{item}");
            }
        }
    }
}

#[test]
fn the_same_texts_give_the_same_tokenizer() {
    let first = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    let again = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    assert_eq!(first.to_json(), again.to_json());
    let backwards = Tokenizer::learn(TEXTS.into_iter().rev(), 60, 1).unwrap();
    assert_eq!(first.to_json(), backwards.to_json(), "only counts decide");
    let vocab = first.to_vocab_text();
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    assert!(vocab.lines().take(5).eq(specials), "{vocab}");
    assert!(vocab.lines().any(|piece| piece == "worries"), "{vocab}");
    let ids = first.encode("worries").unwrap();
    let worries = vocab.lines().position(|piece| piece == "worries").unwrap() as u32;
    assert_eq!(ids, [2, worries, 3]);
    assert_eq!(first.encode("\u{4e2d}").unwrap(), [2, 1, 3], "unknown");
    assert_eq!(first.limited(4).unwrap().encode(TEXTS[1]).unwrap().len(), 4);
}

#[test]
fn what_is_written_is_read_again() {
    let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    let rows = tokenizer.len() as usize;
    let place = folder(&tokenizer, rows);
    let found = Pretrained::open(place.path()).unwrap();
    assert_eq!(found.model.labels(), ["calm", "worried"]);
    assert!(!found.model.is_multi_label() && found.has_head());
    assert_eq!(found.tokenizer.to_json(), tokenizer.to_json());
    let mut settled = config(&[("model.max_seq_length", "16")]);
    found.settle(&mut settled).unwrap();
    assert_eq!(settled.distilbert.init_digest, found.weights.to_string());
    assert_eq!((settled.model.n_embd, settled.model.n_layer), (8, 1));
    assert_eq!(settled.distilbert.hidden_dim, 16);
    assert_eq!(settled.model.vocab_size as usize, rows);
}

#[test]
fn folders_that_do_not_fit_are_refused_by_name() {
    let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    let rows = tokenizer.len() as usize;
    let refused = |break_it: &dyn Fn(&Path), reason: &str| {
        let place = folder(&tokenizer, rows);
        break_it(place.path());
        let error = Pretrained::open(place.path()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.contains(&place.path().display().to_string()), "{error}");
    };
    let edit = |place: &Path, key: &str, value: Value| {
        let path = place.join("config.json");
        let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json[key] = value;
        fs::write(path, json.to_string()).unwrap();
    };
    refused(&|p| fs::remove_file(p.join("config.json")).unwrap(), "config.json");
    refused(
        &|p| edit(p, "model_type", "bert".into()),
        "model_type distilbert expected, found bert",
    );
    refused(&|p| edit(p, "n_heads", 3.into()), "dim 8 is no multiple of n_heads 3");
    refused(&|p| edit(p, "activation", "relu".into()), "activation gelu expected, found relu");
    refused(&|p| edit(p, "vocab_size", 9_999.into()), "config.json says [9999, 8]");
    refused(&|p| edit(p, "id2label", serde_json::json!({"0": "x"})), "lists 1 labels");
    refused(&|p| fs::write(p.join("tokenizer.json"), "{").unwrap(), "tokenizer.json");
    refused(
        &|p| {
            let path = p.join("model.safetensors");
            let bytes = fs::read(&path).unwrap();
            fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
        },
        "model.safetensors",
    );
    let place = folder(&tokenizer, rows - 1);
    let path = place.path().join("config.json");
    let json = fs::read_to_string(&path).unwrap();
    let fewer =
        json.replace(&format!("\"vocab_size\": {rows}"), &format!("\"vocab_size\": {}", rows - 1));
    fs::write(path, fewer).unwrap();
    let error = Pretrained::open(place.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("has {rows} tokens, the weights have rows for")), "{error}");

    let place = folder(&tokenizer, rows);
    let found = Pretrained::open(place.path()).unwrap();
    let error = found.check_labels(&["worried".into(), "calm".into()]).unwrap_err().to_string();
    assert!(error.contains("calm, worried, the data has worried, calm"), "{error}");
    let error = found.settle(&mut config(&[("model.max_seq_length", "17")])).unwrap_err();
    assert!(error.to_string().contains("16 positions"), "{error}");
    let mut pinned = config(&[("model.max_seq_length", "16")]);
    pinned.distilbert.init_digest = "0".repeat(64);
    let error = found.settle(&mut pinned).unwrap_err().to_string();
    assert!(error.contains(&format!("has digest {}", found.weights)), "{error}");
}

#[test]
fn labels_that_were_never_named_fit_by_their_number() {
    let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    let place = folder(&tokenizer, tokenizer.len() as usize);
    let path = place.path().join("config.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("id2label");
    fs::write(&path, json.to_string()).unwrap();
    assert_eq!(ModelFile::read(place.path()).unwrap().labels(), ["LABEL_0", "LABEL_1"]);
    let found = Pretrained::open(place.path()).unwrap();
    found.check_labels(&["a".into(), "b".into()]).unwrap();
    assert!(found.check_labels(&["a".into(), "b".into(), "c".into()]).is_err());
}

#[cfg(feature = "torch")]
mod torch {
    use annals::base::Split;
    use annals::supervise::Heard;
    use annals::train::WEIGHTS_FILE;
    use annals::train::config::resolve;
    use annals::train::hf::{Pretrained, Tokenizer};
    use annals::train::prepared::{Collator, Inputs, Prepared, Targets};
    use annals::train::protocol::{Ended, ScoreSpec};

    use super::{FIXTURES, TEXTS, config, fixture, small};
    use crate::engine::{Place, WAIT, train};

    fn rows(tokenizer: &Tokenizer, texts: &[&str], multi: bool) -> Prepared {
        let mut inputs = Inputs::tokens(tokenizer.len());
        texts.iter().for_each(|text| inputs.push_tokens(&tokenizer.encode(text).unwrap()));
        let targets = if multi {
            Targets::Multi(texts.iter().map(|_| vec![]).collect())
        } else {
            Targets::Single((0..texts.len() as u32).map(|row| row % 2).collect())
        };
        Prepared {
            rows: (0..texts.len() as u32).collect(),
            splits: vec![Split::Train; texts.len()],
            inputs,
            targets,
            ..Prepared::default()
        }
    }

    #[test]
    fn logits_equal_those_of_transformers() {
        for name in FIXTURES {
            let Some((folder, expected)) = fixture(name) else { return };
            let found = Pretrained::open(&folder).unwrap();
            let mut config = resolve(&[]).unwrap();
            config.model.max_seq_length = found.length_max;
            found.settle(&mut config).unwrap();
            let tokenizer = found.tokenizer.limited(found.length_max).unwrap();
            let items = expected["items"].as_array().unwrap();
            let texts: Vec<&str> = items.iter().map(|i| i["text"].as_str().unwrap()).collect();
            let multi = found.model.is_multi_label();
            let data = rows(&tokenizer, &texts, multi);
            let place = Place::new(&data);
            let mut engine = place.start();
            let labels = found.model.labels();
            let spec = ScoreSpec {
                config,
                dir: folder.clone(),
                vocab_size: found.model.vocab_size,
                concepts: 0,
                labels: labels.clone(),
                multi_label: multi,
                device: "cpu".into(),
                threads: 2,
            };
            engine.score(spec).unwrap();
            let heard = engine.hear(WAIT);
            assert!(matches!(heard, Heard::Ready), "{heard:?}");
            let all: Vec<usize> = (0..texts.len()).collect();
            let mut worst = 0.0_f64;
            // Alone, and all together with padding.
            for batch in all.chunks(1).chain([&all[..]]) {
                engine.rows(Collator::new(&data).batch(batch)).unwrap();
                let Heard::Scores(scores) = engine.hear(WAIT) else { panic!("no scores") };
                let wanted = batch.iter().flat_map(|row| items[*row]["logits"].as_array().unwrap());
                assert_eq!(scores.len(), batch.len() * labels.len());
                for (score, wanted) in scores.iter().zip(wanted) {
                    worst = worst.max((f64::from(*score) - wanted.as_f64().unwrap()).abs());
                }
            }
            println!("{name}: logits within {worst:.1e}");
            assert!(worst <= 1e-5, "{name}: {worst}");
        }
    }

    /// Fine-tuned, saved, loaded and asked: what the folder says is what was trained.
    #[test]
    fn a_fine_tuned_model_starts_where_its_folder_ended() {
        let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
        let texts: Vec<&str> = TEXTS.into_iter().cycle().take(16).collect();
        let mut data = rows(&tokenizer, &texts, false);
        data.labels = vec!["calm".into(), "worried".into()];
        data.splits[8..12].fill(Split::Valid);
        data.splits[12..].fill(Split::Test);
        let place = Place::new(&data);
        let (first, _) = train(&place, place.job("scratch", &small()));
        let folder = place.job("scratch", &small()).run_dir.join(&first.best_dir);
        for (name, bytes) in super::side_files(&small(), &data.labels, false, &tokenizer) {
            annals::base::durable::write(&folder.join(name), &bytes).unwrap();
        }
        let found = Pretrained::open(&folder).unwrap();
        let mut on = config(&[
            ("model.max_seq_length", "16"),
            ("training.learning_rate", "1.0e-12"),
            ("training.num_epochs", "1"),
        ]);
        found.settle(&mut on).unwrap();
        let (second, _) = train(&place, place.job("on", &on));
        let loss = |f: &annals::train::Finished| f.evaluations[1].get("loss").unwrap().value;
        assert!((loss(&first) - loss(&second)).abs() < 1e-6, "{} {}", loss(&first), loss(&second));

        on.distilbert.init_digest = "0".repeat(64);
        let end = place.run(place.job("other", &on), |_, _| ());
        let Heard::Ended(Ended::Failed(failure)) = end else { panic!("{end:?}") };
        assert!(failure.message.contains(WEIGHTS_FILE), "{}", failure.message);
        assert!(failure.message.contains("expected"), "{}", failure.message);
    }
}
