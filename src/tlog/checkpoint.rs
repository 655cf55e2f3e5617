//! The log checkpoint: origin, size and root of a log as C2SP tlog-checkpoint text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Hash, NoteError, NoteKey, NoteSigner};

/// Text that is not a log checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not the three lines of a log checkpoint.
    #[error("not a log checkpoint: {0}")]
    Malformed(&'static str),
    /// The note around it does not hold.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It speaks about another log.
    #[error("the log checkpoint is of log \"{found}\", not of \"{expected}\"")]
    Origin {
        /// The log asked about.
        expected: String,
        /// The log it names.
        found: String,
    },
}

/// What a log was at some size. Its text has one spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCheckpoint {
    /// Names the log among all logs.
    pub origin: String,
    /// Number of events.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: Hash,
}

impl LogCheckpoint {
    /// The text that is signed: three lines, each ended by a newline.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.0))
    }

    /// Reads the text. Extension lines are refused: annals puts nothing there.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] for any other spelling than [`Self::to_text`] makes.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let bad = CheckpointError::Malformed;
        let body = text.strip_suffix('\n').ok_or(bad("the last line does not end"))?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [origin, size, root] = lines[..] else { return Err(bad("it is not three lines")) };
        let parsed = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| bad("the second line is not a size"))?,
            root: BASE64
                .decode(root)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .map(Hash)
                .ok_or(bad("the third line is not a root hash"))?,
        };
        if origin.is_empty() || parsed.to_text() != text {
            return Err(bad("it is not spelled the one way"));
        }
        Ok(parsed)
    }

    /// Signs it: a C2SP signed note.
    pub fn sign(&self, signer: &NoteSigner) -> String {
        signer.sign(&self.to_text())
    }

    /// Reads a signed note and checks that one of `keys` signed it and that it is of the log
    /// `origin`; tells which key.
    ///
    /// # Errors
    /// [`CheckpointError`] tells what does not hold.
    pub fn open<'k>(
        note: &str,
        origin: &str,
        keys: &'k [NoteKey],
    ) -> Result<(Self, &'k NoteKey), CheckpointError> {
        let (text, key) = NoteKey::open(note, keys)?;
        let parsed = Self::parse(text)?;
        if parsed.origin != origin {
            return Err(CheckpointError::Origin {
                expected: origin.to_owned(),
                found: parsed.origin,
            });
        }
        Ok((parsed, key))
    }

    /// Reads what a signed note says without checking who signed it.
    ///
    /// # Errors
    /// [`CheckpointError`] when it is not a signed note around a log checkpoint.
    pub fn peek(note: &str) -> Result<Self, CheckpointError> {
        Self::parse(super::note::text_of(note)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_one_spelling() {
        let one = LogCheckpoint { origin: "annals/x".into(), size: 10, root: Hash([9; 32]) };
        let text = one.to_text();
        assert_eq!(LogCheckpoint::parse(&text), Ok(one));
        let spoiled = [
            text.replace("\n10\n", "\n010\n"),
            text.replace("\n10\n", "\n+10\n"),
            text.replace("\n10\n", "\n10 \n"),
            format!("{text}more\n"),
            text.trim_end().to_owned(),
            text.replace("annals/x", ""),
            text.replace('=', ""),
        ];
        for bad in spoiled {
            assert!(LogCheckpoint::parse(&bad).is_err(), "{bad:?} was accepted");
        }
    }
}
