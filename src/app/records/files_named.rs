//! Which events name a file.

use serde_json::Value;

use crate::domain::Kind;
use crate::domain::file_move::MoveEvent;
use crate::domain::registry::RegistryEvent;
use crate::domain::run::RunEvent;
use crate::domain::workspace::WorkspaceEvent;

/// Kinds whose events name files.
pub(in crate::app) const WITH_FILES: [Kind; 13] = [
    RunEvent::STARTED,
    RunEvent::CHECKPOINT_SAVED,
    RunEvent::CHECKPOINT_PRUNED,
    RunEvent::ARTIFACT_STORED,
    RunEvent::FINISHED,
    RunEvent::ARCHIVED,
    RunEvent::RESTORED,
    RunEvent::REPRODUCED,
    RegistryEvent::REQUESTED,
    RegistryEvent::PROMOTED,
    RegistryEvent::FOUND_DAMAGED,
    MoveEvent::PLANNED,
    WorkspaceEvent::BLOBS_REMOVED,
];

/// A digest without the word in front that names its algorithm.
pub(super) fn without_algorithm(text: &str) -> &str {
    ["blake3:", "sha256:"].iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text)
}

/// Whether a value names a file: its whole path, the end of its path, or how its digest begins.
pub(in crate::app) fn names_file(value: &Value, file: &str) -> bool {
    /// Fewer digits fit too many digests by chance.
    const DIGITS_MIN: usize = 8;
    match value {
        Value::String(text) => {
            let tail = text.strip_suffix(file).is_some_and(|rest| rest.ends_with('/'));
            let digest = without_algorithm(file);
            let digits =
                digest.len() >= DIGITS_MIN && digest.bytes().all(|b| b.is_ascii_hexdigit());
            let bare = without_algorithm(text);
            text == file || tail || (digits && bare.len() == 64 && bare.starts_with(digest))
        }
        Value::Array(items) => items.iter().any(|item| names_file(item, file)),
        Value::Object(fields) => fields.values().any(|item| names_file(item, file)),
        _ => false,
    }
}
