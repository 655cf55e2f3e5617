//! Nodes of the tree for proofs: stored from sealed blocks upward, computed from the leaves of
//! one block or of the tail below that.

use redb::ReadableTable as _;

use super::schema::Access;
use super::{StoreError, View};
use crate::tlog::{Frontier, Hash, NodeReader, node_hash};

/// Reads nodes of a log's tree. Keeps the leaves of the block and of the tail it used last.
pub struct TreeReader<'v, A: Access> {
    view: &'v View<A>,
    block: (u64, Vec<Hash>),
    tail: Option<Vec<Hash>>,
}

impl<'v, A: Access> TreeReader<'v, A> {
    pub(super) fn new(view: &'v View<A>) -> Self {
        Self { view, block: (0, Vec::new()), tail: None }
    }

    /// The leaf hashes `start..start + count`, if they lie in the tail or in one block.
    fn leaves(&mut self, start: u64, count: u64) -> Result<Option<&[Hash]>, StoreError> {
        let sealed = self.view.state.sealed;
        let (first, leaves) = if start >= sealed {
            if self.tail.is_none() {
                self.tail = Some(self.view.tail()?.leaves()?);
            }
            (sealed, self.tail.as_deref().unwrap_or_default())
        } else {
            let there = self.block.0..self.block.0 + self.block.1.len() as u64;
            if !there.contains(&start) {
                let found = self.view.block_of(start)?;
                let (first, header) = found
                    .ok_or_else(|| StoreError::corrupt(format!("event {start} is missing")))?;
                self.block = (first, self.view.unpack(first, &header)?.leaves()?);
            }
            (self.block.0, self.block.1.as_slice())
        };
        let from = (start - first) as usize;
        Ok(leaves.get(from..from + count as usize))
    }
}

impl<A: Access> NodeReader for TreeReader<'_, A> {
    type Error = StoreError;

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, StoreError> {
        if let Some(hash) = self.view.state.frontier.node(level, index) {
            return Ok(hash);
        }
        if let Some(row) = self.view.tables.tree.get((level, index))? {
            return Ok(Hash(*row.value()));
        }
        let (start, count) = (index << level, 1 << level);
        if start + count > self.view.size() {
            return Err(StoreError::NoEvent { position: start + count, size: self.view.size() });
        }
        if let Some(leaves) = self.leaves(start, count)? {
            let mut tree = Frontier::default();
            for leaf in leaves {
                tree.push(*leaf);
            }
            return Ok(tree.root());
        }
        if level == 0 {
            return Err(StoreError::corrupt(format!("event {start} is missing")));
        }
        Ok(node_hash(self.node(level - 1, index * 2)?, self.node(level - 1, index * 2 + 1)?))
    }
}
