//! Which training checkpoints go: a pure rule.

use std::path::PathBuf;

use bincode::{Decode, Encode};

use crate::base::Direction;

/// A training checkpoint that exists.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct RetainedCheckpoint {
    /// Updates done.
    pub step: u64,
    /// Its folder, relative to the run's folder.
    pub dir: PathBuf,
    /// The validation metric; none in the middle of a pass.
    pub value: Option<f64>,
}

/// The steps of those that go: all but the `best` ones by value (the earlier of equals) and the
/// `last` ones by step.
pub fn prune(
    kept: &[RetainedCheckpoint],
    direction: Direction,
    best: usize,
    last: usize,
) -> Vec<u64> {
    let mut newest: Vec<&RetainedCheckpoint> = kept.iter().collect();
    newest.sort_by_key(|one| std::cmp::Reverse(one.step));
    let mut scored: Vec<(f64, u64)> =
        kept.iter().filter_map(|one| one.value.map(|value| (value, one.step))).collect();
    scored.sort_by(|(a, a_step), (b, b_step)| {
        let by_value = if direction == Direction::Lower { a.total_cmp(b) } else { b.total_cmp(a) };
        by_value.then(a_step.cmp(b_step))
    });
    let stays = |step: u64| {
        newest.iter().take(last.max(1)).any(|one| one.step == step)
            || scored.iter().take(best.max(1)).any(|(_, kept)| *kept == step)
    };
    kept.iter().map(|one| one.step).filter(|step| !stays(*step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(values: &[Option<f64>]) -> Vec<RetainedCheckpoint> {
        let one = |(i, value): (usize, &Option<f64>)| RetainedCheckpoint {
            step: i as u64 + 1,
            dir: PathBuf::new(),
            value: *value,
        };
        values.iter().enumerate().map(one).collect()
    }

    #[test]
    fn the_best_and_the_last_stay() {
        let all = kept(&[Some(0.5), Some(0.9), Some(0.9), None, Some(0.6), None]);
        assert_eq!(prune(&all, Direction::Higher, 1, 1), [1, 3, 4, 5]);
        assert_eq!(prune(&all, Direction::Lower, 2, 1), [2, 3, 4]);
        assert_eq!(prune(&all, Direction::Higher, 1, 9), [] as [u64; 0]);
        assert_eq!(prune(&all[..1], Direction::Higher, 0, 0), [] as [u64; 0]);
    }
}
