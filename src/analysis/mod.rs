//! Comparisons, statistics and pictures: pure functions from what the views say to values, text
//! and SVG. The same facts give the same bytes, on any machine.
//!
//! May use: `base`, `stats`, `domain`'s plain types, the plain result types of `projection`, the
//! line type of test predictions. Must never see: `store`, files, the terminal, the clock.
//!
//! A score stands with its split and its interval; where two runs were not measured on the same
//! rows, that is said before any difference is.
//!
//! To add a picture: a function in `charts.rs` that returns a [`plot::Picture`], and a kind in
//! `cli/plot.rs`. To add a check of the audit: see `audit/`. Start reading in `compare.rs`.

mod advice;
pub mod audit;
pub mod charts;
pub mod clinical;
pub mod column;
pub mod compare;
pub mod diff;
pub mod document;
pub mod filter;
pub mod paired;
pub mod plot;
pub mod report;
