//! Events about files that were moved: each is allowed only after the move that it names was
//! completed, and only if that move was planned for exactly this.

use super::admit::{History, Past, RunRecord, Told};
use super::author::refused;
use super::take::{author, is_proven};
use crate::base::{Digest, RunId, Sha256Digest};
use crate::domain::file_move::{
    self, Migrated, MigrationOrder, MoveEvent, MovePhase, MovePlanned, MovePurpose, MoveState,
    MovedFile,
};
use crate::domain::registry::{
    ModelDemoted, ModelFoundDamaged, ModelPromoted, ModelRelocated, ModelRepaired, ModelRolledBack,
    Originals, PromotedFile, RegistryEvent, RegistryState,
};
use crate::domain::run::{
    self, DroppedFile, RunArchived, RunDeleted, RunEvent, RunRelocated, RunRestored,
};
use crate::domain::text::is_redacted;
use crate::domain::{Decider as _, Event, Header, Rejection, StreamId, StreamType};

/// A move of files, as far as the log had it.
#[derive(Clone, Debug, Default)]
pub(super) struct MoveRecord {
    state: MoveState,
    planned: Option<u64>,
    ended: Option<u64>,
}

impl MoveRecord {
    fn take(&mut self, header: &Header, event: &MoveEvent) {
        let at = match event {
            MoveEvent::Planned(_) => &mut self.planned,
            MoveEvent::Completed(_) | MoveEvent::RolledBack(_) => &mut self.ended,
        };
        *at = Some(header.position);
        file_move::MoveStream::evolve(&mut self.state, event, header);
    }

    /// The plan of a move whose files had arrived before `position`.
    fn completed(&self, position: u64) -> Result<&MovePlanned, Rejection> {
        let before = |at: Option<u64>| at.is_some_and(|at| at < position);
        let Some(planned) = self.state.planned.as_ref().filter(|_| before(self.planned)) else {
            return Err(refused("it names a move of files that was not planned before it"));
        };
        let ended = before(self.ended);
        match self.state.phase {
            MovePhase::Completed if ended => Ok(planned),
            MovePhase::RolledBack if ended => {
                Err(refused("the move of files that it names was rolled back"))
            }
            MovePhase::Unknown
            | MovePhase::Planned
            | MovePhase::Completed
            | MovePhase::RolledBack => {
                Err(refused("the move of files that it names was not completed before it"))
            }
        }
    }
}

/// An event of a run about files that a move brought to where they are.
#[derive(Clone, Copy)]
pub(super) enum MovedRun<'e> {
    Archived(&'e RunArchived),
    Restored(&'e RunRestored),
    Relocated(&'e RunRelocated),
    Deleted(&'e RunDeleted),
}

/// An event of the registry about files that a move brought to where they are.
#[derive(Clone, Copy)]
pub(super) enum MovedModel<'e> {
    Promoted(&'e ModelPromoted),
    Demoted(&'e ModelDemoted),
    RolledBack(&'e ModelRolledBack),
    Repaired(&'e ModelRepaired),
    Relocated(&'e ModelRelocated),
    FoundDamaged(&'e ModelFoundDamaged),
}

impl<'e> MovedRun<'e> {
    pub(super) fn of(event: &'e RunEvent) -> Option<Self> {
        match event {
            RunEvent::Archived(event) => Some(Self::Archived(event)),
            RunEvent::Restored(event) => Some(Self::Restored(event)),
            RunEvent::Relocated(event) => Some(Self::Relocated(event)),
            RunEvent::Deleted(event) => Some(Self::Deleted(event)),
            RunEvent::Started(_)
            | RunEvent::Classified(_)
            | RunEvent::MetricsRecorded(_)
            | RunEvent::CheckpointSaved(_)
            | RunEvent::CheckpointPruned(_)
            | RunEvent::ArtifactStored(_)
            | RunEvent::Finished(_)
            | RunEvent::Failed(_)
            | RunEvent::Interrupted(_)
            | RunEvent::Assessed(_)
            | RunEvent::Resumed(_)
            | RunEvent::Reproduced(_)
            | RunEvent::MetricsUnrecorded(_)
            | RunEvent::Tagged(_)
            | RunEvent::Noted(_)
            | RunEvent::Pinned(_)
            | RunEvent::Unpinned(_)
            | RunEvent::Renamed(_)
            | RunEvent::Planned(_)
            | RunEvent::Shared(_) => None,
        }
    }

    /// The stream of the move.
    pub(super) fn file_move(self) -> StreamId {
        match self {
            Self::Archived(event) => event.file_move,
            Self::Restored(event) => event.file_move,
            Self::Relocated(event) => event.file_move,
            Self::Deleted(event) => event.file_move,
        }
        .into()
    }

    /// Refuses an event that is not the one which this move was planned for.
    pub(super) fn is_of(
        self,
        run: RunId,
        plan: &MovePlanned,
        originals: &Originals,
    ) -> Result<(), Rejection> {
        let own = plan.purpose.run() == Some(run);
        match self {
            Self::Archived(event) => {
                let MovePurpose::Archive(order) = &plan.purpose else { return other(plan) };
                same("run", own)?;
                let packed = event.packed.as_ref();
                same("archive", event.archive == order.archive)?;
                same("folder", event.folder == plan.to)?;
                same("rule", event.rule == order.rule)?;
                same("reason", same_text(Some(&event.reason), Some(&order.reason)))?;
                same("policy", event.policy_revision == order.policy_revision)?;
                same("pack", packed.map(|packed| packed.pack) == order.pack)?;
                same(
                    "set of dropped files",
                    same_files(&event.dropped, &order.dropped, originals),
                )?;
                let sizes = run::archived_sizes(&plan.files, order, packed);
                same("size", (event.bytes_before, event.bytes_after) == sizes)
            }
            Self::Restored(event) => {
                let MovePurpose::Restore(order) = &plan.purpose else { return other(plan) };
                same("run", own)?;
                same("folder", event.folder == plan.to)?;
                same("reason", same_text(event.reason.as_ref(), order.reason.as_ref()))?;
                let recovered = same_files(&event.recovered, &order.from_blobs, originals);
                same("set of recovered files", recovered)
            }
            Self::Relocated(event) => {
                let MovePurpose::Migration(MigrationOrder { what, .. }) = &plan.purpose else {
                    return other(plan);
                };
                let Migrated::Run { home, .. } = what else { return other(plan) };
                same("run", own)?;
                same("folder", event.folder == plan.to && event.home == *home)?;
                same("set of renamed files", event.renamed == run::renamed(&plan.files))
            }
            Self::Deleted(event) => {
                let MovePurpose::Removal(order) = &plan.purpose else { return other(plan) };
                same("run", own)?;
                same("consolidation plan", event.plan == order.plan)?;
                same("reason", same_text(Some(&event.reason), Some(&order.reason)))?;
                same("policy", event.policy_revision == order.policy_revision)?;
                same("set of files", same_files(&event.files, &plan.files, originals))?;
                same("size", event.bytes == run::size_of(&plan.files))
            }
        }
    }
}

impl<'e> MovedModel<'e> {
    pub(super) fn of(event: &'e RegistryEvent) -> Option<Self> {
        match event {
            RegistryEvent::Promoted(event) => Some(Self::Promoted(event)),
            RegistryEvent::Demoted(event) => Some(Self::Demoted(event)),
            RegistryEvent::RolledBack(event) => Some(Self::RolledBack(event)),
            RegistryEvent::Repaired(event) => Some(Self::Repaired(event)),
            RegistryEvent::Relocated(event) => Some(Self::Relocated(event)),
            RegistryEvent::FoundDamaged(event) => Some(Self::FoundDamaged(event)),
            RegistryEvent::Requested(_)
            | RegistryEvent::Approved(_)
            | RegistryEvent::Rejected(_)
            | RegistryEvent::Refused(_)
            | RegistryEvent::VersionBumped(_)
            | RegistryEvent::AliasSet(_)
            | RegistryEvent::AliasRemoved(_) => None,
        }
    }

    /// The stream of the move; none for a demotion, which follows directly on the end of its move.
    fn file_move(self) -> Option<StreamId> {
        match self {
            Self::Promoted(event) => Some(event.file_move.into()),
            Self::Demoted(_) => None,
            Self::RolledBack(event) => Some(event.file_move.into()),
            Self::Repaired(event) => Some(event.file_move.into()),
            Self::Relocated(event) => Some(event.file_move.into()),
            Self::FoundDamaged(event) => Some(event.file_move.into()),
        }
    }

    fn name(self) -> &'e str {
        match self {
            Self::Promoted(event) => &event.name,
            Self::Demoted(event) => &event.name,
            Self::RolledBack(event) => &event.name,
            Self::Repaired(event) => &event.name,
            Self::Relocated(event) => &event.name,
            Self::FoundDamaged(event) => &event.name,
        }
    }

    /// Refuses an event that is not the one which this move was planned for.
    pub(super) fn is_of(
        self,
        registry: &RegistryState,
        plan: &MovePlanned,
        originals: &Originals,
    ) -> Result<(), Rejection> {
        let own = plan.purpose.model() == Some(self.name());
        let of_version = |number: u32| {
            let versions = registry.versions(self.name());
            let version = versions.iter().find(|version| version.number == number);
            version.is_none_or(|version| same_files(&version.files, &plan.files, originals))
        };
        match self {
            Self::Promoted(event) => {
                let MovePurpose::Promotion { request, run, .. } = &plan.purpose else {
                    return other(plan);
                };
                same("model", own)?;
                same("request", event.request == *request)?;
                same("run", event.run == *run)?;
                same("folder", event.path == plan.to)?;
                same("set of files", same_files(&event.files, &plan.files, originals))
            }
            Self::Demoted(event) => {
                let MovePurpose::Demotion { reason, .. } = &plan.purpose else {
                    return other(plan);
                };
                same("model", own)?;
                same("reason", same_text(Some(&event.reason), Some(reason)))
            }
            Self::RolledBack(event) => {
                let MovePurpose::Rollback { number, reason, .. } = &plan.purpose else {
                    return other(plan);
                };
                same("model", own)?;
                same("version", event.number == *number)?;
                same("reason", same_text(Some(&event.reason), Some(reason)))?;
                same("set of files", of_version(*number))
            }
            Self::Repaired(event) => {
                let MovePurpose::Repair { number, reason, .. } = &plan.purpose else {
                    return other(plan);
                };
                same("model", own)?;
                same("version", event.number == *number)?;
                same("reason", same_text(event.reason.as_ref(), reason.as_ref()))?;
                same("set of files", of_version(*number))
            }
            Self::Relocated(event) => {
                may_change_folder(plan)?;
                same("model", own)?;
                same("folder", event.path == plan.to)
            }
            Self::FoundDamaged(_) => {
                may_find_damage(plan)?;
                same("model", own)
            }
        }
    }
}

/// A version may come back to another folder than it left.
fn may_change_folder(plan: &MovePlanned) -> Result<(), Rejection> {
    match &plan.purpose {
        MovePurpose::Migration(_) | MovePurpose::Rollback { .. } => Ok(()),
        MovePurpose::Promotion { .. }
        | MovePurpose::Demotion { .. }
        | MovePurpose::Archive(_)
        | MovePurpose::Restore(_)
        | MovePurpose::Removal(_)
        | MovePurpose::Repair { .. } => other(plan),
    }
}

/// Whatever replaces or removes a production folder compares it with its record.
fn may_find_damage(plan: &MovePlanned) -> Result<(), Rejection> {
    match &plan.purpose {
        MovePurpose::Promotion { .. }
        | MovePurpose::Demotion { .. }
        | MovePurpose::Rollback { .. }
        | MovePurpose::Repair { .. } => Ok(()),
        MovePurpose::Archive(_)
        | MovePurpose::Restore(_)
        | MovePurpose::Removal(_)
        | MovePurpose::Migration(_) => other(plan),
    }
}

fn other(plan: &MovePlanned) -> Result<(), Rejection> {
    Err(refused(format!(
        "the move of files that it names was planned for something else ({})",
        plan.purpose.word()
    )))
}

fn same(what: &str, same: bool) -> Result<(), Rejection> {
    match same {
        true => Ok(()),
        false => {
            Err(refused(format!("the move of files that it names was planned with another {what}")))
        }
    }
}

/// Whether two records of one text are equal, unless a redaction took something out of one.
fn same_text(one: Option<&String>, other: Option<&String>) -> bool {
    let redacted = |text: Option<&String>| text.is_some_and(|text| is_redacted(text));
    one == other || redacted(one) || redacted(other)
}

/// A file as events and plans record it.
trait Recorded {
    fn recorded(&self) -> (&str, Digest, Option<Sha256Digest>, u64);
}

macro_rules! recorded {
    ($($file:ty),*) => {$(
        impl Recorded for $file {
            fn recorded(&self) -> (&str, Digest, Option<Sha256Digest>, u64) {
                (&self.path, self.digest, self.sha256, self.bytes)
            }
        }
    )*};
}
recorded!(MovedFile, DroppedFile, PromotedFile);

/// Whether two lists name the same files, as far as both recorded what they are.
fn same_files<A: Recorded, B: Recorded>(one: &[A], other: &[B], originals: &Originals) -> bool {
    let original = |digest: Digest| originals.get(&digest).copied().unwrap_or(digest);
    let same = |(one, other): (&A, &B)| {
        let (path, digest, sha256, bytes) = one.recorded();
        let (other_path, other_digest, other_sha256, other_bytes) = other.recorded();
        // A redaction renames both digests.
        let differs = digest == other_digest
            && sha256.zip(other_sha256).is_some_and(|(one, other)| one != other);
        path == other_path
            && original(digest) == original(other_digest)
            && bytes == other_bytes
            && !differs
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

impl History {
    pub(super) fn file_move<P: Past>(
        &mut self,
        past: &P,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: &MoveEvent,
    ) -> Result<Result<(), Rejection>, P::Error> {
        self.load_rules(past, header.position)?;
        self.load_people(past, header.position)?;
        self.load_move(past, header.stream)?;
        let mut record = self.moves.remove(&header.stream).unwrap_or_default();
        let judged = self.judge_move(past, &record, header, payload, event);
        if judged.is_ok() {
            record.take(header, event);
        }
        self.moves.insert(header.stream, record);
        Ok(judged)
    }

    fn judge_move<P: Past>(
        &self,
        past: &P,
        record: &MoveRecord,
        header: &Header,
        payload: &dyn Fn() -> Digest,
        event: &MoveEvent,
    ) -> Result<(), Rejection> {
        let (Some(people), Some(rules)) = (&self.people, &self.rules) else { return Ok(()) };
        self.check_signature(past, header, payload)?;
        let proven = || is_proven(people, past, header, payload);
        let author = author(people, header, &proven)?;
        let strict = rules.strict(header.position);
        file_move::admits(&record.state, event, header, &author, strict)
    }

    /// Reads a move as it was before the first event that is told; all of it where its events are
    /// not told, since each event says from where on it counts.
    pub(super) fn load_move<P: Past>(
        &mut self,
        past: &P,
        stream: StreamId,
    ) -> Result<(), P::Error> {
        if self.told == Told::All || self.moves.contains_key(&stream) {
            return Ok(());
        }
        let mut record = MoveRecord::default();
        for before in past.stream(stream)?.iter().filter(|e| !self.will_be_told(&e.header)) {
            let Ok(Event::Move(event)) = before.event() else { continue };
            let digest = || before.payload.digest();
            if self.judge_move(past, &record, &before.header, &digest, &event).is_ok() {
                record.take(&before.header, &event);
            }
        }
        self.moves.insert(stream, record);
        Ok(())
    }

    /// Reads what [`History::run_by_its_move`] has to know.
    pub(super) fn load_move_of_run<P: Past>(
        &mut self,
        past: &P,
        moved: MovedRun<'_>,
    ) -> Result<(), P::Error> {
        self.load_move(past, moved.file_move())?;
        self.load_originals(past)
    }

    /// Refuses an event of a run that names a move which was not planned for it.
    pub(super) fn run_by_its_move(
        &self,
        record: &RunRecord,
        header: &Header,
        event: &RunEvent,
    ) -> Result<(), Rejection> {
        let Some(moved) = MovedRun::of(event) else { return Ok(()) };
        let Some(run) = header.stream.run() else { return Ok(()) };
        let plan = self.plan_of(moved.file_move(), header.position)?;
        if record.moves.contains(&moved.file_move()) {
            return Err(refused("an earlier event names the same move of files"));
        }
        moved.is_of(run, plan, self.originals.as_ref().unwrap_or(&Originals::new()))?;
        same("source", plan.from == record.state.folder)
    }

    /// Reads what [`History::model_by_its_move`] has to know, and returns the stream of the move.
    pub(super) fn load_move_of_model<P: Past>(
        &mut self,
        past: &P,
        header: &Header,
        event: &RegistryEvent,
    ) -> Result<Option<StreamId>, P::Error> {
        let Some(moved) = MovedModel::of(event) else { return Ok(None) };
        let file_move = match moved.file_move() {
            Some(file_move) => Some(file_move),
            None => self.ended_before(past, header.position)?,
        };
        if let Some(file_move) = file_move {
            self.load_move(past, file_move)?;
            self.load_originals(past)?;
        }
        Ok(file_move)
    }

    /// The move that the event before a position ended. What was found damaged comes in between.
    fn ended_before<P: Past>(&self, past: &P, position: u64) -> Result<Option<StreamId>, P::Error> {
        let Some(before) = position.checked_sub(1) else { return Ok(None) };
        let Some(before) = past.event(before)? else { return Ok(None) };
        if before.header.stream.stream_type() == Some(StreamType::Move) {
            return Ok(Some(before.header.stream));
        }
        Ok(match before.event() {
            Ok(Event::Registry(RegistryEvent::FoundDamaged(found))) => Some(found.file_move.into()),
            _ => None,
        })
    }

    /// Refuses an event of the registry whose move was not planned for it.
    pub(super) fn model_by_its_move(
        &self,
        registry: &RegistryState,
        header: &Header,
        event: &RegistryEvent,
        file_move: Option<StreamId>,
    ) -> Result<(), Rejection> {
        let Some(moved) = MovedModel::of(event) else { return Ok(()) };
        let Some(file_move) = file_move else {
            return Err(refused("it does not follow on the end of a move of files"));
        };
        let plan = self.plan_of(file_move, header.position)?;
        if self.model_moves.contains(&(file_move, header.kind)) {
            return Err(refused("an earlier event names the same move of files"));
        }
        moved.is_of(registry, plan, self.originals.as_ref().unwrap_or(&Originals::new()))
    }

    fn plan_of(&self, file_move: StreamId, position: u64) -> Result<&MovePlanned, Rejection> {
        match self.moves.get(&file_move) {
            Some(record) => record.completed(position),
            None => Err(refused("it names a move of files that was not planned before it")),
        }
    }
}
