//! Who signed what: every actor's signature against the key the log has for that actor, and which
//! keys follow from a pinned one.
//!
//! A key that was replaced signs nothing more, except in invocations that were open then. The new
//! key must carry the old one's endorsement.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use crate::base::parallel;
use crate::domain::workspace::{KeyCreated, WorkspaceEvent, rotation_message};
use crate::domain::{EnvelopeRef, Header, Identity, signing_message};
use crate::tlog::NoteKey;

/// Signatures that are checked together: worth starting threads, and few enough to keep.
const SIGNATURES_AT_ONCE: usize = 4_096;

/// Actors, their keys, and the signatures not checked yet.
#[derive(Default)]
pub(super) struct Identities {
    actors: BTreeMap<u64, String>,
    keys: BTreeMap<u64, ActorKey>,
    /// Which key vouches for which, and in which event.
    vouches: Vec<Vouch>,
    waiting: Vec<Signature>,
    /// Events whose signature does not hold.
    bad: BTreeSet<u64>,
    /// Signatures met.
    pub(super) met: u64,
}

struct ActorKey {
    key: NoteKey,
    owner: String,
    replaced: Option<u64>,
}

struct Vouch {
    at: u64,
    by: u64,
    of: u64,
}

struct Signature {
    at: u64,
    key: u64,
    actor: u64,
    invocation: Option<u64>,
    message: Vec<u8>,
    signature: [u8; 64],
}

impl Identities {
    /// Keeps the signature of an event; true when it is time to [`check`](Self::check).
    pub(super) fn signed(&mut self, event: &EnvelopeRef<'_>) -> bool {
        let header = &event.header;
        let Identity::Signed { key, signature } = &header.identity else { return false };
        let message = signing_message(header, &event.payload.digest());
        self.met += 1;
        self.waiting.push(Signature {
            at: header.position,
            key: *key,
            actor: header.actor,
            invocation: header.invocation,
            message,
            signature: *signature,
        });
        self.waiting.len() >= SIGNATURES_AT_ONCE
    }

    /// Takes in an event that names actors or keys, and tells what is wrong with it.
    pub(super) fn register_key(
        &mut self,
        header: &Header,
        event: &WorkspaceEvent,
        origin: &str,
    ) -> Option<Finding> {
        let at = header.position;
        match event {
            WorkspaceEvent::Created(_)
            | WorkspaceEvent::BlobsRemoved(_)
            | WorkspaceEvent::CheckpointAnchored(_)
            | WorkspaceEvent::ConsolidationApplied(_)
            | WorkspaceEvent::LayoutChanged(_)
            | WorkspaceEvent::LogsPacked(_)
            | WorkspaceEvent::SnapshotTaken(_)
            | WorkspaceEvent::TextRedacted(_) => {}
            WorkspaceEvent::ActorRegistered(actor) => {
                self.actors.insert(at, actor.name.clone());
            }
            WorkspaceEvent::KeyVouched(vouched) => self.vouch(header, vouched.key),
            WorkspaceEvent::KeyCreated(created) => {
                let Ok(key) = NoteKey::new(origin, created.public_key) else {
                    return Some(Finding::at(at, "the new key cannot be a key of this log"));
                };
                let owner = created.owner.clone();
                self.keys.insert(at, ActorKey { key, owner, replaced: None });
                match created.replaces {
                    None => self.vouch(header, at),
                    Some(old) => self.replace(at, old, created, origin),
                }
            }
        }
        None
    }

    fn vouch(&mut self, header: &Header, of: u64) {
        if let Identity::Signed { key, .. } = header.identity {
            self.vouches.push(Vouch { at: header.position, by: key, of });
        }
    }

    /// A key takes the place of an older one, if that endorsed it; else the history names it.
    fn replace(&mut self, at: u64, old: u64, created: &KeyCreated, origin: &str) {
        let known = self.keys.get_mut(&old);
        let known = known.filter(|known| old < at && known.owner == created.owner);
        let Some(known) = known else { return };
        let message = rotation_message(origin, known.key.public_key(), created.public_key);
        if created.endorsement.is_some_and(|signature| known.key.fits(&message, &signature)) {
            known.replaced = Some(at);
            self.vouches.push(Vouch { at, by: old, of: at });
        }
    }

    /// Checks the signatures met since the last time, on `threads`; every key stands before its
    /// first use.
    pub(super) fn check(&mut self, threads: usize) -> Vec<Finding> {
        let waiting = std::mem::take(&mut self.waiting);
        let this = &*self;
        let check = |part: &[Signature]| -> Vec<Finding> {
            part.iter().filter_map(|signature| this.wrong(signature)).collect()
        };
        let findings = parallel::map_shares(threads, &waiting, check).into_iter().flatten();
        let findings: Vec<Finding> = findings.collect();
        self.bad.extend(findings.iter().filter_map(|finding| finding.position));
        findings
    }

    fn wrong(&self, signature: &Signature) -> Option<Finding> {
        let Signature { at, key, actor, .. } = signature;
        let name = self.actors.get(actor).map_or("an unknown actor", String::as_str);
        let Some(known) = self.keys.get(key).filter(|_| key < at) else {
            let what = format!("the signature of {name} names event {key}, which is not a key");
            return Some(Finding::at(*at, what));
        };
        if !known.key.fits(&signature.message, &signature.signature) {
            let what = format!("the signature of {name} does not fit the key of event {key}");
            return Some(Finding::at(*at, what));
        }
        if known.owner != name {
            let owner = &known.owner;
            let what = format!("{name} signed with the key of {owner} ({key})");
            return Some(Finding::at(*at, what));
        }
        let replaced = known.replaced.filter(|replaced| {
            at > replaced && signature.invocation.is_none_or(|began| began > *replaced)
        })?;
        let what = format!("{name} signed with the key of event {key}, replaced by {replaced}");
        Some(Finding::at(*at, what))
    }

    /// The keys that may sign log checkpoints: those the pinned one vouches for, directly or
    /// through others; all of them where none is pinned.
    pub(super) fn trusted(&self, pinned: Option<&NoteKey>) -> Vec<NoteKey> {
        let trusted = self.trusted_at(pinned);
        let followers = trusted.iter().filter_map(|at| self.keys.get(at)).map(|k| k.key.clone());
        let pin = pinned.cloned();
        let others = followers.filter(|key| pinned != Some(key));
        pin.into_iter().chain(others).collect()
    }

    /// Whether an event was signed with a key that counts.
    pub(super) fn counts(&self, at: u64, identity: &Identity, pinned: Option<&NoteKey>) -> bool {
        let Identity::Signed { key, .. } = identity else { return false };
        !self.bad.contains(&at) && self.trusted_at(pinned).contains(key)
    }

    /// Where the keys that count were made.
    fn trusted_at(&self, pinned: Option<&NoteKey>) -> BTreeSet<u64> {
        let Some(pinned) = pinned else { return self.keys.keys().copied().collect() };
        let pin = self.keys.iter().filter(|(_, known)| known.key == *pinned);
        let mut trusted: BTreeSet<u64> = pin.map(|(at, _)| *at).collect();
        loop {
            let good = self.vouches.iter().filter(|vouch| !self.bad.contains(&vouch.at));
            let more: Vec<u64> =
                good.filter(|v| trusted.contains(&v.by)).map(|vouch| vouch.of).collect();
            let before = trusted.len();
            trusted.extend(more);
            if trusted.len() == before {
                return trusted;
            }
        }
    }
}
