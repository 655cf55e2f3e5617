//! Whole folders of runs that change their place: by one rename where nothing inside changes, else
//! built anew beside the target (packed, unpacked, without what is dropped) and renamed, and the
//! source taken away after that.
//!
//! What a crash leaves: before the rename the source, and a temporary folder that
//! [`recover_relocation`] removes; after it the target, whole, and some of the source, whose rest
//! it removes. Files that came to the source after the plan are never removed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind::AlreadyExists};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;

use super::{
    EffectError, Recovered, at, check, check_plan, digests_plain, pack, plain, remove_dir, taken,
    temporary,
};
use crate::base::confine::{self, Folder};
use crate::base::{Digest, FileDigests, durable, failpoint};
use crate::domain::file_move::{MovePlan, MovePurpose, MovedFile};
use crate::domain::run::{DroppedFile, Pack, PackedFiles};
use crate::store::{Blobs, copy_into};

/// The folders of a run that hold weights: its own with the training checkpoints, and those of the
/// members of an ensemble.
const WEIGHTS: [&str; 2] = ["checkpoints", "members"];

/// Whether a file of a run, by its path in the run's folder, is in a folder of weights.
pub fn is_weight_file(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, _)| WEIGHTS.contains(&folder))
}

/// What a plan does beside moving.
#[derive(Clone, Copy, Default)]
struct Changes<'a> {
    pack: Option<Pack>,
    unpack: Option<Pack>,
    dropped: &'a [DroppedFile],
    from_blobs: &'a [DroppedFile],
}

impl<'a> Changes<'a> {
    fn of(plan: &'a MovePlan) -> Self {
        match &plan.purpose {
            MovePurpose::Archive(order) => {
                Self { pack: order.pack, dropped: &order.dropped, ..Self::default() }
            }
            MovePurpose::Restore(order) => {
                Self { unpack: order.pack, from_blobs: &order.from_blobs, ..Self::default() }
            }
            MovePurpose::Promotion { .. }
            | MovePurpose::Demotion { .. }
            | MovePurpose::Rollback { .. }
            | MovePurpose::Repair { .. }
            | MovePurpose::Removal(_)
            | MovePurpose::Migration(_) => Self::default(),
        }
    }

    fn any(&self) -> bool {
        self.pack.is_some()
            || self.unpack.is_some()
            || !self.dropped.is_empty()
            || !self.from_blobs.is_empty()
    }
}

/// The name of `path` inside the pack, where it is in it.
fn inside(pack: Option<Pack>, path: &str) -> Option<&str> {
    path.strip_prefix(pack?.file())?.strip_prefix('/')
}

/// Every file below `folder`, in the order of their paths, as they are now.
///
/// # Errors
/// When something in it is not a plain file or folder, or cannot be read.
pub fn survey(root: &Path, folder: &str) -> Result<Vec<MovedFile>, EffectError> {
    let base = run_folder(root, folder)?;
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(inner) = folders.pop() {
        let dir = base.join(&inner);
        for entry in fs::read_dir(&dir).map_err(at("read", &dir))? {
            let entry = entry.map_err(at("read", &dir))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| EffectError::NotPlain(entry.path()))?;
            let path = if inner.is_empty() { name.to_owned() } else { format!("{inner}/{name}") };
            let kind = entry.file_type().map_err(at("read", &entry.path()))?;
            if kind.is_dir() {
                folders.push(path);
            } else {
                let (digests, bytes) = digests_plain(&entry.path())?;
                files.push(MovedFile {
                    source: path.clone(),
                    path,
                    digest: digests.blake3,
                    sha256: Some(digests.sha256),
                    bytes,
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Size of a folder, and what tells whether anything in it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Whether the folder is there.
    pub there: bool,
    /// Bytes of its files.
    pub all: u64,
    /// Bytes of weights and training checkpoints among them.
    pub weights: u64,
    /// Why it cannot be moved: something in it that is no plain file, cannot be read or has a name
    /// that cannot be recorded.
    pub odd: Option<String>,
    /// Digest over the names, sizes and times of change of its files.
    pub state: Option<Digest>,
}

/// The size of a run's folder; nothing where it is not there. Reads no file. What cannot be read or
/// moved is odd: it bars this folder from being moved, and stops nothing else.
pub fn size(root: &Path, folder: &str) -> Size {
    // A folder that is elsewhere holds up nothing but itself.
    match run_folder(root, folder) {
        Ok(base) => size_of(&base),
        Err(_) => {
            let odd = format!("a path of {folder} leaves the workspace or is a symbolic link");
            Size { there: true, odd: Some(odd), ..Size::default() }
        }
    }
}

fn size_of(base: &Path) -> Size {
    let mut size = Size::default();
    let mut seen = Vec::new();
    let mut folders = vec![(base.to_owned(), false)];
    let unreadable = |path: &Path, e: &io::Error| format!("cannot read {}: {e}", path.display());
    while let Some((dir, weights)) = folders.pop() {
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => {
                size.odd = Some(unreadable(&dir, &e));
                continue;
            }
            Ok(entries) => entries,
        };
        size.there = true;
        for entry in entries {
            let (path, file) = match entry.and_then(|entry| Ok((entry.path(), file_of(&entry)?))) {
                Ok(entry) => entry,
                Err(e) => {
                    size.odd = Some(unreadable(&dir, &e));
                    continue;
                }
            };
            let name = path.file_name().unwrap_or_default();
            if name.to_str().is_none() {
                size.odd = Some(format!("the name of {} is not UTF-8", path.display()));
            }
            let weights = weights || (dir == *base && WEIGHTS.iter().any(|folder| name == *folder));
            let Some(meta) = file else {
                folders.push((path, weights));
                continue;
            };
            size.all += meta.len();
            size.weights += if weights { meta.len() } else { 0 };
            let name = path.strip_prefix(base).unwrap_or(&path).to_string_lossy().into_owned();
            seen.push((name, meta.len(), meta.mtime(), meta.mtime_nsec()));
            if !meta.is_file() {
                let shown = path.display();
                size.odd = Some(format!("{shown} is not a plain file; links are not followed"));
            }
        }
    }
    seen.sort();
    size.state = (!seen.is_empty()).then(|| Digest::of(format!("{seen:?}").as_bytes()));
    size
}

/// What is known of an entry that is no folder. A folder is known by its kind alone.
fn file_of(entry: &fs::DirEntry) -> io::Result<Option<fs::Metadata>> {
    if entry.file_type()?.is_dir() { Ok(None) } else { entry.metadata().map(Some) }
}

/// The files in the pack of an archived folder, by name.
///
/// # Errors
/// When the pack cannot be read.
pub fn survey_pack(
    root: &Path,
    folder: &str,
    pack: Pack,
) -> Result<BTreeMap<String, (FileDigests, u64)>, EffectError> {
    let file = run_folder(root, folder)?.join(pack.file());
    plain(&file)?;
    pack::digests(pack, &file).map_err(at("unpack", &file))
}

/// The bytes of one file in the pack of an archived folder; none where it is not in it.
///
/// # Errors
/// When the pack cannot be read.
pub fn packed_file(
    root: &Path,
    folder: &str,
    pack: Pack,
    path: &str,
) -> Result<Option<Vec<u8>>, EffectError> {
    let file = run_folder(root, folder)?.join(pack.file());
    plain(&file)?;
    let mut found = None;
    let read = pack::read(pack, &file, |name, bytes| {
        if name == path {
            let mut whole = Vec::new();
            bytes.read_to_end(&mut whole)?;
            found = Some(whole);
        }
        Ok(())
    });
    read.map_err(at("unpack", &file))?;
    Ok(found)
}

/// The bytes of a pack in which `each` has other bytes for some files; none where it has for none.
///
/// # Errors
/// When the pack cannot be read.
pub fn repacked(
    pack: Pack,
    file: &Path,
    each: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> Result<Option<Vec<u8>>, EffectError> {
    pack::repacked(pack, file, each).map_err(at("unpack", file))
}

/// Brings a folder to its target and takes the source away.
///
/// # Errors
/// When the target is taken, a file is not what the plan says, or files cannot be written;
/// [`recover_relocation`] then tells where they are.
pub fn relocate(root: &Path, blobs: &Blobs, plan: &MovePlan) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    let (source, target) = (root.join(&plan.from), root.join(&plan.to));
    if let Some(parent) = target.parent() {
        make_all(root, parent).map_err(at("make", parent))?;
    }
    if let Some(taken) = taken(&target)? {
        return Err(EffectError::TargetExists(taken));
    }
    failpoint::hit();
    let changes = Changes::of(plan);
    if !changes.any() {
        match rename(root, &source, &target) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {}
            renamed => {
                check_rename(renamed, &source, &target)?;
                failpoint::hit();
                durable::sync_parent(&source).map_err(at("sync", &source))?;
                durable::sync_parent(&target).map_err(at("sync", &target))?;
                return rename_inside(root, plan);
            }
        }
    }
    build(root, blobs, plan, changes)?;
    finish(root, plan, changes)
}

/// Gives files of a folder that has arrived the names that the plan has for them; those that have
/// them already, keep them.
fn rename_inside(root: &Path, plan: &MovePlan) -> Result<(), EffectError> {
    if !matches!(plan.purpose, MovePurpose::Migration(_)) {
        return Ok(());
    }
    let target = root.join(&plan.to);
    for file in plan.files.iter().filter(|file| file.path != file.source) {
        let (from, to) = (target.join(&file.source), target.join(&file.path));
        if let Some(parent) = to.parent() {
            make_all(root, parent).map_err(at("make", parent))?;
        }
        match rename(root, &from, &to) {
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | AlreadyExists) => {}
            renamed => {
                check_rename(renamed, &from, &to)?;
                failpoint::hit();
                durable::sync_parent(&to).map_err(at("sync", &to))?;
            }
        }
        // Its folder goes where nothing is left in it.
        if let Some(left) = from.parent().filter(|left| *left != target) {
            let _ = fs::remove_dir(left);
        }
    }
    Ok(())
}

fn make_all(root: &Path, folder: &Path) -> io::Result<()> {
    Folder::open(root)?.make_all(folder)
}

/// Renames inside the workspace, where nothing has the name yet.
fn rename(root: &Path, from: &Path, to: &Path) -> io::Result<()> {
    Folder::open(root)?.rename(from, to, RenameFlags::NOREPLACE)
}

fn check_rename(renamed: io::Result<()>, from: &Path, target: &Path) -> Result<(), EffectError> {
    renamed.map_err(|e| match e.kind() {
        AlreadyExists => EffectError::TargetExists(target.to_owned()),
        _ => at("rename", from)(e),
    })
}

/// Makes the target beside its place, checks every file and renames it.
fn build(
    root: &Path,
    blobs: &Blobs,
    plan: &MovePlan,
    changes: Changes<'_>,
) -> Result<(), EffectError> {
    let (source, target) = (root.join(&plan.from), root.join(&plan.to));
    let temporary = temporary(root, plan);
    remove_dir(&temporary)?;
    make_all(root, &temporary).map_err(at("make", &temporary))?;
    let mut packed = Vec::new();
    for file in &plan.files {
        let from = source.join(&file.source);
        if inside(changes.unpack, &file.source).is_some() {
            continue;
        }
        plain(&from)?;
        match inside(changes.pack, &file.path) {
            Some(name) => packed.push((name, from)),
            None => place(root, &from, &temporary.join(&file.path))?,
        }
    }
    if let Some(pack) = changes.pack {
        let file = temporary.join(pack.file());
        let target = Folder::open(root).and_then(|root| root.create(&file));
        let written = target.and_then(|target| pack::write(pack, target, &packed));
        written.map_err(at("pack", &file))?;
    }
    if let Some(pack) = changes.unpack {
        let wanted: BTreeMap<&str, &str> = plan
            .files
            .iter()
            .filter_map(|f| Some((inside(Some(pack), &f.source)?, f.path.as_str())))
            .collect();
        let file = source.join(pack.file());
        // Only names of the plan are written, whatever the pack holds.
        let unpacked = pack::read(pack, &file, |name, bytes| match wanted.get(name) {
            Some(path) => unpack(root, bytes, &temporary.join(path)),
            None => Ok(()),
        });
        unpacked.map_err(at("unpack", &file))?;
    }
    for file in changes.from_blobs {
        place(root, &blobs.path(file.digest), &temporary.join(&file.path))?;
    }
    failpoint::hit();
    contains_exactly(plan, changes, &temporary)?;
    sync_dirs(&temporary)?;
    check_rename(rename(root, &temporary, &target), &temporary, &target)?;
    failpoint::hit();
    durable::sync_parent(&target).map_err(at("sync", &target))
}

fn place(root: &Path, from: &Path, to: &Path) -> Result<(), EffectError> {
    let target = Folder::open(root).and_then(|root| root.create(to));
    target.and_then(|target| copy_into(from, target)).map_err(at("copy", from))
}

fn unpack(root: &Path, bytes: &mut dyn io::Read, to: &Path) -> io::Result<()> {
    let mut file = Folder::open(root)?.create(to)?;
    io::copy(&mut &mut *bytes, &mut file)?;
    file.sync_all()
}

/// Whether `folder` holds every file of the plan, byte for byte.
fn contains_exactly(
    plan: &MovePlan,
    changes: Changes<'_>,
    folder: &Path,
) -> Result<(), EffectError> {
    let packed = match changes.pack {
        Some(pack) => {
            let file = folder.join(pack.file());
            pack::digests(pack, &file).map_err(at("unpack", &file))?
        }
        None => BTreeMap::new(),
    };
    for file in &plan.files {
        let Some(name) = inside(changes.pack, &file.path) else {
            check(&folder.join(&file.path), file.digest)?;
            continue;
        };
        match packed.get(name) {
            Some((digests, _)) if digests.blake3 == file.digest => {}
            found => {
                return Err(EffectError::Changed {
                    path: folder.join(&file.path),
                    expected: file.digest,
                    found: found.map_or(Digest::of(b""), |(digests, _)| digests.blake3),
                });
            }
        }
    }
    changes.from_blobs.iter().try_for_each(|file| check(&folder.join(&file.path), file.digest))
}

/// Takes away what is left of the source: files of the plan, and folders that are empty then.
fn finish(root: &Path, plan: &MovePlan, changes: Changes<'_>) -> Result<(), EffectError> {
    let source = root.join(&plan.from);
    let workspace = Folder::open(root).map_err(at("open", root))?;
    let pack = changes.unpack.map(|pack| (pack.file(), None));
    let loose = plan.files.iter().map(|f| (f.source.as_str(), Some(f.digest)));
    let loose = loose.filter(|(path, _)| inside(changes.unpack, path).is_none());
    let dropped = changes.dropped.iter().map(|f| (f.path.as_str(), Some(f.digest)));
    for (file, digest) in loose.chain(dropped).chain(pack) {
        let path = format!("{}/{file}", plan.from);
        // What has other bytes than the plan was changed since, or never was the run's.
        let same = match workspace.read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(_) => false,
            Ok(_) if digest.is_none() => true,
            Ok(mut file) => {
                let read = Digest::of_reader(&mut file).map_err(at("read", &root.join(&path)))?;
                Some(read.0) == digest
            }
        };
        if same {
            workspace.remove_file(&path).map_err(at("remove", &root.join(&path)))?;
        }
        failpoint::hit();
    }
    remove_empty(&source)?;
    match durable::sync_parent(&source) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at("sync", &source)(e)),
        _ => Ok(()),
    }
}

/// Removes `dir` and the folders below it, as far as they hold no file.
fn remove_empty(dir: &Path) -> Result<bool, EffectError> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries.map_err(at("read", dir))?,
    };
    let mut empty = true;
    for entry in entries {
        let entry = entry.map_err(at("read", dir))?;
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        empty &= folder && remove_empty(&entry.path())?;
    }
    if empty {
        fs::remove_dir(dir).map_err(at("remove", dir))?;
    }
    Ok(empty)
}

fn sync_dirs(dir: &Path) -> Result<(), EffectError> {
    for entry in fs::read_dir(dir).map_err(at("read", dir))? {
        let entry = entry.map_err(at("read", dir))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_dirs(&entry.path())?;
        }
    }
    durable::sync_dir(dir).map_err(at("sync", dir))
}

/// Takes away what a relocation made that found its target taken. What stands there is somebody
/// else's, also where it has the very bytes of the plan.
///
/// # Errors
/// When files cannot be removed.
pub fn abandon_relocation(root: &Path, plan: &MovePlan) -> Result<(), EffectError> {
    check_plan(root, plan)?;
    remove_dir(&temporary(root, plan))
}

/// Finds out how far a relocation got, and finishes or takes back the rest: afterwards every file
/// is at its target or every file is at its source.
///
/// # Errors
/// When files cannot be read or removed.
pub fn recover_relocation(root: &Path, plan: &MovePlan) -> Result<Recovered, EffectError> {
    check_plan(root, plan)?;
    let (source, target) = (root.join(&plan.from), root.join(&plan.to));
    remove_dir(&temporary(root, plan))?;
    if !target.is_dir() {
        return Ok(Recovered::RolledBack);
    }
    let changes = Changes::of(plan);
    // Beside a source that is still there, a target that is not the plan's is somebody else's.
    if source.is_dir() && contains_exactly(plan, changes, &target).is_err() {
        return Ok(Recovered::RolledBack);
    }
    finish(root, plan, changes)?;
    rename_inside(root, plan)?;
    Ok(Recovered::Completed)
}

/// The pack of a relocation that has arrived.
///
/// # Errors
/// When it cannot be read.
pub fn packed(root: &Path, plan: &MovePlan) -> Result<Option<PackedFiles>, EffectError> {
    check_plan(root, plan)?;
    let Some(pack) = Changes::of(plan).pack else { return Ok(None) };
    let (digests, bytes) = digests_plain(&root.join(&plan.to).join(pack.file()))?;
    let FileDigests { blake3: digest, sha256 } = digests;
    Ok(Some(PackedFiles { pack, digest, sha256: Some(sha256), bytes }))
}

/// The folder of a run, which is inside the workspace and reached without links.
fn run_folder(root: &Path, folder: &str) -> Result<PathBuf, EffectError> {
    confine::public(folder)?;
    Ok(confine::inside(root, folder)?)
}
