//! annals as a library: [`Tracker`] records the runs of a trainer written in Rust, and
//! `environment.rs` reads who calls from the process, for the command line too.
//!
//! May use: `base`, the types of `domain`, `app` and its answers. Must never see: everything else.
//! Only `environment.rs` reads environment variables. Start reading in `tracker.rs`.

mod environment;
mod tracker;

pub use environment::{caller, clock, config_dirs};
pub(crate) use environment::{variable, working_dir};
pub use tracker::{At, Tracker};
