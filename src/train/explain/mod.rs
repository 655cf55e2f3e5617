//! What a trained model attends to, how faithful that is, and files that show it.
//!
//! The relevance of a token is attention rollout (`rollout`); how much the model's answer rests
//! on the relevant tokens is measured by leaving them out and by leaving all others out
//! (`faithful`). Rows and random controls follow from the seed.
//!
//! To add another measure of relevance: a function beside `rollout`. Start reading at
//! `explain`.

mod attention;
mod export;
mod faithful;
mod picture;
mod rollout;

pub(in crate::train) use self::attention::explain;
pub use self::attention::{ATTENTION_FILE, PICTURE_FILE};

use self::attention::{Attended, probability};
