//! The prepared dataset: inputs, targets and splits in one file that the parent writes and the
//! engine reads, so that both speak of the same rows.
//!
//! Bytes: [`MAGIC`], then one [`Prepared`] as [`base::codec`](crate::base::codec) bytes. Its blake3
//! digest travels in the job, and the reader checks it.

use std::io;
use std::path::{Path, PathBuf};

use bincode::{Decode, Encode};

use crate::base::codec::{self, CodecError};
use crate::base::{Digest, Split, durable};

/// The first bytes of the file; the number is the version.
pub const MAGIC: &[u8] = b"annals dataset 6\n";
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
    #[error("{} is not a prepared dataset of version 6", path.display())]
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
    /// Record number of each row in the data, from 0.
    pub rows: Vec<u32>,
    /// The split of each row.
    pub splits: Vec<Split>,
    /// What is to be learned of each row.
    pub targets: Targets,
    /// What each row is.
    pub inputs: Inputs,
    /// What else is to be learned of the rows.
    pub heads: Vec<HeadTargets>,
    /// How difficult each row is; empty where all are learned from the start.
    pub difficulty: Vec<f32>,
    /// The tokens by id, where texts are to be shown; else empty.
    pub vocabulary: Vec<String>,
    /// How many concepts there are; their numbers are 1 to this. 1 where rationales are marked.
    pub concept_count: u32,
    /// The concept of each token of all rows, 0 for none, or 1 where it belongs to a rationale;
    /// empty where there is neither.
    pub concepts: Vec<u32>,
}

/// The labels of an auxiliary head.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HeadTargets {
    /// What its scores are called.
    pub name: String,
    /// The names of its classes, in class order.
    pub labels: Vec<String>,
    /// The class of each row; none where the row has no label.
    pub targets: Vec<Option<u32>>,
}

/// What is to be learned of each row, as indices into the labels.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Targets {
    /// One class a row.
    Single(Vec<u32>),
    /// Any number of labels a row, each list ascending.
    Multi(Vec<Vec<u32>>),
}

impl Default for Targets {
    fn default() -> Self {
        Self::Single(Vec::new())
    }
}

impl Targets {
    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Single(classes) => classes.len(),
            Self::Multi(sets) => sets.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row may have any number of labels.
    pub fn is_multi(&self) -> bool {
        matches!(self, Self::Multi(_))
    }

    /// The labels of row `index`.
    pub fn of(&self, index: usize) -> &[u32] {
        match self {
            Self::Single(classes) => &classes[index..=index],
            Self::Multi(sets) => &sets[index],
        }
    }

    /// The class of each row, where a row has one.
    pub fn classes(&self) -> Option<&[u32]> {
        match self {
            Self::Single(classes) => Some(classes),
            Self::Multi(_) => None,
        }
    }

    /// The targets of the rows at `indices`.
    pub fn select(&self, indices: &[usize]) -> Self {
        match self {
            Self::Single(classes) => Self::Single(indices.iter().map(|i| classes[*i]).collect()),
            Self::Multi(sets) => Self::Multi(indices.iter().map(|i| sets[*i].clone()).collect()),
        }
    }
}

/// What the rows are.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Inputs {
    /// Token ids.
    Tokens {
        /// Ids are below this.
        vocab_size: u32,
        /// Tokens of each row, at least 1.
        lengths: Vec<u32>,
        /// The tokens of all rows, one row after the other.
        ids: Vec<u32>,
    },
    /// Texts as they are, for models that cut them up themselves.
    Texts(Vec<String>),
    /// Numbers, the same count for every row.
    Series {
        /// Numbers a row.
        width: u32,
        /// The numbers of all rows, one row after the other.
        values: Vec<f32>,
    },
}

impl Default for Inputs {
    fn default() -> Self {
        Self::tokens(0)
    }
}

impl Inputs {
    /// No rows of tokens, ids below `vocab_size`.
    pub fn tokens(vocab_size: u32) -> Self {
        Self::Tokens { vocab_size, lengths: Vec::new(), ids: Vec::new() }
    }

    /// Adds a row of tokens.
    ///
    /// # Panics
    /// When the rows are of another kind.
    pub fn push_tokens(&mut self, row: &[u32]) {
        let Self::Tokens { lengths, ids, .. } = self else {
            panic!("BUG: tokens among other inputs")
        };
        lengths.push(u32::try_from(row.len()).unwrap_or(u32::MAX));
        ids.extend_from_slice(row);
    }

    /// What decides the work of a row: tokens, bytes or numbers.
    pub fn lengths(&self) -> Vec<u32> {
        let size = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        match self {
            Self::Tokens { lengths, .. } => lengths.clone(),
            Self::Texts(texts) => texts.iter().map(|text| size(text.len())).collect(),
            Self::Series { width, values } => vec![*width; values.len() / *width as usize],
        }
    }

    /// Entries of the vocabulary; 0 where rows are not tokens.
    pub fn vocab_size(&self) -> u32 {
        match self {
            Self::Tokens { vocab_size, .. } => *vocab_size,
            Self::Texts(_) | Self::Series { .. } => 0,
        }
    }

    /// Why these are not the inputs of `rows` rows, if they are not.
    fn contradiction(&self, rows: usize) -> Option<String> {
        match self {
            Self::Tokens { vocab_size, lengths, ids } => {
                let tokens: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
                if lengths.len() != rows || tokens != ids.len() as u64 || lengths.contains(&0) {
                    return Some(format!(
                        "row lengths add up to {tokens} tokens, found {}",
                        ids.len()
                    ));
                }
                let id = ids.iter().find(|id| *id >= vocab_size)?;
                Some(format!("token {id} outside the vocabulary of {vocab_size}"))
            }
            Self::Texts(texts) => {
                (texts.len() != rows).then(|| format!("{} texts beside {rows} rows", texts.len()))
            }
            Self::Series { width, values } => (*width == 0
                || values.len() != rows * *width as usize)
                .then(|| format!("{} numbers beside {rows} rows of {width}", values.len())),
        }
    }
}

impl Prepared {
    /// Indices of the rows of `split`, in file order.
    pub fn of_split(&self, split: Split) -> Vec<usize> {
        (0..self.rows.len()).filter(|index| self.splits[*index] == split).collect()
    }

    /// Rows of each class in `split`; a row with many labels counts for each.
    pub fn class_counts(&self, split: Split) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        for index in self.of_split(split) {
            for class in self.targets.of(index) {
                counts[*class as usize] += 1;
            }
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
        let bytes = std::fs::read(path)
            .map_err(|source| PreparedError::Io { path: path.to_owned(), source })?;
        Self::decode(path, &bytes, expected)
    }

    /// As [`Self::read`], of the bytes of the file.
    ///
    /// # Errors
    /// When they have another digest, or contradict themselves.
    pub fn decode(path: &Path, bytes: &[u8], expected: Digest) -> Result<Self, PreparedError> {
        let path_buf = || path.to_owned();
        let found = Digest::of(bytes);
        if found != expected {
            return Err(PreparedError::Digest { path: path_buf(), expected, found });
        }
        let body =
            bytes.strip_prefix(MAGIC).ok_or_else(|| PreparedError::Magic { path: path_buf() })?;
        let prepared: Self = codec::decode_checked(body)
            .map_err(|source| PreparedError::Codec { path: path_buf(), source })?;
        match prepared.contradiction() {
            None => Ok(prepared),
            Some(problem) => Err(PreparedError::Inconsistent { path: path_buf(), problem }),
        }
    }

    fn contradiction(&self) -> Option<String> {
        let rows = self.rows.len();
        if [self.splits.len(), self.targets.len()] != [rows; 2] {
            return Some(format!("columns of unequal length beside {rows} rows"));
        }
        if ![0, rows].contains(&self.difficulty.len()) {
            return Some(format!("{} difficulties beside {rows} rows", self.difficulty.len()));
        }
        if let Some(outside) = self.concepts.iter().find(|c| **c > self.concept_count) {
            return Some(format!("concept {outside} outside the {}", self.concept_count));
        }
        let tokens = match &self.inputs {
            Inputs::Tokens { ids, .. } => ids.len(),
            Inputs::Texts(_) | Inputs::Series { .. } => 0,
        };
        if ![0, tokens].contains(&self.concepts.len()) {
            return Some(format!("{} concepts beside {tokens} tokens", self.concepts.len()));
        }
        for head in &self.heads {
            let classes = head.labels.len();
            let outside = head.targets.iter().flatten().find(|class| **class as usize >= classes);
            if let Some(class) = outside {
                return Some(format!("head {}: class {class} outside {classes} labels", head.name));
            }
            if head.targets.len() != rows {
                return Some(format!("head {}: not one target a row", head.name));
            }
        }
        let classes = self.labels.len();
        let outside = (0..rows)
            .flat_map(|row| self.targets.of(row))
            .find(|class| **class as usize >= classes);
        match outside {
            Some(class) => Some(format!("class {class} outside the {classes} labels")),
            None => self.inputs.contradiction(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::batch::Collator;

    fn sample() -> Prepared {
        let mut data = Prepared { labels: vec!["a".into(), "b".into()], ..Prepared::default() };
        data.inputs = Inputs::tokens(9);
        for (row, split, ids) in [(3, Split::Train, &[4, 5][..]), (4, Split::Test, &[6])] {
            data.rows.push(row);
            data.splits.push(split);
            data.inputs.push_tokens(ids);
        }
        data.targets = Targets::Single(vec![0, 1]);
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
        wrong.inputs.push_tokens(&[9]);
        wrong.rows.push(5);
        wrong.splits.push(Split::Valid);
        wrong.targets = Targets::Multi(vec![vec![0], vec![], vec![0, 1]]);
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
