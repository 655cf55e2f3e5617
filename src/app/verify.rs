//! Checks of the record, for users: of a workspace or of a copied log.

use std::path::Path;

use super::{App, Error, ErrorKind, Result};
use crate::base::Env;
use crate::store::Store;
use crate::tlog::NoteKey;
use crate::verify::{Options, Report, verify};

/// What a user compares with.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// An older signed log checkpoint.
    pub against: Option<String>,
    /// The public key that must have signed.
    pub key: Option<String>,
}

impl VerifyOptions {
    fn resolve(&self) -> Result<Options> {
        let key = self.key.as_ref().map(|text| {
            text.parse::<NoteKey>().map_err(|e| {
                Error::new(ErrorKind::Usage, format!("--key: {e}"))
                    .hint("`annals checkpoint show --format json` prints the key of a log")
            })
        });
        Ok(Options {
            against: self.against.clone(),
            key: key.transpose()?,
            blobs: None,
            threads: None,
        })
    }
}

impl App {
    /// Recomputes the log and the blobs of this workspace.
    ///
    /// # Errors
    /// When the file cannot be read for reasons that are not damage.
    pub fn verify(&self, options: &VerifyOptions) -> Result<Report> {
        let mut options = options.resolve()?;
        options.blobs = Some(self.blobs.clone());
        Ok(verify(&self.store, &options)?)
    }

    /// Recomputes a copied log.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_file(path: &Path, env: &Env, options: &VerifyOptions) -> Result<Report> {
        let store = Store::open_file(path, env.clone())?;
        Ok(verify(&store, &options.resolve()?)?)
    }
}
