//! Lists what is not the file of a run: models in production, blobs, and what snapshots keep.

use std::collections::{BTreeMap, BTreeSet};

use super::list::{Listed, Listing, Work, walk};
use super::recorded::RecordedBytes;
use super::report::FileKind;
use crate::app::{Result, Workspace, workspace};
use crate::base::{Digest, Sha256Digest};
use crate::domain::BlobUses;
use crate::domain::registry::RegistryState;
use crate::domain::workspace::SnapshotTaken;

/// Where blobs are, relative to the workspace.
const BLOBS: &str = ".annals/blobs";
/// Where damaged production folders are kept as they were found.
const DAMAGED: &str = ".annals/damaged";

/// What the record has for one blob.
struct BlobRecord {
    kind: FileKind,
    belongs_to: String,
    position: Option<u64>,
    sha256: Vec<Sha256Digest>,
    bytes: Option<u64>,
    needed: bool,
}

impl Listing {
    /// The files of the models in production, and what else is there. `moving` has the folders
    /// whose move is not finished.
    pub(super) fn production(
        &mut self,
        workspace: &Workspace,
        registry: &RegistryState,
        promoted: &BTreeMap<(String, u32), u64>,
        moving: &BTreeSet<String>,
    ) -> Result<()> {
        let mut known: BTreeSet<String> = workspace
            .exporter()
            .generated(&workspace.snapshot()?, &workspace.settings.project)?
            .into_iter()
            .collect();
        for (name, model) in &registry.production {
            let versions = registry.versions(name);
            let Some(version) = versions.iter().find(|v| v.number == model.number) else {
                continue;
            };
            if moving.contains(&version.path) {
                self.unchecked(&version.path, "a move of it is not finished");
            }
            let key = (name.clone(), version.number);
            for file in &version.files {
                let path = format!("{}/{}", version.path, file.path);
                known.insert(path.clone());
                if moving.contains(&version.path) {
                    continue;
                }
                self.work.push(Work::File(Listed {
                    path,
                    kind: FileKind::Production,
                    belongs_to: format!("model {name}@{}", version.version()),
                    position: promoted.get(&key).copied(),
                    recorded: RecordedBytes::new(file.digest, file.sha256, Some(file.bytes)),
                    may_be_missing: false,
                }));
            }
        }
        // What is on its way is in no event yet.
        if workspace.live.any_alive() {
            return Ok(());
        }
        let production = &workspace.layout.production;
        let mut entries = Vec::new();
        if let Ok(folder) = workspace.inside(production) {
            walk(&folder, "", &mut entries);
        }
        for (inside, _) in entries {
            let path = format!("{production}/{inside}");
            let on_its_way = moving.iter().any(|folder| path.starts_with(&format!("{folder}/")));
            if is_kept_edit(&path, &known) {
                self.unchecked(path, "an edit of a generated file, kept beside it");
                continue;
            }
            if !known.contains(&path) && !on_its_way {
                let of = registry.production.keys().find(|name| {
                    let version = registry.versions(name).last();
                    version.is_some_and(|v| path.starts_with(&format!("{}/", v.path)))
                });
                let of = of.map_or_else(|| "no model".to_owned(), |name| format!("model {name}"));
                self.added(path, FileKind::Production, of);
            }
        }
        Ok(())
    }

    /// Every blob: its bytes against its name, and against what events and snapshots say of it.
    pub(super) fn blobs(
        &mut self,
        workspace: &Workspace,
        uses: &BlobUses,
        snapshots: &[(u64, SnapshotTaken)],
    ) -> Result<()> {
        let mut known: BTreeMap<Digest, BlobRecord> = BTreeMap::new();
        for (digest, found) in uses.all() {
            let path = found.path().unwrap_or("a file that nothing needs any more");
            known.insert(
                digest,
                BlobRecord {
                    kind: FileKind::Blob,
                    belongs_to: path.to_owned(),
                    position: Some(found.first),
                    sha256: found.sha256.keys().copied().collect(),
                    bytes: None,
                    needed: found.is_needed(),
                },
            );
        }
        for (position, taken) in snapshots {
            self.snapshot(workspace, *position, taken, &mut known);
        }
        let mut stored: BTreeSet<Digest> = BTreeSet::new();
        for blob in workspace.blobs.all()? {
            stored.insert(blob.digest);
            known.entry(blob.digest).or_insert_with(|| BlobRecord {
                kind: FileKind::Blob,
                belongs_to: "the blob store; only its name has its digest".into(),
                position: None,
                sha256: vec![],
                bytes: None,
                needed: false,
            });
        }
        for (digest, record) in known {
            if !record.needed && !stored.contains(&digest) {
                continue;
            }
            let BlobRecord { kind, belongs_to, position, sha256, bytes, .. } = record;
            self.work.push(Work::File(Listed {
                path: blob_path(digest),
                kind,
                belongs_to,
                position,
                recorded: RecordedBytes { digest, sha256, bytes },
                may_be_missing: false,
            }));
        }
        self.beside_blobs(workspace, &stored);
        Ok(())
    }

    /// What a snapshot keeps, as its list has it.
    fn snapshot(
        &mut self,
        workspace: &Workspace,
        position: u64,
        taken: &SnapshotTaken,
        known: &mut BTreeMap<Digest, BlobRecord>,
    ) {
        let name = format!("snapshot {}", taken.manifest.short(12));
        let new = |of: String, bytes| BlobRecord {
            kind: FileKind::Snapshot,
            belongs_to: of,
            position: Some(position),
            sha256: vec![],
            bytes,
            needed: true,
        };
        let mut list = new(format!("{name}, list of files"), None);
        list.sha256.extend(taken.manifest_sha256);
        known.insert(taken.manifest, list);
        let Ok(manifest) = workspace::manifest(workspace, taken.manifest) else {
            let reason = format!("the list of the files of {name} is damaged");
            self.unchecked(blob_path(taken.manifest), reason);
            return;
        };
        for file in manifest.files() {
            let of = || new(format!("{name}, {}", file.path), Some(file.bytes));
            let record = known.entry(file.digest).or_insert_with(of);
            record.needed = true;
            record.sha256.extend(file.sha256.filter(|sha256| !record.sha256.contains(sha256)));
        }
    }

    /// What lies among the blobs and is none, and damaged folders that were set aside.
    fn beside_blobs(&mut self, workspace: &Workspace, stored: &BTreeSet<Digest>) {
        let known: BTreeSet<String> = stored.iter().map(|digest| blob_path(*digest)).collect();
        let mut entries = Vec::new();
        walk(&workspace.root.join(BLOBS), "", &mut entries);
        let paths = entries.into_iter().map(|(inside, _)| format!("{BLOBS}/{inside}"));
        for path in paths.filter(|path| !known.contains(path)) {
            self.unchecked(path, "its name is not a digest");
        }
        let mut damaged = Vec::new();
        walk(&workspace.root.join(DAMAGED), "", &mut damaged);
        if !damaged.is_empty() {
            self.unchecked(DAMAGED, "damaged folders are kept as they were found");
        }
    }
}

fn blob_path(digest: Digest) -> String {
    format!("{BLOBS}/{}/{digest}", digest.short(2))
}

/// Whether a file is what somebody made of a generated one, which annals set aside.
fn is_kept_edit(path: &str, generated: &BTreeSet<String>) -> bool {
    let parts = path.rsplit_once(".edited-");
    parts.is_some_and(|(of, number)| number.parse::<u32>().is_ok() && generated.contains(of))
}
