//! Reading past damage: what is not whole is left out and remembered, so that an answer can say
//! what it does not know. Only for reading a log that somebody handed over; the log of a workspace
//! is read strictly.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Access, Block, BlockHeader, StoreError, View};
use crate::tlog::{Frontier, Hash, LogCheckpoint, NodeReader as _};

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

/// Positions of the tail among which one is not what was appended; none where all are, and where
/// an event that cannot be read at all leaves the others without a way to check them.
///
/// The tree knows the tail by its subtrees, and a signed log checkpoint up to its size.
///
/// # Errors
/// When a table cannot be read.
pub(super) fn changed_in_tail<A: Access>(
    view: &View<A>,
    tail: &Block,
) -> Result<Option<Range<u64>>, StoreError> {
    let Ok(leaves) = tail.leaves() else { return Ok(None) };
    let (sealed, state) = (tail.first(), view.state());
    let mut tree = view.tree();
    let mut made = Frontier::default();
    for level in (0..64_u8).rev().filter(|level| sealed >> level & 1 == 1) {
        let node = tree.node(level, made.size() >> level)?;
        made.push_subtree(level, node, |_, _, _| {});
    }
    let mut signed: BTreeMap<u64, Hash> = BTreeMap::new();
    for (size, note) in view.checkpoints(sealed..)? {
        signed.extend(LogCheckpoint::peek(&note).ok().map(|checkpoint| (size, checkpoint.root)));
    }
    // What a log checkpoint agrees with is as it was signed.
    let mut whole_until = sealed;
    for leaf in leaves {
        made.push(leaf);
        if signed.get(&made.size()) == Some(&made.root()) {
            whole_until = made.size();
        }
    }
    let mut changed: Option<Range<u64>> = None;
    let mut at = 0;
    for level in (0..64_u8).rev().filter(|level| state.frontier.size() >> level & 1 == 1) {
        let (index, end) = (at >> level, at + (1 << level));
        let from = at.max(whole_until);
        if from < end && made.node(level, index) != state.frontier.node(level, index) {
            changed = Some(changed.map_or(from, |range| range.start)..end);
        }
        at = end;
    }
    Ok(changed)
}
