//! Rows as Parquet: every column may be null, instants are UTC nanoseconds, zstd. Row groups are
//! made apart from the file, so that several cores can make them.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::{
    ColumnCloseResult, ColumnWriter, ColumnWriterImpl, get_column_writer,
};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{SchemaDescriptor, Type as Schema, TypePtr};

use crate::port::table::{Row, Type, Value};

/// The shape of a file.
#[derive(Clone)]
pub(super) struct Shape {
    schema: TypePtr,
    descriptor: Arc<SchemaDescriptor>,
    properties: WriterPropertiesPtr,
}

/// One row group, as it will lie in the file.
pub(super) struct Group(Vec<(Bytes, ColumnCloseResult)>);

/// One file being written.
pub(super) struct Writer<W: Write + Send>(SerializedFileWriter<W>);

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

impl Shape {
    pub(super) fn new<'a>(
        name: &str,
        columns: impl Iterator<Item = (&'a str, Type)>,
    ) -> io::Result<Self> {
        let column = |(name, kind): (&str, Type)| {
            let (physical, logical) = match kind {
                Type::Bool => (Physical::BOOLEAN, None),
                Type::Int => (Physical::INT64, None),
                Type::Real => (Physical::DOUBLE, None),
                Type::Time => {
                    (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS)))
                }
                Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                Type::Bytes => (Physical::BYTE_ARRAY, None),
            };
            let primitive = Schema::primitive_type_builder(name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical);
            primitive.build().map(Arc::new)
        };
        let fields = columns.map(column).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let root = Schema::group_type_builder(name).with_fields(fields).build().map_err(failed)?;
        let schema = Arc::new(root);
        let zstd = Compression::ZSTD(ZstdLevel::default());
        Ok(Self {
            descriptor: Arc::new(SchemaDescriptor::new(Arc::clone(&schema))),
            schema,
            properties: Arc::new(WriterProperties::builder().set_compression(zstd).build()),
        })
    }

    /// Makes a row group.
    pub(super) fn group(&self, rows: &[Row]) -> io::Result<Group> {
        let column = |index: usize| {
            let mut out = TrackedWrite::new(Vec::new());
            let pages = Box::new(SerializedPageWriter::new(&mut out));
            let descriptor = Arc::clone(&self.descriptor.columns()[index]);
            let mut writer = get_column_writer(descriptor, Arc::clone(&self.properties), pages);
            write_column(&mut writer, rows, index)?;
            let closed = writer.close()?;
            Ok((Bytes::from(out.into_inner()?), closed))
        };
        let columns = 0..self.descriptor.num_columns();
        columns.map(column).collect::<Result<_, ParquetError>>().map(Group).map_err(failed)
    }
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn new(shape: &Shape, out: W) -> io::Result<Self> {
        let (schema, properties) = (Arc::clone(&shape.schema), Arc::clone(&shape.properties));
        SerializedFileWriter::new(out, schema, properties).map(Self).map_err(failed)
    }

    pub(super) fn write(&mut self, group: Group) -> io::Result<()> {
        let mut into = self.0.next_row_group().map_err(failed)?;
        for (bytes, closed) in group.0 {
            into.append_column(&bytes, closed).map_err(failed)?;
        }
        into.close().map_err(failed)?;
        Ok(())
    }

    pub(super) fn end(self) -> io::Result<()> {
        let mut out = self.0.into_inner().map_err(failed)?;
        out.flush()
    }
}

/// The cells of one column that are there, and for each row whether it is.
fn cells<'a, T>(
    rows: &'a [Row],
    index: usize,
    cell: impl Fn(&'a Value) -> Option<T>,
) -> (Vec<T>, Vec<i16>) {
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
                // A column of an answer may mix them.
                Value::Int(value) => Some(*value as f64),
                _ => None,
            });
            writer.write_batch(&values, Some(&levels), None)?;
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => write_bytes(writer, rows, index)?,
        _ => return Err(ParquetError::General("BUG: a column of another type".into())),
    }
    Ok(())
}

/// One buffer holds the bytes of all cells, so that they cost one allocation.
fn write_bytes(
    writer: &mut ColumnWriterImpl<'_, ByteArrayType>,
    rows: &[Row],
    index: usize,
) -> Result<(), ParquetError> {
    let mut buffer = Vec::new();
    let (ranges, levels) = cells(rows, index, |value| match value {
        Value::Null => None,
        value => Some(value),
    });
    let ends: Vec<usize> = ranges
        .into_iter()
        .map(|value| {
            match value {
                Value::Bytes(bytes) => buffer.extend_from_slice(bytes),
                value => buffer.extend_from_slice(value.to_text().as_bytes()),
            }
            buffer.len()
        })
        .collect();
    let buffer = Bytes::from(buffer);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let values: Vec<ByteArray> =
        starts.zip(&ends).map(|(start, end)| buffer.slice(start..*end).into()).collect();
    writer.write_batch(&values, Some(&levels), None)?;
    Ok(())
}
