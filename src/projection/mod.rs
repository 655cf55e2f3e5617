//! Read models: what the events add up to, kept in `views.redb`, which may be deleted at any time.
//!
//! May use: `base`, `domain`, `store` for reading. Must never see: `decide`, the log for writing.
//! It alone writes `views.redb`.
//!
//! Stored views count only with a proof that this user's annals folded them (`proof.rs`); what is
//! decided about one run or model reads its streams (`streams.rs`).
//!
//! PRJ-1 an incremental view equals a rebuilt one. PRJ-2 a cursor is never beyond the log, and it
//! is committed with its tables.
//!
//! An event that was not allowed where it stands (`domain::history`) reaches no view but
//! `violations`.
//!
//! A view is a [`Definition`]: the kinds it takes and a total fold into rows of bytes. Writers
//! bring `views.redb` up to date; readers fold the few events after it in memory. Rows are rkyv
//! archives. What the rows were at intervals is kept beside them (`view_snapshot.rs`), for looking
//! back.
//!
//! To add a view: a file with a `VIEW`, its rows and its queries, and a line in [`ALL`]. Start
//! reading in `runner.rs`, then `runs.rs`.

pub mod actors;
mod allowed;
pub mod best;
pub mod consolidations;
mod create;
pub mod experiments;
pub mod files;
mod kv;
pub mod metrics;
pub mod moves;
pub mod packs;
pub mod policy;
mod proof;
pub mod registry;
mod row;
mod run_details;
mod run_list;
mod run_names;
pub mod run_summary;
mod runner;
pub mod runs;
mod stated;
mod streams;
#[cfg(test)]
mod tests;
mod update;
mod view_snapshot;
mod views_lock;
pub mod violations;

pub use kv::{Kv, ViewError};
pub use proof::ViewsKey;
pub use runner::{Snapshot, Views};

use crate::domain::{EnvelopeRef, Event, Kind};

/// One read model. Kinds are named by their constants:
///
/// ```
/// use annals::domain::{Kind, run::RunEvent};
/// const KINDS: &[Kind] = &[RunEvent::FINISHED];
/// ```
///
/// A kind that does not exist does not compile:
///
/// ```compile_fail
/// use annals::domain::{Kind, run::RunEvent};
/// const KINDS: &[Kind] = &[RunEvent::FINISHD];
/// ```
pub struct Definition {
    /// Its name; also its table's.
    pub name: &'static str,
    /// Raise it when the fold or the rows change: the view is then rebuilt.
    pub revision: u32,
    /// The kinds it takes.
    pub kinds: &'static [Kind],
    /// Folds one event in.
    pub apply: fn(&mut dyn Kv, &EnvelopeRef<'_>, &Event) -> Result<(), ViewError>,
}

/// Every view.
pub const ALL: &[Definition] = &[
    actors::VIEW,
    consolidations::VIEW,
    experiments::VIEW,
    metrics::VIEW,
    moves::VIEW,
    packs::VIEW,
    policy::VIEW,
    registry::VIEW,
    run_names::VIEW,
    runs::VIEW,
    runs::DETAILS,
    violations::VIEW,
];
