//! Who is known, and whose keys count, at each position of the log.
//!
//! A key counts as its owner's when somebody vouched for it: it is the key that the log began with,
//! its creation was signed with a key that counts, the key it replaces endorsed it, or somebody
//! else vouched for it with a key that counts. It counts from there on until it is replaced, and
//! after that only in invocations that were open then.

use std::collections::BTreeMap;

use crate::base::{Digest, PublicKey, Timestamp};
use crate::domain::registry::Originals;
use crate::domain::workspace::{KeyAlgorithm, RedactedFile};
use crate::domain::{Header, Identity};

/// A signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Position of its `key.created` event.
    pub position: u64,
    /// What it signs with.
    pub algorithm: KeyAlgorithm,
    /// The public half.
    pub public_key: PublicKey,
    /// Name of the actor who holds the private half.
    pub owner: String,
    /// From which event on it counts, and by whom; none while it is a claim like any other.
    pub vouched: Option<(u64, String)>,
    /// Position of the key that took its place.
    pub replaced: Option<u64>,
    /// When it was made known.
    pub since: Timestamp,
}

/// Actors and their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Whether the log has begun.
    pub(super) begun: bool,
    /// The names, by the position that registered them.
    pub(super) actors: BTreeMap<u64, String>,
    /// The keys, oldest first.
    pub(super) keys: Vec<KnownKey>,
    /// Redactions, oldest first: which files stand in the place of which since.
    pub(super) redactions: Vec<(u64, Vec<RedactedFile>)>,
}

impl People {
    /// The name of an actor who was registered before `position`, or by the event there.
    pub fn name(&self, actor: u64, position: u64) -> Option<&str> {
        self.actors.get(&actor).filter(|_| actor <= position).map(String::as_str)
    }

    /// The signing keys, oldest first.
    pub fn keys(&self) -> &[KnownKey] {
        &self.keys
    }

    /// The key of event `at`.
    pub fn key(&self, at: u64) -> Option<&KnownKey> {
        self.keys.iter().find(|key| key.position == at)
    }

    /// The key of event `at`, if it counted as a key of `owner` at `position`, in an invocation
    /// that began at `invocation`.
    pub fn counting(
        &self,
        at: u64,
        owner: &str,
        position: u64,
        invocation: Option<u64>,
    ) -> Option<&KnownKey> {
        let key = self.key(at).filter(|key| key.owner == owner && key.position < position)?;
        let vouched = key.vouched.as_ref().is_some_and(|(from, _)| *from < position);
        let gone = key.replaced.is_some_and(|replaced| {
            replaced < position && invocation.is_none_or(|began| began > replaced)
        });
        (vouched && !gone).then_some(key)
    }

    /// Whether an event says that it was signed with a key that counted as its author's then.
    pub fn signed(&self, header: &Header) -> bool {
        let Identity::Signed { key, .. } = header.identity else { return false };
        let name = self.name(header.actor, header.position).unwrap_or_default();
        self.counting(key, name, header.position, header.invocation).is_some()
    }

    /// The last redaction before `position` that replaced one of some files.
    pub(super) fn redacted(&self, files: impl Fn(&Digest) -> bool, position: u64) -> Option<u64> {
        let before = self.redactions.iter().rev().filter(|(at, _)| *at < position);
        let mut of_them =
            before.filter(|(_, replaced)| replaced.iter().any(|file| files(&file.replacement)));
        of_them.next().map(|(at, _)| *at)
    }

    /// Digests of redacted files by those that they had at first.
    pub fn originals(&self) -> Originals {
        let mut originals = Originals::new();
        for file in self.redactions.iter().flat_map(|(_, files)| files) {
            let first = originals.get(&file.digest).copied().unwrap_or(file.digest);
            originals.insert(file.replacement, first);
        }
        originals
    }

    /// Whether the key of event `at` counted before `position`.
    pub fn is_vouched(&self, at: u64, position: u64) -> bool {
        let vouched = self.key(at).and_then(|key| key.vouched.as_ref());
        vouched.is_some_and(|(from, _)| *from < position)
    }
}
