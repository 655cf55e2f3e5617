//! Weights as Keras' `.h5` files hold them, whole models and weights alone, by the names that the
//! original gives its layers: `dense` or `conv1d_patch_embedding`, and in block n (from 1)
//! `encoder_layer_n_attention`, `_norm1`, `_ff1`, `_ff2`, `_norm2`.

use std::collections::BTreeMap;

use hdf5_reader::group::Group;
use hdf5_reader::{Hdf5File, OpenOptions};

use super::layout::{Expected, PREFIX};
use super::weights::{PatError, Weights, resolve};
use crate::base::guard::guarded;

/// Groups inside groups, at most; the files of Keras have seven.
const DEPTH_MAX: usize = 16;
/// Bytes of one number, at most.
const NUMBER_BYTES_MAX: usize = 16;
/// Layers that stand behind the encoder, and the optimiser's state.
const BEHIND: &[&str] =
    &["decoder_", "dense_", "global_avg_pool", "mask_", "optimizer_weights", "output"];

type KerasDatasets = BTreeMap<String, (String, Weights)>;

pub(super) fn encoder(
    bytes: &[u8],
    expected: &[Expected],
) -> Result<BTreeMap<String, Weights>, PatError> {
    let mut found = KerasDatasets::new();
    let mut unknown = Vec::new();
    guarded(|| {
        // No more than the largest tensor that is wanted.
        let sizes = expected.iter().map(|wanted| wanted.keras.iter().product::<usize>());
        let most = sizes.max().unwrap_or(0).saturating_mul(NUMBER_BYTES_MAX);
        let options = OpenOptions::default().with_max_read_bytes(most);
        let file = Hdf5File::from_bytes_with_options(bytes, options).map_err(|e| e.to_string())?;
        let root = file.root_group().map_err(|e| e.to_string())?;
        walk(&root, expected, &mut Vec::new(), &mut found, &mut unknown)
    })
    .map_err(PatError::Unreadable)?;
    if !unknown.is_empty() {
        return Err(PatError::Extra(unknown));
    }
    let mut settled = resolve(found, expected, |wanted| wanted.keras.clone())?;
    for wanted in expected {
        if let Some(weights) = settled.get_mut(&wanted.name) {
            weights.shape = wanted.shape.clone();
            if let Some((rows, cols)) = wanted.transposed {
                let old = &weights.values;
                weights.values =
                    (0..cols * rows).map(|at| old[at % rows * cols + at / rows]).collect();
            }
        }
    }
    Ok(settled)
}

/// Gathers the encoder's tensors below `group`, whose names lead to it.
fn walk(
    group: &Group,
    expected: &[Expected],
    names: &mut Vec<String>,
    found: &mut KerasDatasets,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    if names.len() > DEPTH_MAX {
        return Err(format!("groups nest deeper than {DEPTH_MAX}"));
    }
    let (groups, datasets) = group.members().map_err(|e| e.to_string())?;
    for dataset in datasets {
        let path = format!("{}/{}", names.join("/"), dataset.name());
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.iter().any(|part| BEHIND.iter().any(|behind| part.starts_with(behind))) {
            continue;
        }
        let Some(name) = our_name(&parts) else {
            unknown.push(path);
            continue;
        };
        let size = |size: &u64| usize::try_from(*size).unwrap_or(usize::MAX);
        let mut weights =
            Weights { shape: dataset.shape().iter().map(size).collect(), values: Vec::new() };
        // Another shape is refused later, whatever the numbers are.
        if expected.iter().any(|wanted| wanted.name == name && wanted.keras == weights.shape) {
            let array = dataset.read_array::<f32>().map_err(|e| format!("{path}: {e}"))?;
            weights.values = array.iter().copied().collect();
        }
        found.insert(name, (path, weights));
    }
    for inner in groups {
        names.push(inner.name().to_owned());
        walk(&inner, expected, names, found, unknown)?;
        names.pop();
    }
    Ok(())
}

/// Our name of the tensor at this path.
fn our_name(parts: &[&str]) -> Option<String> {
    let last = parts.last()?;
    let what = match last.split_once(':').map_or(*last, |(name, _)| name) {
        "kernel" | "gamma" => "weight",
        "bias" | "beta" => "bias",
        _ => return None,
    };
    if parts.iter().any(|part| matches!(*part, "dense" | "conv1d_patch_embedding")) {
        return Some(format!("{PREFIX}patch.{what}"));
    }
    let layers = parts.iter().filter_map(|part| part.strip_prefix("encoder_layer_"));
    let (number, layer) = layers.filter_map(|rest| rest.split_once('_')).next_back()?;
    let block = number.parse::<u32>().ok()?.checked_sub(1)?;
    let part = match layer {
        "attention" => ["query", "key", "value", "attention_output"]
            .into_iter()
            .find(|inner| parts.contains(inner))?,
        "norm1" => "attention_norm",
        "norm2" => "feed_forward_norm",
        "ff1" => "feed_forward_in",
        "ff2" => "feed_forward_out",
        _ => return None,
    };
    Some(format!("{PREFIX}blocks.{block}.{part}.{what}"))
}
