//! Ids as types. All are 16 random bytes, written in the letters `k` to `z` ("reverse hex"), so
//! that an id is never mistaken for a position (digits) or a digest (hex).

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};

/// The text is not an id: wrong length, or a letter outside `k`..`z`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an id (32 letters from k to z)")]
pub struct ParseIdError(pub String);

const LETTERS: &[u8; 16] = b"zyxwvutsrqponmlk";

fn to_letters(bytes: &[u8; 16]) -> [u8; 32] {
    let mut letters = [0; 32];
    for (pair, byte) in letters.chunks_exact_mut(2).zip(bytes) {
        pair[0] = LETTERS[usize::from(byte >> 4)];
        pair[1] = LETTERS[usize::from(byte & 15)];
    }
    letters
}

fn from_letters(text: &str) -> Option<[u8; 16]> {
    let value = |letter: u8| LETTERS.iter().position(|l| *l == letter);
    let letters = text.as_bytes();
    if letters.len() != 32 {
        return None;
    }
    let mut bytes = [0_u8; 16];
    for (byte, pair) in bytes.iter_mut().zip(letters.chunks_exact(2)) {
        *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
    }
    Some(bytes)
}

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The first `letters` letters of the text form; what tables show.
            pub fn short(&self, letters: usize) -> String {
                let mut text = self.to_string();
                text.truncate(letters);
                text
            }

            /// The text form, in ASCII: what tables are filled with.
            pub fn letters(&self) -> [u8; 32] {
                to_letters(&self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(std::str::from_utf8(&self.letters()).unwrap_or_default())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                from_letters(text).map(Self).ok_or_else(|| ParseIdError(text.to_owned()))
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": "^[k-z]{32}$"})
            }
        }
    )+};
}

id_types! {
    /// One log; made at `annals init` and part of the origin of every log checkpoint.
    LogId;
    /// One execution of an experiment.
    RunId;
    /// One use of a verb that changes something.
    InvocationId;
    /// One request to change; takes effect once (DOM-2).
    CommandId;
    /// One move of files.
    MoveId;
    /// One promotion request.
    RequestId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text_form() {
        let id = RunId([0, 1, 2, 3, 250, 251, 252, 253, 254, 255, 16, 32, 64, 128, 9, 8]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().bytes().all(|b| (b'k'..=b'z').contains(&b)));
        assert!("kk".parse::<RunId>().is_err());
        assert!("a".repeat(32).parse::<RunId>().is_err());
    }
}
