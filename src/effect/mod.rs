//! Files that move, safely: whatever crashes when, each file is whole at its source or at its
//! target (MOV-1), and repeating a step does no harm.
//!
//! May use: `base`, `domain`, `store`. Must never see: `projection`, `cli`. It appends no event:
//! `app` writes the plan into the log before the first step and the end after the last.
//!
//! Files come to a folder under a temporary name beside it, synced and checked by digest, and a
//! rename puts them in place. Folders of production models: `swap_dir.rs`, where to start reading.
//! Whole folders of runs: `relocate.rs`.

mod check;
mod damage;
mod pack;
mod relocate;
mod swap_dir;
#[cfg(test)]
mod tests;

pub use self::check::{BLOBS, EffectError, REMOVED, Recovered, check_plan, taken};
pub use damage::{holds_unknown, inspect};
pub use pack::packed_logs;
pub use relocate::{
    Size, abandon_relocation, is_weight_file, packed, packed_file, recover_relocation, relocate,
    repacked, size, survey, survey_pack,
};
pub use swap_dir::{
    clear, digests, from_blobs, place, recover_place, recover_removal, remove, replaced, take_back,
    take_back_removal,
};

use self::check::{at, check, digests_plain, plain, remove_dir, temporary};
