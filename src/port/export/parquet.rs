//! Rows as Parquet: every column may be null, instants are UTC nanoseconds, zstd. Row groups are
//! made apart from the file, so that several cores can make them.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{SchemaDescriptor, Type as Schema, TypePtr};

use crate::port::cells::{Batch, Cells, Data, VarBytes};
use crate::port::table::Type;

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

    /// Makes a row group of some of a batch's rows.
    pub(super) fn group(&self, batch: &Batch, rows: Range<usize>) -> io::Result<Group> {
        let column = |(index, cells): (usize, &Cells)| {
            let mut out = TrackedWrite::new(Vec::new());
            let pages = Box::new(SerializedPageWriter::new(&mut out));
            let descriptor = Arc::clone(&self.descriptor.columns()[index]);
            let mut writer = get_column_writer(descriptor, Arc::clone(&self.properties), pages);
            write_column(&mut writer, cells, rows.clone())?;
            let closed = writer.close()?;
            Ok((Bytes::from(out.into_inner()?), closed))
        };
        let columns = batch.columns().enumerate();
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

/// The values that are there.
fn present<'a, T: Copy>(values: &'a [T], there: &[i16]) -> Cow<'a, [T]> {
    if there.iter().all(|there| *there == 1) {
        return values.into();
    }
    values.iter().zip(there).filter(|(_, there)| **there == 1).map(|(value, _)| *value).collect()
}

fn write_column(
    writer: &mut ColumnWriter<'_>,
    cells: &Cells,
    rows: Range<usize>,
) -> Result<(), ParquetError> {
    let there = &cells.there[rows.clone()];
    match (writer, &cells.data) {
        (ColumnWriter::BoolColumnWriter(writer), Data::Bool(all)) => {
            writer.write_batch(&present(&all[rows], there), Some(there), None)?;
        }
        (ColumnWriter::Int64ColumnWriter(writer), Data::Int(all)) => {
            writer.write_batch(&present(&all[rows], there), Some(there), None)?;
        }
        (ColumnWriter::DoubleColumnWriter(writer), Data::Real(all)) => {
            writer.write_batch(&present(&all[rows], there), Some(there), None)?;
        }
        (ColumnWriter::ByteArrayColumnWriter(writer), Data::VarBytes(all)) => {
            writer.write_batch(&byte_arrays(all, rows, there), Some(there), None)?;
        }
        _ => return Err(ParquetError::General("BUG: a column of another type".into())),
    }
    Ok(())
}

/// One buffer holds the bytes of all cells, so that they cost one allocation.
fn byte_arrays(all: &VarBytes, rows: Range<usize>, there: &[i16]) -> Vec<ByteArray> {
    let start = all.start(rows.start);
    let bytes = Bytes::copy_from_slice(&all.bytes[start..all.start(rows.end)]);
    let one = |row| bytes.slice(all.start(row) - start..all.ends[row] - start).into();
    let rows = rows.zip(there).filter(|(_, there)| **there == 1);
    rows.map(|(row, _)| one(row)).collect()
}
