//! Which events may be in the stream of the log itself: who may make keys known and vouch for them.

use super::{WorkspaceEvent, rotation_message};
use crate::base::PublicKey;
use crate::domain::Rejection;
use crate::domain::history::{Author, People};

/// Whether a signature of a message is one by a key.
type Fits<'a> = dyn Fn(&[u8], PublicKey, &[u8; 64]) -> bool + 'a;

/// Refuses an event that could not have been decided here by its author.
///
/// # Errors
/// The rule that is not met.
pub(in crate::domain) fn admits(
    people: &People,
    event: &WorkspaceEvent,
    author: &Author<'_>,
    origin: &str,
    fits: &Fits<'_>,
) -> Result<(), Rejection> {
    let refused = |what: String| Err(Rejection::NotAllowed(what));
    match event {
        WorkspaceEvent::KeyCreated(created) => {
            let owner = &created.owner;
            if people.keys().iter().any(|key| key.public_key == created.public_key) {
                return refused(format!("the new key of {owner} was made known before"));
            }
            let Some(old) = created.replaces else {
                return match people.keys().iter().any(|key| key.owner == *owner) {
                    true => refused(format!("{owner} has a key; a new one replaces it")),
                    false => Ok(()),
                };
            };
            let old = people.key(old).filter(|old| old.owner == *owner && old.replaced.is_none());
            let Some(old) = old else {
                return refused(format!("the new key of {owner} replaces none of theirs"));
            };
            let message = rotation_message(origin, old.public_key, created.public_key);
            let endorsed = created.endorsement.as_ref();
            match endorsed.is_some_and(|signature| fits(&message, old.public_key, signature)) {
                true => Ok(()),
                false => refused(format!("the old key of {owner} did not sign the new one")),
            }
        }
        WorkspaceEvent::KeyVouched(vouched) => {
            let key = people.key(vouched.key).filter(|key| key.public_key == vouched.public_key);
            match key {
                None => refused(format!("event {} made no such key known", vouched.key)),
                Some(key) if key.owner == author.name => {
                    refused(format!("{} cannot vouch for a key of their own", author.name))
                }
                Some(_) => author.must_be_proven("a word for somebody's key"),
            }
        }
        WorkspaceEvent::TextRedacted(_) => author.must_be_proven("a redaction"),
        WorkspaceEvent::Created(_)
        | WorkspaceEvent::ActorRegistered(_)
        | WorkspaceEvent::BlobsRemoved(_)
        | WorkspaceEvent::CheckpointAnchored(_)
        | WorkspaceEvent::ConsolidationApplied(_)
        | WorkspaceEvent::LayoutChanged(_)
        | WorkspaceEvent::LogsPacked(_)
        | WorkspaceEvent::SnapshotTaken(_) => Ok(()),
    }
}
