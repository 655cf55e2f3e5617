//! Where a row may have any number of labels: from which probability on it has each.

use crate::base::score::Counts;
use crate::data::prepared::Prepared;
use crate::model::config::Threshold;

/// The probability that a logit stands for where each label is asked for by itself.
pub fn probability(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// What turns probabilities into labels.
#[derive(Clone, Debug, PartialEq)]
pub enum Thresholds {
    /// A row has a label from this probability on; one for each label.
    Given(Vec<f64>),
    /// For each label the one with the largest F1 on the rows that are scored.
    Tuned,
}

impl Thresholds {
    /// The thresholds of the labels of `data`, as configured.
    pub fn of(configured: Threshold, data: &Prepared) -> Self {
        match configured {
            Threshold::At(value) => Self::Given(vec![value; data.labels.len()]),
            Threshold::Tuned if data.targets.is_multi() => Self::Tuned,
            // Where a row has one class, nothing is decided by thresholds.
            Threshold::Tuned => Self::Given(Vec::new()),
        }
    }
}

/// The threshold with the largest F1 over `rows`, which are the label's probability and whether
/// the row has it. Of several that are as good it is the one that answers yes least often, and
/// one half where that answers alike, else midway between the probabilities it parts.
///
/// One half without a row that has the label: all thresholds are equally bad then.
pub(super) fn best(mut rows: Vec<(f64, bool)>) -> f64 {
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let support = rows.iter().filter(|(_, has)| *has).count() as u64;
    let mut counts = Counts { support, ..Counts::default() };
    let (mut best, mut found) = (0.0, 0.5);
    let mut groups = rows.chunk_by(|a, b| a.0 == b.0).peekable();
    while let Some(group) = groups.next() {
        counts.predicted += group.len() as u64;
        counts.hits += group.iter().filter(|(_, has)| *has).count() as u64;
        if counts.f1() > best {
            best = counts.f1();
            let above = group[0].0;
            let below = groups.peek().map_or(0.0, |next| next[0].0);
            found = between(below, above);
        }
    }
    found
}

/// A threshold that `above` reaches and `below` does not.
fn between(below: f64, above: f64) -> f64 {
    if below < 0.5 && above >= 0.5 {
        return 0.5;
    }
    let middle = below + (above - below) / 2.0;
    // Between neighbours among floats there is no middle.
    if middle > below { middle } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_has_the_largest_f1_as_computed_by_hand() {
        // F1 from the top: 1 of 1: 2/4; 1 of 2: 2/5; 2 of 3: 4/6; 2 of 4: 4/7; 3 of 5: 6/8;
        // 3 of 6: 6/9.
        let rows =
            [(0.9, true), (0.8, false), (0.4, true), (0.3, false), (0.2, true), (0.1, false)];
        assert!((best(rows.to_vec()) - 0.15).abs() < 1e-12);
        // 1 of 1: 2/3; 2 of 2: 1; 2 of 3: 4/5.
        let rows = [(0.6, true), (0.9, true), (0.1, false)];
        assert_eq!(best(rows.to_vec()), 0.5, "one half is between 0.6 and 0.1");
        assert!((best(vec![(0.3, true), (0.2, false)]) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn equal_probabilities_are_answered_alike() {
        // 2 of 4: 4/6, or 2 of 5: 4/7; the two at 0.7 cannot be parted.
        let rows = [(0.7, true), (0.7, false), (0.7, false), (0.7, true), (0.6, false)];
        assert!((best(rows.to_vec()) - 0.65).abs() < 1e-12);
    }

    #[test]
    fn a_label_that_no_row_has_keeps_one_half() {
        assert_eq!(best(vec![(0.9, false), (0.1, false)]), 0.5);
        assert_eq!(best(vec![]), 0.5);
    }

    #[test]
    fn neighbouring_floats_are_parted() {
        let above = 0.25_f64;
        let below = above.next_down();
        assert_eq!(best(vec![(above, true), (below, false)]), above);
    }
}
