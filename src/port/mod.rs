//! The record as other programs read it: tables made from events, SQL over them, and files of them.
//!
//! May use: `base`, `domain`, and `tlog` for its tiles. Must never see: `store`, `app`, a terminal.
//! Events come from a [`source::Source`] that `app` is.
//!
//! A table ([`table::Table`]) is a list of columns and a fold from events to rows; SQL and every
//! export read the same ones, so that they cannot disagree. To add a table: its columns and fold in
//! `table/`, and a line in [`table::ALL`]. Start reading in `table/definition.rs`, then in
//! `source.rs`.

mod cells;
pub mod export;
pub mod query;
pub mod source;
pub mod table;
