//! Files packed into one: a tar file, compressed. The same files give the same bytes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::base::Digest;
use crate::domain::run::Pack;

/// Small files are packed once and read seldom.
const ZSTD_LEVEL: i32 = 9;

/// Packs `files`, pairs of name in the pack and file on disk, into the new file `target`; synced.
pub(super) fn write(pack: Pack, target: &Path, files: &[(&str, PathBuf)]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(target)?;
    let out = BufWriter::new(file);
    let file = match pack {
        Pack::Zst => {
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            fill(encoder, files)?.finish()?
        }
        Pack::Gz => {
            let level = flate2::Compression::default();
            fill(flate2::write::GzEncoder::new(out, level), files)?.finish()?
        }
    };
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// `files`, pairs of name in the pack and file on disk, packed into `.tar.gz`.
///
/// # Errors
/// When one cannot be read.
pub fn packed_logs(files: &[(&str, PathBuf)]) -> io::Result<Vec<u8>> {
    let level = flate2::Compression::default();
    fill(flate2::write::GzEncoder::new(Vec::new(), level), files)?.finish()
}

fn fill<W: Write>(out: W, files: &[(&str, PathBuf)]) -> io::Result<W> {
    let mut tar = tar::Builder::new(out);
    for (name, path) in files {
        let file = File::open(path)?;
        // Only what the log knows of: no owner, no time.
        let mut header = tar::Header::new_gnu();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, name, BufReader::new(file))?;
    }
    tar.into_inner()
}

/// Hands out each packed file: its name and its bytes.
pub(super) fn read(
    pack: Pack,
    file: &Path,
    mut each: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<()> {
    let file = BufReader::new(File::open(file)?);
    let plain: Box<dyn Read> = match pack {
        Pack::Zst => Box::new(zstd::Decoder::new(file)?),
        Pack::Gz => Box::new(flate2::read::GzDecoder::new(file)),
    };
    let mut tar = tar::Archive::new(plain);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        each(&name, &mut entry)?;
    }
    Ok(())
}

/// Digest and size of each packed file, by name.
pub(super) fn digests(pack: Pack, file: &Path) -> io::Result<BTreeMap<String, (Digest, u64)>> {
    let mut found = BTreeMap::new();
    read(pack, file, |name, bytes| {
        found.insert(name.to_owned(), Digest::of_reader(&mut &mut *bytes)?);
        Ok(())
    })?;
    Ok(found)
}
