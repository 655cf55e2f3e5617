//! What a view is folded into: ordered rows of bytes, in memory over those of a file.

use std::collections::BTreeMap;

use crate::store::StoreError;

/// A view that cannot be read or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// The file of the views failed.
    #[error("views.redb failed")]
    Database(#[source] Box<redb::Error>),
    /// The file of the views or its lock cannot be opened.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row that this annals did not write.
    #[error("a row of the view {view} is damaged; `annals replay` rebuilds it")]
    Row {
        /// The view.
        view: &'static str,
    },
}

macro_rules! from_redb {
    ($($error:ident),+) => {$(
        impl From<redb::$error> for ViewError {
            fn from(error: redb::$error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        }
    )+};
}

from_redb!(DatabaseError, TransactionError, TableError, StorageError, CommitError);

/// Ordered rows of one view.
pub trait Kv {
    /// The row under `key`.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError>;

    /// Sets a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn put(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), ViewError>;
}

/// Rows in memory over rows in a file.
pub(super) struct Layered<'a, F> {
    pub(super) fresh: &'a mut BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) below: F,
}

impl<F> Kv for Layered<'_, F>
where
    F: Fn(&[u8]) -> Result<Option<Vec<u8>>, ViewError>,
{
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ViewError> {
        match self.fresh.get(key) {
            Some(row) => Ok(Some(row.clone())),
            None => (self.below)(key),
        }
    }

    fn put(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), ViewError> {
        self.fresh.insert(key.to_vec(), value);
        Ok(())
    }
}
