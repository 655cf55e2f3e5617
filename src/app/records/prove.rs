//! Proofs that an event is in the log, checked with the public key alone, anywhere.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::records::summary::summary;
use crate::app::workspace::actors::keys;
use crate::app::workspace::redact::names;
use crate::app::{Error, ErrorKind, Named, Node, Result, Workspace};
use crate::base::{Digest, Timestamp};
use crate::domain::Envelope;
use crate::tlog::{Hash, LogCheckpoint, NoteKey, leaf_hash, verify_inclusion};

/// A proof that one event is in one log.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What this is.
    pub format: String,
    /// The event's position.
    pub position: u64,
    /// The event's stored bytes, base64.
    pub event: String,
    /// Sibling hashes, lowest first, hexadecimal (RFC 6962).
    pub inclusion: Vec<Digest>,
    /// The signed log checkpoint it leads to.
    pub log_checkpoint: String,
    /// The key that signed it; to be compared with one known otherwise.
    pub key: String,
}

/// A proof that holds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Checked {
    /// The event's position.
    pub position: u64,
    /// Its kind.
    pub kind: String,
    /// The log.
    pub origin: String,
    /// Size of the log that was signed.
    pub size: u64,
    /// The key that signed.
    pub key: String,
    /// Whether the key was given, and not merely found in the proof.
    pub key_pinned: bool,
    /// What happened, read from the proven bytes: digests of files among them.
    pub event: ProvenEvent,
}

/// Under which signed log checkpoint an event was proven.
#[derive(Clone, Debug)]
struct Signed {
    position: u64,
    origin: String,
    size: u64,
    key: String,
}

const FORMAT: &str = "annals inclusion proof 1";
const BUNDLE_FORMAT: &str = "annals proof bundle 1";

/// Proofs of all events of one chain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// What this is.
    pub format: String,
    /// What was asked about; a remark, not proven.
    pub subject: String,
    /// One proof for each event, by position.
    pub proofs: Vec<Proof>,
}

/// A bundle whose proofs all hold, under one signed log checkpoint.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CheckedBundle {
    /// The log.
    pub origin: String,
    /// Size of the log that was signed.
    pub size: u64,
    /// The key that signed.
    pub key: String,
    /// Whether the key was given, and not merely found in the bundle.
    pub key_pinned: bool,
    /// What is proven, read from the proven bytes.
    pub events: Vec<ProvenEvent>,
}

/// One proven event.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProvenEvent {
    /// Where it is.
    pub position: u64,
    /// When the log took it.
    pub recorded: Timestamp,
    /// What kind of event.
    pub kind: String,
    /// What happened, in a few words.
    #[serde(skip)]
    pub summary: String,
    /// What happened.
    pub event: Value,
}

impl Bundle {
    /// Reads and checks a bundle; `key` is the one the reader trusts.
    ///
    /// # Errors
    /// As [`Proof::check`]; [`ErrorKind::Integrity`] too when the proofs are of different logs or
    /// sizes.
    pub fn check(text: &str, key: Option<&str>) -> Result<CheckedBundle> {
        let data = |what: String| {
            Error::new(ErrorKind::Data, format!("this is not a proof bundle: {what}"))
        };
        let bundle: Self = serde_json::from_str(text).map_err(|e| data(e.to_string()))?;
        if bundle.format != BUNDLE_FORMAT {
            return Err(data(format!("\"{BUNDLE_FORMAT}\" expected, found \"{}\"", bundle.format)));
        }
        let (mut first, mut proven) = (None::<Signed>, Vec::new());
        for proof in &bundle.proofs {
            let (checked, event) = proof.opened(key)?;
            let one = first.get_or_insert_with(|| checked.clone());
            if (&one.origin, one.size, &one.key) != (&checked.origin, checked.size, &checked.key) {
                let message = format!(
                    "the proof of event {} is of another log, size or key than that of {}",
                    event.header.position, one.position
                );
                return Err(Error::new(ErrorKind::Integrity, message));
            }
            proven.push((proof.position, event));
        }
        let events =
            proven.iter().map(|(at, event)| ProvenEvent::of(*at, event, &proven)).collect();
        let one = first.ok_or_else(|| data("it contains no proof".into()))?;
        let Signed { origin, size, key: signer, .. } = one;
        Ok(CheckedBundle { origin, size, key: signer, key_pinned: key.is_some(), events })
    }
}

impl ProvenEvent {
    /// What stands in the place of a redacted payload is proven by the redaction alone.
    fn of(position: u64, envelope: &Envelope, proven: &[(u64, Envelope)]) -> Self {
        let header = &envelope.header;
        let unproven = envelope.payload.redacted_by().filter(|by| {
            let mut others = proven.iter().filter(|(at, _)| at == by);
            !others.any(|(_, redaction)| names(redaction, envelope))
        });
        let event = match (unproven, envelope.event()) {
            (Some(by), _) => json!({ "unreadable": format!("it was redacted at {by}") }),
            (None, Ok(event)) => serde_json::to_value(&event).unwrap_or(Value::Null),
            (None, Err(error)) => json!({ "unreadable": error.to_string() }),
        };
        let (recorded, kind) = (header.recorded, header.kind.name());
        Self { position, recorded, kind, summary: summary(&event), event }
    }
}

/// Proofs of every event of a chain.
///
/// # Errors
/// As [`prove`].
pub fn bundle(workspace: &Workspace, subject: &str, chain: &Node) -> Result<Bundle> {
    let mut positions: BTreeSet<u64> = chain.positions().into_iter().collect();
    // What was redacted says something only together with its redaction.
    let redactions: Vec<u64> = workspace.store.read(|log| {
        let redaction = |at: &u64| Ok(log.event(*at)?.payload.redacted_by());
        positions.iter().filter_map(|at| redaction(at).transpose()).collect::<Result<_>>()
    })?;
    positions.extend(redactions);
    let proofs = positions.into_iter().map(|at| prove(workspace, at)).collect::<Result<_>>()?;
    Ok(Bundle { format: BUNDLE_FORMAT.into(), subject: subject.into(), proofs })
}

/// The event that a proof about `what` is of: a position itself, the end of a run (its start while
/// it runs), or what last decided which version the name of a model in production means.
///
/// # Errors
/// [`ErrorKind::NotFound`] for names that mean nothing.
pub fn position_of(workspace: &Workspace, what: &str) -> Result<u64> {
    if let Ok(position) = what.parse() {
        return Ok(position);
    }
    let views = workspace.snapshot()?;
    match workspace.find_named(&views, what)? {
        Named::Version(model) => {
            let alias =
                workspace.registry()?.aliases()?.into_iter().find(|alias| alias.alias == what);
            Ok(model.placed.position.max(alias.map_or(0, |alias| alias.position)))
        }
        Named::Run(run) => {
            let found = workspace.snapshot_of(&[run.into()])?.run(run)?;
            let run = found.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("nothing is known of {what}"))
            })?;
            Ok(run.ended_position.unwrap_or(run.started_position))
        }
    }
}

/// Proves that the event at `position` is in the log, under the newest signed log checkpoint.
///
/// # Errors
/// [`ErrorKind::NotFound`] beyond the end or the last signed log checkpoint.
pub fn prove(workspace: &Workspace, position: u64) -> Result<Proof> {
    workspace.store.read(|log| {
        let event = log.event(position)?;
        let (size, note) = log
            .last_checkpoint()?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "no log checkpoint was signed yet"))?;
        if position >= size {
            let message = format!(
                "event {position} comes after the last signed log checkpoint, of size {size}"
            );
            return Err(Error::new(ErrorKind::NotFound, message)
                .hint("the next decision, or the end of the training, signs a new one"));
        }
        let inclusion = log.inclusion_proof(position, size)?;
        let origin = log.origin();
        let known = keys(log)?.into_iter();
        let known = known.filter_map(|key| NoteKey::new(origin, key.public_key).ok());
        let known: Vec<NoteKey> = known.collect();
        let signer = LogCheckpoint::open(&note, origin, &known).map(|(_, key)| key.to_string());
        Ok(Proof {
            format: FORMAT.into(),
            position,
            event: BASE64.encode(event.stored()),
            inclusion: inclusion.into_iter().map(|hash| Digest(hash.0)).collect(),
            log_checkpoint: note,
            key: signer.unwrap_or_default(),
        })
    })
}

impl Proof {
    /// Reads and checks a proof; `key` is the one the reader trusts.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] for what is no proof; [`ErrorKind::Integrity`] when it does not hold.
    pub fn check(text: &str, key: Option<&str>) -> Result<Checked> {
        let proof: Self = serde_json::from_str(text)
            .map_err(|e| Error::new(ErrorKind::Data, format!("this is not a proof: {e}")))?;
        let (Signed { origin, size, key: signer, position }, event) = proof.opened(key)?;
        let proven = [(position, event)];
        let [(_, event)] = &proven;
        let event = ProvenEvent::of(position, event, &proven);
        let (kind, key_pinned) = (event.kind.clone(), key.is_some());
        Ok(Checked { position, kind, origin, size, key: signer, key_pinned, event })
    }

    /// Checks the proof and gives who signed and the event that it proves.
    fn opened(&self, key: Option<&str>) -> Result<(Signed, Envelope)> {
        let proof = self;
        let data = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Data, format!("this is not a proof: {e}"))
        };
        if proof.format != FORMAT {
            return Err(data(&format!("\"{FORMAT}\" expected, found \"{}\"", proof.format)));
        }
        let stored = BASE64.decode(&proof.event).map_err(|e| data(&e))?;
        let event = Envelope::decode(&stored).map_err(|e| data(&e))?;
        let bad = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Integrity, format!("the proof does not hold: {e}"))
        };
        let signer: NoteKey = key.unwrap_or(&proof.key).parse().map_err(|e| data(&e))?;
        let said = LogCheckpoint::peek(&proof.log_checkpoint).map_err(|e| data(&e))?;
        let keys = [signer];
        let (checkpoint, signer) =
            LogCheckpoint::open(&proof.log_checkpoint, &said.origin, &keys).map_err(|e| bad(&e))?;
        if event.header.position != proof.position {
            return Err(bad(&format!("the event is of position {}", event.header.position)));
        }
        let siblings: Vec<Hash> = proof.inclusion.iter().map(|digest| Hash(digest.0)).collect();
        let leaf = leaf_hash(&event.leaf_data().0);
        verify_inclusion(leaf, proof.position, checkpoint.size, checkpoint.root, &siblings)
            .map_err(|e| bad(&e))?;
        let signed = Signed {
            position: proof.position,
            origin: checkpoint.origin,
            size: checkpoint.size,
            key: signer.to_string(),
        };
        Ok((signed, event))
    }
}
