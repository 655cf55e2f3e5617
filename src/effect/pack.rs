//! Files packed into one: a tar file, compressed. The same files give the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::base::FileDigests;
use crate::domain::run::Pack;

/// Small files are packed once and read seldom.
const ZSTD_LEVEL: i32 = 9;

/// Longest path of a file in a pack, with the end that tar puts behind it.
const NAME_BYTES_MAX: u64 = 4_097;

/// Packs `files`, pairs of name in the pack and file on disk, into the empty file `target`; synced.
pub(super) fn write(pack: Pack, target: File, files: &[(&str, PathBuf)]) -> io::Result<()> {
    let file = compressed(pack, BufWriter::new(target), |out| fill(out, files))?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// `files`, pairs of name in the pack and file on disk, packed into `.tar.gz`.
///
/// # Errors
/// When one cannot be read.
pub fn packed_logs(files: &[(&str, PathBuf)]) -> io::Result<Vec<u8>> {
    compressed(Pack::Gz, Vec::new(), |out| fill(out, files))
}

/// What `fill` writes, compressed into `out`.
fn compressed<W: Write>(
    pack: Pack,
    out: W,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    match pack {
        Pack::Zst => {
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
            encoder.include_checksum(true)?;
            fill(&mut encoder)?;
            encoder.finish()
        }
        Pack::Gz => {
            let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
            fill(&mut encoder)?;
            encoder.finish()
        }
    }
}

fn fill(out: &mut dyn Write, files: &[(&str, PathBuf)]) -> io::Result<()> {
    let mut tar = tar::Builder::new(out);
    for (name, path) in files {
        let file = File::open(path)?;
        tar.append_data(&mut header(file.metadata()?.len()), name, BufReader::new(file))?;
    }
    tar.finish()
}

/// Only what the log knows of: no owner, no time.
fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_mtime(0);
    header
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
    let mut long_name: Option<String> = None;
    // Raw: the library would read a name of any length into memory.
    for entry in tar.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            if entry.size() > NAME_BYTES_MAX {
                let why = format!("a name of {} bytes is in the pack", entry.size());
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            let mut name = Vec::new();
            entry.read_to_end(&mut name)?;
            let name = String::from_utf8_lossy(&name);
            long_name = Some(name.trim_end_matches('\0').to_owned());
            continue;
        }
        if !kind.is_file() {
            let why = "something in the pack is not a plain file";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let name = match long_name.take() {
            Some(name) => name,
            None => entry.path()?.to_string_lossy().into_owned(),
        };
        each(&name, &mut entry)?;
    }
    Ok(())
}

/// The bytes of a pack whose files are other ones; none where `each` has none for any file.
pub(super) fn repacked(
    pack: Pack,
    file: &Path,
    mut each: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> io::Result<Option<Vec<u8>>> {
    let (mut files, mut changed) = (Vec::new(), false);
    read(pack, file, |name, reader| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        let new = each(&bytes);
        changed |= new.is_some();
        files.push((name.to_owned(), new.unwrap_or(bytes)));
        Ok(())
    })?;
    if !changed {
        return Ok(None);
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, b)| (name.as_str(), &b[..])).collect();
    compressed(pack, Vec::new(), |out| {
        let mut tar = tar::Builder::new(out);
        files.iter().try_for_each(|(name, bytes)| {
            tar.append_data(&mut header(bytes.len() as u64), name, *bytes)
        })?;
        tar.finish()
    })
    .map(Some)
}

/// Digests and size of each packed file, by name.
pub(super) fn digests(pack: Pack, file: &Path) -> io::Result<BTreeMap<String, (FileDigests, u64)>> {
    let mut found = BTreeMap::new();
    read(pack, file, |name, bytes| {
        found.insert(name.to_owned(), FileDigests::of_reader(&mut &mut *bytes)?);
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test writes plain files")]
mod tests {
    use super::*;

    #[test]
    fn long_names_come_back_and_endless_ones_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let (file, pack) = (root.path().join("file"), root.path().join("pack"));
        std::fs::write(&file, "bytes").unwrap();
        let long = format!("{}/end.txt", vec!["deep"; 60].join("/"));
        let target = File::create_new(&pack).unwrap();
        write(Pack::Gz, target, &[("short", file.clone()), (&long, file.clone())]).unwrap();
        let names: Vec<String> = digests(Pack::Gz, &pack).unwrap().into_keys().collect();
        assert_eq!(names, [long, "short".to_owned()]);
        // A name of 5 GB takes a few MB of a pack.
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(5_000_000_000);
        header.set_cksum();
        let bytes = compressed(Pack::Gz, Vec::new(), |out| {
            out.write_all(header.as_bytes())?;
            out.write_all(&vec![b'a'; 1_000_000])
        });
        std::fs::write(&pack, bytes.unwrap()).unwrap();
        let refused = digests(Pack::Gz, &pack).unwrap_err();
        assert!(refused.to_string().contains("5000000000 bytes"), "{refused}");
    }
}
