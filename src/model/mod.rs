//! The architectures: what each one's settings are, what it learns from, and which files it leaves.
//!
//! May use: `base`, `data`. Must never see: `store`, `domain`, `cli`, tch.

pub mod classical;
pub mod config;
pub mod hf;
pub mod pat;

/// The name of the file that holds the weights of a trained model alone (safetensors).
pub const WEIGHTS_FILE: &str = "model.safetensors";
