//! Which tokens a trained model attends to, for some rows of the test split.

use std::path::Path;

use super::super::learner::{AttentionMaps, Learner};
use super::super::metric::MetricValue;
use super::super::trainer::TrainError;
use super::{export, faithful, rollout};
use crate::base::Split;
use crate::data::batch::Batch;
use crate::data::batch::Collator;
use crate::data::prepared::Prepared;
use crate::model::config::TrainConfig;

/// Where the attention of some test rows is written, relative to the run's folder.
pub const ATTENTION_FILE: &str = "results/attention.json";
/// The same as a picture.
pub const PICTURE_FILE: &str = "plots/attention.svg";

/// A row with what the model attends to in it.
pub(super) struct Attended {
    /// Index in the dataset.
    pub(super) index: usize,
    /// Its tokens, `[CLS]` first.
    pub(super) ids: Vec<u32>,
    /// The concept of each token, where the data has any.
    pub(super) concepts: Vec<u32>,
    /// The model's scores.
    pub(super) logits: Vec<f32>,
    /// Rollout of each token; they sum to 1.
    pub(super) relevance: Vec<f32>,
    /// For each layer, the mean over heads of who attends to whom: tokens by tokens.
    pub(super) layers: Vec<Vec<f32>>,
    /// For each layer and head, how much attention each token receives.
    pub(super) received: Vec<Vec<Vec<f32>>>,
}

/// Explains rows of the test split as `config` asks: writes files into `dir` and gives back scores.
/// A model without attention has neither.
///
/// # Errors
/// When the learner fails or a file cannot be written.
pub(in crate::train) fn explain(
    learner: &mut dyn Learner,
    data: &Prepared,
    config: &TrainConfig,
    dir: &Path,
) -> Result<Vec<MetricValue>, TrainError> {
    let wanted = &config.attention;
    let test = data.of_split(Split::Test);
    let shown = spread(&test, wanted.export_rows as usize);
    if !shown.is_empty() {
        let rows = attended(learner, data, &shown, config.eval_batch_rows())?;
        export::write(&rows, data, dir)?;
    }
    let scored = spread(&test, wanted.faithfulness_rows as usize);
    if scored.is_empty() {
        return Ok(Vec::new());
    }
    let rows = attended(learner, data, &scored, config.eval_batch_rows())?;
    faithful::scores(learner, &rows, data.targets.is_multi(), config)
}

/// At most `count` of `rows`, evenly spread.
fn spread(rows: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(rows.len());
    (0..count).map(|at| rows[at * rows.len() / count]).collect()
}

/// Asks the model about rows, some at a time.
fn attended(
    learner: &mut dyn Learner,
    data: &Prepared,
    indices: &[usize],
    batch_rows: usize,
) -> Result<Vec<Attended>, TrainError> {
    let collator = Collator::new(data);
    let mut all = Vec::with_capacity(indices.len());
    for indices in indices.chunks(batch_rows) {
        let batch = collator.batch(indices);
        let Some(maps) = learner.attend(&batch)? else { return Ok(Vec::new()) };
        let logits = learner.evaluate(&batch)?.logits;
        let width = logits.len() / batch.len();
        for (row, index) in indices.iter().enumerate() {
            let logits = logits[row * width..(row + 1) * width].to_vec();
            all.push(Attended::new(*index, &batch, row, logits, &maps));
        }
    }
    Ok(all)
}

impl Attended {
    fn new(
        index: usize,
        batch: &Batch,
        row: usize,
        logits: Vec<f32>,
        maps: &AttentionMaps,
    ) -> Self {
        let length = batch.lengths[row] as usize;
        let layers: Vec<Vec<f32>> = (0..maps.layers)
            .map(|layer| rollout::mean_of_heads(maps, layer, row, length))
            .collect();
        let received = |layer| {
            (0..maps.heads).map(|head| rollout::received(maps, layer, row, head, length)).collect()
        };
        Self {
            index,
            ids: batch.row(row).to_vec(),
            concepts: batch.concepts_of(row).to_vec(),
            logits,
            relevance: rollout::rollout(&layers, length),
            received: (0..maps.layers).map(received).collect(),
            layers,
        }
    }

    /// The class with the highest score.
    pub(super) fn said(&self) -> usize {
        let scores = self.logits.iter().enumerate();
        // The first of equals, as everywhere.
        scores.fold(0, |best, (at, score)| if *score > self.logits[best] { at } else { best })
    }
}

/// Scores as probabilities: of each label by itself where a row may have any number of them.
pub(super) fn probability(logits: &[f32], class: usize, multi: bool) -> f64 {
    let score = |at: usize| f64::from(logits[at]);
    if multi {
        return 1.0 / (1.0 + (-score(class)).exp());
    }
    1.0 / (0..logits.len()).map(|other| (score(other) - score(class)).exp()).sum::<f64>()
}
