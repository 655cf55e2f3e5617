//! The workspace: `annals.toml` with paths and preferences, `.annals/` with the log, and who is
//! calling.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::app::core::error::LOST_LOG;
use crate::app::core::read_scope::ReadScope;
use crate::app::core::trust::TrustCell;
use crate::app::workspace::actors::{KnownKey, keys};
use crate::app::workspace::gitignore;
use crate::app::workspace::layout::{FOLDER_VARIABLES, Layout, Paths};
use crate::app::workspace::snapshot::PYTHON_VARIABLES;
use crate::app::{Error, ErrorKind, GitIgnore, LiveFiles, Result, fold_workspace};
use crate::base::{Env, LogId, confine, durable};
use crate::domain::invocation::InvocationEvent;
use crate::domain::policy::{PolicyCommand, PolicyFacts, PolicyStream};
use crate::domain::workspace::{
    LayoutKind, WorkspaceCommand, WorkspaceEvent, WorkspaceState, WorkspaceStream,
};
use crate::domain::{Decider as _, Name};
use crate::projection::ViewsKey;
use crate::store::{Blobs, Filter, KeyRing, Reader, Store, StoreError};
use crate::tlog::NoteSigner;

/// The file that marks a workspace.
pub(in crate::app) const SETTINGS_FILE: &str = "annals.toml";

/// Who calls, and how: handed in from the edge.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user's name.
    pub actor: String,
    /// Name of the machine.
    pub host: String,
    /// The current folder.
    pub cwd: PathBuf,
    /// The words of the command line after the program's name, secrets masked.
    pub argv: Vec<String>,
    /// Environment variables that change results, from a fixed list.
    pub variables: BTreeMap<String, String>,
    /// Environment variables that name folders, see [`caller_folders`].
    pub folders: BTreeMap<String, String>,
}

/// Environment variables that name folders: those of a layout, and of a Python environment.
pub fn caller_folders() -> impl Iterator<Item = &'static str> {
    FOLDER_VARIABLES.into_iter().chain(PYTHON_VARIABLES)
}

/// Folders of the user, outside every workspace.
#[derive(Clone, Debug)]
pub struct ConfigDirs {
    /// Where private keys live.
    pub keys: PathBuf,
}

/// `annals.toml`: paths and preferences only; policy lives in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The project's name.
    pub project: String,
    /// Where things lie.
    #[serde(default, skip_serializing_if = "is_default")]
    pub layout: LayoutKind,
    /// Folders that are elsewhere than the layout has them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paths: Paths,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Warnings about what a use case did, besides its answer. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Adds one, once.
    pub fn push(&self, text: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&text) {
            all.push(text);
        }
    }

    /// Hands them out.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A key that signs log checkpoints, and where the log has it if it signs events too.
pub(in crate::app) type ChangeSigner = (Option<u64>, NoteSigner);

/// One workspace, opened for one caller.
#[derive(Debug)]
pub struct Workspace {
    /// The workspace's folder.
    pub(in crate::app) root: PathBuf,
    /// Paths and preferences.
    pub(in crate::app) settings: Settings,
    /// Where things lie.
    pub(in crate::app) layout: Layout,
    /// The log.
    pub(in crate::app) store: Store,
    /// Content-addressed files.
    pub(in crate::app) blobs: Blobs,
    /// Which invocations are alive.
    pub(in crate::app) live: LiveFiles,
    /// Injected clock and randomness.
    pub(in crate::app) env: Env,
    /// Who calls.
    pub(in crate::app) caller: Caller,
    /// What the user is to be warned of once the verb has ended.
    pub(in crate::app) warnings: Warnings,
    /// Whether decisions are made and shown but nothing is written (`--dry-run`).
    pub(in crate::app) dry_run: bool,
    keys: KeyRing,
    /// What proves the stored views, once it was read.
    pub(in crate::app) views_key: OnceLock<ViewsKey>,
    /// Set once recovery has listed the blobs: a process that records for hours does it once.
    pub(in crate::app) blobs_listed: OnceLock<()>,
    pub(in crate::app) scope: ReadScope,
    /// Whether this user trusts the log, once it was read.
    pub(in crate::app) trust: TrustCell,
}

/// How many commands changed something, as far as two.
fn invocations(log: &Reader) -> Result<usize, StoreError> {
    let started = Filter::kinds([InvocationEvent::STARTED]);
    let mut count = 0;
    log.scan(0..log.size(), &started, |_| {
        count = 2.min(count + 1);
        Ok::<_, StoreError>(())
    })?;
    Ok(count)
}

/// A workspace without its log, or without its settings, was damaged: it is not there to be made.
fn refuse_lost_log(root: &Path) -> Result<()> {
    let log = root.join(".annals/log.redb");
    match fs::metadata(&log) {
        Ok(meta) if meta.is_file() && meta.len() > 0 => {}
        Ok(meta) if meta.is_file() => return Err(StoreError::Empty { path: log }.into()),
        _ => {
            let message = format!(
                "{} is missing, and {} was in use: its events are lost",
                log.display(),
                root.display()
            );
            return Err(Error::new(ErrorKind::Integrity, message).hint(LOST_LOG));
        }
    }
    if root.join(SETTINGS_FILE).is_file() { Ok(()) } else { Err(lost_settings(root)) }
}

fn lost_settings(root: &Path) -> Error {
    let message = format!(
        "{} is missing, and {} is in use: the project's name, the layout and the paths are unknown",
        root.join(SETTINGS_FILE).display(),
        root.display()
    );
    Error::new(ErrorKind::Integrity, message).hint(format!(
        "restore {SETTINGS_FILE} from a copy or from version control; until then `annals log --log \
         .annals/log.redb` reads the log"
    ))
}

/// A workspace that would be made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WorkspacePlanned {
    /// Its folder.
    pub workspace: PathBuf,
    /// The project's name.
    pub project: String,
    /// The folder of the active runs.
    pub experiments: String,
    /// The folder of the production models.
    pub production: String,
    /// Always true.
    pub dry_run: bool,
}

/// A workspace that was made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WorkspaceMade {
    /// The project's name.
    pub project: String,
    /// Its folder.
    pub workspace: PathBuf,
    /// Its layout.
    pub layout: LayoutKind,
    /// What was done about `.gitignore`: `written`, `extended`, `sufficient` or `not changed`.
    pub gitignore: &'static str,
    /// The lines that were added, or that are missing.
    pub gitignore_lines: Vec<String>,
}

impl WorkspaceMade {
    /// The answer of `init`.
    pub fn new(project: String, workspace: PathBuf, layout: LayoutKind, git: &GitIgnore) -> Self {
        let (gitignore, lines) = match git {
            GitIgnore::Written => ("written", &[][..]),
            GitIgnore::Added(lines) => ("extended", &lines[..]),
            GitIgnore::Enough => ("sufficient", &[][..]),
            GitIgnore::Advised(lines) => ("not changed", &lines[..]),
        };
        Self { project, workspace, layout, gitignore, gitignore_lines: lines.to_vec() }
    }
}

impl Workspace {
    /// The name of the calling user.
    pub fn actor(&self) -> &str {
        &self.caller.actor
    }

    /// The folder of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Which layout its folders have.
    pub const fn layout_kind(&self) -> LayoutKind {
        self.layout.kind
    }

    /// The same workspace, whose warnings go to `warnings`.
    #[must_use]
    pub fn with_warnings(mut self, warnings: &Warnings) -> Self {
        self.warnings = warnings.clone();
        self
    }

    /// The same workspace, where decisions are made and shown but nothing is written if `dry_run`.
    #[must_use]
    pub const fn with_dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// The workspace that `start` lies in, looked for upward like git does.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] outside of a workspace; [`ErrorKind::Data`] for a bad
    /// `annals.toml`.
    pub fn open(start: &Path, caller: Caller, dirs: &ConfigDirs, env: Env) -> Result<Self> {
        let is_workspace = |dir: &&Path| {
            dir.join(SETTINGS_FILE).is_file() || Store::was_used(&dir.join(".annals"))
        };
        let root = start.ancestors().find(is_workspace).ok_or_else(|| {
            let message = format!("{} is not in a workspace (no {SETTINGS_FILE})", start.display());
            Error::new(ErrorKind::NotFound, message).hint("`annals init` makes a workspace here")
        })?;
        refuse_lost_log(root)?;
        let path = root.join(SETTINGS_FILE);
        let text = fs::read_to_string(&path)
            .map_err(|e| Error::io(format!("read {}", path.display()), e))?;
        let settings: Settings = toml::from_str(&text).map_err(|e| {
            let message = format!("{}: {}", path.display(), e.message());
            Error::new(ErrorKind::Data, message)
        })?;
        let layout = Layout::of(root, &settings, &caller.folders)?;
        let store = Store::open(&root.join(".annals"), env.clone())?;
        Ok(Self::with(root.to_owned(), (settings, layout), store, caller, dirs, env))
    }

    /// Makes a workspace in `root`: settings, an empty log, a signing key, the default policy,
    /// and what git shall not keep.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where there is one; [`ErrorKind::Io`] where files cannot be made.
    pub fn init(
        root: &Path,
        project: &str,
        layout: LayoutKind,
        caller: Caller,
        dirs: &ConfigDirs,
        env: Env,
    ) -> Result<(Self, GitIgnore)> {
        let (settings, layout) = Self::plan_init(root, project, layout, &caller)?;
        let annals = root.join(".annals");
        let begun = annals.join("log.redb").exists();
        durable::create_dir_all(&annals)
            .map_err(|e| Error::io(format!("make {}", annals.display()), e))?;
        // Settings come last: a log without them is what a crash has left, empty or founded.
        let make = if begun { Store::open } else { Store::create };
        let store = make(&annals, env.clone())?;
        let workspace = Self::with(root.to_owned(), (settings, layout), store, caller, dirs, env);
        match workspace.store.read(|log| Ok::<_, Error>(invocations(log)?))? {
            0 => workspace.found()?,
            1 => {}
            _ => return Err(lost_settings(root)),
        }
        // A log that another process, or somebody else, has begun is not made whole for them.
        workspace.require_trust().map_err(|mut error| {
            error.hints = vec!["make the workspace in another folder".to_owned()];
            error
        })?;
        let ignored = gitignore::protect(&workspace.root, &workspace.layout)?;
        workspace.make_pretrained(&workspace.layout)?;
        workspace.write_settings(&workspace.settings)?;
        workspace.record_location();
        Ok((workspace, ignored))
    }

    /// The settings and paths that [`Self::init`] would write.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a bad name; [`ErrorKind::Conflict`] where a workspace exists.
    pub fn plan_init(
        root: &Path,
        project: &str,
        layout: LayoutKind,
        caller: &Caller,
    ) -> Result<(Settings, Layout)> {
        let project = Name::new(project)?;
        let settings = Settings { project: project.to_string(), layout, paths: Paths::default() };
        let layout = Layout::of(root, &settings, &caller.folders)?;
        if root.join(SETTINGS_FILE).exists() || Store::was_used(&root.join(".annals")) {
            refuse_lost_log(root)?;
            let message = format!("{} is a workspace already", root.display());
            return Err(
                Error::new(ErrorKind::Conflict, message).hint("`annals status` summarizes it")
            );
        }
        Ok((settings, layout))
    }

    /// Makes the folder of weights from elsewhere, where the layout has one.
    pub(in crate::app) fn make_pretrained(&self, layout: &Layout) -> Result<()> {
        let Some(folder) = layout.pretrained() else { return Ok(()) };
        let path = self.inside(&folder)?;
        durable::create_dir_all(&path).map_err(|e| Error::io(format!("make {}", path.display()), e))
    }

    /// Writes `annals.toml`.
    pub(in crate::app) fn write_settings(&self, settings: &Settings) -> Result<()> {
        let text = toml::to_string_pretty(settings)
            .map_err(|e| Error::caused(ErrorKind::Bug, "the settings do not fit TOML", e))?;
        let path = self.root.join(SETTINGS_FILE);
        durable::write(&path, text.as_bytes())
            .map_err(|e| Error::io(format!("write {}", path.display()), e))
    }

    pub(in crate::app) fn with(
        root: PathBuf,
        (settings, layout): (Settings, Layout),
        store: Store,
        caller: Caller,
        dirs: &ConfigDirs,
        env: Env,
    ) -> Self {
        let annals = root.join(".annals");
        let (blobs, live) = (Blobs::new(&annals.join("blobs")), LiveFiles::new(&annals));
        let keys = KeyRing::new(&dirs.keys);
        let scope = ReadScope::default();
        let warnings = Warnings::default();
        Self {
            root,
            settings,
            layout,
            store,
            blobs,
            live,
            env,
            caller,
            warnings,
            dry_run: false,
            keys,
            views_key: OnceLock::new(),
            blobs_listed: OnceLock::new(),
            scope,
            trust: TrustCell::default(),
        }
    }

    /// The first events: the log, its key, the rules.
    fn found(&self) -> Result<()> {
        let log = LogId(self.env.random());
        let create = WorkspaceCommand::Create {
            log,
            project: self.settings.project.clone(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
        };
        // The key is made for the origin that the decision will give the log.
        let created = WorkspaceStream::decide(&WorkspaceState::default(), create.clone(), &())?;
        let origin = match created.first() {
            Some(WorkspaceEvent::Created(created)) => created.origin.clone(),
            _ => return Err(Error::new(ErrorKind::Bug, "BUG: a new log has no origin")),
        };
        let signer = self.keys.generate(&origin, &self.env)?;
        let key = WorkspaceCommand::CreateKey {
            public_key: signer.public().public_key(),
            owner: self.caller.actor.clone(),
        };
        self.decide_signed("init", Some(&(None, signer)), |tx| {
            if fold_workspace(tx.log())?.created.is_some() {
                let message = format!("{} was made by another process", self.root.display());
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            tx.decide::<WorkspaceStream>((), create, &())?;
            tx.decide::<WorkspaceStream>((), key, &())?;
            tx.decide::<PolicyStream>((), PolicyCommand::Adopt, &PolicyFacts { signed: true })?;
            Ok(())
        })
    }

    /// A signing key of this log whose private half is on this machine; none leaves what is
    /// appended unsigned. It is the caller's own if there is one. It signs log checkpoints; events
    /// only where the caller is its owner, and then the position of its `key.created` is there.
    pub(in crate::app) fn signer(&self) -> Result<Option<ChangeSigner>> {
        let (origin, keys) =
            self.store.read(|log| Ok::<_, Error>((log.origin().to_owned(), keys(log)?)))?;
        self.signer_among(&origin, &keys)
    }

    /// [`Self::signer`] where the keys of the log are known.
    pub(in crate::app) fn signer_among(
        &self,
        origin: &str,
        keys: &[KnownKey],
    ) -> Result<Option<ChangeSigner>> {
        let current = || keys.iter().rev().filter(|key| key.replaced.is_none());
        for own in [true, false] {
            for key in current().filter(|key| (key.owner == self.caller.actor) == own) {
                if let Some(signer) = self.keys.load(origin, key.public_key)? {
                    return Ok(Some((own.then_some(key.position), signer)));
                }
            }
        }
        Ok(None)
    }

    /// The private keys of this user.
    pub(in crate::app) fn key_ring(&self) -> &KeyRing {
        &self.keys
    }

    /// The full path of what a file or an event names inside the workspace. Only paths that annals
    /// itself derives are joined to the root without it.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] for a path that leaves the workspace or belongs to annals;
    /// [`ErrorKind::Data`] where a link is on its way.
    pub fn inside(&self, path: &str) -> Result<PathBuf> {
        confine::public(path).and_then(|_| confine::inside(&self.root, path)).map_err(Error::from)
    }

    /// As [`Self::inside`], for a file in a folder of the workspace.
    ///
    /// # Errors
    /// As [`Self::inside`].
    pub fn inside_folder(&self, folder: &str, path: &str) -> Result<PathBuf> {
        confine::relative(path)?;
        self.inside(&format!("{folder}/{path}"))
    }

    /// The full path of a file in a folder of the workspace, and whether it exists.
    ///
    /// # Errors
    /// As [`Self::inside`].
    pub(in crate::app) fn find_in_folder(
        &self,
        folder: &str,
        path: &str,
    ) -> Result<(PathBuf, bool)> {
        confine::relative(path)?;
        let path = format!("{folder}/{path}");
        confine::public(&path)?;
        Ok(confine::find(&self.root, &path)?)
    }

    /// A path inside the workspace, as the log writes it: relative, `/` between components.
    pub fn relative(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        let parts: Vec<_> = path.components().map(|c| c.as_os_str().to_string_lossy()).collect();
        if parts.is_empty() { ".".into() } else { parts.join("/") }
    }
}
