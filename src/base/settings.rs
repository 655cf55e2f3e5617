//! Which settings of a training each architecture uses: the one table that the validation of
//! settings, the record of a run, views, files and reports share. A default that decided nothing
//! is no fact about a run, so it is neither recorded nor shown.
//!
//! To add an architecture: an entry in `ARCHITECTURES`. A section that only some architectures
//! use is listed in `SECTIONS`.

use std::collections::BTreeMap;

/// The setting that names the architecture.
const ARCHITECTURE: &str = "model.architecture";

/// Sections that only some architectures use.
const SECTIONS: [&str; 9] = [
    "attention.",
    "curriculum.",
    "distilbert.",
    "encoder.",
    "lexicon.",
    "multitask.",
    "pat.",
    "tfidf.",
    "toy.",
];

/// Sections that every record of all settings has, whatever version of annals wrote it.
const OF_ALL: [&str; 2] = ["tfidf.", "toy."];

struct Entry {
    word: &'static str,
    title: &'static str,
    /// Which of [`SECTIONS`] it uses.
    sections: &'static [&'static str],
    /// Settings of the common sections that it does not use; sections end with a dot.
    unused: &'static [&'static str],
}

const LINEAR_UNUSED: &[&str] = &[
    "model.vocab_size",
    "model.n_embd",
    "model.num_heads",
    "model.n_layer",
    "model.max_seq_length",
    "model.dropout",
    "model.attention_dropout",
    "training.batch_size",
    "training.accumulation_steps",
    "training.num_epochs",
    "training.learning_rate",
    "training.weight_decay",
    "training.gradient_clip_norm",
    "training.schedule",
    "training.cosine_cycles",
    "training.warmup_fraction",
    "training.warmup_steps",
    "training.label_smoothing",
    "training.focal_gamma",
    "training.precision",
    "training.early_stopping.",
    "training.keep_best",
    "training.keep_last",
    "training.save_steps",
    "data.min_count",
];

const ARCHITECTURES: [Entry; 6] = [
    Entry {
        word: "encoder",
        title: "transformer encoder",
        sections: &["attention.", "curriculum.", "encoder.", "lexicon.", "multitask."],
        unused: &[],
    },
    Entry {
        word: "distilbert",
        title: "DistilBERT",
        sections: &["curriculum.", "distilbert."],
        unused: &[],
    },
    Entry {
        word: "pat",
        title: "actigraphy transformer",
        sections: &["pat."],
        unused: &["model.vocab_size", "model.max_seq_length", "data.min_count"],
    },
    Entry {
        word: "tfidf_logreg",
        title: "TF-IDF + logistic regression",
        sections: &["tfidf."],
        unused: LINEAR_UNUSED,
    },
    Entry {
        word: "tfidf_svm",
        title: "TF-IDF + linear SVM",
        sections: &["tfidf."],
        unused: LINEAR_UNUSED,
    },
    Entry {
        word: "toy",
        title: "softmax regression on token counts",
        sections: &["curriculum.", "toy."],
        unused: &[
            "model.n_embd",
            "model.num_heads",
            "model.n_layer",
            "model.attention_dropout",
            "training.label_smoothing",
            "training.focal_gamma",
            "training.precision",
        ],
    },
];

fn entry(architecture: &str) -> Option<&'static Entry> {
    ARCHITECTURES.iter().find(|entry| entry.word == architecture)
}

/// The settings that `architecture` does not use; sections end with a dot. Empty for an
/// architecture that is not known.
pub fn unused_by(architecture: &str) -> Vec<&'static str> {
    let Some(entry) = entry(architecture) else { return vec![] };
    let foreign = SECTIONS.iter().filter(|section| !entry.sections.contains(section));
    entry.unused.iter().chain(foreign).copied().collect()
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
    entry(architecture).map(|entry| entry.title)
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

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_section_belongs_to_an_architecture_and_its_own_is_used() {
        for section in SECTIONS {
            assert!(ARCHITECTURES.iter().any(|entry| entry.sections.contains(&section)));
        }
        for entry in &ARCHITECTURES {
            let unused = unused_by(entry.word);
            assert!(entry.sections.iter().all(|own| !unused.contains(own)), "{}", entry.word);
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
