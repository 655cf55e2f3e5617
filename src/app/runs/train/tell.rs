//! What the user learns about the data before the training begins.

use super::{Plan, Reporter};
use crate::base::counted;
use crate::data::prepared::Inputs;

/// Labels that a line for people names.
const LABELS_SHOWN: usize = 20;

impl Plan<'_> {
    /// Reports the rows, and what may not be meant as it was read.
    pub(super) fn tell(&self, reporter: &mut dyn Reporter) {
        if let Some(synthetic) = &self.synthetic {
            let is_series = matches!(self.prepared.prepared.inputs, Inputs::Series { .. });
            let what = if is_series { "weeks" } else { "notes" };
            reporter.note(&format!(
                "Training on {} synthetic {what} (seed {}): a demonstration, not evidence.",
                synthetic.rows, synthetic.seed
            ));
        }
        let names = self.dataset.label_names();
        if self.dataset.labels_inferred {
            reporter.note(&format!("Labels, in sorted order: {}.", first_of(&names)));
        }
        for split in &self.prepared.splits {
            let classes: Vec<String> =
                names.iter().zip(&split.classes).map(|(name, n)| format!("{name} {n}")).collect();
            reporter.note(&format!(
                "{:<5} {:>7} rows: {}",
                split.split.word(),
                split.rows,
                first_of(&classes)
            ));
        }
        for line in &self.dataset.remarks {
            reporter.warn(line);
        }
        if let Some(line) = self.prepared.report.tell_dropped() {
            reporter.warn(&line);
        }
        for line in self.prepared.report.tell_absent(self.dataset.multi) {
            reporter.warn(&line);
        }
        if let Some(line) = self.prepared.report.tell_lengths() {
            reporter.note(&line);
        }
        if let Some(line) = self.prepared.report.tell_cut(self.config.model.max_seq_length) {
            reporter.warn(&line);
        }
        if let Some(lexicon) = &self.prepared.lexicon {
            reporter.note(&format!(
                "Lexicon: {} concepts of {} terms occur in the training rows.",
                lexicon.concepts.len(),
                lexicon.terms
            ));
        }
        let leaked = self.prepared.leakage.rows_left();
        if leaked > 0 {
            reporter.warn(&format!(
                "{} of valid and test {} a text of train (leakage); --dedupe removes {} from train",
                counted(leaked, "row"),
                if leaked == 1 { "repeats" } else { "repeat" },
                if leaked == 1 { "it" } else { "them" },
            ));
        }
        if let Some(line) = self.prepared.report.tell_near() {
            reporter.warn(&line);
        }
    }
}

/// The first of many names.
fn first_of(names: &[String]) -> String {
    match names.get(..LABELS_SHOWN).filter(|_| names.len() > LABELS_SHOWN + 1) {
        Some(first) => format!("{} and {} more", first.join(", "), names.len() - LABELS_SHOWN),
        None => names.join(", "),
    }
}
