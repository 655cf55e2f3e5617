//! Every name that annals makes in `.annals`, and what explains each. What nothing explains was put
//! there by somebody else: `doctor` names it, and the next changing verb moves it away.
//!
//! A name is explained by its shape and its type, and where annals acts on the content, by the
//! content. Files of living processes, left-over temporary files and kept edits are explained by
//! their names, whatever wrote them: nothing reads them, and they may be somebody's.
//!
//! To add a file: a line in [`FILES`] or [`FOLDERS`], and in the table of `src/lib.rs`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::app::{Workspace, workspace};
use crate::base::{Digest, InvocationId, confine};

/// The folder that takes what nothing explains.
pub(in crate::app) const QUARANTINE: &str = "quarantine";
/// Most bytes of a claim on a folder of a run.
const CLAIM_BYTES_MAX: u64 = 4_096;

/// What becomes of a name that is not of its type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Misfit {
    /// Moved: annals makes it again when it needs it.
    Move,
    /// Left: it may lead to data of the user, or a living process may have it open.
    Leave,
}

/// The plain files directly in `.annals`.
const FILES: [(&str, Misfit); 11] = [
    ("log.redb", Misfit::Leave),
    ("log.redb.new", Misfit::Move),
    ("lock", Misfit::Leave),
    ("lock.gate", Misfit::Leave),
    ("views.redb", Misfit::Move),
    ("views.lock", Misfit::Move),
    ("exports.json", Misfit::Move),
    ("exports.lock", Misfit::Move),
    ("place.json", Misfit::Move),
    ("undo.lock", Misfit::Move),
    ("redact.lock", Misfit::Move),
];

/// Whether an entry of a folder is explained.
type Explains = fn(&Workspace, &Path, &Entry) -> bool;

/// The folders directly in `.annals`, and what may be in them.
const FOLDERS: [(&str, Misfit, Explains); 6] = [
    ("blobs", Misfit::Leave, blobs),
    ("live", Misfit::Leave, live),
    ("beginnings", Misfit::Move, beginnings),
    ("redacting", Misfit::Move, redacting),
    // Kept as it was found, for people: nothing in annals reads it.
    ("damaged", Misfit::Leave, anything),
    (QUARANTINE, Misfit::Move, anything),
];

/// The type of a directory entry; links are not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    File,
    Folder,
    Link,
    Special,
}

/// One name in a folder.
struct Entry {
    name: OsString,
    kind: Type,
}

/// Something in `.annals` that nothing explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) struct Unexplained {
    /// The folder it is in, relative to `.annals`; empty at the top.
    pub folder: String,
    /// Its name, as the file system has it.
    pub name: OsString,
    /// What it is: `a file`, `a folder`, `a symbolic link`, `a special file`.
    pub kind: &'static str,
    /// Whether it may be moved away.
    pub movable: bool,
}

impl Unexplained {
    /// Its path, relative to the workspace.
    pub(in crate::app) fn path(&self) -> String {
        let name = self.name.to_string_lossy();
        match self.folder.as_str() {
            "" => format!(".annals/{name}"),
            folder => format!(".annals/{folder}/{name}"),
        }
    }
}

/// Everything in `.annals` that nothing explains, in order; among the blobs, which are many, only
/// where that is asked for.
pub(in crate::app) fn unexplained(workspace: &Workspace, list_blobs: bool) -> Vec<Unexplained> {
    let annals = workspace.annals_dir();
    let mut found = Vec::new();
    for entry in entries(&annals) {
        let known = entry.name.to_str().map(|name| (name, top(name)));
        let folder = FOLDERS.iter().find(|folder| entry.name == folder.0);
        let movable = match (folder, known) {
            (Some((name, _, explains)), _) if entry.kind == Type::Folder => {
                let below = annals.join(name);
                if *name != "blobs" || list_blobs {
                    found.extend(below_folder(workspace, &below, name, *explains));
                }
                continue;
            }
            (_, Some((_, Some(_)))) if entry.kind == Type::File => continue,
            (Some((_, misfit, _)), _) => *misfit == Misfit::Move,
            (_, Some((_, Some(misfit)))) => misfit == Misfit::Move,
            _ => true,
        };
        found.push(entry.unexplained("", movable));
    }
    found.sort_by(|a, b| (&a.folder, &a.name).cmp(&(&b.folder, &b.name)));
    found
}

fn below_folder(
    workspace: &Workspace,
    path: &Path,
    folder: &str,
    explains: Explains,
) -> Vec<Unexplained> {
    let mut found = Vec::new();
    // What a living process stages is listed before it is whole.
    if folder == "redacting" && workspace.live.any_alive() {
        return found;
    }
    for entry in entries(path) {
        if folder == "blobs" && entry.kind == Type::Folder && is_shard(&entry.name) {
            let shard = format!("{folder}/{}", entry.name.to_string_lossy());
            let below = entries(&path.join(&entry.name)).into_iter();
            let strange = below.filter(|inner| !is_blob(&entry.name, inner));
            found.extend(strange.map(|inner| inner.unexplained(&shard, true)));
        } else if !explains(workspace, path, &entry) {
            found.push(entry.unexplained(folder, true));
        }
    }
    found
}

/// What a plain file directly in `.annals` is, by its name.
fn top(name: &str) -> Option<Misfit> {
    let named = |name: &str| FILES.iter().find(|(known, _)| *known == name).map(|file| file.1);
    let of_process = |start: &str, end: &str| {
        let pid = name.strip_prefix(start)?.strip_suffix(end)?;
        is_number(pid).then_some(Misfit::Move)
    };
    named(name)
        .or_else(|| of_process("policy-edit-", ".json"))
        // What an editor keeps beside the file that it edits.
        .or_else(|| is_editors(name).then_some(Misfit::Move))
        .or_else(|| of_process("engine.", ".log"))
        .or_else(|| top(temporary_of(name)?))
}

/// Whether an editor makes a file of that name beside an edit of the policy.
fn is_editors(name: &str) -> bool {
    let name = name.trim_start_matches(['.', '#']);
    name.starts_with("policy-edit-")
}

/// The name of the file that a temporary file is to become: `.NAME.PID.tmp`, `.NAME.PID-N.tmp`.
fn temporary_of(name: &str) -> Option<&str> {
    let (of, number) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('.')?;
    let (pid, number) = number.split_once('-').unwrap_or((number, "0"));
    (is_number(pid) && is_number(number)).then_some(of)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())
}

fn anything(_: &Workspace, _: &Path, _: &Entry) -> bool {
    true
}

fn is_shard(name: &OsStr) -> bool {
    let hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    let name = name.as_encoded_bytes();
    name.len() == 2 && name.iter().all(hex)
}

/// Beside the folders of blobs only copies that are being made.
fn blobs(_: &Workspace, _: &Path, entry: &Entry) -> bool {
    let name = entry.name.to_str();
    entry.kind == Type::File && name.and_then(temporary_of) == Some("incoming")
}

/// A blob is explained by its digest: it is checked whenever it is read.
fn is_blob(shard: &OsStr, entry: &Entry) -> bool {
    let Some(name) = entry.name.to_str() else { return false };
    let gone = || name.strip_prefix('.')?.strip_suffix(".gone");
    let of = temporary_of(name).or_else(gone).unwrap_or(name);
    let digest = of.parse::<Digest>().is_ok_and(|digest| *shard == *digest.short(2));
    entry.kind == Type::File && digest
}

/// A lock of an invocation: without a process that holds it, it means nothing.
fn live(_: &Workspace, _: &Path, entry: &Entry) -> bool {
    let id = entry.name.to_str().and_then(|name| name.strip_suffix(".lock"));
    entry.kind == Type::File && id.is_some_and(|id| id.parse::<InvocationId>().is_ok())
}

/// A claim on the folder of a run that is about to begin: held by its process, or naming a folder
/// that recovery may look at.
fn beginnings(_: &Workspace, folder: &Path, entry: &Entry) -> bool {
    if entry.kind != Type::File {
        return false;
    }
    // One that is gone was cleared; one that cannot be read is left alone by everything.
    let Ok(file) = confine::plain_file(&folder.join(&entry.name)) else { return true };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_err() {
        return true;
    }
    let mut text = Vec::new();
    let read = file.take(CLAIM_BYTES_MAX).read_to_end(&mut text);
    let text = String::from_utf8(text).ok().filter(|_| read.is_ok());
    // A crash may come before the text.
    text.is_some_and(|text| text.is_empty() || text.lines().next().is_some_and(is_claim))
}

fn is_claim(place: &str) -> bool {
    confine::public(place).is_ok()
}

/// New bytes of files, by number, and the list of them.
fn redacting(workspace: &Workspace, _: &Path, entry: &Entry) -> bool {
    let Some(name) = entry.name.to_str() else { return false };
    let of = temporary_of(name).unwrap_or(name);
    // A crash may come before the list has its name.
    let listed = name != "manifest.json" || workspace::is_plausible_list(workspace);
    entry.kind == Type::File && (is_number(of) || of == "manifest.json") && listed
}

impl Entry {
    fn unexplained(self, folder: &str, movable: bool) -> Unexplained {
        let kind = match self.kind {
            Type::File => "a file",
            Type::Folder => "a folder",
            Type::Link => "a symbolic link",
            Type::Special => "a special file",
        };
        Unexplained { folder: folder.to_owned(), name: self.name, kind, movable }
    }
}

/// What is in a folder; nothing where it cannot be read.
fn entries(folder: &Path) -> Vec<Entry> {
    let Ok(listed) = fs::read_dir(folder) else { return vec![] };
    let entry = |entry: fs::DirEntry| {
        let kind = entry.file_type().ok()?;
        let kind = match kind {
            kind if kind.is_file() => Type::File,
            kind if kind.is_dir() => Type::Folder,
            kind if kind.is_symlink() => Type::Link,
            _ => Type::Special,
        };
        Some(Entry { name: entry.file_name(), kind })
    };
    listed.flatten().filter_map(entry).collect()
}
