//! Whether this user trusts the log of a workspace: whoever wrote it chooses what recovery and
//! views read, so a stranger's workspace is read and not changed until its key is pinned.
//!
//! A log is trusted if the user's config folder has a pin of its origin with the key that it began
//! with, or a private key of it. The second is for users from before there were pins: the next
//! changing verb stores the pin. A private key proves nothing about a log that only names it, as
//! anybody can who knows the public half: the key that a log began with must have signed its first
//! log checkpoint, and any other key must not belong to another log that is pinned.

use std::sync::OnceLock;

use crate::app::workspace::actors::keys;
use crate::app::{Error, ErrorKind, Result, Workspace};
use crate::base::{PublicKey, Timestamp};
use crate::domain::Event;
use crate::domain::workspace::WorkspaceEvent;
use crate::store::{Access, Pin, StoreError, View};
use crate::tlog::{LogCheckpoint, NoteKey};

/// The key of a log is among its first events; `annals init` appends six.
const FIRST_EVENTS: u64 = 64;

/// How a log began.
#[derive(Clone, Debug)]
pub(in crate::app) struct LogBeginning {
    /// The key that it began with, under the log's origin.
    pub(in crate::app) key: NoteKey,
    /// Whose key that is, by its own account.
    pub(in crate::app) owner: String,
    /// When it was recorded.
    pub(in crate::app) began: Timestamp,
}

/// Whether this user trusts the log of a workspace, and why.
#[derive(Clone, Debug)]
pub(in crate::app) enum LogTrust {
    /// The key that it began with is pinned.
    Pinned,
    /// A private key of it is here, and it is not pinned yet.
    OwnKey(LogBeginning),
    /// Neither; none where it has no key among its first events.
    Stranger(Option<LogBeginning>),
    /// Another key is pinned for this origin.
    Replaced { pinned: NoteKey, found: LogBeginning },
    /// Its first events cannot be read.
    Unreadable,
}

/// What is known of it so far, in one process.
#[derive(Debug, Default)]
pub(in crate::app) struct TrustCell {
    trust: OnceLock<LogTrust>,
    /// Whether the pin was stored for a private key, or that was tried.
    adopted: OnceLock<()>,
}

impl Workspace {
    /// Whether this user trusts the log, read once.
    ///
    /// # Errors
    /// When the log is busy; when keys or pins cannot be read.
    pub(in crate::app) fn trust(&self) -> Result<&LogTrust> {
        if let Some(trust) = self.trust.trust.get() {
            return Ok(trust);
        }
        let trust = match self.store.read(beginning) {
            Ok(found) => self.trust_of(found)?,
            Err(error @ StoreError::Busy { .. }) => return Err(error.into()),
            Err(_) => LogTrust::Unreadable,
        };
        Ok(self.trust.trust.get_or_init(|| trust))
    }

    fn trust_of(&self, found: Option<LogBeginning>) -> Result<LogTrust> {
        let Some(found) = found else { return Ok(LogTrust::Stranger(None)) };
        match self.key_ring().pin(found.key.name())? {
            Some(pin) if pin.key == found.key => Ok(LogTrust::Pinned),
            Some(pin) => Ok(LogTrust::Replaced { pinned: pin.key, found }),
            None if self.has_key_of(&found)? => Ok(LogTrust::OwnKey(found)),
            None => Ok(LogTrust::Stranger(Some(found))),
        }
    }

    /// Whether a private key here is one of the log's.
    fn has_key_of(&self, found: &LogBeginning) -> Result<bool> {
        let origin = found.key.name();
        let (first, keys) = self.store.read(|log| {
            let first = log.checkpoints(..=FIRST_EVENTS)?.into_iter().next();
            Ok::<_, Error>((first, keys(log)?))
        })?;
        let is_signed = first.is_some_and(|(_, note)| {
            LogCheckpoint::open(&note, origin, std::slice::from_ref(&found.key)).is_ok()
        });
        let pins = self.key_ring().pins()?;
        for key in keys.iter().map(|key| key.public_key) {
            let is_elsewhere = pins.iter().any(|pin| pin.own.contains(&key));
            let counts = if key == found.key.public_key() { is_signed } else { !is_elsewhere };
            if !counts {
                continue;
            }
            match self.key_ring().load(origin, key) {
                Ok(Some(_)) => return Ok(true),
                Err(error @ StoreError::KeyMode { .. }) => return Err(error.into()),
                // One that cannot be read signs nothing.
                Ok(None) | Err(_) => {}
            }
        }
        Ok(false)
    }

    /// Whether the log is trusted. What the workspace has beside its log, such as where it was seen
    /// last, is read and written only then.
    pub(in crate::app) fn is_trusted(&self) -> bool {
        let trusted = |trust: &LogTrust| matches!(trust, LogTrust::Pinned | LogTrust::OwnKey(_));
        self.is_copied_log() || self.trust().is_ok_and(trusted)
    }

    /// Whether stored views are read, as far as they prove themselves. They may be all that can
    /// still be read where the first events of the log are damaged.
    pub(in crate::app) fn has_usable_views(&self) -> bool {
        self.is_trusted() || matches!(self.trust(), Ok(LogTrust::Unreadable))
    }

    /// Refuses to change a workspace that a stranger made. Every change begins with it.
    ///
    /// # Errors
    /// [`ErrorKind::Rejected`] where the log is not trusted, [`ErrorKind::Integrity`] where another
    /// key is pinned for it; when log, keys or pins cannot be read.
    pub fn require_trust(&self) -> Result<()> {
        match self.trust()? {
            LogTrust::Pinned => Ok(()),
            LogTrust::OwnKey(found) => {
                self.trust.adopted.get_or_init(|| {
                    // Where the folder cannot be written, the private key decides the next time.
                    let _ = self.pin(&found.key);
                });
                Ok(())
            }
            LogTrust::Stranger(found) => Err(untrusted(self, found.as_ref())),
            LogTrust::Replaced { pinned, found } => Err(replaced(pinned, found)),
            LogTrust::Unreadable => match self.store.read(beginning) {
                Err(error) => Err(error.into()),
                Ok(found) => Err(untrusted(self, found.as_ref())),
            },
        }
    }

    /// Pins the key that the log began with.
    pub(in crate::app) fn pin(&self, key: &NoteKey) -> Result<()> {
        let mut own = Vec::new();
        for known in self.store.read(keys)? {
            // A key that others may read is refused where something is to be signed with it.
            if let Ok(Some(_)) = self.key_ring().load(key.name(), known.public_key) {
                own.push(known.public_key);
            }
        }
        Ok(self.key_ring().store_pin(&Pin { key: key.clone(), own })?)
    }

    /// Adds a private key that was made for this log to its pin.
    pub(in crate::app) fn bind_key(&self, key: PublicKey) {
        let Ok(found) = self.log_beginning() else { return };
        if let Ok(Some(mut pin)) = self.key_ring().pin(found.key.name()) {
            pin.own.push(key);
            // Without it the key is one of a log that is pinned all the same.
            let _ = self.key_ring().store_pin(&pin);
        }
    }

    /// What a reading verb warns of: this is another log than the one that was pinned, or that
    /// cannot be decided.
    ///
    /// # Errors
    /// When the log is busy: reading it once more would only wait as long again.
    pub fn trust_warning(&self) -> Result<Option<String>> {
        match self.trust() {
            Ok(LogTrust::Replaced { pinned, found }) => {
                Ok(Some(replaced(pinned, found).to_string()))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind == ErrorKind::Io => Err(error),
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    /// How the log began.
    ///
    /// # Errors
    /// [`ErrorKind::Integrity`] where it has no key among its first events; when it cannot be read.
    pub(in crate::app) fn log_beginning(&self) -> Result<LogBeginning> {
        self.store.read(beginning)?.ok_or_else(|| no_key(self, ErrorKind::Integrity))
    }
}

fn no_key(workspace: &Workspace, kind: ErrorKind) -> Error {
    let root = workspace.root().display();
    let message = format!("{root} cannot be trusted: its log does not begin with a key");
    Error::new(kind, message).hint("`annals init` in another folder makes a workspace")
}

fn untrusted(workspace: &Workspace, found: Option<&LogBeginning>) -> Error {
    let Some(LogBeginning { key, owner, .. }) = found else {
        return no_key(workspace, ErrorKind::Rejected);
    };
    let message = format!(
        "{} is not trusted, so nothing in it is changed: its log {} was begun by {owner}, whose \
         key is not pinned, and none of its private keys is in your configuration folder",
        workspace.root().display(),
        key.name()
    );
    Error::new(ErrorKind::Rejected, message)
        .hint(format!(
            "`annals trust` shows the key and pins it; compare it with the key that the same \
             command prints for {owner}"
        ))
        .hint("reading verbs work without it")
}

pub(in crate::app) fn replaced(pinned: &NoteKey, found: &LogBeginning) -> Error {
    let message = format!(
        "this is not the log that you trust: {} began with the key {pinned} when it was pinned, \
         and now begins with {} of {}",
        pinned.name(),
        found.key,
        found.owner
    );
    Error::new(ErrorKind::Integrity, message)
        .hint("take the log from a copy that `annals verify --key` with the pinned key accepts")
        .hint(
            "if it is known who replaced it and why: `annals trust --forget`, then `annals trust`",
        )
}

/// The first key of the log; none where it is not among the first events.
pub(in crate::app) fn beginning<A: Access>(
    log: &View<A>,
) -> Result<Option<LogBeginning>, StoreError> {
    // A later event that names another origin was not allowed, so the first one counts.
    let mut origin = None;
    for position in 0..log.size().min(FIRST_EVENTS) {
        let envelope = log.event(position)?;
        let created = match envelope.event() {
            Ok(Event::Workspace(WorkspaceEvent::Created(log))) => {
                origin.get_or_insert(log.origin);
                continue;
            }
            Ok(Event::Workspace(WorkspaceEvent::KeyCreated(created))) => created,
            _ => continue,
        };
        let origin = origin.as_deref().unwrap_or_else(|| log.origin());
        let key = NoteKey::new(origin, created.public_key)
            .map_err(|error| StoreError::corrupt(error.to_string()))?;
        let (owner, began) = (created.owner, envelope.header.recorded);
        return Ok(Some(LogBeginning { key, owner, began }));
    }
    Ok(None)
}
