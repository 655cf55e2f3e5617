//! Linear support vector machine, one against the rest, with squared hinge loss:
//! `0.5 * |weights|^2 + c * sum(w_i * max(0, 1 - y_i * score_i)^2)`. The intercept is the weight of
//! a column that is always 1, so it is penalized too, as in scikit-learn's `LinearSVC`.
//!
//! As in liblinear, which `LinearSVC` calls, the weight of a class counts for the positive rows of
//! its own output only: with several outputs the rows of all other classes weigh 1. With one
//! output both classes have their weight.
//!
//! Dual coordinate descent (Hsieh et al., "A Dual Coordinate Descent Method for Large-scale Linear
//! SVM", ICML 2008, algorithm 1 for the squared hinge). Rows are visited in an order that follows
//! from the seed alone. With a large `c` it hardly moves on; what it has not reached after some
//! passes is reached by Newton's method on the objective itself, which is quadratic as long as the
//! same rows are inside the margin (Keerthi and DeCoste, "A Modified Finite Newton Method for Fast
//! Solution of Large Scale Linear SVMs", JMLR 2005).

use super::linear::{Linear, Task};
use super::logreg::{dot, length};
use crate::stats::random::Stream;

const PURPOSE: u64 = 0x7376_6d64; // "svmd"
/// Largest change that a visit may still want when the optimum is reached.
const CHANGE_MAX: f64 = 1e-6;
const PASSES_MAX: u64 = 300;
/// Length of the gradient at which the optimum is reached: the penalty bounds the distance by it.
const GRADIENT_MAX: f64 = 1e-6;
const NEWTON_STEPS_MAX: usize = 200;
const CG_STEPS_MAX: usize = 2_000;
const HALVINGS_MAX: usize = 60;

/// Where a fit ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Linear,
    /// Passes over the rows for each output.
    pub passes: Vec<u64>,
    /// The objective of each output.
    pub objectives: Vec<f64>,
    /// Whether every output reached its optimum, as far as floats can tell.
    pub converged: bool,
}

/// Fits every output until its optimum, or until `go_on` says no after a pass; at the end of an
/// output it hears the objective.
pub fn fit(task: &Task<'_>, seed: u64, mut go_on: impl FnMut(Option<f64>) -> bool) -> Fitted {
    let mut model = Linear::zero(task.outputs, task.rows.width);
    let (mut passes, mut objectives, mut converged) = (Vec::new(), Vec::new(), true);
    for output in 0..task.outputs {
        let one = Output::new(task, output);
        let (weights, intercept, took, reached) = one.fit(seed, &mut || go_on(None));
        let objective = one.objective(&weights, intercept);
        objectives.push(objective);
        let start = output * task.rows.width;
        model.weights[start..start + weights.len()].copy_from_slice(&weights);
        model.intercept[output] = intercept;
        passes.push(took);
        converged &= reached;
        if !go_on(Some(objective)) {
            converged &= output + 1 == task.outputs;
            break;
        }
    }
    Fitted { model, passes, objectives, converged }
}

/// One output against the rest.
struct Output<'a, 't> {
    task: &'a Task<'t>,
    /// 1 for the output's own rows, -1 for the others.
    signs: Vec<f64>,
    /// How much each row counts for this output.
    weights: Vec<f64>,
    /// 1 / (2 * c * w_i): what the squared hinge adds to the diagonal.
    slack: Vec<f64>,
    /// Length of each row, squared, with the constant column and the slack.
    diagonal: Vec<f64>,
}

impl<'a, 't> Output<'a, 't> {
    fn new(task: &'a Task<'t>, output: usize) -> Self {
        let rows = 0..task.rows.len();
        let own = if task.outputs == 1 { 1 } else { output };
        let is_own = |row: usize| task.classes[row] as usize == own;
        let sign = |row: usize| if is_own(row) { 1.0 } else { -1.0 };
        let counts = |row: usize| task.outputs == 1 || is_own(row);
        let weight = |row: usize| if counts(row) { task.weights[row] } else { 1.0 };
        let weights: Vec<f64> = rows.clone().map(weight).collect();
        let slack: Vec<f64> = weights.iter().map(|w| 0.5 / (task.c * w)).collect();
        let square = |row: usize| task.rows.row(row).map(|(_, v)| v * v).sum::<f64>() + 1.0;
        let diagonal = rows.clone().map(|row| square(row) + slack[row]).collect();
        Self { task, signs: rows.map(sign).collect(), weights, slack, diagonal }
    }

    fn score(&self, row: usize, weights: &[f64], intercept: f64) -> f64 {
        self.task.rows.row(row).map(|(column, v)| weights[column] * v).sum::<f64>() + intercept
    }

    fn objective(&self, weights: &[f64], intercept: f64) -> f64 {
        let loss = |row: usize| {
            let short = (1.0 - self.signs[row] * self.score(row, weights, intercept)).max(0.0);
            self.weights[row] * short * short
        };
        let squares = weights.iter().map(|w| w * w).sum::<f64>() + intercept * intercept;
        0.5 * squares + self.task.c * (0..self.signs.len()).map(loss).sum::<f64>()
    }

    fn fit(&self, seed: u64, go_on: &mut impl FnMut() -> bool) -> (Vec<f64>, f64, u64, bool) {
        let mut weights = vec![0.0; self.task.rows.width];
        let mut intercept = 0.0;
        let mut alphas = vec![0.0_f64; self.signs.len()];
        let mut order: Vec<usize> = (0..self.signs.len()).collect();
        for pass in 0..PASSES_MAX {
            Stream::new(&[PURPOSE, seed, pass]).shuffle(&mut order);
            let mut largest = 0.0_f64;
            for row in &order {
                let (sign, alpha) = (self.signs[*row], alphas[*row]);
                let score = self.score(*row, &weights, intercept);
                let gradient = sign * score - 1.0 + alpha * self.slack[*row];
                let wanted = if alpha == 0.0 { gradient.min(0.0) } else { gradient };
                largest = largest.max(wanted.abs());
                if wanted == 0.0 {
                    continue;
                }
                let next = (alpha - gradient / self.diagonal[*row]).max(0.0);
                let change = (next - alpha) * sign;
                for (column, value) in self.task.rows.row(*row) {
                    weights[column] += change * value;
                }
                intercept += change;
                alphas[*row] = next;
            }
            let reached = largest <= CHANGE_MAX;
            if reached || !go_on() {
                return (weights, intercept, pass + 1, reached);
            }
        }
        weights.push(intercept);
        let (mut weights, reached) = self.newton(weights, go_on);
        let intercept = weights.pop().unwrap_or_default();
        (weights, intercept, PASSES_MAX, reached)
    }

    /// Goes on from `at`, the weights and the intercept.
    fn newton(&self, mut at: Vec<f64>, go_on: &mut impl FnMut() -> bool) -> (Vec<f64>, bool) {
        let objective = |at: &[f64]| self.objective(&at[..at.len() - 1], at[at.len() - 1]);
        for _ in 0..NEWTON_STEPS_MAX {
            let (gradient, inside) = self.look(&at);
            if length(&gradient) <= GRADIENT_MAX {
                return (at, true);
            }
            if !go_on() {
                return (at, false);
            }
            let step = self.step(&gradient, &inside);
            let before = objective(&at);
            let part =
                |far: f64| -> Vec<f64> { at.iter().zip(&step).map(|(a, s)| a + far * s).collect() };
            let halvings = (0..HALVINGS_MAX).map(|halving| part(0.5_f64.powi(halving as i32)));
            match halvings.into_iter().find(|there| objective(there) < before) {
                Some(there) => at = there,
                // Rounding hides any smaller improvement.
                None => return (at, true),
            }
        }
        (at, false)
    }

    /// The gradient, and twice `c` times the weight of each row inside the margin, 0 for others.
    fn look(&self, at: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let last = at.len() - 1;
        let mut gradient = at.to_vec();
        let mut inside = vec![0.0; self.signs.len()];
        for (row, sign) in self.signs.iter().enumerate() {
            let short = 1.0 - sign * self.score(row, &at[..last], at[last]);
            if short > 0.0 {
                inside[row] = 2.0 * self.task.c * self.weights[row];
                self.add(row, -inside[row] * sign * short, &mut gradient);
            }
        }
        (gradient, inside)
    }

    /// Adds `amount` times a row and its constant column.
    fn add(&self, row: usize, amount: f64, sum: &mut [f64]) {
        for (column, value) in self.task.rows.row(row) {
            sum[column] += amount * value;
        }
        sum[self.task.rows.width] += amount;
    }

    /// Where the quadratic of the rows `inside` has its minimum, by conjugate gradients with the
    /// diagonal as preconditioner.
    fn step(&self, gradient: &[f64], inside: &[f64]) -> Vec<f64> {
        let rows = || inside.iter().enumerate().filter(|(_, curve)| **curve > 0.0);
        let mut diagonal = vec![1.0; gradient.len()];
        for (row, curve) in rows() {
            for (column, value) in self.task.rows.row(row) {
                diagonal[column] += curve * value * value;
            }
            diagonal[gradient.len() - 1] += curve;
        }
        let enough = 1e-4 * length(gradient);
        let mut step = vec![0.0; gradient.len()];
        let mut rest: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let scaled =
            |rest: &[f64]| -> Vec<f64> { rest.iter().zip(&diagonal).map(|(r, d)| r / d).collect() };
        let mut toward = scaled(&rest);
        let mut direction = toward.clone();
        let mut fit = dot(&rest, &toward);
        for _ in 0..CG_STEPS_MAX {
            if length(&rest) <= enough {
                break;
            }
            let mut curved = direction.clone();
            let last = direction.len() - 1;
            for (row, curve) in rows() {
                let along = self.score(row, &direction[..last], direction[last]);
                self.add(row, curve * along, &mut curved);
            }
            let far = fit / dot(&direction, &curved);
            for (((s, r), d), c) in step.iter_mut().zip(&mut rest).zip(&direction).zip(&curved) {
                *s += far * d;
                *r -= far * c;
            }
            toward = scaled(&rest);
            let next = dot(&rest, &toward);
            let keep = next / fit;
            fit = next;
            direction.iter_mut().zip(&toward).for_each(|(d, t)| *d = t + keep * *d);
        }
        step
    }
}
