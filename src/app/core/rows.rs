//! Rows that a verb made, as a file: one way to write them for all verbs.

use std::io;
use std::path::Path;

use crate::analysis::document::markdown_table;
use crate::app::{DataRow, Error, ErrorKind, Result};
use crate::port::export::write_parquet;
use crate::port::table::{CsvCells, Row, Type, Value, write_csv};

/// A format of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// RFC 4180, with a heading.
    Csv,
    /// One array of objects.
    Json,
    /// An object a line.
    Jsonl,
    /// A table of a Markdown page.
    Markdown,
    /// Parquet, with types.
    Parquet,
}

impl RowFormat {
    /// What names of such files end in.
    pub const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &["csv"],
            Self::Json => &["json"],
            Self::Jsonl => &["jsonl", "ndjson"],
            Self::Markdown => &["md"],
            Self::Parquet => &["parquet"],
        }
    }

    /// The one of `known` that the name of a file asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when it ends in none of their suffixes.
    pub fn of(path: &Path, known: &[Self]) -> Result<Self> {
        let suffix = path.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        let found = known.iter().find(|format| format.suffixes().contains(&suffix));
        found.copied().ok_or_else(|| {
            let suffixes: Vec<String> =
                known.iter().map(|format| format!(".{}", format.suffixes()[0])).collect();
            let (last, others) = suffixes.split_last().map_or(("", &[][..]), |(l, o)| (l, o));
            let message = format!(
                "--out {}: the suffix must be {} or {last}",
                path.display(),
                others.join(", ")
            );
            Error::new(ErrorKind::Usage, message)
        })
    }
}

/// Rows with the names of their columns.
#[derive(Clone, Copy, Debug)]
pub struct RowTable<'r> {
    /// What the rows are, in one word.
    pub name: &'r str,
    /// Names of the columns.
    pub columns: &'r [String],
    /// Their types, where they are known; the cells tell otherwise.
    pub kinds: &'r [Option<Type>],
    /// Rows of as many cells.
    pub rows: &'r [Row],
    /// How texts are written in CSV.
    pub cells: CsvCells,
}

impl RowTable<'_> {
    /// The rows as JSON objects.
    pub fn objects(&self) -> impl Iterator<Item = DataRow> {
        let object = |row: &Row| {
            let values = row.iter().map(Value::to_json);
            DataRow(self.columns.iter().cloned().zip(values).collect())
        };
        self.rows.iter().map(object)
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the rows do not fit the format.
    pub fn bytes(&self, format: RowFormat) -> Result<Vec<u8>> {
        self.written(format).map_err(|e| Error::io(format!("write the {}", self.name), e))
    }

    fn written(&self, format: RowFormat) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match format {
            RowFormat::Csv => write_csv(&mut bytes, self.columns, self.rows, self.cells)?,
            RowFormat::Json => {
                let rows: Vec<DataRow> = self.objects().collect();
                serde_json::to_writer_pretty(&mut bytes, &rows)?;
                bytes.push(b'\n');
            }
            RowFormat::Jsonl => {
                for row in self.objects() {
                    serde_json::to_writer(&mut bytes, &row)?;
                    bytes.push(b'\n');
                }
            }
            RowFormat::Markdown => {
                let shown =
                    |row: &Row| row.iter().map(|cell| cell.to_text().into_owned()).collect();
                let rows: Vec<Vec<String>> = self.rows.iter().map(shown).collect();
                bytes = markdown_table(self.columns, &rows).into_bytes();
            }
            RowFormat::Parquet => {
                write_parquet(&mut bytes, self.name, self.columns, self.kinds, self.rows)?;
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_asks_for_a_format_or_is_refused_with_the_known_ones() {
        let known = [RowFormat::Csv, RowFormat::Jsonl, RowFormat::Parquet];
        let of = |name: &str| RowFormat::of(Path::new(name), &known);
        assert_eq!(of("a/b.csv").unwrap(), RowFormat::Csv);
        assert_eq!(of("rows.ndjson").unwrap(), RowFormat::Jsonl);
        for name in ["rows.md", "rows", "csv", ".csv", "rows.CSV"] {
            let refused = of(name).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Usage);
            let suffixes = "the suffix must be .csv, .jsonl or .parquet";
            assert_eq!(refused.to_string(), format!("--out {name}: {suffixes}"));
        }
    }

    #[test]
    fn every_format_has_the_same_cells() {
        let columns = ["name", "score"].map(str::to_owned);
        let rows = [vec!["a|b".into(), 0.5.into()], vec!["c".into(), None::<f64>.into()]];
        let (name, kinds, cells) = ("rows", &[][..], CsvCells::Exact);
        let table = RowTable { name, columns: &columns, kinds, rows: &rows, cells };
        let text = |format| String::from_utf8(table.bytes(format).unwrap()).unwrap();
        assert_eq!(text(RowFormat::Csv), "name,score\na|b,0.5\nc,\n");
        assert_eq!(
            text(RowFormat::Jsonl),
            "{\"name\":\"a|b\",\"score\":0.5}\n{\"name\":\"c\",\"score\":null}\n"
        );
        let parsed: serde_json::Value = serde_json::from_str(&text(RowFormat::Json)).unwrap();
        assert_eq!(parsed[1]["name"], "c");
        assert_eq!(
            text(RowFormat::Markdown),
            "| name | score |\n| --- | --- |\n| a\\|b | 0.5 |\n| c |  |\n"
        );
        assert_eq!(table.bytes(RowFormat::Parquet).unwrap()[..4], *b"PAR1");
    }
}
