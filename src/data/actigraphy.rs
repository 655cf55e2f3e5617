//! Synthetic weeks of actigraphy for trying annals out without data: a daily rhythm, sleep, bouts
//! of rest, noise. Whoever shows results on them must say that they are synthetic.
//!
//! Weeks of the second class have what irregular sleep looks like in such counts: a flatter day,
//! bedtimes that wander, restless nights and longer rests. The two classes overlap, so that no
//! model is right about every week.

use std::f64::consts::TAU;

use super::npy;
use crate::stats::random::Stream;

const PURPOSE: u64 = 0x6163_7469; // "acti"
const DAY_MINUTES: f64 = 1_440.0;
/// Counts of a minute of brisk walking, before noise.
const ACTIVE_COUNTS: f64 = 900.0;
/// How far apart the classes are, in standard deviations between people.
const SEPARATION: f64 = 1.2;

/// The classes, in their sorted order.
pub const LABELS: [&str; 2] = ["irregular", "regular"];

/// One synthetic week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Week {
    /// Counts of each minute.
    pub counts: Vec<u16>,
    /// One of [`LABELS`].
    pub label: &'static str,
}

/// What a person's weeks have in common.
struct Person {
    /// Size of the day's rhythm.
    amplitude: f64,
    /// Minute of the day of falling asleep, on average.
    bedtime: f64,
    /// Minutes asleep.
    asleep: f64,
    /// Minutes by which bedtimes differ.
    wander: f64,
    /// Chance that a minute of the night begins a waking.
    waking: f64,
    /// Chance that a minute of the day begins a rest.
    rest: f64,
}

/// Makes `count` weeks of `length` minutes each that follow from `seed` alone, with the labels in
/// turn.
pub fn generate(count: usize, length: u32, seed: u64) -> Vec<Week> {
    let mut weeks: Vec<Week> = (0..count)
        .map(|index| {
            let mut stream = Stream::new(&[PURPOSE, seed, index as u64]);
            let label = LABELS[index % LABELS.len()];
            Week { counts: week(length, label == LABELS[0], &mut stream), label }
        })
        .collect();
    Stream::new(&[PURPOSE, seed]).shuffle(&mut weeks);
    weeks
}

fn person(irregular: bool, stream: &mut Stream) -> Person {
    let shift = if irregular { SEPARATION } else { 0.0 };
    let mut trait_ = |sign: f64| normal(stream) + sign * shift;
    Person {
        amplitude: (0.25 * trait_(-1.0)).exp(),
        bedtime: 23.0 * 60.0 + 45.0 * trait_(0.0),
        asleep: 460.0 + 40.0 * trait_(-0.5),
        wander: 25.0 * (0.4 * trait_(1.0)).exp(),
        waking: 0.006 * (0.4 * trait_(1.0)).exp(),
        rest: 0.010 * (0.3 * trait_(1.0)).exp(),
    }
}

fn week(length: u32, irregular: bool, stream: &mut Stream) -> Vec<u16> {
    let person = person(irregular, stream);
    let days = (f64::from(length) / DAY_MINUTES).ceil() as usize + 2;
    // The night of day d begins on the evening of the day before.
    let nights: Vec<(f64, f64)> = (0..days)
        .map(|day| {
            let evening = (day as f64 - 1.0) * DAY_MINUTES + person.bedtime;
            let start = evening + person.wander * normal(stream);
            (start, start + person.asleep + person.wander * normal(stream))
        })
        .collect();
    let (mut still, mut awake) = (0, 0);
    (0..length)
        .map(|minute| {
            let at = f64::from(minute);
            let asleep = nights.iter().any(|(from, to)| (*from..*to).contains(&at));
            if asleep {
                awake = bout(awake, person.waking, 12, stream);
                if awake == 0 && stream.unit() < 0.93 {
                    return 0;
                }
                return counts(40.0, stream);
            }
            still = bout(still, person.rest, 45, stream);
            if still > 0 {
                return if stream.unit() < 0.6 { 0 } else { counts(60.0, stream) };
            }
            // Least at four in the morning, most at four in the afternoon.
            let rhythm = 0.5 - 0.5 * (TAU * (at - 240.0) / DAY_MINUTES).cos();
            counts(ACTIVE_COUNTS * person.amplitude * rhythm, stream)
        })
        .collect()
}

/// Minutes left of a bout that begins with `chance` and then lasts `minutes` on average.
fn bout(left: u32, chance: f64, minutes: u32, stream: &mut Stream) -> u32 {
    if left > 0 {
        return left - 1;
    }
    if stream.unit() < chance { 1 + (exponential(stream) * f64::from(minutes)) as u32 } else { 0 }
}

/// Counts of a minute with mean `mean`, as skewed as real ones.
fn counts(mean: f64, stream: &mut Stream) -> u16 {
    (mean * exponential(stream)).min(f64::from(u16::MAX)) as u16
}

/// Mean 1.
fn exponential(stream: &mut Stream) -> f64 {
    -(1.0 - stream.unit()).ln()
}

/// Mean 0, variance 1 (Box and Muller).
fn normal(stream: &mut Stream) -> f64 {
    (2.0 * exponential(stream)).sqrt() * (TAU * stream.unit()).cos()
}

/// The weeks as an array of NumPy, and their labels as CSV with the header `label`.
pub fn to_files(weeks: &[Week]) -> (Vec<u8>, Vec<u8>) {
    let cols = weeks.first().map_or(0, |week| week.counts.len());
    let counts: Vec<u16> = weeks.iter().flat_map(|week| week.counts.iter().copied()).collect();
    let labels: String = weeks.iter().map(|week| format!("{}\n", week.label)).collect();
    (npy::write(cols, &counts), format!("label\n{labels}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_follow_the_seed_and_look_like_days_and_nights() {
        let weeks = generate(40, 10_080, 42);
        assert_eq!(weeks, generate(40, 10_080, 42));
        assert_ne!(weeks, generate(40, 10_080, 43));
        assert_eq!(generate(3, 10_080, 42).len(), 3);
        assert_eq!(weeks.iter().filter(|week| week.label == "regular").count(), 20);
        let mean = |hours: std::ops::Range<usize>, label: &str| {
            let of_label = weeks.iter().filter(|week| week.label == label);
            let minutes = of_label.flat_map(|week| {
                (0..7).flat_map(|day| {
                    let from = day * 1_440;
                    week.counts[from + hours.start * 60..from + hours.end * 60].to_vec()
                })
            });
            let counts: Vec<f64> = minutes.map(f64::from).collect();
            counts.iter().sum::<f64>() / counts.len() as f64
        };
        for label in LABELS {
            let (night, day) = (mean(2..4, label), mean(14..17, label));
            assert!(night > 0.0 && day > 5.0 * night, "{label}: {night} at night, {day} by day");
        }
        assert!(mean(14..17, "regular") > mean(14..17, "irregular"), "a flatter day");
        assert!(mean(2..4, "regular") < mean(2..4, "irregular"), "restless nights");
    }
}
