//! Private keys: one file per key in the user's config folder, never in a workspace.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::base::{Digest, Env, PublicKey, durable};
use crate::tlog::NoteSigner;

/// The file of the secret that the views are proven with.
const VIEWS_SECRET: &str = "views.secret";

/// A key and a line break, and room for spaces.
const KEY_BYTES_MAX: u64 = 256;

/// The private keys of one user. Each file is named after its public key and holds the private
/// one, as hexadecimal text; only the user may read it.
#[derive(Clone, Debug)]
pub struct KeyRing {
    dir: PathBuf,
}

impl KeyRing {
    /// The keys in `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Makes a key for notes under `name` (the origin of the log) and stores it, durably.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Corrupt`] when `name` cannot name a key.
    pub fn generate(&self, name: &str, env: &Env) -> Result<NoteSigner, StoreError> {
        let seed: [u8; 32] = env.random();
        let signer =
            NoteSigner::new(name, &seed).map_err(|e| StoreError::corrupt(e.to_string()))?;
        let path = self.path(signer.public().public_key());
        let stored = || -> io::Result<()> {
            let mut folder = fs::DirBuilder::new();
            folder.recursive(true).mode(0o700).create(&self.dir)?;
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            writeln!(file, "{}", Digest(seed))?;
            file.sync_all()?;
            durable::sync_parent(&path)
        };
        stored().map_err(StoreError::io(format!("store the key {}", path.display())))?;
        Ok(signer)
    }

    /// The private half of `key` under `name`; none when this user does not have it.
    ///
    /// # Errors
    /// [`StoreError::KeyFile`] when the file holds something else, [`StoreError::KeyMode`] when
    /// others may read it; [`StoreError::Io`].
    pub fn load(&self, name: &str, key: PublicKey) -> Result<Option<NoteSigner>, StoreError> {
        let path = self.path(key);
        let failed = || StoreError::io(format!("read the key {}", path.display()));
        let file = match fs::File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed())?,
        };
        // As ssh does: who else could read it may have signed with it.
        let mode = file.metadata().map_err(failed())?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(StoreError::KeyMode { path, mode });
        }
        let mut text = String::new();
        file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(failed())?;
        let seed: Option<Digest> = text.trim().parse().ok();
        let signer = seed.and_then(|seed| NoteSigner::new(name, &seed.0).ok());
        let signer = signer.filter(|s| s.public().public_key() == key);
        signer.map(Some).ok_or(StoreError::KeyFile { path })
    }

    /// Removes the private half of a key that did not come into the log.
    pub fn discard(&self, key: PublicKey) {
        // Left over, it is a key that no log names: untidy, not wrong.
        let _ = fs::remove_file(self.path(key));
    }

    /// The secret by which annals recognizes the views that it folded for this user; none before
    /// [`Self::make_views_secret`], and none that others may read or that has another length.
    pub fn views_secret(&self) -> Option<[u8; 32]> {
        let file = fs::File::open(self.dir.join(VIEWS_SECRET)).ok()?;
        let meta = file.metadata().ok().filter(fs::Metadata::is_file)?;
        let private = meta.permissions().mode() & 0o077 == 0;
        let mut text = String::new();
        file.take(KEY_BYTES_MAX).read_to_string(&mut text).ok().filter(|_| private)?;
        text.trim().parse::<Digest>().ok().map(|secret| secret.0)
    }

    /// [`Self::views_secret`], made if there is none. Losing it loses nothing but time: the views
    /// are folded again.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the folder cannot be written.
    pub fn make_views_secret(&self) -> Result<[u8; 32], StoreError> {
        if let Some(secret) = self.views_secret() {
            return Ok(secret);
        }
        // Never from an injected clock and seed, which others may know.
        let [secret, name]: [[u8; 32]; 2] = [Env::system().random(), Env::system().random()];
        let path = self.dir.join(VIEWS_SECRET);
        let temporary = self.dir.join(format!(".{VIEWS_SECRET}.{}.tmp", Digest(name).short(16)));
        let stored = || -> io::Result<()> {
            let mut folder = fs::DirBuilder::new();
            folder.recursive(true).mode(0o700).create(&self.dir)?;
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
            writeln!(file, "{}", Digest(secret))?;
            // Of two processes that make one at the same time the last wins.
            fs::rename(&temporary, &path)
        };
        stored().map_err(StoreError::io(format!("store the secret {}", path.display())))?;
        Ok(self.views_secret().unwrap_or(secret))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the private half of `key` lies.
    pub fn path(&self, key: PublicKey) -> PathBuf {
        self.dir.join(format!("{key}.key"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn keys_are_private_and_come_back() {
        let root = tempfile::tempdir().unwrap();
        let ring = KeyRing::new(&root.path().join("keys"));
        let made = ring.generate("annals/x", &Env::fixed(Timestamp(0), 1)).unwrap();
        let key = made.public().public_key();
        let loaded = ring.load("annals/x", key).unwrap().unwrap();
        assert_eq!(loaded.sign("text\n"), made.sign("text\n"));
        assert_eq!(fs::metadata(ring.path(key)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(ring.load("annals/x", PublicKey([9; 32])).unwrap().is_none());
        for mode in [0o640, 0o604, 0o660, 0o644, 0o610, 0o700, 0o400, 0o600] {
            fs::set_permissions(ring.path(key), fs::Permissions::from_mode(mode)).unwrap();
            let loaded = ring.load("annals/x", key);
            assert_eq!(loaded.is_ok(), mode & 0o77 == 0, "{mode:o}");
            if let Err(error) = loaded {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
        fs::rename(ring.path(key), ring.path(PublicKey([9; 32]))).unwrap();
        assert!(ring.load("annals/x", PublicKey([9; 32])).is_err());
    }

    #[test]
    fn the_secret_of_the_views_stays_the_same_and_is_private() {
        let root = tempfile::tempdir().unwrap();
        let ring = KeyRing::new(&root.path().join("keys"));
        assert_eq!(ring.views_secret(), None);
        let secret = ring.make_views_secret().unwrap();
        assert_eq!(ring.make_views_secret().unwrap(), secret);
        let path = root.path().join("keys").join(VIEWS_SECRET);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(ring.views_secret(), None, "others may have read it");
        assert_ne!(ring.make_views_secret().unwrap(), secret);
        assert!(ring.views_secret().is_some());
    }
}
