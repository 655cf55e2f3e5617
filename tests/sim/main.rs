//! The log against power loss, torn pages, failing calls and killed processes, judged by an
//! independent model of what was acknowledged.

#![allow(unreachable_pub, reason = "modules of one test")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod disk;
#[path = "../support/history.rs"]
mod history;
mod kill;
mod power;
#[path = "../support/runs.rs"]
mod runs;
mod world;
