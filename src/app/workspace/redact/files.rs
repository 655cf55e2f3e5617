//! What goes out of files: the same texts wherever annals keeps them, and whole files.
//!
//! New bytes are made beside (`.annals/redacting/`) before the log says that they are in force, and
//! put in place afterwards, by the next changing verb where a crash came between. They never hold
//! what goes. A file whose digest stands in other files changes those as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Stays;
use super::deciding::{DecidingFiles, DecidingHits};
use super::text_matcher::{Renamed, TextMatcher};
use crate::app::{Error, Result, Workspace};
use crate::base::confine::{self, Folder};
use crate::base::{Digest, FileDigests, InvocationId, durable, failpoint};
use crate::domain::run::{Archive, Pack};
use crate::effect;

/// Folder under `.annals` for what is on its way.
const FOLDER: &str = "redacting";
const MANIFEST: &str = "manifest.json";
/// Largest list: some hundred bytes for each of a million files.
const MANIFEST_BYTES_MAX: u64 = 512 << 20;

/// What is annals' own under the workspace.
pub(super) struct Scope {
    /// Folders, with `/` at the end.
    folders: BTreeSet<String>,
    /// Registry files, which are made anew from the log.
    regenerated: BTreeSet<String>,
    /// Those that somebody edited: they are set aside before.
    edited: BTreeSet<String>,
}

/// Files with other bytes.
#[derive(Default)]
pub(super) struct NewFiles {
    pub(super) files: Vec<NewFile>,
    /// What their digests were, and are.
    pub(super) digests: Renamed,
    /// Files of others in which a text stands.
    pub(super) stays: Vec<Stays>,
    /// Files that keep a text because they decide a result.
    pub(super) deciding: DecidingHits,
}

pub(super) struct NewFile {
    pub(super) path: String,
    target: String,
    bytes: Vec<u8>,
}

/// What lies in the folder, and where it goes.
#[derive(Serialize, Deserialize)]
struct StagedFiles {
    invocation: InvocationId,
    files: Vec<Move>,
}

#[derive(Serialize, Deserialize)]
struct Move {
    staged: String,
    target: String,
    remove: Option<String>,
}

/// The folders and files of annals in this workspace.
pub(super) fn redaction_scope(workspace: &Workspace) -> Result<Scope> {
    let views = workspace.summed_snapshot()?;
    let (_, policy) = views.policy()?;
    let layout = &workspace.layout;
    let archives = [Archive::Debug, Archive::Baseline, Archive::Archived];
    let archives = archives.iter().map(|archive| layout.archive(*archive, &policy));
    let own = [&layout.experiments, &layout.production, &layout.training].map(Clone::clone);
    let runs = views.run_details()?.into_iter().map(|run| run.folder);
    let folders = own.into_iter().chain(archives).chain(runs).chain([".annals".into()]);
    let edited: BTreeSet<String> = workspace.exporter().edited().into_iter().collect();
    let mut regenerated = workspace.exporter().names();
    regenerated.retain(|name| !edited.contains(name));
    let folders = folders.filter(|folder| !folder.is_empty()).map(|f| format!("{f}/"));
    Ok(Scope { folders: folders.collect(), regenerated, edited })
}

/// Every file without the texts and without the bytes of `blobs`.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn mask_files(
    workspace: &Workspace,
    scope: &Scope,
    deciding: &DecidingFiles,
    texts: &BTreeSet<String>,
    blobs: &BTreeSet<Digest>,
    position: u64,
) -> Result<NewFiles> {
    let mut paths = Vec::new();
    walk(&workspace.root, "", &mut paths).map_err(|e| Error::io("list the workspace", e))?;
    let mut new = NewFiles::default();
    loop {
        let matcher = TextMatcher::new(texts, &new.digests)?;
        let mask = Mask { matcher, deciding, blobs, position };
        let mut next = NewFiles::default();
        for path in &paths {
            mask_file(workspace, scope, &mask, path, &mut next)?;
        }
        if next.digests == new.digests {
            return Ok(next);
        }
        new = next;
    }
}

fn mask_file(
    workspace: &Workspace,
    scope: &Scope,
    mask: &Mask<'_>,
    path: &str,
    new: &mut NewFiles,
) -> Result<()> {
    let failed = |e| Error::io(format!("read {path}"), e);
    let found = || mask.matcher.occurs_in_stream(reader(workspace, path)?);
    if !scope.masks(path) {
        if scope.looks_at(path) && found().map_err(failed)? {
            new.stays.push(Stays::File { path: path.to_owned() });
        }
        return Ok(());
    }
    let full = workspace.root.join(path);
    let packed = [(".tar.zst", Pack::Zst), (".tar.gz", Pack::Gz)];
    let packed = packed.into_iter().find(|(ending, _)| path.ends_with(ending));
    // A blob has no ending; logs packed together lie among them.
    let blob = path.starts_with(".annals/blobs/") && starts_as_gzip(&full).map_err(failed)?;
    let blob =
        blob.then(|| effect::repacked(Pack::Gz, &full, |bytes| mask.bytes(path, bytes, new)));
    let masked = if let Some((_, pack)) = packed {
        effect::repacked(pack, &full, |bytes| mask.bytes(path, bytes, new))?
    } else if let Some(Ok(masked)) = blob {
        masked
    } else if mask.blobs.is_empty() && !found().map_err(failed)? {
        None
    } else {
        mask.bytes(path, &fs::read(&full).map_err(failed)?, new)
    };
    if let Some(bytes) = masked {
        let old = reader(workspace, path).and_then(|mut file| FileDigests::of_reader(&mut file));
        new.push(path, old.map_err(failed)?.0, bytes);
    }
    Ok(())
}

fn reader(workspace: &Workspace, path: &str) -> io::Result<BufReader<File>> {
    Ok(BufReader::new(File::open(workspace.root.join(path))?))
}

/// Makes the new bytes durable beside, for the invocation that will put them in place.
///
/// # Errors
/// When they cannot be written.
pub(super) fn stage(workspace: &Workspace, invocation: InvocationId, new: &NewFiles) -> Result<()> {
    let dir = workspace.annals_dir().join(FOLDER);
    let staged = || -> io::Result<()> {
        remove_dir(&dir)?;
        durable::create_dir_all(&dir)?;
        let mut files = Vec::new();
        for (number, file) in new.files.iter().enumerate() {
            let staged = number.to_string();
            durable::write(&dir.join(&staged), &file.bytes)?;
            let remove = (file.path != file.target).then(|| file.path.clone());
            files.push(Move { staged, target: file.target.clone(), remove });
        }
        let manifest = serde_json::to_vec_pretty(&StagedFiles { invocation, files })?;
        durable::write(&dir.join(MANIFEST), &manifest)
    };
    staged().map_err(|e| Error::io("write .annals/redacting", e))
}

/// Which invocation put new bytes beside; none where there are none.
pub(super) fn staged_by(workspace: &Workspace) -> Option<InvocationId> {
    Some(manifest_of_redaction(workspace)?.invocation)
}

/// Whether anything lies beside.
pub(super) fn anything_staged(workspace: &Workspace) -> bool {
    workspace.annals_dir().join(FOLDER).is_dir()
}

/// Whether the list of staged files is one that annals makes, by its text alone: files by number,
/// and paths inside the workspace.
pub(in crate::app) fn is_plausible_list(workspace: &Workspace) -> bool {
    let inside = |path: &str| confine::relative(path).is_ok();
    let may = |file: &Move| {
        let number = file.staged.parse::<usize>().is_ok();
        number && inside(&file.target) && file.remove.as_deref().is_none_or(inside)
    };
    manifest_of_redaction(workspace).is_some_and(|list| list.files.iter().all(may))
}

fn manifest_of_redaction(workspace: &Workspace) -> Option<StagedFiles> {
    let path = workspace.annals_dir().join(FOLDER).join(MANIFEST);
    let text = confine::read_plain(&path, MANIFEST_BYTES_MAX).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Puts the new bytes in place of those that the log names, and returns the files it left as
/// they are: changed since, or not named by the log. Done twice it changes nothing more.
///
/// # Errors
/// When they cannot be written.
pub(super) fn put_staged(
    workspace: &Workspace,
    renamed: &BTreeMap<Digest, Digest>,
) -> Result<Vec<String>> {
    let Some(manifest) = manifest_of_redaction(workspace) else { return Ok(vec![]) };
    let failed = |e| Error::io("read .annals/redacting", e);
    let folder = Folder::open(&workspace.root).map_err(failed)?;
    let mut left = Vec::new();
    for file in &manifest.files {
        let put = put(&folder, file, renamed)
            .map_err(|e| Error::io(format!("write {}", file.target), e))?;
        if !put {
            left.push(file.target.clone());
        }
        failpoint::hit();
    }
    drop_staged(workspace)?;
    Ok(left)
}

/// Forgets the new bytes.
///
/// # Errors
/// When they cannot be removed.
pub(super) fn drop_staged(workspace: &Workspace) -> Result<()> {
    let dir = workspace.annals_dir().join(FOLDER);
    // The list goes last: what is listed can be put in place again.
    let removed = || -> io::Result<()> {
        match fs::remove_file(dir.join(MANIFEST)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => failpoint::hit(),
        }
        remove_dir(&dir)
    };
    removed().map_err(|e| Error::io("remove .annals/redacting", e))
}

/// Puts one file in place, where its bytes are the ones that the log has for the bytes that are
/// there; whether they are there now.
fn put(folder: &Folder, file: &Move, renamed: &BTreeMap<Digest, Digest>) -> io::Result<bool> {
    let old = file.remove.as_deref().unwrap_or(&file.target);
    if !may_write(&file.target) || !may_write(old) {
        return Ok(false);
    }
    let staged = format!(".annals/{FOLDER}/{}", file.staged);
    let mut bytes = Vec::new();
    match folder.read(&staged) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(_) => return Ok(false),
    };
    let new = Digest::of(&bytes);
    let (digest, permissions) = match folder.read(old) {
        Ok(mut file) => {
            let permissions = file.metadata()?.permissions();
            (Some(Digest::of_reader(&mut file)?.0), Some(permissions))
        }
        Err(_) => (None, None),
    };
    // Only a blob changes its name, which is its digest.
    let named = file.remove.is_none() || file.target.ends_with(&format!("/{new}"));
    if !named || digest.is_none_or(|digest| renamed.get(&digest) != Some(&new)) {
        // A crash may have come after it was put in place.
        let target = folder.read(&file.target).and_then(|mut f| Digest::of_reader(&mut f));
        return Ok(target.is_ok_and(|(digest, _)| digest == new));
    }
    folder.write(&file.target, &bytes, permissions)?;
    if let Some(old) = &file.remove {
        failpoint::hit();
        folder.remove_file(old)?;
    }
    Ok(true)
}

/// Of annals' own files only blobs are written anew.
fn may_write(path: &str) -> bool {
    confine::public(path).is_ok()
        || path.starts_with(".annals/blobs/") && confine::relative(path).is_ok()
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

impl NewFiles {
    /// The sizes of files that are not as long as before: packs.
    pub(super) fn sizes(&self) -> BTreeMap<Digest, u64> {
        self.files.iter().map(|file| (Digest::of(&file.bytes), file.bytes.len() as u64)).collect()
    }

    fn push(&mut self, path: &str, old: FileDigests, bytes: Vec<u8>) {
        let new = FileDigests::of(&bytes);
        self.digests.insert(old, new);
        let (old, new) = (old.blake3, new.blake3);
        // A blob is called by its digest.
        let blob = path.strip_prefix(".annals/blobs/").filter(|p| p.ends_with(&old.to_string()));
        let target = match blob {
            Some(_) => format!(".annals/blobs/{}/{new}", new.short(2)),
            None => path.to_owned(),
        };
        self.files.push(NewFile { path: path.to_owned(), target, bytes });
    }
}

impl Scope {
    /// Whether annals may write the file: it lies where only annals writes, or is a copy of a
    /// registry file that somebody had edited.
    fn masks(&self, path: &str) -> bool {
        let database = [".annals/log.redb", ".annals/views.redb", ".annals/exports.json"];
        let own = self.folders.iter().any(|folder| path.starts_with(folder.as_str()));
        let on_its_way = path.starts_with(&format!(".annals/{FOLDER}/"));
        let aside = !path.contains('/') && path.contains(".edited-") || self.edited.contains(path);
        // What follows from the log is made anew, so that nobody takes it for edited.
        let follows = self.regenerated.contains(path);
        (own || aside)
            && !follows
            && !on_its_way
            && !database.iter().any(|file| path.starts_with(file))
    }

    /// Whether a text in the file is worth telling of.
    fn looks_at(&self, path: &str) -> bool {
        !path.starts_with(".annals/") && !self.regenerated.contains(path)
    }
}

struct Mask<'a> {
    matcher: TextMatcher,
    deciding: &'a DecidingFiles,
    blobs: &'a BTreeSet<Digest>,
    position: u64,
}

impl Mask<'_> {
    /// What replaces the bytes of the file at `path`, or of one in the pack there; none where they
    /// stay.
    fn bytes(&self, path: &str, bytes: &[u8], new: &mut NewFiles) -> Option<Vec<u8>> {
        let old = Digest::of(bytes);
        let masked = if self.blobs.contains(&old) {
            self.filler(bytes.len())
        } else if self.matcher.occurs_in(bytes) {
            let by_digest = || self.deciding.by_digest(old).map(str::to_owned);
            if let Some(what) = self.deciding.by_path(path).or_else(by_digest) {
                if self.matcher.text_in(bytes) {
                    new.deciding.insert((path.to_owned(), what));
                }
                return None;
            }
            self.matcher.in_file(bytes, self.position)
        } else {
            return None;
        };
        if masked == bytes {
            return None;
        }
        new.digests.insert(FileDigests::of(bytes), FileDigests::of(&masked));
        Some(masked)
    }

    /// What replaces a file as a whole: as long as the file, so that recorded sizes stay right.
    fn filler(&self, length: usize) -> Vec<u8> {
        let mut filler = format!("redacted at {}\n", self.position).into_bytes();
        filler.resize(length, b' ');
        filler
    }
}

fn starts_as_gzip(path: &Path) -> io::Result<bool> {
    let mut magic = Vec::new();
    File::open(path)?.take(2).read_to_end(&mut magic)?;
    Ok(magic == [0x1f, 0x8b])
}

/// Every plain file under `folder`, by its path from `root`. Links are not followed, and what
/// belongs to git is git's.
fn walk(root: &Path, folder: &str, found: &mut Vec<String>) -> io::Result<()> {
    let path: PathBuf = if folder.is_empty() { root.to_owned() } else { root.join(folder) };
    let mut entries: Vec<fs::DirEntry> = fs::read_dir(path)?.collect::<io::Result<_>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && name != ".git" {
            walk(root, &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}
