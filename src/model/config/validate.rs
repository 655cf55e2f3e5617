//! The ranges of all settings, section by section.

use super::rules::Rules;
use super::yaml::{ConfigError, Node, SourceLocation};
use super::{Architecture, TrainConfig, attention, curriculum, data, lexicon, multitask};
use super::{network, training};

/// Checks every range; `tree` has the places of the values.
pub(super) fn validate(config: &TrainConfig, tree: &Node) -> Result<(), ConfigError> {
    let Some(broken) = rules(config).first_broken() else { return Ok(()) };
    let unknown = || SourceLocation { file: "settings".into(), line: 0, column: 0 };
    let place = tree.find(broken.key).map_or_else(unknown, |node| node.place.clone());
    let key = broken.key.to_owned();
    Err(ConfigError::Range { place, key, value: broken.value, rule: broken.must })
}

fn rules(config: &TrainConfig) -> Rules {
    let mut rules = Rules::default();
    network::rules(config, &mut rules);
    training::rules(&config.training, &mut rules);
    data::rules(&config.data, &mut rules);
    for architecture in Architecture::ALL {
        architecture.specification().section_rules(config, &mut rules);
    }
    config.model.architecture.specification().rules(config, &mut rules);
    multitask::rules(&config.multitask, &mut rules);
    curriculum::rules(config, &mut rules);
    attention::rules(config, &mut rules);
    lexicon::rules(config, &mut rules);
    rules
}
