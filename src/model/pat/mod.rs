//! The architecture `pat`: its specification, and the encoder's weights of other trainings.

mod keras;
mod layout;
mod specification;
#[cfg(test)]
mod tests;
mod weights;

pub(super) use specification::Pat;
pub use specification::{PatConfig, PatchEmbedding};
pub use weights::{PatError, Weights, encoder};
