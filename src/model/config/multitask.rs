//! Settings of what a network learns beside the labels.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
pub use crate::data::heads::HeadConfig;

/// Auxiliary target columns, learned from the same rows through the same encoder.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MultitaskConfig {
    /// One classifier each, beside the one of the labels.
    pub heads: Vec<HeadConfig>,
}

/// What the loss of the labels is called beside those of the heads.
pub const MAIN: &str = "main";

pub(super) fn rules(multitask: &MultitaskConfig, rules: &mut Rules) {
    let key = "multitask.heads";
    let mut names = BTreeSet::new();
    for head in &multitask.heads {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let taken = ["", MAIN, "attention", "without_concepts"].contains(&head.name.as_str());
        let named = !taken && head.name.chars().all(is_name);
        let found = format!("named \"{}\"", head.name);
        rules.require(
            named,
            key,
            found.clone(),
            "named by letters, digits, `_` and `-`, and not like another loss",
        );
        rules.require(names.insert(&head.name), key, found, "named only once each");
        let weighs = head.weight > 0.0 && head.weight.is_finite();
        rules.require(weighs, key, format!("weighed {}", head.weight), "weighed above 0");
    }
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
    fn heads_have_names_and_weights() {
        let heads = |heads: &str| said(&format!("multitask: {{heads: [{heads}]}}"));
        assert_eq!(heads("{name: a-1, column: My column, weight: 0.5}"), "fine");
        assert_eq!(
            heads("{name: a.b, column: x, weight: 1}"),
            "my.yaml:1:20: `multitask.heads` is named \"a.b\", but must be named by letters, \
             digits, `_` and `-`, and not like another loss"
        );
        for (bad, why) in [
            ("{name: main, column: x, weight: 1}", "not like another loss"),
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
            "my.yaml:2:13: `multitask.heads` has no effect for the architecture toy"
        );
        assert_eq!(said("model: {architecture: toy}\nmultitask: {heads: []}"), "fine");
    }
}
