//! Settings of what the encoder can do besides telling one class from another.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::{Architecture, TrainConfig};
use super::validate::Rule;

/// Other columns learned from the same rows through the same encoder.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultitaskConfig {
    /// One classifier each, beside the one of the labels.
    pub heads: Vec<HeadConfig>,
}

/// An auxiliary classifier. Rows without a label in its column teach it nothing.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// What its scores are called: letters, digits, `_` and `-`.
    pub name: String,
    /// The column of its labels.
    pub column: String,
    /// What its loss counts beside that of the labels, which counts 1.
    pub weight: f64,
}

/// What the loss of the labels is called beside those of the heads.
pub const MAIN: &str = "main";

/// Keys, or beginnings of keys, that decide nothing, and beside what.
pub(super) fn unused_keys(config: &TrainConfig) -> Vec<(&'static str, String)> {
    let architecture = config.model.architecture;
    let why = format!("for the architecture {}", architecture.word());
    let mut unused: Vec<(&'static str, String)> =
        architecture.unused_keys().iter().map(|key| (*key, why.clone())).collect();
    if architecture != Architecture::Encoder {
        unused.push(("multitask.", why));
    }
    unused
}

/// Ranges.
pub(super) fn rules(config: &TrainConfig) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut names = BTreeSet::new();
    for head in &config.multitask.heads {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let named = !["", MAIN].contains(&head.name.as_str()) && head.name.chars().all(is_name);
        let key = "multitask.heads";
        let mut rule = |holds: bool, found: String, must: &str| {
            rules.push((holds, key, found, must.to_owned()));
        };
        let found = format!("named \"{}\"", head.name);
        rule(named, found.clone(), "named by letters, digits, `_` and `-`, and not `main`");
        rule(names.insert(&head.name), found, "named only once each");
        let weighs = head.weight > 0.0 && head.weight.is_finite();
        rule(weighs, format!("weighed {}", head.weight), "weighed above 0");
    }
    rules
}

#[cfg(test)]
mod tests {
    use crate::train::config::{Layer, resolve};

    /// What is said of these settings.
    fn said(text: &str) -> String {
        let resolved = resolve(&[Layer::Text { file: "my.yaml", text }]);
        resolved.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn heads_have_names_and_weights() {
        let heads = |heads: &str| said(&format!("multitask: {{heads: [{heads}]}}"));
        assert_eq!(heads("{name: a-1, column: My column, weight: 0.5}"), "fine");
        assert_eq!(
            heads("{name: a.b, column: x, weight: 1}"),
            "my.yaml:1:20: `multitask.heads` is named \"a.b\", but must be named by letters, \
             digits, `_` and `-`, and not `main`"
        );
        for (bad, why) in [
            ("{name: main, column: x, weight: 1}", "not `main`"),
            ("{name: a, column: x, weight: 0}", "weighed above 0"),
            ("{name: a, column: x, weight: 1}, {name: a, column: z, weight: 1}", "only once"),
            ("{name: a, column: x}", "missing field `weight`"),
            ("{name: a, column: x, wight: 1}", "unknown field `wight`"),
        ] {
            assert!(heads(bad).contains(why), "{}", heads(bad));
        }
        assert_eq!(
            said(
                "model: {architecture: toy}\nmultitask: {heads: [{name: a, column: x, weight: 1}]}"
            ),
            "my.yaml:2:13: `multitask.heads` decides nothing for the architecture toy"
        );
        assert_eq!(said("model: {architecture: toy}\nmultitask: {heads: []}"), "fine");
    }
}
