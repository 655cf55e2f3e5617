//! Files of texts to be answered: a table of whatever format training reads, or a text in each
//! line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::app::{Error, ErrorKind, Result};
use crate::data::{DataError, Format, Table, read_table};

/// A file of texts.
pub enum TextFile {
    /// A text in each line.
    Lines(Box<dyn BufRead>),
    /// A table, of which one column holds the texts.
    Table(Table),
}

impl TextFile {
    /// Opens the file at `path`; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be read, or is a table that is not understood.
    pub fn open(path: &Path, header: bool) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Lines(Box::new(BufReader::new(io::stdin()))));
        }
        if Format::of(path).is_some() {
            return Ok(Self::Table(read_table(path, header)?));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let (name, is_packed) = name.strip_suffix(".gz").map_or((&*name, false), |n| (n, true));
        // Read line by line, its brackets would be answered as texts.
        if [".json", ".xlsx", ".xls"].iter().any(|ending| name.ends_with(ending)) {
            let known = "csv, tsv, jsonl, parquet, or txt with a text in each line";
            return Err(DataError::Format { path: path.to_owned(), known }.into());
        }
        let file = File::open(path).map_err(|e| {
            Error::caused(ErrorKind::Data, format!("cannot read {}", path.display()), e)
        })?;
        let plain = BufReader::new(file);
        Ok(Self::Lines(if is_packed {
            Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        }))
    }
}
