//! The log seen from outside: what others can check of it.

#![expect(clippy::unwrap_used, reason = "a test that fails stops")]

mod blocks;
mod older;
mod proofs;
#[path = "../support/raw_log.rs"]
mod raw_log;
#[path = "../support/runs.rs"]
mod runs;
mod signatures;
#[path = "../support/mod.rs"]
mod support;
