//! How far scores of the test rows might be from those of other rows of the same kind: percentile
//! bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).

use super::evaluation::MetricValue;
use super::ranking::Curve;
use crate::base::score::{Counts, balanced_accuracy, direction_of, f1_macro};
use crate::stats;

const PURPOSE: u64 = 0x626f_6f74; // "boot"
const RESAMPLES: usize = 1_000;
/// Rows times labels up to which areas are resampled; 200,000 take half a second.
const MOST_SCORES: usize = 200_000;

/// One row: what is right and what was said, both in rising order.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) row: u32,
    pub(super) truth: Box<[u32]>,
    pub(super) said: Box<[u32]>,
    pub(super) probabilities: Box<[f32]>,
}

/// The 95 % intervals of `accuracy`, `balanced_accuracy` (where a row has one class), `f1_macro`
/// and `roc_auc` (up to 200,000 rows times labels), each as `<metric>.ci_low` and
/// `<metric>.ci_high`. The same answers and seed give the same numbers, in whatever order the
/// answers came.
pub(super) fn intervals(
    answers: &[Answer],
    curves: &[Curve],
    classes: usize,
    one_class: bool,
    seed: u64,
) -> Vec<MetricValue> {
    let curves = if answers.len() * classes > MOST_SCORES { &[] } else { curves };
    let mut by_row: Vec<usize> = (0..answers.len()).collect();
    by_row.sort_by_key(|index| answers[*index].row);
    let [mut accuracy, mut balanced, mut f1, mut area] = [const { Vec::new() }; 4];
    stats::resample(&by_row, RESAMPLES, &[PURPOSE, seed], |times| {
        let (right, counts) = count(answers, times, classes);
        accuracy.push(right as f64 / answers.len().max(1) as f64);
        f1.push(f1_macro(&counts, !one_class));
        if one_class {
            balanced.push(balanced_accuracy(&counts));
        }
        let areas: Vec<f64> = curves.iter().filter_map(|curve| curve.area(times)).collect();
        if !areas.is_empty() {
            area.push(areas.iter().sum::<f64>() / areas.len() as f64);
        }
    });
    let found = [
        ("accuracy", accuracy),
        ("balanced_accuracy", balanced),
        ("f1_macro", f1),
        ("roc_auc", area),
    ];
    found.into_iter().flat_map(|(name, values)| ends(name, values)).collect()
}

/// Rows answered rightly, and the counts of each label; row `i` counts `times[i]` times.
fn count(answers: &[Answer], times: &[u32], classes: usize) -> (u64, Vec<Counts>) {
    let mut right = 0;
    let mut counts = vec![Counts::default(); classes];
    for (answer, times) in answers.iter().zip(times) {
        let times = u64::from(*times);
        right += if answer.truth == answer.said { times } else { 0 };
        for class in &answer.truth {
            let counts = &mut counts[*class as usize];
            counts.support += times;
            counts.hits += if answer.said.contains(class) { times } else { 0 };
        }
        for class in &answer.said {
            counts[*class as usize].predicted += times;
        }
    }
    (right, counts)
}

fn ends(name: &str, values: Vec<f64>) -> Vec<MetricValue> {
    let Some((low, high)) = stats::interval_95(values) else { return Vec::new() };
    let end = |end, value| MetricValue {
        name: format!("{name}.{end}"),
        direction: direction_of(name),
        value,
    };
    vec![end("ci_low", low), end("ci_high", high)]
}

#[cfg(test)]
mod tests {
    use crate::base::Split;
    use crate::data::prepared::Targets;
    use crate::stats::random::Stream;
    use crate::train::metric::{Evaluation, Scorer};

    /// 5,000 rows of three classes, four in five answered rightly.
    fn evaluation(order: impl Iterator<Item = u32>, seed: u64) -> Evaluation {
        let mut scorer = Scorer::new(3, false);
        for row in order {
            let mut stream = Stream::new(&[u64::from(row)]);
            let truth = stream.below(3);
            let said = if stream.unit() < 0.8 { truth } else { (truth + 1) % 3 };
            let mut logits = [0.0, 0.1, 0.2].map(|x| x + stream.unit() as f32);
            logits[said] += 1.5;
            let truth = Targets::Single(vec![truth as u32]);
            scorer.add(&logits, &truth, &[row]).unwrap();
        }
        scorer.finish(Split::Test, &["a", "b", "c"].map(String::from), seed)
    }

    fn interval(evaluation: &Evaluation, name: &str) -> (f64, f64) {
        let end = |end| evaluation.get(&format!("{name}.{end}")).unwrap().value;
        (end("ci_low"), end("ci_high"))
    }

    /// Of a share p of n rows the interval is nearly p +- 1.96 sqrt(p (1 - p) / n).
    #[test]
    fn the_interval_of_a_share_is_that_of_the_normal_distribution() {
        let found = evaluation(0..5_000, 42);
        let p = found.get("accuracy").unwrap().value;
        let (low, high) = interval(&found, "accuracy");
        let half = 1.96 * (p * (1.0 - p) / 5_000.0).sqrt();
        assert!((low - (p - half)).abs() < 0.1 * half, "{low} {p} {high} {half}");
        assert!((high - (p + half)).abs() < 0.1 * half, "{low} {p} {high} {half}");
        for name in ["balanced_accuracy", "f1_macro", "roc_auc"] {
            let (low, high) = interval(&found, name);
            let value = found.get(name).unwrap().value;
            assert!(low < value && value < high && high - low < 3.0 * half, "{name} {low} {high}");
        }
    }

    #[test]
    fn the_same_answers_and_seed_give_the_same_intervals() {
        let found = evaluation(0..300, 42);
        assert_eq!(evaluation((0..300).rev(), 42).metrics, found.metrics);
        let other = evaluation(0..300, 43);
        assert_ne!(interval(&other, "f1_macro"), interval(&found, "f1_macro"));
        assert_eq!(other.get("f1_macro"), found.get("f1_macro"));
    }

    /// Rows that are all right leave nothing to chance.
    #[test]
    fn rows_of_many_labels_have_intervals_too() {
        let mut scorer = Scorer::new(2, true);
        let targets = Targets::Multi(vec![vec![0], vec![0, 1], vec![]]);
        scorer.add(&[1.0, -1.0, 1.0, 1.0, -1.0, -1.0], &targets, &[0, 1, 2]).unwrap();
        let found = scorer.finish(Split::Test, &["a".into(), "b".into()], 1);
        assert_eq!(interval(&found, "accuracy"), (1.0, 1.0));
        assert_eq!(interval(&found, "f1_macro").1, 1.0);
        assert_eq!(interval(&found, "roc_auc"), (1.0, 1.0));
        assert!(found.get("balanced_accuracy.ci_low").is_none());
    }
}
