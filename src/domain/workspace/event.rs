//! Facts about the log itself.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::{Digest, LogId, PublicKey, RunId, Sha256Digest};

stream_events! {
    /// What can happen to the log itself.
    pub enum WorkspaceEvent of Workspace {
        0x0101 CREATED "workspace.created" 1 Decision Created(WorkspaceCreated),
        0x0102 ACTOR_REGISTERED "actor.registered" 1 Decision ActorRegistered(ActorRegistered),
        0x0103 KEY_CREATED "key.created" 2 Decision KeyCreated(KeyCreated),
        0x0104 KEY_VOUCHED "key.vouched" 2 Decision KeyVouched(KeyVouched),
        0x0110 BLOBS_REMOVED "blobs.removed" 1 Decision BlobsRemoved(BlobsRemoved),
        0x0111 CONSOLIDATION_APPLIED "consolidation.applied" 2 Decision
            ConsolidationApplied(ConsolidationApplied),
        0x0112 LAYOUT_CHANGED "layout.changed" 1 Decision LayoutChanged(LayoutChanged),
        0x0113 SNAPSHOT_TAKEN "snapshot.taken" 2 Text SnapshotTaken(SnapshotTaken),
        0x0114 TEXT_REDACTED "text.redacted" 1 Decision TextRedacted(TextRedacted),
        0x0118 LOGS_PACKED "logs.packed" 2 Decision LogsPacked(LogsPacked),
        0x0119 CHECKPOINT_ANCHORED "checkpoint.anchored" 1 Text
            CheckpointAnchored(CheckpointAnchored),
    }
}

/// A log was begun.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceCreated {
    /// The log's id.
    pub log: LogId,
    /// First line of every log checkpoint; names the log among all logs.
    pub origin: String,
    /// The project's name.
    pub project: String,
    /// The annals that began it.
    pub tool_version: String,
}

/// A signed log checkpoint was put where it can be kept out of reach.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointAnchored {
    /// Events in the log when the log checkpoint was signed.
    pub size: u64,
    /// Digest of the signed note.
    pub note: Digest,
    /// Where: `git tag annals-checkpoint-12`, or `file` and its path.
    pub location: String,
    /// The commit that a tag points at.
    pub commit: Option<String>,
}

/// An actor was seen for the first time. Its own header names itself as actor.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ActorRegistered {
    /// The user's name, as the process that recorded it said.
    pub name: String,
}

/// The scheme that a key signs with.
///
/// ECDSA P-256 comes next, at the end of the list, with a new version of each event that has one:
/// its public keys are longer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum KeyAlgorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
}

impl KeyAlgorithm {
    /// The word used in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
        }
    }
}

/// A signing key was made. The private key never enters the log or the workspace.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct KeyCreated {
    /// What it signs with.
    pub algorithm: KeyAlgorithm,
    /// The public key.
    pub public_key: PublicKey,
    /// Name of the actor who holds the private key.
    pub owner: String,
    /// Position of the `key.created` event of the key that this one replaces.
    pub replaces: Option<u64>,
    /// Signature of the new public key by the old key; none for the first key of a log.
    #[serde(with = "hex_signature")]
    #[schemars(with = "Option<String>")]
    pub endorsement: Option<[u8; 64]>,
}

/// What the old key signs about the new one: a tag, the log, both keys.
pub fn rotation_message(origin: &str, old: PublicKey, new: PublicKey) -> Vec<u8> {
    [b"annals key rotation v1\0", origin.as_bytes(), b"\0", &old.0, &new.0].concat()
}

/// A person confirmed that a key is its owner's. The event counts as far as it is signed itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct KeyVouched {
    /// Position of the `key.created` event.
    pub key: u64,
    /// What it signs with.
    pub algorithm: KeyAlgorithm,
    /// The key.
    pub public_key: PublicKey,
    /// Name of its owner.
    pub owner: String,
}

mod hex_signature {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<[u8; 64]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => {
                let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                serializer.serialize_some(&text)
            }
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[u8; 64]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let byte =
            |i: usize| text.get(2 * i..2 * i + 2).and_then(|t| u8::from_str_radix(t, 16).ok());
        let mut bytes = [0; 64];
        for (i, slot) in bytes.iter_mut().enumerate() {
            *slot =
                byte(i).ok_or_else(|| serde::de::Error::custom("not 128 hexadecimal digits"))?;
        }
        Ok(Some(bytes))
    }
}

/// Blobs that nothing needs are removed, or were gone already where a crash came between.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct BlobsRemoved {
    /// Which.
    pub digests: Vec<Digest>,
    /// Their size, all together.
    pub bytes: u64,
}

/// Logs of runs were packed into one file, which stands for them from here on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct LogsPacked {
    /// Name of the file: `logs_before_20250725.tar.gz`.
    pub name: String,
    /// Its bytes, which are in the blob store.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
    /// The runs. Many are told by several events with one name and one digest.
    pub runs: Vec<RunId>,
}

/// A consolidation plan was carried out, as far as nothing held its runs.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ConsolidationApplied {
    /// Digest of the plan, which is in the blob store.
    pub plan: Digest,
    /// SHA-256 of the plan; none where it was not recorded.
    pub plan_sha256: Option<Sha256Digest>,
    /// Revision of the policy it was made under.
    pub policy_revision: u64,
    /// Runs whose files were there before.
    pub runs_before: u64,
    /// Runs that went into an archive.
    pub archived: u64,
    /// Runs whose files were taken away.
    pub deleted: u64,
    /// Runs of the plan that stayed, because somebody held them meanwhile.
    pub stayed: u64,
    /// Size of the folders of the runs that the plan moves, before.
    pub bytes_before: u64,
    /// Their size afterwards.
    pub bytes_after: u64,
}

/// Where things lie in a workspace.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutKind {
    /// `experiments/`, `models/production/`.
    #[default]
    Consolidated,
    /// `training/`, `model_weights/`.
    TrainingOutput,
}

impl LayoutKind {
    /// The word used in files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Consolidated => "consolidated",
            Self::TrainingOutput => "training-output",
        }
    }
}

/// Everything lies where another layout has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct LayoutChanged {
    /// Before.
    pub from: LayoutKind,
    /// From here on.
    pub to: LayoutKind,
    /// Runs that were moved.
    pub runs: u64,
    /// Production models that were moved.
    pub models: u64,
}

/// Code, settings, environment and models were kept as they were, in blobs that one list names.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotTaken {
    /// Digest of the list, by which the snapshot is called.
    pub manifest: Digest,
    /// SHA-256 of the list; none where it was not recorded.
    pub manifest_sha256: Option<Sha256Digest>,
    /// What somebody said about it.
    pub message: Option<String>,
    /// How many files it has.
    pub files: u64,
    /// Their size, all together.
    pub bytes: u64,
    /// Commit of the code; none where no git looks after it.
    pub commit: Option<String>,
    /// Whether the code differed from the commit.
    pub dirty: bool,
    /// Models in production, by name.
    pub models: Vec<String>,
    /// Runs that it names, which old-run rules leave alone from here on.
    pub runs: Vec<RunId>,
}

/// Texts were taken out of events and files. It counts only when it is signed; its own reason
/// stays for ever.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct TextRedacted {
    /// Why.
    pub reason: String,
    /// The events that have another payload from here on.
    pub events: Vec<RedactedEvent>,
    /// The files that have other bytes from here on.
    pub files: Vec<RedactedFile>,
}

/// An event whose payload was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RedactedEvent {
    /// Its position.
    pub position: u64,
    /// Digest of the payload that it was recorded with, which the log's tree commits to.
    pub payload: Digest,
    /// blake3 of the bytes that stand there instead.
    pub replacement: Digest,
    /// Which of its fields have a placeholder; `digests` where a redacted file is named anew.
    pub fields: Vec<String>,
}

/// A file whose bytes were replaced; events name it by its new digest.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct RedactedFile {
    /// Digest of the bytes that were there.
    pub digest: Digest,
    /// Digest of the bytes that are there instead.
    pub replacement: Digest,
}
