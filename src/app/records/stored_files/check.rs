//! Reads every stored file on all cores and compares it with the record.
//!
//! The list is made from the log alone. Another process may move files meanwhile: what is not as
//! recorded is listed and read once more where the log has grown since.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;

use super::expected::RunRecord;
use super::list::{Listed, Listing, Work, checked};
use super::recorded::Compared;
use super::report::{CheckedFile, FileKind, FileState, FilesReport, UncheckedFiles};
use crate::app::records::window::scan;
use crate::app::{Error, Result, Workspace};
use crate::base::parallel::{cores, in_order};
use crate::base::{MoveId, RunId, confine};
use crate::domain::file_move::{MoveEvent, MovePlan};
use crate::domain::registry::{RegistryEvent, RegistryState, RegistryStream};
use crate::domain::run::RunEvent;
use crate::domain::workspace::{SnapshotTaken, WorkspaceEvent};
use crate::domain::{BlobUses, Decider as _, Event, Header, Kind, KindInfo};
use crate::effect;
use crate::store::Filter;

/// How much of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Whether it exists and has the recorded size.
    Size,
    /// Every byte.
    Content,
}

/// Shows how far reading is. It is called from several threads.
pub trait ReadProgress: Sync {
    /// How many files, and about how many bytes, will be read.
    fn planned(&self, files: usize, bytes: u64);
    /// So many more bytes were read.
    fn read(&self, bytes: u64);
}

/// Shows nothing.
impl ReadProgress for () {
    fn planned(&self, _: usize, _: u64) {}
    fn read(&self, _: u64) {}
}

/// What the log has about stored files.
#[derive(Default)]
struct RecordedFiles {
    /// Events that were read.
    size: u64,
    runs: BTreeMap<RunId, RunRecord>,
    registry: RegistryState,
    /// The event that promoted each version.
    promoted: BTreeMap<(String, u32), u64>,
    /// Moves, and those of them that are not finished.
    plans: BTreeMap<MoveId, (u64, MovePlan)>,
    moving: BTreeSet<MoveId>,
    blobs: BlobUses,
    snapshots: Vec<(u64, SnapshotTaken)>,
    /// Events that this version of annals cannot read.
    unread: Vec<u64>,
}

/// Compares every stored file with the record.
///
/// # Errors
/// When the log cannot be read for reasons that are not damage.
pub(in crate::app) fn check_files(
    workspace: &Workspace,
    depth: Depth,
    progress: &dyn ReadProgress,
) -> Result<FilesReport> {
    let record = RecordedFiles::read(workspace)?;
    let (listing, size) = (record.list(workspace)?, record.size);
    let Listing { work, mut found, mut unchecked } = listing;
    if depth == Depth::Content {
        let bytes = work.iter().map(|work| planned_bytes(workspace, work)).sum();
        progress.planned(work.len(), bytes);
    }
    found.extend(read_all(workspace, &work, depth, progress)?);
    let wrong = |file: &CheckedFile| file.state != FileState::Whole;
    let grown = workspace.store.read(|log| Ok::<_, Error>(log.size()))? > size;
    if grown && found.iter().any(wrong) {
        let paths: BTreeSet<String> =
            found.iter().filter(|f| wrong(f)).map(|f| f.path.clone()).collect();
        found.retain(|file| !wrong(file));
        let again = RecordedFiles::read(workspace)?.list(workspace)?;
        let mut work = again.work;
        work.retain(|work| work.concerns(&paths));
        found.extend(again.found.into_iter().filter(|file| paths.contains(&file.path)));
        found.extend(read_all(workspace, &work, depth, &())?);
        unchecked.extend(again.unchecked);
    }
    Ok(FilesReport::new(found, unchecked))
}

/// About how many bytes a piece of work reads.
fn planned_bytes(workspace: &Workspace, work: &Work) -> u64 {
    let (Work::File(file) | Work::Archive { file, .. }) = work;
    let size = || std::fs::symlink_metadata(full_path(workspace, file).ok()?).ok();
    file.recorded.bytes.or_else(|| Some(size()?.len())).unwrap_or(0)
}

/// Where a file is, if no link is on the way.
fn full_path(workspace: &Workspace, file: &Listed) -> Result<PathBuf> {
    match file.kind {
        // Their paths are made of digests.
        FileKind::Blob | FileKind::Snapshot => Ok(confine::inside(&workspace.root, &file.path)?),
        _ => workspace.inside(&file.path),
    }
}

fn read_all(
    workspace: &Workspace,
    work: &[Work],
    depth: Depth,
    progress: &dyn ReadProgress,
) -> Result<Vec<CheckedFile>> {
    let mut found = Vec::new();
    let one = |(): &mut (), work: &Work| read(workspace, work, depth, progress);
    in_order(
        cores(),
        work,
        || (),
        one,
        |files| {
            found.extend(files);
            Ok::<_, Error>(())
        },
    )?;
    Ok(found)
}

fn read(
    workspace: &Workspace,
    work: &Work,
    depth: Depth,
    progress: &dyn ReadProgress,
) -> Vec<CheckedFile> {
    match work {
        Work::File(file) => read_file(workspace, file, depth, progress).into_iter().collect(),
        Work::Archive { folder, pack, file, members } => {
            let archive = read_file(workspace, file, depth, progress);
            let whole = archive.as_ref().is_some_and(|file| file.state == FileState::Whole);
            let mut found: Vec<CheckedFile> = archive.into_iter().collect();
            // An archive with other bytes may unpack to anything, without end.
            if depth == Depth::Size || !whole {
                return found;
            }
            match effect::survey_pack(&workspace.root, folder, *pack) {
                Err(error) => found.extend(members.values().map(|member| CheckedFile {
                    state: FileState::Unreadable,
                    found: Some(error.to_string()),
                    ..checked(member)
                })),
                Ok(mut packed) => {
                    found.extend(members.iter().map(|(name, member)| match packed.remove(name) {
                        Some((digests, bytes)) => {
                            compared(member, member.recorded.compare(digests, bytes))
                        }
                        None => CheckedFile { state: FileState::Missing, ..checked(member) },
                    }));
                    found.extend(packed.into_keys().map(|name| CheckedFile {
                        path: format!("{}/{name}", file.path),
                        kind: FileKind::ArchiveMember,
                        belongs_to: file.belongs_to.clone(),
                        state: FileState::Added,
                        expected: None,
                        found: None,
                        bytes: None,
                        position: None,
                    }));
                }
            }
            found
        }
    }
}

/// None for a file that is missing and may be.
fn read_file(
    workspace: &Workspace,
    file: &Listed,
    depth: Depth,
    progress: &dyn ReadProgress,
) -> Option<CheckedFile> {
    let read = |bytes| progress.read(bytes);
    let read: Option<&dyn Fn(u64)> = if depth == Depth::Content { Some(&read) } else { None };
    let found = match full_path(workspace, file) {
        Ok(path) => file.recorded.compare_file(&path, read),
        Err(error) => file.recorded.not_read(&std::io::Error::other(error.to_string())),
    };
    let gone = found.state == FileState::Missing;
    (!(gone && file.may_be_missing)).then(|| compared(file, found))
}

fn compared(file: &Listed, compared: Compared) -> CheckedFile {
    let Compared { state, expected, found, bytes } = compared;
    CheckedFile { state, expected: Some(expected), found, bytes, ..checked(file) }
}

impl Work {
    fn concerns(&self, paths: &BTreeSet<String>) -> bool {
        match self {
            Self::File(file) => paths.contains(&file.path),
            Self::Archive { file, members, .. } => {
                paths.contains(&file.path) || members.values().any(|m| paths.contains(&m.path))
            }
        }
    }
}

impl RecordedFiles {
    /// Folds the log, past damage: what is wrong with the log itself is for others to report.
    fn read(workspace: &Workspace) -> Result<Self> {
        let store = workspace.store.clone().tolerate_damage();
        let mut recorded =
            Self { size: store.read(|log| Ok::<_, Error>(log.size()))?, ..Self::default() };
        let bulk = [RunEvent::METRICS_RECORDED, RunEvent::METRICS_UNRECORDED];
        let of = |kinds: &[KindInfo]| kinds.iter().map(|info| info.kind).collect::<Vec<Kind>>();
        let kinds = [of(RunEvent::KINDS), of(MoveEvent::KINDS), of(RegistryEvent::KINDS)].concat();
        let workspace = [WorkspaceEvent::SNAPSHOT_TAKEN, WorkspaceEvent::LOGS_PACKED];
        let kinds = kinds.into_iter().chain(workspace).filter(|kind| !bulk.contains(kind));
        scan(&store, 0..recorded.size, &Filter::kinds(kinds), |envelope| {
            match envelope.event() {
                Ok(event) => recorded.apply(&envelope.header, &event),
                Err(_) => recorded.unread.push(envelope.header.position),
            }
            Ok(())
        })?;
        recorded.unread.extend(store.lost().into_iter().map(|lost| lost.first));
        Ok(recorded)
    }

    fn apply(&mut self, header: &Header, event: &Event) {
        let position = header.position;
        self.blobs.apply(position, header.stream.entity, event);
        match event {
            Event::Run(event) => {
                let Some(run) = header.stream.run() else { return };
                let plans = &mut self.plans;
                let plan = |id: MoveId| Ok::<_, Infallible>(plans.remove(&id));
                let Ok(()) = self.runs.entry(run).or_default().apply(header, event, plan);
            }
            Event::Move(MoveEvent::Planned(planned)) => {
                self.moving.insert(planned.id);
                self.plans.insert(planned.id, (position, planned.clone().into()));
            }
            Event::Move(MoveEvent::Completed(_) | MoveEvent::RolledBack(_)) => {
                let id = MoveId(header.stream.entity);
                self.moving.remove(&id);
                // The plan of a run's move is taken by the event of the run that follows.
                if self.plans.get(&id).is_some_and(|(_, plan)| plan.purpose.model().is_some()) {
                    self.plans.remove(&id);
                }
            }
            Event::Registry(event) => {
                RegistryStream::evolve(&mut self.registry, event, header);
                if let RegistryEvent::Promoted(promoted) = event
                    && let Some(version) = self.registry.versions(&promoted.name).last()
                {
                    self.promoted.insert((promoted.name.clone(), version.number), position);
                }
            }
            Event::Workspace(WorkspaceEvent::SnapshotTaken(taken)) => {
                self.snapshots.push((position, taken.clone()));
            }
            _ => {}
        }
    }

    fn list(&self, workspace: &Workspace) -> Result<Listing> {
        let mut listing = Listing::default();
        let open = || self.moving.iter().filter_map(|id| self.plans.get(id));
        // The files of a promotion are copied: its run stays where it is.
        let of_model = |plan: &MovePlan| plan.purpose.model().is_some();
        let runs = open().filter(|(_, plan)| !of_model(plan));
        let runs: BTreeSet<RunId> = runs.filter_map(|(_, plan)| plan.purpose.run()).collect();
        let models = open().filter(|(_, plan)| of_model(plan));
        let models = models.flat_map(|(_, plan)| [plan.from.clone(), plan.to.clone()]).collect();
        for (id, record) in &self.runs {
            listing.run(workspace, record, runs.contains(id));
        }
        listing.production(workspace, &self.registry, &self.promoted, &models)?;
        listing.blobs(workspace, &self.blobs, &self.snapshots)?;
        for position in &self.unread {
            listing.unchecked.push(UncheckedFiles {
                path: format!("files that event {position} names"),
                reason: "the event cannot be read".into(),
            });
        }
        Ok(listing)
    }
}
