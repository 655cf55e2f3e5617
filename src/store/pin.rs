//! Pins: the logs that a user trusts, each with the key that it began with. One file per origin,
//! beside the private keys.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{KeyRing, StoreError};
use crate::base::{Digest, Env, PublicKey};
use crate::tlog::NoteKey;

const SUFFIX: &str = "pin";
/// A key, and the private keys of one user for one log.
const PIN_BYTES_MAX: u64 = 64 * 1024;
/// Digits of the digest of an origin that name its file.
const NAME_DIGITS: usize = 32;

/// A log that this user trusts. Its file holds the key as text in the first line and `own KEY` in
/// the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The key that the log began with; its name is the origin of the log.
    pub key: NoteKey,
    /// Public halves of this user's private keys that were made for this log. They prove nothing
    /// about any other log that names them.
    pub own: Vec<PublicKey>,
}

impl Pin {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let key = lines.next()?.parse().ok()?;
        let own = lines.map(|line| line.strip_prefix("own ")?.parse().ok());
        Some(Self { key, own: own.collect::<Option<_>>()? })
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.key)?;
        self.own.iter().try_for_each(|own| writeln!(f, "own {own}"))
    }
}

impl KeyRing {
    /// The pin of the log that is called `origin`; none where this user has not pinned it.
    ///
    /// # Errors
    /// [`StoreError::PinFile`] when the file holds something else or others may write it;
    /// [`StoreError::Io`].
    pub fn pin(&self, origin: &str) -> Result<Option<Pin>, StoreError> {
        let path = self.pin_path(origin);
        let pin = read(&path)?;
        if pin.as_ref().is_some_and(|pin| pin.key.name() != origin) {
            return Err(StoreError::PinFile { path });
        }
        Ok(pin)
    }

    /// Every pin, by origin.
    ///
    /// # Errors
    /// As [`Self::pin`].
    pub fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let failed = || StoreError::io(format!("read the folder {}", self.dir().display()));
        let entries = match fs::read_dir(self.dir()) {
            Err(e) if is_absent(&e) => return Ok(vec![]),
            entries => entries.map_err(failed())?,
        };
        let mut pins = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed())?.path();
            if path.extension().is_some_and(|suffix| suffix == SUFFIX) {
                pins.extend(read(&path)?);
            }
        }
        pins.sort_by(|a, b| a.key.name().cmp(b.key.name()));
        Ok(pins)
    }

    /// Stores a pin, durably, in the place of an earlier one of the same origin.
    ///
    /// # Errors
    /// [`StoreError::Io`] where the folder cannot be written.
    pub fn store_pin(&self, pin: &Pin) -> Result<(), StoreError> {
        let path = self.pin_path(pin.key.name());
        let unique: [u8; 32] = Env::system().random();
        let name = format!(".{}.tmp", Digest(unique).short(NAME_DIGITS));
        let temporary = self.dir().join(name);
        let stored = || -> io::Result<()> {
            let mut folder = fs::DirBuilder::new();
            folder.recursive(true).mode(0o700).create(self.dir())?;
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
            write!(file, "{pin}")?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            fs::File::open(self.dir())?.sync_all()
        };
        stored().map_err(|e| {
            // It may not be there; left over it would be untidy, not wrong.
            let _ = fs::remove_file(&temporary);
            StoreError::io(format!("store the pin {}", path.display()))(e)
        })
    }

    /// Removes the pin of `origin`; false where there was none.
    ///
    /// # Errors
    /// [`StoreError::Io`] where it cannot be removed.
    pub fn forget_pin(&self, origin: &str) -> Result<bool, StoreError> {
        let path = self.pin_path(origin);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(StoreError::io(format!("remove the pin {}", path.display()))(e)),
        }
    }

    fn pin_path(&self, origin: &str) -> PathBuf {
        let name = Digest::of(origin.as_bytes()).short(NAME_DIGITS);
        self.dir().join(name).with_extension(SUFFIX)
    }
}

/// Whether there are no pins for this user: the folder may be another user's.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

fn read(path: &Path) -> Result<Option<Pin>, StoreError> {
    let failed = || StoreError::io(format!("read the pin {}", path.display()));
    let file = match fs::File::open(path) {
        Err(e) if is_absent(&e) => return Ok(None),
        opened => opened.map_err(failed())?,
    };
    // Whoever else may write it could have pinned another key.
    let is_private = file.metadata().map_err(failed())?.permissions().mode() & 0o022 == 0;
    let mut text = String::new();
    let pin = match file.take(PIN_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => Pin::parse(&text),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => None,
        Err(e) => return Err(failed()(e)),
    };
    let damaged = || StoreError::PinFile { path: path.to_owned() };
    pin.filter(|_| is_private).map(Some).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::durable;
    use crate::tlog::NoteSigner;

    #[test]
    fn pins_are_private_and_come_back() {
        let root = tempfile::tempdir().unwrap();
        let ring = KeyRing::new(&root.path().join("keys"));
        assert_eq!(ring.pins().unwrap(), []);
        let key = |origin, seed| NoteSigner::new(origin, &[seed; 32]).unwrap().public().clone();
        let one = Pin { key: key("annals/one", 1), own: vec![PublicKey([7; 32])] };
        let two = Pin { key: key("annals/two", 2), own: vec![] };
        for pin in [&two, &one] {
            ring.store_pin(pin).unwrap();
            assert_eq!(ring.pin(pin.key.name()).unwrap().as_ref(), Some(pin));
        }
        assert_eq!(ring.pins().unwrap(), [one.clone(), two.clone()]);
        assert_eq!(ring.pin("annals/three").unwrap(), None);
        let path = ring.pin_path("annals/one");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        // One that is written over names the other key; the files of a folder are these alone.
        let moved = Pin { key: key("annals/one", 3), own: vec![] };
        ring.store_pin(&moved).unwrap();
        assert_eq!(ring.pins().unwrap(), [moved, two]);
        assert_eq!(fs::read_dir(root.path().join("keys")).unwrap().count(), 2);
        assert!(ring.forget_pin("annals/one").unwrap());
        assert!(!ring.forget_pin("annals/one").unwrap());
        assert_eq!(ring.pin("annals/one").unwrap(), None);
    }

    #[test]
    fn a_pin_of_another_log_or_that_others_may_write_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let ring = KeyRing::new(root.path());
        let key = NoteSigner::new("annals/one", &[1; 32]).unwrap().public().clone();
        ring.store_pin(&Pin { key, own: vec![] }).unwrap();
        let (one, two) = (ring.pin_path("annals/one"), ring.pin_path("annals/two"));
        fs::copy(&one, &two).unwrap();
        assert!(ring.pin("annals/two").is_err());
        fs::set_permissions(&one, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(ring.pin("annals/one").is_err());
        fs::set_permissions(&one, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ring.pin("annals/one").unwrap().is_some());
        for text in ["", "annals/one", "a+b+c\n", "annals/one+00000000+AAAA\nown x\n"] {
            durable::write(&one, text.as_bytes()).unwrap();
            assert!(ring.pin("annals/one").is_err(), "{text:?}");
        }
    }
}
