//! What the record knows of the bytes of one file, and comparing a file with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::report::FileState;
use crate::base::{Digest, FileDigests, Sha256Digest, confine, counted};
use crate::domain::file_move::MovedFile;

/// What the record knows of the bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct RecordedBytes {
    pub(in crate::app) digest: Digest,
    /// Each SHA-256 that an event has for them; none where it was not recorded.
    pub(in crate::app) sha256: Vec<Sha256Digest>,
    /// Their number; none where no event has it.
    pub(in crate::app) bytes: Option<u64>,
}

/// How a file compares with the record.
pub(super) struct Compared {
    pub(super) state: FileState,
    pub(super) expected: String,
    pub(super) found: Option<String>,
    pub(super) bytes: Option<u64>,
}

impl RecordedBytes {
    pub(in crate::app) fn new(
        digest: Digest,
        sha256: Option<Sha256Digest>,
        bytes: Option<u64>,
    ) -> Self {
        Self { digest, sha256: sha256.into_iter().collect(), bytes }
    }

    /// Of a file of a move.
    pub(in crate::app) fn of_moved(file: &MovedFile) -> Self {
        Self::new(file.digest, file.sha256, Some(file.bytes))
    }

    /// Compares the digests of a file. SHA-256 is named where that alone differs.
    pub(super) fn compare(&self, found: FileDigests, bytes: u64) -> Compared {
        let other = self.sha256.iter().find(|sha256| **sha256 != found.sha256);
        let (state, expected, shown) = match other {
            _ if found.blake3 != self.digest => {
                (FileState::Altered, self.digest.to_string(), found.blake3.to_string())
            }
            Some(sha256) => {
                let words = [*sha256, found.sha256].map(|digest| format!("sha256:{digest}"));
                let [expected, shown] = words;
                (FileState::Altered, expected, shown)
            }
            None => (FileState::Whole, self.digest.to_string(), found.blake3.to_string()),
        };
        Compared { state, expected, found: Some(shown), bytes: Some(bytes) }
    }

    /// Compares the size alone.
    fn compare_size(&self, found: u64) -> Compared {
        let expected = self.bytes.filter(|bytes| *bytes != found);
        match expected {
            Some(expected) => Compared {
                state: FileState::Altered,
                expected: counted(expected, "byte"),
                found: Some(counted(found, "byte")),
                bytes: Some(found),
            },
            None => Compared {
                state: FileState::Whole,
                expected: self.digest.to_string(),
                found: None,
                bytes: Some(found),
            },
        }
    }

    /// Reads the file at `path`, which is not followed where it is a link, and compares it;
    /// without `read` its size alone. `read` is called with the number of bytes of each part.
    pub(super) fn compare_file(&self, path: &Path, read: Option<&dyn Fn(u64)>) -> Compared {
        let compared = confine::plain_file(path).and_then(|file| {
            let Some(read) = read else { return Ok(self.compare_size(file.metadata()?.len())) };
            let mut reader = Counted { file, read };
            if self.sha256.is_empty() {
                // Half of the work is saved; SHA-256 is compared only where it was recorded.
                let (digest, bytes) = Digest::of_reader(&mut reader)?;
                let state = match digest == self.digest {
                    true => FileState::Whole,
                    false => FileState::Altered,
                };
                let (expected, found) = (self.digest.to_string(), Some(digest.to_string()));
                return Ok(Compared { state, expected, found, bytes: Some(bytes) });
            }
            let (digests, bytes) = FileDigests::of_reader(&mut reader)?;
            Ok(self.compare(digests, bytes))
        });
        compared.unwrap_or_else(|error| self.not_read(&error))
    }

    /// A file that cannot be read.
    pub(super) fn not_read(&self, error: &io::Error) -> Compared {
        let gone = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        Compared {
            state: if gone { FileState::Missing } else { FileState::Unreadable },
            expected: self.digest.to_string(),
            found: (!gone).then(|| error.to_string()),
            bytes: None,
        }
    }
}

/// Reports how much is read.
struct Counted<'a> {
    file: File,
    read: &'a dyn Fn(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        (self.read)(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::base::durable;

    #[test]
    fn a_file_is_whole_only_with_every_recorded_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        durable::write(&path, b"weights").unwrap();
        let (own, other) = (FileDigests::of(b"weights"), FileDigests::of(b"Weights"));
        let state = |recorded: &RecordedBytes| {
            let read = Cell::new(0);
            let compared =
                recorded.compare_file(&path, Some(&|bytes| read.set(read.get() + bytes)));
            assert_eq!(read.get(), 7, "every byte is read");
            (compared.state, compared.found.unwrap())
        };
        let recorded = |digest, sha256| RecordedBytes::new(digest, sha256, Some(7));
        let whole = (FileState::Whole, own.blake3.to_string());
        assert_eq!(state(&recorded(own.blake3, None)), whole);
        assert_eq!(state(&recorded(own.blake3, Some(own.sha256))), whole);
        let altered = (FileState::Altered, own.blake3.to_string());
        assert_eq!(state(&recorded(other.blake3, None)), altered);
        assert_eq!(state(&recorded(other.blake3, Some(other.sha256))), altered);
        let of_sha256 = (FileState::Altered, format!("sha256:{}", own.sha256));
        assert_eq!(state(&recorded(own.blake3, Some(other.sha256))), of_sha256);
    }

    #[test]
    fn sizes_links_and_missing_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        durable::write(&path, b"bytes").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let recorded = |bytes| RecordedBytes::new(Digest::of(b"bytes"), None, bytes);
        let size = |bytes| recorded(bytes).compare_file(&path, None).state;
        assert_eq!(size(Some(5)), FileState::Whole);
        assert_eq!(size(None), FileState::Whole);
        assert_eq!(size(Some(6)), FileState::Altered);
        for read in [None, Some(&(|_| {}) as &dyn Fn(u64))] {
            assert_eq!(recorded(None).compare_file(&link, read).state, FileState::Unreadable);
            let gone = recorded(None).compare_file(&folder.path().join("gone"), read);
            assert_eq!((gone.state, gone.found), (FileState::Missing, None));
            let below = recorded(None).compare_file(&path.join("below"), read);
            assert_eq!(below.state, FileState::Missing);
        }
    }
}
