//! Help, and errors of a command line that cannot be read.

use std::env;
use std::process::ExitCode;

use super::format::Format;
use super::ui::Ui;
use crate::app::{Error, ErrorKind};

/// Prints help, or the error in the format that the command line chooses.
pub(super) fn fail(error: &clap::Error) -> ExitCode {
    // Help and version are not errors; clap knows where each goes.
    if !error.use_stderr() || !wants_json(env::args().skip(1)) {
        let _ = error.print();
        return ExitCode::from(u8::from(error.use_stderr()) * 2);
    }
    Ui::new(Format::Json, true).fail(&usage(&error.to_string()))
}

/// The error in clap's text: its first line is the message, the paragraphs below it are hints.
fn usage(text: &str) -> Error {
    let text = text.trim();
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let words = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = words(message.strip_prefix("error: ").unwrap_or(message));
    rest.split("\n\n")
        .map(words)
        .filter(|hint| !hint.is_empty())
        .fold(Error::new(ErrorKind::Usage, message), Error::hint)
}

/// Whether `--format json` or `jsonl` is among words that clap could not read as a whole.
fn wants_json(words: impl Iterator<Item = String>) -> bool {
    let mut words = words.take_while(|word| word != "--");
    let mut found = false;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--format=") {
            Some(value) => Some(value.to_owned()),
            None if word == "--format" => words.next(),
            None => None,
        };
        found = value.map_or(found, |value| value == "json" || value == "jsonl");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_wanted_where_it_is_the_format() {
        for (line, wanted) in [
            ("list --frob --format json", true),
            ("--format=jsonl list --frob", true),
            ("list --format csv --frob", false),
            ("list --frob", false),
            ("run exec -- python train.py --format json", false),
            ("list --format", false),
        ] {
            assert_eq!(wants_json(line.split(' ').map(ToOwned::to_owned)), wanted, "{line}");
        }
    }

    #[test]
    fn the_message_is_the_first_paragraph_and_the_rest_are_hints() {
        let error = usage(
            "error: unexpected argument '--frob' found\n\n  tip: a similar argument exists: \
             '--from'\n\nUsage: annals list [OPTIONS]\n\nFor more information, try \
             '--help'.\n",
        );
        assert_eq!(error.to_string(), "unexpected argument '--frob' found");
        assert_eq!(
            error.hints,
            [
                "tip: a similar argument exists: '--from'",
                "Usage: annals list [OPTIONS]",
                "For more information, try '--help'."
            ]
        );
    }
}
