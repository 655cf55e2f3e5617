//! The files of a model: where they are, and that they are the ones that were recorded.

use std::fs;
use std::path::{Path, PathBuf};

use super::model::Model;
use crate::app::core::environment;
use crate::app::runs::run_files::{Location, RunFiles, decides, files_of_details};
use crate::app::runs::train::ensemble;
use crate::app::{Error, ErrorKind, Named, Programs, Result, Workspace, models, runs};
use crate::base::confine;
use crate::effect;
use crate::model::config::TrainConfig;
use crate::model::{Known, Labels, ModelFile, ModelFiles};
use crate::projection::registry::ModelRow;
use crate::train::protocol::ScoreSpec;

/// What an engine needs to load a model of `labels` from `folder`.
pub(super) fn spec(
    labels: &Labels,
    rows: (u32, u32),
    config: TrainConfig,
    folder: &Path,
) -> ScoreSpec {
    ScoreSpec {
        labels: labels.classes.clone(),
        multi_label: labels.multi_label,
        vocab_size: rows.0,
        concepts: rows.1,
        config,
        dir: folder.to_owned(),
        device: "cpu".into(),
        threads: environment::cpus(),
    }
}

/// Loads what `text` names: a model in production, or a run.
///
/// # Errors
/// When there is no such model, it has no weights, or a file is not the one that was recorded.
pub fn model(workspace: &Workspace, text: &str, programs: &Programs) -> Result<Model> {
    let views = workspace.snapshot()?;
    let run = match workspace.find_named(&views, text)? {
        Named::Run(run) => run,
        Named::Version(model) => {
            let production = workspace.registry()?.production()?;
            let current = production.into_iter().find(|m| m.name == model.name);
            let is_current = current.is_some_and(|current| current.number == model.number);
            if is_current {
                return model_in_production(workspace, &model, programs);
            }
            // A name or an alias means what is in production; a version means that version.
            if !text.contains('@') {
                let message = format!(
                    "{text} points at version {} of {}, which is not in production",
                    model.number, model.name
                );
                return Err(Error::new(ErrorKind::Rejected, message)
                    .hint(format!("`annals rollback {} --to {}`", model.name, model.number)));
            }
            model.run()
        }
    };
    // What is loaded and executed follows from the log alone.
    let details = workspace
        .snapshot_of(&[run.into()])?
        .run(run)?
        .ok_or_else(|| Error::new(ErrorKind::Bug, format!("BUG: run {run} is in no event")))?;
    let place = RunFiles::of_details(&details, runs::redacted_files(workspace)?);
    let recorded = files_of_details(&details);
    runs::model_available(workspace, &place, &recorded)?;
    let mut files = ModelFiles::of(details.experiment_id.clone());
    let (mut list, mut of_members) = (None, Vec::new());
    for file in recorded.into_iter().filter(|file| decides(file.name)) {
        let path = match runs::locate(workspace, &place, file)? {
            Location::Folder(path) => path,
            // Weights are loaded from a folder that holds everything they are loaded with.
            Location::Blob if !effect::is_weight_file(file.path) => {
                workspace.blobs.path(file.digest)
            }
            Location::Blob | Location::Pack(_) => {
                let id = &files.name;
                let message = match place.was_dropped(file.path) {
                    true => format!("{} when it was archived", file.not_kept(id)),
                    false => format!("{} of {id} is not in its folder", file.path),
                };
                return Err(Error::new(ErrorKind::Rejected, message).hint(format!(
                    "`annals restore {id}` brings it back from the archive and the blob store"
                )));
            }
        };
        let known = (path, Some(file.digest));
        match ModelFile::of_artifact(file.name) {
            Some(ModelFile::Ensemble) => list = Some(known),
            Some(of_model) => files.insert(of_model, known),
            None => of_members.push((file.name.to_owned(), known)),
        }
    }
    if let Some(list) = list {
        return Model::ensemble(files.name, &list, &of_members, programs);
    }
    if files.get(ModelFile::Weights).is_none() {
        let status = workspace.status_now(details.status, None)?.word();
        let message = format!("{} is {status} and has no weights", files.name);
        return Err(Error::new(ErrorKind::Rejected, message));
    }
    Model::load(files, programs)
}

fn model_in_production(
    workspace: &Workspace,
    model: &ModelRow,
    programs: &Programs,
) -> Result<Model> {
    // Damage is looked for only where loading failed: that reads every file. Behind a link
    // `repair` does not write, and the error names the link.
    load_in_production(workspace, model, programs).map_err(|error| {
        let reachable = confine::parent_inside(&workspace.root, &model.path).is_ok();
        match models::damaged_model(workspace, model).into_iter().next() {
            Some(damage) if reachable => error.hint(damage.advice),
            _ => error,
        }
    })
}

fn load_in_production(
    workspace: &Workspace,
    model: &ModelRow,
    programs: &Programs,
) -> Result<Model> {
    let (mut list, mut of_members) = (None, Vec::new());
    let mut files = ModelFiles::of(model.name.clone());
    for (path, digest, ..) in &model.files {
        let known = (workspace.inside_folder(&model.path, path)?, digest.parse().ok());
        if path == ensemble::MANIFEST {
            list = Some(known);
        } else if ensemble::is_of_member(path) {
            of_members.push((path.clone(), known));
        } else if let Some(file) = ModelFile::of_file_name(path) {
            files.insert(file, known);
        }
    }
    match list {
        Some(list) => Model::ensemble(files.name, &list, &of_members, programs),
        None => Model::load(files, programs),
    }
}

/// The files of members below a folder, by their paths in it.
pub(super) fn members_in(folder: &Path) -> Result<Vec<(String, Known)>> {
    let unreadable = |path: &Path| {
        let message = format!("cannot read {}", path.display());
        move |e| Error::caused(ErrorKind::Data, message, e)
    };
    let within = |path: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path).map_err(unreadable(path))?;
        entries.map(|entry| Ok(entry.map_err(unreadable(path))?.path())).collect()
    };
    let mut found = Vec::new();
    for member in within(&folder.join("members"))? {
        for file in within(&member)? {
            let path = file.strip_prefix(folder).unwrap_or(&file);
            found.push((path.to_string_lossy().into_owned(), (file.clone(), None)));
        }
    }
    Ok(found)
}
