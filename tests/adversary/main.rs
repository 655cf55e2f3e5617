//! Attackers who may write the log, most of them without a key: whatever they append, no verb says
//! anything else than before, nothing of it is promoted, and `verify` names it.
//!
//! The attackers are those of `src/docs/trust.md`. To add an attack: a line in a table.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "tests say what they tried")]
#![allow(clippy::disallowed_methods, reason = "a test writes plain files")]
#![allow(unreachable_pub, reason = "modules of one test")]

mod claimed;
mod forger;
mod moves;
mod mutants;
#[path = "../support/raw_log.rs"]
mod raw_log;
mod signed;
#[path = "../support/mod.rs"]
mod support;
