//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use bincode::{Decode, Encode};

use super::{Category, RunClassified, RunEvent};
use crate::base::codec;
use crate::domain::{DecodeError, Kind, kind_named};

/// `run.classified` before it named the policy.
#[derive(Encode, Decode)]
struct RunClassifiedV1 {
    category: Category,
    rule: String,
    matched: Vec<String>,
}

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<RunEvent, DecodeError>> {
    if kind_named("run.classified") != Some(kind) || version != 1 {
        return None;
    }
    let old = codec::decode::<RunClassifiedV1>(bytes).map(|old| {
        let RunClassifiedV1 { category, rule, matched } = old;
        RunClassified { category, rule, matched, policy_revision: None }.into()
    });
    Some(old.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
