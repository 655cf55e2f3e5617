//! Tables of Parquet, column by column: texts, numbers and truth values, and lists of them.
//!
//! Shared by the readers of texts and of series. Columns that nest deeper, and kinds whose stored
//! numbers mean something else (decimals, dates), are refused by name. Damage is an error, whatever
//! the library makes of it.

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::pages::Checked;
use super::value::Value;
use crate::base::counted;
use crate::base::guard::guarded;

/// Records that are decoded together.
const RECORDS: usize = 1_024;

/// A file whose columns can be read.
pub(super) struct Table {
    file: bytes::Bytes,
    reader: SerializedFileReader<bytes::Bytes>,
    names: Vec<String>,
    rows: usize,
}

impl Table {
    /// Opens a whole file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn open(content: Vec<u8>) -> Result<Self, String> {
        guarded(|| {
            let file = bytes::Bytes::from(content);
            let reader = SerializedFileReader::new(file.clone()).map_err(said)?;
            let schema = reader.metadata().file_metadata().schema_descr();
            let fields = schema.root_schema().get_fields();
            let names = fields.iter().map(|field| field.name().to_owned()).collect();
            let rows = reader.metadata().file_metadata().num_rows();
            // Before anything is made for so many rows.
            let of_groups = reader
                .metadata()
                .row_groups()
                .iter()
                .map(parquet::file::metadata::RowGroupMetaData::num_rows);
            let found = of_groups.fold(0, i64::saturating_add);
            if found != rows {
                return Err(format!("{rows} rows announced, its parts have {found}"));
            }
            let rows = usize::try_from(rows).map_err(|_| format!("{rows} rows announced"))?;
            Ok(Self { file, reader, names, rows })
        })
    }

    /// The names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows every column has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The column at `at`, one value for each row.
    ///
    /// # Errors
    /// For damaged files and kinds that are not read.
    pub(super) fn column(&self, at: usize) -> Result<Vec<Value>, String> {
        guarded(|| self.read_column(at))
    }

    /// Why the column at `at` is of a kind that is not read, if it is.
    pub(super) fn unreadable(&self, at: usize) -> Option<String> {
        guarded(|| self.leaf(at)).err()
    }

    /// The stored column of the column at `at`.
    fn leaf(&self, at: usize) -> Result<usize, String> {
        let schema = self.reader.metadata().file_metadata().schema_descr();
        let leaves: Vec<usize> = (0..schema.num_columns())
            .filter(|leaf| schema.get_column_root_idx(*leaf) == at)
            .collect();
        let name = &self.names[at];
        let [leaf] = leaves[..] else {
            return Err(format!("column \"{name}\" has parts, which is not read"));
        };
        match unreadable(&schema.column(leaf)) {
            Some(problem) => Err(format!("column \"{name}\" {problem}, which is not read")),
            None => Ok(leaf),
        }
    }

    fn read_column(&self, at: usize) -> Result<Vec<Value>, String> {
        let (leaf, name) = (self.leaf(at)?, &self.names[at]);
        let kind = self.reader.metadata().file_metadata().schema_descr().column(leaf);
        let mut rows = Vec::new();
        for group in self.reader.metadata().row_groups() {
            let chunk = group.column(leaf);
            let compression = chunk.compression();
            if matches!(compression, Compression::BROTLI(_) | Compression::LZO) {
                let word = if compression == Compression::LZO { "lzo" } else { "brotli" };
                return Err(format!(
                    "column \"{name}\" is compressed with {word}, which is not read (snappy, gzip, \
                     zstd and lz4 are)"
                ));
            }
            let of_group = usize::try_from(group.num_rows()).unwrap_or_default();
            let pages = Checked::new(&self.file, chunk, &kind, of_group).map_err(said)?;
            let column = get_column_reader(kind.clone(), Box::new(pages));
            read(column, &kind, &mut rows).map_err(|e| format!("column \"{name}\": {e}"))?;
        }
        if rows.len() != self.rows {
            let (found, announced) = (rows.len(), self.rows);
            return Err(format!(
                "column \"{name}\" has {}, {announced} announced",
                counted(found, "row")
            ));
        }
        Ok(rows)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it so")]
fn said(error: ParquetError) -> String {
    error.to_string()
}

fn unreadable(kind: &ColumnDescriptor) -> Option<String> {
    use ConvertedType::{
        BSON, DATE, DECIMAL, INTERVAL, TIME_MICROS, TIME_MILLIS, TIMESTAMP_MICROS, TIMESTAMP_MILLIS,
    };
    if kind.max_rep_level() > 1 {
        return Some("holds lists of lists".into());
    }
    // Since 2.6 some types have no older name: their numbers would be read as plain ones.
    if let Some(other @ (LogicalType::Timestamp { .. } | LogicalType::Time { .. })) =
        kind.logical_type_ref()
    {
        let name = if matches!(other, LogicalType::Time { .. }) { "TIME" } else { "TIMESTAMP" };
        return Some(format!("is of type {name}"));
    }
    if let other @ (BSON | DATE | DECIMAL | INTERVAL | TIME_MICROS | TIME_MILLIS
    | TIMESTAMP_MICROS | TIMESTAMP_MILLIS) = kind.converted_type()
    {
        return Some(format!("is of type {other}"));
    }
    match kind.physical_type() {
        Physical::INT96 => Some("holds numbers of 96 bits".into()),
        Physical::FIXED_LEN_BYTE_ARRAY => Some("holds bytes of a fixed length".into()),
        _ => None,
    }
}

fn read(
    column: ColumnReader,
    kind: &ColumnDescriptor,
    rows: &mut Vec<Value>,
) -> Result<(), String> {
    let unsigned = matches!(kind.converted_type(), ConvertedType::UINT_32 | ConvertedType::UINT_64)
        || matches!(kind.logical_type_ref(), Some(LogicalType::Integer(int)) if !int.is_signed);
    match column {
        ColumnReader::BoolColumnReader(c) => gather(c, kind, rows, |v| Ok(Value::Bool(*v))),
        // Unsigned numbers are stored in the bits of signed ones.
        ColumnReader::Int32ColumnReader(c) if unsigned => {
            gather(c, kind, rows, |v| Ok(Value::Int(v.cast_unsigned().into())))
        }
        ColumnReader::Int32ColumnReader(c) => {
            gather(c, kind, rows, |v| Ok(Value::Int((*v).into())))
        }
        ColumnReader::Int64ColumnReader(c) if unsigned => {
            gather(c, kind, rows, |v| Ok(Value::Int(v.cast_unsigned().into())))
        }
        ColumnReader::Int64ColumnReader(c) => {
            gather(c, kind, rows, |v| Ok(Value::Int((*v).into())))
        }
        ColumnReader::FloatColumnReader(c) => gather(c, kind, rows, |v| Ok(Value::Single(*v))),
        ColumnReader::DoubleColumnReader(c) => gather(c, kind, rows, |v| Ok(Value::Float(*v))),
        ColumnReader::ByteArrayColumnReader(c) => gather(c, kind, rows, text),
        ColumnReader::Int96ColumnReader(_) => Err("numbers of 96 bits are not read".into()),
        ColumnReader::FixedLenByteArrayColumnReader(_) => {
            Err("bytes of a fixed length are not read".into())
        }
    }
}

fn text(bytes: &ByteArray) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes.data()).map_err(|_| "a text is not UTF-8")?;
    Ok(Value::Text(text.to_owned()))
}

/// Reads all records of a column of one row group.
fn gather<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    kind: &ColumnDescriptor,
    rows: &mut Vec<Value>,
    value: impl Fn(&T::T) -> Result<Value, String>,
) -> Result<(), String> {
    let levels = Levels::of(kind);
    let (mut definitions, mut repetitions, mut values) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        definitions.clear();
        repetitions.clear();
        values.clear();
        let (records, _, _) = column
            .read_records(RECORDS, Some(&mut definitions), Some(&mut repetitions), &mut values)
            .map_err(said)?;
        if records == 0 {
            return Ok(());
        }
        let mut values = values.iter();
        let mut next = || values.next().ok_or("a value is missing").map(&value)?;
        if levels.max == 0 {
            for _ in 0..records {
                rows.push(next()?);
            }
            continue;
        }
        for (index, definition) in definitions.iter().enumerate() {
            let present = *definition == levels.max;
            if !levels.is_list {
                rows.push(if present { next()? } else { Value::Null });
                continue;
            }
            if repetitions.get(index).is_none_or(|level| *level == 0) {
                rows.push(Value::List(Vec::new()));
            }
            // Below the list's own level there is no element: the list is empty or missing.
            if let Some(Value::List(list)) = rows.last_mut()
                && *definition >= levels.element
            {
                list.push(if present { next()? } else { Value::Null });
            }
        }
    }
}

/// What definition levels mean in a column.
struct Levels {
    /// Of a value that is there.
    max: i16,
    /// From which on a list has an element.
    element: i16,
    is_list: bool,
}

impl Levels {
    fn of(kind: &ColumnDescriptor) -> Self {
        let max = kind.max_def_level();
        let info = kind.self_type().get_basic_info();
        let is_optional = info.has_repetition() && info.repetition() == Repetition::OPTIONAL;
        Self { max, element: max - i16::from(is_optional), is_list: kind.max_rep_level() > 0 }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use parquet::data_type::{ByteArrayType, DoubleType, Int32Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// Three rows in two groups: optional texts, numbers, lists of numbers.
    pub(in super::super) fn sample() -> Vec<u8> {
        let schema = "message table {
            optional binary text (UTF8);
            required int32 label;
            optional group week (LIST) { repeated group list { optional double element; } }
        }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer =
            SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
        for (texts, present, labels, numbers, definitions, repetitions) in [
            (
                &["a", "b"][..],
                &[1, 1][..],
                &[1, 0][..],
                &[1.5, 2.0, 3.0][..],
                &[3, 3, 3][..],
                &[0, 1, 0][..],
            ),
            (&[], &[0], &[1], &[4.0], &[2, 3], &[0, 1]),
        ] {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
            column.typed::<ByteArrayType>().write_batch(&texts, Some(present), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int32Type>().write_batch(labels, None, None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<DoubleType>()
                .write_batch(numbers, Some(definitions), Some(repetitions))
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.into_inner().unwrap()
    }

    #[test]
    fn columns_come_back() {
        let table = Table::open(sample()).unwrap();
        assert_eq!(table.names(), ["text", "label", "week"]);
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(table.column(0).unwrap(), [text("a"), text("b"), Value::Null]);
        assert_eq!(table.column(1).unwrap(), [1, 0, 1].map(Value::Int));
        let list = |values: &[Value]| Value::List(values.to_vec());
        let weeks = table.column(2).unwrap();
        let float = Value::Float;
        assert_eq!(weeks[0], list(&[float(1.5), float(2.0)]));
        assert_eq!(weeks[1..], [list(&[float(3.0)]), list(&[Value::Null, float(4.0)])]);
    }

    #[test]
    fn damage_is_an_error() {
        let whole = sample();
        for cut in 0..whole.len() {
            assert!(Table::open(whole[..cut].to_vec()).is_err(), "{cut}");
        }
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                if let Ok(table) = Table::open(bytes) {
                    for column in 0..table.names().len() {
                        let _ = table.column(column);
                    }
                }
            }
        }
    }
}
