//! How a run of another trainer begins.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::parameter::Parameter;
use super::settings_file;
use crate::app::NewRun;
use crate::app::core::draft::Draft;
use crate::app::core::environment::{Code, EngineFacts};
use crate::app::core::session::Tx;
use crate::app::runs::train::{PlannedRun, RunFolder};
use crate::app::{Error, ErrorKind, Result, Workspace, fold_policy};
use crate::base::mask::{mask_setting, mask_text};
use crate::base::{Digest, FileDigests, RunId, Split};
use crate::domain::run::{
    Category, DataFile, DataRecord, RunCommand, RunEdit, RunFacts, RunStart, RunState, RunStream,
    SCRIPT_SPLIT_RULE, SplitRows, StoredFile, Synthetic, Unstated,
};
use crate::domain::{Name, Provenance};

/// What is said of a run when it begins.
#[derive(Clone, Debug, Default)]
pub struct StartRun {
    /// The experiment's name.
    pub name: String,
    /// What the run is for.
    pub description: String,
    /// Words for finding it.
    pub tags: Vec<String>,
    /// Chosen category; by the words of name and tags where none is given.
    pub category: Option<Category>,
    /// A file of settings, YAML or JSON; kept with the run.
    pub config: Option<PathBuf>,
    /// Settings by dotted key.
    pub parameters: BTreeMap<String, Parameter>,
    /// Everything random follows from it, as far as the script says so.
    pub seed: Option<u64>,
    /// Data files, recorded by digest.
    pub data: Vec<PathBuf>,
    /// Whether the data was generated, where that is known.
    pub synthetic: Option<bool>,
    /// The labels, in the order of the model's outputs.
    pub labels: Vec<String>,
    /// Rows of each split.
    pub rows: Vec<(Split, u64)>,
    /// Valid and test rows that also stand in the training rows, where that is known.
    pub leaked_rows: Option<u64>,
    /// Where it computes.
    pub device: Option<String>,
    /// The program that trains.
    pub trainer: Option<String>,
}

/// A run that began.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StartedRun {
    /// Its id.
    pub run: RunId,
    /// Its unique name.
    pub experiment_id: String,
    /// Its folder.
    pub folder: PathBuf,
}

/// Everything about the start that is read before anything is written.
pub(super) struct Prepared {
    name: Name,
    parameters: BTreeMap<String, String>,
    pub(super) config_name: String,
    /// Name and bytes of the file of settings.
    config: (String, Vec<u8>),
    data: DataRecord,
    environment: crate::domain::run::Environment,
    code: Code,
}

/// Begins a run that a script reports on; durable when it returns.
///
/// # Errors
/// [`ErrorKind::Data`] for a bad file of settings, [`ErrorKind::Usage`] for a bad name;
/// nothing is then recorded.
pub fn start_run(workspace: &Workspace, start: &StartRun) -> Result<StartedRun> {
    workspace.require_trust()?;
    let prepared = prepare_start(workspace, start)?;
    workspace.may_begin("run start")?;
    let begins = NewRun {
        name: prepared.name.as_str(),
        model: &prepared.config_name,
        began: workspace.env.now(),
    };
    let folder = RunFolder::create(workspace, &begins)?;
    let begun = workspace.decide("run start", |tx| {
        record_external_start(workspace, tx, start, &prepared, &folder, Provenance::Reported)
    });
    folder.note_start(&begun);
    let state = begun.inspect_err(|_| folder.discard())?;
    workspace.refresh()?;
    let run = state.id.ok_or_else(no_id)?;
    Ok(StartedRun { run, experiment_id: folder.experiment_id.clone(), folder: folder.path.clone() })
}

/// The run that `start_run` or `exec` would begin.
///
/// # Errors
/// As [`start_run`].
pub fn plan_start(workspace: &Workspace, start: &StartRun) -> Result<PlannedRun> {
    let prepared = prepare_start(workspace, start)?;
    workspace.may_begin("run start")?;
    let mut plan = PlannedRun::new(prepared.name.as_str(), &prepared.config_name);
    plan.seed = start.seed;
    plan.device.clone_from(&start.device);
    plan.labels.clone_from(&start.labels);
    plan.rows.clone_from(&start.rows);
    Ok(plan)
}

pub(super) fn prepare_start(workspace: &Workspace, start: &StartRun) -> Result<Prepared> {
    let name = Name::new(&start.name)?;
    let mut parameters = BTreeMap::new();
    let mut given = None;
    if let Some(path) = &start.config {
        let bytes = fs::read(path).map_err(|e| Error::io(format!("read {}", path.display()), e))?;
        parameters = settings_file::parameters(path, &bytes)?;
        let extension = path.extension().map(|e| e.to_string_lossy().into_owned());
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let extension = extension.unwrap_or_else(|| "txt".into());
        // What is kept is for ever; a file of settings often has a password or a token in it.
        let kept = mask_text(&String::from_utf8_lossy(&bytes)).into_bytes();
        given = Some((stem.unwrap_or_default(), format!("config.{extension}"), kept));
    }
    let given_one_by_one = start.parameters.iter();
    parameters.extend(given_one_by_one.map(|(key, value)| (key.clone(), value.json().to_owned())));
    for (name, value) in &mut parameters {
        *value = mask_setting(name, value);
    }
    let (config_name, file, bytes) = match given {
        Some(given) => given,
        None => {
            let bytes = serde_json::to_vec_pretty(&parameters).unwrap_or_default();
            (name.to_string(), "config.json".into(), bytes)
        }
    };
    let (environment, code) = workspace.environment(EngineFacts {
        libtorch: None,
        // Both are the script's, and not stated unless it states them.
        threads: 0,
        device: start.device.as_deref().unwrap_or_default(),
        accelerators: vec![],
    });
    let (data, config) = (data_record(start)?, (file, bytes));
    Ok(Prepared { name, parameters, config_name, config, data, environment, code })
}

/// The run's start, its category and its settings, in the caller's transaction.
pub(super) fn record_external_start(
    workspace: &Workspace,
    tx: &mut Tx<'_, '_>,
    start: &StartRun,
    prepared: &Prepared,
    folder: &RunFolder,
    provenance: Provenance,
) -> Result<RunState> {
    let file = folder.settings_file(&prepared.config.0);
    folder.write(&file, &prepared.config.1)?;
    workspace.blobs.put(&prepared.config.1)?;
    let config = folder.file("config", &file)?;
    let begin = RunStart {
        run: RunId(workspace.env.random()),
        name: prepared.name.to_string(),
        experiment_id: folder.experiment_id.clone(),
        folder: workspace.relative(&folder.path),
        description: start.description.clone(),
        tags: start.tags.clone(),
        config_name: prepared.config_name.clone(),
        config: config.digest,
        parameters: prepared.parameters.clone(),
        seed: start.seed.unwrap_or(0),
        data: prepared.data.clone(),
        environment: prepared.environment.clone(),
        trainer: start.trainer.clone().unwrap_or_else(|| "not named".into()),
        unstated: unstated(start),
    };
    let run = begin.run;
    let mut stored = vec![config];
    if let Some(diff) = &prepared.code.diff {
        let digests = workspace.blobs.put(diff.as_bytes())?;
        stored.push(StoredFile::in_blobs("diff", None, digests, diff.len() as u64));
    }
    let policy = fold_policy(tx.log())?;
    let facts = RunFacts::new(&policy, provenance).told_by(tx.teller());
    let mut commands = vec![RunCommand::Start(Box::new(begin), start.category)];
    commands.extend(stored.into_iter().map(RunCommand::StoreArtifact));
    let mut record = Draft::<RunStream>::read(tx.log(), run)?;
    for command in commands {
        record.decide(command, &facts)?;
    }
    if let Some(text) = prepared.code.unknown.clone() {
        record.decide(RunCommand::Edit(RunEdit::Note(text)), &facts)?;
    }
    tx.append(&mut record)?;
    Ok(record.into_state())
}

pub(super) fn no_id() -> Error {
    Error::new(ErrorKind::Bug, "BUG: a run that began has no id")
}

/// The facts that nobody stated.
fn unstated(start: &StartRun) -> BTreeSet<Unstated> {
    let facts = [
        (Unstated::Seed, start.seed.is_none()),
        (Unstated::DataOrigin, start.synthetic.is_none()),
        (Unstated::LeakedRows, start.leaked_rows.is_none()),
    ];
    facts.into_iter().filter(|(_, unknown)| *unknown).map(|(fact, _)| fact).collect()
}

fn data_record(start: &StartRun) -> Result<DataRecord> {
    let mut files = Vec::new();
    for path in &start.data {
        let read = fs::File::open(path).and_then(|mut file| FileDigests::of_reader(&mut file));
        let (digests, bytes) =
            read.map_err(|e| Error::io(format!("read {}", path.display()), e))?;
        files.push(DataFile {
            path: path.display().to_string(),
            digest: digests.blake3,
            sha256: Some(digests.sha256),
            bytes,
            // Its rows are the script's business: annals read none.
            rows: 0,
        });
    }
    let digests: String = files.iter().map(|file| format!("{}\n", file.digest)).collect();
    let rows: u64 = start.rows.iter().map(|(_, rows)| rows).sum();
    let splits = start.rows.iter();
    Ok(DataRecord {
        files,
        synthetic: start.synthetic.unwrap_or(false).then(|| Synthetic {
            generator: "the script's own".into(),
            rows,
            seed: start.seed.unwrap_or(0),
        }),
        labels: start.labels.clone(),
        split_rule: SCRIPT_SPLIT_RULE.into(),
        splits: splits
            .map(|(split, rows)| SplitRows { split: *split, rows: *rows, per_label: vec![] })
            .collect(),
        leaked_rows: start.leaked_rows.unwrap_or(0),
        prepared: Digest::of(digests.as_bytes()),
    })
}
