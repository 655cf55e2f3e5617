//! The words every other module is written in: ids, digests, time, bytes and limits.
//!
//! May use: `std` and small crates. Must never see: anything else of annals. No policy here; the
//! only I/O is the system clock and entropy behind [`Env`], the durable writes of [`durable`], and
//! the checked paths of [`confine`].
//!
//! To add an id: one line in `id.rs`. Start reading at [`Env`], then [`codec`].

pub mod codec;
pub mod confine;
mod count;
mod digest;
pub mod durable;
mod env;
pub mod failpoint;
mod fixed;
pub(crate) mod guard;
mod id;
pub mod limits;
pub mod markdown;
pub mod mask;
mod measure;
pub mod parallel;
pub mod score;
pub mod suggest;
mod time;

pub use count::{are, counted, plural};
pub use digest::{Digest, DigestWriter, FileDigests, ParseDigestError, PublicKey, Sha256Digest};
pub use env::{Clock, Entropy, Env, FixedClock, SeededEntropy};
pub use fixed::fixed;
pub use id::{CommandId, InvocationId, LogId, MoveId, ParseIdError, RequestId, RunId};
pub use measure::{Direction, Split, is_bound, is_count};
pub use time::{ParseTimeError, TimeSpan, Timestamp};
