//! Settings of what the encoder can do besides telling one class from another.

use std::collections::BTreeSet;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::legacy;
use super::types::TrainConfig;
use super::validate::Rule;
use crate::base::settings;

/// How the encoder reads beside its layers.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncoderConfig {
    /// Tokens that a convolution before the layers sees around each one, itself included; 0 for
    /// no convolution.
    pub convolution: u32,
    /// How the tokens become one vector.
    pub pooling: Pooling,
}

/// How the tokens of a text become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The largest of each number.
    Max,
}

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

/// Stages of a training that begin with the easiest rows.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CurriculumConfig {
    /// What makes a row difficult.
    pub difficulty: Difficulty,
    /// The run or model in production that tells, where `difficulty` is `reference`.
    pub reference: String,
    /// The stages in order; none trains on all rows from the start.
    pub stages: Vec<StageConfig>,
}

/// What makes a row difficult.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Difficulty {
    /// The number of its tokens.
    Length,
    /// How rare its tokens are among the training rows.
    Rarity,
    /// The loss of a model that was trained before.
    Reference,
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

/// A vocabulary of concepts, found in the texts beside their tokens.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LexiconConfig {
    /// `clinical` for the one annals brings, or a table (`.tsv`) or `MRCONSO.RRF` of the UMLS;
    /// empty for none.
    pub file: String,
    /// `MRSTY.RRF`, which tells the semantic types of the concepts in `MRCONSO.RRF`.
    pub types_file: String,
    /// Concepts of these types only, by name or (UMLS) by number; all where none is listed.
    pub semantic_types: Vec<String>,
    /// Whether a concept is found by all its names, not only by the preferred one.
    pub expand_synonyms: bool,
    /// Whether each concept has a learned vector that is added to those of its tokens.
    pub embeddings: bool,
}

impl LexiconConfig {
    /// Whether `file` is a path, and not the name of one that annals brings.
    pub fn names_a_file(&self) -> bool {
        std::path::Path::new(&self.file).extension().is_some()
    }

    /// Whether concepts have vectors.
    pub fn has_vectors(&self) -> bool {
        self.is_on() && self.embeddings
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        !self.file.is_empty()
    }
}

/// What is made of the encoder's attention.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttentionConfig {
    /// Test rows whose attention is written as JSON and as a picture.
    pub export_rows: u32,
    /// Test rows on which comprehensiveness and sufficiency are measured.
    pub faithfulness_rows: u32,
    /// What the loss of attention outside the rationales, or the terms of the lexicon, counts; 0
    /// for none.
    pub supervision_weight: f64,
    /// The column of rationales: passages of the text, apart by `|`. Empty for none.
    pub rationale_column: String,
}

/// What the loss of the labels is called beside those of the heads.
pub const MAIN: &str = "main";

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

/// Ranges.
pub(super) fn rules(config: &TrainConfig) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut names = BTreeSet::new();
    for head in &config.multitask.heads {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let taken = ["", MAIN, "attention", "without_concepts"].contains(&head.name.as_str());
        let named = !taken && head.name.chars().all(is_name);
        let key = "multitask.heads";
        let mut rule = |holds: bool, found: String, must: &str| {
            rules.push((holds, key, found, must.to_owned()));
        };
        let found = format!("named \"{}\"", head.name);
        rule(
            named,
            found.clone(),
            "named by letters, digits, `_` and `-`, and not like another loss",
        );
        rule(names.insert(&head.name), found, "named only once each");
        let weighs = head.weight > 0.0 && head.weight.is_finite();
        rule(weighs, format!("weighed {}", head.weight), "weighed above 0");
    }
    stage_rules(config, &mut rules);
    let window = config.encoder.convolution;
    rules.push((
        window == 0 || (window % 2 == 1 && window < 32),
        "encoder.convolution",
        window.to_string(),
        "0, or odd and below 32: as many tokens before as after".into(),
    ));
    let weight = config.attention.supervision_weight;
    let rationale = &config.attention.rationale_column;
    let has_reasons = config.lexicon.is_on() || !rationale.is_empty();
    rules.push((
        weight == 0.0 || (weight > 0.0 && weight < 1e3 && has_reasons),
        "attention.supervision_weight",
        weight.to_string(),
        "0, or with a `lexicon.file` or `attention.rationale_column` above 0 and below 1000".into(),
    ));
    rules.push((
        rationale.is_empty() || (weight > 0.0 && !config.lexicon.is_on()),
        "attention.rationale_column",
        format!("\"{rationale}\""),
        "empty without `attention.supervision_weight`, and with a `lexicon.file`".into(),
    ));
    rules.push((
        !config.lexicon.is_on() || config.lexicon.embeddings || weight > 0.0,
        "lexicon.embeddings",
        "false".into(),
        "true, or `attention.supervision_weight` above 0: nothing else asks the lexicon".into(),
    ));
    let lexicon = &config.lexicon;
    rules.push((
        lexicon.file != legacy::UMLS,
        "lexicon.file",
        lexicon.file.clone(),
        "the path of MRCONSO.RRF, as the UMLS is licensed and not part of annals, or `clinical`, \
         the vocabulary of annals (--set lexicon.file=META/MRCONSO.RRF --set \
         lexicon.types_file=META/MRSTY.RRF)"
            .into(),
    ));
    let is_rrf = lexicon.file.to_lowercase().ends_with(".rrf");
    rules.push((
        lexicon.types_file.is_empty() || (is_rrf && !lexicon.semantic_types.is_empty()),
        "lexicon.types_file",
        format!("\"{}\"", lexicon.types_file),
        "empty unless `lexicon.file` is MRCONSO.RRF and `lexicon.semantic_types` lists some".into(),
    ));
    rules.push((
        !is_rrf || lexicon.semantic_types.is_empty() || !lexicon.types_file.is_empty(),
        "lexicon.semantic_types",
        lexicon.semantic_types.join(", "),
        "empty without MRSTY.RRF as `lexicon.types_file`".into(),
    ));
    rules
}

/// A convolution reads without layers too, unless attention is asked for.
pub(super) fn least_layers(config: &TrainConfig) -> u64 {
    let attention = &config.attention;
    let attends = attention.export_rows > 0
        || attention.faithfulness_rows > 0
        || attention.supervision_weight > 0.0;
    u64::from(config.encoder.convolution == 0 || attends)
}

fn stage_rules(config: &TrainConfig, rules: &mut Vec<Rule>) {
    let curriculum = &config.curriculum;
    let key = "curriculum.stages";
    for stage in &curriculum.stages {
        let mut rule = |holds: bool, found: String, must: &str| {
            rules.push((holds, key, found, must.to_owned()));
        };
        let share = stage.share > 0.0 && stage.share <= 1.0;
        rule(share, format!("of share {}", stage.share), "of a share above 0, up to 1");
        rule(stage.epochs > 0, "of 0 epochs".to_owned(), "of at least 1 epoch");
        let rate = stage.learning_rate > 0.0 && stage.learning_rate < 1e3;
        let found = format!("of learning rate {}", stage.learning_rate);
        rule(rate, found, "of a learning rate above 0 and below 1000");
    }
    if curriculum.stages.is_empty() {
        return;
    }
    let epochs: u64 = curriculum.stages.iter().map(|stage| u64::from(stage.epochs)).sum();
    let found = config.training.num_epochs;
    rules.push((
        u64::from(found) == epochs,
        "training.num_epochs",
        found.to_string(),
        format!(
            "the sum of the epochs of `curriculum.stages` ({epochs}); change the stages for \
             another length"
        ),
    ));
    let by_model = curriculum.difficulty == Difficulty::Reference;
    let found = format!("\"{}\"", curriculum.reference);
    let must = match by_model {
        true => "a run or a model in production, as `curriculum.difficulty` is reference",
        false => "empty unless `curriculum.difficulty` is reference",
    };
    let holds = by_model != curriculum.reference.is_empty();
    rules.push((holds, "curriculum.reference", found, must.to_owned()));
}

#[cfg(test)]
mod tests {
    use crate::model::config::{Layer, resolve};

    /// What is said of these settings.
    fn said(text: &str) -> String {
        let resolved = resolve(&[Layer::Text { file: "my.yaml", text }]);
        resolved.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn a_convolution_has_a_middle() {
        assert_eq!(said("encoder: {convolution: 3, pooling: max}"), "fine");
        assert!(said("encoder: {convolution: 4}").contains("odd"));
        let flat = "model: {n_layer: 0}";
        assert_eq!(said(&format!("{flat}\nencoder: {{convolution: 3}}")), "fine");
        assert!(said(flat).contains("`model.n_layer` is 0, but must be 1 to 1000"));
        let shown = format!("{flat}\nencoder: {{convolution: 3}}\nattention: {{export_rows: 1}}");
        assert!(said(&shown).contains("`model.n_layer` is 0"));
        let other = "model: {architecture: distilbert}\nencoder: {pooling: max}";
        assert!(said(other).contains("encoder.pooling"));
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
            "my.yaml:2:13: `multitask.heads` decides nothing for the architecture toy"
        );
        assert_eq!(said("model: {architecture: toy}\nmultitask: {heads: []}"), "fine");
    }

    #[test]
    fn a_lexicon_is_there_for_something() {
        assert_eq!(said("lexicon: {file: clinical}"), "fine");
        assert!(said("lexicon: {expand_synonyms: false}").contains("without `lexicon.file`"));
        let supervised = "attention: {supervision_weight: 0.1}\n";
        assert!(said(supervised).contains("with a `lexicon.file` or `attention.rationale_column`"));
        let marked = "attention: {supervision_weight: 0.1, rationale_column: why}\n";
        assert_eq!(said(marked), "fine");
        let both = said(&format!("{marked}lexicon: {{file: clinical}}"));
        assert!(both.contains("`attention.rationale_column` is \"why\", but must be empty"));
        assert!(said("attention: {rationale_column: why}").contains("empty without"));
        let no_vectors = "lexicon: {file: clinical, embeddings: false}\n";
        assert!(said(no_vectors).contains("nothing else asks the lexicon"));
        assert_eq!(said(&format!("{supervised}{no_vectors}")), "fine");
        let types = "lexicon: {file: M/MRCONSO.RRF, semantic_types: [T048]";
        assert!(said(&format!("{types}}}")).contains("without MRSTY.RRF"));
        assert_eq!(said(&format!("{types}, types_file: M/MRSTY.RRF}}")), "fine");
        let table = "lexicon: {file: x.tsv, types_file: MRSTY.RRF, semantic_types: [T048]}";
        assert!(said(table).contains("empty unless"));
        assert!(
            said("model: {architecture: toy}\nattention: {export_rows: 3}")
                .contains("for the architecture toy")
        );
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
            "my.yaml:1:27: `training.learning_rate` decides nothing beside the rates of \
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
