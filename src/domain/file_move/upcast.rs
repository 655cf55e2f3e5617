//! Old shapes of this stream's kinds, turned into today's. Stored bytes are never rewritten (L-7).
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one.

use super::{MoveEvent, MovePlanned};
use crate::base::codec;
use crate::domain::{DecodeError, Kind};

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    kind: Kind,
    version: u16,
    bytes: &[u8],
) -> Option<Result<MoveEvent, DecodeError>> {
    let event = match (kind.name().as_str(), version) {
        // Version 2 only added a purpose at the end of the list: older bytes mean the same.
        ("move.planned", 1) => codec::decode::<MovePlanned>(bytes).map(MoveEvent::from),
        _ => return None,
    };
    Some(event.map_err(|source| DecodeError::Malformed { kind, version, source }))
}
