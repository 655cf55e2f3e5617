//! Checks a log by recomputing everything from its stored bytes. Never repairs.
//!
//! May use: `base`, `tlog`, `domain`, `store` for reading. Must never see: writing of any kind.
//!
//! What is recomputed: every position, revision, sequence and recorded time (LOG-1, STR-1), every
//! payload digest, leaf, block root and tree node (LOG-3), every index table, and every signed log
//! checkpoint against the tree (LOG-4). A consistent roll-back to an older signed state is the one
//! thing a log cannot show alone: [`Options::against`] does.
//!
//! Start reading at [`verify`].

mod check;
mod identity;
mod kinship;
mod redaction;
mod report;

pub use self::check::{Options, verify};
pub use kinship::{Kinship, Leaf, Parting, kinship};
pub use report::{Finding, Report};
