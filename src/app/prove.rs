//! Proofs that an event is in the log, checked with the public key alone, anywhere.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::{App, Error, ErrorKind, Result};
use crate::base::Digest;
use crate::domain::Envelope;
use crate::tlog::{Hash, LogCheckpoint, NoteKey, leaf_hash, verify_inclusion};

/// A proof that one event is in one log.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize)]
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
}

const FORMAT: &str = "annals inclusion proof 1";

impl App {
    /// Proves that the event at `position` is in the log, under the newest signed log checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] beyond the end or the last signed log checkpoint.
    pub fn prove(&self, position: u64) -> Result<Proof> {
        let key = self.public_key()?;
        self.store.read(|log| {
            let event = log.event(position)?;
            let (size, note) = log.last_checkpoint()?.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, "no log checkpoint was signed yet")
            })?;
            if position >= size {
                let message = format!(
                    "event {position} comes after the last signed log checkpoint, of size {size}"
                );
                return Err(Error::new(ErrorKind::NotFound, message)
                    .hint("the next decision, or the end of the training, signs a new one"));
            }
            let inclusion = log.inclusion_proof(position, size)?;
            Ok(Proof {
                format: FORMAT.into(),
                position,
                event: BASE64.encode(event.stored()),
                inclusion: inclusion.into_iter().map(|hash| Digest(hash.0)).collect(),
                log_checkpoint: note,
                key: key.unwrap_or_default(),
            })
        })
    }
}

impl Proof {
    /// Reads and checks a proof; `key` is the one the reader trusts.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] for what is no proof; [`ErrorKind::Integrity`] when it does not hold.
    pub fn check(text: &str, key: Option<&str>) -> Result<Checked> {
        let data = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Data, format!("this is not a proof: {e}"))
        };
        let proof: Self = serde_json::from_str(text).map_err(|e| data(&e))?;
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
        Ok(Checked {
            position: proof.position,
            kind: event.header.kind.name(),
            origin: checkpoint.origin,
            size: checkpoint.size,
            key: signer.to_string(),
            key_pinned: key.is_some(),
        })
    }
}
