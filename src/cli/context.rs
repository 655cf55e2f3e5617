//! What a verb is given: the terminal, the clock, the workspace around the current folder.

use std::env;
use std::path::{Path, PathBuf};

use super::format::Format;
use super::ui::Ui;
use crate::app::{Caller, ConfigDirs, Error, Result, Warnings, Workspace};
use crate::base::{Env, TimeSpan, failpoint};
use crate::sdk::{self, variable};

/// What a verb gets from the edge.
pub(super) struct Context {
    pub(super) ui: Ui,
    pub(super) env: Env,
    pub(super) cwd: PathBuf,
    /// Of every workspace that was opened.
    pub(super) warnings: Warnings,
}

impl Context {
    pub(super) fn new(format: Format, quiet: bool, directory: Option<&Path>) -> Self {
        let here = sdk::working_dir();
        let cwd = directory.map_or_else(|| here.clone(), |dir| here.join(dir));
        arm_failpoint();
        let warnings = Warnings::default();
        Self { ui: Ui::new(format, quiet), env: sdk::clock(), cwd, warnings }
    }

    /// The workspace around the current folder, for a verb that only reads.
    pub(super) fn workspace(&self) -> Result<Workspace> {
        let workspace = self.any_workspace()?;
        if let Some(warning) = workspace.trust_warning()? {
            self.ui.warn(&warning);
        }
        self.note_location(&workspace);
        Ok(workspace)
    }

    /// The workspace around the current folder, whoever made it, without a word about it.
    pub(super) fn any_workspace(&self) -> Result<Workspace> {
        let workspace = Workspace::open(&self.cwd, self.caller(), &self.dirs()?, self.env.clone())?;
        Ok(workspace.with_warnings(&self.warnings))
    }

    /// The workspace around the current folder, for a verb that changes it.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`](crate::app::ErrorKind::Rejected) where a stranger made it.
    pub(super) fn trusted_workspace(&self) -> Result<Workspace> {
        let workspace = self.any_workspace()?;
        workspace.require_trust()?;
        self.note_location(&workspace);
        Ok(workspace)
    }

    fn note_location(&self, workspace: &Workspace) {
        if let Some(note) = workspace.record_location() {
            self.ui.warn(&note);
        }
    }

    /// [`Self::trusted_workspace`], where `dry_run` keeps every change out of it.
    pub(super) fn changing(&self, dry_run: bool) -> Result<Workspace> {
        let workspace = self.trusted_workspace()?.with_dry_run(dry_run);
        if dry_run {
            self.ui.notice("Dry run: this is what would happen; nothing is changed.");
        }
        Ok(workspace)
    }

    /// A copied log, for reading.
    pub(super) fn copied_log(&self, file: &Path) -> Result<Workspace> {
        let path = self.cwd.join(file);
        let workspace = Workspace::open_log(&path, self.caller(), self.env.clone())?;
        Ok(workspace.with_warnings(&self.warnings))
    }

    pub(super) fn caller(&self) -> Caller {
        sdk::caller(self.cwd.clone())
    }

    #[expect(clippy::unused_self, reason = "the environment is asked through the context")]
    pub(super) fn dirs(&self) -> Result<ConfigDirs> {
        sdk::config_dirs()
    }

    /// What a time in the words of the user means.
    pub(super) fn time(&self, option: &str, text: &str) -> Result<TimeSpan> {
        TimeSpan::parse(text, self.env.now()).map_err(|e| {
            Error::new(crate::app::ErrorKind::Usage, format!("{option} {text}: {e}"))
                .hint("for example 2026-11-01, \"2026-11-01 18:50\", yesterday, \"2 weeks\" or 30d")
        })
    }

    /// What opens a text for the user.
    #[expect(clippy::unused_self, reason = "the environment is asked through the context")]
    pub(super) fn editor(&self) -> String {
        variable("VISUAL").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".into())
    }

    /// A program beside this one, else by name from PATH.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let beside = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
        beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
    }
}

/// In builds for testing the program can be asked to die, or a write to fail, at one of its steps.
fn arm_failpoint() {
    if cfg!(debug_assertions)
        && let Some(calls) = variable("ANNALS_TEST_FAIL_AT").and_then(|text| text.parse().ok())
    {
        failpoint::arm_failure(calls);
    }
    if cfg!(debug_assertions)
        && let Some(steps) = variable("ANNALS_TEST_KILL_AT").and_then(|text| text.parse().ok())
    {
        failpoint::arm(steps);
    }
}
