//! Replay: views and registry files from the log alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::{TimeSpan, Timestamp};
use crate::projection::files::{Exporter, FileDifference};
use crate::projection::{Snapshot, Views};
use crate::store::Filter;

/// How often a difference is looked at again while another process is at work.
const CHECKS_MAX: u32 = 20;
/// How often it is when nobody seems to be at work.
const IDLE_CHECKS_MAX: u32 = 4;
const CHECK_WAIT: Duration = Duration::from_millis(100);

/// Registry files that a replay wrote.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Replayed {
    /// Those that were not what the log says before.
    pub changed: Vec<String>,
}

/// Registry files that were written into another folder.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReplayedFiles {
    /// The folder.
    pub out: PathBuf,
    /// The files in it.
    pub files: Vec<String>,
}

/// Drops the views, folds the log again and writes the registry files.
///
/// # Errors
/// When the log cannot be read or files cannot be written.
pub fn replay(workspace: &Workspace) -> Result<Replayed> {
    workspace.require_trust()?;
    workspace.writable_views()?.rebuild(&workspace.store)?;
    let snapshot = workspace.snapshot()?;
    let regenerated = workspace.exporter().regenerate(&snapshot, &workspace.settings.project)?;
    workspace.tell_edits(&regenerated);
    Ok(Replayed { changed: regenerated.changed })
}

/// Compares views and registry files with what the log says; with the files as they were at
/// an earlier size, the views are left out.
///
/// # Errors
/// When the log or the files cannot be read.
pub fn replay_check(workspace: &Workspace, size: Option<u64>) -> Result<Vec<FileDifference>> {
    // Another process commits first and writes the files a moment later: while one is at work,
    // a difference counts when it stays.
    let mut idle = 0;
    for _ in 0..CHECKS_MAX {
        let at_work = workspace.live.any_alive();
        let differences = differences(workspace, size)?;
        // An invocation ends in the log before its process writes the files.
        idle = if at_work { 0 } else { idle + 1 };
        if differences.is_empty() || idle == IDLE_CHECKS_MAX {
            return Ok(differences);
        }
        std::thread::sleep(CHECK_WAIT);
    }
    differences(workspace, size)
}

fn differences(workspace: &Workspace, size: Option<u64>) -> Result<Vec<FileDifference>> {
    let Some(size) = size else { return differences_now(workspace) };
    Ok(workspace.exporter().check(&folded(workspace, size)?, &workspace.settings.project)?)
}

fn differences_now(workspace: &Workspace) -> Result<Vec<FileDifference>> {
    // What is stored is compared as it is, proven or not.
    let views = workspace.views().unproven();
    let stored = views.read(&workspace.store)?;
    let (rebuilt, wrong) = views.folded_beside_kept(&workspace.store, stored.size())?;
    let mut differences = workspace.exporter().check(&rebuilt, &workspace.settings.project)?;
    differences.extend(differing(&rebuilt, &stored)?);
    // What looking back starts from.
    if let Some(size) = wrong {
        let kept = views.as_of(&workspace.store, size)?;
        differences.extend(differing(&folded(workspace, size)?, &kept)?);
    }
    Ok(differences)
}

/// Writes the registry files as they were at `size` into `out`.
///
/// # Errors
/// When the log cannot be read or files cannot be written.
pub fn replay_to(workspace: &Workspace, out: &Path, size: Option<u64>) -> Result<ReplayedFiles> {
    let size = match size {
        Some(size) => size,
        None => workspace.store.read(|log| Ok::<_, Error>(log.size()))?,
    };
    let exporter = Exporter::new(out, out, &workspace.blobs, workspace.layout.guide());
    let files = exporter.write_all(&folded(workspace, size)?, &workspace.settings.project)?;
    Ok(ReplayedFiles { out: out.to_owned(), files })
}

/// The size of the log right after a position, or at the end of a written time: a date means
/// that whole day.
///
/// # Errors
/// [`ErrorKind::Usage`] for any other text; [`ErrorKind::NotFound`] beyond the end.
pub fn size_as_of(workspace: &Workspace, text: &str) -> Result<u64> {
    match moment(workspace, text)? {
        Moment::Position(position) => Ok(position + 1),
        Moment::Time(span) => size_before(workspace, span.end),
    }
}

/// As [`size_as_of`], but of a date, a minute or a second the size at its beginning, so
/// that everything recorded in it comes after.
///
/// # Errors
/// As [`size_as_of`].
pub fn size_from(workspace: &Workspace, text: &str) -> Result<u64> {
    match moment(workspace, text)? {
        Moment::Time(span) if !span.is_instant() => size_before(workspace, span.start),
        _ => size_as_of(workspace, text),
    }
}

fn moment(workspace: &Workspace, text: &str) -> Result<Moment> {
    if let Ok(position) = text.parse::<u64>() {
        let size = workspace.store.read(|log| Ok::<_, Error>(log.size()))?;
        if position >= size {
            let message = format!("there is no position {position}: the log has {size}");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        return Ok(Moment::Position(position));
    }
    TimeSpan::parse(text, workspace.env.now()).map(Moment::Time).map_err(|e| {
        Error::new(ErrorKind::Usage, e.to_string()).hint(
            "for example 2026-11-01, \"2026-11-01 18:50\", yesterday, \"2 weeks\", 30d, or a \
             position in the log",
        )
    })
}

/// The number of events recorded before `time`.
fn size_before(workspace: &Workspace, time: Timestamp) -> Result<u64> {
    workspace.store.read(|log| {
        let later = Filter { recorded_from: Some(time), ..Filter::default() };
        // Times only grow, so that the first block with a later one has the first later event.
        let block = log.block_headers(0..log.size(), &later)?.into_iter().next();
        let range = match block {
            Some((first, header)) => first..first + u64::from(header.count),
            None => log.state().sealed..log.size(),
        };
        let mut first = range.end;
        log.scan(range, &later, |event| {
            first = first.min(event.header.position);
            Ok::<_, Error>(())
        })?;
        // What came after a clock was ahead is dated by its own clock, also once the clock has
        // caught up: only the events themselves tell.
        log.scan(first..log.size(), &Filter::default(), |event| {
            if event.header.dated() < time {
                first = event.header.position + 1;
            }
            Ok::<_, Error>(())
        })?;
        Ok(first)
    })
}

fn folded(workspace: &Workspace, size: u64) -> Result<Snapshot> {
    Ok(Views::folded(&workspace.store, size)?)
}

/// A moment in the words of the user.
enum Moment {
    Position(u64),
    Time(TimeSpan),
}

/// How the rows of views differ from those that the log adds up to.
fn differing(folded: &Snapshot, stored: &Snapshot) -> Result<Option<FileDifference>> {
    let (expected, found) = (folded.digest()?, stored.digest()?);
    Ok((expected != found).then(|| FileDifference {
        file: ".annals/views.redb".into(),
        what: "different",
        line: None,
        expected,
        found: Some(found),
    }))
}
