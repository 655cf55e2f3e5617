//! What reading every stored file reports.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::Digest;
use crate::verify::Report;

/// What a stored file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// The folder of a run.
    RunFolder,
    /// A recorded file of a run.
    Artifact,
    /// A file of a training checkpoint, its manifest included.
    TrainCheckpoint,
    /// The rows that a run was trained on, as they were prepared.
    PreparedData,
    /// Data that annals generated for a run.
    SampleData,
    /// Another file of a run that was recorded when its folder was moved.
    RunFile,
    /// The file that an archived run is packed into.
    Archive,
    /// A file packed in an archive.
    ArchiveMember,
    /// A file of a model in production.
    Production,
    /// A file that a snapshot keeps in the blob store.
    Snapshot,
    /// Another file in the blob store.
    Blob,
}

impl FileKind {
    /// What one file of this kind is called.
    pub fn noun(self) -> &'static str {
        match self {
            Self::RunFolder => "folder of a run",
            Self::Artifact => "artifact",
            Self::TrainCheckpoint => "training checkpoint file",
            Self::PreparedData => "prepared data file",
            Self::SampleData => "sample data file",
            Self::RunFile => "other run file",
            Self::Archive => "archive",
            Self::ArchiveMember => "archive member",
            Self::Production => "production file",
            Self::Snapshot => "snapshot file",
            Self::Blob => "blob",
        }
    }
}

/// How a stored file compares with the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// It has the recorded digests; where only sizes are compared, the recorded size.
    Whole,
    /// It does not exist.
    Missing,
    /// It has another digest or size.
    Altered,
    /// No event names it, in a folder of which every file is recorded.
    Added,
    /// It cannot be read, or is not a plain file.
    Unreadable,
}

impl FileState {
    /// The word used in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Added => "added",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A stored file and how it compares with the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CheckedFile {
    /// Its path, relative to the workspace; of a packed file the path of the archive and its
    /// name in the archive.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// What it belongs to, such as `run night_20260301_090000`.
    pub belongs_to: String,
    /// How it compares with the record.
    pub state: FileState,
    /// The recorded digest, or the recorded size where only that differs; none for an added file.
    pub expected: Option<String>,
    /// The digest or size that was found, or why it cannot be read; none for a missing file.
    pub found: Option<String>,
    /// Its size; none where it was not read.
    pub bytes: Option<u64>,
    /// Position of the event that recorded it; none for an added file.
    pub position: Option<u64>,
}

impl fmt::Display for CheckedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, of, state) = (&self.path, &self.belongs_to, self.state.word());
        write!(f, "{path} ({}, {of}) is {state}", self.kind.noun())?;
        if self.state == FileState::Added {
            return f.write_str(": no event names it");
        }
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected {}", shown(expected))?;
        }
        match &self.found {
            Some(found) => write!(f, "\n  found    {}", shown(found)),
            None => Ok(()),
        }
    }
}

/// A digest by its first digits, as people compare them; other words as they are.
fn shown(text: &str) -> String {
    let (algorithm, digits) = text.split_once(':').unwrap_or(("blake3", text));
    match digits.parse::<Digest>() {
        Ok(digest) => format!("{algorithm} {}", digest.short(12)),
        Err(_) => text.to_owned(),
    }
}

/// Files of one kind together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KindTotal {
    /// The kind.
    pub kind: FileKind,
    /// Files of this kind.
    pub files: usize,
    /// Bytes that were read of them.
    pub bytes: u64,
    /// Files that are not whole.
    pub findings: usize,
}

/// Files that the record has no digest for, so that nothing can tell whether they are whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct UncheckedFiles {
    /// A file or folder, relative to the workspace.
    pub path: String,
    /// Why it cannot be checked.
    pub reason: String,
}

/// Every stored file and how it compares with the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FilesReport {
    /// Totals by kind.
    pub totals: Vec<KindTotal>,
    /// Every file that was compared.
    pub files: Vec<CheckedFile>,
    /// What could not be compared.
    pub unchecked: Vec<UncheckedFiles>,
}

impl FilesReport {
    /// The files that are not whole.
    pub fn findings(&self) -> impl Iterator<Item = &CheckedFile> {
        self.files.iter().filter(|file| file.state != FileState::Whole)
    }

    /// A report of checked files, in the order of their paths.
    pub(super) fn new(mut files: Vec<CheckedFile>, mut unchecked: Vec<UncheckedFiles>) -> Self {
        files.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
        unchecked.sort();
        unchecked.dedup();
        let mut totals = std::collections::BTreeMap::new();
        for file in &files {
            let new = KindTotal { kind: file.kind, files: 0, bytes: 0, findings: 0 };
            let total = totals.entry(file.kind).or_insert(new);
            total.files += 1;
            total.bytes += file.bytes.unwrap_or(0);
            total.findings += usize::from(file.state != FileState::Whole);
        }
        Self { totals: totals.into_values().collect(), files, unchecked }
    }
}

/// The log recomputed, and every stored file read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VerifiedFiles {
    /// What recomputing the log found.
    pub log: Report,
    /// What reading the files found.
    pub files: FilesReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, kind: FileKind, state: FileState) -> CheckedFile {
        CheckedFile {
            path: path.into(),
            kind,
            belongs_to: "run night".into(),
            state,
            expected: Some(Digest::of(b"a").to_string()),
            found: Some(format!("sha256:{}", Digest::of(b"b"))),
            bytes: Some(5),
            position: Some(7),
        }
    }

    #[test]
    fn files_are_counted_by_kind_in_the_order_of_their_paths() {
        let files = vec![
            file("b", FileKind::Artifact, FileState::Altered),
            file("a", FileKind::Artifact, FileState::Whole),
            file("c", FileKind::Blob, FileState::Whole),
        ];
        let report = FilesReport::new(files, vec![]);
        assert_eq!(report.files.iter().map(|f| f.path.as_str()).collect::<String>(), "abc");
        assert_eq!(report.findings().map(|f| f.path.as_str()).collect::<String>(), "b");
        let totals: Vec<_> = report.totals.iter().map(|t| (t.kind, t.files, t.bytes)).collect();
        assert_eq!(totals, [(FileKind::Artifact, 2, 10), (FileKind::Blob, 1, 5)]);
        assert_eq!(report.totals.iter().map(|t| t.findings).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn people_read_the_first_digits_of_a_digest() {
        let text = file("a/b", FileKind::PreparedData, FileState::Altered).to_string();
        let [a, b] = [b"a", b"b"].map(|bytes| Digest::of(bytes).short(12));
        let first = "a/b (prepared data file, run night) is altered";
        assert_eq!(text, format!("{first}\n  expected blake3 {a}\n  found    sha256 {b}"));
        let mut added = file("a/b", FileKind::Production, FileState::Added);
        added.expected = None;
        let text = "a/b (production file, run night) is added: no event names it";
        assert_eq!(added.to_string(), text);
        let mut size = file("a", FileKind::Artifact, FileState::Altered);
        (size.expected, size.found) = (Some("5 bytes".into()), Some("6 bytes".into()));
        assert!(size.to_string().ends_with("is altered\n  expected 5 bytes\n  found    6 bytes"));
    }
}
