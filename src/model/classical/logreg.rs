//! Logistic regression with an L2 penalty, to its optimum:
//! `0.5 * |weights|^2 + c * sum(w_i * logloss_i)`, the intercepts free; softmax over the classes,
//! or the sigmoid where there is one output.
//!
//! Newton's method with conjugate gradients for the step (Nocedal and Wright, "Numerical
//! Optimization", algorithm 7.1) and the diagonal as preconditioner, because the intercepts are
//! curved thousands of times more than the weights. The penalty bounds the distance of the weights
//! to the optimum by the length of the gradient; of the intercepts, which have no penalty, the
//! gradient is measured in their own curvature. One thread: sums have one order, and the matrix is
//! small.

use super::linear::{Linear, Task};

/// Length of the gradient at which the optimum is reached.
const GRADIENT_MAX: f64 = 1e-4;
/// Distance of an intercept to where its gradient is zero, by its curvature alone. With a small
/// `c` intercepts are hardly curved, and a short gradient can be far from the optimum.
const INTERCEPT_MAX: f64 = 1e-5;
const NEWTON_STEPS_MAX: usize = 200;
const CG_STEPS_MAX: usize = 500;
const HALVINGS_MAX: usize = 60;

/// Where a fit ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: Linear,
    /// The objective after each step.
    pub objectives: Vec<f64>,
    /// Whether the optimum was reached.
    pub converged: bool,
}

/// Fits until the optimum, or until `go_on` says no after a step.
pub fn fit(task: &Task<'_>, mut go_on: impl FnMut(f64) -> bool) -> Fitted {
    let width = task.rows.width + 1;
    let mut newton = Newton { task, width, at: vec![0.0; task.outputs * width] };
    let mut objectives = Vec::new();
    let mut converged = false;
    for _ in 0..NEWTON_STEPS_MAX {
        let (objective, gradient, probabilities) = newton.look();
        objectives.push(objective);
        converged = newton.is_optimal(&gradient, &probabilities);
        if !go_on(objective) || converged {
            break;
        }
        let step = newton.step(&gradient, &probabilities);
        if !newton.walk(&step, objective, dot(&step, &gradient)) {
            // Rounding hides any smaller improvement.
            converged = true;
            break;
        }
    }
    Fitted { model: newton.model(), objectives, converged }
}

/// Weights and, as the last column, the intercept of each output.
struct Newton<'a, 't> {
    task: &'a Task<'t>,
    width: usize,
    at: Vec<f64>,
}

impl Newton<'_, '_> {
    fn model(&self) -> Linear {
        let mut model = Linear { weights: Vec::new(), intercept: Vec::new() };
        for output in self.at.chunks_exact(self.width) {
            model.weights.extend(&output[..self.width - 1]);
            model.intercept.push(output[self.width - 1]);
        }
        // Softmax does not change when one number is added to every score: the one that makes
        // the intercepts sum to 0 is scikit-learn's, and the weights sum to 0 by the penalty.
        if self.task.outputs > 1 {
            let mean = model.intercept.iter().sum::<f64>() / self.task.outputs as f64;
            model.intercept.iter_mut().for_each(|intercept| *intercept -= mean);
        }
        model
    }

    /// Multiplies row `index` with a vector of the shape of `at`.
    fn scores(&self, index: usize, vector: &[f64], scores: &mut [f64]) {
        for (output, score) in vector.chunks_exact(self.width).zip(scores) {
            let row = self.task.rows.row(index);
            *score = row.map(|(column, value)| output[column] * value).sum::<f64>()
                + output[self.width - 1];
        }
    }

    /// Adds `amounts[output] * row` to each output of `sum`.
    fn add(&self, index: usize, amounts: &[f64], sum: &mut [f64]) {
        for (output, amount) in sum.chunks_exact_mut(self.width).zip(amounts) {
            for (column, value) in self.task.rows.row(index) {
                output[column] += amount * value;
            }
            output[self.width - 1] += amount;
        }
    }

    fn penalty(&self, vector: &[f64]) -> f64 {
        let weights = |output: &[f64]| dot(&output[..self.width - 1], &output[..self.width - 1]);
        0.5 * vector.chunks_exact(self.width).map(weights).sum::<f64>()
    }

    /// Turns scores into probabilities, and gives the loss of the row.
    fn loss(&self, index: usize, scores: &mut [f64]) -> f64 {
        let class = self.task.classes[index] as usize;
        if let [score] = scores {
            let signed = if class == 1 { *score } else { -*score };
            *score = 1.0 / (1.0 + (-*score).exp());
            return (-signed).max(0.0) + (-signed.abs()).exp().ln_1p();
        }
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let own = scores[class];
        let mut sum = 0.0;
        for score in scores.iter_mut() {
            *score = (*score - max).exp();
            sum += *score;
        }
        scores.iter_mut().for_each(|score| *score /= sum);
        sum.ln() + max - own
    }

    fn objective(&self, at: &[f64]) -> f64 {
        let mut scores = vec![0.0; self.task.outputs];
        let mut sum = 0.0;
        for index in 0..self.task.rows.len() {
            self.scores(index, at, &mut scores);
            sum += self.task.weights[index] * self.loss(index, &mut scores);
        }
        self.penalty(at) + self.task.c * sum
    }

    /// The objective, its gradient, and the probabilities of all rows.
    fn look(&self) -> (f64, Vec<f64>, Vec<f64>) {
        let (outputs, rows) = (self.task.outputs, self.task.rows.len());
        let mut gradient = self.at.clone();
        gradient.chunks_exact_mut(self.width).for_each(|output| output[self.width - 1] = 0.0);
        let mut probabilities = vec![0.0; outputs * rows];
        let (mut sum, mut errors) = (0.0, vec![0.0; outputs]);
        for (index, p) in probabilities.chunks_exact_mut(outputs).enumerate() {
            self.scores(index, &self.at, p);
            sum += self.task.weights[index] * self.loss(index, p);
            let scale = self.task.c * self.task.weights[index];
            let class = self.task.classes[index] as usize;
            for (output, (error, p)) in errors.iter_mut().zip(&*p).enumerate() {
                let truth = if outputs == 1 { class == 1 } else { class == output };
                *error = scale * (p - if truth { 1.0 } else { 0.0 });
            }
            self.add(index, &errors, &mut gradient);
        }
        (self.penalty(&self.at) + self.task.c * sum, gradient, probabilities)
    }

    fn is_optimal(&self, gradient: &[f64], probabilities: &[f64]) -> bool {
        let outputs = self.task.outputs;
        let mut curvature = vec![0.0; outputs];
        for (p, weight) in probabilities.chunks_exact(outputs).zip(self.task.weights) {
            for (sum, p) in curvature.iter_mut().zip(p) {
                *sum += self.task.c * weight * p * (1.0 - p);
            }
        }
        let intercepts = gradient.chunks_exact(self.width).map(|output| output[self.width - 1]);
        length(gradient) <= GRADIENT_MAX
            && intercepts.zip(curvature).all(|(slope, curve)| slope.abs() <= INTERCEPT_MAX * curve)
    }

    /// The second derivative times `vector`.
    fn curve(&self, vector: &[f64], probabilities: &[f64]) -> Vec<f64> {
        let outputs = self.task.outputs;
        let mut curved = vector.to_vec();
        curved.chunks_exact_mut(self.width).for_each(|output| output[self.width - 1] = 0.0);
        let (mut along, mut amounts) = (vec![0.0; outputs], vec![0.0; outputs]);
        for (index, p) in probabilities.chunks_exact(outputs).enumerate() {
            self.scores(index, vector, &mut along);
            let scale = self.task.c * self.task.weights[index];
            let mean = if outputs == 1 { p[0] * along[0] } else { dot(p, &along) };
            for ((amount, p), along) in amounts.iter_mut().zip(p).zip(&along) {
                *amount = scale * p * (along - mean);
            }
            self.add(index, &amounts, &mut curved);
        }
        curved
    }

    fn diagonal(&self, probabilities: &[f64]) -> Vec<f64> {
        let mut diagonal = vec![1.0; self.at.len()];
        diagonal.chunks_exact_mut(self.width).for_each(|output| output[self.width - 1] = 1e-12);
        for (index, p) in probabilities.chunks_exact(self.task.outputs).enumerate() {
            let scale = self.task.c * self.task.weights[index];
            for (output, p) in diagonal.chunks_exact_mut(self.width).zip(p) {
                let curve = scale * p * (1.0 - p);
                for (column, value) in self.task.rows.row(index) {
                    output[column] += curve * value * value;
                }
                output[self.width - 1] += curve;
            }
        }
        diagonal
    }

    /// Where Newton's method goes from here, as far as it pays to know.
    fn step(&self, gradient: &[f64], probabilities: &[f64]) -> Vec<f64> {
        let enough = length(gradient) * length(gradient).sqrt().min(0.5);
        let diagonal = self.diagonal(probabilities);
        let scaled =
            |rest: &[f64]| -> Vec<f64> { rest.iter().zip(&diagonal).map(|(r, d)| r / d).collect() };
        let mut step = vec![0.0; gradient.len()];
        let mut rest: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut toward = scaled(&rest);
        let mut direction = toward.clone();
        let mut fit = dot(&rest, &toward);
        for _ in 0..CG_STEPS_MAX {
            if length(&rest) <= enough {
                break;
            }
            let curved = self.curve(&direction, probabilities);
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

    /// Goes along `step`, half as far until the objective falls; false when it never does.
    fn walk(&mut self, step: &[f64], objective: f64, slope: f64) -> bool {
        let mut far = 1.0;
        for _ in 0..HALVINGS_MAX {
            let there: Vec<f64> = self.at.iter().zip(step).map(|(a, s)| a + far * s).collect();
            let found = self.objective(&there);
            if found < objective && found <= objective + 1e-4 * far * slope {
                self.at = there;
                return true;
            }
            far /= 2.0;
        }
        false
    }
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn length(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}
