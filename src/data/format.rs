//! File formats, told by name.

use std::path::Path;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated, with a header.
    Csv,
    /// Tab-separated, with a header.
    Tsv,
    /// One JSON object per line.
    JsonLines,
    /// An array of NumPy; rows of numbers only.
    Npy,
    /// A table of Parquet.
    Parquet,
}

impl Format {
    /// The format that a file's name tells, and whether it is packed with gzip.
    pub fn of(path: &Path) -> Option<(Self, bool)> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (name, gz) = name.strip_suffix(".gz").map_or((name.as_str(), false), |n| (n, true));
        let format = match name.rsplit_once('.')?.1 {
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "jsonl" | "ndjson" => Self::JsonLines,
            "npy" => Self::Npy,
            "parquet" | "parq" => Self::Parquet,
            _ => return None,
        };
        Some((format, gz))
    }

    /// Whether files of the format are text.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::JsonLines)
    }

    /// The word used in events.
    pub fn word(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::JsonLines => "jsonl",
            Self::Npy => "npy",
            Self::Parquet => "parquet",
        }
    }
}
