//! Conditions on the settings of a lexicon.

use super::rules::Rules;
use super::{TrainConfig, legacy};
pub use crate::data::lexicon::LexiconConfig;

pub(super) fn rules(config: &TrainConfig, rules: &mut Rules) {
    let lexicon = &config.lexicon;
    let is_rrf = lexicon.file.to_lowercase().ends_with(".rrf");
    rules.require(
        !lexicon.is_on() || lexicon.embeddings || config.attention.supervision_weight > 0.0,
        "lexicon.embeddings",
        false,
        "true, or `attention.supervision_weight` above 0: nothing else uses the lexicon",
    );
    rules.require(
        lexicon.file != legacy::UMLS,
        "lexicon.file",
        &lexicon.file,
        "the path of MRCONSO.RRF, as the UMLS is licensed and not part of annals, or `clinical`, \
         the vocabulary of annals (--set lexicon.file=META/MRCONSO.RRF --set \
         lexicon.types_file=META/MRSTY.RRF)",
    );
    rules.require(
        lexicon.types_file.is_empty() || (is_rrf && !lexicon.semantic_types.is_empty()),
        "lexicon.types_file",
        format!("\"{}\"", lexicon.types_file),
        "empty unless `lexicon.file` is MRCONSO.RRF and `lexicon.semantic_types` lists some",
    );
    rules.require(
        !is_rrf || lexicon.semantic_types.is_empty() || !lexicon.types_file.is_empty(),
        "lexicon.semantic_types",
        lexicon.semantic_types.join(", "),
        "empty without MRSTY.RRF as `lexicon.types_file`",
    );
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
        assert!(said(no_vectors).contains("nothing else uses the lexicon"));
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
}
