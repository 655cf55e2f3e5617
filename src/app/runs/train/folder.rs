//! The folder of a run: made once under a name nobody has, filled before and after training.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Plan, Results};
use crate::app::models::model_card::model_card;
use crate::app::models::model_files::{
    BASELINE, INFERENCE_MS, Record, labels, pretty, training_info,
};
use crate::app::runs::beginning::FolderClaim;
use crate::app::{Error, ErrorKind, Layout, NewRun, Result, Workspace};
use crate::base::{Digest, FileDigests, confine, durable};
use crate::data::prepared::Prepared;
use crate::data::{REPORT_FILE, TEST_ROW_ORDER_FILE, TEST_ROWS_FILE, TestRowIdentity};
use crate::domain::Provenance;
use crate::domain::run::{RunFinished, StoredFile, TEST_ROW_ORDER, TEST_ROWS};
use crate::domain::workspace::LayoutKind;
use crate::model::{ModelFile, hf};
use crate::train::explain::{ATTENTION_FILE, PICTURE_FILE};
use crate::train::metric::{PREDICTIONS_FILE, predictions_file};
use crate::train::{TrainingResult, weights_path};

const FOLDERS: [&str; 5] = ["config", "checkpoints", "results", "plots", "logs"];
const LOG_FILE: &str = "training.log";
/// Runs of one name that may begin in one second, or in one day where folders tell the day.
const SAME_NAME_MAX: u32 = 1_000;

/// A run's folder.
#[derive(Debug)]
pub(in crate::app) struct RunFolder {
    /// The folder.
    pub(in crate::app) path: PathBuf,
    /// Its name: the run's unique name.
    pub(in crate::app) experiment_id: String,
    /// Where its settings and its log lie in it.
    layout: Layout,
    /// Until the run is in the log, a crash leaves a folder to be removed.
    _beginning: Option<FolderClaim>,
    /// Whether the log may name the folder: nothing removes it from then on.
    recorded: Cell<bool>,
}

impl RunFolder {
    /// Makes the folder; a number is added where the name is taken (W-3).
    pub(in crate::app) fn create(workspace: &Workspace, run: &NewRun<'_>) -> Result<Self> {
        let experiments = workspace.inside(&workspace.layout.experiments)?;
        let failed = |path: &Path| {
            let what = format!("make {}", path.display());
            move |e| Error::io(what, e)
        };
        durable::create_dir_all(&experiments).map_err(failed(&experiments))?;
        for number in 1..=SAME_NAME_MAX {
            let experiment_id = run.experiment_id(number);
            let place = workspace.layout.home(&workspace.layout.folder_name(run, number));
            let path = workspace.inside(&place)?;
            let claim = FolderClaim::claim(&workspace.annals_dir(), &experiment_id, &place);
            let Some(mut beginning) = claim.map_err(failed(&path))? else { continue };
            match fs::create_dir(&path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&path)(e)),
                Ok(()) => {
                    beginning.made(&path, &experiment_id).map_err(failed(&path))?;
                    let folders = match workspace.layout.kind {
                        LayoutKind::Consolidated => &FOLDERS[..],
                        LayoutKind::TrainingOutput => &FOLDERS[..4],
                    };
                    for folder in folders {
                        durable::create_dir_all(&path.join(folder)).map_err(failed(&path))?;
                    }
                    durable::sync_parent(&path).map_err(failed(&path))?;
                    let layout = workspace.layout.clone();
                    let (_beginning, recorded) = (Some(beginning), Cell::new(false));
                    return Ok(Self { path, experiment_id, layout, _beginning, recorded });
                }
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("{SAME_NAME_MAX} runs are named {}", run.experiment_id(1)),
        ))
    }

    /// The folder of a run that has one.
    ///
    /// # Errors
    /// For a folder that is not inside the workspace.
    pub(super) fn of(workspace: &Workspace, folder: &str, experiment_id: &str) -> Result<Self> {
        let (path, experiment_id) = (workspace.inside(folder)?, experiment_id.to_owned());
        let (layout, recorded) = (workspace.layout.clone(), Cell::new(true));
        Ok(Self { path, experiment_id, layout, _beginning: None, recorded })
    }

    /// Path inside the folder of a file of settings.
    pub(in crate::app) fn settings_file(&self, name: &str) -> String {
        self.layout.inside("config", name).unwrap_or_else(|| name.to_owned())
    }

    /// Path inside the folder of the log; where another layout had it if it is there.
    pub(in crate::app) fn log_file(&self) -> String {
        let both = [format!("logs/{LOG_FILE}"), LOG_FILE.to_owned()];
        let there = both.into_iter().find(|file| self.path.join(file).exists());
        there.or_else(|| self.layout.inside("log", LOG_FILE)).unwrap_or_else(|| LOG_FILE.to_owned())
    }

    /// Notes what came of writing the run's start. Where it is unsure whether the log has it, the
    /// folder stays; the next changing verb removes it if the log has no such run.
    pub(in crate::app) fn note_start<T>(&self, start: &Result<T>) {
        self.recorded.set(!matches!(start, Err(error) if error.kind != ErrorKind::Io));
    }

    /// Removes the folder of a run whose start was never recorded.
    pub(in crate::app) fn discard(&self) {
        if self.recorded.get() {
            return;
        }
        // Left over, it is a folder that no run names: untidy, not wrong.
        let _ = fs::remove_dir_all(&self.path);
    }

    /// Writes one file, durably.
    pub(in crate::app) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = confine::inside(&self.path, name)?;
        durable::write(&path, bytes)
            .map_err(|e| Error::io(format!("write {}", path.display()), e))?;
        Ok(path)
    }

    /// What training reads: settings, vocabulary, labels and the prepared dataset.
    pub(super) fn write_inputs(&self, plan: &Plan<'_>) -> Result<(PathBuf, Digest)> {
        self.write(&self.settings_file("config.yaml"), plan.config.to_yaml().as_bytes())?;
        let prepared = &plan.prepared.prepared;
        for (name, bytes) in &plan.prepared.files {
            self.write(&format!("config/{name}"), bytes)?;
        }
        self.write("config/labels.json", &pretty(&labels_of(prepared)))?;
        self.write(&format!("config/{REPORT_FILE}"), &pretty(&json!(plan.prepared.report)))?;
        let test_rows = TestRowIdentity::of(&plan.dataset, prepared);
        self.write(&format!("config/{TEST_ROWS_FILE}"), test_rows.text.as_bytes())?;
        let order = json!(test_rows.order).to_string();
        self.write(&format!("config/{TEST_ROW_ORDER_FILE}"), order.as_bytes())?;
        let path = self.path.join("config/dataset.bin");
        let digest = plan.prepared.prepared.write(&path).map_err(|e| {
            Error::caused(ErrorKind::Io, format!("cannot write {}", path.display()), e)
        })?;
        Ok((path, digest))
    }

    /// What training reads, as it lies there, the settings first; the rows have their own digest.
    pub(super) fn inputs(&self) -> Result<Vec<StoredFile>> {
        let mut all = vec![self.file("config", &self.settings_file("config.yaml"))?];
        let of_model =
            [ModelFile::Vocabulary, ModelFile::Concepts, ModelFile::Tokenizer, ModelFile::Scaler];
        let of_model = of_model.map(|file| (file.artifact(), file.file_name()));
        let of_data = [
            ("data_report", REPORT_FILE),
            (TEST_ROWS, TEST_ROWS_FILE),
            (TEST_ROW_ORDER, TEST_ROW_ORDER_FILE),
        ];
        let known = of_model.into_iter().chain(of_data);
        for (name, file) in known {
            let path = format!("config/{file}");
            if self.path.join(&path).exists() {
                all.push(self.file(name, &path)?);
            }
        }
        all.push(self.file("labels", "config/labels.json")?);
        Ok(all)
    }

    /// The files that make the folder of the weights one that `transformers` loads.
    fn complete(&self, folder: &Path) -> Result<Vec<StoredFile>> {
        let mut stored = Vec::new();
        for name in hf::SIDE_FILES {
            let Ok(bytes) = fs::read(self.path.join("config").join(name)) else { continue };
            let path = folder.join(name).to_string_lossy().into_owned();
            self.write(&path, &bytes)?;
            stored.push(self.file(name, &path)?);
        }
        Ok(stored)
    }

    /// What training left: information, scores and a model card, with the weights where they are.
    pub(super) fn write_results(
        &self,
        of: &Results<'_>,
        finished: &TrainingResult,
        ended: &RunFinished,
    ) -> Result<Vec<StoredFile>> {
        let weights = weights_path(finished);
        let weights = weights.to_string_lossy().replace('\\', "/");
        let stored = StoredFile {
            name: "weights".into(),
            path: Some(weights),
            digest: finished.weights.digest,
            // The engine tells one digest; the other follows when the file is stored.
            sha256: None,
            bytes: finished.weights.bytes,
            blob: true,
        };
        let mut all = vec![stored];
        if let Some(thresholds) = thresholds(of, finished) {
            let path = format!("results/{}", ModelFile::Thresholds.file_name());
            self.write(&path, &pretty(&thresholds))?;
            all.push(self.file("thresholds", &path)?);
        }
        for (name, path) in [("attention", ATTENTION_FILE), ("attention_picture", PICTURE_FILE)] {
            if self.path.join(path).exists() {
                all.push(self.file(name, path)?);
            }
        }
        for predictions in finished.evaluations.iter().map(|e| &e.predictions) {
            if !predictions.is_empty() {
                let names = &of.started.data.labels;
                self.write(PREDICTIONS_FILE, &predictions_file(predictions, names))?;
                all.push(self.file("test_predictions", PREDICTIONS_FILE)?);
            }
        }
        let vectorizer = finished.best_dir.join(ModelFile::Vectorizer.file_name());
        if self.path.join(&vectorizer).exists() {
            all.push(self.file("vectorizer", &vectorizer.to_string_lossy())?);
        }
        if self.path.join("config").join(ModelFile::HfConfig.file_name()).exists() {
            all.extend(self.complete(&finished.best_dir)?);
        }
        all.extend(self.write_papers(of, finished, ended, &all)?);
        Ok(all)
    }

    /// What training tells of itself, for programs and for people.
    fn write_papers(
        &self,
        of: &Results<'_>,
        finished: &TrainingResult,
        ended: &RunFinished,
        results: &[StoredFile],
    ) -> Result<Vec<StoredFile>> {
        let report = fs::read(self.path.join("config").join(REPORT_FILE)).unwrap_or_default();
        let report = serde_json::from_slice(&report).unwrap_or_default();
        let files = [&self.inputs()?[..], results].concat();
        let record = record(of, finished, ended, report, &files);
        self.write("results/training_info.json", &pretty(&training_info(&record)))?;
        self.write("results/model_card.md", model_card(&record, None).as_bytes())?;
        Ok(vec![
            self.file("training_info", "results/training_info.json")?,
            self.file("model_card", "results/model_card.md")?,
        ])
    }

    /// A file as it is on disk, to be kept as a blob.
    pub(in crate::app) fn file(&self, name: &str, path: &str) -> Result<StoredFile> {
        let full = confine::inside(&self.path, path)?;
        let read = fs::File::open(&full).and_then(|mut file| FileDigests::of_reader(&mut file));
        let (digests, bytes) =
            read.map_err(|e| Error::io(format!("read {}", full.display()), e))?;
        Ok(StoredFile::in_blobs(name, Some(path.to_owned()), digests, bytes))
    }
}

/// The labels, and what else a training knows of them.
fn labels_of(data: &Prepared) -> Value {
    let mut all = labels(&data.labels);
    let heads = data.heads.iter().map(|head| (head.name.clone(), json!(head.labels)));
    all.insert("multi_label".into(), json!(data.targets.is_multi()));
    all.insert("heads".into(), Value::Object(heads.collect()));
    Value::Object(all)
}

/// From which probability on a row has each label, where it may have any number of them.
fn thresholds(of: &Results<'_>, finished: &TrainingResult) -> Option<Value> {
    let decided = finished.evaluations.iter().find(|e| !e.thresholds.is_empty())?;
    let labels = of.started.data.labels.iter().zip(&decided.thresholds);
    Some(labels.map(|(label, threshold)| (label.clone(), json!(threshold))).collect())
}

/// What the papers of a run that has just ended are made from.
fn record<'a>(
    of: &'a Results<'_>,
    finished: &TrainingResult,
    ended: &'a RunFinished,
    report: Value,
    artifacts: &[StoredFile],
) -> Record<'a> {
    let mut measured = serde_json::Map::new();
    if let Some(baseline) = of.baseline {
        measured.insert(BASELINE.into(), json!(baseline));
    }
    if let Some(ms) = finished.inference_ms {
        measured.insert(INFERENCE_MS.into(), json!(ms));
    }
    Record {
        started: of.started,
        finished: Some(ended),
        provenance: Some(Provenance::Engine),
        trainer: of.trainer.to_owned(),
        began: None,
        seed: Some(of.started.seed),
        leaked_rows: Some(of.started.data.leaked_rows),
        synthetic: Some(of.started.data.synthetic.is_some()),
        report,
        measured,
        artifacts: artifacts.iter().map(|artifact| artifact.name.clone()).collect(),
    }
}
