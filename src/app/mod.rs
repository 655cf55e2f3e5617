//! The use cases, one folder per noun: the only place where the record, its views, files that move,
//! training and checking meet. A verb of the command line calls one function here.
//!
//! May use: everything except the edges. Must never see: clap, a terminal, the environment.
//!
//! A verb that changes something is an invocation (`core/session.rs`): [`App::decide`] records it
//! and all it caused in one transaction; [`App::begin`] opens one that lasts. What a crash left is
//! cleared by the next changing verb (`core/recover.rs`): recovery is the normal path.
//!
//! To add a use case: a file in the folder of its noun (`runs`, `models`, `records`,
//! `workspace`); `core` is what they share. Start reading in `core/session.rs`, then
//! `core/recover.rs`.

mod core;
mod models;
mod records;
mod runs;
mod workspace;

pub use self::core::draft::Draft;
pub use self::core::engine::serve_own_engine;
pub use self::core::error::{Error, ErrorKind, Result};
pub use self::core::find::Named;
pub use self::core::invocation::InvocationShown;
pub use self::core::live::LiveFiles;
pub use self::core::output::check_output;
pub use self::core::progress::Progress;
pub use self::core::recover::Recovered;
use self::core::session::signing_key;
pub use self::core::session::{Session, Tx, fold_policy, fold_registry, fold_run, fold_workspace};
pub use self::core::workspace::{App, Caller, ConfigDirs, Settings, Warnings, caller_folders};
pub use self::models::pickle::refuse_pickle;
pub use self::models::predict::{BATCH_TEXTS, Model, Scored, TextFile};
pub use self::models::production::{Bumped, Placed};
pub use self::models::promote::{Decided, PromoteOptions, Promoted};
pub use self::models::repair::{FolderDamage, Repaired};
pub use self::records::audit::AuditRequest;
pub use self::records::checkpoint::Anchor;
pub use self::records::diff::{LogChange, LogDifference, Moment};
pub use self::records::export::{Exported, ExportedTiles};
pub use self::records::log::{LogFilter, LogLine, LogQuery};
pub use self::records::prove::{Bundle, Checked, CheckedBundle, Proof, ProvenEvent};
pub use self::records::query::{SAVED_QUERIES, SavedQuery};
pub use self::records::status::{Finding, ModelInProduction, OpenRequest, Status};
pub use self::records::verify::{Against, VerifyOptions};
pub use self::records::why::Node;
pub use self::runs::analysis::{RunOrigin, check_columns};
pub use self::runs::archive::{ArchiveRequest, Moved};
pub use self::runs::cleanup::{Cleanup, CleanupMove, CleanupRequest};
pub use self::runs::consolidate::{
    Applied, ConsolidationPlan, ModelLine, Phase, PlanRow, Planned, Report, Shelf, Since,
};
pub use self::runs::edit::EditedRun;
pub use self::runs::external::{
    ExecRequest, Executed, FinishRun, MetricPoints, ReportedBy, SilentRun, StartRun, StartedRun,
    Tracker,
};
pub use self::runs::train::{
    ConfigSource, DataSource, NamedConfig, PlannedRun, Programs, ReproduceOptions, Reproduced,
    Screen, Spread, TrainRequest, Trained, Yardstick, named_configs, show_config,
};
pub use self::workspace::actors::{ActorLine, KeyMade};
pub use self::workspace::gc::{Collected, Garbage};
pub use self::workspace::gitignore::GitIgnore;
pub use self::workspace::layout::{FOLDER_VARIABLES, Layout, NewRun, Paths};
pub use self::workspace::migrate::{LayoutMove, Migration};
pub use self::workspace::packs::{LogPack, PackedLog};
pub use self::workspace::policy::PolicyShown;
pub use self::workspace::redact::{
    Field, RedactRequest, RedactedBy, RedactedLine, Redaction, Stays,
};
pub use self::workspace::snapshot::{
    Change, Content, Difference, Entry, Manifest, PythonEnvironment, SnapshotLine, SnapshotRequest,
    Taken, Verified,
};
pub use self::workspace::undo::Undone;
pub use crate::data::{ID_COLUMN, LabelColumns, LabelSpec, Source, Value as InputValue};
pub use crate::model::config::{Setting, all_settings};
pub use crate::model::settings::class_weights;
pub use crate::projection::Snapshot;
pub use crate::projection::best::{Admission, Best, Ranking};
pub use crate::projection::files::Regenerated;
pub use crate::projection::metrics::MetricRow;
pub use crate::projection::registry::ModelRow;
pub use crate::projection::runs::{RunDetails, RunLine};
pub use crate::supervise::{Printed, serve_guard};
pub use crate::train::TrainEvent;
