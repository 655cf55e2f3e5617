//! Use cases about runs: training, external runs, edits, archives, retention, consolidation.

pub(super) mod analysis;
pub(super) mod archive;
pub(super) mod beginning;
pub(super) mod cleanup;
pub(super) mod consolidate;
pub(super) mod edit;
pub(super) mod external;
pub(super) mod list;
pub(super) mod record;
pub(super) mod run_files;
pub(super) mod shown;
pub(super) mod supervision;
pub(super) mod train;
