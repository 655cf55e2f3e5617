#![expect(clippy::disallowed_methods, reason = "the test makes folders")]
//! Folders in the layout of Hugging Face: tokens, logits and refusals. What `transformers` itself
//! makes of them is compared in `tests/compare`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::files::shared;
use annals::data::tokenizer::Tokenizer;
use annals::model::config::{Layer, TrainConfig, builtin, resolve};
use annals::model::hf::{ConfigFile, Pretrained, Weights, side_files};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

const FIXTURES: [&str; 2] = ["distil_binary", "distil_multi6"];

fn fixture(name: &str) -> Option<(PathBuf, Value)> {
    let folder = shared(Path::new("fixtures/hf").join(name))?;
    let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
    Some((folder, serde_json::from_str(&expected).unwrap()))
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

/// The tensors of a model of `small` with a token table of `rows` and two labels, each with its
/// shape.
fn tensors(rows: usize) -> BTreeMap<String, Vec<usize>> {
    let mut all = BTreeMap::new();
    let mut put = |name: &str, shape: &[usize]| {
        all.insert(name.to_owned(), shape.to_vec());
    };
    put("distilbert.embeddings.word_embeddings.weight", &[rows, 8]);
    put("distilbert.embeddings.position_embeddings.weight", &[16, 8]);
    let layer = "distilbert.transformer.layer.0";
    let linear = ["q_lin", "k_lin", "v_lin", "out_lin"].map(|n| (format!("attention.{n}"), 8, 8));
    let linear = linear.into_iter().chain([("ffn.lin1".into(), 16, 8), ("ffn.lin2".into(), 8, 16)]);
    for (name, outputs, inputs) in linear {
        put(&format!("{layer}.{name}.weight"), &[outputs, inputs]);
        put(&format!("{layer}.{name}.bias"), &[outputs]);
    }
    let norms = ["sa_layer_norm", "output_layer_norm"].map(|name| format!("{layer}.{name}"));
    for name in norms.iter().map(String::as_str).chain(["distilbert.embeddings.LayerNorm"]) {
        put(&format!("{name}.weight"), &[8]);
        put(&format!("{name}.bias"), &[8]);
    }
    for (name, outputs) in [("pre_classifier", 8), ("classifier", 2)] {
        put(&format!("{name}.weight"), &[outputs, 8]);
        put(&format!("{name}.bias"), &[outputs]);
    }
    all
}

/// A number of few digits in 16 bits.
fn f16_of(number: f32) -> u16 {
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    match number {
        0.0 => sign,
        _ => sign | (((bits >> 23 & 0xff) + 15 - 127) << 10 | bits >> 13 & 0x3ff) as u16,
    }
}

fn f32_of(bits: u16) -> f32 {
    let (sign, rest) = (u32::from(bits & 0x8000) << 16, u32::from(bits & 0x7fff));
    f32::from_bits(if rest == 0 { sign } else { sign | ((rest + ((127 - 15) << 10)) << 13) })
}

/// Writes tensors whose numbers follow from the names they have here, in the type `dtype`; `name`
/// says what they are called in the file.
fn write(
    path: &Path,
    tensors: &BTreeMap<String, Vec<usize>>,
    dtype: Dtype,
    name: impl Fn(&str) -> String,
) {
    let mut parts = Vec::new();
    for (known, shape) in tensors {
        let count: usize = shape.iter().product();
        let seed = known.bytes().map(usize::from).sum::<usize>();
        // Eighths are exact in every type.
        let numbers = (0..count).map(|i| ((seed + i) % 17) as f32 / 8.0 - 1.0);
        let bytes: Vec<u8> = match dtype {
            Dtype::F64 => numbers.flat_map(|n| f64::from(n).to_le_bytes()).collect(),
            Dtype::F16 => numbers.flat_map(|n| f16_of(n).to_le_bytes()).collect(),
            Dtype::BF16 => {
                numbers.flat_map(|n| ((n.to_bits() >> 16) as u16).to_le_bytes()).collect()
            }
            _ => numbers.flat_map(f32::to_le_bytes).collect(),
        };
        parts.push((name(known), shape.clone(), bytes));
    }
    let views = parts.iter().map(|(name, shape, bytes)| {
        (name.clone(), TensorView::new(dtype, shape.clone(), bytes).unwrap())
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// A folder with a token table of `rows` and a classifier of two labels.
fn folder(tokenizer: &Tokenizer, rows: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let labels = ["calm".to_owned(), "worried".to_owned()];
    for (name, bytes) in side_files(&small(), &labels, false, tokenizer) {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let weights = folder.path().join("model.safetensors");
    write(&weights, &tensors(rows), Dtype::F32, str::to_owned);
    folder
}

#[test]
fn tokens_equal_those_of_transformers() {
    for name in FIXTURES {
        let Some((from, expected)) = fixture(name) else { return };
        let plain = tempfile::tempdir().unwrap();
        fs::copy(from.join("vocab.txt"), plain.path().join("vocab.txt")).unwrap();
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
    assert!(!first.tokens(TEXTS[1]).unwrap().cut);
    let limited = first.limited(4).unwrap();
    assert_eq!(limited.limit(), Some(4));
    let tokens = limited.tokens(TEXTS[1]).unwrap();
    assert!(tokens.cut && tokens.ids.len() == 4, "{tokens:?}");
    assert!(!limited.tokens("").unwrap().cut);
}

#[test]
fn what_is_written_is_read_again() {
    let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    let rows = tokenizer.len() as usize;
    let place = folder(&tokenizer, rows);
    let found = Pretrained::open(place.path()).unwrap();
    assert_eq!(found.labels, ["calm", "worried"]);
    assert!(!found.multi_label && found.missing.is_empty() && found.notes.is_empty());
    assert_eq!(found.tokenizer.to_json(), tokenizer.to_json());
    let mut settled = config(&[("model.max_seq_length", "16")]);
    found.resolve(&mut settled).unwrap();
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
    refused(&|p| edit(p, "n_heads", 3.into()), "dim 8 is not a multiple of n_heads 3");
    refused(&|p| edit(p, "activation", "relu".into()), "activation gelu expected, found relu");
    refused(&|p| edit(p, "vocab_size", 9_999.into()), "config.json requires [9999, 8]");
    refused(
        &|p| edit(p, "id2label", serde_json::json!({"0": "x"})),
        "1 label: a classifier needs at least 2",
    );
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
    let error = found.resolve(&mut config(&[("model.max_seq_length", "17")])).unwrap_err();
    assert!(error.to_string().contains("16 positions"), "{error}");
    let mut pinned = config(&[("model.max_seq_length", "16")]);
    pinned.distilbert.init_digest = "0".repeat(64);
    let error = found.resolve(&mut pinned).unwrap_err().to_string();
    assert!(error.contains(&format!("have digest {}", found.weights)), "{error}");
}

#[test]
fn labels_that_were_never_named_fit_by_their_number() {
    let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    let place = folder(&tokenizer, tokenizer.len() as usize);
    let path = place.path().join("config.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("id2label");
    fs::write(&path, json.to_string()).unwrap();
    let found = Pretrained::open(place.path()).unwrap();
    assert_eq!(found.labels, ["LABEL_0", "LABEL_1"]);
    found.check_labels(&["a".into(), "b".into()]).unwrap();
    assert!(found.check_labels(&["a".into(), "b".into(), "c".into()]).is_err());
}

/// What Transformers made of folders whose files say different things (`fixtures/hf.py`).
fn probes() -> Value {
    serde_json::from_str(include_str!("fixtures/hf.json")).unwrap()
}

/// Every folder of the probes gives the tokens that Transformers gives, or is refused where
/// Transformers refuses it or takes a tokenizer that is not of BERT's kind.
#[test]
fn tokenizer_files_count_as_in_transformers() {
    let known = probes();
    for probe in known["tokenizers"].as_array().unwrap() {
        let place = tempfile::tempdir().unwrap();
        let put = |name: &str, text: String| fs::write(place.path().join(name), text).unwrap();
        let merged = |base: &Value, over: &Value| {
            let mut all = base.as_object().unwrap().clone();
            all.extend(over.as_object().unwrap().clone());
            Value::Object(all).to_string()
        };
        let files = probe["files"].as_object().unwrap();
        put("config.json", merged(&known["config"], &serde_json::json!({})));
        for (name, content) in files {
            let text = match name.as_str() {
                "config.json" => merged(&known["config"], content),
                "tokenizer.json" => merged(&known["whole"], content),
                "vocab.txt" => {
                    let lines = content.as_array().unwrap().iter();
                    lines.map(|line| format!("{}\n", line.as_str().unwrap())).collect()
                }
                _ => content.to_string(),
            };
            put(name, text);
        }
        let settings = files.get("tokenizer_config.json").cloned().unwrap_or_default();
        let class = probe["class"].as_str().unwrap_or_default();
        let is_bert = class.ends_with("BertTokenizer") || class == "TokenizersBackend";
        let is_unknown = settings["tokenizer_class"] == "NoSuchTokenizer"
            || settings["tokenizer_class"] == ""
            || settings["split_special_tokens"] == true;
        let max = settings["model_max_length"].as_u64().unwrap_or(1_000) as u32;
        let read = Tokenizer::read(place.path()).and_then(|found| found.limited(max));
        match read {
            Ok(tokenizer) => {
                assert!(is_bert, "{probe} must be refused");
                for (text, ids) in
                    known["texts"].as_array().unwrap().iter().zip(probe["ids"].as_array().unwrap())
                {
                    let found = tokenizer.encode(text.as_str().unwrap()).unwrap();
                    assert_eq!(serde_json::json!(found), *ids, "{text} of {probe}");
                }
                // What a run keeps says the same by itself.
                let again = Tokenizer::from_json(tokenizer.to_json().to_owned()).unwrap();
                let again = again.limited(max).unwrap();
                for text in known["texts"].as_array().unwrap() {
                    let text = text.as_str().unwrap();
                    assert_eq!(again.encode(text).unwrap(), tokenizer.encode(text).unwrap());
                }
            }
            Err(error) => assert!(!is_bert || is_unknown, "{error}: {probe}"),
        }
    }
}

/// The labels of each `config.json` are those of Transformers, or refused: always where a class
/// would have no name, or that of another one.
#[test]
fn label_maps_count_as_in_transformers() {
    let known = probes();
    for probe in known["labels"].as_array().unwrap() {
        let place = tempfile::tempdir().unwrap();
        let mut config = known["config"].as_object().unwrap().clone();
        config.extend(probe["config"].as_object().unwrap().clone());
        let text = Value::Object(config).to_string();
        fs::write(place.path().join("config.json"), text).unwrap();
        let found = ConfigFile::read(place.path()).map_err(|e| e.to_string());
        let found = found.and_then(|model| model.labels());
        let named = |id: usize| match &probe["id2label"][id.to_string()] {
            Value::String(name) if !name.is_empty() => Some(name.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let count = probe["id2label"].as_object().map_or(0, serde_json::Map::len);
        let names: Option<Vec<String>> = (0..count).map(named).collect();
        let distinct: BTreeSet<&String> = names.iter().flatten().collect();
        let kind = probe["problem_type"].as_str().unwrap_or("single_label_classification");
        let is_classifier = kind.ends_with("_label_classification");
        let twice = probe["config"]["id2label"].get("00").is_some();
        if count < 2 || distinct.len() < count || !is_classifier || twice {
            assert!(found.is_err(), "{probe}: {found:?}");
        } else {
            let expected = (names.unwrap(), kind.starts_with("multi"));
            assert_eq!(found, Ok(expected), "{probe}");
        }
    }
}

/// In whatever layout and type weights are, they are the same numbers under the same names.
#[test]
fn weights_are_read_in_every_layout() {
    let all = tensors(20);
    let first = tempfile::tempdir().unwrap();
    write(&first.path().join("model.safetensors"), &all, Dtype::F32, str::to_owned);
    let plain = Weights::open(first.path(), 1).unwrap();
    assert!(plain.ignored.is_empty() && plain.missing_head().is_empty());
    let bare = |name: &str| name.strip_prefix("distilbert.").unwrap_or(name).to_owned();
    let old = |name: &str| {
        name.replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let inside = |name: &str| match name.starts_with("distilbert.") {
        true => name.to_owned(),
        false => format!("distilbert.{name}"),
    };
    let layouts: [&dyn Fn(&str) -> String; 5] =
        [&str::to_owned, &bare, &old, &inside, &|name| bare(&old(name))];
    for (number, layout) in layouts.into_iter().enumerate() {
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64] {
            for parts in [1, 3] {
                let place = tempfile::tempdir().unwrap();
                if parts == 1 {
                    write(&place.path().join("model.safetensors"), &all, dtype, layout);
                } else {
                    let mut map = serde_json::Map::new();
                    for part in 0..parts {
                        let file = format!("model-{part}.safetensors");
                        let own = all.iter().enumerate().filter(|(at, _)| at % parts == part);
                        let own = own.map(|(_, (n, shape))| (n.clone(), shape.clone())).collect();
                        write(&place.path().join(&file), &own, dtype, layout);
                        map.extend(own.keys().map(|name| (layout(name), file.clone().into())));
                    }
                    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
                    let path = place.path().join("model.safetensors.index.json");
                    fs::write(path, index.to_string()).unwrap();
                }
                let found = Weights::open(place.path(), 1).unwrap();
                assert!(found.ignored.is_empty(), "{number} {:?}", found.ignored);
                for name in all.keys() {
                    let (one, other) = (plain.get(name).unwrap(), found.get(name).unwrap());
                    assert_eq!((one.shape, other.dtype), (other.shape, dtype), "{name}");
                    let two = |bytes: &[u8]| u16::from_le_bytes(bytes.try_into().unwrap());
                    let decoded = |bytes: &[u8]| match dtype {
                        Dtype::F64 => f64::from_le_bytes(bytes.try_into().unwrap()) as f32,
                        Dtype::F16 => f32_of(two(bytes)),
                        Dtype::BF16 => f32::from_bits(u32::from(two(bytes)) << 16),
                        _ => f32::from_le_bytes(bytes.try_into().unwrap()),
                    };
                    let width = other.bytes.len() / (one.bytes.len() / 4);
                    let others = other.bytes.chunks_exact(width).map(decoded);
                    let ones = one.bytes.chunks_exact(4);
                    let ones = ones.map(|b| f32::from_le_bytes(b.try_into().unwrap()));
                    assert!(ones.eq(others), "{name} in layout {number}, {dtype:?}");
                }
            }
        }
    }
}

/// What the weights lack of a head is made afresh, other heads are not used, and both are told;
/// anything else that is missing, and weights that cannot be read, are refused by name.
/// Changes the shapes of tensors, or the files of a folder, before it is read.
type Change<'a> = &'a dyn Fn(&mut BTreeMap<String, Vec<usize>>, &Path);

#[test]
fn weights_that_differ_from_the_model_are_told_or_refused() {
    let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
    let rows = tokenizer.len() as usize;
    let open = |change: Change<'_>| {
        let place = folder(&tokenizer, rows);
        let mut all = tensors(rows);
        let path = place.path().join("model.safetensors");
        write(&path, &all, Dtype::F32, str::to_owned);
        change(&mut all, place.path());
        if path.exists() {
            write(&path, &all, Dtype::F32, str::to_owned);
        }
        Pretrained::open(place.path()).map_err(|error| error.to_string())
    };
    let masked = open(&|all, _| {
        all.retain(|name, _| name.starts_with("distilbert."));
        all.insert("vocab_transform.weight".into(), vec![8, 8]);
    });
    let masked = masked.unwrap();
    assert!(masked.missing.len() == 4 && masked.labels.is_empty());
    assert!(masked.notes[0].contains("lack classifier.bias"), "{:?}", masked.notes);
    assert!(masked.notes[1].contains("vocab_transform.weight"), "{:?}", masked.notes);
    masked.check_labels(&["x".into(), "y".into(), "z".into()]).unwrap();
    let half = open(&|all, _| all.retain(|name, _| !name.starts_with("pre_"))).unwrap();
    assert!(half.missing.len() == 2 && half.labels.len() == 2 && half.notes.len() == 1);
    let lacks = "distilbert.transformer.layer.0.ffn.lin1.bias";
    let refusals: [(Change<'_>, &str); 7] = [
        (&|all, _| drop(all.remove(lacks)), lacks),
        (&|all, _| drop(all.insert(lacks.into(), vec![7])), "has shape [7]"),
        (&|all, _| drop(all.insert("classifier.bias".into(), vec![3])), "has shape [3]"),
        (&|all, _| drop(all.insert("classifier.weight".into(), vec![3, 8])), "3 outputs"),
        (
            &|all, _| drop(all.insert("embeddings.LayerNorm.gamma".into(), vec![8])),
            "two tensors are distilbert.embeddings.LayerNorm.weight",
        ),
        (
            &|_, place| {
                fs::rename(place.join("model.safetensors"), place.join("pytorch_model.bin"))
                    .unwrap();
            },
            "pytorch_model.bin",
        ),
        (
            &|_, place| {
                fs::remove_file(place.join("model.safetensors")).unwrap();
                let index = r#"{"weight_map": {"classifier.bias": "../model.safetensors"}}"#;
                fs::write(place.join("model.safetensors.index.json"), index).unwrap();
            },
            "\"../model.safetensors\" is not the name",
        ),
    ];
    for (change, reason) in refusals {
        let error = open(change).unwrap_err();
        assert!(error.contains(reason), "{error}, expected {reason}");
    }
}

#[cfg(feature = "torch")]
mod torch {
    use annals::base::Split;
    use annals::data::batch::Collator;
    use annals::data::prepared::{Inputs, Prepared, Targets};
    use annals::data::tokenizer::Tokenizer;
    use annals::model::config::{TrainConfig, resolve};
    use annals::model::hf::Pretrained;
    use annals::supervise::EngineMessage;
    use annals::train::protocol::{Ended, ScoreSpec};
    use safetensors::tensor::Dtype;

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
            found.resolve(&mut config).unwrap();
            let tokenizer = found.tokenizer.limited(found.length_max).unwrap();
            let items = expected["items"].as_array().unwrap();
            let texts: Vec<&str> = items.iter().map(|i| i["text"].as_str().unwrap()).collect();
            let multi = found.multi_label;
            let data = rows(&tokenizer, &texts, multi);
            let place = Place::new(&data);
            let mut engine = place.start();
            let labels = found.labels.clone();
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
            let heard = engine.recv(WAIT);
            assert!(matches!(heard, EngineMessage::Ready), "{heard:?}");
            let all: Vec<usize> = (0..texts.len()).collect();
            let mut worst = 0.0_f64;
            // Alone, and all together with padding.
            for batch in all.chunks(1).chain([&all[..]]) {
                engine.rows(Collator::new(&data).batch(batch)).unwrap();
                let EngineMessage::Scores(scores) = engine.recv(WAIT) else { panic!("no scores") };
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

    /// The score of a text by the weights in `folder`, in whatever layout they are.
    fn scored(folder: &std::path::Path, data: &Prepared) -> Vec<f32> {
        let found = Pretrained::open(folder).unwrap();
        let mut config = resolve(&[]).unwrap();
        config.model.max_seq_length = found.length_max;
        found.resolve(&mut config).unwrap();
        let place = Place::new(data);
        let mut engine = place.start();
        let spec = ScoreSpec {
            config,
            dir: folder.to_owned(),
            vocab_size: found.model.vocab_size,
            concepts: 0,
            labels: found.labels.clone(),
            multi_label: found.multi_label,
            device: "cpu".into(),
            threads: 1,
        };
        engine.score(spec).unwrap();
        let heard = engine.recv(WAIT);
        assert!(matches!(heard, EngineMessage::Ready), "{heard:?}");
        engine.rows(Collator::new(data).batch(&[0, 1, 2])).unwrap();
        let EngineMessage::Scores(scores) = engine.recv(WAIT) else { panic!("no scores") };
        scores
    }

    #[test]
    fn every_layout_and_type_scores_alike() {
        let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
        let data = rows(&tokenizer, &TEXTS, false);
        let first = super::folder(&tokenizer, tokenizer.len() as usize);
        let expected = scored(first.path(), &data);
        assert!(expected.iter().any(|score| score.abs() > 1e-3), "{expected:?}");
        let all = super::tensors(tokenizer.len() as usize);
        let bare = |name: &str| name.strip_prefix("distilbert.").unwrap_or(name).to_owned();
        for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64] {
            let place = super::folder(&tokenizer, tokenizer.len() as usize);
            super::write(&place.path().join("model.safetensors"), &all, dtype, bare);
            assert_eq!(scored(place.path(), &data), expected, "{dtype:?}");
        }
    }

    /// What a setting of dropout says is what the network does.
    #[test]
    fn each_dropout_changes_what_is_learned() {
        let tokenizer = Tokenizer::learn(TEXTS.into_iter(), 60, 1).unwrap();
        let texts: Vec<&str> = TEXTS.into_iter().cycle().take(16).collect();
        let mut data = rows(&tokenizer, &texts, false);
        data.labels = vec!["calm".into(), "worried".into()];
        data.splits[8..12].fill(Split::Valid);
        data.splits[12..].fill(Split::Test);
        let place = Place::new(&data);
        let loss = |name: &str, change: &dyn Fn(&mut TrainConfig)| {
            let mut config = small();
            config.model.dropout = 0.0;
            config.model.attention_dropout = 0.0;
            config.distilbert.classifier_dropout = 0.0;
            // The first step of a warm-up changes no weight, and its epoch may be the best.
            config.training.learning_rate = 0.05;
            config.training.warmup_fraction = 0.0;
            change(&mut config);
            let (finished, _) = train(&place, place.job(name, &config));
            finished.evaluations[1].get("loss").unwrap().value
        };
        let none = loss("none", &|_| ());
        assert_eq!(none, loss("again", &|_| ()));
        assert_ne!(none, loss("dropout", &|config| config.model.dropout = 0.5));
        assert_ne!(none, loss("attention", &|config| config.model.attention_dropout = 0.5));
        assert_ne!(none, loss("head", &|config| config.distilbert.classifier_dropout = 0.5));
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
        found.resolve(&mut on).unwrap();
        let (second, _) = train(&place, place.job("on", &on));
        let loss = |f: &annals::train::TrainingResult| f.evaluations[1].get("loss").unwrap().value;
        assert!((loss(&first) - loss(&second)).abs() < 1e-6, "{} {}", loss(&first), loss(&second));

        on.distilbert.init_digest = "0".repeat(64);
        let end = place.run(place.job("other", &on), |_, _| ());
        let EngineMessage::Ended(Ended::Failed(failure)) = end else { panic!("{end:?}") };
        assert!(failure.message.contains("expected"), "{}", failure.message);
        assert!(failure.message.contains("expected"), "{}", failure.message);
    }
}
