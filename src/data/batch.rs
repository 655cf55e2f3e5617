//! Rows that go through a model together, cut out of a prepared dataset.

use bincode::{Decode, Encode};

use super::prepared::{Inputs, PAD, Prepared, Targets};

/// Rows that go through the model together: tokens padded to the longest of them, or numbers.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Batch {
    /// Token ids, row by row, `rows.len() * cols` of them; padding is 0.
    pub ids: Vec<u32>,
    /// Numbers, row by row, `rows.len() * cols` of them, where rows are not tokens.
    pub values: Vec<f32>,
    /// Tokens or numbers per row, after padding.
    pub cols: usize,
    /// Real tokens of each row, 1 to `cols`; what follows them is padding.
    pub lengths: Vec<u32>,
    /// What is to be learned of each row.
    pub targets: Targets,
    /// The record number of each row in the data, from 0.
    pub rows: Vec<u32>,
    /// The concept of each of `ids`, 0 for none; empty where there is no lexicon.
    pub concepts: Vec<u32>,
    /// The class of each row for each auxiliary head; none where the row has no label.
    pub heads: Vec<Vec<Option<u32>>>,
}

impl Batch {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows of tokens, each with the concepts of its tokens or none; there is nothing to learn of
    /// them.
    pub fn of_tokens(rows: &[(Vec<u32>, Vec<u32>)]) -> Self {
        let cols = rows.iter().map(|(ids, _)| ids.len()).max().unwrap_or(0);
        let mut batch = Self {
            cols,
            targets: Targets::Multi(vec![Vec::new(); rows.len()]),
            rows: (0..).take(rows.len()).collect(),
            ..Self::default()
        };
        let has_concepts = rows.iter().any(|(_, concepts)| !concepts.is_empty());
        for (end, (ids, concepts)) in (1..).zip(rows) {
            batch.lengths.push(u32::try_from(ids.len()).unwrap_or(u32::MAX));
            batch.ids.extend_from_slice(ids);
            batch.ids.resize(end * cols, PAD);
            if has_concepts {
                batch.concepts.extend_from_slice(concepts);
                batch.concepts.resize(end * cols, 0);
            }
        }
        batch
    }

    /// The concepts of the real tokens of row `index`; empty without a lexicon, and for series.
    pub fn concepts_of(&self, index: usize) -> &[u32] {
        let start = index * self.cols;
        let length = self.lengths.get(index).map_or(0, |length| *length as usize);
        self.concepts.get(start..start + length).unwrap_or_default()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The real tokens of row `index`.
    pub fn row(&self, index: usize) -> &[u32] {
        let start = index * self.cols;
        &self.ids[start..start + self.lengths[index] as usize]
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
        let starts = data.inputs.lengths().into_iter().map(|length| {
            let start = at;
            at += length as usize;
            start
        });
        Self { starts: starts.collect(), data }
    }

    /// The rows at `indices`; tokens are padded to the longest of them. Texts have no batches.
    pub fn batch(&self, indices: &[usize]) -> Batch {
        let mut batch = Batch {
            targets: self.data.targets.select(indices),
            rows: indices.iter().map(|index| self.data.rows[*index]).collect(),
            heads: self
                .data
                .heads
                .iter()
                .map(|head| indices.iter().map(|index| head.targets[*index]).collect())
                .collect(),
            ..Batch::default()
        };
        match &self.data.inputs {
            Inputs::Tokens { lengths, ids, .. } => {
                batch.cols = indices.iter().map(|i| lengths[*i] as usize).max().unwrap_or(0);
                batch.lengths = indices.iter().map(|index| lengths[*index]).collect();
                for index in indices {
                    let place = self.starts[*index]..self.starts[*index] + lengths[*index] as usize;
                    batch.ids.extend_from_slice(&ids[place.clone()]);
                    batch.ids.resize(batch.ids.len().next_multiple_of(batch.cols), PAD);
                    if let Some(concepts) = self.data.concepts.get(place) {
                        batch.concepts.extend_from_slice(concepts);
                        batch.concepts.resize(batch.ids.len(), 0);
                    }
                }
            }
            Inputs::Series { width, values } => {
                batch.cols = *width as usize;
                for index in indices {
                    let start = self.starts[*index];
                    batch.values.extend_from_slice(&values[start..start + batch.cols]);
                }
            }
            Inputs::Texts(_) => {}
        }
        batch
    }
}
