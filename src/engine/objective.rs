//! What an update minimises: the loss of the labels, and those of the auxiliary heads by their
//! weights. Every part is a mean over the rows of the whole update that have a label for it.
//! Where nothing is labelled, the network's answers are the losses of the rows.
//!
//! Where attention is supervised, the last layer's is drawn to rationales, or to the terms of the
//! lexicon: minus the logarithm of the share that their tokens receive, mean over the rows that
//! have one.

use annals::data::batch::Batch;
use annals::model::config::{MAIN, TrainConfig};
use tch::{Kind, Reduction, Tensor};

use crate::arch::{Attention, Scores};
use crate::loss::Loss;

/// The class of rows that teach nothing.
const UNLABELLED: i64 = -100;
const ATTENTION_LOSS: &str = "attention.loss";

/// What is minimised.
pub(crate) struct Objective {
    main: Loss,
    /// What a head's scores are called, and what its loss counts.
    heads: Vec<(String, f64)>,
    /// Whether the rows themselves are learned, without labels.
    unlabelled: bool,
    /// What attention outside the terms of the lexicon counts; 0 for none.
    supervision: f64,
}

/// The losses of an update, as far as its batches went through the network.
pub(crate) struct Update {
    main_divisor: f64,
    /// Labelled rows of each head.
    labelled: Vec<f64>,
    /// The loss of the labels.
    main: f64,
    /// The loss of each head.
    heads: Vec<f64>,
    /// Rows with a term of the lexicon.
    with_terms: f64,
    /// The loss of attention.
    attention: f64,
}

impl Objective {
    pub(crate) fn new(main: Loss, config: &TrainConfig) -> Self {
        let heads = config.multitask.heads.iter();
        let heads = heads.map(|head| (head.name.clone(), head.weight)).collect();
        let supervision = config.attention.supervision_weight;
        Self { main, heads, unlabelled: !config.learns_labels(), supervision }
    }

    /// Whose attention the loss needs.
    pub(crate) fn attention(&self) -> Attention {
        if self.supervision > 0.0 { Attention::Last } else { Attention::None }
    }

    /// Begins an update with these batches.
    pub(crate) fn begin(&self, batches: &[Batch]) -> Update {
        let labelled = |head: usize| {
            let targets = batches.iter().filter_map(|batch| batch.heads.get(head)).flatten();
            targets.flatten().count() as f64
        };
        let rows = batches.iter().map(Batch::len).sum::<usize>() as f64;
        Update {
            main_divisor: if self.unlabelled { rows } else { self.main.divisor(batches) },
            labelled: (0..self.heads.len()).map(labelled).collect(),
            main: 0.0,
            heads: vec![0.0; self.heads.len()],
            with_terms: batches.iter().map(|batch| with_terms(batch).len()).sum::<usize>() as f64,
            attention: 0.0,
        }
    }

    /// What one batch adds to the loss of its update.
    pub(crate) fn loss(&self, update: &mut Update, scores: &Scores, batch: &Batch) -> Tensor {
        let sum = if self.unlabelled {
            scores.logits.sum(Kind::Float)
        } else {
            self.main.sum(&scores.logits, &batch.targets)
        };
        let mut loss = sum / update.main_divisor;
        update.main += loss.double_value(&[]);
        let heads = self.heads.iter().zip(&scores.heads).zip(&batch.heads).enumerate();
        for (head, (((_, weight), logits), targets)) in heads {
            let classes: Vec<i64> =
                targets.iter().map(|t| t.map_or(UNLABELLED, i64::from)).collect();
            if classes.iter().any(|class| *class != UNLABELLED) {
                let part = masked(logits, &classes) / update.labelled[head];
                update.heads[head] += part.double_value(&[]);
                loss += part * *weight;
            }
        }
        if let (Some(attention), true) = (scores.attention.last(), self.supervision > 0.0) {
            let rows = with_terms(batch);
            if !rows.is_empty() {
                let part = off_terms(attention, batch, &rows) / update.with_terms;
                update.attention += part.double_value(&[]);
                loss += part * self.supervision;
            }
        }
        loss
    }

    /// The loss of the whole update, and its parts by name where there are several.
    pub(crate) fn end(&self, update: &Update) -> (f64, Vec<(String, f64)>) {
        let heads = self.heads.iter().zip(&update.heads).zip(&update.labelled);
        let mut parts = Vec::new();
        let mut whole = update.main;
        for (((name, weight), loss), labelled) in heads {
            whole += weight * loss;
            if *labelled > 0.0 {
                parts.push((format!("{name}.loss"), *loss));
            }
        }
        if self.supervision > 0.0 && update.with_terms > 0.0 {
            whole += self.supervision * update.attention;
            parts.push((ATTENTION_LOSS.to_owned(), update.attention));
        }
        if !self.heads.is_empty() || self.supervision > 0.0 {
            parts.push((format!("{MAIN}.loss"), update.main));
        }
        (whole, parts)
    }
}

/// Rows of a batch in which a term of the lexicon stands.
fn with_terms(batch: &Batch) -> Vec<i64> {
    let has_term = |row: &usize| batch.concepts_of(*row).iter().any(|concept| *concept > 0);
    (0..batch.len()).filter(has_term).map(|row| row as i64).collect()
}

/// Minus the logarithm of the share of attention on terms, mean over heads and real tokens, summed
/// over `rows`.
fn off_terms(attention: &Tensor, batch: &Batch, rows: &[i64]) -> Tensor {
    let (device, cols) = (attention.device(), batch.cols as i64);
    let terms: Vec<f32> = batch.concepts.iter().map(|c| f32::from(u8::from(*c > 0))).collect();
    let terms = Tensor::from_slice(&terms).view([-1, 1, cols, 1]).to_device(device);
    let lengths: Vec<i64> = batch.lengths.iter().map(|length| i64::from(*length)).collect();
    let lengths = Tensor::from_slice(&lengths).view([-1, 1]).to_device(device);
    let real = Tensor::arange(cols, (Kind::Int64, device)).unsqueeze(0).lt_tensor(&lengths);
    // [rows, heads, cols]: what each token gives to terms.
    let given = attention.matmul(&terms).squeeze_dim(-1);
    let given = given.mean_dim([1_i64].as_slice(), false, Kind::Float) * real.to_kind(Kind::Float);
    let shares = given.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
        / lengths.squeeze_dim(1).to_kind(Kind::Float);
    let shares = shares.index_select(0, &Tensor::from_slice(rows).to_device(device));
    // A share of nothing has no logarithm.
    -shares.clamp_min(1e-6).log().sum(Kind::Float)
}

/// Cross entropy summed over the rows that have a class.
fn masked(logits: &Tensor, classes: &[i64]) -> Tensor {
    let classes = Tensor::from_slice(classes).to_device(logits.device());
    let none = None::<&Tensor>;
    logits.cross_entropy_loss(&classes, none, Reduction::Sum, UNLABELLED, 0.0)
}
