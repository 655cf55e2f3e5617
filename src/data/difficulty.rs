//! How difficult each row is to learn, by the row itself: a curriculum begins with the easiest.

use std::collections::BTreeMap;

use super::prepared::{Inputs, Prepared};
use crate::base::Split;
use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What makes a row difficult.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Difficulty {
    /// The number of its tokens.
    Length,
    /// How rare its tokens are among the training rows.
    Rarity,
    /// The loss of a model that was trained before.
    Reference,
}

/// How difficult each row is, by what is seen of the rows themselves: tokens, or how rare they are
/// among the training rows. Empty where another model decides it.
pub fn difficulty(by: Difficulty, data: &Prepared) -> Vec<f32> {
    match by {
        Difficulty::Length => data.inputs.lengths().iter().map(|length| *length as f32).collect(),
        Difficulty::Rarity => rarity(data),
        Difficulty::Reference => Vec::new(),
    }
}

/// Mean information of the tokens of each row in nats, by their counts in the training rows plus
/// one.
fn rarity(data: &Prepared) -> Vec<f32> {
    let Inputs::Tokens { lengths, ids, .. } = &data.inputs else { return Vec::new() };
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    let mut all = 0_u64;
    for (row, split) in rows(lengths, ids).zip(&data.splits) {
        if *split == Split::Train {
            for id in row {
                *counts.entry(*id).or_default() += 1;
                all += 1;
            }
        }
    }
    let all = (all + u64::from(data.inputs.vocab_size())) as f64;
    let information = |id: &u32| (all / (counts.get(id).copied().unwrap_or(0) + 1) as f64).ln();
    rows(lengths, ids)
        .map(|row| (row.iter().map(information).sum::<f64>() / row.len() as f64) as f32)
        .collect()
}

/// The tokens of each row.
fn rows<'a>(lengths: &'a [u32], ids: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
    let mut at = 0;
    lengths.iter().map(move |length| {
        let start = at;
        at += *length as usize;
        &ids[start..at]
    })
}
