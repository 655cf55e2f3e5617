//! What a training shows while it runs, and how the user ends it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::context::Context;
use super::ui::duration;
use crate::app::{Error, ErrorKind, Reporter, Result, TrainEvent};
use crate::base::counted;

/// A second signal this soon is the first one: `timeout` and a terminal send it to the process and
/// to its group.
const SAME_REQUEST: Duration = Duration::from_secs(1);
/// How long a process that got SIGTERM takes at most before it ends what it supervises, and how
/// long after that before it ends itself.
const TERM_GRACE: Duration = Duration::from_secs(6);
/// How often the user asks for an end until the process ends at once, whatever it waits for.
const AT_ONCE: usize = 3;

/// Counts how often the user asks for an end. SIGTERM asks again by itself, since whoever sends it
/// does not wait for long. Whatever the process waits for, the third request ends it: what it
/// supervises ends with it, and the next changing verb records the run as interrupted.
pub(super) fn stop_signals() -> Result<Arc<AtomicUsize>> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicUsize::new(0));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|e| Error::io("listen for signals", e))?;
    let counted = Arc::clone(&stop);
    std::thread::spawn(move || {
        let mut last: Option<Instant> = None;
        for signal in signals.forever() {
            if last.is_some_and(|last| last.elapsed() < SAME_REQUEST) {
                continue;
            }
            last = Some(Instant::now());
            let asked = counted.fetch_add(1, Ordering::SeqCst) + 1;
            if asked >= AT_ONCE {
                end_at_once();
            }
            if asked == 1 && signal == SIGTERM {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || {
                    std::thread::sleep(TERM_GRACE);
                    counted.fetch_max(2, Ordering::SeqCst);
                    std::thread::sleep(TERM_GRACE);
                    end_at_once();
                });
            }
        }
    });
    Ok(stop)
}

fn end_at_once() -> ! {
    let note = b"error: ended at once; the next changing command records the run as interrupted\n";
    let _ = std::io::stderr().write_all(note);
    std::process::exit(ErrorKind::Interrupted.exit_code().into())
}

/// The stage of a curriculum, where there is one.
fn stage(stage: Option<(u32, u32)>) -> String {
    stage.map_or_else(String::new, |(stage, stages)| format!("  stage {stage}/{stages}"))
}

/// A progress bar on a terminal, a line per epoch elsewhere.
pub(super) struct Terminal<'a> {
    context: &'a mut Context,
    bar: Option<ProgressBar>,
    speed: Speed,
}

/// Estimates the time left from the updates since the first one that was seen: the first updates
/// of a process are slow, and a resumed run did not do its first steps here.
#[derive(Debug, Default)]
struct Speed {
    first: Option<(Instant, u64)>,
}

impl Speed {
    /// Updates and time below which an estimate would jump about.
    const STEPS_MIN: u64 = 5;
    const TIME_MIN: Duration = Duration::from_secs(5);

    fn left(&mut self, step: u64, steps: u64, now: Instant) -> Option<f64> {
        let (since, from) = *self.first.get_or_insert((now, step));
        let (elapsed, done) = (now.saturating_duration_since(since), step.saturating_sub(from));
        let enough = done >= Self::STEPS_MIN && elapsed >= Self::TIME_MIN;
        enough.then(|| elapsed.as_secs_f64() / done as f64 * steps.saturating_sub(step) as f64)
    }
}

impl<'a> Terminal<'a> {
    pub(super) fn new(context: &'a mut Context) -> Self {
        let bar = context.ui.has_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { context, bar, speed: Speed::default() }
    }

    fn say(&mut self, say: impl FnOnce(&mut Context)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(self.context)),
            None => say(self.context),
        }
    }
}

impl Reporter for Terminal<'_> {
    fn note(&mut self, line: &str) {
        self.say(|context| context.ui.note(line));
    }

    fn warn(&mut self, line: &str) {
        self.say(|context| context.ui.warn(line));
    }

    fn event(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started(started) => {
                if let Some(bar) = &self.bar {
                    bar.set_length(started.steps);
                }
                if started.parameters == 0 {
                    // A model that is fitted in one go has none before.
                    return;
                }
                let line = format!(
                    "{} on {} with {}, {} of {}",
                    counted(started.parameters, "parameter"),
                    started.device,
                    counted(started.threads, "thread"),
                    counted(started.epochs, "epoch"),
                    counted(started.steps / started.epochs.max(1), "step")
                );
                self.note(&line);
            }
            TrainEvent::Progress(progress) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(progress.step);
                    let left = self.speed.left(progress.step, progress.steps, Instant::now());
                    let left = left.map_or_else(String::new, |s| format!("  {} left", duration(s)));
                    bar.set_message(format!(
                        "epoch {}/{}{}  loss {:.4}  {:.0} rows/s{left}",
                        progress.epoch,
                        progress.epochs,
                        stage(progress.stage),
                        progress.loss,
                        progress.rows_per_s
                    ));
                }
            }
            TrainEvent::EpochEnded(ended) => {
                let line = format!(
                    "epoch {}/{}{}  loss {:.4}  valid {} {:.4}{}  {}",
                    ended.epoch,
                    ended.epochs,
                    stage(ended.stage),
                    ended.train_loss,
                    ended.metric,
                    ended.value,
                    if ended.best { " (best)" } else { "" },
                    duration(ended.seconds)
                );
                self.note(&line);
            }
            TrainEvent::Metrics(_)
            | TrainEvent::CheckpointSaved(_)
            | TrainEvent::CheckpointPruned { .. } => {}
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_estimated_from_the_first_steps() {
        let (mut speed, start) = (Speed::default(), Instant::now());
        let mut left =
            |step, seconds| speed.left(step, 1_100, start + Duration::from_secs(seconds));
        assert_eq!(left(100, 0), None, "the first update says nothing of the speed");
        assert_eq!(left(104, 60), None);
        assert_eq!(left(200, 100), Some(900.0));
    }
}
