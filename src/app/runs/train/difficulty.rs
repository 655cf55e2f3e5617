//! How difficult the training rows are to a model that was trained before.

use super::{Programs, Reporter, request};
use crate::app::models::predict::BATCH_TEXTS;
use crate::app::{Error, ErrorKind, Result, Workspace, models};
use crate::base::Split;
use crate::data::Dataset;
use crate::model::Preparation;
use crate::model::config::{Difficulty, TrainConfig};
use crate::train::metric::row_loss;

/// Prepares the rows, with their difficulties where the settings ask a model for them.
pub(super) fn prepare(
    workspace: &Workspace,
    dataset: &Dataset,
    config: &TrainConfig,
    programs: &Programs,
    reporter: &mut dyn Reporter,
) -> Result<Preparation> {
    let mut preparation = request::prepare(dataset, config)?;
    let curriculum = &config.curriculum;
    if !curriculum.stages.is_empty() && curriculum.difficulty == Difficulty::Reference {
        let losses =
            losses(workspace, &curriculum.reference, dataset, &preparation, programs, reporter)?;
        preparation.prepared.difficulty = losses;
    }
    Ok(preparation)
}

/// The loss of each training row; 0 for the others, which no stage looks at.
fn losses(
    workspace: &Workspace,
    name: &str,
    dataset: &Dataset,
    preparation: &Preparation,
    programs: &Programs,
    reporter: &mut dyn Reporter,
) -> Result<Vec<f32>> {
    let mut model = models::model(workspace, name, programs)?;
    let labels = &preparation.prepared.labels;
    // The model may have the labels in another order.
    let order: Option<Vec<usize>> =
        labels.iter().map(|label| model.labels.iter().position(|known| known == label)).collect();
    let order = order.filter(|order| order.len() == model.labels.len());
    let (Some(order), true) = (order, model.multi_label == dataset.multi) else {
        let message = format!(
            "{} distinguishes {}, the data has {}",
            model.name,
            model.labels.join(", "),
            labels.join(", ")
        );
        return Err(Error::new(ErrorKind::Data, message)
            .hint("`curriculum.reference` must name a model of the same labels"));
    };
    reporter.note(&format!(
        "The difficulty of rows is measured by {} (weights {}).",
        model.name,
        model.weights.to_string().get(..16).unwrap_or_default()
    ));
    let data = &preparation.prepared;
    let mut losses = vec![0.0; data.rows.len()];
    for indices in data.of_split(Split::Train).chunks(BATCH_TEXTS) {
        let text = |index: &usize| dataset.rows[data.rows[*index] as usize].text.clone();
        let texts: Vec<String> = indices.iter().map(text).collect();
        for (index, scores) in indices.iter().zip(model.scores(&texts)?.scores) {
            let scores: Vec<f32> = order.iter().map(|at| scores[*at]).collect();
            losses[*index] = row_loss(&scores, data.targets.of(*index), dataset.multi) as f32;
        }
    }
    Ok(losses)
}
