//! Versions of a production name: numbered in the order of promotion, and told to the outside as
//! MAJOR.MINOR.PATCH.

use std::fmt;
use std::str::FromStr;

use bincode::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PromotedFile;
use crate::base::{RequestId, RunId};

/// MAJOR.MINOR.PATCH.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub struct Semver {
    /// Raised when users of the model must change something.
    pub major: u32,
    /// Raised by every promotion.
    pub minor: u32,
    /// Raised when nothing but papers changed.
    pub patch: u32,
}

/// Which part of a version is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bump {
    /// 1.2.3 to 2.0.0.
    Major,
    /// 1.2.3 to 1.3.0.
    Minor,
    /// 1.2.3 to 1.2.4.
    Patch,
}

impl Semver {
    /// What the first promotion of a name is called.
    pub const FIRST: Self = Self { major: 1, minor: 0, patch: 0 };

    /// The version after this one.
    pub fn bumped(self, bump: Bump) -> Self {
        let Self { major, minor, patch } = self;
        match bump {
            Bump::Major => Self { major: major.saturating_add(1), minor: 0, patch: 0 },
            Bump::Minor => Self { major, minor: minor.saturating_add(1), patch: 0 },
            Bump::Patch => Self { major, minor, patch: patch.saturating_add(1) },
        }
    }
}

impl fmt::Display for Semver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Semver {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '.').map(str::parse);
        let mut next = || parts.next().unwrap_or_else(|| "".parse());
        Ok(Self { major: next()?, minor: next()?, patch: next()? })
    }
}

/// One version of a production name.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelVersion {
    /// From 1, in the order of promotion.
    pub number: u32,
    /// What it was ever called, the present version last; never empty.
    pub versions: Vec<Semver>,
    /// The run it came from.
    pub run: RunId,
    /// The request that was granted.
    pub request: RequestId,
    /// Its folder while it is in production, relative to the workspace.
    pub path: String,
    /// Its files.
    pub files: Vec<PromotedFile>,
}

impl ModelVersion {
    /// What it is called now.
    pub fn version(&self) -> Semver {
        self.versions.last().copied().unwrap_or(Semver::FIRST)
    }
}

/// The highest version among `versions`, raised; the first one where there is none.
///
/// Counting on from the highest, not from the present one, keeps versions unique after a rollback.
pub fn next_version(versions: &[ModelVersion], bump: Bump) -> Semver {
    let highest = versions.iter().flat_map(|v| &v.versions).max();
    highest.map_or(Semver::FIRST, |highest| highest.bumped(bump))
}

/// The version of `versions` that `text` names: `2`, `v2` or `1.1.0`.
pub fn named_version<'v>(versions: &'v [ModelVersion], text: &str) -> Option<&'v ModelVersion> {
    let number = text.strip_prefix('v').unwrap_or(text).parse::<u32>().ok();
    let semver = text.parse::<Semver>().ok();
    versions.iter().find(|version| {
        Some(version.number) == number || semver.is_some_and(|s| version.versions.contains(&s))
    })
}
