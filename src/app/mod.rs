//! The use cases, one folder per noun: the only place where the record, its views, files that move,
//! training and checking meet. A verb of the command line calls one function here.
//!
//! May use: everything except the edges. Must never see: clap, a terminal, the environment.
//!
//! A verb that changes something is an invocation (`core/session.rs`): [`Workspace::decide`]
//! records it and all it caused in one transaction; [`Workspace::begin`] opens one that lasts. What
//! a crash left is cleared by the next changing verb (`core/recover.rs`): recovery is the normal
//! path.
//!
//! To add a use case: a file in the folder of its noun (`runs`, `models`, `records`, `workspace`);
//! `core` is what they share, and `moves` moves the files of all of them. Start reading in
//! `core/session.rs`, then `core/recover.rs`.

mod answers;
mod core;
pub mod models;
mod moves;
pub mod records;
pub mod runs;
pub mod workspace;

pub use self::answers::ANSWERS;
pub use self::core::answer::{Answer, AnswerInfo, Failure, FileWritten};
pub use self::core::draft::Draft;
pub use self::core::engine::serve_own_engine;
pub use self::core::error::{Error, ErrorKind, Result};
pub use self::core::find::Named;
pub use self::core::invocation::InvocationShown;
pub use self::core::live::LiveFiles;
pub use self::core::mode::Mode;
pub use self::core::output::check_output;
pub use self::core::progress::Progress;
pub use self::core::recover::Recovered;
pub use self::core::rows::{RowFormat, RowTable};
use self::core::session::signing_key;
pub use self::core::session::{Session, Tx, fold_policy, fold_registry, fold_run, fold_workspace};
pub use self::core::workspace::{
    Caller, ConfigDirs, Settings, Warnings, Workspace, WorkspaceMade, WorkspacePlanned,
    caller_folders,
};
pub use self::models::candidates::CandidateLine;
pub use self::models::listed::{ModelListed, ModelShown, ModelState};
pub use self::models::pickle::refuse_pickle;
pub use self::models::predict::{BATCH_TEXTS, Model, Prediction, Scored, TextFile};
pub use self::models::production::{AliasRemoved, AliasSet, Bumped, ModelChange};
pub use self::models::promote::{ApprovalLine, Decided, PromoteOptions, Promoted, Rejected};
pub use self::models::repair::{FolderDamage, RepairFailed, Repaired, Repairs};
pub use self::records::audit::{AuditRequest, CheckLine, audit_checks};
pub use self::records::checkpoint::{Anchor, Anchored, LogCheckpointShown};
pub use self::records::diff::{LogChange, LogDifference, Moment};
pub use self::records::export::{Exported, ExportedTiles};
pub use self::records::log::{LogFilter, LogLine, LogQuery};
pub use self::records::prove::{Bundle, Checked, CheckedBundle, Proof, ProvenEvent};
pub use self::records::query::{SAVED_QUERIES, SavedQuery};
pub use self::records::replay::{Replayed, ReplayedFiles};
pub use self::records::status::{Finding, ModelInProduction, NotAllowed, OpenRequest, Status};
pub use self::records::stored_files::{
    CheckedFile, Depth, FileKind, FileState, FilesReport, KindTotal, ReadProgress, UncheckedFiles,
    VerifiedFiles,
};
pub use self::records::verify::{Against, VerifyOptions};
pub use self::records::why::Node;
pub use self::runs::analysis::{
    ClinicalAnswer, PictureDrawn, ReportWritten, RunOrigin, check_columns,
};
pub use self::runs::archive::{ArchiveRequest, Moved};
pub use self::runs::cleanup::{Cleanup, CleanupMove, CleanupRequest};
pub use self::runs::consolidate::{
    Applied, ClassInventory, ConsolidationPlan, ModelLine, Phase, PlanRow, Planned, Report,
    SinceLastConsolidation,
};
pub use self::runs::edit::{EditedRun, RunEdited};
pub use self::runs::external::{
    ExecRequest, Executed, MetricPoints, MetricsLogged, Parameter, ReportedBy, RunEnded, RunResult,
    SilentRun, StartRun, StartedRun,
};
pub use self::runs::list::{
    DataRow, RunListed, RunLocation, RunQuery, RunRow, data_row, sort_runs,
};
pub use self::runs::shown::{RunShown, plain_value};
pub use self::runs::train::{
    Baseline, ConfigSource, DataSource, NamedConfig, PlannedRun, Programs, Reporter,
    ReproduceOptions, Reproduced, RunReproducedAgain, Spread, TrainRequest, Trained,
    TrainedRepeatedly, named_configs, show_config,
};
pub use self::workspace::actors::{ActorLine, KeyMade, Vouched};
pub use self::workspace::gc::{Collected, Garbage, GarbageCollection};
pub use self::workspace::gitignore::GitIgnore;
pub use self::workspace::layout::{FOLDER_VARIABLES, Layout, LayoutShown, NewRun, Paths};
pub use self::workspace::migrate::{LayoutMove, Migration};
pub use self::workspace::packs::{LogPack, PackedLog};
pub use self::workspace::policy::{PolicyDiff, PolicyRevision, PolicyShown};
pub use self::workspace::redact::{
    Field, RedactRequest, RedactedBy, RedactedLine, Redaction, Stays,
};
pub use self::workspace::snapshot::{
    Change, Content, Entry, PythonEnvironment, SnapshotCreated, SnapshotDifference, SnapshotLine,
    SnapshotManifest, SnapshotRequest, SnapshotRestored, SnapshotShown, SnapshotVerified, Taken,
    Verified,
};
pub use self::workspace::trust::{LogTrustShown, TrustState, TrustedLog};
pub use self::workspace::undo::Undone;
pub use crate::analysis::audit::{Audit, Finding as AuditFinding, Severity};
pub use crate::analysis::charts;
pub use crate::analysis::clinical::{Clinical, ClinicalRun};
pub use crate::analysis::column::{Cell, cell, number};
pub use crate::analysis::compare::{Comparison, ParameterRow, Score, compare};
pub use crate::analysis::diff::Section;
pub use crate::analysis::paired::McNemar;
pub use crate::analysis::plot::{Picture, Scale};
pub use crate::data::{ID_COLUMN, LabelColumns, LabelSpec, Source, Value as InputValue};
pub use crate::model::config::{Setting, all_settings};
pub use crate::model::settings::class_weights;
pub use crate::port::export::Format as ExportFormat;
pub use crate::port::query::{Answer as QueryAnswer, Limits as QueryLimits};
pub use crate::port::table::{CsvCells, Row, Type, Value, tables as tables_of_log};
pub use crate::projection::Snapshot;
pub use crate::projection::best::{Admission, Best, BestRuns, Ranking};
pub use crate::projection::metrics::MetricRow;
pub use crate::projection::registry::ModelRow;
pub use crate::projection::runs::{RunDetails, RunLine};
pub use crate::supervise::{Printed, serve_guard};
pub use crate::train::TrainEvent;
pub use crate::verify::Report as LogReport;
