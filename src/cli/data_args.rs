//! The flags that say where labelled texts are and how to read them.

use std::path::PathBuf;

use super::context::Context;
use crate::app::{ID_COLUMN, LabelColumns, LabelSpec, Result, Source};

/// The heading of these flags. It is at each of them: one at the struct would be the heading of all
/// flags that follow, too.
const DATA: &str = "Data";

#[derive(Debug, clap::Args)]
pub(super) struct DataArgs {
    /// Labeled texts (.csv, .tsv, .jsonl, .parquet) or series (.npy instead of .jsonl), also .gz
    #[arg(help_heading = DATA, long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Validation rows from a file of their own, not taken from --data
    #[arg(help_heading = DATA, long, value_name = "FILE", requires = "data")]
    valid: Option<PathBuf>,
    /// Test rows from a file of their own, not taken from --data
    #[arg(help_heading = DATA, long, value_name = "FILE", requires = "data")]
    test: Option<PathBuf>,
    /// Column of the texts
    #[arg(help_heading = DATA, long, value_name = "NAME", default_value = "text")]
    text_column: String,
    /// Column of the labels
    #[arg(help_heading = DATA, long, value_name = "NAME", default_value = "label")]
    label_column: String,
    /// A column of 0 and 1 for each label: a row may have any number of them
    #[arg(help_heading = DATA, long, value_name = "NAMES", value_delimiter = ',')]
    #[arg(conflicts_with_all = ["label_column", "labels", "labels_file"])]
    label_columns: Vec<String>,
    /// The label column holds any number of labels: separated by commas, or a list
    #[arg(help_heading = DATA, long, conflicts_with = "label_columns")]
    multi_label: bool,
    /// The labels in output order, such as `a,b` or `0=hate,1=offensive` (by default those found);
    /// a label with a comma in quotes
    #[arg(help_heading = DATA, long)]
    labels: Option<String>,
    /// File with the names of the labels 0, 1, 2 and so on, one per line
    #[arg(help_heading = DATA, long, value_name = "FILE", conflicts_with = "labels")]
    labels_file: Option<PathBuf>,
    /// The first line of a .csv or .tsv is data, not a header; the columns are named 1, 2, 3
    #[arg(help_heading = DATA, long)]
    no_header: bool,
    /// Column whose equal values stay in one split, such as a patient
    #[arg(help_heading = DATA, long, value_name = "NAME")]
    group_column: Option<String>,
    /// Column with the name of each series, which is not one of its values
    #[arg(help_heading = DATA, long, value_name = "NAME", default_value = ID_COLUMN)]
    id_column: String,
    /// Skip rows with an empty text and record how many; without this they are refused
    #[arg(help_heading = DATA, long, requires = "data")]
    drop_empty: bool,
}

impl DataArgs {
    /// Whether no data was named.
    pub(super) fn is_empty(&self) -> bool {
        self.data.is_none()
    }

    /// What was asked for, if data was named.
    pub(super) fn source(self, context: &Context) -> Result<Option<Source>> {
        let Some(path) = self.data else { return Ok(None) };
        let labels = match (&self.labels, &self.labels_file) {
            (Some(labels), _) => LabelSpec::parse(labels)?,
            (None, Some(file)) => LabelSpec::from_file(&context.cwd.join(file))?,
            (None, None) => LabelSpec::Infer,
        };
        let label_columns = if !self.label_columns.is_empty() {
            LabelColumns::Flags(self.label_columns)
        } else if self.multi_label {
            LabelColumns::List(self.label_column)
        } else {
            LabelColumns::One(self.label_column)
        };
        Ok(Some(Source {
            path: context.cwd.join(path),
            valid: self.valid.map(|path| context.cwd.join(path)),
            test: self.test.map(|path| context.cwd.join(path)),
            header: !self.no_header,
            text_column: self.text_column,
            label_columns,
            labels,
            group_column: self.group_column,
            // Named by the settings.
            extra_columns: Vec::new(),
            id_column: self.id_column,
            drop_empty: self.drop_empty,
        }))
    }
}
