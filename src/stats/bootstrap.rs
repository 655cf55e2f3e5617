//! The percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993,
//! chapter 13).

use super::percentile::percentile;
use super::random::Stream;

/// The share of the resamples below the lower and above the upper end of a 95 % interval.
const TAIL: f64 = 0.025;

/// Draws the rows in `order` with replacement, `count` times, and calls `each` with how often each
/// row was drawn: the n-th number is that of row n. The stream of `key` decides which place in
/// `order` is drawn, so the same key gives the same draws whatever the numbers of the rows are.
pub fn resample(order: &[usize], count: usize, key: &[u64], mut each: impl FnMut(&[u32])) {
    let mut stream = Stream::new(key);
    let mut times = vec![0_u32; order.len()];
    for _ in 0..count {
        times.fill(0);
        for _ in order {
            times[order[stream.below(order.len())]] += 1;
        }
        each(&times);
    }
}

/// The ends of the 95 % interval of what was computed from each resample; none without values.
pub fn interval_95(mut values: Vec<f64>) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some((percentile(&values, TAIL), percentile(&values, 1.0 - TAIL)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resample_has_as_many_rows_and_the_key_decides_which() {
        let draws = |order: &[usize], key: &[u64]| {
            let mut found = Vec::new();
            resample(order, 20, key, |times| found.push(times.to_vec()));
            found
        };
        let found = draws(&[0, 1, 2, 3], &[7]);
        assert_eq!(found.len(), 20);
        assert!(found.iter().all(|times| times.iter().sum::<u32>() == 4));
        assert_eq!(found, draws(&[0, 1, 2, 3], &[7]));
        assert_ne!(found, draws(&[0, 1, 2, 3], &[8]));
        let turned: Vec<Vec<u32>> =
            found.iter().map(|times| times.iter().rev().copied().collect()).collect();
        assert_eq!(draws(&[3, 2, 1, 0], &[7]), turned, "other numbers, the same rows");
    }

    /// The mean of 0 and 1 in equal parts has the standard error 0.5 / sqrt(n).
    #[test]
    fn the_interval_of_a_mean_is_nearly_that_of_the_normal_distribution() {
        let order: Vec<usize> = (0..400).collect();
        let mut means = Vec::new();
        resample(&order, 2_000, &[1], |times| {
            let ones: u32 = times.iter().step_by(2).sum();
            means.push(f64::from(ones) / 400.0);
        });
        let (low, high) = interval_95(means).unwrap();
        let reach = 1.96 * 0.5 / 20.0;
        assert!((low - (0.5 - reach)).abs() < 0.1 * reach, "{low}");
        assert!((high - (0.5 + reach)).abs() < 0.1 * reach, "{high}");
        assert_eq!(interval_95(Vec::new()), None);
    }
}
