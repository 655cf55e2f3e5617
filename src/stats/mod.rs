//! Random numbers that follow from a key, and what is estimated with them.
//!
//! May use: `base`. Must never see: anything else of annals.

pub mod random;
