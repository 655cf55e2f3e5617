//! Mean 0 and variance 1 for each column of a series, as scikit-learn's `StandardScaler` has it:
//! learned from the training rows alone and kept with the model.

use serde::{Deserialize, Serialize};

/// The name of a model's scaler on disk.
pub const SCALER_FILE: &str = "scaler.json";

/// A scaler that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScalerError {
    /// Text that is not a scaler.
    #[error("not a scaler")]
    Json(#[from] serde_json::Error),
    /// Columns that contradict each other or cannot be divided by.
    #[error("{means} means and {scales} scales, all finite and the scales above 0, expected")]
    Numbers {
        /// How many means.
        means: usize,
        /// How many scales.
        scales: usize,
    },
}

/// What is taken off each column, and what it is divided by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    /// The mean of each column.
    mean: Vec<f64>,
    /// Its standard deviation (of the rows themselves, not of a population they stand for); 1
    /// where all rows have the same number.
    scale: Vec<f64>,
}

impl Scaler {
    /// Learns from `rows`, each of `width` numbers.
    pub fn fit<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, width: usize) -> Self {
        let count = rows.clone().count() as f64;
        let mut mean = vec![0.0; width];
        for row in rows.clone() {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        let mut squares = vec![0.0; width];
        for row in rows {
            for ((sum, value), mean) in squares.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(*value) - mean).powi(2);
            }
        }
        let scale = squares.iter().zip(&mean).map(|(square, mean)| {
            let variance = square / count;
            // A variance that rounding alone explains: the bound of scikit-learn's scaler.
            let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
            if variance <= rounding { 1.0 } else { variance.sqrt() }
        });
        Self { scale: scale.collect(), mean }
    }

    /// Numbers a row.
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// The row as the model takes it.
    pub fn apply<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        let columns = self.mean.iter().zip(&self.scale);
        row.iter()
            .zip(columns)
            .map(|(value, (mean, scale))| ((f64::from(*value) - mean) / scale) as f32)
    }

    /// The text of [`SCALER_FILE`].
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// When the text is not a scaler, or its numbers cannot be used.
    pub fn from_json(text: &str) -> Result<Self, ScalerError> {
        let scaler: Self = serde_json::from_str(text)?;
        let (means, scales) = (scaler.mean.len(), scaler.scale.len());
        let usable = means == scales
            && scaler.mean.iter().all(|mean| mean.is_finite())
            && scaler.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0);
        if usable { Ok(scaler) } else { Err(ScalerError::Numbers { means, scales }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_mean_0_and_variance_1() {
        let rows: [&[f32]; 4] =
            [&[1.0, 7.0, 0.1], &[2.0, 7.0, 0.1], &[3.0, 7.0, 0.1], &[4.0, 7.0, 0.1]];
        let scaler = Scaler::fit(rows.into_iter(), 3);
        // 1.118... is the root of 1.25; constant columns are only moved.
        assert_eq!(scaler.mean[0], 2.5);
        assert_eq!(scaler.scale, [1.25_f64.sqrt(), 1.0, 1.0]);
        let row: Vec<f32> = scaler.apply(rows[3]).collect();
        assert_eq!(row, [(1.5 / 1.25_f64.sqrt()) as f32, 0.0, 0.0]);
        assert_eq!(Scaler::from_json(&scaler.to_json()).unwrap(), scaler);
    }

    #[test]
    fn damaged_scalers_are_refused() {
        for text in [
            "",
            r#"{"mean":[1.0],"scale":[]}"#,
            r#"{"mean":[1.0],"scale":[0.0]}"#,
            r#"{"mean":[1e999],"scale":[1.0]}"#,
        ] {
            assert!(Scaler::from_json(text).is_err(), "{text}");
        }
    }
}
