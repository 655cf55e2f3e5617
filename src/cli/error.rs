//! How an error is printed.

use std::error::Error as _;
use std::fmt::Write as _;

use serde_json::json;

use crate::app::Error;

/// `error:`, the causes, an empty line, the hints.
pub(super) fn human(error: &Error) -> String {
    let mut text = format!("error: {error}\n");
    // Writing to a String cannot fail.
    let mut cause = error.source();
    while let Some(source) = cause {
        let _ = writeln!(text, "caused by: {source}");
        cause = source.source();
    }
    if !error.hints.is_empty() {
        text.push('\n');
    }
    for hint in &error.hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// One object, for programs.
pub(super) fn json(error: &Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(source) = cause {
        causes.push(source.to_string());
        cause = source.source();
    }
    json!({
        "error": error.to_string(),
        "kind": error.kind.word(),
        "exit_code": error.kind.exit_code(),
        "caused_by": causes,
        "hints": error.hints,
    })
    .to_string()
        + "\n"
}
