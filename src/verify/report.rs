//! What a check found.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::history::Violation;
use crate::store::StoreError;
use crate::tlog::Hash;

/// What a check found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Events that could be read.
    pub size: u64,
    /// Root of the tree of the stored bytes.
    pub root: String,
    /// Signed log checkpoints in the log.
    pub log_checkpoints: usize,
    /// Events after the last of them.
    pub unsigned_tail: u64,
    /// Events signed with their actor's own key; every other name is a claim.
    pub actor_signatures: u64,
    /// Whether the key was given, and not merely found in the log.
    pub key_pinned: bool,
    /// Size of the last log checkpoint before anything wrong.
    pub last_good: Option<u64>,
    /// What is wrong, by position.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The first position concerned; none for a row of an index table.
    pub position: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// Digest that should be there.
    pub expected: Option<String>,
    /// Digest of what is there.
    pub found: Option<String>,
}

impl Finding {
    pub(super) fn at(position: u64, what: impl Into<String>) -> Self {
        Self { position: Some(position), what: what.into(), expected: None, found: None }
    }

    pub(super) fn not_allowed(violation: &Violation) -> Self {
        let Violation { position, stream, kind, actor, reason } = violation;
        let what = format!("{} of {stream} by {actor} was not allowed: {reason}", kind.name());
        Self::at(*position, what)
    }

    pub(super) fn roots(
        position: u64,
        what: impl Into<String>,
        expected: Hash,
        found: Hash,
    ) -> Self {
        let (expected, found) = (Some(expected.to_string()), Some(found.to_string()));
        Self { position: Some(position), what: what.into(), expected, found }
    }

    pub(super) fn table(table: &str, row: &str) -> Self {
        let what = format!("table {table}: {row}");
        Self { position: None, what, expected: None, found: None }
    }

    /// What concerns no event alone.
    pub(super) fn file(error: &StoreError) -> Self {
        Self { position: None, what: with_causes(error), expected: None, found: None }
    }

    pub(super) fn broken(position: u64, error: &StoreError) -> Self {
        let mut finding = Self::at(position, with_causes(error));
        (finding.expected, finding.found) = match error {
            StoreError::BlobDamaged { digest, found } => {
                (Some(digest.to_string()), Some(found.to_string()))
            }
            StoreError::BlobSha256 { expected, found, .. } => {
                (Some(expected.to_string()), Some(found.to_string()))
            }
            _ => (None, None),
        };
        finding
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "position {position}: {}", self.what)?,
            None => f.write_str(&self.what)?,
        }
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected {expected}")?;
        }
        if let Some(found) = &self.found {
            write!(f, "\n  found    {found}")?;
        }
        Ok(())
    }
}

impl Report {
    /// A file that cannot be read as a log at all.
    pub(super) fn unreadable(error: &StoreError) -> Self {
        Self {
            size: 0,
            root: crate::tlog::empty_root().to_string(),
            log_checkpoints: 0,
            unsigned_tail: 0,
            actor_signatures: 0,
            key_pinned: false,
            last_good: None,
            findings: vec![match error {
                StoreError::Pages { .. } => Finding::file(error),
                _ => Finding::broken(0, error),
            }],
        }
    }
}

fn with_causes(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    text
}
