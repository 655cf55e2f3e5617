//! Where a workspace lies, as it was last seen, in `.annals/place.json`: a copy that is used
//! beside its original is noticed, because two records of one log part without either showing it.
//!
//! A folder that was moved keeps its inode, a copy has another.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::app::{Finding, Result, Workspace};
use crate::base::{confine, durable};
use crate::store::Store;
use crate::verify::{Kinship, kinship};

const FILE: &str = "place.json";
/// Far more than the locations of all copies of a workspace.
const BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
struct WorkspaceIdentity {
    /// The workspace's folder.
    root: String,
    /// Of `.annals`.
    inode: u64,
    /// Where it was copied from.
    copied_from: BTreeSet<String>,
}

impl Workspace {
    /// Notices that the workspace was copied since it was last used; says so once. Of a workspace
    /// that is not trusted nothing is noticed and nothing is written.
    pub fn record_location(&self) -> Option<String> {
        if !self.is_trusted() {
            return None;
        }
        let inode = inode(&self.root)?;
        // Something else of that name is somebody's: recovery moves it away.
        let file = fs::symlink_metadata(self.annals_dir().join(FILE));
        if file.is_ok_and(|meta| !meta.is_file()) {
            return None;
        }
        let root = fs::canonicalize(&self.root).ok()?.to_string_lossy().into_owned();
        let Some(place) = self.last_place() else {
            self.remember(&WorkspaceIdentity { root, inode, copied_from: BTreeSet::new() });
            return None;
        };
        let WorkspaceIdentity { root: before, inode: known, mut copied_from } = place;
        if known == inode {
            if before != root && self::inode(Path::new(&before)) != Some(inode) {
                self.remember(&WorkspaceIdentity { root, inode, copied_from });
            }
            return None;
        }
        let log = format!("{before}/.annals/log.redb");
        let note = if before == root {
            "this workspace was restored here from a copy; if its log is still used elsewhere, the \
             two diverge: `annals verify --against LOG` reports where"
                .to_owned()
        } else if Path::new(&log).exists() {
            format!(
                "this workspace is a copy of {before}, which still exists: what is recorded in one \
                 is not in the other; `annals verify --against {log}` reports where they diverge"
            )
        } else {
            format!("this workspace was copied here from {before}, where it is not any more")
        };
        if before != root {
            copied_from.insert(before);
        }
        self.remember(&WorkspaceIdentity { root, inode, copied_from });
        Some(note)
    }

    /// The workspaces that this one was copied from and has parted with.
    pub(in crate::app) fn partings(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        if !self.is_trusted() {
            return Ok(findings);
        }
        for root in self.last_place().unwrap_or_default().copied_from {
            let log = Path::new(&root).join(".annals/log.redb");
            if !log.is_file() {
                continue;
            }
            // One that is gone, or cannot be read any more, is nobody's.
            let Ok(other) = Store::open_file(&log, self.env.clone()) else { continue };
            let what = match kinship(&self.store, &other)? {
                Kinship::Stranger(_) | Kinship::Extends { .. } => continue,
                Kinship::Behind { by } => {
                    format!("{root}, which this is a copy of, has recorded {by} more events")
                }
                Kinship::Parted(parting) => {
                    format!("{root} and this copy of it part at position {}", parting.position)
                }
            };
            let advice = format!(
                "use one of them from here on; `annals verify --against {}` compares",
                log.display()
            );
            findings.push(Finding { what, advice });
        }
        Ok(findings)
    }

    fn last_place(&self) -> Option<WorkspaceIdentity> {
        let text = confine::read_plain(&self.annals_dir().join(FILE), BYTES_MAX).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// A workspace that cannot be written cannot part from another either.
    fn remember(&self, place: &WorkspaceIdentity) {
        let text = serde_json::to_string_pretty(place).unwrap_or_default();
        let _ = durable::write(&self.annals_dir().join(FILE), text.as_bytes());
    }
}

/// Of the `.annals` in a folder.
fn inode(root: &Path) -> Option<u64> {
    fs::metadata(root.join(".annals")).ok().map(|meta| meta.ino())
}
