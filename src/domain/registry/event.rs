//! Facts about promotions.

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bump, Evidence, Semver};
use crate::base::{Digest, MoveId, RequestId, RunId, Sha256Digest};
use crate::domain::RuleResult;

stream_events! {
    /// What can happen to promotions and production models.
    pub enum RegistryEvent of Registry {
        0x0301 REQUESTED "promotion.requested" 3 Text Requested(PromotionRequested),
        0x0302 APPROVED "promotion.approved" 2 Text Approved(PromotionApproved),
        0x0303 REJECTED "promotion.rejected" 1 Text Rejected(PromotionRejected),
        0x0304 REFUSED "promotion.refused" 1 Text Refused(PromotionRefused),
        0x0305 PROMOTED "model.promoted" 2 Decision Promoted(ModelPromoted),
        0x0306 DEMOTED "model.demoted" 1 Text Demoted(ModelDemoted),
        0x0307 ROLLED_BACK "model.rolled_back" 1 Text RolledBack(ModelRolledBack),
        0x0308 VERSION_BUMPED "model.version_bumped" 1 Text VersionBumped(ModelVersionBumped),
        0x0309 ALIAS_SET "model.alias_set" 1 Text AliasSet(ModelAliasSet),
        0x030a ALIAS_REMOVED "model.alias_removed" 1 Text AliasRemoved(ModelAliasRemoved),
        0x030b RELOCATED "model.relocated" 1 Decision Relocated(ModelRelocated),
        0x030c FOUND_DAMAGED "model.found_damaged" 2 Text FoundDamaged(ModelFoundDamaged),
        0x030d REPAIRED "model.repaired" 1 Text Repaired(ModelRepaired),
    }
}

/// Somebody asked for a run to go into production.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PromotionRequested {
    /// The request's id.
    pub request: RequestId,
    /// The run.
    pub run: RunId,
    /// The production name it shall have.
    pub name: String,
    /// Who trained the run, by name; separation of duties is judged by it.
    pub trainer: String,
    /// Revision of the policy it met when it was asked for.
    pub policy_revision: u64,
    /// Why.
    pub reason: Option<String>,
    /// What the model is meant for, as stated; version 1 had no such statement.
    pub intended_use: Option<String>,
    /// What it must not be used for or cannot do, as stated; version 1 had no such statement.
    pub limits: Option<String>,
    /// What it rests on; versions before 3 did not fix it.
    pub evidence: Option<Evidence>,
}

/// A person agreed.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PromotionApproved {
    /// The request.
    pub request: RequestId,
    /// The person, by name.
    pub approver: String,
    /// What they said.
    pub reason: Option<String>,
    /// Digest of the evidence that they approved; version 1 had none.
    pub evidence: Option<Digest>,
}

/// A person said no. The request is closed.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PromotionRejected {
    /// The request.
    pub request: RequestId,
    /// The person, by name.
    pub approver: String,
    /// Why.
    pub reason: String,
}

/// A rule said no. Nothing else changed.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PromotionRefused {
    /// The run.
    pub run: RunId,
    /// The production name it was to have.
    pub name: String,
    /// Revision of the policy that judged.
    pub policy_revision: u64,
    /// The refusal, as the user read it.
    pub message: String,
    /// The policy's rules that were not met, with the numbers.
    pub failed: Vec<RuleResult>,
}

/// A run's files are in production, whole.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelPromoted {
    /// The request that was granted.
    pub request: RequestId,
    /// The run.
    pub run: RunId,
    /// The production name.
    pub name: String,
    /// Its folder, relative to the workspace.
    pub path: String,
    /// The files in it.
    pub files: Vec<PromotedFile>,
    /// The move that brought them there.
    pub file_move: MoveId,
    /// Revision of the policy that judged.
    pub policy_revision: u64,
    /// The names of those who approved.
    pub approvers: Vec<String>,
}

/// One file of a production model.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct PromotedFile {
    /// Its path inside the folder.
    pub path: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// SHA-256 of its bytes; none where it was not recorded.
    pub sha256: Option<Sha256Digest>,
    /// Its size.
    pub bytes: u64,
}

/// A model was taken out of production.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelDemoted {
    /// The production name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// An earlier version is in production again, whole.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelRolledBack {
    /// The production name.
    pub name: String,
    /// Number of the version that is back.
    pub number: u32,
    /// Number of the version it replaced; none when the name was not in production.
    pub from: Option<u32>,
    /// The move that brought its files.
    pub file_move: MoveId,
    /// Why.
    pub reason: String,
}

/// A version is called something else from now on.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelVersionBumped {
    /// The production name.
    pub name: String,
    /// Number of the version.
    pub number: u32,
    /// Which part was raised.
    pub bump: Bump,
    /// What it was called.
    pub from: Semver,
    /// What it is called.
    pub to: Semver,
    /// Why.
    pub reason: Option<String>,
}

/// An alias points at a version.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelAliasSet {
    /// The alias, such as `champion`.
    pub alias: String,
    /// The production name it points at.
    pub name: String,
    /// Number of the version it points at.
    pub number: u32,
    /// Where it pointed before: name and number.
    pub previous: Option<(String, u32)>,
    /// Why.
    pub reason: Option<String>,
}

/// An alias was removed.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelAliasRemoved {
    /// The alias.
    pub alias: String,
    /// Why.
    pub reason: Option<String>,
}

/// A model in production lies where another layout has it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelRelocated {
    /// The production name.
    pub name: String,
    /// Its folder from here on, relative to the workspace.
    pub path: String,
    /// The move.
    pub file_move: MoveId,
}

/// A production folder did not hold what was recorded when it was replaced, removed or repaired.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelFoundDamaged {
    /// The production name.
    pub name: String,
    /// Number of the version that was in production.
    pub number: u32,
    /// Its folder, relative to the workspace.
    pub path: String,
    /// What was not as recorded.
    pub found: Vec<DamagedFile>,
    /// Differences beyond those that `found` lists.
    pub unlisted: u64,
    /// Where the folder was kept as it was found, relative to the workspace; none when files were
    /// only missing.
    pub kept: Option<String>,
    /// The move that took the folder away.
    pub file_move: MoveId,
}

/// One difference between a production folder and its record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct DamagedFile {
    /// Path inside the folder; `.` for the folder itself.
    pub path: String,
    /// How it differs.
    pub damage: Damage,
}

/// How something in a production folder differs from its record.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// A recorded file is not there.
    Missing,
    /// A recorded file has other bytes.
    Altered {
        /// Digest of the bytes found.
        found: Digest,
        /// SHA-256 of the bytes found; none where it was not recorded.
        sha256: Option<Sha256Digest>,
    },
    /// A file that was not recorded.
    Added,
    /// A link, a folder or something else where a file is expected.
    NotAFile,
    /// It cannot be read.
    Unreadable,
}

impl Damage {
    /// One word for tables and messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Altered { .. } => "altered",
            Self::Added => "added",
            Self::NotAFile => "not a plain file (a symbolic link is not followed)",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A production folder holds its recorded files again, brought from the blob store.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct ModelRepaired {
    /// The production name.
    pub name: String,
    /// Number of the version in production.
    pub number: u32,
    /// The move that brought the files.
    pub file_move: MoveId,
    /// Why, where a person gave a reason.
    pub reason: Option<String>,
}
