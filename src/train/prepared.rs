//! The prepared dataset: token ids, labels and splits in one file that the parent writes and the
//! engine reads, so that both speak of the same rows.
//!
//! Bytes: [`MAGIC`], then one [`Prepared`] as [`base::codec`](crate::base::codec) bytes. Its blake3
//! digest travels in the job, and the reader checks it.

use std::io;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};

use super::learner::Batch;
use crate::base::codec::{self, CodecError};
use crate::base::{Digest, Split, durable};

/// The first bytes of the file; the number is the version.
pub const MAGIC: &[u8] = b"annals dataset 1\n";
/// The token that fills rows up; never part of a text.
pub const PAD: u32 = 0;

/// A prepared dataset that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PreparedError {
    /// The file cannot be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Other bytes than the job names.
    #[error("{} has digest {found}, expected {expected}", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// What the job names.
        expected: Digest,
        /// What was found.
        found: Digest,
    },
    /// Not a prepared dataset of this version.
    #[error("{} is not a prepared dataset of version 1", path.display())]
    Magic {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that do not decode.
    #[error("{} is damaged", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// What the codec said.
        source: CodecError,
    },
    /// Columns that contradict each other.
    #[error("{}: {problem}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        problem: String,
    },
}

/// Rows as columns, in the order of the data file.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Prepared {
    /// The names of the classes, in class order.
    pub labels: Vec<String>,
    /// Token ids are below this.
    pub vocab_size: u32,
    /// Record number of each row in the data file, from 0.
    pub rows: Vec<u32>,
    /// The split of each row.
    pub splits: Vec<Split>,
    /// The class of each row.
    pub classes: Vec<u32>,
    /// Tokens of each row, at least 1.
    pub lengths: Vec<u32>,
    /// The tokens of all rows, one row after the other.
    pub ids: Vec<u32>,
}

impl Prepared {
    /// Adds a row.
    pub fn push(&mut self, row: u32, split: Split, class: u32, ids: &[u32]) {
        self.rows.push(row);
        self.splits.push(split);
        self.classes.push(class);
        self.lengths.push(u32::try_from(ids.len()).unwrap_or(u32::MAX));
        self.ids.extend_from_slice(ids);
    }

    /// Indices of the rows of `split`, in file order.
    pub fn of_split(&self, split: Split) -> Vec<usize> {
        (0..self.rows.len()).filter(|index| self.splits[*index] == split).collect()
    }

    /// Rows of each class in `split`.
    pub fn class_counts(&self, split: Split) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        for index in self.of_split(split) {
            counts[self.classes[index] as usize] += 1;
        }
        counts
    }

    /// Writes the file, durably, and gives back its digest.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<Digest, PreparedError> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&codec::encode(self));
        durable::write(path, &bytes)
            .map_err(|source| PreparedError::Io { path: path.to_owned(), source })?;
        Ok(Digest::of(&bytes))
    }

    /// Reads the file and checks its digest and its columns.
    ///
    /// # Errors
    /// When the file is missing, has another digest, or contradicts itself.
    pub fn read(path: &Path, expected: Digest) -> Result<Self, PreparedError> {
        let path_buf = || path.to_owned();
        let bytes =
            std::fs::read(path).map_err(|source| PreparedError::Io { path: path_buf(), source })?;
        let found = Digest::of(&bytes);
        if found != expected {
            return Err(PreparedError::Digest { path: path_buf(), expected, found });
        }
        let body =
            bytes.strip_prefix(MAGIC).ok_or_else(|| PreparedError::Magic { path: path_buf() })?;
        let prepared: Self = codec::decode(body)
            .map_err(|source| PreparedError::Codec { path: path_buf(), source })?;
        match prepared.contradiction() {
            None => Ok(prepared),
            Some(problem) => Err(PreparedError::Inconsistent { path: path_buf(), problem }),
        }
    }

    fn contradiction(&self) -> Option<String> {
        let rows = self.rows.len();
        let tokens: u64 = self.lengths.iter().map(|length| u64::from(*length)).sum();
        let classes = self.labels.len();
        if [self.splits.len(), self.classes.len(), self.lengths.len()] != [rows; 3] {
            Some(format!("columns of unequal length beside {rows} rows"))
        } else if tokens != self.ids.len() as u64 || self.lengths.contains(&0) {
            Some(format!("row lengths say {tokens} tokens, found {}", self.ids.len()))
        } else if let Some(id) = self.ids.iter().find(|id| **id >= self.vocab_size) {
            Some(format!("token {id} outside the vocabulary of {}", self.vocab_size))
        } else {
            let class = self.classes.iter().find(|class| **class as usize >= classes)?;
            Some(format!("class {class} outside the {classes} labels"))
        }
    }
}

/// Cuts batches out of a dataset.
#[derive(Debug)]
pub struct Collator<'a> {
    data: &'a Prepared,
    starts: Vec<usize>,
}

impl<'a> Collator<'a> {
    /// Prepares to cut batches out of `data`.
    pub fn new(data: &'a Prepared) -> Self {
        let mut at = 0;
        let starts = data.lengths.iter().map(|length| {
            let start = at;
            at += *length as usize;
            start
        });
        Self { starts: starts.collect(), data }
    }

    /// The rows at `indices`, padded to the longest of them.
    pub fn batch(&self, indices: &[usize]) -> Batch {
        let data = self.data;
        let cols = indices.iter().map(|i| data.lengths[*i] as usize).max().unwrap_or(0);
        let mut batch = Batch { cols, ..Batch::default() };
        for index in indices {
            let (start, length) = (self.starts[*index], data.lengths[*index] as usize);
            batch.ids.extend_from_slice(&data.ids[start..start + length]);
            batch.ids.resize(batch.ids.len() + cols - length, PAD);
            batch.lengths.push(data.lengths[*index]);
            batch.labels.push(data.classes[*index]);
            batch.rows.push(data.rows[*index]);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Prepared {
        let mut data =
            Prepared { labels: vec!["a".into(), "b".into()], vocab_size: 9, ..Prepared::default() };
        data.push(3, Split::Train, 0, &[4, 5]);
        data.push(4, Split::Test, 1, &[6]);
        data
    }

    #[test]
    fn comes_back_and_refuses_other_bytes() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data.bin");
        let digest = sample().write(&path).unwrap();
        assert_eq!(Prepared::read(&path, digest).unwrap(), sample());
        let other = Prepared::read(&path, Digest::of(b"x")).unwrap_err();
        assert!(matches!(other, PreparedError::Digest { .. }));
        let mut wrong = sample();
        wrong.ids[0] = 9;
        let digest = wrong.write(&path).unwrap();
        let error = Prepared::read(&path, digest).unwrap_err();
        assert!(error.to_string().ends_with("token 9 outside the vocabulary of 9"));
    }

    #[test]
    fn batches_are_padded_to_their_longest_row() {
        let data = sample();
        let batch = Collator::new(&data).batch(&[1, 0]);
        assert_eq!(batch.ids, [6, PAD, 4, 5]);
        assert_eq!(
            (batch.cols, &batch.lengths[..], &batch.rows[..]),
            (2, &[1, 2][..], &[4, 3][..])
        );
        assert_eq!(batch.row(0), [6]);
    }
}
