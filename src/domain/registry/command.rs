//! Requests about promotions.

use super::PromotedFile;
use crate::base::{MoveId, RequestId};

/// What can be asked of the registry.
#[derive(Clone, Debug, PartialEq)]
pub enum RegistryCommand {
    /// Ask for a run to go into production under a name.
    Request {
        /// The new request's id.
        request: RequestId,
        /// The production name.
        name: String,
        /// Why.
        reason: Option<String>,
    },
    /// Agree.
    Approve {
        /// The request.
        request: RequestId,
        /// What they said.
        reason: Option<String>,
    },
    /// Say no.
    Reject {
        /// The request.
        request: RequestId,
        /// Why.
        reason: String,
    },
    /// Check that a request may be granted now; makes no event. The files move after it.
    Grant {
        /// The request.
        request: RequestId,
    },
    /// Note that the files of a granted request are in place.
    Promote {
        /// The request.
        request: RequestId,
        /// The production folder, relative to the workspace.
        path: String,
        /// The files in it.
        files: Vec<PromotedFile>,
        /// The move that brought them there.
        file_move: MoveId,
    },
    /// Take a model out of production.
    Demote {
        /// The production name.
        name: String,
        /// Why.
        reason: String,
    },
}
