//! The encoder of an actigraphy transformer from weights that another training left: Keras' `.h5`
//! or our own safetensors. Only the encoder is taken; what stands behind it starts anew.
//!
//! Knows no tensors of torch. Every tensor of the encoder must be there
//! with its shape, and nothing that is not understood may stand beside it: an encoder that fits by
//! half would learn, and nobody would see why so badly.
//!
//! To add a format: a reader beside `keras.rs` and an arm in [`encoder`]. Start reading there.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};

use super::keras;
use super::layout::{self, Expected, PREFIX};
use crate::model::config::TrainConfig;

/// The first bytes of an HDF5 file.
const HDF5_MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Numbers with a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Sizes of the dimensions, slowest first.
    pub shape: Vec<usize>,
    /// The numbers, the last dimension fastest.
    pub values: Vec<f32>,
}

/// Weights that cannot be begun from.
#[derive(Debug, thiserror::Error)]
pub enum PatError {
    /// Neither format, or damaged.
    #[error("cannot be read as weights: {0}")]
    Unreadable(String),
    /// Tensors that the encoder needs.
    #[error("lacks {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Tensors that the encoder does not have.
    #[error("holds {}, which the encoder has not", .0.join(", "))]
    Extra(Vec<String>),
    /// A tensor of another shape.
    #[error("{name} has shape {found:?}, {expected:?} expected (`{settings}`)")]
    Shape {
        /// Its name in the file.
        name: String,
        /// As found.
        found: Vec<usize>,
        /// As the settings have it.
        expected: Vec<usize>,
        /// The settings that decide it.
        settings: &'static str,
    },
}

/// The encoder's tensors by their names in our own files, from the bytes of a file.
///
/// # Errors
/// When a tensor is missing, has another shape, or is not known.
pub fn encoder(bytes: &[u8], config: &TrainConfig) -> Result<BTreeMap<String, Weights>, PatError> {
    let expected = layout::expected(config);
    if bytes.starts_with(HDF5_MAGIC) {
        keras::encoder(bytes, &expected)
    } else {
        own(bytes, &expected)
    }
}

fn own(bytes: &[u8], expected: &[Expected]) -> Result<BTreeMap<String, Weights>, PatError> {
    let unreadable = |error: String| PatError::Unreadable(error);
    let file = SafeTensors::deserialize(bytes).map_err(|e| unreadable(e.to_string()))?;
    let mut found = BTreeMap::new();
    for (name, view) in file.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        if view.dtype() != Dtype::F32 {
            return Err(unreadable(format!("{name} has type {:?}", view.dtype())));
        }
        let (numbers, _) = view.data().as_chunks();
        let values = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let weights = Weights { shape: view.shape().to_vec(), values };
        found.insert(name.to_owned(), (name.to_owned(), weights));
    }
    resolve(found, expected, |wanted| wanted.shape.clone())
}

/// Compares what was found, by our names and with the names in the file, with what is expected.
pub(super) fn resolve(
    found: BTreeMap<String, (String, Weights)>,
    expected: &[Expected],
    shape: impl Fn(&Expected) -> Vec<usize>,
) -> Result<BTreeMap<String, Weights>, PatError> {
    let missing: Vec<String> = expected
        .iter()
        .filter(|wanted| !found.contains_key(&wanted.name))
        .map(|wanted| wanted.name.clone())
        .collect();
    if !missing.is_empty() {
        return Err(PatError::Missing(missing));
    }
    let is_extra = |name: &String| !expected.iter().any(|wanted| wanted.name == *name);
    let extra: Vec<String> = found
        .iter()
        .filter(|(name, _)| is_extra(name))
        .map(|(_, (name, _))| name.clone())
        .collect();
    if !extra.is_empty() {
        return Err(PatError::Extra(extra));
    }
    for wanted in expected {
        let (name, weights) = &found[&wanted.name];
        if weights.shape != shape(wanted) {
            return Err(PatError::Shape {
                name: name.clone(),
                found: weights.shape.clone(),
                expected: shape(wanted),
                settings: wanted.settings,
            });
        }
    }
    Ok(found.into_iter().map(|(name, (_, weights))| (name, weights)).collect())
}
