//! Linear models on sparse rows: scores, and the two ways to fit them.

use super::sparse::Sparse;

/// Scores are `weights * row + intercept`, one for each output.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Output by output, `outputs * width` of them.
    pub weights: Vec<f64>,
    /// One for each output.
    pub intercept: Vec<f64>,
}

impl Linear {
    /// All zero.
    pub fn zero(outputs: usize, width: usize) -> Self {
        Self { weights: vec![0.0; outputs * width], intercept: vec![0.0; outputs] }
    }

    /// How many outputs.
    pub fn outputs(&self) -> usize {
        self.intercept.len()
    }

    /// The scores of a row.
    pub fn scores(&self, row: &(impl Iterator<Item = (usize, f64)> + Clone)) -> Vec<f64> {
        let width = self.weights.len() / self.outputs().max(1);
        let score = |(output, intercept): (usize, &f64)| {
            let weights = &self.weights[output * width..(output + 1) * width];
            row.clone().map(|(column, value)| weights[column] * value).sum::<f64>() + intercept
        };
        self.intercept.iter().enumerate().map(score).collect()
    }
}

/// What is to be learned.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The rows.
    pub rows: &'a Sparse,
    /// The class of each row, below `outputs`; with one output 1 for yes and 0 for no.
    pub classes: &'a [u32],
    /// The weight of each row's class. The support vector machine with several outputs uses it
    /// for the output of that class alone, as liblinear does.
    pub weights: &'a [f64],
    /// Scores to learn: one for each class, or a single one for yes and no.
    pub outputs: usize,
    /// Inverse strength of the penalty on the weights (scikit-learn's `C`).
    pub c: f64,
}
