//! What an update minimises: the loss of the labels, and those of the auxiliary heads by their
//! weights. Every part is a mean over the rows of the whole update that have a label for it.
//! Where nothing is labelled, the network's answers are the losses of the rows.

use annals::train::Batch;
use annals::train::config::{MAIN, TrainConfig};
use tch::{Kind, Reduction, Tensor};

use crate::arch::Scores;
use crate::loss::Loss;

/// The class of rows that teach nothing.
const UNLABELLED: i64 = -100;

/// What is minimised.
pub(crate) struct Objective {
    main: Loss,
    /// What a head's scores are called, and what its loss counts.
    heads: Vec<(String, f64)>,
    /// Whether the rows themselves are learned, without labels.
    unlabelled: bool,
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
}

impl Objective {
    pub(crate) fn new(main: Loss, config: &TrainConfig) -> Self {
        let heads = config.multitask.heads.iter();
        let heads = heads.map(|head| (head.name.clone(), head.weight)).collect();
        Self { main, heads, unlabelled: config.pat.pretrain }
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
        if !self.heads.is_empty() {
            parts.push((format!("{MAIN}.loss"), update.main));
        }
        (whole, parts)
    }
}

/// Cross entropy summed over the rows that have a class.
fn masked(logits: &Tensor, classes: &[i64]) -> Tensor {
    let classes = Tensor::from_slice(classes).to_device(logits.device());
    let none = None::<&Tensor>;
    logits.cross_entropy_loss(&classes, none, Reduction::Sum, UNLABELLED, 0.0)
}
