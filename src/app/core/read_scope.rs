//! Where an answer is read from: the workspace as it is, a copied log that stands alone, or either
//! of them as it was.

use std::path::{Path, PathBuf};

use crate::app::{
    Caller, ConfigDirs, Error, ErrorKind, Layout, Paths, Result, Settings, Workspace, records,
};
use crate::base::Env;
use crate::domain::workspace::{LayoutKind, WorkspaceEvent};
use crate::domain::{Event, StreamId};
use crate::store::{Lost, Reader, Store, StoreError};

/// What an [`Workspace`] looks through.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::app) struct ReadScope {
    /// A copied log: no workspace, no views on disk, nobody alive.
    pub(in crate::app) alone: bool,
    /// The size that answers are asked for; none for the log as it is.
    pub(in crate::app) size: Option<u64>,
}

impl Workspace {
    /// A copied log, for reading: without its workspace, without keys, past what is damaged
    /// ([`Self::lost`]).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no file; [`ErrorKind::Integrity`] when it is no log.
    pub fn open_log(path: &Path, caller: Caller, env: Env) -> Result<Self> {
        let store = Store::open_file(path, env.clone()).map_err(|_| {
            let message = format!("there is no log {}", path.display());
            Error::new(ErrorKind::NotFound, message)
                .hint("`annals log copy FILE` in a workspace makes a copy")
        })?;
        store.read(|log| Ok::<_, Error>(log.size()))?;
        // Asked before damage is read past: a lost name of the project spoils no other answer.
        let project = store.read(|log| Ok::<_, Error>(created(log)?)).unwrap_or_default();
        let store = store.tolerate_damage();
        let settings = Settings { project, layout: LayoutKind::default(), paths: Paths::default() };
        let layout = Layout::new(settings.layout);
        let dirs = ConfigDirs { keys: PathBuf::new() };
        let root = path.parent().unwrap_or(Path::new(".")).to_owned();
        let mut workspace = Self::with(root, (settings, layout), store, caller, &dirs, env);
        workspace.scope.alone = true;
        Ok(workspace)
    }

    /// The same, as it was at a time or right after a position. Only for reading.
    ///
    /// # Errors
    /// As `size_as_of`.
    pub fn at(mut self, as_of: &str) -> Result<Self> {
        self.scope.size = Some(records::size_as_of(&self, as_of)?);
        Ok(self)
    }

    /// Whether answers are not about what is alive on this machine now.
    pub(in crate::app) fn looks_back(&self) -> bool {
        self.scope.alone || self.scope.size.is_some()
    }

    /// Whether this is a copied log, without the files of its workspace.
    pub(in crate::app) fn is_copied_log(&self) -> bool {
        self.scope.alone
    }

    /// What had to be left out of the answers so far, because it is damaged.
    pub fn lost(&self) -> Vec<Lost> {
        self.store.lost()
    }
}

/// The project's name, from the event that made the log.
fn created(log: &Reader) -> Result<String, StoreError> {
    let events = log.stream(StreamId::WORKSPACE, 0)?;
    let name = events.iter().find_map(|event| match event.event() {
        Ok(Event::Workspace(WorkspaceEvent::Created(created))) => Some(created.project),
        _ => None,
    });
    Ok(name.unwrap_or_default())
}
