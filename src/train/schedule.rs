//! How the learning rate moves: a factor of the peak rate for every update, by the formulas of
//! Hugging Face Transformers (`optimization.py`), so that settings can be carried over.

use crate::model::config::{ScheduleKind, TrainingConfig};

/// How the learning rate of one run moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    warmup_steps: u64,
    steps: u64,
    cycles: u32,
}

impl Schedule {
    /// The schedule of a run of `steps` updates.
    pub fn new(config: &TrainingConfig, steps: u64) -> Self {
        let warmup_steps = match u64::from(config.warmup_steps) {
            0 => (steps as f64 * config.warmup_fraction).ceil() as u64,
            fixed => fixed,
        };
        Self { kind: config.schedule, warmup_steps, steps, cycles: config.cosine_cycles }
    }

    /// What the peak rate is multiplied by for the update that follows `step` updates done.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps.max(1) as f64;
        }
        let left = self.steps.saturating_sub(step) as f64;
        let falling = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let passed = (step - self.warmup_steps) as f64 / falling;
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => left / falling,
            ScheduleKind::Cosine => half_cosine(passed),
            ScheduleKind::CosineWithRestarts if passed >= 1.0 => 0.0,
            ScheduleKind::CosineWithRestarts => {
                half_cosine((f64::from(self.cycles) * passed).fract())
            }
        }
    }
}

/// From 1 at 0 to 0 at 1.
fn half_cosine(passed: f64) -> f64 {
    (0.5 * (1.0 + (std::f64::consts::PI * passed).cos())).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_the_formulas() {
        let of = |kind| Schedule { kind, warmup_steps: 4, steps: 12, cycles: 1 };
        for (kind, at_8) in [
            (ScheduleKind::Constant, 1.0),
            (ScheduleKind::Linear, 4.0 / 8.0),
            (ScheduleKind::Cosine, 0.5),
        ] {
            let schedule = of(kind);
            assert_eq!(schedule.factor(0), 0.0);
            assert_eq!(schedule.factor(1), 0.25);
            assert_eq!(schedule.factor(4), 1.0);
            assert!((schedule.factor(8) - at_8).abs() < 1e-12, "{kind:?}");
        }
        assert_eq!(of(ScheduleKind::Linear).factor(12), 0.0);
        assert!(of(ScheduleKind::Cosine).factor(12).abs() < 1e-12);
    }

    /// At 7 stands what a training with Transformers logged for these settings.
    #[test]
    fn restarts_begin_at_the_peak_each_time() {
        let kind = ScheduleKind::CosineWithRestarts;
        let schedule = Schedule { kind, warmup_steps: 4, steps: 48, cycles: 2 };
        for (step, factor) in [(2, 0.5), (4, 1.0), (7, 0.95482), (15, 0.5), (26, 1.0), (37, 0.5)] {
            let found = schedule.factor(step);
            assert!((found - factor).abs() < 5e-6, "{step}: {found} instead of {factor}");
        }
        assert!(schedule.factor(25) < 0.006, "the end of the first cycle");
        assert_eq!(schedule.factor(48), 0.0);
        let single = Schedule { cycles: 1, ..schedule };
        let cosine = Schedule { kind: ScheduleKind::Cosine, ..schedule };
        assert!((0..48).all(|step| single.factor(step) == cosine.factor(step)));
    }

    #[test]
    fn warm_up_is_a_share_or_a_number_of_updates() {
        let mut config = crate::model::config::resolve(&[]).unwrap().training;
        config.warmup_fraction = 0.06;
        assert_eq!(Schedule::new(&config, 101).warmup_steps, 7);
        config.warmup_steps = 3;
        assert_eq!(Schedule::new(&config, 101).warmup_steps, 3);
    }
}
