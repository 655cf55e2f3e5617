//! Where values lie on an axis, and which of them are written beside it.

use super::{Axis, Scale};
use crate::analysis::column::number;

/// Ticks wanted on an axis.
const TICKS: usize = 6;

/// A minute as a part of a day.
const MINUTE: f64 = 1.0 / 1_440.0;
/// Days up to which times are written instead of dates.
const TIMES_DAYS_MAX: f64 = 3.0;
/// Round numbers of minutes.
const MINUTES: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 180.0, 360.0, 720.0];

/// Where values lie on an axis of some length.
pub(super) struct Ruler {
    pub(super) scale: Scale,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Ruler {
    pub(super) fn new(axis: &Axis, values: impl Iterator<Item = f64>) -> Self {
        let found = values.filter(|v| v.is_finite() && (axis.scale != Scale::Log || *v > 0.0));
        let (mut low, mut high) =
            found.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if let Some(ends) = axis.ends {
            (low, high) = ends;
        } else if low > high {
            (low, high) = (0.0, 1.0);
        } else if axis.scale == Scale::Days {
            // Whole days, or times of a day where all is within a few of them.
            if high - low > TIMES_DAYS_MAX {
                (low, high) = (low.floor(), high.floor() + 1.0);
            } else {
                let room = ((high - low) * 0.05).max(2.0 * MINUTE);
                (low, high) = (low - room, high + room);
            }
        } else if axis.scale == Scale::Log {
            (low, high) = (low / 1.2, high * 1.2);
        } else {
            let room = if high > low { (high - low) * 0.05 } else { high.abs().max(1.0) * 0.1 };
            (low, high) = (low - room, high + room);
        }
        Self { scale: axis.scale, low, high }
    }

    /// From 0 to 1 along the axis.
    pub(super) fn at(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
            _ => (value - self.low) / (self.high - self.low),
        }
    }

    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let of_powers = if self.scale == Scale::Log { self.log_ticks() } else { Vec::new() };
        if of_powers.len() > 1 {
            return of_powers;
        }
        if self.scale == Scale::Days && self.high - self.low <= TIMES_DAYS_MAX * 1.2 {
            return self.time_ticks();
        }
        let rough = (self.high - self.low) / TICKS as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|n| n * power >= rough).unwrap_or(10.0);
        let mut step = nice * power;
        if self.scale == Scale::Days {
            step = step.ceil().max(1.0);
        }
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
        let word = |value: f64| match self.scale {
            Scale::Days => day(value),
            Scale::Log => short(value),
            _ if value.abs() >= 1e5 => number(value),
            _ => format!("{value:.digits$}"),
        };
        (first..=last).map(|n| n as f64 * step).map(|value| (value, word(value))).collect()
    }

    /// Times of a day, a round number of minutes apart.
    fn time_ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / TICKS as f64 / MINUTE;
        let minutes = MINUTES.into_iter().find(|m| *m >= rough).unwrap_or(1_440.0);
        let first = (self.low / MINUTE / minutes).ceil() as i64;
        let last = (self.high / MINUTE / minutes).floor() as i64;
        let values = (first..=last).map(|n| n as f64 * minutes * MINUTE);
        values.map(|value| (value, time(value))).collect()
    }

    fn log_ticks(&self) -> Vec<(f64, String)> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let steps: &[f64] = if last - first > 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        (first..=last)
            .flat_map(|power| steps.iter().map(move |n| n * 10_f64.powi(power)))
            .filter(|value| (self.low..=self.high).contains(value))
            .map(|value| (value, short(value)))
            .collect()
    }
}

/// A count with its thousands as words do: `20 M`.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{} G", number(v / 1e9)),
        v if v >= 1e6 => format!("{} M", number(v / 1e6)),
        v if v >= 1e3 => format!("{} k", number(v / 1e3)),
        v => number(v),
    }
}

/// A moment in days since 1970 as `11-21 18:30`.
fn time(days: f64) -> String {
    let minutes = (days / MINUTE).round() as i64;
    let human = crate::base::Timestamp(minutes.saturating_mul(60_000_000_000)).human();
    human.get(5..16).unwrap_or_default().to_owned()
}

/// A day since 1970 as `2026-11-21`.
pub(super) fn day(days: f64) -> String {
    let nanos = (days * 86_400.0) as i64;
    crate::base::Timestamp(nanos.saturating_mul(1_000_000_000)).date()
}
