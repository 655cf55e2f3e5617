//! Percentiles of sorted values.

use std::cmp::Ordering;

/// The value below which a `share` of the sorted values is: between the two nearest ones, linearly
/// (the default of NumPy). NaN without values.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// As [`percentile`], for values of which only one that occurs makes sense, such as counts: of the
/// two nearest the nearer, the larger where both are as near. None without values.
pub fn nearest<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * share;
    let at = match place.fract().partial_cmp(&0.5) {
        Some(Ordering::Less) => place.floor(),
        _ => place.ceil(),
    };
    sorted.get(at as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_numpy() {
        // NumPy 2.4.6: numpy.percentile([1, 2, 4, 8], [0, 25, 50, 97.5, 100])
        let values = [1.0, 2.0, 4.0, 8.0];
        for (share, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 3.0), (0.975, 7.7), (1.0, 8.0)] {
            let found = percentile(&values, share);
            assert!((found - expected).abs() < 1e-12, "{share}: {found}");
        }
        assert_eq!(percentile(&[3.0], 0.9), 3.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_nearest_value_is_one_that_occurs() {
        assert_eq!([0.0, 0.5, 0.95].map(|share| nearest(&[1, 2, 4, 8], share).unwrap()), [1, 4, 8]);
        assert_eq!(nearest(&[1, 2, 3], 0.2), Some(1));
        assert_eq!(nearest::<u32>(&[], 0.5), None);
    }
}
