//! The edge: environment, current folder, terminal. Nothing else in annals reads them.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use super::format::Format;
use super::ui::Ui;
use crate::app::{Caller, ConfigDirs, Error, Result, Tracker, Warnings, Workspace, caller_folders};
use crate::base::mask::mask_words;
use crate::base::{Env, TimeSpan, Timestamp, failpoint};

/// Environment variables that change results, recorded with every run.
const RECORDED: [&str; 8] = [
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_CBWR",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
];

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
        let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let cwd = directory.map_or_else(|| here.clone(), |dir| here.join(dir));
        arm_failpoint();
        let warnings = Warnings::default();
        Self { ui: Ui::new(format, quiet), env: clock_and_chance(), cwd, warnings }
    }

    /// The workspace around the current folder.
    pub(super) fn workspace(&self) -> Result<Workspace> {
        let workspace = Workspace::open(&self.cwd, self.caller(), &self.dirs()?, self.env.clone())?
            .with_warnings(&self.warnings);
        if let Some(note) = workspace.record_location() {
            self.ui.warn(&note);
        }
        Ok(workspace)
    }

    /// The workspace around the current folder, where `dry_run` keeps every change out of it.
    pub(super) fn changing(&self, dry_run: bool) -> Result<Workspace> {
        let workspace = self.workspace()?.with_dry_run(dry_run);
        if dry_run {
            self.ui.notice("Dry run: this is what would happen; nothing is changed.");
        }
        Ok(workspace)
    }

    /// A copied log, for reading.
    pub(super) fn copied_log(&self, file: &Path) -> Result<Workspace> {
        let path = self.cwd.join(file);
        Workspace::open_log(&path, self.caller(), self.env.clone())
    }

    pub(super) fn caller(&self) -> Caller {
        let argv: Vec<String> = env::args().skip(1).collect();
        let named = |name: &&str| Some(((*name).to_owned(), text(name)?));
        Caller {
            actor: text("ANNALS_ACTOR").or_else(|| text("USER")).unwrap_or_else(user_id),
            host: text("ANNALS_HOST").unwrap_or_else(host),
            cwd: self.cwd.clone(),
            argv: mask_words(&argv),
            variables: RECORDED.iter().filter_map(named).collect::<BTreeMap<_, _>>(),
            folders: caller_folders().filter_map(|name| named(&name)).collect::<BTreeMap<_, _>>(),
        }
    }

    pub(super) fn dirs(&self) -> Result<ConfigDirs> {
        let home = || text("HOME").map(|home| PathBuf::from(home).join(".config"));
        let config = text("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home).ok_or_else(|| {
            Error::new(crate::app::ErrorKind::Usage, "there is no home folder to store keys in")
                .hint("set HOME or XDG_CONFIG_HOME")
        })?;
        Ok(ConfigDirs { keys: config.join("annals/keys") })
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
        text("VISUAL").or_else(|| text("EDITOR")).unwrap_or_else(|| "vi".into())
    }

    /// A program beside this one, else by name from PATH.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let beside = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name)));
        beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
    }
}

impl Tracker {
    /// The tracker of the workspace around `dir`, for the user that the environment names.
    ///
    /// # Errors
    /// When there is no workspace, or no home folder to find keys in.
    pub fn open(dir: &Path) -> Result<Self> {
        Ok(Self::new(Context::new(Format::Human, false, Some(dir)).workspace()?))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn user_id() -> String {
    format!("uid-{}", rustix::process::getuid().as_raw())
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// In builds for testing the program can be asked to die, or a write to fail, at one of its steps.
fn arm_failpoint() {
    if cfg!(debug_assertions)
        && let Some(calls) = text("ANNALS_TEST_FAIL_AT").and_then(|text| text.parse().ok())
    {
        failpoint::arm_failure(calls);
    }
    if cfg!(debug_assertions)
        && let Some(steps) = text("ANNALS_TEST_KILL_AT").and_then(|text| text.parse().ok())
    {
        failpoint::arm(steps);
    }
}

/// The system's; in builds for testing a fixed clock and seed can be asked for.
fn clock_and_chance() -> Env {
    if cfg!(debug_assertions)
        && let (Some(clock), Some(seed)) = (text("ANNALS_TEST_CLOCK"), text("ANNALS_TEST_SEED"))
        && let (Ok(start), Ok(seed)) = (clock.parse::<Timestamp>(), seed.parse())
    {
        return Env::fixed(start, seed);
    }
    Env::system()
}
