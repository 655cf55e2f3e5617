//! Use cases that read the record: log, differences, audits, proofs, queries, status.

pub(super) mod audit;
pub(super) mod checkpoint;
pub(super) mod diff;
pub(super) mod export;
pub(super) mod files_named;
pub(super) mod log;
pub(super) mod orphans;
pub(super) mod prove;
pub(super) mod query;
pub(super) mod replay;
pub(super) mod status;
pub(super) mod subject;
pub(super) mod summary;
pub(super) mod verify;
pub(super) mod why;
pub(super) mod window;
