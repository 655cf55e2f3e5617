//! Moves what nothing explains out of the way of annals: never removed, never read, never followed.

use std::io;

use crate::app::core::private_files::{QUARANTINE, Unexplained, unexplained};
use crate::app::{Finding, Result, Workspace};
use crate::base::confine::Folder;
use crate::base::{counted, failpoint};
use crate::domain::Event;
use crate::domain::invocation::InvocationEvent;
use crate::store::Filter;

/// Entries that one message names.
const NAMED_MAX: usize = 10;
/// Most folders in the quarantine: a number for each verb that found something.
const NUMBERS_MAX: u32 = 1_000_000;

/// Moves every entry of `.annals` that nothing explains to `.annals/quarantine/<number>`, and
/// warns, once, of all of them. What cannot be moved stays, and is named as well.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn quarantine(workspace: &Workspace) -> Result<()> {
    let list_blobs = workspace.blobs_listed.set(()).is_ok();
    let mut found = unexplained(workspace, list_blobs);
    found.retain(|entry| entry.movable);
    if found.is_empty() || used_by_later(workspace)? {
        return Ok(());
    }
    match moved(workspace, &found) {
        Ok((folder, moved)) if !moved.is_empty() => workspace.warnings.push(format!(
            "{} in .annals that nothing in the log explains: {} moved to {folder}: {}",
            counted(moved.len(), "path"),
            if moved.len() == 1 { "it was" } else { "they were" },
            named(&moved)
        )),
        Ok(_) => {}
        Err(error) => {
            let paths: Vec<String> = found.iter().map(Unexplained::path).collect();
            workspace.warnings.push(format!(
                "nothing in the log explains {}, and it cannot be moved to .annals/{QUARANTINE}: \
                 {error}",
                named(&paths)
            ));
        }
    }
    Ok(())
}

fn moved(workspace: &Workspace, found: &[Unexplained]) -> io::Result<(String, Vec<String>)> {
    let root = Folder::open(&workspace.root)?;
    let own = ".annals";
    let in_the_way = found.iter().find(|entry| entry.folder.is_empty() && entry.name == QUARANTINE);
    // Whatever took the name of the folder is no place to move anything to.
    let aside = in_the_way.map(|entry| {
        let free = (1..NUMBERS_MAX).map(|number| format!("{QUARANTINE}.{number}"));
        let mut tried = free.map(|name| (root.move_entry(own, &entry.name, own, &name), name));
        tried.find(|(moved, _)| !is_taken(moved))
    });
    let aside = match aside.flatten() {
        Some((moved, name)) => moved.map(|()| Some(name))?,
        None => None,
    };
    let mut folder = None;
    for number in 1..NUMBERS_MAX {
        let path = format!("{own}/{QUARANTINE}/{number}");
        match root.make_folder(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => {
                made?;
                folder = Some(path);
                break;
            }
        }
    }
    let folder = folder.ok_or_else(|| io::Error::other("the quarantine is full"))?;
    let mut done = Vec::new();
    for entry in found {
        let (from, to) = match entry.folder.as_str() {
            "" => (own.to_owned(), folder.clone()),
            below => (format!("{own}/{below}"), format!("{folder}/{below}")),
        };
        let name = match &aside {
            Some(aside) if entry.folder.is_empty() && entry.name == QUARANTINE => aside.as_ref(),
            _ => entry.name.as_os_str(),
        };
        match root.move_entry(&from, name, &to, &entry.name) {
            // Another process was faster.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            moved => moved?,
        }
        failpoint::hit();
        done.push(entry.path());
    }
    if done.is_empty() {
        let _ = root.remove_empty(&folder);
    }
    Ok((folder, done))
}

fn is_taken(moved: &io::Result<()>) -> bool {
    moved.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::AlreadyExists)
}

fn named(paths: &[String]) -> String {
    let shown: Vec<&str> = paths.iter().take(NAMED_MAX).map(String::as_str).collect();
    match paths.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Whether a later version of annals was used here: its files have names that this one does not
/// know.
fn used_by_later(workspace: &Workspace) -> Result<bool> {
    let own = version(env!("CARGO_PKG_VERSION"));
    let started = Filter::kinds([InvocationEvent::STARTED]);
    workspace.store.read(|log| {
        let mut later = false;
        log.scan(0..log.size(), &started, |envelope| {
            if let Ok(Event::Invocation(InvocationEvent::Started(started))) = envelope.event() {
                later |= version(&started.tool_version) > own;
            }
            Ok::<_, crate::app::Error>(())
        })?;
        Ok(later)
    })
}

/// The numbers of a version, such as 0.1.0.
fn version(text: &str) -> Vec<u64> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    core.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

/// What nothing explains in `.annals`, and what was moved away before.
///
/// # Errors
/// When the log cannot be read.
pub(in crate::app) fn strange_files(workspace: &Workspace) -> Result<Vec<Finding>> {
    let found = unexplained(workspace, true);
    let later = !found.is_empty() && used_by_later(workspace)?;
    let finding = |entry: &Unexplained| Finding {
        what: format!(
            "{} is {} that nothing in the log explains; it is not used",
            entry.path(),
            entry.kind
        ),
        advice: if later {
            "a later version of annals was used here and may have made it: use that version".into()
        } else if entry.movable {
            format!("the next changing verb moves it to .annals/{QUARANTINE}")
        } else {
            "it has the name of one of annals' own: look into it, then put back what belongs there"
                .into()
        },
    };
    let mut findings: Vec<Finding> = found.iter().map(finding).collect();
    let kept = workspace.annals_dir().join(QUARANTINE);
    let kept = std::fs::read_dir(kept).into_iter().flatten().flatten().count();
    if kept > 0 {
        findings.push(Finding {
            what: format!(
                ".annals/{QUARANTINE} keeps what nothing in the log explained, in {}",
                counted(kept, "folder")
            ),
            advice: "look into it and remove it; nothing in annals reads it".into(),
        });
    }
    Ok(findings)
}
