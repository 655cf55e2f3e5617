//! Libraries that read foreign files and give up on some damaged ones by a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `read`; a panic of it is an error like any other.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("the file is damaged".to_owned()))
}
