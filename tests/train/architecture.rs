//! An architecture that annals does not have, from its settings to a loaded model: its
//! specification alone takes it through validation, preparation and loading.

#![expect(clippy::disallowed_methods, reason = "a test writes plain files")]

use std::fs;

use annals::base::{Digest, Split};
use annals::data::Source;
use annals::data::prepared::Inputs;
use annals::model::config::{Rules, TrainConfig, resolve};
use annals::model::{
    InputKind, Labels, LoadedModel, ModelError, ModelFile, ModelFiles, ModelInputs, Pipeline,
    Program, Reader, RowsToPrepare, Specification, TextScorer, prepare_as,
};

/// Counts exclamation marks against a threshold learned from the training rows.
#[derive(Debug)]
struct Shouting;

#[derive(Debug)]
struct Threshold(f32);

impl TextScorer for Threshold {
    fn scores(&self, text: &str) -> Vec<f32> {
        vec![self.0, marks(text)]
    }
}

fn marks(text: &str) -> f32 {
    text.matches('!').count() as f32
}

impl Specification for Shouting {
    fn word(&self) -> &'static str {
        "shouting"
    }

    fn title(&self) -> &'static str {
        "exclamation marks"
    }

    fn program(&self) -> Program {
        Program::Own
    }

    fn inputs(&self) -> InputKind {
        InputKind::Texts
    }

    fn sections(&self) -> &'static [&'static str] {
        &[]
    }

    fn rules(&self, config: &TrainConfig, rules: &mut Rules) {
        let classes = config.model.num_classes;
        rules.require(classes == 2, "model.num_classes", classes, "2: loud or not");
    }

    fn is_fitted_at_once(&self) -> bool {
        true
    }
}

impl Pipeline for Shouting {
    fn prepare(
        &self,
        rows: &RowsToPrepare<'_>,
        _: &TrainConfig,
    ) -> Result<ModelInputs, ModelError> {
        let loudest = rows.train_texts().map(marks).fold(0.0, f32::max);
        if loudest == 0.0 {
            return Err(ModelError::content("no training text has an exclamation mark"));
        }
        Ok(ModelInputs {
            inputs: Inputs::Texts(rows.rows.iter().map(|row| row.text.clone()).collect()),
            files: vec![("vectorizer.json", (loudest / 2.0).to_string().into_bytes())],
            ..ModelInputs::default()
        })
    }

    fn load(
        &self,
        files: &ModelFiles,
        labels: &Labels,
        _: &TrainConfig,
    ) -> Result<Reader, ModelError> {
        let text = files.read_text(ModelFile::Vectorizer)?;
        let half = text
            .parse()
            .map_err(|e: std::num::ParseFloatError| ModelError::caused("no threshold", e))?;
        assert_eq!(labels.classes.len(), 2);
        Ok(Reader::Texts(Box::new(Threshold(half))))
    }
}

fn config() -> TrainConfig {
    let mut config = resolve(&[]).unwrap();
    config.model.num_classes = 2;
    config
}

/// 200 rows: every second is loud, if `loud` is set.
fn source(folder: &std::path::Path, loud: bool) -> Source {
    let mut csv = "text,label\n".to_owned();
    for row in 0..200 {
        let (mark, label) = if row % 2 == 0 { ("!!", "loud") } else { ("", "calm") };
        let mark = if loud { mark } else { "" };
        csv.push_str(&format!("row {row} says it{mark},{label}\n"));
    }
    let path = folder.join("rows.csv");
    fs::write(&path, csv).unwrap();
    Source::of(path, "text", "label")
}

#[test]
fn its_specification_checks_settings() {
    let broken = |config: &TrainConfig| {
        let mut rules = Rules::default();
        Shouting.rules(config, &mut rules);
        Shouting.section_rules(config, &mut rules);
        rules.first_broken().map(|rule| (rule.key, rule.must))
    };
    assert_eq!(broken(&config()), None);
    let mut three = config();
    three.model.num_classes = 3;
    assert_eq!(broken(&three), Some(("model.num_classes", "2: loud or not".to_owned())));
}

#[test]
fn its_specification_prepares_rows_and_loads_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let config = config();
    let dataset = Shouting.read(&source(folder.path(), true), &config).unwrap();
    let found = prepare_as(&Shouting, &dataset, &config).unwrap();
    let Inputs::Texts(texts) = &found.prepared.inputs else { panic!("texts expected") };
    assert_eq!(texts.len(), 200);
    assert!(Split::ALL.into_iter().all(|split| !found.prepared.of_split(split).is_empty()));

    let mut files = ModelFiles::of("shouting");
    let mut add = |file: ModelFile, bytes: &[u8]| {
        let path = folder.path().join(file.file_name());
        fs::write(&path, bytes).unwrap();
        files.insert(file, (path, Some(Digest::of(bytes))));
    };
    for (name, bytes) in &found.files {
        add(ModelFile::of_file_name(name).unwrap(), bytes);
    }
    add(ModelFile::Labels, br#"{"classes": ["calm", "loud"]}"#);
    add(ModelFile::Weights, b"none");
    let LoadedModel { reader: Reader::Texts(model), labels, .. } =
        files.load_as(&Shouting, config).unwrap()
    else {
        panic!("a scorer of texts expected")
    };
    assert_eq!(labels.classes, ["calm", "loud"]);
    assert_eq!(model.scores("quiet"), [1.0, 0.0]);
    assert_eq!(model.scores("now!!"), [1.0, 2.0]);

    // What was recorded is what is loaded.
    fs::write(folder.path().join("vectorizer.json"), "9").unwrap();
    let error = files.load_as(&Shouting, self::config()).unwrap_err();
    assert!(matches!(error, ModelError::NotRecorded { .. }), "{error}");
}

#[test]
fn its_refusals_are_those_of_any_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let config = config();
    let dataset = Shouting.read(&source(folder.path(), false), &config).unwrap();
    let error = prepare_as(&Shouting, &dataset, &config).unwrap_err();
    assert_eq!(error.to_string(), "no training text has an exclamation mark");
    let mut three = config;
    three.model.num_classes = 3;
    let error = prepare_as(&Shouting, &dataset, &three).unwrap_err();
    assert!(error.to_string().contains("`model.num_classes` is 3"), "{error}");
}
