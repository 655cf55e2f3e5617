//! Who acted, and what events about people, keys and rules come to.

use super::admit::Past;
use super::author::{Author, refused};
use super::people::{KnownKey, People};
use super::rules::Rules;
use crate::base::{Digest, PublicKey};
use crate::domain::policy::PolicyEvent;
use crate::domain::workspace::{self, WorkspaceEvent};
use crate::domain::{Header, Identity, Rejection, signing_message};

pub(super) fn author<'a>(
    people: &'a People,
    header: &Header,
    proven: &'a dyn Fn() -> bool,
) -> Result<Author<'a>, Rejection> {
    let name = people.name(header.actor, header.position).ok_or_else(|| {
        refused(format!("event {}, which is to name its author, registers nobody", header.actor))
    })?;
    let key = match header.identity {
        Identity::Signed { key, .. } => Some(key),
        Identity::Claimed => None,
    };
    Ok(Author { actor: header.actor, name, key, provenance: header.provenance, proven })
}

/// Whether an event is signed by its author, with a key that counted then. `payload` is the digest
/// of its payload.
pub fn is_proven<P: Past>(
    people: &People,
    past: &P,
    header: &Header,
    payload: &dyn Fn() -> Digest,
) -> bool {
    let Identity::Signed { key, signature } = &header.identity else { return false };
    let Some(name) = people.name(header.actor, header.position) else { return false };
    let known = people.counting(*key, name, header.position, header.invocation);
    let message = || signing_message(header, &payload());
    known.is_some_and(|known| past.fits(known.public_key, &message(), signature))
}

/// Refuses a signature that is not its author's.
pub(super) fn signed<P: Past>(
    people: &People,
    past: &P,
    header: &Header,
    payload: &dyn Fn() -> Digest,
) -> Result<(), Rejection> {
    let Identity::Signed { key: at, signature } = &header.identity else { return Ok(()) };
    let name = people.name(header.actor, header.position).unwrap_or("an unknown actor");
    let Some(key) = people.key(*at).filter(|_| *at < header.position) else {
        return Err(refused(format!("the signature of {name} names event {at}, which is no key")));
    };
    let message = signing_message(header, &payload());
    if !past.fits(key.public_key, &message, signature) {
        return Err(refused(format!("the signature of {name} does not fit the key of event {at}")));
    }
    if key.owner != name {
        return Err(refused(format!("{name} signed with the key of {} (event {at})", key.owner)));
    }
    match key.replaced.filter(|replaced| after(header, *replaced)) {
        Some(by) => Err(refused(format!("{name} signed with a key that event {by} replaced"))),
        None => Ok(()),
    }
}

pub(super) fn take_workspace<P: Past>(
    people: &mut People,
    past: &P,
    header: &Header,
    payload: &dyn Fn() -> Digest,
    event: &WorkspaceEvent,
) -> Result<(), Rejection> {
    if let WorkspaceEvent::ActorRegistered(actor) = event {
        if people.actors.values().any(|name| *name == actor.name) {
            return Err(refused(format!("{} was registered before", actor.name)));
        }
        people.actors.insert(header.position, actor.name.clone());
        return Ok(());
    }
    if matches!(event, WorkspaceEvent::Created(_)) {
        let begun = std::mem::replace(&mut people.begun, true);
        return if begun { Err(refused("a log begins once")) } else { Ok(()) };
    }
    let known = &*people;
    let proven = || is_proven(known, past, header, payload);
    let endorsed =
        |message: &[u8], by: PublicKey, signature: &[u8; 64]| past.fits(by, message, signature);
    let author = author(known, header, &proven)?;
    workspace::admits(known, event, &author, past.origin(), &endorsed)?;
    match event {
        WorkspaceEvent::KeyCreated(created) => {
            let vouched = match (known.keys.is_empty(), created.replaces) {
                (true, _) => Some("the beginning of the log".to_owned()),
                (_, Some(old)) => {
                    known.key(old).and_then(|old| old.vouched.is_some().then(|| old.owner.clone()))
                }
                (_, None) => proven().then(|| author.name.to_owned()),
            };
            let key = KnownKey {
                position: header.position,
                algorithm: created.algorithm,
                public_key: created.public_key,
                owner: created.owner.clone(),
                vouched: vouched.map(|by| (header.position, by)),
                replaced: None,
                since: header.dated(),
            };
            if let Some(old) = created.replaces
                && let Some(old) = people.keys.iter_mut().find(|key| key.position == old)
            {
                old.replaced = Some(header.position);
            }
            people.keys.push(key);
        }
        WorkspaceEvent::KeyVouched(vouched) => {
            let by = (header.position, author.name.to_owned());
            let key = people.keys.iter_mut().find(|key| key.position == vouched.key);
            if let Some(key) = key.filter(|key| key.vouched.is_none()) {
                key.vouched = Some(by);
            }
        }
        WorkspaceEvent::TextRedacted(redacted) => {
            people.redactions.push((header.position, redacted.files.clone()));
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn take_policy<P: Past>(
    people: &People,
    rules: &mut Rules,
    past: &P,
    header: &Header,
    payload: &dyn Fn() -> Digest,
    event: &PolicyEvent,
) -> Result<(), Rejection> {
    let proven = || is_proven(people, past, header, payload);
    let author = author(people, header, &proven)?;
    if rules.strict(header.position) {
        author.must_be_proven("a change of the policy")?;
    }
    rules.take(header, event);
    Ok(())
}

/// Whether an event, and the invocation it is part of, came after a key was replaced.
fn after(header: &Header, replaced: u64) -> bool {
    header.position > replaced && header.invocation.is_none_or(|began| began > replaced)
}
