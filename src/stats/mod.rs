//! Random numbers that follow from a key, and what is estimated with them.
//!
//! May use: `base`. Must never see: anything else of annals. One definition of each estimate:
//! training, comparisons and reports use the same. Start reading in `bootstrap.rs`.

mod bootstrap;
mod mcnemar;
mod percentile;
pub mod random;
mod wilson;

pub use bootstrap::{interval_95, resample};
pub use mcnemar::mcnemar_p;
pub use percentile::{nearest, percentile};
pub use wilson::wilson;
