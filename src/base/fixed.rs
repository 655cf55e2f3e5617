//! Decimals of numbers, fast: thousands of them stand in a list or a plan.

/// A number with `digits` digits after the point, the same text as `{:.digits$}`.
pub fn fixed(value: f64, digits: usize) -> String {
    let scale = 10_u64.pow(u32::try_from(digits).unwrap_or(0));
    let scaled = value * scale as f64;
    // The exact decimals of a binary fraction are slow; only beside a tie can they round otherwise.
    let plain = value.is_sign_positive() && scaled < 1e9;
    if plain && (scaled.fract() - 0.5).abs() > 1e-3 {
        let whole = scaled.round() as u64;
        return format!("{}.{:0digits$}", whole / scale, whole % scale);
    }
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::fixed;

    #[test]
    fn fast_decimals_are_the_exact_ones() {
        for n in 0..200_000_u32 {
            let value = f64::from(n) / 64_000.0;
            assert_eq!(fixed(value, 4), format!("{value:.4}"));
            assert_eq!(fixed(value, 1), format!("{value:.1}"));
        }
        assert_eq!(
            [fixed(-0.5, 1), fixed(-0.0, 4), fixed(1e12, 1), fixed(f64::NAN, 1)],
            ["-0.5", "-0.0000", "1000000000000.0", "NaN"]
        );
    }
}
