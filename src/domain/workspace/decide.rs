//! The rules about the log itself.

use super::{
    ActorRegistered, BlobsRemoved, CheckpointAnchored, ConsolidationApplied, ConsolidationResult,
    Key, KeyAlgorithm, KeyCreated, KeyVouched, LayoutChanged, LogsPacked, SnapshotContent,
    SnapshotTaken, TextRedacted, WorkspaceCommand, WorkspaceCreated, WorkspaceEvent,
    WorkspaceState,
};
use crate::base::limits::TEXT_INLINE_BYTES_MAX;
use crate::base::{FileDigests, PublicKey, RunId};
use crate::domain::run::printable;
use crate::domain::{Decider, Event, Fold as _, Header, Rejection, StreamId};

/// Longest name of an actor with a key.
const OWNER_BYTES_MAX: usize = 100;

/// The stream of the log itself.
#[derive(Clone, Copy, Debug)]
pub enum WorkspaceStream {}

impl Decider for WorkspaceStream {
    type Id = ();
    type State = WorkspaceState;
    type Command = WorkspaceCommand;
    type Event = WorkspaceEvent;
    type Facts<'f> = ();

    fn stream((): ()) -> StreamId {
        StreamId::WORKSPACE
    }

    fn event(event: Event) -> Option<WorkspaceEvent> {
        if let Event::Workspace(event) = event { Some(event) } else { None }
    }

    fn decide(
        state: &WorkspaceState,
        command: WorkspaceCommand,
        (): &(),
    ) -> Result<Vec<WorkspaceEvent>, Rejection> {
        decide(state, command)
    }

    fn evolve(state: &mut WorkspaceState, event: &WorkspaceEvent, _: &Header) {
        state.evolve(event);
    }

    fn anticipate(state: &mut WorkspaceState, event: &WorkspaceEvent, (): &()) {
        state.evolve(event);
    }
}

/// Refuses a log that exists already, a second first key of an owner, and an unknown key.
pub(super) fn decide(
    state: &WorkspaceState,
    command: WorkspaceCommand,
) -> Result<Vec<WorkspaceEvent>, Rejection> {
    match command {
        WorkspaceCommand::Create { log, project, tool_version } => match &state.created {
            Some(created) => Err(Rejection::Exists { what: "log", name: created.origin.clone() }),
            None => {
                let origin = format!("annals/{}/{}", project, log.short(16));
                let created = WorkspaceCreated { log, origin, project, tool_version };
                Ok(vec![created.into()])
            }
        },
        WorkspaceCommand::RegisterActor { name } if state.actors.contains(&name) => Ok(vec![]),
        WorkspaceCommand::RegisterActor { name } => Ok(vec![ActorRegistered { name }.into()]),
        WorkspaceCommand::PackLogs { name, digests, bytes, runs } => {
            pack_logs(state, name, digests, bytes, runs)
        }
        WorkspaceCommand::AnchorCheckpoint { size, note, location, commit } => {
            Ok(vec![CheckpointAnchored { size, note, location, commit }.into()])
        }
        WorkspaceCommand::RemoveBlobs { digests, .. } if digests.is_empty() => Ok(vec![]),
        WorkspaceCommand::RemoveBlobs { digests, bytes } => {
            Ok(vec![BlobsRemoved { digests, bytes }.into()])
        }
        WorkspaceCommand::ChangeLayout { from, to, runs, models } => {
            Ok(vec![LayoutChanged { from, to, runs, models }.into()])
        }
        WorkspaceCommand::ApplyConsolidation(done) => {
            Ok(vec![ConsolidationApplied::from(done).into()])
        }
        WorkspaceCommand::TakeSnapshot(content) => {
            let taken = SnapshotTaken::from(content);
            if state.snapshots.contains(&taken) {
                return Ok(vec![]);
            }
            let message = taken.message.as_deref();
            message.map_or(Ok(()), |m| printable("the message", m, TEXT_INLINE_BYTES_MAX))?;
            Ok(vec![taken.into()])
        }
        WorkspaceCommand::Redact { signed: false, .. } => Err(Rejection::NotAllowed(
            "a redaction must be signed, but there is no key to sign it with".into(),
        )),
        WorkspaceCommand::Redact { reason, events, files, signed: true } => {
            printable("the reason", &reason, TEXT_INLINE_BYTES_MAX)?;
            Ok(vec![TextRedacted { reason, events, files }.into()])
        }
        WorkspaceCommand::CreateKey { public_key, owner } => create_key(state, public_key, owner),
        WorkspaceCommand::RotateKey { public_key, owner, old, replaces, endorsement } => {
            may_rotate(state, old, public_key, &owner)?;
            let (replaces, endorsement) = (Some(replaces), Some(endorsement));
            let algorithm = KeyAlgorithm::Ed25519;
            Ok(vec![KeyCreated { algorithm, public_key, owner, replaces, endorsement }.into()])
        }
        WorkspaceCommand::VouchKey { public_key, key, voucher } => {
            let known = known(state, public_key)?;
            if known.owner == voucher {
                return Err(Rejection::NotAllowed(format!(
                    "{voucher} cannot vouch for a key of their own"
                )));
            }
            let (algorithm, owner) = (known.algorithm, known.owner.clone());
            Ok(vec![KeyVouched { key, algorithm, public_key, owner }.into()])
        }
    }
}

fn create_key(
    state: &WorkspaceState,
    public_key: PublicKey,
    owner: String,
) -> Result<Vec<WorkspaceEvent>, Rejection> {
    check_owner(&owner)?;
    if state.keys.iter().any(|key| key.owner == owner) {
        return Err(Rejection::Exists { what: "signing key of", name: owner });
    }
    unused(state, public_key)?;
    let algorithm = KeyAlgorithm::Ed25519;
    let (replaces, endorsement) = (None, None);
    Ok(vec![KeyCreated { algorithm, public_key, owner, replaces, endorsement }.into()])
}

/// A key is replaced by its owner, by one that is not known yet.
fn may_rotate(
    state: &WorkspaceState,
    old: PublicKey,
    new: PublicKey,
    owner: &str,
) -> Result<(), Rejection> {
    let known = known(state, old)?;
    if known.owner != owner {
        return Err(Rejection::NotAllowed(format!(
            "the key {old:.8} belongs to {}, but {owner} requested its replacement",
            known.owner
        )));
    }
    unused(state, new)
}

fn pack_logs(
    state: &WorkspaceState,
    name: String,
    digests: FileDigests,
    bytes: u64,
    runs: Vec<RunId>,
) -> Result<Vec<WorkspaceEvent>, Rejection> {
    let (digest, sha256) = (digests.blake3, Some(digests.sha256));
    if state.packs.get(&name).is_some_and(|known| *known != digest) {
        return Err(Rejection::Exists { what: "pack of logs", name });
    }
    match runs.iter().find(|run| state.packed.contains(run)) {
        Some(run) => Err(Rejection::WrongState {
            what: format!("the log of run {run}"),
            state: "packed already".into(),
            wanted: "each log is in one pack".into(),
        }),
        None => Ok(vec![LogsPacked { name, digest, sha256, bytes, runs }.into()]),
    }
}

/// The key, as long as it was not replaced.
fn known(state: &WorkspaceState, public_key: PublicKey) -> Result<&Key, Rejection> {
    let found = state.keys.iter().find(|key| key.public_key == public_key);
    let found = found
        .ok_or_else(|| Rejection::Unknown { what: "signing key", name: public_key.to_string() })?;
    if found.replaced {
        return Err(Rejection::WrongState {
            what: format!("the key {public_key:.8} of {}", found.owner),
            state: "replaced".into(),
            wanted: "only the owner's newest key counts".into(),
        });
    }
    Ok(found)
}

fn unused(state: &WorkspaceState, public_key: PublicKey) -> Result<(), Rejection> {
    match state.keys.iter().find(|key| key.public_key == public_key) {
        Some(_) => Err(Rejection::Exists { what: "signing key", name: public_key.to_string() }),
        None => Ok(()),
    }
}

fn check_owner(owner: &str) -> Result<(), Rejection> {
    let invalid = |reason: &str| {
        Err(Rejection::Invalid { what: "the actor's name".into(), reason: reason.into() })
    };
    match owner {
        _ if owner.trim() != owner || owner.is_empty() => invalid("it is empty or begins blank"),
        _ if owner.chars().any(char::is_control) => invalid("it holds control characters"),
        _ if owner.len() > OWNER_BYTES_MAX => invalid("it is longer than 100 bytes"),
        _ => Ok(()),
    }
}

impl From<SnapshotContent> for SnapshotTaken {
    fn from(content: SnapshotContent) -> Self {
        let SnapshotContent { manifest, message, files, bytes, commit, dirty, models, runs } =
            content;
        let (manifest, manifest_sha256) = (manifest.blake3, Some(manifest.sha256));
        Self { manifest, manifest_sha256, message, files, bytes, commit, dirty, models, runs }
    }
}

impl From<ConsolidationResult> for ConsolidationApplied {
    fn from(done: ConsolidationResult) -> Self {
        let ConsolidationResult { plan, plan_sha256, policy_revision, runs_before, .. } = done;
        let ConsolidationResult { archived, deleted, stayed, bytes_before, bytes_after, .. } = done;
        Self {
            plan,
            plan_sha256,
            policy_revision,
            runs_before,
            archived,
            deleted,
            stayed,
            bytes_before,
            bytes_after,
        }
    }
}
