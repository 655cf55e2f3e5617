//! What to say where a model is asked for and a pickle is found.

use std::path::Path;

use crate::app::{Error, ErrorKind, Result};
use crate::data::Pickle;
use crate::model;

/// Refuses `place` where it is a pickle, or a folder with one and without weights that are read.
///
/// # Errors
/// [`ErrorKind::Data`], with digest and what to do instead.
pub fn refuse_pickle(place: &Path) -> Result<()> {
    Ok(model::refuse_pickle(place)?)
}

impl From<Pickle> for Error {
    fn from(pickle: Pickle) -> Self {
        let way_out = pickle.way_out();
        Self::new(ErrorKind::Data, pickle.to_string()).hint(way_out)
    }
}
