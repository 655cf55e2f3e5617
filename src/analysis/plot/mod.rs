//! Pictures as values, and how they become SVG and a small drawing in a terminal.
//!
//! Readable in black and white: series differ by dashes and markers, not by colour alone. Every
//! text is escaped; numbers are printed with fixed digits, so the same values give the same bytes.

mod chart;
mod grid;
mod label;
mod picture;
mod png;
mod ruler;
mod svg;
mod terminal;

pub use self::picture::{Axis, Chart, Grid, Picture, Scale, Series};
pub use svg::xml;
