//! The program as a user meets it: real processes, real files, a hermetic environment.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_input;
mod crash;
mod help;
mod life;
mod support;
mod tamper;
