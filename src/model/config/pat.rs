//! Settings of the architecture `pat`: series of numbers, cut into patches.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the architecture `pat`.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatConfig {
    /// Numbers of a row, such as the 10,080 minutes of a week.
    pub length: u32,
    /// Numbers of a patch; divides `length`.
    pub patch_size: u32,
    /// How a patch becomes a vector.
    pub patch_embedding: PatchEmbedding,
    /// Width of the feed-forward layers.
    pub feed_forward: u32,
    /// Units of the layer between encoder and output; 0 has none.
    pub head_hidden: u32,
    /// Learns the encoder from the series alone, without labels: a masked autoencoder. Its weights
    /// are what `init_from` of a later training takes.
    pub pretrain: bool,
    /// Share of the patches that are hidden then.
    pub mask_ratio: f64,
    /// Weights to take the encoder from: Keras' `.h5`, or the `model.safetensors` of another run;
    /// empty trains from scratch.
    pub init_from: String,
    /// Their digest; empty takes the one found, which is then recorded.
    pub init_digest: String,
}

/// How a patch becomes a vector of `model.n_embd` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PatchEmbedding {
    /// A linear map.
    Linear,
    /// A convolution as wide as the patch, patch by patch: the same maps as `linear`.
    Conv,
    /// A convolution of width 3 inside the patch, ReLU, and the mean over the patch.
    ConvPooled,
}
