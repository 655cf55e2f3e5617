//! Keys of the tracker before annals (`config.yaml`, `experiment_configs.yaml`): read where a
//! setting of annals means the same, refused with the reason and the setting to use elsewhere.
//!
//! To add a key: a line in [`RENAMED`] or [`REFUSED`].

use serde_json::Value as Json;

use super::yaml::{Entry, Node, OldKey, Value};

/// Keys with a setting of the same meaning.
const RENAMED: &[(&str, &str)] = &[
    ("clinical_vocab.expand_synonyms", "lexicon.expand_synonyms"),
    ("clinical_vocab.semantic_types", "lexicon.semantic_types"),
    ("training.save_every", "training.save_steps"),
];

/// Keys that describe and set nothing.
const DESCRIPTIVE: &[&str] = &["model.name"];

/// `lexicon.file` of a template that uses the UMLS and cannot name its files.
pub(super) const UMLS: &str = "umls";

/// A key that no setting can express.
struct Refused {
    key: &'static str,
    /// The value with which the key changes nothing, as JSON.
    neutral: Option<&'static str>,
    why: &'static str,
    instead: &'static str,
}

const fn refused(
    key: &'static str,
    neutral: Option<&'static str>,
    why: &'static str,
    instead: &'static str,
) -> Refused {
    Refused { key, neutral, why, instead }
}

const REFUSED: &[Refused] = &[
    refused(
        "clinical_vocab.clinical_embedding_boost",
        Some("1"),
        "the vectors of concepts are learned and have no fixed factor",
        "`lexicon.embeddings: true`, which adds them to the vectors of the tokens",
    ),
    refused(
        "clinical_vocab.umls_api_key",
        Some("null"),
        "the UMLS is read from files, and settings are recorded in plain text",
        "`lexicon.file: META/MRCONSO.RRF`, without a key",
    ),
    refused(
        "training.clinical_loss_weight",
        Some("1"),
        "the loss has no extra weight for clinical rows",
        "`training.class_weights`, or `attention.supervision_weight` for clinical terms",
    ),
    refused(
        "model.attention_analysis.save_attention_weights",
        Some("false"),
        "the number of test rows to export is required",
        "`attention.export_rows: 20`",
    ),
    refused(
        "model.attention_analysis.attention_regularization",
        Some("0"),
        "the loss has no penalty on attention by itself",
        "`attention.supervision_weight` with `lexicon.file` or `attention.rationale_column`",
    ),
    refused(
        "model.attention_analysis.interpretability_loss",
        Some("0"),
        "the file does not define this loss",
        "`attention.supervision_weight` with `lexicon.file` or `attention.rationale_column`",
    ),
    refused(
        "training.attention_supervision",
        Some("false"),
        "the weight and the source of the supervision are required",
        "`attention.supervision_weight: 0.1` with `lexicon.file` or `attention.rationale_column`",
    ),
    refused(
        "training.clinical_attention_boost",
        Some("1"),
        "attention has no fixed factor for clinical terms",
        "`attention.supervision_weight` with `lexicon.file: clinical`",
    ),
    refused(
        "training.eval_every",
        None,
        "validation rows are evaluated at the end of each epoch",
        "nothing: remove the key",
    ),
    refused("data.train_path", None, "data files are options", "`--data FILE`"),
    refused("data.val_path", None, "data files are options", "`--valid FILE`"),
    refused("data.test_path", None, "data files are options", "`--test FILE`"),
    refused("data.text_column", None, "columns are options", "`--text-column NAME`"),
    refused("data.label_column", None, "columns are options", "`--label-column NAME`"),
    refused("data.max_length", None, "the length belongs to the model", "`model.max_seq_length`"),
    refused("labels", None, "labels are read from the data", "`--labels NAME,...`"),
    refused("paths", None, "the layout of the workspace decides paths", "`annals layout show`"),
    refused("logging", None, "annals records runs by itself", "`--name` and `--description`"),
    refused("device", None, "the device is an option", "`--device cpu`"),
];

/// Settings under the names of annals, and what the user should know about them.
pub(super) struct Translation {
    pub(super) node: Node,
    pub(super) notes: Vec<String>,
    pub(super) refused: Vec<OldKey>,
}

/// Translates the keys of the old tracker in `node`, a file of settings or one template.
pub(super) fn translate(node: Node) -> Translation {
    let mut translation = Translation { node, notes: Vec::new(), refused: Vec::new() };
    for key in DESCRIPTIVE {
        if translation.take(key).is_some() {
            translation.notes.push(format!("`{key}` describes the model and has no effect"));
        }
    }
    translation.lexicon();
    translation.stages();
    translation.heads();
    for (old, new) in RENAMED {
        if let Some(entry) = translation.take(old) {
            translation.set(old, new, entry.node);
        }
    }
    for refused in REFUSED {
        let Some(entry) = translation.take(refused.key) else { continue };
        let neutral = refused.neutral.map(serde_json::from_str::<Json>);
        let is_neutral = neutral.is_some_and(|neutral| {
            let (neutral, value) = (neutral.unwrap_or_default(), entry.node.to_json());
            neutral == value || neutral.as_f64().is_some_and(|n| value.as_f64() == Some(n))
        });
        match is_neutral {
            true => translation.note_without_effect(refused.key, &entry),
            false => translation.refuse(refused.key, &entry, refused.why, refused.instead),
        }
    }
    // Reported with the others: its own error would come only after these are removed.
    let umls = translation.node.find("lexicon.file").filter(|node| node.to_json() == UMLS);
    if let Some(place) =
        umls.map(|node| node.place.clone()).filter(|_| !translation.refused.is_empty())
    {
        translation.refused.push(OldKey {
            place,
            key: "clinical_vocab.use_umls".to_owned(),
            why: "the UMLS is licensed and not part of annals".to_owned(),
            instead: "`lexicon.file: META/MRCONSO.RRF`, or `clinical`, the vocabulary of annals"
                .to_owned(),
        });
    }
    for section in ["clinical_vocab", "model.attention_analysis", "training.task_weights"] {
        translation.remove_if_empty(section);
    }
    translation
}

impl Translation {
    /// `use_umls` names no file, and annals has none: a lexicon that must be named by the user.
    fn lexicon(&mut self) {
        let key = "clinical_vocab.use_umls";
        let Some(mut entry) = self.take(key) else { return };
        match entry.node.to_json() {
            Json::Bool(true) => {
                entry.node.value = Value::Scalar(UMLS.into());
                self.set(key, "lexicon.file", entry.node);
            }
            Json::Bool(false) => self.note_without_effect(key, &entry),
            _ => self.refuse(key, &entry, "true or false expected", "`lexicon.file`"),
        }
    }

    fn stages(&mut self) {
        let (switch, key) = ("training.curriculum_learning", "training.curriculum_stages");
        let (is_on, stages) = (self.take(switch), self.take(key));
        if let Some(stages) = &stages {
            let stage = |stage: &Node| {
                let value = |key| {
                    let node = stage.find(key).map(Node::to_json);
                    node.map_or_else(|| "?".to_owned(), |value| value.to_string())
                };
                format!(
                    "{{share: ?, epochs: {}, learning_rate: {}}}",
                    value("epochs"),
                    value("learning_rate")
                )
            };
            let list = match &stages.node.value {
                Value::List(list) => list.iter().map(stage).collect(),
                _ => vec![stage(&stages.node)],
            };
            let instead = format!(
                "`curriculum.stages: [{}]` with the share of the rows, the easiest first",
                list.join(", ")
            );
            let why = "stages take a share of the training rows, and a `difficulty_threshold` on \
                       a score that the file does not define has no equivalent";
            self.refuse(key, stages, why, &instead);
        }
        match is_on {
            None => {}
            Some(entry) if entry.node.to_json() == Json::Bool(false) && stages.is_none() => {
                self.note_without_effect(switch, &entry);
            }
            Some(entry) => {
                let why = "a curriculum is on where it has stages";
                self.refuse(switch, &entry, why, "`curriculum.stages`");
            }
        }
    }

    /// Each auxiliary task with classes is a head that reads the column of its name.
    fn heads(&mut self) {
        let (key, weights) = ("model.auxiliary_tasks", "training.task_weights");
        let Some(tasks) = self.take(key) else {
            if let Some(entry) = self.take(weights) {
                self.refuse(weights, &entry, "there are no auxiliary tasks", "`multitask.heads`");
            }
            return;
        };
        let place = tasks.node.place.clone();
        let mut heads = Vec::new();
        for task in named_nodes(&tasks.node) {
            let (name, path) = (task.key.clone(), format!("{key}.{}", task.key));
            let weight = self.take(&format!("{weights}.{name}"));
            match (task.node.to_json().as_u64(), weight) {
                (Some(0 | 1), _) => {
                    let why = "heads are classifiers; one output is a regression";
                    let instead = "`multitask.heads` with a column of classes, such as low/high";
                    self.refuse(&path, &task, why, instead);
                }
                (Some(classes), Some(weight)) => {
                    self.notes.push(format!(
                        "`{path}` is read from the column \"{name}\"; its classes are the labels \
                         found there ({classes} in the file)"
                    ));
                    heads.push(head(&task, &weight.node));
                }
                (Some(_), None) => {
                    let why = format!("the weight of its loss is missing in `{weights}`");
                    self.refuse(&path, &task, &why, "`multitask.heads` with a weight");
                }
                (None, _) => {
                    let why = "a number of classes expected";
                    self.refuse(&path, &task, why, "`multitask.heads`");
                }
            }
        }
        let main = format!("{weights}.main_classification");
        if let Some(entry) = self.take(&main) {
            match entry.node.to_json().as_f64() {
                Some(1.0) => self.note_without_effect(&main, &entry),
                _ => self.refuse(
                    &main,
                    &entry,
                    "the loss of the labels always counts 1",
                    "the other weights divided by this one",
                ),
            }
        }
        for left in self.node.find(weights).map(named_nodes).unwrap_or_default() {
            let (path, why) = (format!("{weights}.{}", left.key), "there is no such task");
            self.take(&path);
            self.refuse(&path, &left, why, "`multitask.heads`");
        }
        if !heads.is_empty() {
            self.set(key, "multitask.heads", Node { place, value: Value::List(heads) });
        }
    }

    fn note_without_effect(&mut self, key: &str, entry: &Entry) {
        self.notes.push(format!("`{key}: {}` has no effect", entry.node.to_json()));
    }

    fn refuse(&mut self, key: &str, entry: &Entry, why: &str, instead: &str) {
        self.refused.push(OldKey {
            place: entry.key_place.clone(),
            key: key.to_owned(),
            why: why.to_owned(),
            instead: instead.to_owned(),
        });
    }

    /// Removes the value under a path of keys joined by dots.
    fn take(&mut self, path: &str) -> Option<Entry> {
        let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
        let mut node = &mut self.node;
        for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
            let Value::Map(entries) = &mut node.value else { return None };
            node = &mut entries.iter_mut().find(|entry| entry.key == parent)?.node;
        }
        let Value::Map(entries) = &mut node.value else { return None };
        let at = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(at))
    }

    /// Sets the value of `old` under its name in annals, unless the file has that too.
    fn set(&mut self, old: &str, new: &str, value: Node) {
        let (section, key) = new.split_once('.').unwrap_or(("", new));
        let place = value.place.clone();
        if self.node.find(new).is_some() {
            let entry = Entry { key: key.to_owned(), key_place: place, node: value };
            return self.refuse(old, &entry, &format!("`{new}` is set too"), &format!("`{new}`"));
        }
        self.notes.push(format!("`{old}` is read as `{new}`"));
        let entry = Entry { key: key.to_owned(), key_place: place.clone(), node: value };
        let Value::Map(entries) = &mut self.node.value else { return };
        match entries.iter_mut().find(|entry| entry.key == section).map(|e| &mut e.node.value) {
            Some(Value::Map(below)) => below.push(entry),
            Some(_) => {}
            None => entries.push(Entry {
                key: section.to_owned(),
                key_place: place.clone(),
                node: Node { place, value: Value::Map(vec![entry]) },
            }),
        }
    }

    fn remove_if_empty(&mut self, path: &str) {
        let is_empty = |node: &Node| matches!(&node.value, Value::Map(below) if below.is_empty());
        if self.node.find(path).is_some_and(is_empty) {
            self.take(path);
        }
    }
}

/// The entries of a map, or of all maps of a list.
fn named_nodes(node: &Node) -> Vec<Entry> {
    match &node.value {
        Value::Map(entries) => entries.clone(),
        Value::List(list) => list.iter().flat_map(named_nodes).collect(),
        Value::Scalar(_) => vec![Entry {
            key: node.to_json().to_string(),
            key_place: node.place.clone(),
            node: node.clone(),
        }],
    }
}

fn head(task: &Entry, weight: &Node) -> Node {
    let name =
        Node { place: task.key_place.clone(), value: Value::Scalar(task.key.clone().into()) };
    let entry = |key: &str, node: &Node| Entry {
        key: key.to_owned(),
        key_place: node.place.clone(),
        node: node.clone(),
    };
    let entries = vec![entry("name", &name), entry("column", &name), entry("weight", weight)];
    Node { place: task.key_place.clone(), value: Value::Map(entries) }
}

#[cfg(test)]
mod tests {
    use super::super::resolve::{BASE, Layer, resolve};
    use super::super::yaml::{self, ConfigError};
    use super::*;

    fn translated(text: &str) -> Translation {
        translate(yaml::parse("old.yaml", text).unwrap())
    }

    #[test]
    fn every_old_key_is_read_or_refused_with_an_alternative() {
        let base = yaml::parse("base.yaml", BASE).unwrap();
        for (old, new) in RENAMED {
            assert!(base.find(new).is_some() && base.find(old).is_none(), "{old} -> {new}");
        }
        for rule in REFUSED {
            assert!(base.find(rule.key).is_none(), "{} is a setting", rule.key);
            let nested = |value: &str| {
                let parts: Vec<&str> = rule.key.split('.').collect();
                let open: String = parts.iter().map(|part| format!("{{{part}: ")).collect();
                format!("{open}{value}{}", "}".repeat(parts.len()))
            };
            let found = translated(&nested("7.5"));
            let keys: Vec<&str> = found.refused.iter().map(|old| old.key.as_str()).collect();
            assert_eq!(keys, [rule.key]);
            let error = resolve(&[Layer::Text { file: "old.yaml", text: &nested("7.5") }]);
            assert!(matches!(error, Err(ConfigError::OldKeys { .. })), "{}", rule.key);
            if let Some(neutral) = rule.neutral {
                let found = translated(&nested(neutral));
                assert!(found.refused.is_empty(), "{}", rule.key);
                assert!(found.notes[0].contains(rule.key), "{:?}", found.notes);
                resolve(&[Layer::Text { file: "old.yaml", text: &nested(neutral) }]).unwrap();
            }
        }
    }

    #[test]
    fn keys_of_the_same_meaning_are_translated() {
        let text = "clinical_vocab:\n  use_umls: true\n  expand_synonyms: false\n  \
                    semantic_types: [Sign or Symptom]\ntraining: {save_every: 500}\n";
        let layer = Layer::Text { file: "old.yaml", text };
        let error = resolve(&[layer]).unwrap_err().to_string();
        assert!(error.contains("`lexicon.file` is umls, but must be"), "{error}");
        let file = Layer::Set { key: "lexicon.file", value: "clinical" };
        let config = resolve(&[layer, file]).unwrap();
        assert_eq!(config.lexicon.semantic_types, ["Sign or Symptom"]);
        assert_eq!((config.lexicon.expand_synonyms, config.training.save_steps), (false, 500));
        assert_eq!(translated(text).notes.len(), 4);
        let both = "clinical_vocab: {expand_synonyms: true}\nlexicon: {expand_synonyms: false}";
        assert_eq!(translated(both).refused[0].why, "`lexicon.expand_synonyms` is set too");
    }

    #[test]
    fn auxiliary_tasks_are_heads_unless_they_are_regressions() {
        let text = "model: {auxiliary_tasks: [{mood: 3}, {urgency: 2}]}\n\
                    training: {task_weights: {main_classification: 1.0, mood: 0.3, urgency: 0.7}}";
        let config = resolve(&[Layer::Text { file: "old.yaml", text }]).unwrap();
        let heads: Vec<_> = config.multitask.heads.iter().map(|h| (&*h.name, h.weight)).collect();
        assert_eq!(heads, [("mood", 0.3), ("urgency", 0.7)]);
        assert!(translated(text).notes[0].contains("column \"mood\""));
        for (text, key, why) in [
            (
                "model: {auxiliary_tasks: [{severity: 1}]}\n\
                 training: {task_weights: {severity: 1}}",
                "model.auxiliary_tasks.severity",
                "regression",
            ),
            (
                "model: {auxiliary_tasks: {mood: 3}}",
                "model.auxiliary_tasks.mood",
                "weight of its loss is missing",
            ),
            (
                "model: {auxiliary_tasks: {mood: 3}}\n\
                 training: {task_weights: {mood: 1, main_classification: 2.0}}",
                "training.task_weights.main_classification",
                "always counts 1",
            ),
            (
                "model: {auxiliary_tasks: {mood: 3}}\n\
                 training: {task_weights: {mood: 1, modo: 2.0}}",
                "training.task_weights.modo",
                "no such task",
            ),
            ("training: {task_weights: {mood: 1}}", "training.task_weights", "no auxiliary tasks"),
            ("model: {auxiliary_tasks: {mood: x}}", "model.auxiliary_tasks.mood", "number"),
            ("training: {curriculum_learning: true}", "training.curriculum_learning", "stages"),
            (
                "training: {curriculum_stages: [{stage: easy, epochs: 3, learning_rate: 0.1}]}",
                "training.curriculum_stages",
                "difficulty_threshold",
            ),
        ] {
            let found = translated(text).refused;
            assert!(found[0].key == key && found[0].why.contains(why), "{text}: {found:?}");
        }
    }
}
