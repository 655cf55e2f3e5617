//! Where the log says that runs lie, against the folders that are there.

use std::collections::BTreeSet;
use std::fs;

use crate::app::{Error, Finding, Result, Workspace, runs};
use crate::domain::run::Archive;
use crate::effect;
use crate::projection::Snapshot;

/// Runs whose folder is missing, and folders among the runs' that belong to no run.
pub(in crate::app) fn misplaced(workspace: &Workspace, views: &Snapshot) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut runs = views.run_details()?;
    runs.retain(|run| run.deleted.is_none());
    let known: BTreeSet<&str> = runs.iter().map(|run| run.folder.as_str()).collect();
    for run in &runs {
        if !workspace.inside(&run.folder).is_ok_and(|folder| folder.is_dir()) {
            findings.push(Finding {
                what: format!("{} of run {} is missing", run.folder, run.experiment_id),
                advice: "its model is in the blob store under the digest in the log".into(),
            });
        }
    }
    // One that is just beginning, or on its way, is not in the log yet.
    if workspace.live.any_alive() {
        return Ok(findings);
    }
    let (_, policy) = views.policy()?;
    let experiments = &workspace.layout.experiments;
    let archives = [Archive::Debug, Archive::Baseline, Archive::Archived];
    let archives: BTreeSet<String> = archives
        .iter()
        .map(|archive| workspace.layout.archive(*archive, &policy))
        .chain(known.iter().filter_map(|folder| Some(folder.rsplit_once('/')?.0.to_owned())))
        .collect();
    for parent in archives.iter().chain([experiments]).collect::<BTreeSet<_>>() {
        for folder in folders_in(workspace, parent)? {
            if !known.contains(folder.as_str()) && !archives.contains(&folder) {
                findings.push(Finding {
                    what: format!("{folder} belongs to no run"),
                    advice: advice_on_stranger(workspace, &folder),
                });
            }
        }
    }
    Ok(findings)
}

/// What to do about a folder that no run names.
fn advice_on_stranger(workspace: &Workspace, folder: &str) -> String {
    let name = folder.rsplit('/').next().unwrap_or(folder);
    if runs::has_claim(workspace, name) {
        return "a run that never began left it; the next changing verb removes it".into();
    }
    let size = effect::size(&workspace.root, folder);
    if size.state.is_none() && size.odd.is_none() {
        return format!("it holds no file: `find {folder} -type d -empty -delete` removes it");
    }
    "look into it; annals leaves alone what it did not make".into()
}

fn folders_in(workspace: &Workspace, parent: &str) -> Result<Vec<String>> {
    // One that is elsewhere is reported for its runs.
    let Ok(path) = workspace.inside(parent) else { return Ok(vec![]) };
    let failed = |e| Error::io(format!("read {}", path.display()), e);
    let entries = match fs::read_dir(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(failed)?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push(format!("{parent}/{}", entry.file_name().to_string_lossy()));
        }
    }
    folders.sort();
    Ok(folders)
}
