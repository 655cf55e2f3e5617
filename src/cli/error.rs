//! How an error is printed.

use std::error::Error as _;
use std::fmt::Write as _;

use crate::app::{Error, Failure};

/// `error:`, the causes, an empty line, the hints.
pub(super) fn human(error: &Error) -> String {
    let causes = causes(error);
    let hints = hints(error, &causes);
    let mut text = format!("error: {error}\n");
    // Writing to a String cannot fail.
    for cause in causes {
        let _ = writeln!(text, "caused by: {cause}");
    }
    if !hints.is_empty() {
        text.push('\n');
    }
    for hint in hints {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// One object, for programs.
pub(super) fn json(error: &Error) -> String {
    let causes = causes(error);
    let failure = Failure {
        error: error.to_string(),
        kind: error.kind.word(),
        exit_code: error.kind.exit_code(),
        hints: hints(error, &causes),
        caused_by: causes,
    };
    // Plain texts and a number always fit JSON.
    serde_json::to_string(&failure).unwrap_or_default() + "\n"
}

fn causes(error: &Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(source) = cause {
        causes.push(source.to_string());
        cause = source.source();
    }
    causes
}

/// What to do; a full disk is told by its text, because the database hands on nothing else.
fn hints(error: &Error, causes: &[String]) -> Vec<String> {
    let mut hints = error.hints.clone();
    let full = ["(os error 27)", "(os error 28)", "(os error 122)"];
    if causes.iter().any(|cause| full.iter().any(|code| cause.contains(code))) {
        hints.insert(0, "free disk space (or raise the quota), then try again".to_owned());
    }
    hints
}
