//! Bounds that hold everywhere. A bound is part of the format where its doc says so.

use std::time::Duration;

/// Most events in one sealed block (format).
pub const BLOCK_EVENTS_MAX: u64 = 1_024;
/// Raw bytes at which a block is sealed early (format).
pub const BLOCK_BYTES_MAX: usize = 256 * 1024;
/// Stored bytes of one part of a block: three with their keys fill one redb leaf of 4 KiB (format).
pub const BLOCK_PART_BYTES: usize = 1_344;
/// Payloads above this go to the blob store (format).
pub const PAYLOAD_INLINE_BYTES_MAX: usize = 64 * 1024;
/// Texts (configs, environments, diffs) above this go to the blob store as artifacts of an event.
pub const TEXT_INLINE_BYTES_MAX: usize = 4 * 1024;
/// Most points in one metric batch.
pub const METRIC_BATCH_POINTS_MAX: usize = 1_024;
/// Most metric batches in one commit of a recorder.
pub const METRIC_GROUP_BATCHES_MAX: usize = 16;
/// How long an interactive verb waits for the log's lock.
pub const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a recorder signs a log checkpoint, at most.
pub const SIGN_INTERVAL: Duration = Duration::from_secs(1);
/// Longest name of a run or a model, in bytes.
pub const NAME_BYTES_MAX: usize = 100;
