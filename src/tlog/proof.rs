//! Inclusion and consistency proofs (RFC 6962 section 2.1; verification after RFC 9162 section
//! 2.1.3.2 and 2.1.4.2). A proof of any other length, order or content fails.

use super::{Hash, empty_root, node_hash};

/// Serves the perfect subtrees of a tree.
pub trait NodeReader {
    /// What reading can fail with.
    type Error;

    /// The root of the 2^`level` leaves from `index` * 2^`level` on.
    ///
    /// # Errors
    /// When the node cannot be read.
    fn node(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// A proof that does not prove.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The question itself makes no sense.
    #[error("position or size {asked} is outside of a tree of {size} events")]
    OutOfRange {
        /// What was asked about.
        asked: u64,
        /// Size of the tree.
        size: u64,
    },
    /// Too short or too long for its place in the tree.
    #[error("the proof has {found} hashes, which does not match its sizes and position")]
    Length {
        /// Hashes found.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the proof leads to root {found}, not to {expected}")]
    Root {
        /// Root that had to come out.
        expected: Hash,
        /// Root that came out.
        found: Hash,
    },
}

/// The largest power of two below `n`, which is at least 2.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// Root of the leaves `start..end`; `start` lies where the recursion of RFC 6962 splits.
fn range_root<R: NodeReader>(reader: &mut R, start: u64, end: u64) -> Result<Hash, R::Error> {
    let n = end - start;
    if n == 0 {
        return Ok(empty_root());
    }
    if n.is_power_of_two() {
        let level = n.ilog2();
        return reader.node(level as u8, start >> level);
    }
    let middle = start + split(n);
    Ok(node_hash(range_root(reader, start, middle)?, range_root(reader, middle, end)?))
}

/// Root of the first `size` leaves.
///
/// # Errors
/// When a node cannot be read.
pub fn tree_root<R: NodeReader>(reader: &mut R, size: u64) -> Result<Hash, R::Error> {
    range_root(reader, 0, size)
}

/// Proves that the leaf at `position` is in the tree of `size` leaves; lowest sibling first.
///
/// # Errors
/// When a node cannot be read.
///
/// # Panics
/// When `position` is not below `size`.
pub fn inclusion_proof<R: NodeReader>(
    reader: &mut R,
    position: u64,
    size: u64,
) -> Result<Vec<Hash>, R::Error> {
    assert!(position < size, "BUG: no leaf {position} in a tree of {size}");
    let (mut start, mut end, mut siblings) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if position < middle {
            siblings.push((middle, end));
            end = middle;
        } else {
            siblings.push((start, middle));
            start = middle;
        }
    }
    siblings.into_iter().rev().map(|(start, end)| range_root(reader, start, end)).collect()
}

/// Proves that the tree of `old` leaves is the beginning of the tree of `new` leaves.
///
/// # Errors
/// When a node cannot be read.
///
/// # Panics
/// When `old` is above `new`.
pub fn consistency_proof<R: NodeReader>(
    reader: &mut R,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, R::Error> {
    assert!(old <= new, "BUG: {old} leaves are not the beginning of {new}");
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end, mut ranges) = (0, new, Vec::new());
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    // The old tree itself is known to the verifier; any other subtree is not.
    if start != 0 {
        ranges.push((start, end));
    }
    ranges.into_iter().rev().map(|(start, end)| range_root(reader, start, end)).collect()
}

/// Checks that `leaf` stands at `position` in the tree of `size` leaves under `root`.
///
/// # Errors
/// [`ProofError`] tells what is wrong with the proof.
pub fn verify_inclusion(
    leaf: Hash,
    position: u64,
    size: u64,
    root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if position >= size {
        return Err(ProofError::OutOfRange { asked: position, size });
    }
    let wrong_length = ProofError::Length { found: proof.len() };
    let (mut index, mut last, mut node) = (position, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length);
        }
        if index & 1 == 1 || index == last {
            node = node_hash(*sibling, node);
            while index & 1 == 0 && index != 0 {
                (index, last) = (index >> 1, last >> 1);
            }
        } else {
            node = node_hash(node, *sibling);
        }
        (index, last) = (index >> 1, last >> 1);
    }
    if last != 0 {
        return Err(wrong_length);
    }
    expect_root(root, node)
}

/// Checks that the tree of `old` leaves under `old_root` is the beginning of the tree of `new`
/// leaves under `new_root`.
///
/// # Errors
/// [`ProofError`] tells what is wrong with the proof.
pub fn verify_consistency(
    old: u64,
    old_root: Hash,
    new: u64,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange { asked: old, size: new });
    }
    let wrong_length = ProofError::Length { found: proof.len() };
    if old == 0 || old == new {
        let expected = if old == 0 { empty_root() } else { new_root };
        return if proof.is_empty() { expect_root(expected, old_root) } else { Err(wrong_length) };
    }
    let (mut index, mut last) = (old - 1, new - 1);
    while index & 1 == 1 {
        (index, last) = (index >> 1, last >> 1);
    }
    // An old tree that is one perfect subtree is its own first node.
    let mut rest = proof.iter();
    let first = if old.is_power_of_two() { Some(&old_root) } else { rest.next() };
    let Some(first) = first else { return Err(wrong_length) };
    let (mut old_node, mut new_node) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if index & 1 == 1 || index == last {
            old_node = node_hash(*sibling, old_node);
            new_node = node_hash(*sibling, new_node);
            while index & 1 == 0 && index != 0 {
                (index, last) = (index >> 1, last >> 1);
            }
        } else {
            new_node = node_hash(new_node, *sibling);
        }
        (index, last) = (index >> 1, last >> 1);
    }
    if last != 0 {
        return Err(wrong_length);
    }
    expect_root(old_root, old_node)?;
    expect_root(new_root, new_node)
}

fn expect_root(expected: Hash, found: Hash) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::Root { expected, found }) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::tlog::{Frontier, leaf_hash};

    struct Leaves(Vec<Hash>);

    impl NodeReader for Leaves {
        type Error = Infallible;
        fn node(&mut self, level: u8, index: u64) -> Result<Hash, Infallible> {
            let count = 1_usize << level;
            let start = index as usize * count;
            let mut frontier = Frontier::default();
            for leaf in &self.0[start..start + count] {
                frontier.push(*leaf);
            }
            Ok(frontier.root())
        }
    }

    fn leaves(n: u8) -> Leaves {
        Leaves((0..n).map(|i| leaf_hash(&[i])).collect())
    }

    /// Every way to spoil a proof by one step.
    fn spoiled(proof: &[Hash]) -> Vec<Vec<Hash>> {
        let mut all = vec![[proof, &[Hash([7; 32])]].concat()];
        for i in 0..proof.len() {
            let mut flipped = proof.to_vec();
            flipped[i].0[i % 32] ^= 1;
            let mut shortened = proof.to_vec();
            shortened.remove(i);
            let mut extended = proof.to_vec();
            extended.insert(i, proof[i]);
            all.extend([flipped, shortened, extended]);
        }
        all
    }

    #[test]
    fn inclusion_proofs_prove_and_nothing_else_does() {
        for size in 1..40_u8 {
            let mut tree = leaves(size);
            let root = tree_root(&mut tree, size.into()).unwrap();
            for position in 0..size {
                let leaf = tree.0[usize::from(position)];
                let (p, n) = (u64::from(position), u64::from(size));
                let proof = inclusion_proof(&mut tree, p, n).unwrap();
                assert_eq!(verify_inclusion(leaf, p, n, root, &proof), Ok(()));
                assert!(verify_inclusion(leaf_hash(b"x"), p, n, root, &proof).is_err());
                assert!(verify_inclusion(leaf, n, n, root, &proof).is_err());
                for bad in spoiled(&proof) {
                    assert!(verify_inclusion(leaf, p, n, root, &bad).is_err(), "{p} of {n}");
                }
            }
        }
    }

    #[test]
    fn consistency_proofs_prove_and_nothing_else_does() {
        for new in 0..40_u8 {
            let mut tree = leaves(new);
            let new_root = tree_root(&mut tree, new.into()).unwrap();
            for old in 0..=new {
                let (o, n) = (u64::from(old), u64::from(new));
                let old_root = tree_root(&mut tree, o).unwrap();
                let proof = consistency_proof(&mut tree, o, n).unwrap();
                assert_eq!(verify_consistency(o, old_root, n, new_root, &proof), Ok(()));
                assert!(verify_consistency(o, leaf_hash(b"x"), n, new_root, &proof).is_err());
                assert!(verify_consistency(n + 1, old_root, n, new_root, &proof).is_err());
                for bad in spoiled(&proof) {
                    assert!(verify_consistency(o, old_root, n, new_root, &bad).is_err());
                }
            }
        }
    }
}
