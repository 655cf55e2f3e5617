//! After a change: views and registry files follow the log.

use std::fmt::Write as _;

use crate::app::{Error, ErrorKind, Layout, Result, Workspace};
use crate::domain::StreamId;
use crate::projection::files::{Edited, Exporter, Regenerated};
use crate::projection::{Snapshot, ViewError, Views, ViewsKey};

/// The warning about stored views that another program changed.
pub(in crate::app) const CHANGED_VIEWS: &str =
    ".annals/views.redb was changed by something other than annals";

impl From<ViewError> for Error {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Log(error) => error.into(),
            ViewError::Row { .. } => Self::new(ErrorKind::Io, error.to_string()),
            ViewError::Database(_) | ViewError::Io { .. } => {
                let message = error.to_string();
                let hint = "the log is not affected; `annals replay` rebuilds views and files";
                match std::error::Error::source(&error) {
                    Some(source) => Self::caused(
                        ErrorKind::Io,
                        message,
                        std::io::Error::other(source.to_string()),
                    ),
                    None => Self::new(ErrorKind::Io, message),
                }
                .hint(hint)
            }
        }
    }
}

impl Workspace {
    /// The views of this workspace; of a copied log, and of one that is not trusted, those that
    /// are folded in memory.
    pub fn views(&self) -> Views {
        if self.scope.alone || !self.has_usable_views() {
            return Views::in_memory();
        }
        let read = || self.key_ring().views_secret().map(|secret| ViewsKey::new(&secret));
        let key = self.views_key.get().cloned().or_else(read);
        if let Some(key) = &key {
            let _ = self.views_key.set(key.clone());
        }
        Views::new(&self.annals_dir(), key)
    }

    /// [`Self::views`], to be written: makes the user's secret that proves them if there is none.
    ///
    /// # Errors
    /// When the secret cannot be stored.
    pub(in crate::app) fn writable_views(&self) -> Result<Views> {
        if !self.scope.alone && self.views_key.get().is_none() {
            let secret = self.key_ring().make_views_secret()?;
            let _ = self.views_key.set(ViewsKey::new(&secret));
        }
        Ok(self.views())
    }

    /// Removes views whose pages are damaged, and says whether they were.
    pub fn drop_damaged_views(&self) -> bool {
        self.views().drop_damaged()
    }

    /// The registry files of this workspace.
    pub fn exporter(&self) -> Exporter {
        self.exporter_in(&self.layout)
    }

    fn exporter_in(&self, layout: &Layout) -> Exporter {
        Exporter::new(&self.root, &self.annals_dir(), &self.blobs, layout.guide())
    }

    /// The views as of now, or as of what this looks back to.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        match self.scope.size {
            Some(size) => Ok(self.views().as_of(&self.store, size)?),
            None => Ok(self.views().read(&self.store)?),
        }
    }

    /// [`Self::snapshot`] for decisions about many runs: of stored views every row is read and has
    /// to fit their proof, else the log is folded.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(in crate::app) fn summed_snapshot(&self) -> Result<Snapshot> {
        match self.scope.size {
            Some(size) => Ok(self.views().summed().as_of(&self.store, size)?),
            None => Ok(self.views().summed().read(&self.store)?),
        }
    }

    /// What `streams` alone add up to, read from the log: for decisions about what they are of.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(in crate::app) fn snapshot_of(&self, streams: &[StreamId]) -> Result<Snapshot> {
        let size = |now: u64| self.scope.size.map_or(now, |size| size.min(now));
        Ok(self.store.read(|log| Snapshot::of_streams(log, size(log.size()), streams))?)
    }

    /// Brings views and registry files up to date. Which files somebody had edited is a warning,
    /// and so is that files cannot be written: what was decided is in the log all the same.
    ///
    /// # Errors
    /// When the log is damaged.
    pub fn refresh(&self) -> Result<()> {
        self.refresh_in(&self.layout)
    }

    /// [`Self::refresh`] where the workspace has another layout by now.
    pub(in crate::app) fn refresh_in(&self, layout: &Layout) -> Result<()> {
        if self.dry_run {
            return Ok(());
        }
        self.require_trust()?;
        let refreshed = || -> Result<Regenerated> {
            if self.writable_views()?.update(&self.store)? {
                self.warnings.push(format!(
                    "{CHANGED_VIEWS}; the views were rebuilt from the log, and no data was lost"
                ));
            }
            let snapshot = self.snapshot()?;
            Ok(self.exporter_in(layout).regenerate(&snapshot, &self.settings.project)?)
        };
        match refreshed() {
            Ok(files) => self.tell_edits(&files),
            Err(error) if error.kind == ErrorKind::Io => {
                let mut text = format!("what was decided is recorded, but {error}");
                let mut cause = std::error::Error::source(&error);
                while let Some(source) = cause {
                    let _ = write!(text, ": {source}");
                    cause = source.source();
                }
                text.push_str(
                    "; views and registry files follow with the next change, or `annals replay`",
                );
                self.warnings.push(text);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Warns of registry files that somebody had edited, and says what does the same.
    pub(in crate::app) fn tell_edits(&self, files: &Regenerated) {
        for (file, why) in &files.unwritten {
            self.warnings.push(format!("{file} was not written: {why}"));
        }
        for edited in &files.edited {
            let Edited { file, kept_as, instead } = edited;
            let mut text = format!("{file} was edited by hand; the edit is stored in {kept_as}");
            for (key, value) in instead {
                let _ = write!(text, "\n  to change this rule: annals policy set {key} '{value}'");
            }
            self.warnings.push(text);
        }
    }

    /// [`Self::refresh`] after an invocation that may have failed: what it recorded on the way,
    /// such as a move that was rolled back, is in the files all the same.
    pub(in crate::app) fn refreshed<T>(&self, ended: Result<T>) -> Result<T> {
        let refreshed = self.refresh();
        let ended = ended?;
        refreshed?;
        Ok(ended)
    }

    pub(in crate::app) fn annals_dir(&self) -> std::path::PathBuf {
        self.root.join(".annals")
    }
}
