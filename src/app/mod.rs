//! The use cases, one file per noun: the only place where the record, its views, files that move,
//! training and checking meet. A verb of the command line calls one function here.
//!
//! May use: everything except the edges. Must never see: clap, a terminal, the environment.
//!
//! A verb that changes something is an invocation (`session.rs`): [`App::decide`] records it and
//! all it caused in one transaction; [`App::begin`] opens one that lasts. What a crash left is
//! cleared by the next changing verb (`recover.rs`): recovery is the normal path.
//!
//! To add a use case: a file named after its noun. Start reading in `session.rs`, then
//! `recover.rs`.

mod actors;
mod analysis;
mod archive;
mod audit;
mod beginning;
mod candidates;
mod checkpoint;
mod cleanup;
mod consolidate;
mod diff;
mod edit;
mod engine;
mod environment;
mod error;
mod export;
mod external;
mod files_named;
mod find;
mod gc;
mod git;
mod gitignore;
mod invocation;
mod layout;
mod lens;
mod live;
mod log;
mod migrate;
mod model_card;
mod output;
mod packs;
mod papers;
mod pickle;
mod place;
mod places;
mod policy;
mod predict;
mod production;
mod progress;
mod promote;
mod promotion_facts;
mod prove;
mod query;
mod record;
mod recover;
mod redact;
mod refresh;
mod repair;
mod replay;
mod run_files;
mod session;
mod snapshot;
mod status;
mod subject;
mod summary;
mod train;
mod undo;
mod verify;
mod why;
mod window;
mod workspace;

pub use crate::projection::Snapshot;
pub use crate::projection::best::{Admission, Best, Ranking};
pub use crate::projection::files::Regenerated;
pub use crate::projection::metrics::MetricRow;
pub use crate::projection::registry::ModelRow;
pub use crate::projection::runs::{RunDetails, RunLine};
pub use crate::supervise::{Printed, serve_guard};
pub use crate::train::TrainEvent;
pub use crate::train::config::{Setting, all_settings};
pub use crate::train::data::{ID_COLUMN, LabelColumns, LabelSpec, Source, Value as InputValue};
pub use actors::{ActorLine, KeyMade};
pub use analysis::{RunOrigin, check_columns};
pub use archive::{ArchiveRequest, Moved};
pub use audit::AuditRequest;
pub use checkpoint::Anchor;
pub use cleanup::{Cleanup, CleanupMove, CleanupRequest};
pub use consolidate::{
    Applied, ConsolidationPlan, ModelLine, Phase, PlanRow, Planned, Report, Shelf, Since,
};
pub use diff::{LogChange, LogDifference, Moment};
pub use edit::EditedRun;
pub use engine::serve_own_engine;
pub use error::{Error, ErrorKind, Result};
pub use export::{Exported, ExportedTiles};
pub use external::{
    ExecRequest, Executed, FinishRun, MetricPoints, ReportedBy, SilentRun, StartRun, StartedRun,
    Tracker,
};
pub use find::Named;
pub use gc::{Collected, Garbage};
pub use gitignore::GitIgnore;
pub use invocation::InvocationShown;
pub use layout::{FOLDER_VARIABLES, Layout, NewRun, Paths};
pub use live::LiveFiles;
pub use log::{LogFilter, LogLine, LogQuery};
pub use migrate::{LayoutMove, Migration};
pub use output::check_output;
pub use packs::{LogPack, PackedLog};
pub use pickle::refuse_pickle;
pub use policy::PolicyShown;
pub use predict::{BATCH_TEXTS, Model, Scored, TextFile};
pub use production::{Bumped, Placed};
pub use progress::Progress;
pub use promote::{Decided, PromoteOptions, Promoted};
pub use prove::{Bundle, Checked, CheckedBundle, Proof, ProvenEvent};
pub use query::{SAVED_QUERIES, SavedQuery};
pub use recover::Recovered;
pub use redact::{Field, RedactRequest, RedactedBy, RedactedLine, Redaction, Stays};
pub use repair::{FolderDamage, Repaired};
use session::signing_key;
pub use session::{Session, Tx, fold_policy, fold_registry, fold_run, fold_workspace};
pub use snapshot::{
    Change, Content, Difference, Entry, Manifest, PythonEnvironment, SnapshotLine, SnapshotRequest,
    Taken, Verified,
};
pub use status::{Finding, ModelInProduction, OpenRequest, Status};
pub use train::{
    ConfigSource, DataSource, NamedConfig, Programs, ReproduceOptions, Reproduced, Screen, Spread,
    TrainRequest, Trained, Yardstick, named_configs, show_config,
};
pub use undo::Undone;
pub use verify::{Against, VerifyOptions};
pub use why::Node;
pub use workspace::{App, Caller, ConfigDirs, Settings, Warnings, caller_folders};
