//! How the learning rate moves: a factor of the peak rate for every update, by the formulas of
//! Hugging Face Transformers (`optimization.py`), so that settings can be carried over.

use super::config::{ScheduleKind, TrainingConfig};

/// The learning rate of every update of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    peak: f64,
    warmup_steps: u64,
    steps: u64,
}

impl Schedule {
    /// The schedule of a run of `steps` updates.
    pub fn new(config: &TrainingConfig, steps: u64) -> Self {
        Self {
            kind: config.schedule,
            peak: config.learning_rate,
            warmup_steps: (steps as f64 * config.warmup_fraction).ceil() as u64,
            steps,
        }
    }

    /// The rate of the update that follows `step` updates done.
    pub fn rate(&self, step: u64) -> f64 {
        self.peak * self.factor(step)
    }

    fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps.max(1) as f64;
        }
        let left = self.steps.saturating_sub(step) as f64;
        let falling = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => left / falling,
            ScheduleKind::Cosine => {
                let passed = (step - self.warmup_steps) as f64 / falling;
                (0.5 * (1.0 + (std::f64::consts::PI * passed).cos())).max(0.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_formulas() {
        let of = |kind| Schedule { kind, peak: 2.0, warmup_steps: 4, steps: 12 };
        for (kind, at_8) in [
            (ScheduleKind::Constant, 2.0),
            (ScheduleKind::Linear, 2.0 * 4.0 / 8.0),
            (ScheduleKind::Cosine, 2.0 * 0.5),
        ] {
            let schedule = of(kind);
            assert_eq!(schedule.rate(0), 0.0);
            assert_eq!(schedule.rate(1), 0.5);
            assert_eq!(schedule.rate(4), 2.0);
            assert!((schedule.rate(8) - at_8).abs() < 1e-12, "{kind:?}");
        }
        assert_eq!(of(ScheduleKind::Linear).rate(12), 0.0);
        assert!(of(ScheduleKind::Cosine).rate(12).abs() < 1e-12);
    }
}
