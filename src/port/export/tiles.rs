//! The log's tree as C2SP tlog-tiles (<https://c2sp.org/tlog-tiles>): hashes in files of 256,
//! entries beside them, and the signed log checkpoint, for any transparency-log client.

use std::io;

use super::Target;
use crate::base::Digest;
use crate::tlog::{Hash, leaf_hash, node_hash};

/// Hashes in a whole tile.
const WIDTH: usize = 256;

/// Takes the leaf data of every event in order and writes tiles as they become whole.
pub struct Tiles<'t> {
    target: &'t mut dyn Target,
    entries: Vec<Digest>,
    /// Of each level: which tile comes next, and what is in it so far.
    levels: Vec<(u64, Vec<Hash>)>,
    files: u64,
}

impl<'t> Tiles<'t> {
    /// Writes into `target`.
    pub fn new(target: &'t mut dyn Target) -> Self {
        Self { target, entries: vec![], levels: vec![(0, vec![])], files: 0 }
    }

    /// Takes one more event.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn push(&mut self, leaf: Digest) -> io::Result<()> {
        self.entries.push(leaf);
        if self.entries.len() == WIDTH {
            self.write_entries()?;
        }
        self.add(0, leaf_hash(&leaf.0))
    }

    fn add(&mut self, level: usize, hash: Hash) -> io::Result<()> {
        if self.levels.len() == level {
            self.levels.push((0, vec![]));
        }
        let Some((_, hashes)) = self.levels.get_mut(level) else { return Ok(()) };
        hashes.push(hash);
        if hashes.len() < WIDTH {
            return Ok(());
        }
        let root = root(hashes);
        self.write_level(level)?;
        self.add(level + 1, root)
    }

    fn write_level(&mut self, level: usize) -> io::Result<()> {
        let Some((index, hashes)) = self.levels.get_mut(level) else { return Ok(()) };
        let path = format!("tile/{level}/{}{}", number(*index), partial(hashes.len()));
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
        *index += 1;
        hashes.clear();
        self.write(&path, &bytes)
    }

    fn write_entries(&mut self) -> io::Result<()> {
        let index = self.levels.first().map_or(0, |(index, _)| *index);
        let path = format!("tile/entries/{}{}", number(index), partial(self.entries.len()));
        let length = (size_of::<Digest>() as u16).to_be_bytes();
        let bytes: Vec<u8> =
            self.entries.iter().flat_map(|leaf| length.into_iter().chain(leaf.0)).collect();
        self.entries.clear();
        self.write(&path, &bytes)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.target.begin(path)?;
        file.write_all(bytes)?;
        self.files += 1;
        file.flush()
    }

    /// Writes what is not whole, and the signed log checkpoint of exactly what was pushed; gives
    /// how many files there are.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn end(mut self, checkpoint: &str) -> io::Result<u64> {
        if !self.entries.is_empty() {
            self.write_entries()?;
        }
        for level in 0..self.levels.len() {
            if self.levels.get(level).is_some_and(|(_, hashes)| !hashes.is_empty()) {
                self.write_level(level)?;
            }
        }
        self.write("checkpoint", checkpoint.as_bytes())?;
        Ok(self.files)
    }
}

/// Root of a whole tile's hashes.
fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [one] => *one,
        several => {
            let (left, right) = several.split_at(several.len() / 2);
            node_hash(root(left), root(right))
        }
    }
}

fn partial(width: usize) -> String {
    if width == WIDTH { String::new() } else { format!(".p/{width}") }
}

/// A tile's number as a path: groups of three digits, all but the last marked with an x.
fn number(mut index: u64) -> String {
    let mut path = format!("{:03}", index % 1_000);
    while index >= 1_000 {
        index /= 1_000;
        path = format!("x{:03}/{path}", index % 1_000);
    }
    path
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_paths() {
        assert_eq!(super::number(5), "005");
        assert_eq!(super::number(1_234_067), "x001/x234/067");
    }
}
