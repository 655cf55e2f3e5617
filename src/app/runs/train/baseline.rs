//! What a network has to beat: TF-IDF with logistic regression on the same rows.

use schemars::JsonSchema;

use super::Plan;
use super::request;
use crate::base::Split;
use crate::model::InputKind;
use crate::model::classical::TextClassifier;
use crate::model::config::{self, Layer};
use crate::train::classical::evaluate;
use crate::train::metric::Thresholds;

/// Rows up to which the fit takes seconds; beyond it a run of its own is the better place.
const ROWS_MAX: usize = 200_000;
const CONFIG: &str = "tfidf_logreg";

/// Scores of the classical baseline on the test rows of a run.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, JsonSchema)]
pub struct Baseline {
    /// Share of the rows it gets right.
    pub accuracy: f64,
    /// Mean of the F1 scores of the labels.
    pub f1_macro: f64,
}

/// Fits the baseline to the training rows of `plan` and scores its test rows; none for models that
/// are a baseline themselves, for series, for very large data, and where it cannot be fitted.
pub(super) fn measure(plan: &Plan<'_>) -> Option<Baseline> {
    let inputs = plan.config.model.architecture.specification().inputs();
    if inputs != InputKind::Tokens || plan.dataset.rows.len() > ROWS_MAX {
        return None;
    }
    let layers = [Layer::Text { file: CONFIG, text: config::builtin(CONFIG)? }];
    let mut config = config::resolve(&layers).ok()?;
    config.data = plan.config.data.clone();
    config.training.seed = plan.config.training.seed;
    let data = request::prepare(&plan.dataset, &config).ok()?.prepared;
    let (model, _) = TextClassifier::fit(&config, &data, |_| true).ok()?;
    let thresholds = Thresholds::of(config.training.threshold, &data);
    let scores = evaluate(&model, &data, Split::Test, thresholds, config.training.seed).ok()?;
    let value = |name: &str| scores.get(name).map(|metric| metric.value);
    Some(Baseline { accuracy: value("accuracy")?, f1_macro: value("f1_macro")? })
}
