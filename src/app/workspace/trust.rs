//! Pinning the key that a log began with, so that a workspace received from somebody can be
//! changed. Nothing here writes into the workspace.

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::core::trust::{LogBeginning, LogTrust, replaced};
use crate::app::{ConfigDirs, Error, ErrorKind, Result, Workspace};
use crate::base::{PublicKey, Timestamp};
use crate::store::KeyRing;
use crate::tlog::NoteKey;

/// Whether a user trusts a log, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrustState {
    /// Its key is pinned.
    Pinned,
    /// A private key of it is in the user's config folder.
    OwnKey,
    /// It was begun by somebody whose key is not pinned: verbs that change something refuse.
    Stranger,
    /// Another key is pinned for its origin: verbs that change something refuse.
    Replaced,
}

/// The log of a workspace, and whether the user trusts it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LogTrustShown {
    /// The origin: the name of the log in log checkpoints.
    pub origin: String,
    /// Who began it, by its own account.
    pub began_by: String,
    /// When, by its own account.
    pub began: Timestamp,
    /// The key that it began with, as `--key` takes it.
    pub key: String,
    /// The same key as hexadecimal digits, as `annals actor list` shows it.
    pub fingerprint: PublicKey,
    /// Number of events.
    pub events: u64,
    /// Whether the user trusts it.
    pub trust: TrustState,
    /// The key that is pinned for this origin.
    pub pinned: Option<String>,
}

/// A log that the user trusts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TrustedLog {
    /// The origin: the name of the log in log checkpoints.
    pub origin: String,
    /// The key that it began with.
    pub key: String,
    /// The same key as hexadecimal digits.
    pub fingerprint: PublicKey,
}

/// The log of a workspace, and whether the user trusts it.
///
/// # Errors
/// [`ErrorKind::Integrity`] where the log has no key among its first events; when log, keys or pins
/// cannot be read.
pub fn log_trust(workspace: &Workspace) -> Result<LogTrustShown> {
    let (found, trust, pinned) = state(workspace)?;
    let events = workspace.store.read(|log| Ok::<_, Error>(log.size()))?;
    let pinned = pinned.map(|key| key.to_string());
    Ok(LogTrustShown {
        origin: found.key.name().to_owned(),
        began_by: found.owner,
        began: found.began,
        key: found.key.to_string(),
        fingerprint: found.key.public_key(),
        events,
        trust,
        pinned,
    })
}

fn state(workspace: &Workspace) -> Result<(LogBeginning, TrustState, Option<NoteKey>)> {
    let found = workspace.log_beginning()?;
    Ok(match workspace.trust()? {
        LogTrust::Pinned => (found.clone(), TrustState::Pinned, Some(found.key)),
        LogTrust::OwnKey(_) => (found, TrustState::OwnKey, None),
        LogTrust::Stranger(_) | LogTrust::Unreadable => (found, TrustState::Stranger, None),
        LogTrust::Replaced { pinned, .. } => (found, TrustState::Replaced, Some(pinned.clone())),
    })
}

/// Pins the key that the log of a workspace began with; `key` is what the user was told it is.
///
/// # Errors
/// [`ErrorKind::Usage`] where `key` is no key; [`ErrorKind::Rejected`] where the log began with
/// another one; [`ErrorKind::Integrity`] where another one is pinned; when the log cannot be read
/// or the pin not written.
pub fn trust_log(workspace: &Workspace, key: Option<&str>) -> Result<LogTrustShown> {
    let (found, trust, pinned) = state(workspace)?;
    if let Some(pinned) = pinned.filter(|_| trust == TrustState::Replaced) {
        return Err(replaced(&pinned, &found));
    }
    let told = key.map(|text| {
        text.trim().parse::<NoteKey>().map_err(|e| {
            Error::new(ErrorKind::Usage, format!("--key: {e}"))
                .hint("`annals trust` in the workspace of whoever began the log prints its key")
        })
    });
    if let Some(told) = told.transpose()?.filter(|told| *told != found.key) {
        let message = format!("the log began with the key {}, not with {told}", found.key);
        return Err(Error::new(ErrorKind::Rejected, message)
            .hint("ask whoever sent the workspace; until then reading verbs work"));
    }
    let shown = log_trust(workspace)?;
    if workspace.dry_run {
        return Ok(shown);
    }
    workspace.pin(&found.key)?;
    Ok(LogTrustShown { trust: TrustState::Pinned, pinned: Some(found.key.to_string()), ..shown })
}

/// Removes the pin of the log of a workspace.
///
/// # Errors
/// [`ErrorKind::NotFound`] where none is there; when it cannot be removed.
pub fn forget_log(workspace: &Workspace) -> Result<TrustedLog> {
    let found = workspace.log_beginning()?;
    let origin = found.key.name();
    let pin = workspace.key_ring().pin(origin)?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("no key is pinned for {origin}"))
            .hint("`annals trust --list` shows what is pinned")
    })?;
    if !workspace.dry_run {
        workspace.key_ring().forget_pin(origin)?;
    }
    Ok(TrustedLog::of(&pin.key))
}

/// The logs that the user trusts because their keys are pinned.
///
/// # Errors
/// When a pin cannot be read.
pub fn trusted_logs(dirs: &ConfigDirs) -> Result<Vec<TrustedLog>> {
    let pins = KeyRing::new(&dirs.keys).pins()?;
    Ok(pins.iter().map(|pin| TrustedLog::of(&pin.key)).collect())
}

impl TrustedLog {
    fn of(key: &NoteKey) -> Self {
        let origin = key.name().to_owned();
        Self { origin, key: key.to_string(), fingerprint: key.public_key() }
    }
}
