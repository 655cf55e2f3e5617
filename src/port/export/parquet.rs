//! Rows as Parquet: every column may be null, instants are UTC nanoseconds, zstd.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type as Schema, TypePtr};

use crate::port::table::{Column, Row, Table, Type, Value};

/// One file being written.
pub(super) struct Writer(SerializedFileWriter<Box<dyn Write + Send>>);

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

fn schema(table: &Table) -> Result<TypePtr, ParquetError> {
    let column = |column: &Column| {
        let (physical, logical) = match column.kind {
            Type::Bool => (Physical::BOOLEAN, None),
            Type::Int => (Physical::INT64, None),
            Type::Real => (Physical::DOUBLE, None),
            Type::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Type::Bytes => (Physical::BYTE_ARRAY, None),
        };
        let primitive = Schema::primitive_type_builder(column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        primitive.build().map(Arc::new)
    };
    let fields = table.columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::group_type_builder(table.name).with_fields(fields).build()?))
}

impl Writer {
    pub(super) fn new(table: &Table, out: Box<dyn Write + Send>) -> io::Result<Self> {
        let zstd = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(zstd).build();
        let schema = schema(table).map_err(failed)?;
        SerializedFileWriter::new(out, schema, Arc::new(properties)).map(Self).map_err(failed)
    }

    /// One row group.
    pub(super) fn write(&mut self, table: &Table, rows: &[Row]) -> io::Result<()> {
        self.group(table, rows).map_err(failed)
    }

    fn group(&mut self, table: &Table, rows: &[Row]) -> Result<(), ParquetError> {
        let mut group = self.0.next_row_group()?;
        for index in 0..table.columns.len() {
            let Some(mut column) = group.next_column()? else { break };
            write_column(column.untyped(), rows, index)?;
            column.close()?;
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn end(self) -> io::Result<()> {
        let mut out = self.0.into_inner().map_err(failed)?;
        out.flush()
    }
}

/// The cells of one column that are there, and for each row whether it is.
fn cells<T>(rows: &[Row], index: usize, cell: impl Fn(&Value) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::new();
    let levels = rows.iter().map(|row| {
        let value = row.get(index).and_then(&cell);
        let level = i16::from(value.is_some());
        values.extend(value);
        level
    });
    let levels = levels.collect();
    (values, levels)
}

fn write_column(
    writer: &mut ColumnWriter<'_>,
    rows: &[Row],
    index: usize,
) -> Result<(), ParquetError> {
    match writer {
        ColumnWriter::BoolColumnWriter(writer) => {
            let (values, levels) = cells(rows, index, |value| match value {
                Value::Bool(value) => Some(*value),
                _ => None,
            });
            writer.write_batch(&values, Some(&levels), None)?;
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let (values, levels) = cells(rows, index, |value| match value {
                Value::Int(value) => Some(*value),
                Value::Time(time) => Some(time.0),
                _ => None,
            });
            writer.write_batch(&values, Some(&levels), None)?;
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let (values, levels) = cells(rows, index, |value| match value {
                Value::Real(value) => Some(*value),
                _ => None,
            });
            writer.write_batch(&values, Some(&levels), None)?;
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let (values, levels) = cells(rows, index, |value| match value {
                Value::Text(text) => Some(ByteArray::from(text.as_bytes().to_vec())),
                Value::Bytes(bytes) => Some(ByteArray::from(bytes.clone())),
                _ => None,
            });
            writer.write_batch(&values, Some(&levels), None)?;
        }
        _ => return Err(ParquetError::General("BUG: a column of another type".into())),
    }
    Ok(())
}
