//! The model card: what a person must know before using the model, from the record alone.

use std::fmt::Write as _;

use super::Results;
use crate::base::Split;
use crate::train::Finished;

/// The card, in Markdown.
pub(super) fn model_card(of: &Results<'_>, finished: &Finished) -> String {
    let mut card = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut card, of, finished);
    card
}

fn write(card: &mut String, of: &Results<'_>, finished: &Finished) -> std::fmt::Result {
    let started = of.started;
    writeln!(card, "# {}\n", started.name)?;
    if started.data.synthetic.is_some() {
        writeln!(card, "**Trained on generated notes. Not evidence of anything; not for use.**\n")?;
    }
    if !started.description.is_empty() {
        writeln!(card, "{}\n", started.description)?;
    }
    writeln!(card, "| | |\n|---|---|")?;
    writeln!(card, "| configuration | {} |", started.config_name)?;
    writeln!(card, "| parameters | {} |", finished.parameters)?;
    for file in &started.data.files {
        writeln!(card, "| data (blake3) | {} |", file.digest)?;
    }
    writeln!(card, "| weights (blake3) | {} |", finished.weights.digest)?;
    writeln!(card, "| seed | {} |", started.seed)?;
    writeln!(
        card,
        "| chosen by | {} on valid, epoch {} of {} |",
        finished.metric, finished.best_epoch, finished.epochs
    )?;
    writeln!(card, "| leaked rows | {} |\n", started.data.leaked_rows)?;
    for evaluation in finished.evaluations.iter().filter(|e| e.split == Split::Test) {
        writeln!(card, "## Scores on {} ({} rows)\n", evaluation.split.word(), evaluation.rows)?;
        writeln!(card, "| metric | value | 95 % interval |\n|---|---|---|")?;
        for name in ["accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "mcc", "loss"] {
            if let Some(metric) = evaluation.get(name) {
                let end = |end| evaluation.get(&format!("{name}.{end}"));
                let interval = end("ci_low").zip(end("ci_high"));
                let interval = interval.map(|(low, high)| (low.value, high.value));
                let interval = interval.map(|(low, high)| format!("{low:.4} to {high:.4}"));
                let interval = interval.unwrap_or_default();
                writeln!(card, "| {name} | {:.4} | {interval} |", metric.value)?;
            }
        }
        writeln!(card, "\n| label | precision | recall | F1 | rows |\n|---|---|---|---|---|")?;
        for class in &evaluation.classes {
            writeln!(
                card,
                "| {} | {:.4} | {:.4} | {:.4} | {} |",
                class.label, class.precision, class.recall, class.f1, class.support
            )?;
        }
    }
    Ok(())
}
