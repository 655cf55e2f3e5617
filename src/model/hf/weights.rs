//! The weights of a DistilBERT in every layout that Transformers 5 reads: in one file or in parts
//! with an index, with or without the prefix of the body, under the old names of the layer norm,
//! in any float type.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;

use super::HfError;
use crate::base::Digest;
use crate::data::tokenizer::object;
use crate::model::WEIGHTS_FILE;

/// Which file holds which tensor, where the weights are in parts.
const INDEX_FILE: &str = "model.safetensors.index.json";
const PREFIX: &str = "distilbert.";
/// The tensors of the classifier; a fresh one is made of those that are missing.
const HEAD: [&str; 4] =
    ["classifier.bias", "classifier.weight", "pre_classifier.bias", "pre_classifier.weight"];
/// Weights that other libraries, and older ones, write.
const UNREAD: [&str; 5] = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
    "model.ckpt.index",
];

/// Weights by the names that annals and Transformers give them.
#[derive(Clone, Debug)]
pub struct Weights {
    files: Vec<(PathBuf, Vec<u8>)>,
    tensors: BTreeMap<String, TensorLocation>,
    /// Tensors that this model has no use for, such as those of another head, sorted.
    pub ignored: Vec<String>,
    /// Of the file; of the lines `digest name` of the parts, sorted by name, where there are some.
    pub digest: Digest,
}

#[derive(Clone, Debug)]
struct TensorLocation {
    file: usize,
    range: std::ops::Range<usize>,
    dtype: Dtype,
    shape: Vec<usize>,
}

/// One tensor: its numbers in row order, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    /// The type of the numbers: a float of 16, 32 or 64 bits.
    pub dtype: Dtype,
    /// How many there are in each direction.
    pub shape: &'a [usize],
    /// The numbers.
    pub bytes: &'a [u8],
}

impl Weights {
    /// Reads the weights of `folder` for a model of `layers` layers.
    ///
    /// # Errors
    /// When there are none that can be read, or a name is there twice.
    pub fn open(folder: &Path, layers: u32) -> Result<Self, HfError> {
        let names = file_names(folder)?;
        let (mut files, mut digests) = (Vec::new(), Vec::new());
        for name in &names {
            let path = folder.join(name);
            let bytes =
                fs::read(&path).map_err(|source| HfError::Io { path: path.clone(), source })?;
            digests.push(Digest::of(&bytes));
            files.push((path, bytes));
        }
        let digest = match digests.as_slice() {
            [one] if names[0] == WEIGHTS_FILE => *one,
            _ => {
                let lines = digests.iter().zip(&names).map(|(d, name)| format!("{d} {name}\n"));
                Digest::of(lines.collect::<String>().as_bytes())
            }
        };
        let known: BTreeSet<String> = body(layers).chain(HEAD.map(str::to_owned)).collect();
        let (mut tensors, mut ignored) = (BTreeMap::new(), Vec::new());
        for (file, (path, bytes)) in files.iter().enumerate() {
            let bad = |problem: String| HfError::File { path: path.clone(), problem };
            let parsed = SafeTensors::deserialize(bytes).map_err(|e| bad(e.to_string()))?;
            for (written, view) in parsed.iter() {
                let Some(name) = name_of(written, &known) else {
                    ignored.push(written.to_owned());
                    continue;
                };
                let dtype = view.dtype();
                if ![Dtype::F16, Dtype::BF16, Dtype::F32, Dtype::F64].contains(&dtype) {
                    let problem = format!("{written} is of type {dtype:?}, a float is expected");
                    return Err(bad(problem));
                }
                let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
                let range = start..start + view.data().len();
                let found = TensorLocation { file, range, dtype, shape: view.shape().to_vec() };
                if tensors.insert(name.clone(), found).is_some() {
                    return Err(bad(format!("two tensors are {name}, the second is {written}")));
                }
            }
        }
        ignored.sort();
        Ok(Self { files, tensors, ignored, digest })
    }

    /// The tensor `name`.
    pub fn get(&self, name: &str) -> Option<Numbers<'_>> {
        let found = self.tensors.get(name)?;
        let bytes = &self.files[found.file].1[found.range.clone()];
        Some(Numbers { dtype: found.dtype, shape: &found.shape, bytes })
    }

    /// The file that has the tensor `name`, or the first one, for messages.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        let file = self.tensors.get(name).map_or(0, |found| found.file);
        self.files[file].0.clone()
    }

    /// The tensors of the classifier that the weights lack.
    pub fn missing_head(&self) -> Vec<&'static str> {
        HEAD.into_iter().filter(|name| !self.tensors.contains_key(*name)).collect()
    }
}

/// The files of the weights, sorted: one, or its parts.
fn file_names(folder: &Path) -> Result<Vec<String>, HfError> {
    if folder.join(WEIGHTS_FILE).exists() {
        return Ok(vec![WEIGHTS_FILE.to_owned()]);
    }
    let path = folder.join(INDEX_FILE);
    let Some(index) = object(folder, INDEX_FILE)? else {
        let others = UNREAD.into_iter().filter(|name| folder.join(name).exists());
        let others: Vec<&str> = others.collect();
        let path = folder.to_owned();
        if others.is_empty() {
            let problem = format!("there is no {WEIGHTS_FILE} and no {INDEX_FILE}");
            return Err(HfError::File { path, problem });
        }
        let problem = format!(
            "the weights are in {}, only {WEIGHTS_FILE} is read: pickles are never loaded, since \
             that executes code; save the model again with save_pretrained of Transformers",
            others.join(", ")
        );
        return Err(HfError::File { path, problem });
    };
    let bad = |problem: String| HfError::File { path: path.clone(), problem };
    let map = index.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| bad("it has no weight_map".into()))?;
    let mut names = BTreeSet::new();
    for name in map.values() {
        let name = name.as_str().unwrap_or_default();
        // A part is a file of this folder, never a path to somewhere else.
        let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
        if !is_plain || !name.ends_with(".safetensors") {
            return Err(bad(format!("{name:?} is not the name of a .safetensors file beside it")));
        }
        names.insert(name.to_owned());
    }
    if names.is_empty() {
        return Err(bad("its weight_map is empty".into()));
    }
    Ok(names.into_iter().collect())
}

/// The tensors of the body of a model of `layers` layers.
pub(super) fn body(layers: u32) -> impl Iterator<Item = String> {
    let both = |name: &str| ["weight", "bias"].map(|part| format!("{PREFIX}{name}.{part}"));
    let embeddings = ["word_embeddings", "position_embeddings"];
    let embeddings = embeddings.map(|name| format!("{PREFIX}embeddings.{name}.weight"));
    let of_layer = [
        "attention.q_lin",
        "attention.k_lin",
        "attention.v_lin",
        "attention.out_lin",
        "sa_layer_norm",
        "ffn.lin1",
        "ffn.lin2",
        "output_layer_norm",
    ];
    let layers = (0..layers).flat_map(move |layer| {
        let name = move |part: &str| format!("transformer.layer.{layer}.{part}");
        of_layer.into_iter().flat_map(move |part| both(&name(part)))
    });
    embeddings.into_iter().chain(both("embeddings.LayerNorm")).chain(layers)
}

/// What a tensor is called here; none for one that this model has no use for.
fn name_of(written: &str, known: &BTreeSet<String>) -> Option<String> {
    let name = written.replacen("LayerNorm.gamma", "LayerNorm.weight", 1).replacen(
        "LayerNorm.beta",
        "LayerNorm.bias",
        1,
    );
    // A whole model saved inside another one, or a body saved by itself.
    let without = name.strip_prefix(PREFIX).filter(|rest| known.contains(*rest));
    let name = without.map_or_else(|| name.clone(), str::to_owned);
    let with = format!("{PREFIX}{name}");
    if known.contains(&name) { Some(name) } else { known.contains(&with).then_some(with) }
}
