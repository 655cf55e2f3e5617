//! Reading past damage: what is not whole is left out and remembered, so that an answer can say
//! what it does not know. Only for reading a log that somebody handed over; the log of a workspace
//! is read strictly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Block, BlockHeader, StoreError};
use crate::tlog::Frontier;

/// Positions whose events cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lost {
    /// The first position.
    pub first: u64,
    /// The last position.
    pub last: u64,
    /// What is wrong with them.
    pub why: String,
}

/// What readers of one handle met so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(Arc<Mutex<BTreeMap<u64, Lost>>>);

impl Losses {
    /// Everything met, in the order of the log.
    pub(super) fn all(&self) -> Vec<Lost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn add(&self, lost: Lost) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lost.first, lost);
    }
}

/// Takes note of `count` events from `first` on that cannot be read.
///
/// # Errors
/// `error` itself where damage is not to be read past.
pub(super) fn lose(
    losses: Option<&Losses>,
    first: u64,
    count: u64,
    error: StoreError,
) -> Result<(), StoreError> {
    let Some(losses) = losses else { return Err(error) };
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        why = format!("{why}: {source}");
    }
    losses.add(Lost { first, last: first + count.max(1) - 1, why });
    Ok(())
}

/// Whether a block that unpacked holds the events it was sealed with.
///
/// # Errors
/// [`StoreError::Corrupt`] when its tree is not the one in its header.
pub(super) fn check_sealed(block: &Block, header: &BlockHeader) -> Result<(), StoreError> {
    let mut tree = Frontier::default();
    block.leaves()?.into_iter().for_each(|leaf| tree.push(leaf));
    if tree.root() == header.root {
        return Ok(());
    }
    let first = block.first();
    Err(StoreError::corrupt(format!("the block at {first} is not what was sealed")))
}
