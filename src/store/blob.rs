//! Files named after their digest: `blobs/<first two digits>/<digest>`.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use rustix::io::Errno;

use super::{StoreError, copy_file};
use crate::base::{Digest, FileDigests, Sha256Digest, Timestamp, confine, durable};

/// A blob as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBlob {
    /// Its name.
    pub digest: Digest,
    /// Its size.
    pub bytes: u64,
    /// When it was stored last.
    pub changed: Timestamp,
}

/// The blobs of one workspace. A crash leaves a whole blob, or a file `.<name>.<pid>.tmp` beside.
#[derive(Clone, Debug)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// The blobs in `dir`, which need not exist yet.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where the blob lies, if it is there.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.short(2)).join(digest.to_string())
    }

    /// The path of a blob that is stored or removed: nothing on its way may be a link.
    fn own_path(&self, digest: Digest) -> io::Result<PathBuf> {
        Ok(confine::parent_inside(&self.dir, &format!("{}/{digest}", digest.short(2)))?)
    }

    /// Whether the blob is there; its bytes are not checked.
    pub fn contains(&self, digest: Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Stores bytes; durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put(&self, bytes: &[u8]) -> Result<FileDigests, StoreError> {
        let digests = FileDigests::of(bytes);
        let digest = digests.blake3;
        let stored = || -> io::Result<()> {
            let path = self.own_path(digest)?;
            if !freshened(&path) {
                durable::create_dir_all(&self.dir.join(digest.short(2)))?;
                durable::write(&path, bytes)?;
            }
            Ok(())
        };
        stored().map_err(StoreError::io(format!("store blob {digest}")))?;
        Ok(digests)
    }

    /// Stores the content of a file, which may share its blocks but never its inode; durable when
    /// this returns. Tells the digests and the size of what was stored.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn put_file(&self, from: &Path) -> Result<(FileDigests, u64), StoreError> {
        let stored = || -> io::Result<(FileDigests, u64)> {
            durable::create_dir_all(&self.dir)?;
            // The digest is taken of the copy, so that a file that changes meanwhile is stored
            // under the name of what was really stored.
            let copied = self.dir.join(format!(".incoming.{}.tmp", std::process::id()));
            match fs::remove_file(&copied) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => copy_file(from, &copied)?,
            }
            let (digests, bytes) = FileDigests::of_reader(&mut File::open(&copied)?)?;
            let digest = digests.blake3;
            let path = self.own_path(digest)?;
            if freshened(&path) {
                fs::remove_file(&copied)?;
            } else {
                durable::create_dir_all(&self.dir.join(digest.short(2)))?;
                fs::rename(&copied, &path)?;
                durable::sync_parent(&path)?;
            }
            Ok((digests, bytes))
        };
        stored().map_err(StoreError::io(format!("store {}", from.display())))
    }

    /// Stores the content of a file under `digest`, in the place of a damaged blob too.
    ///
    /// # Errors
    /// [`StoreError::BlobDamaged`] when the file has other bytes; [`StoreError::Io`].
    pub fn restore(&self, digest: Digest, from: &Path) -> Result<(), StoreError> {
        let stored = || -> io::Result<Digest> {
            let path = self.path(digest);
            durable::create_dir_all(&self.dir.join(digest.short(2)))?;
            let copied = self.dir.join(format!(".incoming.{}.tmp", std::process::id()));
            match fs::remove_file(&copied) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => copy_file(from, &copied)?,
            }
            let (found, _) = Digest::of_reader(&mut File::open(&copied)?)?;
            if found == digest {
                fs::rename(&copied, &path)?;
                durable::sync_parent(&path)?;
            } else {
                fs::remove_file(&copied)?;
            }
            Ok(found)
        };
        let found = stored().map_err(StoreError::io(format!("store {}", from.display())))?;
        expect_digest(digest, found)
    }

    /// Reads a blob and checks its digest (BLB-1).
    ///
    /// # Errors
    /// [`StoreError::BlobMissing`], [`StoreError::BlobDamaged`], [`StoreError::Io`].
    pub fn get(&self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open(digest)?
            .read_to_end(&mut bytes)
            .map_err(StoreError::io(format!("read blob {digest}")))?;
        expect_digest(digest, Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// Reads a blob through, checks its digest, and its SHA-256 where one was recorded, and tells
    /// its size.
    ///
    /// # Errors
    /// As [`Self::get`]; [`StoreError::BlobSha256`].
    pub fn verify(&self, digest: Digest, sha256: Option<Sha256Digest>) -> Result<u64, StoreError> {
        let Some(expected) = sha256 else {
            let (found, bytes) = Digest::of_reader(&mut self.open(digest)?)
                .map_err(StoreError::io(format!("read blob {digest}")))?;
            expect_digest(digest, found)?;
            return Ok(bytes);
        };
        match self.sha256(digest)? {
            (found, bytes) if found == expected => Ok(bytes),
            (found, _) => Err(StoreError::BlobSha256 { digest, expected, found }),
        }
    }

    /// Reads a blob through, checks its digest, and tells its SHA-256 and its size.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn sha256(&self, digest: Digest) -> Result<(Sha256Digest, u64), StoreError> {
        let (found, bytes) = FileDigests::of_reader(&mut self.open(digest)?)
            .map_err(StoreError::io(format!("read blob {digest}")))?;
        expect_digest(digest, found.blake3)?;
        Ok((found.sha256, bytes))
    }

    /// Every blob, by digest. Other files among them are left alone.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn all(&self) -> Result<Vec<StoredBlob>, StoreError> {
        let listed = || -> io::Result<Vec<StoredBlob>> {
            let mut found = Vec::new();
            for folder in entries(&self.dir)? {
                // A link may lead to the blobs of another workspace.
                if !folder.file_type()?.is_dir() {
                    continue;
                }
                for entry in entries(&folder.path())? {
                    let digest: Option<Digest> =
                        entry.file_name().to_str().and_then(|name| name.parse().ok());
                    let digest = digest.filter(|d| *folder.file_name() == *d.short(2));
                    let meta = entry.metadata()?;
                    if let Some(digest) = digest.filter(|_| meta.is_file()) {
                        let (bytes, changed) = (meta.len(), changed(&meta));
                        found.push(StoredBlob { digest, bytes, changed });
                    }
                }
            }
            found.sort_by_key(|blob| blob.digest);
            Ok(found)
        };
        listed().map_err(StoreError::io("list the blobs"))
    }

    /// Removes a blob that was stored before `before`; one that somebody stored again since then
    /// stays. Tells whether it is gone.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self, digest: Digest, before: Timestamp) -> Result<bool, StoreError> {
        let removed = || -> io::Result<bool> {
            let path = self.own_path(digest)?;
            // Out of sight first: whoever stores it from now on stores it anew.
            let gone = path.with_file_name(format!(".{digest}.gone"));
            match fs::rename(&path, &gone) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
                renamed => renamed?,
            }
            if changed(&fs::metadata(&gone)?) > before {
                fs::rename(&gone, &path)?;
                return Ok(false);
            }
            fs::remove_file(&gone)?;
            durable::sync_parent(&path)?;
            Ok(true)
        };
        removed().map_err(StoreError::io(format!("remove blob {digest}")))
    }

    fn open(&self, digest: Digest) -> Result<File, StoreError> {
        let path = self.path(digest);
        // Opening a pipe would wait for its other end.
        if path.metadata().is_ok_and(|meta| !meta.is_file()) {
            let source = io::Error::other("it is not a plain file");
            return Err(StoreError::io(format!("read blob {digest}"))(source));
        }
        File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::BlobMissing { digest },
            _ => StoreError::io(format!("read blob {digest}"))(e),
        })
    }
}

/// Whether there is such a file; its time of change then says that somebody stored it just now.
fn freshened(path: &Path) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    // Whoever may not touch it may not remove it either.
    let touched = utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
    let plain = path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    touched != Err(Errno::NOENT) && plain
}

fn changed(meta: &fs::Metadata) -> Timestamp {
    Timestamp(meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()))
}

/// What is in a folder; nothing where there is none.
fn entries(dir: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(dir) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(vec![])
        }
        found => found?.collect(),
    }
}

fn expect_digest(digest: Digest, found: Digest) -> Result<(), StoreError> {
    if digest == found { Ok(()) } else { Err(StoreError::BlobDamaged { digest, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test plays the user and the attacker")]
    fn blobs_are_what_their_name_says() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(&root.path().join("blobs"));
        let file = root.path().join("weights");
        fs::write(&file, b"weights").unwrap();
        let (digests, bytes) = blobs.put_file(&file).unwrap();
        assert_eq!((digests, bytes), (blobs.put(b"weights").unwrap(), 7));
        let digest = digests.blake3;
        fs::write(&file, b"changed").unwrap();
        assert_eq!(blobs.get(digest).unwrap(), b"weights");
        let sha256 = digests.sha256;
        assert_eq!(blobs.verify(digest, None).unwrap(), 7);
        assert_eq!(blobs.verify(digest, Some(sha256)).unwrap(), 7);
        let other = Some(FileDigests::of(b"others").sha256);
        let refused = blobs.verify(digest, other).unwrap_err();
        assert!(matches!(refused, StoreError::BlobSha256 { found, .. } if found == sha256));
        fs::write(blobs.path(digest), b"Weights").unwrap();
        assert!(matches!(blobs.get(digest), Err(StoreError::BlobDamaged { .. })));
        fs::remove_file(blobs.path(digest)).unwrap();
        assert!(matches!(blobs.verify(digest, None), Err(StoreError::BlobMissing { .. })));
    }

    #[test]
    fn links_among_the_blobs_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let (own, other) = (Blobs::new(&root.path().join("own")), root.path().join("other"));
        let others = Blobs::new(&other);
        let digest = others.put(b"weights").unwrap().blake3;
        let folder = digest.short(2);
        fs::create_dir(root.path().join("own")).unwrap();
        let link = root.path().join("own").join(&folder);
        std::os::unix::fs::symlink(other.join(&folder), &link).unwrap();
        assert!(own.all().unwrap().is_empty());
        assert!(own.remove(digest, Timestamp(i64::MAX)).is_err());
        assert!(own.put(b"weights").is_err());
        assert!(others.contains(digest));
        // A link in the place of a blob is replaced.
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        std::os::unix::fs::symlink(others.path(digest), own.path(digest)).unwrap();
        own.put(b"weights").unwrap();
        assert!(!own.path(digest).is_symlink() && own.get(digest).unwrap() == b"weights");
        assert_eq!(others.get(digest).unwrap(), b"weights");
    }
}
