//! Comprehensiveness and sufficiency (DeYoung et al., "ERASER: a benchmark to evaluate rationalized
//! NLP models", 2020): what the probability of the model's answer loses without the relevant
//! tokens, and with them alone. Means over rationales of 1, 5, 10, 20 and 50 % of the tokens.
//! The same with tokens drawn at random tells what any tokens of that number would do.

use super::{Attended, probability};
use crate::base::Direction;
use crate::data::batch::Batch;
use crate::model::config::TrainConfig;
use crate::stats::random::Stream;
use crate::train::learner::Learner;
use crate::train::metric::MetricValue;
use crate::train::trainer::TrainError;

const SHARES: [f64; 5] = [0.01, 0.05, 0.1, 0.2, 0.5];
const PURPOSE: u64 = 0x6661_6974_6866; // "faithf"

/// The scores of `rows`, with those of random rationales beside them; none where every row is
/// empty.
pub(super) fn scores(
    learner: &mut dyn Learner,
    rows: &[Attended],
    multi: bool,
    config: &TrainConfig,
) -> Result<Vec<MetricValue>, TrainError> {
    let rows: Vec<&Attended> = rows.iter().filter(|row| row.ids.len() > 1).collect();
    let seed = config.training.seed;
    let relevant: Vec<Vec<usize>> = rows.iter().map(|row| by_relevance(row)).collect();
    let random: Vec<Vec<usize>> = rows.iter().map(|row| by_chance(row, seed)).collect();
    let mut metrics = Vec::new();
    for (orders, suffix) in [(relevant, ""), (random, "_random")] {
        for (name, keep, direction) in [
            ("comprehensiveness", false, Direction::Higher),
            ("sufficiency", true, Direction::Lower),
        ] {
            let mut losses = Vec::new();
            for share in SHARES {
                let reduced = rows.iter().zip(&orders);
                let reduced: Vec<Reduced> =
                    reduced.map(|(row, order)| reduce(row, order, share, keep)).collect();
                let asked = asked(learner, &reduced, config.eval_batch_rows())?;
                losses.extend(rows.iter().zip(asked).map(|(row, logits)| {
                    let class = row.said();
                    probability(&row.logits, class, multi) - probability(&logits, class, multi)
                }));
            }
            if !losses.is_empty() {
                let value = losses.iter().sum::<f64>() / losses.len() as f64;
                // Of a random choice nothing is to be wished for.
                let direction = if suffix.is_empty() { direction } else { Direction::Neutral };
                metrics.push(MetricValue { name: format!("{name}{suffix}"), direction, value });
            }
        }
    }
    Ok(metrics)
}

/// Tokens and concepts of a part of a row.
type Reduced = (Vec<u32>, Vec<u32>);

/// Places of the tokens after `[CLS]`, the most relevant first.
fn by_relevance(row: &Attended) -> Vec<usize> {
    let mut order: Vec<usize> = (1..row.ids.len()).collect();
    order.sort_by(|a, b| row.relevance[*b].total_cmp(&row.relevance[*a]));
    order
}

fn by_chance(row: &Attended, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (1..row.ids.len()).collect();
    Stream::new(&[PURPOSE, seed, row.index as u64]).shuffle(&mut order);
    order
}

/// The row without the first `share` of `order`, or with these alone; `[CLS]` always stays.
fn reduce(row: &Attended, order: &[usize], share: f64, keep: bool) -> Reduced {
    let count = ((order.len() as f64 * share).ceil() as usize).max(1);
    let rationale = &order[..count];
    let stays = |at: &usize| *at == 0 || rationale.contains(at) == keep;
    let places: Vec<usize> = (0..row.ids.len()).filter(stays).collect();
    let pick = |from: &[u32]| places.iter().filter_map(|at| from.get(*at).copied()).collect();
    (pick(&row.ids), pick(&row.concepts))
}

/// The model's scores of rows that are in no dataset.
fn asked(
    learner: &mut dyn Learner,
    rows: &[Reduced],
    batch_rows: usize,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let mut all = Vec::with_capacity(rows.len());
    for rows in rows.chunks(batch_rows) {
        let logits = learner.evaluate(&Batch::of_tokens(rows))?.logits;
        all.extend(logits.chunks_exact(logits.len() / rows.len()).map(<[f32]>::to_vec));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Attended {
        Attended {
            index: 3,
            ids: vec![2, 10, 11, 12, 13],
            concepts: vec![0, 0, 7, 7, 0],
            logits: vec![0.0, 1.0],
            relevance: vec![0.4, 0.1, 0.2, 0.3, 0.2],
            layers: Vec::new(),
            received: Vec::new(),
        }
    }

    #[test]
    fn rationales_are_taken_out_or_left_alone() {
        let row = row();
        let order = by_relevance(&row);
        assert_eq!(order, [3, 2, 4, 1], "[CLS] is no part of a rationale");
        assert_eq!(reduce(&row, &order, 0.01, false), (vec![2, 10, 11, 13], vec![0, 0, 7, 0]));
        assert_eq!(reduce(&row, &order, 0.01, true), (vec![2, 12], vec![0, 7]));
        assert_eq!(reduce(&row, &order, 0.5, true).0, [2, 11, 12]);
        assert_eq!(by_chance(&row, 1), by_chance(&row, 1));
    }

    #[test]
    fn probabilities_are_those_of_the_answer() {
        let row = row();
        assert_eq!(row.said(), 1);
        let odds = std::f64::consts::E;
        assert!((probability(&row.logits, 1, false) - odds / (1.0 + odds)).abs() < 1e-12);
        assert!((probability(&row.logits, 0, true) - 0.5).abs() < 1e-12);
    }
}
