//! Reading past damage: what is not whole is left out and remembered, so that an answer can say
//! what it does not know. Only for reading a log that somebody handed over; the log of a workspace
//! is read strictly.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use redb::ReadableTable as _;

use super::{Access, Block, BlockHeader, StoreError, View};
use crate::base::limits::BLOCK_EVENTS_MAX;
use crate::tlog::{Frontier, Hash, LogCheckpoint, NodeReader as _};

/// Most events that are in no sealed block: the largest block is sealed as soon as it is whole.
const TAIL_EVENTS_MAX: u64 = 2 * BLOCK_EVENTS_MAX;

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
pub(super) struct DamageLog(Arc<Mutex<BTreeMap<u64, Lost>>>);

impl DamageLog {
    /// Everything met, in the order of the log.
    pub(super) fn all(&self) -> Vec<Lost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A stream or one event is read out of a block that is lost as a whole: what lies within
    /// another loss is none of its own.
    fn add(&self, lost: Lost) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.range(..=lost.first).next_back().map(|(_, before)| before.last);
        if before.is_some_and(|last| last >= lost.last) {
            return;
        }
        all.retain(|first, old| *first < lost.first || old.last > lost.last);
        all.insert(lost.first, lost);
    }
}

/// Takes note of `count` events from `first` on that cannot be read.
///
/// # Errors
/// `error` itself where damage is not to be read past.
pub(super) fn report_damage(
    losses: Option<&DamageLog>,
    first: u64,
    count: u64,
    error: StoreError,
) -> Result<(), StoreError> {
    let Some(losses) = losses else { return Err(error) };
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        why = format!("{why}: {source}");
    }
    losses.add(Lost { first, last: first.saturating_add(count.max(1) - 1), why });
    Ok(())
}

impl<A: Access> View<A> {
    /// The events that are not in a sealed block.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn tail(&self) -> Result<Block, StoreError> {
        let mut block = Block::of_tail(self.state.sealed);
        let stored_end = self.size().saturating_sub(self.fresh.len() as u64);
        // A flipped bit of a position or of the state is no reason to fill memory with nothing.
        let end = stored_end.min(self.state.sealed.saturating_add(TAIL_EVENTS_MAX));
        let mut expected = self.state.sealed;
        let mut fill = |block: &mut Block, until: u64| {
            if expected < until {
                let missing = StoreError::corrupt(format!("event {expected} is missing"));
                report_damage(self.losses.as_ref(), expected, until - expected, missing)?;
                (expected..until).for_each(|_| block.push(&[]));
            }
            expected = until + 1;
            Ok::<(), StoreError>(())
        };
        for row in self.tables.tail.range(self.state.sealed..end.max(self.state.sealed))? {
            let (position, stored) = row?;
            fill(&mut block, position.value())?;
            block.push(stored.value());
        }
        fill(&mut block, end)?;
        if end < stored_end {
            let missing = StoreError::corrupt(format!("event {end} is in no block"));
            report_damage(self.losses.as_ref(), end, stored_end - end, missing)?;
            // What comes after cannot be placed.
            return Ok(block);
        }
        if let Some(row) = self.tables.tail.range(end.max(self.state.sealed)..)?.next() {
            let beyond = row?.0.value();
            let why = format!("event {beyond} is beyond the end of the log ({stored_end} events)");
            report_damage(self.losses.as_ref(), beyond, 1, StoreError::corrupt(why))?;
        }
        self.fresh.values().for_each(|stored| block.push(stored));
        // Whoever reads past damage must not be told what a flipped bit made of an event.
        if self.losses.is_some() { self.without_changed(block) } else { Ok(block) }
    }

    /// The tail without events that are not what was appended.
    fn without_changed(&self, tail: Block) -> Result<Block, StoreError> {
        let Some(changed) = changed_in_tail(self, &tail)? else { return Ok(tail) };
        let (first, count) = (changed.start, changed.end - changed.start);
        let what = match count {
            1 => "it is not what was appended".into(),
            _ => format!("one of these {count} events is not what was appended"),
        };
        report_damage(self.losses.as_ref(), first, count, StoreError::corrupt(what))?;
        let mut rest = Block::of_tail(tail.first());
        for (position, stored) in tail.iter() {
            rest.push(if changed.contains(&position) { &[] } else { stored });
        }
        Ok(rest)
    }
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
fn changed_in_tail<A: Access>(
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
