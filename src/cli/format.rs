//! The formats of answers: `--format`, and the suffix of `--out`.
//!
//! Every verb prints `human`, `json` and `jsonl`; [`MORE`] lists the verbs that have more. To add
//! one: a line there, and the verb prints it.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Arg, Command, ValueEnum};

use crate::app::{Error, ErrorKind};

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Human,
    /// For programs: one JSON document
    Json,
    /// For programs: one JSON object on each line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
    /// A Markdown table or document
    Markdown,
    /// A typed table; binary, so it is written to a file or a pipe
    Parquet,
    /// Findings for code scanning
    Sarif,
}

const EVERYWHERE: [Format; 3] = [Format::Human, Format::Json, Format::Jsonl];

/// The verbs with further formats.
const MORE: &[(&str, &[Format])] = &[
    ("audit", &[Format::Sarif]),
    ("best", &[Format::Csv, Format::Markdown]),
    ("compare", &[Format::Csv, Format::Markdown, Format::Parquet]),
    ("consolidate report", &[Format::Markdown]),
    ("list", &[Format::Csv, Format::Markdown]),
    ("log", &[Format::Csv]),
    ("models", &[Format::Csv, Format::Markdown]),
    ("predict", &[Format::Csv, Format::Parquet]),
    ("query", &[Format::Csv, Format::Markdown, Format::Parquet]),
    ("report", &[Format::Markdown]),
];

impl Format {
    /// The word for it on the command line.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
            Self::Parquet => "parquet",
            Self::Sarif => "sarif",
        }
    }

    /// Whether messages for programs are JSON as well.
    pub(super) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl | Self::Sarif)
    }
}

/// The formats of the verb at `path`, such as `consolidate report`.
fn formats(path: &str) -> Vec<Format> {
    let more = MORE.iter().find(|(verb, _)| *verb == path).map_or(&[][..], |(_, more)| more);
    EVERYWHERE.iter().chain(more).copied().collect()
}

/// Refuses a format that the verb at `path` does not have.
///
/// # Errors
/// [`ErrorKind::Usage`], with the formats that it has.
pub(super) fn check(path: &str, format: Format) -> Result<(), Error> {
    let formats = formats(path);
    if formats.contains(&format) {
        return Ok(());
    }
    let known: Vec<&str> = formats.into_iter().map(Format::word).collect();
    let message = format!("`annals {path}` cannot print {}", format.word());
    Err(Error::new(ErrorKind::Usage, message)
        .hint(format!("--format is one of {}", known.join(", "))))
}

/// Gives each verb below `command` its own `--format`, so that its help lists what it has.
pub(super) fn with_formats(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|verb| {
        let name = verb.get_name();
        let path = if path.is_empty() { name.to_owned() } else { format!("{path} {name}") };
        with_formats(verb, &path)
    });
    if path.is_empty() { command } else { command.arg(format_arg(&formats(path))) }
}

fn format_arg(formats: &[Format]) -> Arg {
    let values = formats.iter().filter_map(Format::to_possible_value).map(|value| value.help(""));
    let words: Vec<&str> = formats.iter().map(|format| format.word()).collect();
    let parser = PossibleValuesParser::new(values);
    Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .default_value(Format::Human.word())
        .value_parser(parser.map(|word| Format::from_str(&word, false).unwrap_or_default()))
        .hide_possible_values(true)
        .help_heading(super::GLOBAL)
        .help(format!("How to print the answer: {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_formats_of_a_verb_are_accepted() {
        for (path, format, accepted) in [
            ("list", Format::Csv, true),
            ("list", Format::Parquet, false),
            ("audit", Format::Sarif, true),
            ("status", Format::Sarif, false),
            ("consolidate report", Format::Markdown, true),
            ("consolidate plan", Format::Markdown, false),
            ("status", Format::Jsonl, true),
        ] {
            assert_eq!(check(path, format).is_ok(), accepted, "{path} {format:?}");
        }
    }

    #[test]
    fn every_verb_with_more_formats_exists() {
        let command = crate::cli::command();
        for (path, _) in MORE {
            let found =
                path.split(' ').try_fold(&command, |command, name| command.find_subcommand(name));
            assert!(found.is_some(), "there is no verb {path}");
        }
    }

    #[test]
    fn a_format_counts_before_and_after_the_verb() {
        use clap::FromArgMatches as _;
        for (words, format) in [
            (&["annals", "--format", "json", "list"][..], Format::Json),
            (&["annals", "list", "--format", "csv"], Format::Csv),
            (&["annals", "consolidate", "report", "--format", "markdown"], Format::Markdown),
            (&["annals", "list"], Format::Human),
        ] {
            let matches = crate::cli::command().try_get_matches_from(words).unwrap();
            let args = crate::cli::program::Args::from_arg_matches(&matches).unwrap();
            assert_eq!(args.global.format, format, "{words:?}");
        }
        assert!(
            crate::cli::command()
                .try_get_matches_from(["annals", "list", "--format", "sarif"])
                .is_err()
        );
    }
}
