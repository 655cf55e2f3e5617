//! Where a run lies: among the active ones, or in one of the archives; and the rules about who
//! may go there. A run that is under way, pinned, in production or asked for stays.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunState, RunStatus};
use crate::domain::Rejection;
use crate::domain::policy::Policy;

/// What an archive is for.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Archive {
    /// Try-outs.
    #[serde(rename = "archive_debug")]
    Debug,
    /// Runs that count, or that failed.
    #[serde(rename = "archive_baseline")]
    Baseline,
    /// Everything else.
    #[serde(rename = "archived")]
    Archived,
}

impl Archive {
    /// The word used in files and tables, and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "archive_debug",
            Self::Baseline => "archive_baseline",
            Self::Archived => "archived",
        }
    }

    /// Its folder among those of the runs.
    pub fn location(self, policy: &Policy) -> &str {
        match self {
            Self::Debug => &policy.debug_experiments.archive_location,
            Self::Baseline => &policy.failed_experiments.archive_location,
            Self::Archived => self.word(),
        }
    }
}

/// How files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pack {
    /// A tar file, compressed by zstd.
    Zst,
    /// A tar file, compressed by gzip.
    Gz,
}

impl Pack {
    /// The name of the file in the archived folder. In the plan of a move, a path below it is a
    /// path inside the pack.
    pub fn file(self) -> &'static str {
        match self {
            Self::Zst => "packed.tar.zst",
            Self::Gz => "packed.tar.gz",
        }
    }
}

/// What the rules about places need to know beside the run.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlaceFacts<'a> {
    /// Its name in production, if it is there.
    pub production: Option<&'a str>,
    /// The name of an open request for production, if there is one.
    pub requested: Option<&'a str>,
}

/// Whether a run may go into an archive.
///
/// # Errors
/// When there is no such run, it is under way, archived, pinned, in production or asked for.
pub fn may_archive(state: &RunState, facts: &PlaceFacts<'_>) -> Result<(), Rejection> {
    let refused = |why: String, wanted: &str| {
        let what = format!("run {}", state.experiment_id);
        Err(Rejection::WrongState { what, state: why, wanted: wanted.into() })
    };
    if state.deleted {
        return refused("deleted".into(), "only one whose files are there has a place");
    }
    match (state.status, state.archive, facts.production, facts.requested) {
        (RunStatus::Unknown, ..) => {
            Err(Rejection::Unknown { what: "run", name: state.experiment_id.clone() })
        }
        (RunStatus::Running, ..) => refused("running".into(), "only one that ended is archived"),
        (_, Some(archive), ..) => {
            refused(format!("in {} already", archive.word()), "only an active one is archived")
        }
        (_, _, Some(name), _) => {
            refused(format!("in production as {name}"), "only one that is not is archived")
        }
        (_, _, _, Some(name)) => {
            refused(format!("asked into production as {name}"), "the request is decided first")
        }
        _ if state.pinned => refused("pinned".into(), "`annals unpin` lets it go"),
        _ => Ok(()),
    }
}

/// Whether the files of a run may be taken away for good: those of an archived one may as well.
///
/// # Errors
/// As [`may_archive`], an archive apart.
pub fn may_delete(state: &RunState, facts: &PlaceFacts<'_>) -> Result<(), Rejection> {
    may_archive(&RunState { archive: None, ..state.clone() }, facts)
}

/// Whether a run may come back from its archive.
///
/// # Errors
/// When there is no such run, or it is in no archive.
pub fn may_restore(state: &RunState) -> Result<Archive, Rejection> {
    if state.status == RunStatus::Unknown {
        return Err(Rejection::Unknown { what: "run", name: state.experiment_id.clone() });
    }
    state.archive.ok_or_else(|| Rejection::WrongState {
        what: format!("run {}", state.experiment_id),
        state: if state.deleted { "deleted" } else { "active" }.into(),
        wanted: "only an archived one is restored".into(),
    })
}
