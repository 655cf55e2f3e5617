//! McNemar's exact test.

/// Two-sided binomial test that both are as likely (McNemar, "Note on the sampling error of the
/// difference between correlated proportions", 1947; exact form).
pub fn mcnemar_p(a: u64, b: u64) -> f64 {
    let (less, n) = (a.min(b), a + b);
    // Logarithms, because 2^-n is 0 in a float from n = 1,075 on.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=less {
        sum += term.exp();
        term += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_test_is_that_of_the_tables() {
        // SciPy 1.17.1: binomtest(a, a + b, 0.5).pvalue
        for (a, b, p) in [(0, 0, 1.0), (1, 9, 0.021_484_375), (3, 3, 1.0), (5, 15, 0.041_389_465)] {
            assert!((mcnemar_p(a, b) - p).abs() < 1e-9, "{a} {b} {}", mcnemar_p(a, b));
        }
        assert!(mcnemar_p(2_000, 3_000) < 1e-40);
    }
}
