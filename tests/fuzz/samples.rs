//! Valid samples, small, so that a mutant differs where it matters.

use std::path::Path;
use std::sync::OnceLock;

use annals::base::{Digest, RunId};
use annals::data::tokenizer::Tokenizer;
use annals::domain::{StreamId, all_kinds};
use annals::model::config::builtin;
use annals::tlog::{Hash, LogCheckpoint, NoteSigner};
use annals::train::protocol::{self, EngineHello, FromEngine, ParentHello, ToEngine};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::support::{Workspace, fixture, root, unhex};

type Samples = Vec<Vec<u8>>;

fn texts(all: &[&str]) -> Samples {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn fixtures(names: &[&str]) -> Samples {
    names.iter().map(|name| std::fs::read(fixture(name)).unwrap()).collect()
}

pub fn csv() -> Samples {
    texts(&[
        "text,label\nfirst note,a\n\"second, with a \"\"quote\"\"\",b\n\"third\nof two lines\",a\n",
        "\u{feff}text,label,more\n\u{e9}t\u{e9},1,x\n\u{1f600},0,\nplain,1.0,y\n",
    ])
}

pub fn gz() -> Samples {
    let pack = |bytes: &Vec<u8>| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packed, bytes).unwrap();
        packed.finish().unwrap()
    };
    csv().iter().map(pack).collect()
}

pub fn jsonl() -> Samples {
    texts(&[
        "{\"text\": \"one\", \"label\": \"a\"}\n{\"label\": \"b\", \"text\": \"tw\\u00e9 \\n\"}\n",
        "{\"text\": \"x\", \"label\": 1, \"k\": [1, {\"n\": null}], \"f\": -1.5e3}\n\
         {\"text\": \"y\", \"label\": 2, \"k\": [], \"f\": NaN}\n",
    ])
}

pub fn parquet() -> Samples {
    fixtures(&[
        "lists.parquet",
        "wide_gzip.parquet",
        "wide_lz4.parquet",
        "wide_snappy.parquet",
        "wide_zstd.parquet",
    ])
}

pub fn npy() -> Samples {
    let of = |header: &str, data: &[u8]| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
        [&bytes, header.as_bytes(), data].concat()
    };
    let floats: Vec<u8> = (0_u8..12).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    vec![
        of("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n", &floats),
        of("{'descr': '|u1', 'fortran_order': True, 'shape': (3, 4), }\n", &[1; 12]),
        of("{'descr': '<u2', 'fortran_order': False, 'shape': (2, 4, 1), }\n", &[1; 16]),
    ]
}

pub fn yaml() -> Samples {
    let mut all: Samples = ["toy", "tfidf_svm", "interpretable_model", "pat_s"]
        .iter()
        .map(|name| builtin(name).unwrap().as_bytes().to_vec())
        .collect();
    all.extend(texts(&["training: {num_epochs: 3, learning_rate: 1.0e-3}\n"]));
    all
}

pub fn templates() -> Samples {
    texts(&[
        "small:\n  model: {n_layer: 1}\nlarge:\n  extends: toy\n  training: {num_epochs: 2}\n",
        "extends: toy\ntraining:\n  num_epochs: 2\n",
    ])
}

pub fn filters() -> Samples {
    texts(&[
        "a > 0.5 and not (b = 'x y' or c ~ z)",
        "params.training.batch_size = 32 or category != debug",
    ])
}

pub fn vocabularies() -> Samples {
    texts(&["[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[URL]\n[USER]\na\nb\n##c\n"])
}

pub fn scalers() -> Samples {
    texts(&["{\"mean\":[1.0,2.5],\"scale\":[0.5,3.0]}"])
}

pub fn labels() -> Samples {
    texts(&["a=First,b=Second", "0,1,2", "x,y z"])
}

pub fn spans() -> Samples {
    texts(&["2026-11-01", "2026-11-01T10:00:00Z", "30d", "2 weeks", "yesterday", "1 week ago"])
}

pub fn lexicons() -> Samples {
    texts(&["concept\tpreferred\tsemantic_types\tsynonyms\n\
         C1\theart failure\tT047\tcardiac failure|hf\n\
         # a remark\nC2\tfever\tT184\tpyrexia\n"])
}

pub fn settings() -> Samples {
    texts(&["project = \"demo\"\n[paths]\nexperiments = \"experiments\"\n"])
}

pub fn pickles() -> Samples {
    vec![
        b"\x80\x02}q\x00.".to_vec(),
        [b"PK\x03\x04".as_slice(), &[0; 26], b"model/data.pkl"].concat(),
        b"text,label\n".to_vec(),
    ]
}

pub fn hdf5() -> Samples {
    fixtures(&["pat_model.h5", "pat_weights.h5", "pat.safetensors"])
}

pub fn signer() -> NoteSigner {
    NoteSigner::new("annals/fuzz", &[7; 32]).unwrap()
}

pub fn notes() -> Samples {
    let checkpoint = LogCheckpoint { origin: "annals/fuzz".into(), size: 10, root: Hash([9; 32]) };
    texts(&[&checkpoint.sign(&signer())])
}

pub fn keys() -> Samples {
    texts(&[&signer().public().to_string()])
}

/// Frames as an engine and its parent send them.
pub fn frames() -> Samples {
    let mut to = Vec::new();
    let hello = ParentHello { protocol: protocol::PROTOCOL_VERSION, program: "annals".into() };
    protocol::send(&mut to, &ToEngine::Hello(hello)).unwrap();
    protocol::send(&mut to, &ToEngine::Stop).unwrap();
    vec![to]
}

pub fn answers() -> Samples {
    let mut from = Vec::new();
    let hello = EngineHello {
        protocol: protocol::PROTOCOL_VERSION,
        program: "annals-engine".into(),
        libtorch: Some("2.11.0".into()),
        devices: vec!["cpu".into(), "cuda:0".into()],
        bf16: vec!["cuda:0".into()],
        architectures: vec!["encoder".into()],
    };
    protocol::send(&mut from, &FromEngine::Hello(hello)).unwrap();
    protocol::send(&mut from, &FromEngine::Scores(vec![0.5; 8])).unwrap();
    vec![from]
}

/// Payloads of all kinds of events: the kind, the version, the bytes.
pub fn payloads() -> Samples {
    let folder = root().join("tests/golden/bytes");
    let mut all = Vec::new();
    for info in all_kinds() {
        for version in 1..=info.version {
            let path = folder.join(format!("{}.v{version}.hex", info.name));
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            let mut sample = info.kind.0.to_le_bytes().to_vec();
            sample.extend(version.to_le_bytes());
            sample.extend(unhex(&text));
            all.push(sample);
        }
    }
    all
}

/// A proof and a bundle, and an event's stored bytes, of a workspace that the program makes.
fn proven() -> &'static (String, String) {
    static PROVEN: OnceLock<(String, String)> = OnceLock::new();
    PROVEN.get_or_init(|| {
        let ward = Workspace::new();
        ward.annals(&["run", "start", "--name", "one"]).ok();
        ward.annals(&["why", "one", "--proofs", "bundle.json"]).ok();
        let proof = ward.annals(&["prove", "1"]).ok().out;
        (proof, std::fs::read_to_string(ward.path("bundle.json")).unwrap())
    })
}

pub fn proofs() -> Samples {
    texts(&[&proven().0])
}

pub fn bundles() -> Samples {
    texts(&[&proven().1])
}

/// Stored envelopes, as proofs carry them.
pub fn envelopes() -> Samples {
    use base64::Engine as _;
    let proof: Value = serde_json::from_str(&proven().0).unwrap();
    let event = proof["event"].as_str().unwrap();
    vec![base64::prelude::BASE64_STANDARD.decode(event).unwrap()]
}

fn tensors(shapes: &[(&str, Vec<usize>)], dtype: Dtype, size: usize) -> Vec<u8> {
    let data: Vec<Vec<u8>> =
        shapes.iter().map(|(_, shape)| vec![0; shape.iter().product::<usize>() * size]).collect();
    let views = shapes
        .iter()
        .zip(&data)
        .map(|((name, shape), data)| (*name, TensorView::new(dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn tokenizer() -> Tokenizer {
    Tokenizer::learn(["some words of a text", "more words"].into_iter(), 60, 1).unwrap()
}

/// The files of a folder of DistilBERT, as Hugging Face has them.
pub fn pretrained(folder: &Path) {
    let tokenizer = tokenizer();
    let (rows, width, hidden, positions) = (tokenizer.len() as usize, 4, 8, 16);
    let config = json!({
        "model_type": "distilbert", "activation": "gelu", "dim": width, "n_heads": 2, "n_layers": 1,
        "hidden_dim": hidden, "max_position_embeddings": positions, "vocab_size": rows,
        "id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0, "b": 1},
    });
    let settings = json!({
        "tokenizer_class": "DistilBertTokenizer", "do_lower_case": true, "model_max_length": 16,
        "strip_accents": null, "added_tokens_decoder": {"0": {"content": "[PAD]", "special": true}},
    });
    let part = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
    let mut all = vec![
        part("distilbert.embeddings.word_embeddings.weight", &[rows, width]),
        part("distilbert.embeddings.position_embeddings.weight", &[positions, width]),
        part("distilbert.embeddings.LayerNorm.weight", &[width]),
        part("distilbert.embeddings.LayerNorm.bias", &[width]),
        part("pre_classifier.weight", &[width, width]),
        part("pre_classifier.bias", &[width]),
        part("classifier.weight", &[2, width]),
        part("classifier.bias", &[2]),
    ];
    for (name, rows, cols) in [
        ("attention.q_lin", width, Some(width)),
        ("attention.k_lin", width, Some(width)),
        ("attention.v_lin", width, Some(width)),
        ("attention.out_lin", width, Some(width)),
        ("sa_layer_norm", width, None),
        ("ffn.lin1", hidden, Some(width)),
        ("ffn.lin2", width, Some(hidden)),
        ("output_layer_norm", width, None),
    ] {
        let shape: Vec<usize> = [Some(rows), cols].into_iter().flatten().collect();
        all.push(part(&format!("distilbert.transformer.layer.0.{name}.weight"), &shape));
        all.push(part(&format!("distilbert.transformer.layer.0.{name}.bias"), &[rows]));
    }
    let all: Vec<(&str, Vec<usize>)> = all.iter().map(|(n, s)| (n.as_str(), s.clone())).collect();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("config.json", config.to_string().as_bytes());
    write("tokenizer_config.json", settings.to_string().as_bytes());
    write("tokenizer.json", tokenizer.to_json().as_bytes());
    write("model.safetensors", &tensors(&all, Dtype::F32, 4));
}

/// One file of [`pretrained`].
fn of_pretrained(name: &str) -> Samples {
    let folder = tempfile::tempdir().unwrap();
    pretrained(folder.path());
    vec![std::fs::read(folder.path().join(name)).unwrap()]
}

pub fn model_configs() -> Samples {
    of_pretrained("config.json")
}

pub fn tokenizer_configs() -> Samples {
    of_pretrained("tokenizer_config.json")
}

pub fn tokenizers() -> Samples {
    of_pretrained("tokenizer.json")
}

pub fn weights() -> Samples {
    of_pretrained("model.safetensors")
}

pub fn vectorizers() -> Samples {
    let file = json!({
        "model": "tfidf_svm", "two_classes": false, "ngram_max": 2, "terms": ["a", "a b", "b"],
    });
    texts(&[&file.to_string()])
}

/// The weights of a model with three terms and three classes.
pub fn classical() -> Samples {
    let shapes = [("idf", vec![3]), ("intercept", vec![3]), ("weight", vec![3, 3])];
    vec![tensors(&shapes, Dtype::F64, 8)]
}

/// Ids, digests and positions in the forms in which people type them.
pub fn words() -> Samples {
    texts(&[
        &RunId([3; 16]).to_string(),
        &Digest([7; 32]).to_string(),
        &StreamId { code: 1, entity: [3; 16] }.to_string(),
        "1.12.3",
    ])
}
