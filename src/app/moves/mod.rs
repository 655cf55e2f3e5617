//! Moves of files, from the plan in the log to its end: the one place that begins, carries out and
//! recovers them. The plan is in the log before the first file moves, the end after the last, so
//! that a crash loses nothing and the next changing verb ends the move one way or the other.
//!
//! May use: what `app` may. Wings make plans and hand them over; what differs between moves is
//! their purpose.
//!
//! To add a purpose: a variant of `MovePurpose` in the domain, a file in `purposes/` and a line in
//! `list.rs`. Start reading in `purpose.rs`, then `placement.rs` and `relocation.rs`.

mod execute;
mod list;
mod placement;
mod plan;
mod purpose;
mod purposes;
mod recover;
mod relocation;

pub(in crate::app) use execute::execute;
pub(in crate::app) use plan::{append, folder, refuse_other_change, refuse_other_move};
pub(in crate::app) use recover::recover;
