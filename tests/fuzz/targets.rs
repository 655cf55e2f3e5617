//! The parsers, by name. To add one: a line here, and samples in `samples.rs`.

use std::path::{Path, PathBuf};

use annals::analysis::filter::Filter;
use annals::app::{Bundle, Proof, Settings};
use annals::base::{Digest, RunId, TimeSpan, Timestamp};
use annals::data::Pickle;
use annals::data::{self, LabelSpec, Scaler, Source, lexicon, vocab::Vocab};
use annals::domain::registry::Semver;
use annals::domain::{Envelope, Event, Kind, StreamId};
use annals::model::classical::TextClassifier;
use annals::model::config::{Layer, TrainConfig, inspect, recorded, resolve};
use annals::model::hf::Pretrained;
use annals::model::pat;
use annals::tlog::{LogCheckpoint, NoteKey};
use annals::train::protocol::{self, FromEngine, ToEngine};

use crate::samples;

/// A parser.
pub struct Target {
    pub name: &'static str,
    pub samples: fn() -> Vec<Vec<u8>>,
    /// Reads bytes with a folder of its own for files; whether they were valid.
    pub run: fn(&Path, &[u8]) -> bool,
}

macro_rules! targets {
    ($( $name:literal $samples:ident $run:expr; )+) => {
        pub const ALL: &[Target] =
            &[$( Target { name: $name, samples: samples::$samples, run: $run } ),+];
    };
}

targets! {
    "csv" csv |folder, bytes| table(folder, "table.csv", bytes);
    "tsv" csv |folder, bytes| of_another_form(table(folder, "table.tsv", bytes));
    "jsonl" jsonl |folder, bytes| table(folder, "table.jsonl", bytes);
    "gz" gz |folder, bytes| table(folder, "table.csv.gz", bytes);
    "parquet" parquet |folder, bytes| columns(folder, "table.parquet", bytes);
    "series in parquet" parquet
        |folder, bytes| of_another_form(series(folder, "series.parquet", bytes));
    "npy" npy |folder, bytes| series(folder, "series.npy", bytes);
    "yaml" yaml |_, bytes| text(bytes, settings);
    "templates" templates |_, bytes| text(bytes, |text| inspect("x.yaml", text).is_ok());
    "annals.toml" settings |_, bytes| text(bytes, |text| toml::from_str::<Settings>(text).is_ok());
    "filter" filters |_, bytes| text(bytes, |text| Filter::parse(text).is_ok());
    "labels" labels |_, bytes| text(bytes, |text| LabelSpec::parse(text).is_ok());
    "spans" spans |_, bytes| text(bytes, spans);
    "words" words |_, bytes| text(bytes, words);
    "vocab.txt" vocabularies |_, bytes| text(bytes, vocabulary);
    "scaler" scalers |_, bytes| text(bytes, |text| Scaler::from_json(text).is_ok());
    "lexicon" lexicons lexicon;
    "pickle" pickles pickle;
    "signed note" notes |_, bytes| text(bytes, note);
    "key" keys |_, bytes| text(bytes, |text| text.parse::<NoteKey>().is_ok());
    "proof" proofs |_, bytes| text(bytes, |text| Proof::check(text, None).is_ok());
    "bundle" bundles |_, bytes| text(bytes, |text| Bundle::check(text, None).is_ok());
    "envelope" envelopes |_, bytes| Envelope::decode(bytes).is_ok_and(|e| e.event().is_ok());
    "payload" payloads |_, bytes| payload(bytes);
    "frames to an engine" frames |_, bytes| frames::<ToEngine>(bytes);
    "frames of an engine" answers |_, bytes| frames::<FromEngine>(bytes);
    "hdf5 and safetensors of pat" hdf5 |_, bytes| pat::encoder(bytes, &small_pat()).is_ok();
    "config.json" model_configs |folder, bytes| pretrained(folder, "config.json", bytes);
    "tokenizer_config.json" tokenizer_configs
        |folder, bytes| pretrained(folder, "tokenizer_config.json", bytes);
    "tokenizer.json" tokenizers |folder, bytes| pretrained(folder, "tokenizer.json", bytes);
    "weights of distilbert" weights |folder, bytes| pretrained(folder, "model.safetensors", bytes);
    "vectorizer.json" vectorizers |folder, bytes| classifier(folder, "vectorizer.json", bytes);
    "classical weights" classical |folder, bytes| classifier(folder, "model.safetensors", bytes);
}

/// Samples of another form need not be valid.
fn of_another_form(_is_valid: bool) -> bool {
    true
}

fn text(bytes: &[u8], read: impl FnOnce(&str) -> bool) -> bool {
    read(&String::from_utf8_lossy(bytes))
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Labelled texts, and the table that a prediction reads.
fn table(folder: &Path, name: &str, bytes: &[u8]) -> bool {
    let path = file(folder, name, bytes);
    let table = data::read_table(&path, true).is_ok();
    let _ = data::read_table(&path, false);
    data::read(&Source::of(path, "text", "label")).is_ok() && table
}

/// Every column of a table.
fn columns(folder: &Path, name: &str, bytes: &[u8]) -> bool {
    let path = file(folder, name, bytes);
    let _ = data::read(&Source::of(path.clone(), "text", "label"));
    data::read_table(&path, true).is_ok()
}

fn series(folder: &Path, name: &str, bytes: &[u8]) -> bool {
    let path = file(folder, name, bytes);
    file(folder, "series_labels.npy", &samples::npy()[0]);
    let unlabelled = data::read_unlabelled(&path, true, "id", 4).is_ok();
    let _ = data::read_series(&Source::of(path, "text", "label"), 4);
    unlabelled
}

fn settings(text: &str) -> bool {
    let file = "x.yaml";
    let _ = inspect(file, text);
    let _ = recorded(text);
    resolve(&[Layer::Text { file, text }]).is_ok()
}

fn spans(text: &str) -> bool {
    let _ = text.parse::<Timestamp>();
    TimeSpan::parse(text, Timestamp(1_800_000_000_000_000_000)).is_ok()
}

fn words(text: &str) -> bool {
    text.parse::<RunId>().is_ok()
        | text.parse::<Digest>().is_ok()
        | text.parse::<StreamId>().is_ok()
        | text.parse::<Semver>().is_ok()
}

fn vocabulary(text: &str) -> bool {
    Vocab::parse(text).is_ok_and(|vocab| vocab.encode("some text of words", 8).len() <= 8)
}

fn lexicon(folder: &Path, bytes: &[u8]) -> bool {
    let path = file(folder, "lexicon.tsv", bytes).display().to_string();
    let settings = [("lexicon.file", path.as_str()), ("model.architecture", "encoder")];
    let source = lexicon::Source::new(&config(&settings).lexicon).unwrap();
    lexicon::learn(&source, ["heart failure and fever"].into_iter(), 1).is_ok()
}

fn pickle(folder: &Path, bytes: &[u8]) -> bool {
    Pickle::at(&file(folder, "weights.bin", bytes)).is_ok()
}

fn note(text: &str) -> bool {
    let keys = [samples::signer().public().clone()];
    let _ = LogCheckpoint::peek(text);
    LogCheckpoint::open(text, "annals/fuzz", &keys).is_ok()
}

fn payload(bytes: &[u8]) -> bool {
    let Some((kind, rest)) = bytes.split_first_chunk() else { return false };
    let Some((version, rest)) = rest.split_first_chunk() else { return false };
    let event = Event::decode(Kind(u16::from_le_bytes(*kind)), u16::from_le_bytes(*version), rest);
    event.is_ok_and(|event| serde_json::to_string(&event).is_ok())
}

fn frames<M: bincode::Decode<()>>(mut bytes: &[u8]) -> bool {
    while let Ok(Some(_)) = protocol::receive::<M>(&mut bytes) {}
    bytes.is_empty()
}

fn config(settings: &[(&str, &str)]) -> TrainConfig {
    let layers: Vec<Layer<'_>> =
        settings.iter().map(|(key, value)| Layer::Set { key, value }).collect();
    resolve(&layers).unwrap()
}

/// The sizes of the fixtures.
fn small_pat() -> TrainConfig {
    config(&[
        ("model.architecture", "pat"),
        ("model.n_embd", "4"),
        ("model.num_heads", "2"),
        ("model.n_layer", "2"),
        ("pat.length", "36"),
        ("pat.patch_size", "9"),
        ("pat.feed_forward", "6"),
    ])
}

/// A folder of Hugging Face of which one file is other than it was.
fn pretrained(folder: &Path, name: &str, bytes: &[u8]) -> bool {
    samples::pretrained(folder);
    file(folder, name, bytes);
    let Ok(found) = Pretrained::open(folder) else { return false };
    let _ = found.tokenizer.to_vocab_text();
    let _ = found.tokenizer.specials();
    let Ok(tokenizer) = found.tokenizer.limited(16) else { return false };
    tokenizer.encode("some words, \u{e9}t\u{e9} and a\tlonger text \u{1f600} [MASK]").is_ok()
}

fn classifier(folder: &Path, name: &str, bytes: &[u8]) -> bool {
    file(folder, "vectorizer.json", &samples::vectorizers()[0]);
    file(folder, "model.safetensors", &samples::classical()[0]);
    file(folder, name, bytes);
    let Ok(found) = TextClassifier::load(folder) else { return false };
    found.scores("a b of b").len() == 3
}
