//! What was taken out: every payload that is missing must be named by a signed `text.redacted`
//! event, with the digest of what was there and of what stands there now (L-8).

use std::collections::BTreeMap;

use super::Finding;
use super::identity::Identities;
use crate::base::Digest;
use crate::domain::workspace::{RedactedEvent, TextRedacted};
use crate::domain::{EnvelopeRef, Header, Identity, PayloadRef};
use crate::tlog::NoteKey;

/// Payloads that are missing, and events that say so.
#[derive(Default)]
pub(super) struct Redactions {
    /// By position.
    missing: BTreeMap<u64, Missing>,
    /// By position of the redaction.
    told: BTreeMap<u64, Told>,
}

struct Missing {
    by: u64,
    payload: Digest,
    replacement: Digest,
}

struct Told {
    identity: Identity,
    events: BTreeMap<u64, RedactedEvent>,
}

impl Redactions {
    /// Takes note of an event whose payload is missing.
    pub(super) fn visit(&mut self, event: &EnvelopeRef<'_>) {
        if let PayloadRef::Redacted { masked, bytes } = event.payload {
            let replacement = Digest::of(bytes);
            let missing = Missing { by: masked.by, payload: masked.digest, replacement };
            self.missing.insert(event.header.position, missing);
        }
    }

    /// Takes note of a redaction.
    pub(super) fn register_redaction(&mut self, header: &Header, redacted: TextRedacted) {
        let events = redacted.events.into_iter().map(|event| (event.position, event)).collect();
        self.told.insert(header.position, Told { identity: header.identity, events });
    }

    /// What is wrong, once every event was taken in and every signature checked.
    pub(super) fn check(&self, identities: &Identities, pinned: Option<&NoteKey>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (at, missing) in &self.missing {
            let what = self.wrong(*at, missing, identities, pinned);
            findings.extend(what.map(|what| Finding::at(*at, what)));
        }
        let mut last = BTreeMap::new();
        for (by, told) in &self.told {
            last.extend(told.events.keys().map(|at| (*at, *by)));
        }
        for (at, by) in last {
            if self.missing.get(&at).is_none_or(|missing| missing.by < by) {
                let what = format!("a text that event {by} took out is here again");
                findings.push(Finding::at(at, what));
            }
        }
        findings
    }

    fn wrong(
        &self,
        at: u64,
        missing: &Missing,
        identities: &Identities,
        pinned: Option<&NoteKey>,
    ) -> Option<String> {
        let by = missing.by;
        let told = self.told.get(&by).and_then(|told| Some((told, told.events.get(&at)?)));
        let Some((told, event)) = told else {
            return Some("the payload is gone without a signed redaction".into());
        };
        if !identities.counts(by, &told.identity, pinned) {
            return Some(format!(
                "the payload is gone and the redaction, event {by}, has no signature that counts"
            ));
        }
        if event.payload != missing.payload || event.replacement != missing.replacement {
            return Some(format!("the stored payload does not match its redaction, event {by}"));
        }
        None
    }
}
