//! Files that tests read: the repository's, and the real ones that lie beside it.

#![allow(clippy::disallowed_methods, reason = "where the real files are is the environment's word")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `tests/train/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    root().join("tests/train/fixtures").join(name)
}

/// A real file or folder, in `ANNALS_SHARED` or in `../shared` beside the checkout; where it is
/// not, `None` with the word "skipped".
pub fn shared(path: impl AsRef<Path>) -> Option<PathBuf> {
    let named = std::env::var_os("ANNALS_SHARED").map(PathBuf::from);
    let found = named.unwrap_or_else(|| root().join("../shared")).join(path);
    if !found.exists() {
        println!("skipped: {} is not here", found.display());
        return None;
    }
    Some(found)
}
