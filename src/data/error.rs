//! Data that cannot be used, each naming the file and the row.

use std::io;
use std::path::PathBuf;

use super::lexicon::LexiconError;
use crate::base::{Split, counted};
use crate::data::Pickle;

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
    #[error("{}: {} of numbers ({first}), {expected} expected", path.display(), counted(*found, "column"))]
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
    #[error("{} has {}, {} has {rows}", labels.display(), counted(*found, "row"), path.display())]
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
    /// Another sign stands between the columns.
    #[error("{}: no column \"{column}\": the columns seem to be separated by {found}, {expected} \
         expected", path.display())]
    Separator {
        /// The file.
        path: PathBuf,
        /// As asked for.
        column: String,
        /// What separates them.
        found: &'static str,
        /// What the name of the file promises.
        expected: &'static str,
    },
    /// Two columns of one name.
    #[error("{}: two columns are called \"{column}\"; rename one of them", path.display())]
    TwoColumns {
        /// The file.
        path: PathBuf,
        /// Their name.
        column: String,
    },
    /// Text in units of 16 or 32 bits.
    #[error("{} is {encoding}, UTF-8 expected", path.display())]
    Unicode {
        /// The file.
        path: PathBuf,
        /// How it is encoded.
        encoding: &'static str,
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
        /// Whether the labels were given names of their own.
        named: bool,
    },
    /// A row without a label where it needs one, or no row with a label.
    #[error("{}: {}", path.display(), missing(*row, column))]
    NoLabel {
        /// The file.
        path: PathBuf,
        /// The row; none where no row has one.
        row: Option<u64>,
        /// The column.
        column: String,
    },
    /// Several labels where a row has one.
    #[error("{}: row {row} has {} labels ({}), one expected", path.display(), found.len(), found.join(", "))]
    ManyLabels {
        /// The file.
        path: PathBuf,
        /// The row.
        row: u64,
        /// The labels.
        found: Vec<String>,
    },
    /// A list of 0 and 1 for each row where labels are expected.
    #[error("{}: row {row}: column \"{column}\" holds a vector (a list with a number for each \
         label), a list of labels expected", path.display())]
    Vector {
        /// The file.
        path: PathBuf,
        /// The first row that has one.
        row: u64,
        /// The column.
        column: String,
    },
    /// Two labels or groups that are one number.
    #[error("{}: column \"{column}\" holds \"{first}\" and \"{second}\", one number in two \
         spellings; write it one way", path.display())]
    Spellings {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// Values that seem to be several labels each.
    #[error("{}: column \"{column}\" has {labels} different labels made of {parts}, such as \
         \"{example}\": rows seem to have several labels", path.display())]
    Combined {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// How many labels as read.
        labels: usize,
        /// One of them.
        example: String,
        /// How many labels they are made of.
        parts: usize,
        /// What separates them.
        sign: char,
        /// Whether several labels are asked for.
        multi: bool,
    },
    /// No row with a text.
    #[error("{}: every text is empty ({})", path.display(), counted(*rows, "row"))]
    AllEmpty {
        /// The file.
        path: PathBuf,
        /// How many rows.
        rows: usize,
    },
    /// Training texts without anything that the model reads.
    #[error("the vocabulary is empty: {problem}")]
    NoWords {
        /// What is missing.
        problem: String,
    },
    /// Training rows of a single class.
    #[error("all {rows} training rows have the label \"{label}\", at least 2 labels are needed")]
    OneTrainingClass {
        /// The only label.
        label: String,
        /// How many rows.
        rows: usize,
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
    #[error("{}: every row has the label \"{label}\" ({})", path.display(), counted(*rows, "row"))]
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
    #[error("`model.num_classes` is {configured}, but the data has {} ({})", counted(*found, "label"), labels.join(", "))]
    ClassCount {
        /// As configured.
        configured: u32,
        /// How many labels.
        found: usize,
        /// All labels.
        labels: Vec<String>,
    },
    /// An auxiliary head with nothing to tell apart.
    #[error("head \"{head}\": the training rows have {} in column \"{column}\" ({}), at \
         least 2 are needed", counted(found.len(), "label"), found.join(", "))]
    Head {
        /// The head.
        head: String,
        /// The column of its labels.
        column: String,
        /// The labels of the training rows.
        found: Vec<String>,
    },
    /// A rationale that is no part of its text.
    #[error("row {row}: \"{passage}\" of column \"{column}\" does not occur in the row's text")]
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
}

impl DataError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::EmptyText { .. } => {
                Some("`--drop-empty` leaves such rows out and records how many".into())
            }
            Self::Unicode { path, encoding } => {
                Some(format!("`iconv -f {encoding} -t UTF-8 {} > NEW`", path.display()))
            }
            Self::ManyLabels { .. } => {
                Some("`--multi-label` is for rows with any number of labels".into())
            }
            Self::Vector { .. } => Some(
                "write a column of 0 and 1 for each label and name them with --label-columns, or \
                 list the names of the labels that a row has"
                    .into(),
            ),
            Self::Combined { multi: false, sign: ',', .. } => Some(
                "`--multi-label` reads them; if each is one label, list all of them with --labels, \
                 those with a comma in quotes"
                    .into(),
            ),
            Self::Combined { sign, .. } => Some(format!(
                "`--multi-label` reads labels separated by commas, not by '{sign}'; if each is one \
                 label, list all of them with --labels"
            )),
            Self::Label { label, known, named: false, .. } => {
                let number: usize = label.parse().ok()?;
                let are_words = known.iter().all(|label| label.parse::<f64>().is_err());
                let pairs = known.iter().enumerate();
                let pairs: Vec<String> = pairs.map(|(at, name)| format!("{at}={name}")).collect();
                (are_words && number < known.len()).then(|| {
                    format!("`--labels {}` names the values of the file", pairs.join(","))
                })
            }
            Self::Width { found, .. } => {
                Some(format!("`--set pat.length={found}` takes rows of that length"))
            }
            _ => None,
        }
    }
}

fn missing(row: Option<u64>, column: &str) -> String {
    match row {
        Some(row) => format!("row {row}: column \"{column}\" is empty, a label expected"),
        None => format!("no row has a label in column \"{column}\""),
    }
}

fn near(nearest: Option<&String>) -> String {
    nearest.map(|word| format!(", did you mean \"{word}\"?")).unwrap_or_default()
}
