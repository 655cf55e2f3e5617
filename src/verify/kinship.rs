//! Two logs side by side: whether one goes on where the other ends, and where they part. A
//! workspace that was copied and is used in both places has two records; neither shows it alone.

use serde::Serialize;

use super::report::Finding;
use crate::base::Digest;
use crate::store::{Filter, Store, StoreError};

/// Positions compared per opening, so that writers are never kept out for long.
const POSITIONS_PER_READ: u64 = 64 * 1024;

/// How a log stands to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Kinship {
    /// They are of different workspaces: this is the origin of the other.
    Stranger(String),
    /// The other ends earlier or at the same event, and all it has is here.
    Extends {
        /// Events that the other has not.
        by: u64,
    },
    /// The other goes on where this one ends.
    Behind {
        /// Events that are not here.
        by: u64,
    },
    /// Another event stands at one position.
    Parted(Parting),
}

/// The first position at which two logs differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parting {
    /// The position.
    pub position: u64,
    /// What stands there here.
    pub ours: Leaf,
    /// What stands there in the other.
    pub theirs: Leaf,
}

/// An event as far as a comparison tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leaf {
    /// Its kind and when it was recorded.
    pub event: String,
    /// What the tree of the log commits to.
    pub digest: Digest,
}

impl Kinship {
    /// What is wrong with a log of `size` events that must extend the log `name`.
    pub fn finding(&self, name: &str, size: u64) -> Option<Finding> {
        match self {
            Self::Extends { .. } => None,
            Self::Stranger(origin) => Some(Finding::at(0, format!("{name} is the log {origin}"))),
            Self::Behind { by } => {
                let what = format!("{name} continues here with {by} more events; this log ends");
                Some(Finding::at(size, what))
            }
            Self::Parted(Parting { position, ours, theirs }) => Some(Finding {
                position: Some(*position),
                what: format!(
                    "this log and {name} part here: {} in this one, {} in the other",
                    ours.event, theirs.event
                ),
                expected: Some(theirs.digest.to_string()),
                found: Some(ours.digest.to_string()),
            }),
        }
    }
}

/// How `ours` stands to `theirs`.
///
/// # Errors
/// When one of them cannot be read.
pub fn kinship(ours: &Store, theirs: &Store) -> Result<Kinship, StoreError> {
    let head = |store: &Store| {
        store.read(|log| Ok::<_, StoreError>((log.size(), log.origin().to_owned())))
    };
    let ((size, origin), (other_size, other_origin)) = (head(ours)?, head(theirs)?);
    if origin != other_origin {
        return Ok(Kinship::Stranger(other_origin));
    }
    let common = size.min(other_size);
    for from in (0..common).step_by(POSITIONS_PER_READ as usize) {
        let range = from..common.min(from + POSITIONS_PER_READ);
        let leaves = [ours, theirs].map(|store| {
            store.read(|log| {
                let mut leaves = Vec::new();
                log.scan(range.clone(), &Filter::default(), |event| {
                    leaves.push(event.leaf_data());
                    Ok::<_, StoreError>(())
                })?;
                Ok::<_, StoreError>(leaves)
            })
        });
        let [ours_, theirs_] = leaves;
        let differs = ours_?.iter().zip(theirs_?).position(|(a, b)| *a != b);
        if let Some(at) = differs {
            let position = from + at as u64;
            let (ours, theirs) = (leaf(ours, position)?, leaf(theirs, position)?);
            return Ok(Kinship::Parted(Parting { position, ours, theirs }));
        }
    }
    Ok(match size.checked_sub(other_size) {
        Some(by) => Kinship::Extends { by },
        None => Kinship::Behind { by: other_size - size },
    })
}

fn leaf(store: &Store, position: u64) -> Result<Leaf, StoreError> {
    store.read(|log| {
        let envelope = log.event(position)?;
        let header = &envelope.header;
        let event = format!("{} of {}", header.kind.name(), header.recorded);
        Ok(Leaf { event, digest: envelope.leaf_data() })
    })
}
