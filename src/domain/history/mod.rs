//! Whether every event of a log was allowed where it stands: by this author, in this order.
//!
//! `decide` refuses what may not happen; but a log can be written past it. So each stream has,
//! beside its `decide.rs` and made from it, an `admit.rs` with the rule of each event, and
//! [`History`] asks it of every event that is folded: decisions, views and `verify` count the same
//! events. What was not allowed changes no state; it stays in the log and is named.
//!
//! Start reading in `admit.rs`.

mod admit;
mod author;
mod before;
mod moved;
mod people;
mod rules;
mod take;

#[cfg(test)]
mod tests;

pub use admit::{History, Past, RunRecord, Violation};
pub use author::Author;
pub use people::{KnownKey, People};
pub use take::is_proven;
