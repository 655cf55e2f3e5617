//! Hashes of the tree, and the frontier: the least state from which the tree can grow.

use std::fmt;

use bincode::{Decode, Encode};
use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

use crate::base::Digest;

/// A node of the tree: SHA-256, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Digest(self.0).fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Hashes a leaf: SHA-256(0x00 || data).
pub fn leaf_hash(data: &[u8]) -> Hash {
    // Leaves of a log are short: one block, with the bits counted at its end.
    let mut block = [0; 64];
    match block[..56].get_mut(1..data.len() + 2) {
        Some(room) => {
            let (text, end) = room.split_at_mut(data.len());
            text.copy_from_slice(data);
            end[0] = 0x80;
            block[56..].copy_from_slice(&(8 * (data.len() as u64 + 1)).to_be_bytes());
            of_blocks(&[block])
        }
        None => Hash(Sha256::new().chain_update([0]).chain_update(data).finalize().into()),
    }
}

/// Hashes an inner node: SHA-256(0x01 || left || right).
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    // Most of the hashes of a log are these: 65 bytes in two blocks, with the bits counted at the
    // end, as FIPS 180-4 pads them.
    let mut blocks = [[0; 64]; 2];
    blocks[0][0] = 1;
    blocks[0][1..33].copy_from_slice(&left.0);
    blocks[0][33..].copy_from_slice(&right.0[..31]);
    blocks[1][0] = right.0[31];
    blocks[1][1] = 0x80;
    blocks[1][56..].copy_from_slice(&(8_u64 * 65).to_be_bytes());
    of_blocks(&blocks)
}

/// SHA-256 of what was padded to whole blocks (FIPS 180-4, 5.1.1).
fn of_blocks(blocks: &[[u8; 64]]) -> Hash {
    // FIPS 180-4, 5.3.3.
    let mut state = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    compress256(&mut state, blocks);
    let mut hash = [0; 32];
    for (bytes, word) in hash.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Hash(hash)
}

/// The root of a tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// The perfect subtrees that make up a tree of some size, largest first: one per set bit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether there are as many nodes as the size asks for; always, except for foreign bytes.
    pub fn is_well_formed(&self) -> bool {
        self.nodes.len() == self.size.count_ones() as usize
    }

    /// Adds one leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf, |_, _, _| {});
    }

    /// Adds a perfect subtree of 2^`level` leaves and tells every inner node this completes, as
    /// (level, index, hash), lowest first.
    ///
    /// # Panics
    /// When the size is not a multiple of 2^`level`.
    pub fn push_subtree(
        &mut self,
        level: u8,
        root: Hash,
        mut completed: impl FnMut(u8, u64, Hash),
    ) {
        let count = 1_u64 << level;
        assert!(self.size.is_multiple_of(count), "BUG: subtree {level} at unaligned {}", self.size);
        let (mut index, mut at, mut node) = (self.size >> level, level, root);
        while index & 1 == 1 {
            // The set bit says that the left sibling is the last node kept.
            let Some(left) = self.nodes.pop() else { break };
            node = node_hash(left, node);
            (index, at) = (index >> 1, at + 1);
            completed(at, index, node);
        }
        self.nodes.push(node);
        self.size += count;
    }

    /// The node (level, index), if it is one of the subtrees kept.
    pub fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let higher = self.size.checked_shr(u32::from(level) + 1).unwrap_or(0);
        let kept = self.size >> level & 1 == 1 && index == higher << 1;
        kept.then(|| self.nodes[higher.count_ones() as usize])
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut nodes = self.nodes.iter().rev().copied();
        nodes
            .next()
            .map_or_else(empty_root, |last| nodes.fold(last, |right, left| node_hash(left, right)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The leaves and roots of the test vectors that every RFC 6962 implementation shares.
    pub(in crate::tlog) const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    #[test]
    fn short_texts_are_padded_as_sha_256_pads_them() {
        let bytes: Vec<u8> = (1..=200).collect();
        for len in 0..bytes.len() {
            let whole = [&[0], &bytes[..len]].concat();
            assert_eq!(leaf_hash(&bytes[..len]).0[..], Sha256::digest(&whole)[..], "{len} bytes");
        }
        let (left, right) = (leaf_hash(b"left"), leaf_hash(b"right"));
        let whole = [&[1], &left.0[..], &right.0].concat();
        assert_eq!(node_hash(left, right).0[..], Sha256::digest(&whole)[..]);
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        assert_eq!(
            empty_root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let mut frontier = Frontier::default();
        for (leaf, root) in LEAVES.iter().zip(ROOTS) {
            frontier.push(leaf_hash(&hex(leaf)));
            assert_eq!(frontier.root().to_string(), root);
            assert!(frontier.is_well_formed());
        }
    }

    #[test]
    fn subtrees_grow_the_same_tree_as_leaves() {
        let leaves: Vec<Hash> = (0_u8..40).map(|i| leaf_hash(&[i])).collect();
        let mut one_by_one = Frontier::default();
        let mut by_eight = Frontier::default();
        for chunk in leaves.chunks(8) {
            let mut sub = Frontier::default();
            for leaf in chunk {
                one_by_one.push(*leaf);
                sub.push(*leaf);
            }
            by_eight.push_subtree(3, sub.root(), |_, _, _| {});
            assert_eq!(by_eight, one_by_one);
            let last = by_eight.size() / 8 - 1;
            let kept = last.is_multiple_of(2).then(|| sub.root());
            assert_eq!(by_eight.node(3, last), kept);
            assert_eq!(by_eight.node(3, last + 1), None);
        }
    }
}
