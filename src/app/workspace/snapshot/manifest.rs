//! What a snapshot holds: facts and a list of files, one JSON text in the blob store.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PythonEnvironment;
use crate::app::{Error, ErrorKind, Result};
use crate::base::{Digest, RunId, Sha256Digest};
use crate::domain::run::Environment;

/// The format written today.
pub(super) const FORMAT: u16 = 4;

/// The first format whose names are escaped; before that a name had to be UTF-8.
const ESCAPED_SINCE: u16 = 2;

/// A name as text: bytes that are not UTF-8 stand as `\xff`, and `\` as `\\`.
pub(super) fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text += &chunk.valid().replace('\\', "\\\\");
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// The name that [`escaped`] made a text of; none for any other text.
pub(super) fn unescaped(text: &str) -> Option<OsString> {
    let mut name = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        name.extend(before.as_bytes());
        rest = match after.strip_prefix('\\') {
            Some(rest) => {
                name.push(b'\\');
                rest
            }
            None => {
                let digits = after.strip_prefix('x')?.get(..2)?;
                name.push(u8::from_str_radix(digits, 16).ok()?);
                after.get(3..)?
            }
        };
    }
    name.extend(rest.as_bytes());
    (escaped(&name) == text).then(|| OsString::from_vec(name))
}

/// A snapshot's content. The same content has the same bytes: no time is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotManifest {
    /// Version of this shape.
    pub format: u16,
    /// The log that tells when it was taken.
    pub origin: String,
    /// Where the code lay in its git tree; empty at the top, none where no git looks after it.
    pub workspace_in_tree: Option<String>,
    /// Object id of the commit's tree; none before the first commit.
    pub tree: Option<String>,
    /// Where it was taken.
    pub environment: Environment,
    /// What `rustc --version` says; none where it is not there.
    pub rust: Option<String>,
    /// The Python packages that are installed; formats before 3 did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<PythonEnvironment>,
    /// Files of `code/` that pin packages.
    pub packages: Vec<String>,
    /// Revision of the policy in `config/policy.json`.
    pub policy_revision: u64,
    /// The models in production, by name and version.
    pub models: Vec<(String, String)>,
    /// The runs that it names, and those of the models.
    pub runs: Vec<RunId>,
    /// What was there and is neither file, folder nor link, such as a socket.
    pub left_out: Vec<String>,
    /// The files, in the order of their paths.
    pub entries: Vec<Entry>,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its path in the restored folder.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// A file with bytes.
pub(crate) struct ManifestFile<'a> {
    pub(crate) path: &'a str,
    pub(crate) digest: Digest,
    pub(crate) sha256: Option<Sha256Digest>,
    pub(crate) bytes: u64,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Bytes in the blob store.
    File {
        /// Their digest.
        digest: Digest,
        /// Their SHA-256; formats before 4 did not tell, nor do events of their day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Sha256Digest>,
        /// How many.
        bytes: u64,
        /// Permissions of owner, group and others.
        mode: u32,
    },
    /// A symbolic link, as it is; nobody follows it.
    Link {
        /// What it says.
        target: String,
    },
}

impl SnapshotManifest {
    /// The stored form.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|e| Error::caused(ErrorKind::Bug, "the snapshot does not fit JSON", e))
    }

    /// Reads the stored form, and checks that no path of it leaves the folder it is restored to.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            format: u16,
        }
        let bad = |e| Error::caused(ErrorKind::Integrity, "this is not a snapshot's list", e);
        let Format { format } = serde_json::from_slice(bytes).map_err(bad)?;
        if format > FORMAT {
            let message = format!("the snapshot has format {format}, this annals reads {FORMAT}");
            return Err(Error::new(ErrorKind::Data, message)
                .hint("use the annals that made it, or a later one"));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(bad)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Every path is below the folder, stands once, and has no file or link above it.
    fn check(&self) -> Result<()> {
        let mut leaves: BTreeSet<&str> = BTreeSet::new();
        for entry in &self.entries {
            let path = entry.path.as_str();
            let plain = |part: &str| !["", ".", ".."].contains(&part) && !part.contains('\0');
            let real = self.format < ESCAPED_SINCE || unescaped(path).is_some();
            let above = path.match_indices('/').any(|(at, _)| leaves.contains(&path[..at]));
            if !real || !path.split('/').all(plain) || above || !leaves.insert(path) {
                let message = format!("the snapshot's path {path:?} cannot be restored");
                return Err(Error::new(ErrorKind::Integrity, message)
                    .hint("`annals verify` checks whether the log is the one that was signed"));
            }
        }
        Ok(())
    }

    /// A name in the file system, of a path or of what a link says.
    pub(super) fn real(&self, name: &str) -> OsString {
        let escaped = self.format >= ESCAPED_SINCE;
        escaped.then(|| unescaped(name)).flatten().unwrap_or_else(|| name.into())
    }

    /// Sizes of the files, all together.
    pub fn bytes(&self) -> u64 {
        self.files().map(|file| file.bytes).sum()
    }

    /// Path, digests and size of each file with bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = ManifestFile<'_>> {
        self.entries.iter().filter_map(|entry| match entry.content {
            Content::File { digest, sha256, bytes, .. } => {
                Some(ManifestFile { path: &entry.path, digest, sha256, bytes })
            }
            Content::Link { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str]) -> bool {
        let entry = |path: &&str| Entry {
            path: (*path).to_owned(),
            content: Content::Link { target: "/etc".into() },
        };
        let environment = Environment {
            tool_version: String::new(),
            libtorch: None,
            os: String::new(),
            host: String::new(),
            cpu: String::new(),
            cpus: 1,
            threads: 1,
            memory_bytes: 0,
            device: String::new(),
            accelerators: vec![],
            variables: std::collections::BTreeMap::new(),
            git: None,
            cargo_lock: None,
        };
        let manifest = SnapshotManifest {
            format: FORMAT,
            origin: String::new(),
            workspace_in_tree: None,
            tree: None,
            environment,
            rust: None,
            python: None,
            packages: vec![],
            policy_revision: 0,
            models: vec![],
            runs: vec![],
            left_out: vec![],
            entries: paths.iter().map(entry).collect(),
        };
        SnapshotManifest::decode(&manifest.encode().unwrap()).is_ok()
    }

    #[test]
    fn no_path_leaves_the_folder_or_goes_through_a_link() {
        assert!(check(&["code/a", "code/a.b", "code/b/c"]));
        let bad = [&["../a"][..], &["/a"], &["a//b"], &["a/./b"], &["a/.."], &["a", "a"], &[""]];
        bad.iter().for_each(|paths| assert!(!check(paths), "{paths:?}"));
        assert!(!check(&["code/a", "code/a/b"]));
        assert!(!check(&["a\0b"]));
        // One name has one text, and none of it hides a dot or a slash.
        assert!(check(&["code/od\\xff", "code/back\\\\slash"]));
        for bad in ["a/\\x2e\\x2e/b", "a\\x2fb", "a\\", "a\\x", "a\\xf", "a\\xFF", "a\\n", "\\x00"]
        {
            assert!(!check(&[bad]), "{bad}");
        }
    }

    #[test]
    fn every_name_has_a_text_and_comes_back() {
        let mut names: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![b'a', byte, b'b']).collect();
        names.extend([b"\\xff".to_vec(), b"\xff\\".to_vec(), "größe".into(), vec![0xe2, 0x82]]);
        for name in names {
            let text = escaped(&name);
            assert_eq!(unescaped(&text), Some(OsString::from_vec(name)), "{text}");
        }
    }
}
