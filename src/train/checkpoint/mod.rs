//! Training checkpoints: which to keep, how they reach the disk whole, how they are read back.
//!
//! One folder per checkpoint, `checkpoints/step-<number>`, with the learner's files, the trainer's
//! own state in `trainer.bin` and `manifest.json` with the digest of each file. A crash leaves at
//! most a folder whose name starts with `.`, which the next start removes.
//!
//! Start reading at [`Checkpoints`].

mod policy;
mod store;

pub use policy::{RetainedCheckpoint, prune};
pub use store::{CheckpointError, CheckpointManifest, Checkpoints, MANIFEST_FILE, STATE_FILE};
