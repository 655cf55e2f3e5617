//! Who acts: names that are claimed, and the keys by which some of them are known.
//!
//! Whose keys count, `domain::history` says; what does not count is in the log all the same, and
//! shown.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::admitted::people;
use crate::app::core::draft::Draft;
use crate::app::{Error, ErrorKind, Result, Workspace, fold_workspace};
use crate::base::{PublicKey, Timestamp};
use crate::domain::workspace::{KeyAlgorithm, WorkspaceCommand, WorkspaceStream, rotation_message};
use crate::store::{Access, View};
use crate::tlog::NoteSigner;

/// A signing key, as the log knows it.
#[derive(Clone, Debug)]
pub(in crate::app) struct KnownKey {
    pub(in crate::app) position: u64,
    pub(in crate::app) algorithm: KeyAlgorithm,
    pub(in crate::app) public_key: PublicKey,
    pub(in crate::app) owner: String,
    /// Position of the key that took its place.
    pub(in crate::app) replaced: Option<u64>,
    /// Who vouched for it; none while it is a claim like any other.
    pub(in crate::app) vouched_by: Option<String>,
    pub(in crate::app) since: Timestamp,
}

/// The signing keys, oldest first.
pub(in crate::app) fn keys<A: Access>(log: &View<A>) -> Result<Vec<KnownKey>> {
    let people = people(log)?;
    let known = people.keys().iter().cloned().map(|key| KnownKey {
        position: key.position,
        algorithm: key.algorithm,
        public_key: key.public_key,
        owner: key.owner,
        replaced: key.replaced,
        vouched_by: key.vouched.map(|(_, by)| by),
        since: key.since,
    });
    Ok(known.collect())
}

/// The positions of the keys that count as their owners'.
pub(in crate::app) fn vouched<A: Access>(log: &View<A>) -> Result<BTreeSet<u64>> {
    let keys = keys(log)?.into_iter().filter(|key| key.vouched_by.is_some());
    Ok(keys.map(|key| key.position).collect())
}

/// One line of `annals actor list`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ActorLine {
    /// The name.
    pub name: String,
    /// The public key; none where the name is only claimed.
    pub key: Option<PublicKey>,
    /// What it signs with.
    pub algorithm: Option<KeyAlgorithm>,
    /// Position of its `key.created` event.
    pub position: Option<u64>,
    /// When it was made known.
    pub since: Option<Timestamp>,
    /// Who vouched for it; none where nobody did.
    pub vouched_by: Option<String>,
    /// `current` or `replaced`.
    pub state: Option<&'static str>,
    /// Whether the private half is in this user's config folder.
    pub here: bool,
}

/// A key that was made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct KeyMade {
    /// Its owner.
    pub owner: String,
    /// The public half.
    pub key: PublicKey,
    /// Where the private half lies.
    pub private_key: String,
    /// Whether it counts as its owner's already.
    pub vouched: bool,
}

/// A key that somebody vouched for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Vouched {
    /// Its owner.
    pub owner: String,
    /// The public half.
    pub key: PublicKey,
}

/// Everybody who acted or has a key, with the keys.
///
/// # Errors
/// When log or keys cannot be read.
pub fn actors(workspace: &Workspace) -> Result<Vec<ActorLine>> {
    let (origin, state, keys) = workspace
        .store
        .read(|log| Ok::<_, Error>((log.origin().to_owned(), fold_workspace(log)?, keys(log)?)))?;
    let mut names = state.actors;
    names.extend(keys.iter().map(|key| key.owner.clone()));
    let mut lines = Vec::new();
    for name in names {
        let before = lines.len();
        for key in keys.iter().filter(|key| key.owner == name) {
            lines.push(ActorLine {
                name: name.clone(),
                key: Some(key.public_key),
                algorithm: Some(key.algorithm),
                position: Some(key.position),
                since: Some(key.since),
                vouched_by: key.vouched_by.clone(),
                state: Some(if key.replaced.is_some() { "replaced" } else { "current" }),
                here: workspace.key_ring().load(&origin, key.public_key)?.is_some(),
            });
        }
        if lines.len() == before {
            let (key, position, since, vouched_by, state) = (None, None, None, None, None);
            lines.push(ActorLine {
                name,
                key,
                algorithm: None,
                position,
                since,
                vouched_by,
                state,
                here: false,
            });
        }
    }
    Ok(lines)
}

/// Makes a signing key for `name`; the private half stays in this user's config folder.
///
/// # Errors
/// [`ErrorKind::Conflict`] when `name` has a key.
pub fn add_actor(workspace: &Workspace, name: &str) -> Result<KeyMade> {
    let create = |public_key: PublicKey| {
        let owner = name.to_owned();
        Ok(WorkspaceCommand::CreateKey { public_key, owner })
    };
    // Refused before a private key lies about.
    workspace.store.read(|log| {
        let command = create(PublicKey([0; 32]))?;
        Draft::<WorkspaceStream>::read(log, ())?.decide(command, &())?;
        Ok::<_, Error>(())
    })?;
    make_key(workspace, "actor add", name, |_, signer| create(signer.public().public_key()))
}

/// Puts a new key of the caller in the place of the old one, which signs it.
///
/// # Errors
/// [`ErrorKind::NotFound`] when the caller's private key is not here.
pub fn rotate_key(workspace: &Workspace) -> Result<KeyMade> {
    let owner = workspace.caller.actor.clone();
    let Some((Some(replaces), old)) = workspace.signer()? else {
        let message = format!("there is no private key of {owner} here to sign the new one");
        return Err(Error::new(ErrorKind::NotFound, message)
            .hint(format!("`annals actor add {owner}` makes the first one")));
    };
    make_key(workspace, "actor rotate", &owner, |origin, signer| {
        let (was, is) = (old.public().public_key(), signer.public().public_key());
        let endorsement = old.sign_bytes(&rotation_message(origin, was, is));
        let owner = owner.clone();
        Ok(WorkspaceCommand::RotateKey { public_key: is, owner, old: was, replaces, endorsement })
    })
}

fn make_key(
    workspace: &Workspace,
    verb: &'static str,
    owner: &str,
    command: impl Fn(&str, &NoteSigner) -> Result<WorkspaceCommand>,
) -> Result<KeyMade> {
    workspace.require_trust()?;
    let origin = workspace.store.read(|log| Ok::<_, Error>(log.origin().to_owned()))?;
    // A crash after this leaves a private key that no log names: of no use to anybody.
    let signer = workspace.key_ring().generate(&origin, &workspace.env)?;
    let key = signer.public().public_key();
    let vouched = workspace.decide(verb, |tx| {
        tx.decide::<WorkspaceStream>((), command(&origin, &signer)?, &())?;
        let made = keys(tx.log())?.into_iter().find(|known| known.public_key == key);
        Ok(made.is_some_and(|made| made.vouched_by.is_some()))
    });
    match vouched {
        Ok(vouched) => {
            match workspace.dry_run {
                true => workspace.key_ring().discard(key),
                false => workspace.bind_key(key),
            }
            workspace.refresh()?;
            let private_key = workspace.key_ring().path(key).display().to_string();
            Ok(KeyMade { owner: owner.to_owned(), key, private_key, vouched })
        }
        Err(error) => {
            workspace.key_ring().discard(key);
            Err(error)
        }
    }
}

/// Confirms, signed, that the newest key of `name` is that person's.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such key; [`ErrorKind::Rejected`] when the caller
/// has no counting key to sign with.
pub fn vouch(workspace: &Workspace, name: &str) -> Result<Vouched> {
    let voucher = workspace.caller.actor.clone();
    let key = workspace.decide("actor vouch", |tx| {
        let known = keys(tx.log())?;
        let current = known.iter().rev().find(|k| k.owner == name && k.replaced.is_none());
        let key = current.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{name} has no signing key"))
                .hint("`annals actor list` shows who has one")
        })?;
        let own = known.iter().find(|k| Some(k.position) == tx.key());
        if own.is_none_or(|own| own.vouched_by.is_none()) {
            let message =
                format!("{voucher} has no key here that counts, so nothing would be signed");
            return Err(Error::new(ErrorKind::Rejected, message)
                .hint("`annals actor list` shows whose keys count and which are here"));
        }
        let (public_key, key) = (key.public_key, key.position);
        let command = WorkspaceCommand::VouchKey { public_key, key, voucher };
        tx.decide::<WorkspaceStream>((), command, &())?;
        Ok(public_key)
    });
    match key {
        Err(error) if error.kind == ErrorKind::Rejected => {
            workspace.refuse("actor vouch", &error)?;
            Err(error)
        }
        other => {
            let key = other?;
            workspace.refresh()?;
            Ok(Vouched { owner: name.to_owned(), key })
        }
    }
}
