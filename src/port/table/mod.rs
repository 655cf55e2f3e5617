//! Tables made from events: columns with types, and a fold into rows.

mod definition;
mod events;
mod people;
mod runs;
mod work;

pub use self::definition::{
    ALL, Column, ColumnLine, CsvCells, EventRow, Fold, Judged, Role, Row, Rows, Table, TableLine,
    Type, Value, table, tables, write_csv,
};

use self::definition::{ACTOR, IDENTITY, POSITION, RECORDED, RUN, column, narrowing};
use super::cells::{Batch, row};
