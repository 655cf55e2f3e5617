//! What a history asks of the log.

use super::{Access, StoreError, View};
use crate::base::PublicKey;
use crate::domain::history::Past;
use crate::domain::{Envelope, StreamId};
use crate::tlog::NoteKey;

impl<A: Access> Past for View<A> {
    type Error = StoreError;

    fn stream(&self, stream: StreamId) -> Result<Vec<Envelope>, StoreError> {
        Self::stream(self, stream, 0)
    }

    fn event(&self, position: u64) -> Result<Option<Envelope>, StoreError> {
        match Self::event(self, position) {
            Err(StoreError::NoEvent { .. }) => Ok(None),
            event => event.map(Some),
        }
    }

    fn fits(&self, key: PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
        NoteKey::new(self.origin(), key).is_ok_and(|key| key.fits(message, signature))
    }

    fn origin(&self) -> &str {
        Self::origin(self)
    }
}
