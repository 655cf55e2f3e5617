//! The error a user meets: what kind, why, and what to do. Only this file gives module errors
//! their kind and hints.

use std::error::Error as StdError;
use std::fmt;

use crate::base::confine::ConfineError;
use crate::domain::policy::MODEL_RULE;
use crate::domain::run::NOT_STATED;
use crate::domain::{NameError, Rejection};
use crate::store::StoreError;

/// What went wrong, as the exit code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// An input file, configuration or label is wrong.
    Data,
    /// There is no such thing.
    NotFound,
    /// A rule refused it.
    Rejected,
    /// Somebody else was faster, or the thing exists.
    Conflict,
    /// The system failed or is busy.
    Io,
    /// The training failed.
    TrainingFailed,
    /// A check found differences.
    Findings,
    /// The record is damaged.
    Integrity,
    /// annals is wrong.
    Bug,
    /// The user stopped it.
    Interrupted,
}

impl ErrorKind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Data => 3,
            Self::NotFound => 4,
            Self::Rejected => 5,
            Self::Conflict => 6,
            Self::Io => 7,
            Self::TrainingFailed => 8,
            Self::Findings => 9,
            Self::Integrity => 10,
            Self::Bug => 70,
            Self::Interrupted => 130,
        }
    }

    /// The word used in `--format json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Data => "data",
            Self::NotFound => "not_found",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Io => "io",
            Self::TrainingFailed => "training_failed",
            Self::Findings => "findings",
            Self::Integrity => "integrity",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A failed use case.
#[derive(Debug)]
pub struct Error {
    /// What kind.
    pub kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    /// What to do, one sentence each.
    pub hints: Vec<String>,
}

/// What a use case returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that begins here.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, hints: vec![] }
    }

    /// An error caused by another.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self::caused_by(kind, message, Box::new(source))
    }

    /// As [`caused`](Self::caused), of an error whose type is not known.
    pub fn caused_by(
        kind: ErrorKind,
        message: impl Into<String>,
        source: Box<dyn StdError + Send + Sync>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source), hints: vec![] }
    }

    /// A failed file operation: `cannot <what>`.
    pub fn io(what: impl fmt::Display, source: std::io::Error) -> Self {
        Self::caused(ErrorKind::Io, format!("cannot {what}"), source)
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// The way back where the log is gone and what belongs to it is still there.
pub(in crate::app) const LOST_LOG: &str = "put a copy of the log back as .annals/log.redb (a \
     backup, or what `annals log copy` made); keep everything else in the workspace as it is: a \
     new log would \
     be another history";

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Corrupt { .. }
            | StoreError::Malformed { .. }
            | StoreError::Empty { .. }
            | StoreError::Pages { .. }
            | StoreError::BlobMissing { .. }
            | StoreError::BlobDamaged { .. }
            | StoreError::BlobSha256 { .. } => ErrorKind::Integrity,
            StoreError::Exists { .. }
            | StoreError::Revision { .. }
            | StoreError::CommandReused { .. } => ErrorKind::Conflict,
            StoreError::KeyMode { .. } | StoreError::PinFile { .. } => ErrorKind::Rejected,
            StoreError::NoLog { .. } | StoreError::NoEvent { .. } => ErrorKind::NotFound,
            // Tried again it would be as large.
            StoreError::PayloadTooLarge { .. } => ErrorKind::Data,
            StoreError::SequenceGap { .. }
            | StoreError::InvocationClosed { .. }
            | StoreError::Dropped => ErrorKind::Bug,
            _ => ErrorKind::Io,
        };
        let hint = match &error {
            StoreError::Corrupt { .. } | StoreError::Malformed { .. } => {
                Some("`annals verify` names the first bad position; nothing was repaired")
            }
            StoreError::Pages { .. } => Some(
                "nothing was repaired; `annals verify` reports how far the log can be read; \
                 continue with an older copy",
            ),
            StoreError::Busy { .. } | StoreError::Held { .. } => {
                Some("try again when that process has ended; `kill -CONT PID` wakes a stopped one")
            }
            StoreError::Empty { .. } => Some(LOST_LOG),
            StoreError::NoLog { .. } => Some("`annals init` makes a workspace"),
            StoreError::NewerFormat { .. } => Some("use the annals that wrote it, or a later one"),
            StoreError::ReadOnly { .. } => {
                Some("reading verbs work here; changing ones need a writable workspace")
            }
            StoreError::PinFile { .. } => {
                Some("remove that file; then `annals trust` in the workspace pins its key again")
            }
            StoreError::Unsure { .. } => Some("`annals log` shows whether it took effect"),
            _ => None,
        };
        let message = error.to_string();
        let source = match error {
            StoreError::Io { source, .. } => Some(Box::new(source) as _),
            StoreError::Database { source } | StoreError::Unsure { source } => Some(source as _),
            StoreError::Malformed { source, .. } => Some(Box::new(source) as _),
            _ => None,
        };
        let hints = hint.map(str::to_owned).into_iter().collect();
        Self { kind, message, source, hints }
    }
}

impl From<ConfineError> for Error {
    fn from(error: ConfineError) -> Self {
        let message = error.to_string();
        match error {
            ConfineError::Path { .. } => Self::new(ErrorKind::Integrity, message).hint(
                "`annals verify` checks the log; a path in the log or in `.annals` was written by \
                 another program or is damaged",
            ),
            ConfineError::Link(_) => Self::new(ErrorKind::Data, message)
                .hint("put a folder or a file in the place of the link"),
            ConfineError::Unreadable { .. } => Self::new(ErrorKind::Io, message),
        }
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        let kind = match &rejection {
            Rejection::Exists { .. } => ErrorKind::Conflict,
            Rejection::Unknown { .. } => ErrorKind::NotFound,
            Rejection::Invalid { .. } => ErrorKind::Usage,
            Rejection::WrongState { .. } | Rejection::Rules { .. } | Rejection::NotAllowed(_) => {
                ErrorKind::Rejected
            }
        };
        let error = Self::new(kind, rejection.to_string());
        let Rejection::Rules { failed, .. } = &rejection else { return error };
        let error = error.hint("`annals candidates` shows every rule and number");
        let error = match failed.iter().any(|rule| rule.rule == MODEL_RULE) {
            true => error.hint(
                "`annals run save RUN FILE` stores the model of a run, before `annals run finish`",
            ),
            false => error,
        };
        match failed.iter().any(|rule| rule.found == NOT_STATED) {
            true => error.hint(
                "state such facts where the run starts: `annals run start` and `annals run exec` \
                 take --leaked-rows 0, --synthetic false and --rows test=200",
            ),
            false => error,
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        let failed = Self::new(ErrorKind::Usage, error.to_string());
        match error {
            NameError::Character { name, .. } => {
                let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
                let fits = name.trim().replace(|c: char| !allowed(c), "_");
                failed.hint(format!("for example {fits}"))
            }
            _ => failed,
        }
    }
}
