//! The attention of some rows as JSON.

use std::path::Path;

use serde_json::{Value, json};

use super::{ATTENTION_FILE, Attended, PICTURE_FILE, picture, probability};
use crate::base::durable;
use crate::data::prepared::Prepared;
use crate::train::learner::LearnError;
use crate::train::trainer::TrainError;

const ABOUT: &str = "relevance: attention rollout to the mean of the outputs (Abnar and Zuidema \
    2020), sums to 1; layers: for each layer the mean over heads of who (line) attends to whom; \
    received: for each layer and head the mean over all tokens of what each receives";

/// Writes `rows` into [`ATTENTION_FILE`] and [`PICTURE_FILE`] of the folder `dir`.
pub(super) fn write(rows: &[Attended], data: &Prepared, dir: &Path) -> Result<(), TrainError> {
    let file = json!({
        "about": ABOUT,
        "rows": rows.iter().map(|row| row_value(row, data)).collect::<Vec<Value>>(),
    });
    let mut bytes = serde_json::to_vec(&file).unwrap_or_default();
    bytes.push(b'\n');
    let svg = picture::draw(rows, data);
    for (name, bytes) in [(ATTENTION_FILE, bytes), (PICTURE_FILE, svg.into_bytes())] {
        let path = dir.join(name);
        let parent = path.parent().unwrap_or(dir);
        durable::create_dir_all(parent).and_then(|()| durable::write(&path, &bytes)).map_err(
            |source| LearnError::Io { verb: "write", path: path.display().to_string(), source },
        )?;
    }
    Ok(())
}

fn row_value(row: &Attended, data: &Prepared) -> Value {
    let length = row.ids.len();
    let lines = |layer: &Vec<f32>| layer.chunks(length).map(rounded).collect::<Vec<Value>>();
    let heads = |layer: &Vec<Vec<f32>>| layer.iter().map(|h| rounded(h)).collect::<Vec<Value>>();
    json!({
        "row": data.rows[row.index],
        "labels": labels(row, data),
        "said": data.labels[row.said()],
        "probability": probability(&row.logits, row.said(), data.targets.is_multi()),
        "tokens": (0..length).map(|at| token(row, at, data)).collect::<Vec<&str>>(),
        "concepts": row.concepts,
        "relevance": rounded(&row.relevance),
        "layers": row.layers.iter().map(lines).collect::<Vec<_>>(),
        "received": row.received.iter().map(heads).collect::<Vec<_>>(),
    })
}

/// The names of the labels a row has.
pub(super) fn labels<'d>(row: &Attended, data: &'d Prepared) -> Vec<&'d str> {
    data.targets.of(row.index).iter().map(|class| data.labels[*class as usize].as_str()).collect()
}

/// The token at a place of a row.
pub(super) fn token<'d>(row: &Attended, at: usize, data: &'d Prepared) -> &'d str {
    data.vocabulary.get(row.ids[at] as usize).map_or("?", String::as_str)
}

/// Four digits are enough to look at, and a fifth of the bytes.
fn rounded(numbers: &[f32]) -> Value {
    let round = |number: &f32| (f64::from(*number) * 1e4).round() / 1e4;
    numbers.iter().map(round).collect::<Vec<f64>>().into()
}
