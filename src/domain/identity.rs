//! Who acted, and how far that is proven.

use std::fmt;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::Serialize;

/// How the log knows who acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Identity {
    /// The actor's name is what the process said (a user name).
    Claimed,
    /// The actor signed [`signing_message`](super::signing_message).
    Signed {
        /// Position of the `key.created` event that holds the public key.
        key: u64,
        /// Ed25519 signature.
        signature: [u8; 64],
    },
}

impl Identity {
    /// How far it is proven.
    pub fn level(&self) -> IdentityLevel {
        match self {
            Self::Claimed => IdentityLevel::Claimed,
            Self::Signed { .. } => IdentityLevel::Signed,
        }
    }
}

/// How far it is proven who acted.
#[derive(
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum IdentityLevel {
    /// A process said so.
    Claimed,
    /// A key of that person signed.
    Signed,
}

impl IdentityLevel {
    /// The word used in files and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Signed => "signed",
        }
    }

    /// Of one who signed, or did not.
    pub const fn signed(signed: bool) -> Self {
        if signed { Self::Signed } else { Self::Claimed }
    }
}

impl fmt::Display for IdentityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
