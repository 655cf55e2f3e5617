//! Signed notes (C2SP signed-note) with Ed25519: text, an empty line, signature lines.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::base::PublicKey;

const ED25519: u8 = 1;

/// A note that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not text, an empty line and signature lines.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// A signature by a known key does not fit the text.
    #[error("the signature by {key} does not fit the text")]
    BadSignature {
        /// The key named in the signature line.
        key: NoteKey,
    },
    /// No known key signed it.
    #[error("none of the known keys signed this (it names {found})")]
    UnknownKeys {
        /// The keys it names.
        found: String,
    },
    /// Not a key's text form.
    #[error("\"{0}\" is not a verification key (name+hash+key)")]
    Key(String),
}

/// A public key under a name: who may sign notes.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    key: PublicKey,
}

/// A private key under a name.
pub struct NoteSigner {
    key: SigningKey,
    public: NoteKey,
}

impl NoteKey {
    /// Puts a name to a key. For log checkpoints the name is the log's origin.
    ///
    /// # Errors
    /// When the name is empty or holds a space or a plus sign, or the key is not one.
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        let bad_name = name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+');
        if bad_name || VerifyingKey::from_bytes(&key.0).is_err() {
            return Err(NoteError::Key(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    pub fn public_key(&self) -> PublicKey {
        self.key
    }

    /// Four bytes that tell keys of one name apart: SHA-256(name, newline, 1, key), cut.
    pub fn id(&self) -> u32 {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.0)
            .finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }

    /// Reads a note and checks its signatures: one of `keys` must have signed, and no signature
    /// that claims to be by one of them may be wrong. Tells the text and the first key that fits.
    ///
    /// # Errors
    /// [`NoteError`] tells what does not hold.
    pub fn open<'n, 'k>(note: &'n str, keys: &'k [Self]) -> Result<(&'n str, &'k Self), NoteError> {
        let (text, signatures) = split(note)?;
        let (mut signer, mut found) = (None, Vec::new());
        for (name, id, signature) in signatures {
            found.push(format!("{name}+{id:08x}"));
            let Some(key) = keys.iter().find(|k| k.name == name && k.id() == id) else { continue };
            if !key.fits(text.as_bytes(), &signature) {
                return Err(NoteError::BadSignature { key: key.clone() });
            }
            signer = signer.or(Some(key));
        }
        let signer = signer.ok_or_else(|| NoteError::UnknownKeys { found: found.join(", ") })?;
        Ok((text, signer))
    }

    /// Whether `signature` is this key's over `message`.
    pub fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.key.0) else { return false };
        Signature::from_slice(signature).is_ok_and(|s| key.verify_strict(message, &s).is_ok())
    }
}

impl fmt::Display for NoteKey {
    /// The C2SP verification key: `name+id+base64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[ED25519][..], &self.key.0].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id(), BASE64.encode(bytes))
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKey({self})")
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let bad = || NoteError::Key(text.to_owned());
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let bytes = BASE64.decode(key).map_err(|_| bad())?;
        let Some((&ED25519, key)) = bytes.split_first() else { return Err(bad()) };
        let key = Self::new(name, PublicKey(key.try_into().map_err(|_| bad())?))?;
        if key.to_string() == text { Ok(key) } else { Err(bad()) }
    }
}

impl NoteSigner {
    /// Puts a name to a private key.
    ///
    /// # Errors
    /// When the name is empty or holds a space or a plus sign.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        let public = NoteKey::new(name, PublicKey(key.verifying_key().to_bytes()))?;
        Ok(Self { key, public })
    }

    /// The public half.
    pub fn public(&self) -> &NoteKey {
        &self.public
    }

    /// Signs `text`, which ends with a newline.
    pub fn sign(&self, text: &str) -> String {
        let mut bytes = self.public.id().to_be_bytes().to_vec();
        bytes.extend(self.sign_bytes(text.as_bytes()));
        format!("{text}\n\u{2014} {} {}\n", self.public.name, BASE64.encode(bytes))
    }

    /// Signs bytes that are not a note: what an actor signs about an event.
    pub fn sign_bytes(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.public)
    }
}

/// The text of a note, its signatures unchecked.
pub(super) fn text_of(note: &str) -> Result<&str, NoteError> {
    split(note).map(|(text, _)| text)
}

type SignatureLine<'n> = (&'n str, u32, Vec<u8>);

fn split(note: &str) -> Result<(&str, Vec<SignatureLine<'_>>), NoteError> {
    let bad = NoteError::Malformed;
    if note.chars().any(|c| c.is_control() && c != '\n') {
        return Err(bad("it holds control characters"));
    }
    let at = note.rfind("\n\n").ok_or(bad("no empty line before the signatures"))?;
    let (text, lines) = (&note[..=at], &note[at + 2..]);
    let lines = lines.strip_suffix('\n').ok_or(bad("the last line does not end"))?;
    let signatures = lines.split('\n').map(signature_line).collect::<Option<_>>();
    Ok((text, signatures.ok_or(bad("a signature line is malformed"))?))
}

fn signature_line(line: &str) -> Option<SignatureLine<'_>> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = BASE64.decode(encoded).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    let good_name = !name.is_empty() && !name.contains('+');
    (good_name && !signature.is_empty())
        .then(|| (name, u32::from_be_bytes(*id), signature.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_open_with_the_right_key_only() {
        let signer = NoteSigner::new("annals/log", &[1; 32]).unwrap();
        let other = NoteSigner::new("annals/log", &[2; 32]).unwrap();
        let note = signer.sign("one\ntwo\n");
        let keys = [other.public().clone(), signer.public().clone()];
        assert_eq!(NoteKey::open(&note, &keys).unwrap(), ("one\ntwo\n", signer.public()));
        assert!(matches!(NoteKey::open(&note, &keys[..1]), Err(NoteError::UnknownKeys { .. })));
        let changed = note.replace("two", "2");
        assert!(matches!(NoteKey::open(&changed, &keys), Err(NoteError::BadSignature { .. })));
        for bad in ["", "one\n", "one\n\n", "one\n\n\u{2014} x\n", note.trim_end()] {
            assert!(NoteKey::open(bad, &keys).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn keys_survive_their_text_form() {
        // The example key of the C2SP signed-note specification.
        let text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key: NoteKey = text.parse().unwrap();
        assert_eq!((key.to_string().as_str(), key.id()), (text, 0xc74f_20a3));
        assert!(text.replace("c74f20a3", "c74f20a4").parse::<NoteKey>().is_err());
    }
}
