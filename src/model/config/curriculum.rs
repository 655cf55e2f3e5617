//! Settings of a curriculum: stages of a training that begin with the easiest rows.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainConfig;
use super::rules::Rules;
pub use crate::data::difficulty::Difficulty;

/// Stages of a training that begin with the easiest rows.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurriculumConfig {
    /// What makes a row difficult.
    pub difficulty: Difficulty,
    /// The run or production model that measures difficulty, if `difficulty` is `reference`.
    pub reference: String,
    /// The stages in order; none trains on all rows from the start.
    pub stages: Vec<StageConfig>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Share of the training rows, the easiest first.
    pub share: f64,
    /// Passes over them.
    pub epochs: u32,
    /// Peak learning rate; the schedule goes over the whole training.
    pub learning_rate: f64,
}

pub(super) fn rules(config: &TrainConfig, rules: &mut Rules) {
    let curriculum = &config.curriculum;
    let key = "curriculum.stages";
    for stage in &curriculum.stages {
        let share = stage.share > 0.0 && stage.share <= 1.0;
        rules.require(
            share,
            key,
            format!("of share {}", stage.share),
            "of a share above 0, up to 1",
        );
        rules.require(stage.epochs > 0, key, "of 0 epochs", "of at least 1 epoch");
        let rate = stage.learning_rate > 0.0 && stage.learning_rate < 1e3;
        let found = format!("of learning rate {}", stage.learning_rate);
        rules.require(rate, key, found, "of a learning rate above 0 and below 1000");
    }
    if curriculum.stages.is_empty() {
        return;
    }
    let epochs: u64 = curriculum.stages.iter().map(|stage| u64::from(stage.epochs)).sum();
    let found = config.training.num_epochs;
    rules.require(
        u64::from(found) == epochs,
        "training.num_epochs",
        found,
        format!(
            "the sum of the epochs of `curriculum.stages` ({epochs}); change the stages for \
             another length"
        ),
    );
    let by_model = curriculum.difficulty == Difficulty::Reference;
    let found = format!("\"{}\"", curriculum.reference);
    let must = match by_model {
        true => "a run or a model in production, as `curriculum.difficulty` is reference",
        false => "empty unless `curriculum.difficulty` is reference",
    };
    let holds = by_model != curriculum.reference.is_empty();
    rules.require(holds, "curriculum.reference", found, must);
}

#[cfg(test)]
mod tests {
    use crate::model::config::{Layer, resolve};

    /// The error of these settings.
    fn said(text: &str) -> String {
        let resolved = resolve(&[Layer::Text { file: "my.yaml", text }]);
        resolved.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn stages_add_up_and_replace_the_learning_rate() {
        let with = |training: &str, curriculum: &str| {
            said(&format!("training: {{{training}}}\ncurriculum: {{{curriculum}}}"))
        };
        let stages = "stages: [{share: 0.5, epochs: 2, learning_rate: 1.0e-3}, \
                      {share: 1, epochs: 1, learning_rate: 1.0e-4}]";
        assert_eq!(with("num_epochs: 3", stages), "fine");
        assert_eq!(
            with("num_epochs: 4", stages),
            "my.yaml:1:24: `training.num_epochs` is 4, but must be the sum of the epochs of \
             `curriculum.stages` (3); change the stages for another length"
        );
        assert_eq!(
            with("num_epochs: 3, learning_rate: 1.0e-3", stages),
            "my.yaml:1:27: `training.learning_rate` has no effect beside the rates of \
             `curriculum.stages`"
        );
        let by_model = format!("difficulty: reference, {stages}");
        assert!(with("num_epochs: 3", &by_model).contains("a run or a model in production"));
        assert_eq!(with("num_epochs: 3", &format!("reference: champion, {by_model}")), "fine");
        assert!(with("", "difficulty: rarity").contains("without `curriculum.stages`"));
        let stage = |stage: &str| with("num_epochs: 1", &format!("stages: [{{{stage}}}]"));
        for (bad, why) in [
            ("share: 0, epochs: 1, learning_rate: 1.0e-3", "above 0, up to 1"),
            ("share: 1, epochs: 1, learning_rate: 0", "above 0 and below 1000"),
            ("share: 1, learning_rate: 1.0e-3", "missing field `epochs`"),
        ] {
            assert!(stage(bad).contains(why), "{}", stage(bad));
        }
    }
}
