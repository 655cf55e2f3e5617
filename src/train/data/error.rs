//! Data that cannot be used, each naming the file and the row.

use std::io;
use std::path::PathBuf;

use super::lexicon::LexiconError;
use crate::base::Split;
use crate::train::Pickle;
use crate::train::hf::HfError;

/// Data that cannot be used. Rows count from 1 and do not count the header.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be read, or a `.gz` file is damaged.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is not loaded.
    #[error(transparent)]
    Pickle(Pickle),
    /// The name tells no known format.
    #[error("{}: unknown format (known: {known}, each also .gz)", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is read.
        known: &'static str,
    },
    /// A cell of a series that is not a finite number.
    #[error("{}: row {row}: \"{found}\" in column \"{column}\" is not a finite number", path.display())]
    Number {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The column.
        column: String,
        /// As found.
        found: String,
    },
    /// A series of another length than the model takes.
    #[error("{}: {found} columns of numbers ({first}), {expected} expected", path.display())]
    Width {
        /// The file.
        path: PathBuf,
        /// As configured.
        expected: u32,
        /// How many there are.
        found: usize,
        /// The names of the first ones.
        first: String,
    },
    /// A cell that cannot be used.
    #[error("{}: row {row}: column \"{column}\" {problem}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of NumPy or Parquet that is not understood.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No file with the labels of an array.
    #[error("no labels for {}: one of {} is expected", path.display(), looked_for.join(", "))]
    NoLabels {
        /// The array.
        path: PathBuf,
        /// The names of files that may hold them.
        looked_for: Vec<String>,
    },
    /// Labels for another number of rows.
    #[error("{} has {found} rows, {} has {rows}", labels.display(), path.display())]
    LabelRows {
        /// The array.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// The file of the labels.
        labels: PathBuf,
        /// Its rows.
        found: usize,
    },
    /// No rows.
    #[error("{} holds no rows", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// More rows than can be numbered.
    #[error("{} holds more than {max} rows", path.display())]
    TooManyRows {
        /// The file.
        path: PathBuf,
        /// The bound.
        max: u32,
    },
    /// Text that is not UTF-8.
    #[error("{}: row {row} (line {line}) is not UTF-8", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The line it starts on.
        line: u64,
    },
    /// A row that is not CSV, TSV or JSON.
    #[error("{}: row {row} (line {line}): {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The line it starts on.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// A column that the file lacks.
    #[error("{}: no column \"{column}\"{} (columns: {})", path.display(), near(.nearest.as_ref()), known.join(", "))]
    Column {
        /// The file.
        path: PathBuf,
        /// As asked for.
        column: String,
        /// The column most like it.
        nearest: Option<String>,
        /// All columns.
        known: Vec<String>,
    },
    /// A label that was not listed. It never becomes class 0.
    #[error("{}: row {row}: unknown label \"{label}\"{} (labels: {})", path.display(), near(.nearest.as_ref()), known.join(", "))]
    Label {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// As found.
        label: String,
        /// The label most like it.
        nearest: Option<String>,
        /// All labels.
        known: Vec<String>,
    },
    /// A label column with something else than a truth value.
    #[error("{}: row {row}: \"{found}\" in column \"{column}\", 0 or 1 expected", path.display())]
    Flag {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The column of the label.
        column: String,
        /// As found.
        found: String,
    },
    /// A text of nothing but white space.
    #[error("{}: row {row}: the text is empty", path.display())]
    EmptyText {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
    },
    /// Nothing to tell apart.
    #[error("{}: all {rows} rows have the label \"{label}\"", path.display())]
    OneClass {
        /// The file.
        path: PathBuf,
        /// The only label.
        label: String,
        /// How many rows.
        rows: usize,
    },
    /// A list of labels that cannot be used.
    #[error("labels \"{spec}\": {problem}")]
    LabelSpec {
        /// As given.
        spec: String,
        /// What is wrong.
        problem: String,
    },
    /// As many classes as the settings say are not there.
    #[error("`model.num_classes` is {configured}, but there are {found} labels ({})", labels.join(", "))]
    ClassCount {
        /// As configured.
        configured: u32,
        /// How many labels.
        found: usize,
        /// All labels.
        labels: Vec<String>,
    },
    /// An auxiliary head with nothing to tell apart.
    #[error("head \"{head}\": the training rows have {} labels in column \"{column}\" ({}), at least 2 are needed", found.len(), found.join(", "))]
    Head {
        /// The head.
        head: String,
        /// The column of its labels.
        column: String,
        /// The labels of the training rows.
        found: Vec<String>,
    },
    /// A rationale that is no part of its text.
    #[error("row {row}: \"{passage}\" of column \"{column}\" does not stand in the row's text")]
    Rationale {
        /// The row, over all files, from 0.
        row: u32,
        /// The column of rationales.
        column: String,
        /// The passage.
        passage: String,
    },
    /// The lexicon.
    #[error(transparent)]
    Lexicon(#[from] LexiconError),
    /// A split that no row fell into.
    #[error("no {} rows out of {rows}: more data or other fractions are needed", split.word())]
    EmptySplit {
        /// The split.
        split: Split,
        /// Rows in all.
        rows: usize,
    },
    /// The tokenizer, or the folder to fine-tune from.
    #[error(transparent)]
    HuggingFace(#[from] HfError),
}

fn near(nearest: Option<&String>) -> String {
    nearest.map(|word| format!(", did you mean \"{word}\"?")).unwrap_or_default()
}
