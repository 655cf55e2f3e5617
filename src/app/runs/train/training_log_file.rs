//! What people read in a run's `training.log` beside what the engine prints: its start, its passes
//! and its end, each a line `YYYY-mm-dd HH:MM:SS,mmm - LEVEL - text`.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::supervise_engine::TrainingOutcome;
use crate::base::{Split, Timestamp, confine};
use crate::train::metric::Evaluation;
use crate::train::{EpochEnded, Started, TrainEvent};

/// The scores of a pass or of the end that a line names.
const NAMED: [(&str, &str); 4] =
    [("loss", "Loss"), ("roc_auc", "AUC"), ("f1_macro", "F1"), ("accuracy", "Accuracy")];

/// The log of one training.
pub(super) struct TrainingLogFile {
    /// None where it cannot be written: that keeps nobody from training, and the record has it all.
    file: Option<File>,
    lr: f64,
}

impl TrainingLogFile {
    /// Goes on with the log at `path`.
    pub(super) fn open(path: &Path) -> Self {
        let file = confine::append_file(path).ok();
        Self { file, lr: 0.0 }
    }

    /// Tells what the engine said.
    pub(super) fn event(&mut self, now: Timestamp, event: &TrainEvent) {
        match event {
            TrainEvent::Started(started) => self.line(now, "INFO", &begins(started)),
            TrainEvent::Progress(progress) => self.lr = progress.lr,
            TrainEvent::EpochEnded(ended) => self.line(now, "INFO", &self.epoch(ended)),
            _ => {}
        }
    }

    fn epoch(&self, ended: &EpochEnded) -> String {
        let (epoch, loss, lr) = (ended.epoch, ended.train_loss, self.lr);
        let scores = scores("Val", &ended.valid);
        let best = if ended.best { format!(", best by {}", ended.metric) } else { String::new() };
        format!("Epoch {epoch:2}: Train Loss={loss:.4}, {scores}, LR={lr:.2e}{best}")
    }

    /// Tells how it ended.
    pub(super) fn end(&mut self, now: Timestamp, outcome: &TrainingOutcome) {
        match outcome {
            TrainingOutcome::Finished(finished) => {
                let (best, all, metric) = (finished.best_epoch, finished.epochs, &finished.metric);
                let early = if finished.stopped_early { ", stopped early" } else { "" };
                let text =
                    format!("Finished: epoch {best} of {all} is the best by {metric}{early}");
                self.line(now, "INFO", &text);
                for evaluation in finished.evaluations.iter().filter(|e| e.split == Split::Test) {
                    self.line(now, "INFO", &scores("Test", evaluation));
                }
            }
            TrainingOutcome::Ended(_, error) => self.line(now, "ERROR", &error.to_string()),
        }
    }

    fn line(&mut self, now: Timestamp, level: &str, text: &str) {
        let milliseconds = now.0.rem_euclid(1_000_000_000) / 1_000_000;
        let line = format!("{},{milliseconds:03} - {level} - {text}\n", now.human());
        if self.file.as_mut().is_some_and(|file| file.write_all(line.as_bytes()).is_err()) {
            self.file = None;
        }
    }
}

fn begins(started: &Started) -> String {
    let Started { parameters, epochs, steps, device, threads, .. } = started;
    let rows = started.rows.iter().map(|(split, rows)| format!("{} rows={rows}", split.word()));
    let rows = rows.collect::<Vec<_>>().join(", ");
    let from = started.resumed_at_step.map(|step| format!(", from update {step}"));
    format!(
        "Training: parameters={parameters}, epochs={epochs}, updates={steps}, {rows}, \
         device={device}, threads={threads}{}",
        from.unwrap_or_default()
    )
}

fn scores(split: &str, evaluation: &Evaluation) -> String {
    let named = NAMED.iter().filter_map(|(name, title)| {
        evaluation.get(name).map(|metric| format!("{split} {title}={:.4}", metric.value))
    });
    named.collect::<Vec<_>>().join(", ")
}
