//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use bincode::{Decode, Encode};

use super::{
    Damage, DamagedFile, ModelFoundDamaged, ModelPromoted, PromotedFile, PromotionApproved,
    PromotionRequested, RegistryEvent,
};
use crate::base::{Digest, MoveId, RequestId, RunId, codec};
use crate::domain::{DecodeError, Kind};

/// `promotion.requested` before intended use and limits were stated in it.
#[derive(Encode, Decode)]
struct PromotionRequestedV1 {
    request: RequestId,
    run: RunId,
    name: String,
    trainer: String,
    policy_revision: u64,
    reason: Option<String>,
}

/// `promotion.requested` before it fixed the evidence.
#[derive(Encode, Decode)]
struct PromotionRequestedV2 {
    request: RequestId,
    run: RunId,
    name: String,
    trainer: String,
    policy_revision: u64,
    reason: Option<String>,
    intended_use: Option<String>,
    limits: Option<String>,
}

impl From<PromotionRequestedV2> for PromotionRequested {
    fn from(old: PromotionRequestedV2) -> Self {
        Self {
            request: old.request,
            run: old.run,
            name: old.name,
            trainer: old.trainer,
            policy_revision: old.policy_revision,
            reason: old.reason,
            intended_use: old.intended_use,
            limits: old.limits,
            evidence: None,
        }
    }
}

/// `promotion.approved` before it named the evidence.
#[derive(Encode, Decode)]
struct PromotionApprovedV1 {
    request: RequestId,
    approver: String,
    reason: Option<String>,
}

/// `model.promoted` before its files had a SHA-256.
#[derive(Encode, Decode)]
struct ModelPromotedV1 {
    request: RequestId,
    run: RunId,
    name: String,
    path: String,
    files: Vec<PromotedFileV1>,
    file_move: MoveId,
    policy_revision: u64,
    approvers: Vec<String>,
}

#[derive(Encode, Decode)]
struct PromotedFileV1 {
    path: String,
    digest: Digest,
    bytes: u64,
}

impl From<ModelPromotedV1> for ModelPromoted {
    fn from(old: ModelPromotedV1) -> Self {
        let file = |PromotedFileV1 { path, digest, bytes }| PromotedFile {
            path,
            digest,
            sha256: None,
            bytes,
        };
        Self {
            request: old.request,
            run: old.run,
            name: old.name,
            path: old.path,
            files: old.files.into_iter().map(file).collect(),
            file_move: old.file_move,
            policy_revision: old.policy_revision,
            approvers: old.approvers,
        }
    }
}

/// `model.found_damaged` before the bytes found had a SHA-256.
#[derive(Encode, Decode)]
struct ModelFoundDamagedV1 {
    name: String,
    number: u32,
    path: String,
    found: Vec<(String, DamageV1)>,
    unlisted: u64,
    kept: Option<String>,
    file_move: MoveId,
}

#[derive(Encode, Decode)]
enum DamageV1 {
    Missing,
    Altered { found: Digest },
    Added,
    NotAFile,
    Unreadable,
}

impl From<DamageV1> for Damage {
    fn from(old: DamageV1) -> Self {
        match old {
            DamageV1::Missing => Self::Missing,
            DamageV1::Altered { found } => Self::Altered { found, sha256: None },
            DamageV1::Added => Self::Added,
            DamageV1::NotAFile => Self::NotAFile,
            DamageV1::Unreadable => Self::Unreadable,
        }
    }
}

impl From<ModelFoundDamagedV1> for ModelFoundDamaged {
    fn from(old: ModelFoundDamagedV1) -> Self {
        let file = |(path, damage): (String, DamageV1)| DamagedFile { path, damage: damage.into() };
        Self {
            name: old.name,
            number: old.number,
            path: old.path,
            found: old.found.into_iter().map(file).collect(),
            unlisted: old.unlisted,
            kept: old.kept,
            file_move: old.file_move,
        }
    }
}

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<RegistryEvent, DecodeError>> {
    let event = match (kind.name().as_str(), version) {
        ("promotion.requested", 1) => codec::decode::<PromotionRequestedV1>(bytes).map(|old| {
            let PromotionRequestedV1 { request, run, name, trainer, policy_revision, reason } = old;
            PromotionRequested {
                request,
                run,
                name,
                trainer,
                policy_revision,
                reason,
                intended_use: None,
                limits: None,
                evidence: None,
            }
            .into()
        }),
        ("promotion.requested", 2) => codec::decode::<PromotionRequestedV2>(bytes)
            .map(|old| PromotionRequested::from(old).into()),
        ("promotion.approved", 1) => codec::decode::<PromotionApprovedV1>(bytes).map(|old| {
            let PromotionApprovedV1 { request, approver, reason } = old;
            PromotionApproved { request, approver, reason, evidence: None }.into()
        }),
        ("model.promoted", 1) => {
            codec::decode::<ModelPromotedV1>(bytes).map(|old| ModelPromoted::from(old).into())
        }
        ("model.found_damaged", 1) => codec::decode::<ModelFoundDamagedV1>(bytes)
            .map(|old| ModelFoundDamaged::from(old).into()),
        _ => return None,
    };
    Some(event.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
