//! The registry files at the workspace's root, and what a layout has beside them: generated from
//! the views, byte for byte the same for the same log. Times in them are the log's, never the
//! clock's.
//!
//! They keep the keys that readers of the old files know; see `schemas/files/`.

mod consolidated;
mod consolidation;
mod export;
mod generate;
mod guide;
mod registry;
mod version;

pub use self::generate::{Content, Document, NAMES, TRACKING_VERSION, generate, schemas};
pub use export::{Edited, Exporter, FileDifference, Regenerated};
pub use guide::{StandaloneLog, TrainingOutputFiles, loose_logs, plain};

use self::generate::ExportFacts;
