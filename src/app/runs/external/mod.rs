//! Runs of other trainers: begun, measured, saved and ended by scripts in any language, each call
//! durable when it returns; or supervised from start to end.
//!
//! What a script reports has provenance `reported`, what a supervised command prints `supervised`.
//! A reported run has no supervisor whose end could be noticed: it runs until the script says
//! otherwise, and people are told when it has been silent (`silent.rs`). Start reading in
//! `report.rs`, then `exec.rs`; what a line means is in `printed.rs`, what becomes of it in
//! `script_output.rs`.

pub(super) mod exec;
pub(super) mod line;
pub(super) mod literal;
pub(super) mod parameter;
pub(super) mod pending;
pub(super) mod printed;
pub(super) mod report;
pub(super) mod script_output;
pub(super) mod settings_file;
pub(super) mod silent;
pub(super) mod start;

pub use exec::{ExecRequest, Executed};
pub use parameter::Parameter;
pub use report::{MetricPoints, MetricsLogged, ReportedBy, RunEnded, RunResult};
pub use silent::SilentRun;
pub use start::{StartRun, StartedRun};
