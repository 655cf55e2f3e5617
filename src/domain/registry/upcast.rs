//! Old shapes of this stream's kinds. None yet: every kind is at its first version.
//!
//! To change a kind's shape: raise its version in `event.rs`, keep the old struct here and turn it
//! into the new one. Stored bytes are never rewritten (L-7).

use super::RegistryEvent;
use crate::domain::{DecodeError, Kind};

/// Reads a payload of an older version; `None` when this annals does not know the version.
pub(super) fn upcast(
    _kind: Kind,
    _version: u16,
    _bytes: &[u8],
) -> Option<Result<RegistryEvent, DecodeError>> {
    None
}
