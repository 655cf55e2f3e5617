//! What every use case needs: the open workspace, invocations, recovery, read scope, errors.

pub(super) mod admitted;
pub(super) mod answer;
mod covered;
pub(super) mod draft;
pub(super) mod engine;
pub(super) mod environment;
pub(super) mod error;
pub(super) mod find;
pub(super) mod git;
pub(super) mod invocation;
pub(super) mod live;
pub(super) mod mode;
pub(super) mod output;
pub(super) mod private_files;
pub(super) mod progress;
pub(super) mod quarantine;
pub(super) mod read_scope;
pub(super) mod recover;
pub(super) mod refresh;
pub(super) mod rows;
pub(super) mod session;
pub(super) mod trust;
pub(super) mod workspace;
pub(super) mod workspace_identity;
