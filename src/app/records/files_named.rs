//! Which events name a file.

use serde_json::Value;

/// Kinds whose events name files.
pub(in crate::app) const WITH_FILES: [&str; 12] = [
    "run.started",
    "run.train_checkpoint_saved",
    "run.train_checkpoint_pruned",
    "run.artifact_stored",
    "run.finished",
    "run.archived",
    "run.restored",
    "run.reproduced",
    "model.promoted",
    "model.found_damaged",
    "move.planned",
    "blobs.removed",
];

/// Whether a value names a file: its whole path, the end of its path, or how its digest begins.
pub(in crate::app) fn names_file(value: &Value, file: &str) -> bool {
    /// Fewer digits fit too many digests by chance.
    const DIGITS_MIN: usize = 8;
    match value {
        Value::String(text) => {
            let tail = text.strip_suffix(file).is_some_and(|rest| rest.ends_with('/'));
            let digest = file.strip_prefix("blake3:").unwrap_or(file);
            let digits =
                digest.len() >= DIGITS_MIN && digest.bytes().all(|b| b.is_ascii_hexdigit());
            let bare = text.strip_prefix("blake3:").unwrap_or(text);
            text == file || tail || (digits && bare.len() == 64 && bare.starts_with(digest))
        }
        Value::Array(items) => items.iter().any(|item| names_file(item, file)),
        Value::Object(fields) => fields.values().any(|item| names_file(item, file)),
        _ => false,
    }
}
