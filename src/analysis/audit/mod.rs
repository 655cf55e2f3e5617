//! Everything a careful reviewer would look for in a record, as findings with their evidence.
//!
//! [`AuditFacts`] folds every event once, without views, so that a copied and damaged log is
//! audited like a whole one; each check is a pure function from the facts to what it found. What
//! only the workspace can tell (files on disk) is handed in as [`WorkspaceFiles`] and its checks
//! are left out where there is none.
//!
//! May use: `base`, `domain`. Must never see: the log, files, the clock, the terminal.
//!
//! To add a check: a function in the file of its group and an entry in [`CHECKS`]. Start reading in
//! `checks.rs`.

mod checks;
mod data;
mod evidence;
mod facts;
mod files;
mod finding;
mod people;
mod record;
mod rules;
mod sarif;
#[cfg(test)]
mod tests;

pub use checks::{CHECKS, Check};
pub use facts::{At, AuditFacts, Promotion, RunFacts, TakenOut};
pub use files::{ChangedFile, RegistryFile, WorkspaceFiles};
pub use finding::{Audit, Counts, Finding, RawFinding, Severity, audit, word};
pub use record::{Damage, LostEvents};
pub use sarif::sarif;
