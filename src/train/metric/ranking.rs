//! Scores of the order and the size of a model's answers: areas under curves and calibration.
//!
//! Unlike counts of right and wrong these need every answer at the end, so all are kept.

/// Bins of equal width of the calibration error (Guo and others, "On Calibration of Modern Neural
/// Networks", 2017).
const BINS: usize = 15;

/// Labels up to which answers are kept; more would cost rows * labels * 16 bytes.
const MOST_LABELS: usize = 256;

/// The answers to all rows.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    multi: bool,
    /// Of each label: the score of every row, and whether the row has the label.
    scores: Vec<Vec<(f64, bool)>>,
    /// Of each row: its number, the probability of the class said, and whether that is right.
    said: Vec<(u32, f64, bool)>,
}

impl Ranking {
    pub(super) fn new(classes: usize, multi: bool) -> Self {
        let kept = if classes > MOST_LABELS { 0 } else { classes };
        Self { multi, scores: vec![Vec::new(); kept], said: Vec::new() }
    }

    /// Takes in the logits of one row.
    pub(super) fn add(&mut self, row: u32, logits: &[f32], truth: &[u32]) {
        let logits = logits.iter().map(|logit| f64::from(*logit));
        let scores: Vec<f64> = if self.multi {
            logits.collect()
        } else {
            let max = logits.clone().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.clone().map(|logit| (logit - max).exp()).sum();
            self.said.push((row, 1.0 / sum, false));
            // Logarithms keep apart what rounds to a probability of 1.
            logits.map(|logit| logit - max - sum.ln()).collect()
        };
        for ((class, kept), score) in (0_u32..).zip(&mut self.scores).zip(scores) {
            kept.push((score, truth.contains(&class)));
        }
    }

    /// Says whether the row added last was answered rightly.
    pub(super) fn judge(&mut self, right: bool) {
        if let Some(last) = self.said.last_mut() {
            last.2 = right;
        }
    }

    /// `roc_auc`, `pr_auc` and `ece`, as far as each is defined.
    pub(super) fn finish(mut self) -> Vec<(&'static str, f64)> {
        for scores in &mut self.scores {
            scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        }
        let mean = |area: fn(&[(f64, bool)]) -> Option<f64>| {
            let areas: Vec<f64> = self.looked_for().iter().filter_map(|all| area(all)).collect();
            (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
        };
        let areas = if self.scores.is_empty() {
            Vec::new()
        } else {
            vec![("roc_auc", mean(roc_auc)), ("pr_auc", mean(average_precision))]
        };
        let mut values: Vec<_> =
            areas.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        if !self.said.is_empty() {
            self.said.sort_by_key(|(row, ..)| *row);
            values.push(("ece", calibration_error(&self.said)));
        }
        values
    }

    /// Of two classes the second is the one looked for, as in scikit-learn.
    fn looked_for(&self) -> &[Vec<(f64, bool)>] {
        let first = usize::from(!self.multi && self.scores.len() == 2);
        &self.scores[first..]
    }

    /// The curve of each label looked for; rows are counted in the order they were added.
    pub(super) fn curves(&self) -> Vec<Curve> {
        self.looked_for().iter().map(|scores| Curve::new(scores)).collect()
    }
}

/// The rows of one label from the highest score to the lowest, in groups of equal scores.
pub(super) struct Curve {
    /// Which row, and whether it has the label.
    groups: Vec<Vec<(u32, bool)>>,
}

impl Curve {
    fn new(scores: &[(f64, bool)]) -> Self {
        let mut rows: Vec<(u32, (f64, bool))> = (0..).zip(scores.iter().copied()).collect();
        rows.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
        let groups = rows.chunk_by(|a, b| a.1.0 == b.1.0);
        let groups = groups.map(|group| group.iter().map(|(row, (_, has))| (*row, *has)).collect());
        Self { groups: groups.collect() }
    }

    /// [`roc_auc`] where row `i` stands `times[i]` times; none where there is no curve.
    pub(super) fn area(&self, times: &[u32]) -> Option<f64> {
        let groups = self.groups.iter().map(|group| {
            group.iter().fold((0, 0), |(with, without), (row, has)| {
                let times = u64::from(times[*row as usize]);
                if *has { (with + times, without) } else { (with, without + times) }
            })
        });
        right_pairs(groups)
    }
}

/// Rows with and without the label in each group of equal scores; `scores` fall.
fn groups(scores: &[(f64, bool)]) -> impl Iterator<Item = (u64, u64)> {
    scores.chunk_by(|a, b| a.0 == b.0).map(|group| {
        let with = group.iter().filter(|(_, has)| *has).count() as u64;
        (with, group.len() as u64 - with)
    })
}

/// The share of pairs of a row with and a row without the label in which the first scores higher;
/// equal scores count half. None where all rows have the label, or none has it.
fn roc_auc(scores: &[(f64, bool)]) -> Option<f64> {
    right_pairs(groups(scores))
}

/// Of groups of rows with and without the label, by falling score; none without a pair.
fn right_pairs(groups: impl Iterator<Item = (u64, u64)>) -> Option<f64> {
    let (mut with, mut without, mut twice_right) = (0_u64, 0_u64, 0_u128);
    for (more_with, more_without) in groups {
        twice_right += u128::from(more_without) * u128::from(2 * with + more_with);
        with += more_with;
        without += more_without;
    }
    let pairs = u128::from(with) * u128::from(without);
    (pairs > 0).then(|| twice_right as f64 / (2 * pairs) as f64)
}

/// The mean of the precision at each threshold, weighted by the recall won there. None where no
/// row has the label.
fn average_precision(scores: &[(f64, bool)]) -> Option<f64> {
    let (mut hits, mut said, mut area) = (0_u64, 0_u64, 0.0);
    for (with, without) in groups(scores) {
        hits += with;
        said += with + without;
        area += with as f64 * (hits as f64 / said as f64);
    }
    (hits > 0).then(|| area / hits as f64)
}

/// The mean distance of confidence from accuracy, over bins of confidence open below.
fn calibration_error(said: &[(u32, f64, bool)]) -> f64 {
    let mut gaps = [0.0; BINS];
    for (_, confidence, right) in said {
        let bin = (confidence * BINS as f64).ceil() as usize;
        gaps[bin.clamp(1, BINS) - 1] += confidence - f64::from(u8::from(*right));
    }
    gaps.iter().map(|gap: &f64| gap.abs()).sum::<f64>() / said.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [[f32; 3]; 8] = [
        [2.0, 1.0, 0.0],
        [0.0, 1.0, 0.5],
        [1.0, 1.0, -1.0],
        [0.0, 2.0, 0.0],
        [0.5, 0.25, 1.0],
        [0.0, 0.0, 3.0],
        [1.0, -1.0, 1.0],
        [2.0, 0.0, 0.0],
    ];
    const CLASSES: [u32; 8] = [0, 1, 0, 1, 2, 2, 0, 1];

    fn check(ranking: Ranking, expected: &[(&str, f64)]) {
        let found = ranking.finish();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.0, expected.0);
            assert!((found.1 - expected.1).abs() < 1e-12, "{found:?} instead of {expected:?}");
        }
    }

    /// The values are those of scikit-learn 1.9.1 (`multi_class="ovr"`); `ece` by NumPy.
    #[test]
    fn areas_equal_those_of_scikit_learn() {
        let mut three = Ranking::new(3, false);
        // The order of rows decides nothing.
        for row in [7, 0, 3, 1, 2, 6, 5, 4_usize] {
            let said = usize::from(LOGITS[row][1] > LOGITS[row][0]);
            let said = if LOGITS[row][2] > LOGITS[row][said] { 2 } else { said };
            three.add(row as u32, &LOGITS[row], &CLASSES[row..=row]);
            three.judge(said as u32 == CLASSES[row]);
        }
        check(
            three,
            &[
                ("roc_auc", 0.866_666_666_666_666_7),
                ("pr_auc", 0.833_333_333_333_333_4),
                ("ece", 0.384_395_301_757_455_84),
            ],
        );
        let mut two = Ranking::new(2, false);
        for (row, logits) in (0..).zip(&LOGITS) {
            two.add(row, &logits[..2], &[u32::from(CLASSES[row as usize] == 1)]);
        }
        let found = two.finish();
        assert!((found[0].1 - 0.7).abs() < 1e-12, "{found:?}");
        assert!((found[1].1 - 0.791_666_666_666_666_6).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn rows_of_many_labels_have_a_curve_for_each_label() {
        let labels: [&[u32]; 8] = [&[0, 2], &[1], &[0, 1], &[1], &[2], &[2], &[0], &[1, 2]];
        let mut ranking = Ranking::new(3, true);
        for (row, logits) in (0..).zip(&LOGITS) {
            ranking.add(row, logits, labels[row as usize]);
        }
        check(
            ranking,
            &[("roc_auc", 0.756_944_444_444_444_3), ("pr_auc", 0.712_301_587_301_587_3)],
        );
    }

    #[test]
    fn a_label_that_all_or_no_rows_have_has_no_roc_curve() {
        for (class, expected) in [(1, &[("pr_auc", 1.0), ("ece", 0.5)][..]), (0, &[("ece", 0.5)])] {
            let mut ranking = Ranking::new(2, false);
            ranking.add(0, &[0.0, 0.0], &[class]);
            ranking.judge(false);
            check(ranking, expected);
        }
    }
}
