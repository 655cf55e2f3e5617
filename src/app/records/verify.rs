//! Checks of the record, for users: of a workspace or of a copied log.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::stored_files::{Depth, ReadProgress, VerifiedFiles, check_files};
use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::Env;
use crate::store::Store;
use crate::tlog::NoteKey;
use crate::verify::{self, Options, Report, kinship};

/// What a log must extend.
#[derive(Clone, Debug)]
pub enum Against {
    /// An older signed log checkpoint.
    Checkpoint(String),
    /// Another log of the same workspace.
    Log(PathBuf),
}

/// What a user compares with.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// What the log must extend.
    pub against: Option<Against>,
    /// The public key that must have signed.
    pub key: Option<String>,
}

/// How a database of logs begins.
const DATABASE: &[u8] = b"redb";

impl Against {
    /// What is in a file: a log or a log checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read, [`ErrorKind::Data`] when it is neither.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |e| Error::io(format!("read {}", path.display()), e);
        let mut file = File::open(path).map_err(failed)?;
        let mut begin = Vec::new();
        file.by_ref().take(DATABASE.len() as u64).read_to_end(&mut begin).map_err(failed)?;
        if begin == DATABASE {
            return Ok(Self::Log(path.to_owned()));
        }
        file.read_to_end(&mut begin).map_err(failed)?;
        String::from_utf8(begin).map(Self::Checkpoint).map_err(|_| {
            let message = format!("{} is neither a log checkpoint nor a log", path.display());
            Error::new(ErrorKind::Data, message)
                .hint("`annals checkpoint show` prints the one, `annals log copy` makes the other")
        })
    }
}

impl VerifyOptions {
    fn resolve(&self) -> Result<Options> {
        let key = self.key.as_ref().map(|text| {
            text.parse::<NoteKey>().map_err(|e| {
                Error::new(ErrorKind::Usage, format!("--key: {e}"))
                    .hint("`annals checkpoint show --format json` prints the key of a log")
            })
        });
        let against = match &self.against {
            Some(Against::Checkpoint(note)) => Some(note.clone()),
            _ => None,
        };
        Ok(Options { against, key: key.transpose()?, blobs: None, threads: None })
    }

    fn check(&self, store: &Store, options: &Options) -> Result<Report> {
        let mut report = verify::verify(store, options)?;
        if let Some(Against::Log(path)) = &self.against {
            let other = Store::open_file(path, store.env().clone())?;
            let finding = kinship(store, &other)?;
            report.findings.extend(finding.finding(&path.display().to_string(), report.size));
        }
        Ok(report)
    }
}

/// Recomputes the log and the blobs of this workspace.
///
/// # Errors
/// When the file cannot be read for reasons that are not damage.
pub fn verify(workspace: &Workspace, options: &VerifyOptions) -> Result<Report> {
    let mut resolved = options.resolve()?;
    resolved.blobs = Some(workspace.blobs.clone());
    options.check(&workspace.store, &resolved)
}

/// Recomputes the log of this workspace and reads every stored file, blobs among them.
///
/// # Errors
/// As `verify`.
pub fn verify_files(
    workspace: &Workspace,
    options: &VerifyOptions,
    progress: &dyn ReadProgress,
) -> Result<VerifiedFiles> {
    let log = options.check(&workspace.store, &options.resolve()?)?;
    let files = check_files(workspace, Depth::Content, progress)?;
    Ok(VerifiedFiles { log, files })
}

/// Recomputes a copied log.
///
/// # Errors
/// As `verify`.
pub fn verify_file(path: &Path, env: &Env, options: &VerifyOptions) -> Result<Report> {
    options.check(&Store::open_file(path, env.clone())?, &options.resolve()?)
}
