//! The size of a run's result. An event holds 64 KiB, and scores of each label and confusion
//! matrices grow with the number of labels: a training whose result could not be recorded is
//! refused before it begins, and the matrix of the validation rows is left out where it alone is
//! too much.

use super::translate;
use crate::app::{Error, ErrorKind, Result};
use crate::base::limits::PAYLOAD_INLINE_BYTES_MAX;
use crate::base::{Split, counted};
use crate::data::Dataset;
use crate::domain::Event;
use crate::domain::run::{RunEvent, RunOutcome};
use crate::train::metric::Scorer;

/// Bytes for what is not of single labels: scores of rankings, intervals, scores of heads.
const OTHERS_BYTES: usize = 4 * 1024;
/// Bytes of a count beyond its first, at most.
const COUNT_BYTES: usize = 4;
/// Counts from each of these on take two bytes more.
const COUNTS_MIN: [usize; 2] = [251, 65_536];

fn bytes(outcome: &RunOutcome) -> usize {
    Event::from(RunEvent::from(outcome.clone().finished(1))).encode().len()
}

/// Refuses data with more labels than the result of a run has room for.
///
/// # Errors
/// [`ErrorKind::Data`] with the numbers.
pub(super) fn refuse_too_many_labels(dataset: &Dataset) -> Result<()> {
    let labels = dataset.label_names();
    let largest = bytes_at_most(&labels, dataset.multi, dataset.rows.len());
    if largest <= PAYLOAD_INLINE_BYTES_MAX {
        return Ok(());
    }
    let fits = |count: &usize| {
        let some = &labels[..*count];
        bytes_at_most(some, dataset.multi, dataset.rows.len()) <= PAYLOAD_INLINE_BYTES_MAX
    };
    let counts: Vec<usize> = (1..labels.len()).collect();
    let most = counts.partition_point(fits);
    let message = format!(
        "the data has {}, and the scores of a run are recorded for at most {most} of such names",
        counted(labels.len(), "label")
    );
    let error = Error::new(ErrorKind::Data, message).hint("merge rare labels into one");
    match dataset.multi {
        true => Err(error),
        false => Err(error.hint(
            "are these numbers or texts and no labels? `--label-column` names another column",
        )),
    }
}

/// Bytes of a result, at most, without the matrix of the validation rows.
fn bytes_at_most(labels: &[String], multi: bool, rows: usize) -> usize {
    if labels.is_empty() {
        return 0;
    }
    let evaluate = |split| Scorer::new(labels.len(), multi).finish(split, labels, 0);
    let (metrics, mut evaluations) =
        translate::scores(&[evaluate(Split::Valid), evaluate(Split::Test)]);
    evaluations[0].confusion.clear();
    let finished = RunOutcome {
        duration_seconds: 0.0,
        steps: 0,
        epochs: 0,
        best: None,
        metrics,
        evaluations,
        parameter_count: None,
        model_bytes: 0,
        weights: None,
        rows_per_second: None,
    };
    // Of each label, its support in two splits; of each cell of the matrix, its count.
    let cells = labels.len().pow(2);
    let above = |count_min: usize| 2 * cells.min(rows / count_min);
    let counts = labels.len() * 2 * COUNT_BYTES + COUNTS_MIN.map(above).iter().sum::<usize>();
    bytes(&finished) + counts + OTHERS_BYTES
}

/// Leaves out the matrix of the validation rows where the result has no room for it; the note says
/// so in the record.
pub(super) fn shorten(finished: &mut RunOutcome) -> Option<String> {
    if bytes(finished) <= PAYLOAD_INLINE_BYTES_MAX {
        return None;
    }
    let valid = finished.evaluations.iter_mut().find(|e| e.split == Split::Valid)?;
    let labels = std::mem::take(&mut valid.confusion).len();
    let text = format!(
        "the confusion matrix of the validation rows is not recorded: with {labels} labels the \
         result has no room for it"
    );
    (labels > 0).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever fits by the bound fits in fact, with every row in one cell and long names.
    #[test]
    fn what_is_let_through_can_be_recorded() {
        let names = [("x", false), ("a rather long name of a label", false), ("x", true)];
        for ((name, multi), rows) in names.iter().flat_map(|of| [(*of, 1_000), (*of, 2_000_000)]) {
            let labels = |count: usize| -> Vec<String> {
                (0..count).map(|i| format!("{name}{i}")).collect()
            };
            let counts: Vec<usize> = (1..400).collect();
            let most = counts.partition_point(|count| {
                bytes_at_most(&labels(*count), multi, rows) <= PAYLOAD_INLINE_BYTES_MAX
            });
            assert!((60..300).contains(&most), "{name} {multi}: {most}");
            let labels = labels(most);
            let evaluate = |split| {
                let mut made = Scorer::new(most, multi).finish(split, &labels, 0);
                let each = (rows / most) as u64;
                made.confusion.iter_mut().for_each(|row| row[0] = each);
                made.classes.iter_mut().for_each(|class| class.support = each);
                made
            };
            let (metrics, evaluations) =
                translate::scores(&[evaluate(Split::Valid), evaluate(Split::Test)]);
            let mut finished = RunOutcome {
                duration_seconds: 1.0,
                steps: u64::from(u32::MAX),
                epochs: 1,
                best: None,
                metrics,
                evaluations,
                parameter_count: Some(u64::MAX),
                model_bytes: u64::MAX,
                weights: None,
                rows_per_second: Some(1.0),
            };
            let note = shorten(&mut finished);
            assert!(!multi || note.is_none(), "{name}");
            assert!(multi || rows > 1_000 || note.is_some(), "{name}: room for both matrices");
            assert!(bytes(&finished) <= PAYLOAD_INLINE_BYTES_MAX, "{name} {multi}");
            assert!(multi || !finished.evaluations[1].confusion.is_empty());
        }
    }
}
