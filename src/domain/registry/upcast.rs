//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use bincode::{Decode, Encode};

use super::{PromotionRequested, RegistryEvent};
use crate::base::{RequestId, RunId, codec};
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
            }
            .into()
        }),
        _ => return None,
    };
    Some(event.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
