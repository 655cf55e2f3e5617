//! Where a run runs: the facts that must be equal for its digests to be equal.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::app::core::git::Tree;
use crate::app::{Error, Result, Workspace, fold_policy, workspace};
use crate::base::Digest;
use crate::base::mask::mask_text;
use crate::domain::run::{CODE_NOT_RECORDED, Environment, Git};

/// Characters of the note of a run whose code could not be read, at most.
const CODE_NOTE_CHARS_MAX: usize = 1_000;

/// What the engine and the caller know of it.
pub(in crate::app) struct EngineFacts<'a> {
    pub(in crate::app) libtorch: Option<&'a str>,
    pub(in crate::app) threads: u32,
    pub(in crate::app) device: &'a str,
    pub(in crate::app) accelerators: Vec<String>,
}

impl Workspace {
    /// Whether `verb` may begin a run from the code as it is; a refusal is in the log.
    ///
    /// # Errors
    /// [`crate::app::ErrorKind::Rejected`] where the policy requires a clean git tree.
    pub(in crate::app) fn may_begin(&self, verb: &'static str) -> Result<()> {
        let rules = self.store.read(|log| Ok::<_, Error>(fold_policy(log)?.policy.new_runs))?;
        if !rules.require_clean_tree {
            return Ok(());
        }
        let uncommitted = workspace::uncommitted(self)?;
        let Err(rejection) = rules.may_begin(uncommitted.as_deref()) else { return Ok(()) };
        let error = Error::from(rejection)
            .hint("commit or stash, let git ignore files that are not code, or change the rule");
        self.refuse(verb, &error)?;
        self.refresh()?;
        Err(error)
    }

    /// The environment of a run, and what is known of its code beside the commit. Where git could
    /// not be read, that is a warning.
    pub(in crate::app) fn environment(&self, facts: EngineFacts<'_>) -> (Environment, Code) {
        let (git, code) = self.git_state();
        let environment = Environment {
            tool_version: env!("CARGO_PKG_VERSION").into(),
            libtorch: facts.libtorch.map(str::to_owned),
            os: os(),
            host: self.caller.host.clone(),
            cpu: cpu_model(),
            cpus: cpus(),
            threads: facts.threads,
            memory_bytes: memory_bytes(),
            device: facts.device.to_owned(),
            accelerators: facts.accelerators,
            variables: variables(&self.caller.variables),
            git,
            cargo_lock: read_lock(&self.root.join("Cargo.lock")).map(|b| Digest::of(&b)),
        };
        (environment, code)
    }

    /// The code's commit, and how the code differs from it, secrets masked.
    fn git_state(&self) -> (Option<Git>, Code) {
        let read = Tree::around(&self.root).and_then(|tree| {
            let commit = |tree: Tree| {
                let commit = tree.must(&["rev-parse", "--verify", "HEAD"])?;
                Ok((tree, String::from_utf8_lossy(&commit).trim().to_owned()))
            };
            tree.map(commit).transpose()
        });
        let (tree, commit) = match read {
            Ok(Some(read)) => read,
            Ok(None) => return (None, Code::default()),
            Err(error) => {
                let mut text = format!("{CODE_NOT_RECORDED}{error}");
                let mut cause = std::error::Error::source(&error);
                while let Some(source) = cause {
                    text = format!("{text}: {source}");
                    cause = source.source();
                }
                self.warnings.push(text.clone());
                return (None, Code { diff: None, unknown: Some(one_line(&text)) });
            }
        };
        let branch = tree.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]);
        let difference = workspace::difference(self, &tree, &[]);
        // What cannot be compared is not known to be the commit's.
        let dirty = !matches!(difference, Ok(None));
        let text = difference.ok().flatten().filter(|text| !text.is_empty());
        let diff = text.map(|text| mask_text(&String::from_utf8_lossy(&text)));
        let digest = diff.as_ref().map(|diff| Digest::of(diff.as_bytes()));
        (Some(Git { commit, branch, dirty, diff: digest }), Code { diff, unknown: None })
    }
}

/// What is known of the code of a run beside its commit.
#[derive(Clone, Debug, Default)]
pub(in crate::app) struct Code {
    /// The difference from the commit, secrets masked.
    pub(in crate::app) diff: Option<String>,
    /// For the record: why commit and changes are not known, although there is a git tree.
    pub(in crate::app) unknown: Option<String>,
}

/// A text for a note: git's messages may have several lines, and a note has a longest length.
fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().filter(|c| !c.is_control()).take(CODE_NOTE_CHARS_MAX).collect()
}

/// Logical processors this process may use.
pub(in crate::app) fn cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}

fn variables(known: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    known.iter().map(|(name, value)| (name.clone(), mask_text(value))).collect()
}

fn os() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = name.map_or(std::env::consts::OS, |name| name.trim_matches('"'));
    format!("{name}, kernel {}, {}", kernel.trim(), std::env::consts::ARCH)
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |rest| rest.trim_start_matches([' ', '\t', ':']).to_owned(),
    )
}

fn memory_bytes() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// The bytes of a plain file: a pipe in its place would be waited for without end.
fn read_lock(path: &Path) -> Option<Vec<u8>> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    fs::read(path).ok()
}
