//! Which training rows each pass goes through, and at which learning rate: all of them at one rate,
//! or stages that begin with the easiest rows (Bengio et al., "Curriculum learning", 2009).
//!
//! A pass follows from settings and difficulties alone, so a resumed run goes on in its stage.

use crate::base::Split;
use crate::data::prepared::Prepared;
use crate::model::config::TrainConfig;

/// The passes of a training.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Passes {
    /// The training rows, the easiest first; in file order where there are no stages.
    rows: Vec<usize>,
    /// One where there are none in the settings.
    stages: Vec<Stage>,
    has_stages: bool,
    /// Rows of one update.
    update_rows: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Stage {
    /// How many of the rows.
    rows: usize,
    epochs: u64,
    learning_rate: f64,
}

impl Passes {
    /// The passes over the training rows of `data`.
    pub(super) fn new(config: &TrainConfig, data: &Prepared) -> Self {
        let mut rows = data.of_split(Split::Train);
        let training = &config.training;
        let stages = &config.curriculum.stages;
        if !stages.is_empty() {
            // Stable: rows that are equally difficult stay in file order.
            let of = |row: &usize| data.difficulty.get(*row).copied().unwrap_or_default();
            rows.sort_by(|a, b| of(a).total_cmp(&of(b)));
        }
        let all = rows.len();
        let stage = |share: f64, epochs: u32, learning_rate: f64| Stage {
            rows: ((all as f64 * share).ceil() as usize).clamp(1, all.max(1)),
            epochs: epochs.into(),
            learning_rate,
        };
        let of = |s: &crate::model::config::StageConfig| stage(s.share, s.epochs, s.learning_rate);
        let has_stages = !stages.is_empty();
        let stages = if has_stages {
            stages.iter().map(of).collect()
        } else {
            vec![stage(1.0, training.num_epochs, training.learning_rate)]
        };
        Self { rows, stages, has_stages, update_rows: training.update_rows() }
    }

    /// The rows of the pass that follows `epoch` passes, in file order.
    pub(super) fn rows(&self, epoch: u64) -> Vec<usize> {
        let mut rows = self.rows[..self.stage_at(epoch).rows].to_vec();
        rows.sort_unstable();
        rows
    }

    /// The peak learning rate of that pass.
    pub(super) fn learning_rate(&self, epoch: u64) -> f64 {
        self.stage_at(epoch).learning_rate
    }

    /// Updates of that pass.
    pub(super) fn updates(&self, epoch: u64) -> u64 {
        self.stage_at(epoch).rows.div_ceil(self.update_rows) as u64
    }

    /// All passes.
    pub(super) fn epochs(&self) -> u64 {
        self.stages.iter().map(|stage| stage.epochs).sum()
    }

    /// Updates of all passes.
    pub(super) fn steps(&self) -> u64 {
        (0..self.epochs()).map(|epoch| self.updates(epoch)).sum()
    }

    /// The number of that pass's stage from 1, and how many there are; none without stages.
    pub(super) fn stage(&self, epoch: u64) -> Option<(u32, u32)> {
        let number = |stages: usize| u32::try_from(stages).unwrap_or(u32::MAX);
        self.has_stages.then(|| (number(self.index(epoch) + 1), number(self.stages.len())))
    }

    /// Whether that pass is of the last stage.
    pub(super) fn is_last_stage(&self, epoch: u64) -> bool {
        self.index(epoch) + 1 == self.stages.len()
    }

    /// Whether that pass is the first of a later stage.
    pub(super) fn begins_stage(&self, epoch: u64) -> bool {
        epoch > 0 && self.index(epoch) != self.index(epoch - 1)
    }

    fn stage_at(&self, epoch: u64) -> &Stage {
        &self.stages[self.index(epoch)]
    }

    fn index(&self, epoch: u64) -> usize {
        let mut end = 0;
        let ended = self.stages.iter().take_while(|stage| {
            end += stage.epochs;
            end <= epoch
        });
        ended.count().min(self.stages.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::difficulty::difficulty;
    use crate::data::prepared::Inputs;
    use crate::data::prepared::Targets;
    use crate::model::config::{Layer, resolve};

    fn config(difficulty: &str) -> TrainConfig {
        let stages = "[{share: 0.3, epochs: 2, learning_rate: 2.0e-3}, \
                      {share: 1.0, epochs: 1, learning_rate: 1.0e-3}]";
        let set = |key, value| Layer::Set { key, value };
        resolve(&[
            set("curriculum.difficulty", difficulty),
            set("curriculum.stages", stages),
            set("training.num_epochs", "3"),
            set("training.batch_size", "4"),
        ])
        .unwrap()
    }

    /// Ten training rows of 10, 9, .. 1 tokens; the shorter, the rarer its last token.
    fn data() -> Prepared {
        let mut data = Prepared { inputs: Inputs::tokens(20), ..Prepared::default() };
        data.labels = vec!["a".into(), "b".into()];
        for row in 0..10 {
            let ids: Vec<u32> = (0..10 - row).map(|at| 5 + at).collect();
            data.inputs.push_tokens(&ids);
            data.rows.push(row);
            data.splits.push(Split::Train);
        }
        data.targets = Targets::Single(vec![0; 10]);
        data
    }

    #[test]
    fn stages_begin_with_the_easiest_rows() {
        let (config, mut data) = (config("length"), data());
        data.difficulty = difficulty(config.curriculum.difficulty, &data);
        let passes = Passes::new(&config, &data);
        assert_eq!(passes.rows(0), [7, 8, 9]);
        assert_eq!(passes.rows(1), [7, 8, 9]);
        assert_eq!(passes.rows(2), (0..10).collect::<Vec<_>>());
        assert_eq!((passes.epochs(), passes.steps()), (3, 1 + 1 + 3));
        assert_eq!((passes.learning_rate(1), passes.learning_rate(2)), (2.0e-3, 1.0e-3));
        assert_eq!((passes.stage(1), passes.stage(2)), (Some((1, 2)), Some((2, 2))));
        let begins: Vec<bool> = (0..4).map(|epoch| passes.begins_stage(epoch)).collect();
        assert_eq!(begins, [false, false, true, false]);
        assert!(passes.is_last_stage(2) && !passes.is_last_stage(1));
    }

    #[test]
    fn rare_tokens_make_a_row_difficult() {
        let (config, mut data) = (config("rarity"), data());
        data.difficulty = difficulty(config.curriculum.difficulty, &data);
        // The first token stands in every row: the row that has nothing else is the easiest.
        assert_eq!(Passes::new(&config, &data).rows(0), [7, 8, 9]);
        // 55 tokens and a vocabulary of 20; the token of the last row stands in all ten.
        assert!((f64::from(data.difficulty[9]) - (75.0_f64 / 11.0).ln()).abs() < 1e-6);
    }

    #[test]
    fn without_stages_every_pass_is_the_same() {
        let config = resolve(&[Layer::Set { key: "training.batch_size", value: "4" }]).unwrap();
        let mut data = data();
        data.splits[3] = Split::Test;
        let passes = Passes::new(&config, &data);
        assert_eq!(passes.rows(4), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!((passes.epochs(), passes.steps(), passes.stage(0)), (5, 15, None));
        assert!(passes.is_last_stage(0) && !passes.begins_stage(3));
    }
}
