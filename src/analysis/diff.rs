//! What is different between two states of the log, and which events made it so.
//!
//! Every event sets cells: what of whom, such as the status of a run or the digest of a file. The
//! fold is total and needs no view; what was set before [`Picture::begin`] is how things stood, and
//! what was set since tells who changed it. To add something that is compared: a call of `set` in
//! the arm of its event. Start reading at [`Picture::take`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::base::RunId;
use crate::domain::file_move::MoveEvent;
use crate::domain::policy::PolicyEvent;
use crate::domain::registry::{RegistryEvent, RegistryState, RegistryStream};
use crate::domain::run::{DroppedFile, RunEvent, RunState, RunStream};
use crate::domain::workspace::WorkspaceEvent;
use crate::domain::{Decider as _, Event, Header, StreamId};

/// What a cell is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// A run, by its unique name.
    Run,
    /// A production model, or a version of it as `NAME@NUMBER`.
    Model,
    /// An alias.
    Alias,
    /// A promotion request, by its production name and the beginning of its id.
    Request,
    /// A rule of the policy.
    Policy,
    /// A file of a run or a production model, by its path.
    File,
    /// A metric of a run: the last value that was recorded.
    Metric,
    /// A move of files, by the beginning of its id.
    Move,
    /// A person's key.
    Key,
    /// The workspace.
    Workspace,
}

impl Section {
    /// Every section, in the order they are shown.
    pub const ALL: [Self; 10] = [
        Self::Run,
        Self::Model,
        Self::Alias,
        Self::Request,
        Self::Policy,
        Self::File,
        Self::Metric,
        Self::Move,
        Self::Key,
        Self::Workspace,
    ];

    /// The word used in tables and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Model => "model",
            Self::Alias => "alias",
            Self::Request => "request",
            Self::Policy => "policy",
            Self::File => "file",
            Self::Metric => "metric",
            Self::Move => "move",
            Self::Key => "key",
            Self::Workspace => "workspace",
        }
    }
}

/// Something that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunDifference {
    /// What kind of thing.
    pub section: Section,
    /// Which.
    pub name: String,
    /// What of it.
    pub field: String,
    /// Before; none where it was not there.
    pub before: Option<String>,
    /// After; none where it is not there any more.
    pub after: Option<String>,
    /// Positions of the events that set it in between, ascending; the last decided.
    pub by: Vec<u64>,
}

/// Letters of an id that tell it from others.
const LETTERS: usize = 8;

type Key = (Section, String, String);

#[derive(Default)]
struct Cell {
    before: Option<String>,
    now: Option<String>,
    by: Vec<u64>,
}

/// How things stood at [`Self::begin`], how they stand now, and what changed them.
#[derive(Default)]
pub struct Picture {
    begun: bool,
    cells: BTreeMap<Key, Cell>,
    runs: BTreeMap<RunId, RunState>,
    registry: RegistryState,
}

impl Picture {
    /// From here on events change what was.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// Everything that is not what it was, by section, name and field.
    pub fn differences(self) -> Vec<RunDifference> {
        let changed = self.cells.into_iter().filter(|(_, cell)| cell.before != cell.now);
        let difference = |((section, name, field), cell): (Key, Cell)| RunDifference {
            section,
            name,
            field,
            before: cell.before,
            after: cell.now,
            by: cell.by,
        };
        changed.map(difference).collect()
    }

    /// Takes in the next event of the log.
    pub fn take(&mut self, header: &Header, event: &Event) {
        let at = header.position;
        match event {
            Event::Run(event) => self.run(header, event),
            Event::Registry(event) => self.registry(header, event),
            Event::Policy(PolicyEvent::Changed(changed)) => {
                for (key, value) in changed.policy.entries() {
                    self.set(at, Section::Policy, &key, "value", Some(value));
                }
            }
            Event::Move(event) => self.file_move(at, header.stream, event),
            Event::Workspace(event) => self.workspace(at, event),
            Event::Invocation(_) => {}
        }
    }

    fn set(
        &mut self,
        at: u64,
        section: Section,
        name: &str,
        field: &str,
        value: impl Into<Option<String>>,
    ) {
        let value = value.into();
        let cell = self.cells.entry((section, name.to_owned(), field.to_owned())).or_default();
        if !self.begun {
            cell.before.clone_from(&value);
        } else if cell.now != value {
            cell.by.push(at);
        }
        cell.now = value;
    }

    fn run(&mut self, header: &Header, event: &RunEvent) {
        let (at, Some(run)) = (header.position, header.stream.run()) else { return };
        let mut state = self.runs.remove(&run).unwrap_or_default();
        RunStream::evolve(&mut state, event, header);
        // The start of a run can be lost; its id is all that is known then.
        let id = run.to_string();
        let name = if state.experiment_id.is_empty() { &id } else { &state.experiment_id };
        self.fields(at, name, &state);
        let file = |path: &str| format!("{name}/{path}");
        match event {
            RunEvent::Noted(_) => {
                let key = (Section::Run, name.clone(), "notes".to_owned());
                let known = self.cells.get(&key).and_then(|cell| cell.now.as_ref()?.parse().ok());
                let count = known.unwrap_or(0_u64) + 1;
                self.set(at, Section::Run, name, "notes", count.to_string());
            }
            RunEvent::Assessed(assessed) => {
                let met = if assessed.candidate { "yes" } else { "no" };
                let text = format!("{met}, by policy revision {}", assessed.policy_revision);
                self.set(at, Section::Run, name, "candidate", text);
            }
            RunEvent::MetricsRecorded(recorded) => {
                let mut last = BTreeMap::new();
                for point in recorded.batch.points() {
                    last.insert(point.key, point.value);
                }
                for (key, value) in last {
                    let Some(key) = recorded.batch.keys.get(usize::from(key)) else { continue };
                    self.set(at, Section::Metric, name, &metric(key), value.to_string());
                }
            }
            RunEvent::Finished(finished) => {
                for found in &finished.metrics {
                    let field = metric(&found.key);
                    self.set(at, Section::Metric, name, &field, found.value.to_string());
                }
            }
            RunEvent::CheckpointSaved(e) => self.file(at, &file(&e.path), Some(&e.digest)),
            RunEvent::CheckpointPruned(e) => self.file(at, &file(&e.path), None),
            RunEvent::ArtifactStored(e) => {
                self.file(at, &file(e.path.as_deref().unwrap_or(&e.name)), Some(&e.digest));
            }
            RunEvent::Archived(e) => {
                e.dropped.iter().for_each(|gone| self.file(at, &file(&gone.path), None));
            }
            RunEvent::Restored(e) => {
                let back = |f: &DroppedFile| (file(&f.path), f.digest);
                for (path, digest) in e.recovered.iter().map(back) {
                    self.file(at, &path, Some(&digest));
                }
            }
            RunEvent::Relocated(e) => {
                for renamed in &e.renamed {
                    let (from, to) = (file(&renamed.from), file(&renamed.to));
                    let known = (Section::File, from.clone(), "digest".to_owned());
                    let digest = self.cells.get(&known).and_then(|cell| cell.now.clone());
                    self.file(at, &from, None);
                    self.set(at, Section::File, &to, "digest", digest);
                }
            }
            RunEvent::Deleted(_) => self.forget(at, &format!("{name}/")),
            _ => {}
        }
        self.runs.insert(run, state);
    }

    /// What the state of a run says; what is as it is for most runs is left empty.
    fn fields(&mut self, at: u64, name: &str, state: &RunState) {
        let place = match (state.deleted, state.archive, state.pack) {
            (true, ..) => Some("deleted".to_owned()),
            (_, Some(archive), Some(_)) => Some(format!("{}, packed", archive.word())),
            (_, Some(archive), None) => Some(archive.word().to_owned()),
            (_, None, _) => None,
        };
        let some = |text: String| (!text.is_empty()).then_some(text);
        for (field, value) in [
            ("name", Some(state.name.clone())),
            ("status", Some(state.status.word().to_owned())),
            ("category", Some(state.category.word().to_owned())),
            ("tags", some(state.tags.join(" "))),
            ("pinned", state.pinned.then(|| "yes".to_owned())),
            ("archive", place),
            ("folder", Some(state.folder.clone())),
            ("reproduced", (state.reproduced > 0).then(|| state.reproduced.to_string())),
        ] {
            self.set(at, Section::Run, name, field, value);
        }
    }

    fn file(&mut self, at: u64, path: &str, digest: Option<&crate::base::Digest>) {
        self.set(at, Section::File, path, "digest", digest.map(ToString::to_string));
    }

    /// Every file whose path begins so is gone.
    fn forget(&mut self, at: u64, prefix: &str) {
        let first = (Section::File, prefix.to_owned(), String::new());
        let inside = self.cells.range(first..).map(|((section, name, _), _)| (*section, name));
        let inside = inside
            .take_while(|(section, name)| *section == Section::File && name.starts_with(prefix));
        let paths: Vec<String> = inside.map(|(_, name)| name.clone()).collect();
        paths.iter().for_each(|path| self.file(at, path, None));
    }

    fn registry(&mut self, header: &Header, event: &RegistryEvent) {
        let at = header.position;
        let name = match event {
            RegistryEvent::Promoted(e) => &e.name,
            RegistryEvent::Demoted(e) => &e.name,
            RegistryEvent::RolledBack(e) => &e.name,
            RegistryEvent::FoundDamaged(e) => &e.name,
            RegistryEvent::Repaired(e) => &e.name,
            RegistryEvent::VersionBumped(e) => &e.name,
            RegistryEvent::Relocated(e) => &e.name,
            _ => "",
        };
        let before = self.placed(name);
        RegistryStream::evolve(&mut self.registry, event, header);
        if !name.is_empty() {
            let after = self.placed(name);
            let gone = before.keys().filter(|path| !after.contains_key(*path));
            gone.for_each(|path| self.file(at, path, None));
            after.iter().for_each(|(path, digest)| self.file(at, path, Some(digest)));
            self.model(at, name);
        }
        match event {
            RegistryEvent::Requested(e) => self.request(at, e.request),
            RegistryEvent::Approved(e) => self.request(at, e.request),
            RegistryEvent::Rejected(e) => self.request(at, e.request),
            RegistryEvent::Promoted(e) => self.request(at, e.request),
            RegistryEvent::AliasSet(e) => {
                let target = format!("{}@{}", e.name, e.number);
                self.set(at, Section::Alias, &e.alias, "points at", target);
            }
            RegistryEvent::AliasRemoved(e) => {
                self.set(at, Section::Alias, &e.alias, "points at", None);
            }
            _ => {}
        }
    }

    /// The files of a name that is in production, by path.
    fn placed(&self, name: &str) -> BTreeMap<String, crate::base::Digest> {
        let Some(model) = self.registry.production.get(name) else { return BTreeMap::new() };
        let version = self.registry.versions(name).iter().find(|v| v.number == model.number);
        let files = version.into_iter().flat_map(|version| &version.files);
        files.map(|file| (format!("{}/{}", model.path, file.path), file.digest)).collect()
    }

    fn model(&mut self, at: u64, name: &str) {
        let model = self.registry.production.get(name);
        let run = model.map(|model| model.run.to_string());
        let current = model.map(|model| model.number.to_string());
        let versions = self.registry.versions(name).iter();
        let versions: Vec<(u32, String)> =
            versions.map(|v| (v.number, v.version().to_string())).collect();
        self.set(at, Section::Model, name, "number", current);
        self.set(at, Section::Model, name, "run", run);
        for (number, version) in versions {
            self.set(at, Section::Model, &format!("{name}@{number}"), "version", version);
        }
    }

    fn request(&mut self, at: u64, id: crate::base::RequestId) {
        let Some(request) = self.registry.requests.get(&id) else { return };
        let name = format!("{} {}", request.requested.name, id.short(LETTERS));
        let status = request.status.word().to_owned();
        let people: Vec<&str> = request.approvals.iter().map(|a| a.approver.as_str()).collect();
        let people = (!people.is_empty()).then(|| people.join(", "));
        self.set(at, Section::Request, &name, "status", status);
        self.set(at, Section::Request, &name, "approved by", people);
    }

    fn file_move(&mut self, at: u64, stream: StreamId, event: &MoveEvent) {
        let name = RunId(stream.entity).short(LETTERS);
        let status = match event {
            MoveEvent::Planned(plan) => {
                let way = format!("{} to {}", plan.from, plan.to);
                self.set(at, Section::Move, &name, "way", way);
                "planned"
            }
            MoveEvent::Completed(_) => "completed",
            MoveEvent::RolledBack(_) => "rolled back",
        };
        self.set(at, Section::Move, &name, "status", status.to_owned());
    }

    fn workspace(&mut self, at: u64, event: &WorkspaceEvent) {
        match event {
            WorkspaceEvent::Created(e) => {
                self.set(at, Section::Workspace, "project", "name", e.project.clone());
            }
            WorkspaceEvent::KeyCreated(e) => {
                self.set(at, Section::Key, &e.owner, "key", e.public_key.to_string());
            }
            WorkspaceEvent::KeyVouched(e) => {
                self.set(at, Section::Key, &e.owner, "vouched for", e.public_key.to_string());
            }
            WorkspaceEvent::LayoutChanged(e) => {
                self.set(at, Section::Workspace, "layout", "kind", e.to.word().to_owned());
            }
            WorkspaceEvent::LogsPacked(e) => self.file(at, &e.name, Some(&e.digest)),
            WorkspaceEvent::CheckpointAnchored(e) => {
                let name = format!("log checkpoint {}", e.size);
                self.set(at, Section::Workspace, &name, "anchored in", e.location.clone());
            }
            WorkspaceEvent::SnapshotTaken(e) => {
                let name = format!("snapshot {}", e.manifest.short(LETTERS));
                self.set(at, Section::Workspace, &name, "files", e.files.to_string());
            }
            WorkspaceEvent::BlobsRemoved(e) => {
                for digest in &e.digests {
                    let name = format!("blob {digest}");
                    self.set(at, Section::File, &name, "state", "removed".to_owned());
                }
            }
            _ => {}
        }
    }
}

/// `test/f1_macro`, or `learning_rate` for what has no split.
fn metric(key: &crate::domain::metric::MetricKey) -> String {
    match key.split {
        Some(split) => format!("{}/{}", split.word(), key.name),
        None => key.name.clone(),
    }
}
