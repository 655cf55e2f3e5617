//! Which settings of a training had an effect: what a record of a run, views, files and reports
//! show. A default that had none is no fact about a run, so it is neither recorded nor shown.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Architecture;
use super::specification::Specification;

/// The setting that names the architecture.
const ARCHITECTURE: &str = "model.architecture";

/// Sections that every record of all settings has, whatever version of annals wrote it.
const OF_ALL: [&str; 2] = ["tfidf.", "toy."];

/// Sections that only some architectures use.
fn sections() -> BTreeSet<&'static str> {
    let all = Architecture::ALL.iter();
    all.flat_map(|architecture| architecture.specification().sections()).copied().collect()
}

fn specification(architecture: &str) -> Option<&'static dyn Specification> {
    let found = Architecture::ALL.iter().find(|known| known.word() == architecture);
    found.map(|known| known.specification())
}

/// The settings that `architecture` does not use; sections end with a dot. Empty for an
/// architecture that is not known.
pub fn unused_by(architecture: &str) -> Vec<&'static str> {
    specification(architecture).map_or_else(Vec::new, unused)
}

fn unused(specification: &dyn Specification) -> Vec<&'static str> {
    let own = specification.sections();
    let foreign = sections().into_iter().filter(|section| !own.contains(section));
    specification.unused().iter().copied().chain(foreign).collect()
}

/// Whether `pattern`, a setting or a section, is or holds `key`.
pub fn is_or_holds(pattern: &str, key: &str) -> bool {
    if pattern.ends_with('.') { key.starts_with(pattern) } else { key == pattern }
}

/// The architecture that recorded settings name, as its word.
pub fn architecture(parameters: &BTreeMap<String, String>) -> Option<&str> {
    parameters.get(ARCHITECTURE).map(|word| word.trim_matches('"'))
}

/// How classes weigh in the loss: a setting of annals, and of other trainers a parameter of that
/// name; `None` where nobody stated it.
pub fn class_weights(parameters: &BTreeMap<String, String>) -> Option<&str> {
    let is_named = |key: &&String| {
        let last = key.rsplit('.').next();
        last.is_some_and(|last| matches!(last, "class_weights" | "class_weight"))
    };
    let key = parameters.keys().find(is_named)?;
    parameters.get(key).map(String::as_str)
}

/// The architecture in words for people; none for one that is not known.
pub fn title(architecture: &str) -> Option<&'static str> {
    specification(architecture).map(Specification::title)
}

/// The settings that decided something, of all settings of a training, values as JSON.
pub fn used(parameters: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let value = |key: &str| parameters.get(key).map(String::as_str);
    let mut unused = architecture(parameters).map(unused_by).unwrap_or_default();
    match value("curriculum.stages") {
        Some("[]") => unused.push("curriculum."),
        Some(_) => unused.push("training.learning_rate"),
        None => {}
    }
    if value("lexicon.file") == Some("\"\"") {
        unused.push("lexicon.");
    }
    // As many as the data has labels, which are recorded.
    if value("model.num_classes") == Some("0") {
        unused.push("model.num_classes");
    }
    let is_used = |key: &String| !unused.iter().any(|pattern| is_or_holds(pattern, key));
    let kept = parameters.iter().filter(|(key, _)| is_used(key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The settings of a run's record that decided something. Older records hold all settings of all
/// architectures; what a script stated about itself is left as it is.
pub fn recorded(parameters: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let has = |section: &&str| parameters.keys().any(|key| key.starts_with(*section));
    if OF_ALL.iter().all(has) { used(parameters) } else { parameters.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_architecture_uses_its_own_sections_and_every_setting_it_lists_exists() {
        let settings = config::all_settings();
        for architecture in Architecture::ALL {
            let known = architecture.specification();
            let unused = unused_by(known.word());
            assert!(known.sections().iter().all(|own| !unused.contains(own)), "{known:?}");
            for pattern in unused {
                let is_setting = |setting: &config::Setting| is_or_holds(pattern, &setting.key);
                assert!(settings.iter().any(is_setting), "{known:?}: {pattern}");
            }
        }
    }

    #[test]
    fn a_record_of_all_settings_is_reduced_and_a_statement_is_not() {
        let all = [
            ("model.architecture", "\"tfidf_logreg\""),
            ("model.n_layer", "3"),
            ("model.num_classes", "0"),
            ("pat.length", "10080"),
            ("tfidf.c", "1.0"),
            ("toy.nan_at_step", "0"),
            ("training.early_stopping.patience", "0"),
            ("training.seed", "42"),
        ];
        let kept = recorded(&map(&all));
        let keys: Vec<&str> = kept.keys().map(String::as_str).collect();
        assert_eq!(keys, ["model.architecture", "tfidf.c", "training.seed"]);
        assert_eq!(recorded(&kept), kept, "once reduced it stays");
        let stated = map(&[("model.architecture", "\"toy\""), ("model.n_layer", "3")]);
        assert_eq!(recorded(&stated), stated);
    }

    #[test]
    fn what_is_switched_off_decides_nothing() {
        let lexicon = map(&[("lexicon.file", "\"\""), ("lexicon.embeddings", "true")]);
        assert!(used(&lexicon).is_empty());
        let stages = map(&[("curriculum.stages", "[{}]"), ("training.learning_rate", "0.1")]);
        assert_eq!(used(&stages).len(), 1);
        let none = map(&[("curriculum.stages", "[]"), ("training.learning_rate", "0.1")]);
        assert_eq!(used(&none), map(&[("training.learning_rate", "0.1")]));
    }
}
