//! A Merkle log after RFC 6962, pure: tree, proofs, log checkpoints and signed notes. Nodes are
//! SHA-256, so that C2SP tools and witnesses can check what annals proves.
//!
//! May use: `base`. Must never see: redb, `domain`, files, a clock.
//!
//! LOG-3: the stored tree is the tree of the stored bytes. LOG-4: every signed log checkpoint is
//! consistent with all later ones; [`verify_consistency`] is what decides that.
//!
//! Start reading at [`Frontier`], then `proof.rs`.

mod checkpoint;
mod note;
mod proof;
mod tree;

pub use checkpoint::{CheckpointError, LogCheckpoint};
pub use note::{NoteError, NoteKey, NoteSigner};
pub use proof::{
    NodeReader, ProofError, consistency_proof, inclusion_proof, tree_root, verify_consistency,
    verify_inclusion,
};
pub use tree::{Frontier, Hash, empty_root, leaf_hash, node_hash};
