//! The networks. To add one: a file or folder, and a line in `network.rs`.

mod distilbert;
mod encoder;
mod linear;
mod network;
mod pat;

pub(crate) use self::network::{Attention, Network, Rows, Scores, Shape, build, names};
