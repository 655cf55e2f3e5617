//! Training as a whole: real files, real rows, the toy learner.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, unreachable_pub, reason = "what tests share is more than one of them uses")]

mod architecture;
mod classical;
#[cfg(feature = "torch")]
mod engine;
#[cfg(feature = "torch")]
mod ensemble;
#[cfg(feature = "torch")]
mod families;
#[path = "../support/files.rs"]
mod files;
mod formats;
mod hf;
mod labelled_text;
#[cfg(feature = "torch")]
mod pat;
mod references;
