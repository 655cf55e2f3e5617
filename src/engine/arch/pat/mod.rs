//! Pretrained Actigraphy Transformer: Ruan et al. 2024 (<https://arxiv.org/abs/2411.15240>). A long
//! series of numbers is cut into patches; post-norm blocks with heads as wide as the model, no
//! class token, mean pooling. Keras' `MultiHeadAttention` and its Glorot start are followed, so
//! that weights of the original fit.
//!
//! The encoder's weights are under `encoder`, the output's under `head`: one can be replaced
//! without the other.

mod block;
mod encoder;
mod mae;
mod network;
mod patch;

pub(crate) use self::network::build;
