//! Files whose bytes decide a result: what a model answers, and what a training goes on from. A
//! text in them is never replaced, because the model would answer differently from then on.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::runs::run_files::{decides, decides_in_model};
use crate::app::{Error, Result};
use crate::base::Digest;
use crate::domain::registry::{RegistryEvent, RegistryState, RegistryStream};
use crate::domain::run::{RunEvent, RunState, RunStream};
use crate::domain::{Decider as _, Event};
use crate::effect;
use crate::store::{Access, Filter, View};

/// Every such file that the log knows.
#[derive(Default)]
pub(super) struct DecidingFiles {
    /// By digest: of which run or model.
    digests: BTreeMap<Digest, String>,
    /// By path from the workspace.
    paths: BTreeMap<String, String>,
    /// Folders of runs, in which training checkpoints and weights are.
    folders: BTreeMap<String, String>,
}

impl DecidingFiles {
    /// Reads the log.
    pub(super) fn of<A: Access>(log: &View<A>) -> Result<Self> {
        let kinds = [
            RunEvent::STARTED,
            RunEvent::ARTIFACT_STORED,
            RunEvent::ARCHIVED,
            RunEvent::RESTORED,
            RunEvent::RELOCATED,
            RunEvent::DELETED,
            RegistryEvent::PROMOTED,
            RegistryEvent::RELOCATED,
        ];
        let filter = Filter::kinds(kinds);
        let mut runs: BTreeMap<[u8; 16], RunState> = BTreeMap::new();
        let mut registry = RegistryState::default();
        log.scan(0..log.size(), &filter, |envelope| {
            match envelope.event() {
                Ok(Event::Run(event)) => {
                    let state = runs.entry(envelope.header.stream.entity).or_default();
                    RunStream::evolve(state, &event, &envelope.header);
                }
                Ok(Event::Registry(
                    event @ (RegistryEvent::Promoted(_) | RegistryEvent::Relocated(_)),
                )) => RegistryStream::evolve(&mut registry, &event, &envelope.header),
                _ => {}
            }
            Ok::<_, Error>(())
        })?;
        let mut deciding = Self::default();
        for run in runs.values().filter(|run| !run.deleted) {
            let id = &run.experiment_id;
            for (name, artifact) in run.artifacts.iter().filter(|(name, _)| decides(name)) {
                let what = format!("{name} of run {id}");
                if let Some(path) = &artifact.path {
                    deciding.paths.insert(format!("{}/{path}", run.folder), what.clone());
                }
                deciding.digests.insert(artifact.digest, what);
            }
            deciding.folders.insert(format!("{}/", run.folder), format!("run {id}"));
        }
        for (name, versions) in &registry.models {
            for version in versions {
                let files = version.files.iter().filter(|file| decides_in_model(&file.path));
                for file in files {
                    let what = format!("{} of the production model {name}", file.path);
                    let path = format!("{}/{}", version.path, file.path);
                    deciding.paths.insert(path, what.clone());
                    deciding.digests.insert(file.digest, what);
                }
            }
        }
        Ok(deciding)
    }

    /// What a file decides: of which run or model it is which file; none where it decides nothing.
    pub(super) fn by_path(&self, path: &str) -> Option<String> {
        if let Some(what) = self.paths.get(path) {
            return Some(what.clone());
        }
        let mut around = self.folders.range(..=path.to_owned()).rev();
        let (folder, run) = around.find(|(folder, _)| path.starts_with(folder.as_str()))?;
        let inside = path.strip_prefix(folder.as_str())?;
        effect::is_weight_file(inside).then(|| format!("{inside} of {run}"))
    }

    /// As [`Self::by_path`], by the bytes.
    pub(super) fn by_digest(&self, digest: Digest) -> Option<&str> {
        self.digests.get(&digest).map(String::as_str)
    }
}

/// The files in which a text is that decide a result, by their paths.
pub(super) type DecidingHits = BTreeSet<(String, String)>;
