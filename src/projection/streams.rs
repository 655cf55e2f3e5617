//! What the events of a few streams add up to that were allowed, for decisions: rows as the views
//! have them, made from the log through its index while somebody waits, and never from
//! `views.redb`.

use super::kv::Layered;
use super::{ALL, Snapshot, ViewError, violations};
use crate::domain::history::History;
use crate::domain::{EnvelopeRef, StreamId};
use crate::store::{Access, StoreError, View};

impl Snapshot {
    /// The rows that follow from `streams` alone, when the log had `size` events. Other runs and
    /// models are missing, and so are points of metrics: they are of a bulk kind, which the index
    /// of a stream leaves out.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn of_streams<A: Access>(
        log: &View<A>,
        size: u64,
        streams: &[StreamId],
    ) -> Result<Self, ViewError> {
        let mut envelopes = Vec::new();
        for stream in streams {
            envelopes.extend(log.stream(*stream, 0)?);
        }
        envelopes.retain(|envelope| envelope.header.position < size);
        envelopes.sort_by_key(|envelope| envelope.header.position);
        let mut snapshot = Self::default();
        snapshot.size = size;
        let mut histories: Vec<(StreamId, History)> =
            streams.iter().map(|stream| (*stream, History::of_stream(*stream))).collect();
        for envelope in &envelopes {
            let position = envelope.header.position;
            let malformed = |source| StoreError::Malformed { at: position.to_string(), source };
            let envelope = EnvelopeRef::decode(envelope.stored()).map_err(malformed)?;
            // Kinds of a later version add nothing that this annals knows.
            let Ok(event) = envelope.event() else { continue };
            let own = histories.iter_mut().find(|(stream, _)| *stream == envelope.header.stream);
            let Some((_, history)) = own else { continue };
            let digest = || envelope.payload.digest();
            if !history.admit(log, &envelope.header, digest, Some(&event))? {
                let fresh = snapshot.fresh.entry(violations::VIEW.name).or_default();
                let mut rows = Layered { fresh, below: |_: &[u8]| Ok(None) };
                history.violations().last().map_or(Ok(()), |v| violations::put(&mut rows, v))?;
                continue;
            }
            for view in ALL.iter().filter(|view| view.kinds.contains(&envelope.header.kind)) {
                let fresh = snapshot.fresh.entry(view.name).or_default();
                (view.apply)(
                    &mut Layered { fresh, below: |_: &[u8]| Ok(None) },
                    &envelope,
                    &event,
                )?;
            }
        }
        Ok(snapshot)
    }
}
