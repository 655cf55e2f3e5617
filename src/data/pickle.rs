//! Pickles: files that Python reads by running what stands in them. annals lists and digests them
//! and loads none; it says what makes files of them that can be read without running anything.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::base::Digest;

/// What pickles are commonly called. PyTorch writes weights of all these names as one.
const NAMES: [&str; 6] = ["pth", "pt", "ckpt", "joblib", "pkl", "pickle"];
/// The first byte of a pickle since protocol 2, before the number of the protocol.
const PROTOCOL: u8 = 0x80;
const PROTOCOLS: std::ops::RangeInclusive<u8> = 2..=5;
/// A file in a zip archive begins so, and has its name here.
const ZIP: &[u8] = b"PK\x03\x04";
const HEAD: usize = 128;

/// A file that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is a pickle, which annals never loads because unpickling executes arbitrary code ({bytes} \
     bytes, blake3 {digest})",
    path.display()
)]
pub struct Pickle {
    /// The file.
    pub path: PathBuf,
    /// Digest of its bytes.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
}

impl Pickle {
    /// The file at `path`, if there is one and it is a pickle by its name or its first bytes.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        if !path.is_file() {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        if !is_named_like_one(path) {
            let mut head = Vec::new();
            file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
            if !begins_like_one(&head) {
                return Ok(None);
            }
        }
        let (digest, bytes) = Digest::of_reader(&mut File::open(path)?)?;
        Ok(Some(Self { path: path.to_owned(), digest, bytes }))
    }

    /// The first pickle in `folder` by name, if it holds one.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn within(folder: &Path) -> io::Result<Option<Self>> {
        let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
        let mut files = entries.collect::<io::Result<Vec<_>>>()?;
        files.sort();
        for file in files {
            if let Some(found) = Self::at(&file)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What makes files of it that annals reads.
    pub fn way_out(&self) -> &'static str {
        let name = self.path.extension().unwrap_or_default().to_ascii_lowercase();
        if ["joblib", "pkl", "pickle"].iter().any(|known| name == *known) {
            "if you trust it: `python data/convert/sklearn_text.py FILE FOLDER` makes annals' \
             files of a TF-IDF pipeline of scikit-learn; tables are read as CSV, JSONL or Parquet"
        } else {
            "if you trust it: `save_pretrained` of Transformers, or `safetensors.torch.save_file`, \
             writes model.safetensors, which annals reads"
        }
    }
}

fn is_named_like_one(path: &Path) -> bool {
    let name = path.extension().unwrap_or_default().to_ascii_lowercase();
    NAMES.iter().any(|known| name == *known)
}

/// A bare pickle, or the archive around one that PyTorch writes.
fn begins_like_one(head: &[u8]) -> bool {
    let bare = matches!(head, [PROTOCOL, number, ..] if PROTOCOLS.contains(number));
    let packed =
        head.starts_with(ZIP) && head[ZIP.len()..].windows(8).any(|part| part == b"data.pkl");
    bare || packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pickles_are_told_by_name_and_by_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            crate::base::durable::write(&path, bytes).unwrap();
            Pickle::at(&path).unwrap()
        };
        assert!(file("model.safetensors", b"\x10\0\0\0\0\0\0\0{}").is_none());
        assert!(file("notes.csv", b"text,label\n").is_none());
        let bare = file("pytorch_model.bin", b"\x80\x02}q\x00.").unwrap();
        assert_eq!((bare.bytes, bare.digest), (6, Digest::of(b"\x80\x02}q\x00.")));
        let archive = [b"PK\x03\x04".as_slice(), &[0; 26], b"model/data.pkl"].concat();
        assert!(file("weights", &archive).is_some());
        let packed = file("forest.JOBLIB", b"x\x9c").unwrap();
        assert!(packed.way_out().contains("sklearn_text.py"));
        assert!(bare.way_out().contains("safetensors"));
        assert_eq!(Pickle::within(folder.path()).unwrap().unwrap(), packed, "the first by name");
        assert!(Pickle::at(&folder.path().join("missing.pth")).unwrap().is_none());
    }
}
