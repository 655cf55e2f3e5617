//! Files that other programs read, made of the tables and of the log's tree.

mod parquet;
pub mod tiles;
mod write;

pub use self::write::{Format, Target, write_parquet, write_tables};
