//! Settings that have no effect beside other settings.

use super::TrainConfig;
use crate::model::settings;

/// A key that decides nothing beside another.
#[derive(Clone, Debug)]
pub(super) struct Unused {
    /// The key, or the beginning of keys where it ends with a dot.
    pub(super) key: &'static str,
    /// Beside what, for messages.
    pub(super) beside: String,
    /// The other key. What stood before it was set was meant for another value of it.
    pub(super) by: &'static str,
}

impl Unused {
    /// Whether it is, or begins, `key`.
    pub(super) fn matches(&self, key: &str) -> bool {
        settings::is_or_holds(self.key, key)
    }
}

/// All keys that decide nothing.
pub(super) fn unused_keys(config: &TrainConfig) -> Vec<Unused> {
    let architecture = config.model.architecture;
    let keys = settings::unused_by(architecture.word()).into_iter();
    let beside = format!("for the architecture {}", architecture.word());
    let of = |key| Unused { key, beside: beside.clone(), by: "model.architecture" };
    let mut unused: Vec<Unused> = keys.map(of).collect();
    let by = "curriculum.stages";
    if config.curriculum.stages.is_empty() {
        for key in ["curriculum.difficulty", "curriculum.reference"] {
            unused.push(Unused { key, beside: format!("without `{by}`"), by });
        }
    } else {
        let beside = format!("beside the rates of `{by}`");
        unused.push(Unused { key: "training.learning_rate", beside, by });
    }
    if !config.lexicon.is_on() {
        let by = "lexicon.file";
        unused.push(Unused { key: "lexicon.", beside: format!("without `{by}`"), by });
    }
    unused
}
